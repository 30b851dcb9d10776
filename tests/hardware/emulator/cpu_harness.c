/* A core with RAM and a scriptable stub of a peripheral, for the tests of cpu.c through ctypes. */
#include <stdlib.h>
#include <string.h>

#include "cpu_native.h"

enum { LOG = 64 };

typedef struct {
    cpu_t cpu;
    uint32_t read_value; /* what every read of the peripheral gives */
    uint32_t react_at;   /* an access to this address sets the lines and stop, or aborts */
    uint32_t react_irq, react_fiq, react_stop, react_abort;
    uint32_t accesses;
    uint32_t log[LOG][6]; /* address, value, size, instructions before it, CPSR, r15 */
} machine_t;

static void record(machine_t *m, uint32_t address, uint32_t value, int size)
{
    uint32_t *entry = m->log[m->accesses++ % LOG];
    entry[0] = address;
    entry[1] = value;
    entry[2] = (uint32_t)size;
    entry[3] = (uint32_t)m->cpu.instructions;
    entry[4] = m->cpu.cpsr;
    entry[5] = m->cpu.r[15];
    if (address != m->react_at) return;
    m->cpu.irq = (uint8_t)m->react_irq;
    m->cpu.fiq = (uint8_t)m->react_fiq;
    m->cpu.stop = (uint8_t)m->react_stop;
    if (m->react_abort) cpu_abort(&m->cpu);
}

static uint32_t read_stub(cpu_t *cpu, uint32_t address, int size)
{
    machine_t *m = cpu->owner;
    record(m, address, m->read_value, size);
    return m->read_value;
}

static void write_stub(cpu_t *cpu, uint32_t address, uint32_t value, int size)
{
    record(cpu->owner, address, value, size);
}

machine_t *machine_new(void)
{
    machine_t *m = calloc(1, sizeof *m);
    if (!m || cpu_init(&m->cpu)) abort();
    m->cpu.itcm = calloc(1, CPU_ITCM_SIZE);
    m->cpu.dtcm = calloc(1, CPU_DTCM_SIZE);
    m->cpu.sdram = calloc(1, CPU_SDRAM_SIZE);
    m->cpu.sysram = calloc(1, CPU_SYSRAM_SIZE);
    m->cpu.owner = m;
    m->cpu.read = read_stub;
    m->cpu.write = write_stub;
    m->react_at = 1;
    return m;
}

void machine_free(machine_t *m)
{
    free(m->cpu.itcm);
    free(m->cpu.dtcm);
    free(m->cpu.sdram);
    free(m->cpu.sysram);
    cpu_free(&m->cpu);
    free(m);
}

void machine_reset(machine_t *m, uint32_t r0, uint32_t cpsr, uint32_t pc) { cpu_reset(&m->cpu, r0, cpsr, pc); }

int machine_run(machine_t *m, uint64_t budget) { return cpu_run(&m->cpu, budget); }

uint64_t machine_instructions(const machine_t *m) { return m->cpu.instructions; }

/* r0-r15 and CPSR; the mode of CPSR decides whose registers they are. */
void machine_set(machine_t *m, const uint32_t *state)
{
    cpu_set_cpsr(&m->cpu, state[16]);
    memcpy(m->cpu.r, state, sizeof m->cpu.r);
}

void machine_get(const machine_t *m, uint32_t *state)
{
    memcpy(state, m->cpu.r, sizeof m->cpu.r);
    state[16] = m->cpu.cpsr;
}

void machine_cpsr(machine_t *m, uint32_t value) { cpu_set_cpsr(&m->cpu, value); }

void machine_lines(machine_t *m, uint32_t irq, uint32_t fiq, uint32_t stop)
{
    m->cpu.irq = (uint8_t)irq;
    m->cpu.fiq = (uint8_t)fiq;
    m->cpu.stop = (uint8_t)stop;
}

