/* Memory access of a core by way of its owner, where the inline paths of cpu.c and of translated
 * code do not reach: ITCM, system RAM, peripherals, what is not aligned. */
#include <string.h>

#include "cpu_ops.h"

static void note_abort(cpu_t *cpu, uint32_t address) {
    if (cpu->aborted != CPU_ABORTED) return;
    cpu->aborted = CPU_NOTED;
    cpu->fault_address = address;
}

/* Whether an access is refused because it is not aligned: that is a data abort. LDRD and STRD are
 * two words. */
static int refuses(cpu_t *cpu, uint32_t address, int size) {
    if (!(address & (uint32_t)(size - 1)) || !(cpu->control & CPU_CONTROL_ALIGNED)) return 0;
    cpu_abort(cpu);
    note_abort(cpu, address);
    return 1;
}

uint32_t cpu_load(cpu_t *cpu, uint32_t address, int size) {
    if (refuses(cpu, address, size)) return 0;
    uint32_t aligned = address & ~(uint32_t)(size - 1), value = 0;
    const uint8_t *at = cpu_ram(cpu, aligned);
    if (at)
        memcpy(&value, at, (size_t)size);
    else
        value = cpu->read(cpu, aligned, size);
    note_abort(cpu, address);
    return size == 4 ? cpu_rotate(value, 8 * (address & 3)) : value;
}

void cpu_store(cpu_t *cpu, uint32_t address, uint32_t value, int size) {
    if (refuses(cpu, address, size)) return;
    uint32_t aligned = address & ~(uint32_t)(size - 1);
    uint8_t *at = cpu_ram(cpu, aligned);
    if (size < 4) value &= (1u << 8 * size) - 1;
    if (at)
        memcpy(at, &value, (size_t)size);
    else
        cpu->write(cpu, aligned, value, size);
    if (aligned < CPU_ITCM_SIZE) cpu_invalidate(cpu, aligned, (uint32_t)size);
    note_abort(cpu, address);
}

/* LDM and STM by way of an array; a load that aborts leaves the array to be ignored. */
void cpu_load_block(cpu_t *cpu, uint32_t address, int words, uint32_t *values) {
    if (refuses(cpu, address, 4)) return;
    address &= ~3u;
    const uint8_t *at = cpu_block(cpu, address, (uint32_t)words);
    if (at)
        memcpy(values, at, 4 * (size_t)words);
    else
        for (int i = 0; i < words && !cpu->aborted; i++)
            values[i] = cpu_load(cpu, address + 4 * (uint32_t)i, 4);
}

void cpu_store_block(cpu_t *cpu, uint32_t address, int words, const uint32_t *values) {
    if (refuses(cpu, address, 4)) return;
    address &= ~3u;
    uint8_t *at = cpu_block(cpu, address, (uint32_t)words);
    if (at)
        memcpy(at, values, 4 * (size_t)words);
    else
        for (int i = 0; i < words && !cpu->aborted; i++)
            cpu_store(cpu, address + 4 * (uint32_t)i, values[i], 4);
}
