/* The address map. Memory and registers each appear at a buffered and an unbuffered address. */
#include "board.h"

enum { SDRAM = 0x60000000, SYSRAM = 0xe5000000, ALIAS = 0x10000000 };
enum part { COMMS = 0x10, TIMER = 0x11, VIC = 0x1f, DMA = 0x30, ROUTER = 0xe1, SYSCTL = 0xe2 };
enum silent { PL340 = 0xe0, WATCHDOG = 0xe3, ETHERNET = 0xe4, ROM = 0xe6 };

static bool inside(uint32_t address, uint32_t length, uint32_t base, uint32_t size) {
    return address - base < size && length <= size - (address - base);
}

/* Memory that all cores of the chip share, or NULL where there is none. */
uint8_t *chip_memory(chip_t *chip, uint32_t address, uint32_t length) {
    uint32_t sdram = address - SDRAM >= ALIAS ? address - ALIAS : address;
    if (inside(sdram, length, SDRAM, chip->board->sdram_size))
        return chip->sdram + (sdram - SDRAM);
    uint32_t sysram = address >= SYSRAM + ALIAS ? address - ALIAS : address;
    if (inside(sysram, length, SYSRAM, SYSRAM_SIZE))
        return chip->sysram + (sysram - SYSRAM);
    return NULL;
}

/* The core's own memory, or NULL. */
uint8_t *core_memory(core_t *core, uint32_t address, uint32_t length) {
    if (inside(address, length, 0, ITCM_SIZE))
        return core->cpu.itcm + address;
    if (inside(address, length, DTCM_BASE, DTCM_SIZE))
        return core->cpu.dtcm + (address - DTCM_BASE);
    return NULL;
}

/* The part behind a register address of the chip (0xe0 to 0xef, alias 0xf0 to 0xff). */
static unsigned chip_part(uint32_t address) { return (address >> 24) & ~0x10u; }

bool chip_is_register(uint32_t address) {
    switch (chip_part(address)) {
    case ROUTER:
    case SYSCTL:
    case PL340:
    case WATCHDOG:
    case ETHERNET:
    case ROM: return address >= 0xe0000000;
    default: return false;
    }
}

uint32_t chip_read_register(chip_t *chip, uint32_t address) {
    switch (chip_part(address)) {
    case ROUTER: return router_read(chip, address & 0xfffffc);
    case SYSCTL: return sysctl_read(chip, address & 0xfffffc);
    default: return 0;
    }
}

void chip_write_register(chip_t *chip, uint32_t address, uint32_t value) {
    switch (chip_part(address)) {
    case ROUTER: router_write(chip, address & 0xfffffc, value); break;
    case SYSCTL: sysctl_write(chip, address & 0xfffffc, value); break;
    default: break;
    }
}

/* The core's private parts lie at 0x10, 0x11, 0x1f, 0x30 (buffered 0x20, 0x21, 0x2f, 0x40), and
 * the interrupt controller also at the very top, within reach of the exception vectors. */
static unsigned core_part(uint32_t address) {
    if (address >= 0xfffff000)
        return VIC;
    unsigned high = address >> 24;
    switch (high) {
    case 0x20:
    case 0x21:
    case 0x2f:
    case 0x40: return high - 0x10;
    default: return high;
    }
}

/* Registers that a handler may use every few microseconds without leaving a trace: the timer's
 * acknowledgement, the interrupt controller's, and the router's status. */
static bool leaves_no_trace(unsigned part, uint32_t offset, bool write) {
    if (part == VIC)
        return offset == 0x30;
    return write ? part == TIMER && offset == 0x0c : (part & ~0x10u) == ROUTER && offset == 0x04;
}

/* What a core may not do while it runs apart from the others: use the registers that the chip
 * shares, and some transfers (sharing.c). A DMA transfer is described by what is written. */
static bool is_shared(core_t *core, unsigned part, uint32_t offset, const uint32_t *written) {
    if (chip_part(part << 24) >= PL340)
        return !leaves_no_trace(part, offset, written != NULL);
    return written && part == DMA && offset == 0x0c && !dma_is_private(core, *written);
}

uint32_t core_bus_read(cpu_t *cpu, uint32_t address, int size) {
    core_t *core = cpu->owner;
    unsigned part = core_part(address);
    if (core->dma.awaited)
        dma_fetch(core);
    uint32_t offset = address & 0xffc, value;
    if (cpu->isolated && is_shared(core, part, offset, NULL)) {
        cpu_defer(cpu);
        return 0;
    }
    core->touched |= !leaves_no_trace(part, offset, false);
    switch (part) {
    case COMMS: value = comms_read(core, offset); break;
    case TIMER: value = timer_read(core, offset); break;
    case VIC: value = vic_read(core, offset); break;
    case DMA: value = dma_read(core, offset); break;
    default:
        if (!chip_is_register(address)) {
            cpu_abort(cpu);
            return 0;
        }
        value = chip_read_register(core->chip, address);
    }
    value >>= 8 * (address & 3);
    return size == 4 ? value : size == 2 ? value & 0xffff : value & 0xff;
}

void core_bus_write(cpu_t *cpu, uint32_t address, uint32_t value, int size) {
    core_t *core = cpu->owner;
    unsigned part = core_part(address);
    if (core->dma.awaited)
        dma_fetch(core);
    uint32_t offset = address & 0xffc;
    (void)size; /* registers are words: a narrower write writes the whole of one */
    if (cpu->isolated && is_shared(core, part, offset, &value)) {
        cpu_defer(cpu);
        return;
    }
    core->touched |= !leaves_no_trace(part, offset, true);
    switch (part) {
    case COMMS: comms_write(core, offset, value); break;
    case TIMER: timer_write(core, offset, value); break;
    case VIC: vic_write(core, offset, value); break;
    case DMA: dma_write(core, offset, value); break;
    default:
        if (!chip_is_register(address)) {
            cpu_abort(cpu);
            return;
        }
        chip_write_register(core->chip, address, value);
    }
}
