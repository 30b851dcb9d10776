/* The vectored interrupt controller (ARM PL190 as wired on SpiNNaker).
 *
 * A slot's number is its priority, 0 the highest; sources without a slot share the default vector,
 * the lowest. Reading VADDR begins the service of the highest pending slot and masks it and all
 * below it until VADDR is written. A source selected as FIQ bypasses the slots.
 *
 * SARK enables "packet ready" as FIQ and never disables it when spin1_api selects another source;
 * without a slot it would then only ever reach a handler that does nothing, so it counts only
 * while it is selected as FIQ.
 */
#include "board.h"

enum { DEFAULT_SLOT = 16, NO_SLOT = 17, SLOT_ENABLED = 0x20 };

static uint32_t pending(const vic_t *vic) {
    uint32_t irq = (vic->lines | vic->soft) & vic->enable & ~vic->select;
    return irq & ~(1u << INT_CC_READY);
}

static unsigned highest(const vic_t *vic) {
    unsigned best = NO_SLOT;
    for (uint32_t left = pending(vic); left != 0; left &= left - 1) {
        unsigned slot = vic->slot_of[__builtin_ctz(left)];
        if (slot < best)
            best = slot;
    }
    return best;
}

static unsigned serving(const vic_t *vic) {
    return vic->depth ? vic->in_service[vic->depth - 1] : NO_SLOT;
}

static void update(core_t *core) {
    vic_t *vic = &core->vic;
    core->cpu.irq = highest(vic) < serving(vic);
    core->cpu.fiq = ((vic->lines | vic->soft) & vic->enable & vic->select) != 0;
    if (core->cpu.irq | core->cpu.fiq)
        board_wake(core);
}

static void find_slots(vic_t *vic) {
    for (int source = 0; source < 32; source++)
        vic->slot_of[source] = DEFAULT_SLOT;
    for (int slot = 15; slot >= 0; slot--)
        if (vic->control[slot] & SLOT_ENABLED)
            vic->slot_of[vic->control[slot] & 31] = (uint8_t)slot;
}

void vic_reset(core_t *core) {
    core->vic = (vic_t){.lines = 1u << INT_CC_TX_EMPTY | 1u << INT_CC_TX_NOT_FULL};
    find_slots(&core->vic);
    core->cpu.irq = core->cpu.fiq = 0;
}

/* Set the lines of some sources, one bit each: those in `asserted`, and no other in `mask`. */
void vic_lines(core_t *core, uint32_t mask, uint32_t asserted) {
    uint32_t lines = (core->vic.lines & ~mask) | asserted;
    if (lines == core->vic.lines)
        return;
    if (core->doze)
        doze_rouse(core);
    core->vic.lines = lines;
    update(core);
}

void vic_line(core_t *core, enum interrupt_source source, bool asserted) {
    vic_lines(core, 1u << source, asserted ? 1u << source : 0);
}

uint32_t vic_read(core_t *core, uint32_t offset) {
    vic_t *vic = &core->vic;
    uint32_t raw = vic->lines | vic->soft;
    if (offset >= 0x100 && offset < 0x140)
        return vic->vector[(offset - 0x100) / 4];
    if (offset >= 0x200 && offset < 0x240)
        return vic->control[(offset - 0x200) / 4];
    switch (offset) {
    case 0x00: return raw & vic->enable & ~vic->select;
    case 0x04: return raw & vic->enable & vic->select;
    case 0x08: return raw;
    case 0x0c: return vic->select;
    case 0x10: return vic->enable;
    case 0x18: return vic->soft;
    case 0x30: {
        unsigned slot = highest(vic);
        if (slot >= serving(vic))
            return vic->default_vector;
        vic->in_service[vic->depth++] = (uint8_t)slot;
        update(core);
        return slot == DEFAULT_SLOT ? vic->default_vector : vic->vector[slot];
    }
    case 0x34: return vic->default_vector;
    default: return 0;
    }
}

void vic_write(core_t *core, uint32_t offset, uint32_t value) {
    vic_t *vic = &core->vic;
    if (offset >= 0x100 && offset < 0x140) {
        vic->vector[(offset - 0x100) / 4] = value;
        return;
    }
    if (offset >= 0x200 && offset < 0x240) {
        vic->control[(offset - 0x200) / 4] = value;
        find_slots(vic);
        update(core);
        return;
    }
    switch (offset) {
    case 0x0c: vic->select = value; break;
    case 0x10: vic->enable |= value; break;
    case 0x14: vic->enable &= ~value; break;
    case 0x18: vic->soft |= value; break;
    case 0x1c: vic->soft &= ~value; break;
    case 0x30: vic->depth -= vic->depth > 0; break;
    case 0x34: vic->default_vector = value; return;
    default: return;
    }
    update(core);
}
