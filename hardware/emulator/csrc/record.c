/* Recording what cores execute, for tests that execute it again elsewhere (tests/hardware).
 *
 * A file of segments, each one cpu_run of a recorded core, in little-endian words:
 *
 *   "SEGM", core, isolated, budget, STATE          at the start
 *   "PAGE", address, 4096 bytes                    memory that has changed since the last segment
 *   "READ" or "WRIT", address, value, size, pc, instructions, irq, fiq, stop, aborted
 *                                                  what the core has asked its owner for; the last
 *                                                  four are how things stand afterwards
 *   "DATA", address, length, bytes                 memory that this has changed: a transfer
 *   "TAKE", link                                   an interrupt has been taken
 *   "DONE", result, STATE                          at the end
 *   "PAGE", address, 4096 bytes                    memory that the segment has changed
 *   "ENDS"
 *
 * STATE: r[16], cpsr, irq, fiq, stop, r13[6], r14[6], usr[5], fiq[5], spsr[6], instructions.
 * Only for boards with one thread: others may write to a chip's memory meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board.h"

enum { PAGE = 4096 };

struct recorder {
    FILE *file;
    uint32_t segments; /* still to be recorded */
    uint8_t itcm[ITCM_SIZE], dtcm[DTCM_SIZE], sysram[SYSRAM_SIZE], *sdram; /* as last seen */
};

static void put(recorder_t *recorder, const char *kind, const uint32_t *words, size_t count) {
    fwrite(kind, 1, 4, recorder->file);
    fwrite(words, 4, count, recorder->file);
}

static void put_state(recorder_t *recorder, const cpu_t *cpu) {
    uint32_t lines[3] = {cpu->irq, cpu->fiq, cpu->stop};
    fwrite(cpu->r, 4, 16, recorder->file);
    fwrite(&cpu->cpsr, 4, 1, recorder->file);
    fwrite(lines, 4, 3, recorder->file);
    fwrite(cpu->bank_r13, 4, CPU_BANKS, recorder->file);
    fwrite(cpu->bank_r14, 4, CPU_BANKS, recorder->file);
    fwrite(cpu->bank_usr, 4, 5, recorder->file);
    fwrite(cpu->bank_fiq, 4, 5, recorder->file);
    fwrite(cpu->spsr, 4, CPU_BANKS, recorder->file);
    fwrite(&cpu->instructions, 4, 1, recorder->file);
}

static void put_page(recorder_t *recorder, uint32_t address, const uint8_t *now, uint8_t *seen) {
    if (memcmp(now, seen, PAGE) == 0)
        return;
    put(recorder, "PAGE", &address, 1);
    fwrite(now, 1, PAGE, recorder->file);
    memcpy(seen, now, PAGE);
}

static void put_pages(recorder_t *recorder, uint32_t address, const uint8_t *now, uint8_t *seen,
                      uint32_t size) {
    for (uint32_t i = 0; i < size; i += PAGE)
        put_page(recorder, address + i, now + i, seen + i);
}

/* Pages of SDRAM that were never touched are not touched here either. */
static void put_sdram(recorder_t *recorder, uint8_t *sdram, uint32_t size) {
    long page = sysconf(_SC_PAGESIZE);
    unsigned char *touched = malloc(size / page);
    if (touched && mincore(sdram, size, (void *)touched) == 0)
        for (uint32_t i = 0; i < size / page; i++)
            if (touched[i] & 1)
                put_pages(recorder, 0x60000000u + i * page, sdram + i * page,
                          recorder->sdram + i * page, page);
    free(touched);
}

static void put_memory(recorder_t *recorder, core_t *core) {
    put_pages(recorder, 0, core->cpu.itcm, recorder->itcm, ITCM_SIZE);
    put_pages(recorder, DTCM_BASE, core->cpu.dtcm, recorder->dtcm, DTCM_SIZE);
    put_pages(recorder, 0xe5000000u, core->chip->sysram, recorder->sysram, SYSRAM_SIZE);
    put_sdram(recorder, core->chip->sdram, core->chip->board->sdram_size);
}

static void put_access(core_t *core, const char *kind, uint32_t address, uint32_t value, int size) {
    cpu_t *cpu = &core->cpu;
    uint32_t words[] = {address, value, (uint32_t)size, cpu->r[15], (uint32_t)cpu->instructions,
                        cpu->irq, cpu->fiq, cpu->stop, cpu->aborted};
    put(core->recorder, kind, words, sizeof words / 4);
}

/* What a transfer has written. */
static void put_transfer(core_t *core) {
    const dma_t *dma = &core->dma;
    uint32_t length = dma->description & 0x1ffff, out = dma->description >> 19 & 1;
    uint32_t address = out ? dma->system_address : dma->tcm_address;
    const uint8_t *at = out ? chip_memory(core->chip, address, length)
                            : core_memory(core, address, length);
    if (!at)
        return;
    put(core->recorder, "DATA", (uint32_t[]){address, length}, 2);
    fwrite(at, 1, length, core->recorder->file);
}

static uint32_t read_and_record(cpu_t *cpu, uint32_t address, int size) {
    uint32_t value = core_bus_read(cpu, address, size);
    put_access(cpu->owner, "READ", address, value, size);
    return value;
}

static void write_and_record(cpu_t *cpu, uint32_t address, uint32_t value, int size) {
    core_t *core = cpu->owner;
    uint64_t bytes = core->dma.bytes;
    core_bus_write(cpu, address, value, size);
    put_access(core, "WRIT", address, value, size);
    if (core->dma.awaited)
        dma_fetch(core);
    if (core->dma.bytes != bytes)
        put_transfer(core);
}

static void record_taken(cpu_t *cpu, uint32_t link) {
    put(((core_t *)cpu->owner)->recorder, "TAKE", &link, 1);
}

int record_run(core_t *core, uint64_t budget) {
    recorder_t *recorder = core->recorder;
    cpu_t *cpu = &core->cpu;
    if (!recorder->segments)
        return cpu_run(cpu, budget);
    recorder->segments--;
    put(recorder, "SEGM", (uint32_t[]){core->index, cpu->isolated, (uint32_t)budget}, 3);
    put_state(recorder, cpu);
    put_memory(recorder, core);
    cpu->read = read_and_record;
    cpu->write = write_and_record;
    cpu->taken = record_taken;
    uint32_t result = (uint32_t)cpu_run(cpu, budget);
    cpu->read = core_bus_read;
    cpu->write = core_bus_write;
    cpu->taken = NULL;
    put(recorder, "DONE", &result, 1);
    put_state(recorder, cpu);
    put_memory(recorder, core);
    fwrite("ENDS", 1, 4, recorder->file);
    fflush(recorder->file);
    return (int)result;
}

/* Record the next so many segments of a core into a file of its own; -1 when that cannot be. */
int record_core(core_t *core, const char *path, uint32_t segments) {
    record_end(core);
    recorder_t *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return -1;
    recorder->segments = segments;
    recorder->file = fopen(path, "wb");
    recorder->sdram = mmap(NULL, core->chip->board->sdram_size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    core->recorder = recorder;
    if (recorder->file && recorder->sdram != MAP_FAILED)
        return 0;
    record_end(core);
    return -1;
}

void record_end(core_t *core) {
    recorder_t *recorder = core->recorder;
    core->recorder = NULL;
    if (!recorder)
        return;
    if (recorder->file)
        fclose(recorder->file);
    if (recorder->sdram != MAP_FAILED)
        munmap(recorder->sdram, core->chip->board->sdram_size);
    free(recorder);
}