void machine_react(machine_t *m, uint32_t at, uint32_t value, uint32_t irq, uint32_t fiq, uint32_t stop, uint32_t abort)
{
    m->react_at = at;
    m->read_value = value;
    m->react_irq = irq;
    m->react_fiq = fiq;
    m->react_stop = stop;
    m->react_abort = abort;
}

void machine_faults(const machine_t *m, uint32_t *where)
{
    where[0] = m->cpu.fault_address;
    where[1] = m->cpu.fault_instruction;
}

/* Copies the last access; returns how many there were. */
uint32_t machine_access(const machine_t *m, uint32_t *entry)
{
    if (m->accesses) memcpy(entry, m->log[(m->accesses - 1) % LOG], sizeof m->log[0]);
    return m->accesses;
}

/* Memory access from outside; addresses of RAM only. */
static uint8_t *ram(machine_t *m, uint32_t address)
{
    if (address < CPU_ITCM_SIZE) return m->cpu.itcm + address;
    if (address - 0x400000u < CPU_DTCM_SIZE) return m->cpu.dtcm + (address - 0x400000u);
    if ((address & 0xe8000000u) == 0x60000000u) return m->cpu.sdram + (address & (CPU_SDRAM_SIZE - 1));
    return m->cpu.sysram + (address & (CPU_SYSRAM_SIZE - 1));
}

void machine_poke(machine_t *m, uint32_t address, const uint8_t *data, uint32_t length)
{
    memcpy(ram(m, address), data, length);
    if (address < CPU_ITCM_SIZE) cpu_invalidate(&m->cpu, address, length);
}

void machine_peek(machine_t *m, uint32_t address, uint8_t *data, uint32_t length)
{
    memcpy(data, ram(m, address), length);
}

/* ---- replaying recorded segments ---- */

/* The words of a state as csrc/record.c has them. */
static uint32_t *words_of(cpu_t *cpu, const uint32_t *state, uint32_t *out)
{
    struct { void *at; uint32_t count; } parts[] = {
        {cpu->r, 16}, {&cpu->cpsr, 1}, {0, 3}, {cpu->bank_r13, 6}, {cpu->bank_r14, 6},
        {cpu->bank_usr, 5}, {cpu->bank_fiq, 5}, {cpu->spsr, 6}};
    uint32_t at = 0;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; at += parts[i++].count) {
        if (!parts[i].at) continue;
        if (out) memcpy(out + at, parts[i].at, 4 * parts[i].count);
        else memcpy(parts[i].at, state + at, 4 * parts[i].count);
    }
    return out;
}

void machine_begin(machine_t *m, const uint32_t *state, uint32_t isolated, cpu_read_fn read, cpu_write_fn write)
{
    words_of(&m->cpu, state, 0);
    machine_lines(m, state[17], state[18], state[19]);
    m->cpu.instructions = state[48];
    m->cpu.isolated = (uint8_t)isolated;
    m->cpu.read = read;
    m->cpu.write = write;
}

void machine_end(machine_t *m, uint32_t *state)
{
    words_of(&m->cpu, 0, state);
    state[17] = m->cpu.irq;
    state[18] = m->cpu.fiq;
    state[19] = m->cpu.stop;
    state[48] = (uint32_t)m->cpu.instructions;
}

uint32_t machine_pc(const machine_t *m) { return m->cpu.r[15]; }

void machine_aborted(machine_t *m, uint32_t aborted) { m->cpu.aborted = (uint8_t)aborted; }

const void *machine_translation(const uint8_t *code, size_t size, const uint8_t *entries, uint32_t count,
                                const uint8_t *needs, const uint8_t *image)
{
    return cpu_native_new(code, size, (const cpu_native_entry_t *)entries, count, needs, image);
}

void machine_translation_free(const void *native) { cpu_native_free(native); }

int machine_use(machine_t *m, const void *native) { return cpu_native_use(&m->cpu, native); }

int machine_translated(const machine_t *m) { return m->cpu.native != 0; }
