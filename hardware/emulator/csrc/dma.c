/* The DMA controller of a core. A transfer is carried out the moment it is described, and is done
 * then (ideal timing) or, where timing is enforced, when its time is over; one may wait for another.
 * What a transfer brings into DTCM is only sent for at first, as its lines of memory are mostly far
 * from the host's processor, and copied when the core uses its next register: before that it cannot
 * know that the transfer is done.
 * Completions are counted, so that each one raises its own interrupt. The bits of the control
 * register are commands: they have been carried out, and read as 0, as soon as they are written. */
#include <string.h>

#include "board.h"

enum { TO_SYSTEM = 1u << 19, LENGTH = 0x1ffff, ACKNOWLEDGE_DONE = 8, ABORT = 2, DONE = 1u << 10 };
enum { BUSY = 1, QUEUE_FULL = 4, MOST_UNDER_WAY = 2 };
enum { MOST_AWAITED = 1024, HOST_LINE = 64 }; /* bytes */

static void update(core_t *core) {
    dma_t *dma = &core->dma;
    vic_line(core, INT_DMA_DONE, dma->completions > 0 && (dma->global & DONE));
}

void dma_reset(core_t *core) { core->dma = (dma_t){0}; }

/* Registers (the router's tables, say) move word by word. */
static void copy_registers(core_t *core, uint8_t *tcm, uint32_t address, uint32_t length, bool out) {
    for (uint32_t i = 0; i + 4 <= length; i += 4) {
        uint32_t word;
        if (out) {
            memcpy(&word, tcm + i, 4);
            chip_write_register(core->chip, address + i, word);
        } else {
            word = chip_read_register(core->chip, address + i);
            memcpy(tcm + i, &word, 4);
        }
    }
}

static void complete(core_t *core) {
    core->dma.completions++;
    update(core);
}

static void complete_first(core_t *core) {
    core->dma.end[0] = core->dma.end[1];
    core->dma.under_way--;
    complete(core);
}

/* Complete the transfers whose time is over. */
void dma_advance(core_t *core, uint64_t now) {
    while (core->dma.under_way && core->dma.end[0] <= now)
        complete_first(core);
}

static void take_time(core_t *core, uint32_t length) {
    dma_t *dma = &core->dma;
    if (dma->under_way == MOST_UNDER_WAY)
        complete_first(core);
    uint64_t end = timing_transfer(core, length);
    dma->end[dma->under_way++] = end;
}

static uint32_t status(core_t *core) {
    dma_t *dma = &core->dma;
    dma_advance(core, core_now(core));
    return (uint32_t)core->id << 24 | (dma->completions ? DONE : 0) |
           (dma->under_way ? BUSY : 0) | (dma->under_way == MOST_UNDER_WAY ? QUEUE_FULL : 0);
}

static bool in_sdram(uint32_t address) { return address >> 29 == 3; }

/* Let the host's processor send for memory that will be read soon. */
static void send_for(const uint8_t *memory, uint32_t length) {
    for (uint32_t i = 0; i < length; i += HOST_LINE)
        __builtin_prefetch(memory + i);
    __builtin_prefetch(memory + length - 1);
}

/* Copy what has been sent for. */
void dma_fetch(core_t *core) {
    dma_t *dma = &core->dma;
    memcpy(dma->awaited_to, dma->awaited_from, dma->awaited);
    dma->awaited = 0;
}

static void bring_in(core_t *core, uint8_t *tcm, const uint8_t *system, uint32_t length) {
    dma_t *dma = &core->dma;
    if (length - 1 < MOST_AWAITED && dma->tcm_address >= DTCM_BASE && !core->chip->board->enforced) {
        dma->awaited_to = tcm;
        dma->awaited_from = system;
        dma->awaited = length;
        send_for(system, length);
        return;
    }
    memcpy(tcm, system, length);
    if (dma->tcm_address < ITCM_SIZE)
        cpu_invalidate(&core->cpu, dma->tcm_address, length);
}

static void transfer(core_t *core, uint32_t description) {
    dma_t *dma = &core->dma;
    uint32_t length = description & LENGTH;
    bool out = description & TO_SYSTEM;
    uint8_t *tcm = core_memory(core, dma->tcm_address, length);
    uint8_t *system = chip_memory(core->chip, dma->system_address, length);
    dma->description = description;
    if (tcm && system) {
        if (in_sdram(dma->system_address) && !core->cpu.isolated)
            sharing_note(core, dma->system_address, length, out);
        if (out)
            memcpy(system, tcm, length);
        else
            bring_in(core, tcm, system, length);
    } else if (tcm && chip_is_register(dma->system_address)) {
        copy_registers(core, tcm, dma->system_address, length, out);
    }
    dma->bytes += length;
    if (core->chip->board->enforced)
        take_time(core, length);
    else
        complete(core);
}

/* Whether a transfer so described stays in the core's memory and what it does not share of SDRAM. */
bool dma_is_private(core_t *core, uint32_t description) {
    uint32_t address = core->dma.system_address;
    return in_sdram(address) &&
           sharing_permits(core, address, description & LENGTH, description & TO_SYSTEM);
}

uint32_t dma_read(core_t *core, uint32_t offset) {
    dma_t *dma = &core->dma;
    switch (offset) {
    case 0x04: return dma->system_address;
    case 0x08: return dma->tcm_address;
    case 0x0c: return dma->description;
    case 0x14: return status(core);
    case 0x18: return dma->global;
    default: return 0;
    }
}

void dma_write(core_t *core, uint32_t offset, uint32_t value) {
    dma_t *dma = &core->dma;
    switch (offset) {
    case 0x04: dma->system_address = value; break;
    case 0x08: dma->tcm_address = value; break;
    case 0x0c: transfer(core, value); break;
    case 0x10:
        if (value & ABORT)
            dma->completions = dma->under_way = 0;
        else if ((value & ACKNOWLEDGE_DONE) && dma->completions)
            dma->completions--;
        update(core);
        break;
    case 0x18:
        dma->global = value;
        update(core);
        break;
    default: break;
    }
}
