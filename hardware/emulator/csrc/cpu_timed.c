/* The interpreter of cpu.c once more, as cpu_run_timed: it also counts what instructions take beyond
 * one cycle. Cycles are those of the ARM9E-S Technical Reference Manual (instruction cycle timings):
 * a taken branch takes 3, a block transfer one a word, a multiplication 2, a long one 3, and 2 more
 * when it sets flags. A load from SDRAM waits for 100 ns (S. Temple, "SpiNNaker Chip Resources",
 * SpiNNaker Workshop 2015); stores go by way of a buffer. Not counted: interlocks after loads, and
 * waiting for registers and system RAM.
 */
#include "cpu.h"

#define CPU_TIMED
enum { TIMED = 1 };
#define cpu_run cpu_run_timed
#define COSTS(cycles)                                                                              \
    do {                                                                                           \
        uint32_t beyond = (uint32_t)(cycles);                                                      \
        end -= (intptr_t)(beyond * sizeof(record_t));                                              \
        cpu->stalls += beyond;                                                                     \
    } while (0)

#include "cpu.c"
