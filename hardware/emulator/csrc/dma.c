/* The DMA controller of a core. A transfer is done the moment it is described (ideal timing);
 * completions are counted, so that each one raises its own interrupt. The bits of the control
 * register are commands: they have been carried out, and read as 0, as soon as they are written. */
#include <string.h>

#include "board.h"

enum { TO_SYSTEM = 1u << 19, LENGTH = 0x1ffff, ACKNOWLEDGE_DONE = 8, ABORT = 2, DONE = 1u << 10 };

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

static void transfer(core_t *core, uint32_t description) {
    dma_t *dma = &core->dma;
    uint32_t length = description & LENGTH;
    bool out = description & TO_SYSTEM;
    uint8_t *tcm = core_memory(core, dma->tcm_address, length);
    uint8_t *system = chip_memory(core->chip, dma->system_address, length);
    dma->description = description;
    if (tcm && system) {
        memcpy(out ? system : tcm, out ? tcm : system, length);
        if (!out && dma->tcm_address < ITCM_SIZE)
            cpu_invalidate(&core->cpu, dma->tcm_address, length);
    } else if (tcm && chip_is_register(dma->system_address)) {
        copy_registers(core, tcm, dma->system_address, length, out);
    }
    dma->bytes += length;
    dma->completions++;
    update(core);
}

/* Whether the transfer that has been set up stays in the core's memory and SDRAM. */
bool dma_is_private(const core_t *core) { return core->dma.system_address >> 29 == 3; }

uint32_t dma_read(core_t *core, uint32_t offset) {
    dma_t *dma = &core->dma;
    switch (offset) {
    case 0x04: return dma->system_address;
    case 0x08: return dma->tcm_address;
    case 0x0c: return dma->description;
    case 0x14: return (uint32_t)core->id << 24 | (dma->completions ? DONE : 0);
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
            dma->completions = 0;
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
