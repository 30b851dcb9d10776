/* The system controller of a chip: interrupts between cores, synchronisation flags, locks. */
#include "board.h"

enum { CHIP_ID = 0x59111012, CODE_MASK = 0x3ffff, LOCK_HELD = 1u << 31, LOCKS = 0x80 };

void sysctl_reset(chip_t *chip) {
    chip->flags = chip->locks = chip->interrupts = chip->cpu_ok = chip->disabled = 0;
    chip->attention = false;
}

static void interrupt(chip_t *chip, uint32_t cores) {
    chip->interrupts |= cores;
    if (cores & 1) { /* the monitor, core 0 */
        chip->attention = true;
        __atomic_store_n(&chip->board->attention, true, __ATOMIC_RELAXED);
        if (chip->board->running)
            chip->board->running->cpu.stop = 1;
    }
    for (int id = 1; id < chip->cores; id++)
        if (cores >> id & 1)
            vic_line(&chip->core[id], INT_CPU, true);
}

static void clear_interrupt(chip_t *chip, uint32_t cores) {
    chip->interrupts &= ~cores;
    for (int id = 1; id < chip->cores; id++)
        if (cores >> id & 1)
            vic_line(&chip->core[id], INT_CPU, false);
}

/* Reading a lock register sets (or clears) the lock and tells whether it was set. */
static uint32_t take_lock(chip_t *chip, unsigned lock, bool set) {
    uint32_t bit = 1u << lock, was = chip->locks & bit;
    chip->locks = set ? chip->locks | bit : chip->locks & ~bit;
    return was ? LOCK_HELD : 0;
}

uint32_t sysctl_read(chip_t *chip, uint32_t offset) {
    if (offset >= 0x100 && offset < 0x100 + 2 * LOCKS)
        return take_lock(chip, (offset & (LOCKS - 1)) / 4, offset < 0x100 + LOCKS);
    switch (offset) {
    case 0x00: return CHIP_ID;
    case 0x04: return chip->disabled;
    case 0x08:
    case 0x0c: return chip->interrupts;
    case 0x10: return chip->cpu_ok;
    case 0x58:
    case 0x5c: return chip->flags;
    case 0x64: {
        uint32_t asleep = 0;
        for (int id = 0; id < chip->cores; id++)
            asleep |= (uint32_t)(chip->core[id].state != CORE_READY) << id;
        return asleep;
    }
    default: return 0; /* MON_ID (0x34) too: the monitor is physical core 0 */
    }
}

void sysctl_write(chip_t *chip, uint32_t offset, uint32_t value) {
    uint32_t cores = value & CODE_MASK;
    switch (offset) {
    case 0x04: chip->disabled = cores; break;
    case 0x08: interrupt(chip, cores); break;
    case 0x0c: clear_interrupt(chip, cores); break;
    case 0x10: chip->cpu_ok |= cores; break;
    case 0x14: chip->cpu_ok &= ~cores; break;
    case 0x58: chip->flags |= value; break;
    case 0x5c: chip->flags &= ~value; break;
    default: break;
    }
}
