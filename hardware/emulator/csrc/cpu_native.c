/* Translations: where they are kept, and what their code calls (see cpu_native.h). */
#include "cpu_native.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct cpu_native {
    uint8_t *code;
    size_t size;
    cpu_native_entry_t *entries;
    uint32_t count;
    uint8_t needs[CPU_ITCM_SIZE / 32], image[CPU_ITCM_SIZE];
};

/* ---- keeping ---- */

static uint8_t *executable(const uint8_t *code, size_t size) {
    uint8_t *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 0;
    memcpy(at, code, size);
    if (mprotect(at, size, PROT_READ | PROT_EXEC)) {
        munmap(at, size);
        return 0;
    }
    __builtin___clear_cache((char *)at, (char *)at + size);
    return at;
}

const cpu_native_t *cpu_native_new(const uint8_t *code, size_t size,
                                   const cpu_native_entry_t *entries, uint32_t count,
                                   const uint8_t *needs, const uint8_t *image) {
    cpu_native_t *native = calloc(1, sizeof *native);
    if (!native) return 0;
    native->code = executable(code, size);
    native->size = size;
    native->entries = malloc(count * sizeof *entries);
    native->count = count;
    if (!native->code || !native->entries) {
        cpu_native_free(native);
        return 0;
    }
    memcpy(native->entries, entries, count * sizeof *entries);
    memcpy(native->needs, needs, sizeof native->needs);
    memcpy(native->image, image, sizeof native->image);
    return native;
}

void cpu_native_free(const cpu_native_t *native) {
    if (native->code) munmap(native->code, native->size);
    free(native->entries);
    free((void *)native);
}

int cpu_native_fits(const cpu_native_t *native, const uint8_t *itcm, uint32_t offset,
                    uint32_t length) {
    uint32_t end = length > CPU_ITCM_SIZE - offset ? CPU_ITCM_SIZE : offset + length;
    for (uint32_t word = offset / 4; 4 * word < end; word++)
        if (native->needs[word / 8] >> word % 8 & 1 &&
            memcmp(itcm + 4 * word, native->image + 4 * word, 4))
            return 0;
    return 1;
}

int cpu_native_use(cpu_t *cpu, const cpu_native_t *native) {
    if (!cpu_native_fits(native, cpu->itcm, 0, CPU_ITCM_SIZE)) return -1;
    cpu->native = native;
    cpu->native_code = native->code;
    cpu_invalidate(cpu, 0, CPU_ITCM_SIZE);
    return 0;
}

/* ---- entering ---- */

static int compare(const void *record, const void *entry) {
    uint32_t a = *(const uint32_t *)record, b = ((const cpu_native_entry_t *)entry)->record;
    return (a > b) - (a < b);
}

int cpu_native_find(const cpu_native_t *native, uint32_t record, record_t *into) {
    const cpu_native_entry_t *entry =
        bsearch(&record, native->entries, native->count, sizeof *entry, compare);
    if (!entry) return 0;
    into->imm = entry->offset;
    into->second = (int32_t)entry->entry;
    return 1;
}

/* ---- what translated code calls ---- */

/* `where` is the address of the instruction, and from bit 16 on the size of the access in bytes,
 * or in words; `left` counts it as not yet executed. They answer with a native_exit: GO_ON, or why
 * translated code must be left, after the instruction or (ABORT) before it; native_load does so in
 * the upper half of its result. */

static void publish(cpu_t *cpu, uint32_t where, int64_t left) {
    cpu->instructions = cpu->finish - (uint64_t)left;
    cpu->r[15] = where & 0xffff;
}

static uint32_t answer(cpu_t *cpu) {
    if (cpu->aborted) return NATIVE_ABORT;
    if (cpu_attention(cpu)) return NATIVE_ATTEND;
    return cpu->left_native ? NATIVE_LEFT : NATIVE_GO_ON;
}

static uint64_t native_load(cpu_t *cpu, uint32_t address, uint32_t where, int64_t left) {
    publish(cpu, where, left);
    uint32_t value = cpu_load(cpu, address, (int)(where >> 16));
    return (uint64_t)answer(cpu) << 32 | value;
}

static uint32_t native_store(cpu_t *cpu, uint32_t address, uint32_t value, uint32_t where,
                             int64_t left) {
    publish(cpu, where, left);
    cpu_store(cpu, address, value, (int)(where >> 16));
    return answer(cpu);
}

static uint32_t native_load_block(cpu_t *cpu, uint32_t address, uint32_t where, int64_t left,
                                  uint32_t *values) {
    publish(cpu, where, left);
    cpu_load_block(cpu, address, (int)(where >> 16), values);
    return answer(cpu);
}

static uint32_t native_store_block(cpu_t *cpu, uint32_t address, uint32_t where, int64_t left,
                                   const uint32_t *values) {
    publish(cpu, where, left);
    cpu_store_block(cpu, address, (int)(where >> 16), values);
    return answer(cpu);
}

/* MSR: `fields` as in the instruction, and 16 for SPSR. Registers are in cpu->r. */
static uint32_t native_write_status(cpu_t *cpu, uint32_t value, uint32_t fields) {
    cpu_move_to_status(cpu, value, (int)fields & 15, fields >= 16);
    if (fields < 16 && fields & 8) {
        cpu->n = value & FLAG_N;
        cpu->z = ~value & FLAG_Z;
        cpu->c = value >> 29 & 1;
        cpu->v = value << 3;
    }
    return answer(cpu);
}

static uint32_t native_read_saved(cpu_t *cpu) { return cpu_saved_status(cpu); }

void cpu_native_init(cpu_t *cpu) {
    cpu->native_load = native_load;
    cpu->native_store = native_store;
    cpu->native_load_block = native_load_block;
    cpu->native_store_block = native_store_block;
    cpu->native_write_status = native_write_status;
    cpu->native_read_saved = native_read_saved;
}
