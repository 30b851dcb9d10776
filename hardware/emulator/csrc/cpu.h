/* An ARM968E-S core (ARMv5TE, ARM and Thumb) as an interpreter: one object a core, nothing global.
 *
 * Rules of the interface:
 * - cpu_init() zeroes the object and allocates the decoded records.  The owner then sets the four
 *   memory pointers (all of them, at full size) and the two callbacks before it runs the core; it
 *   owns what they point to.
 * - Outside cpu_run() every field is complete: r[15] is the next instruction's address and cpsr
 *   holds the flags.  Inside a callback cpsr and `instructions` are complete too, r[15] is the
 *   address of the instruction that makes the access, and `instructions` counts those before it.
 *   A callback may set irq, fiq and stop, write to memory, and call cpu_abort() and
 *   cpu_invalidate(); it must change nothing else.
 * - Interrupt lines are levels.  They are looked at when cpu_run() starts, after every access that
 *   reached a callback, after every write of CPSR and after every exception return: nothing else
 *   can change the answer.
 * - Code may be translated to machine code of the host (cpu_native.c). Nothing that the owner can
 *   see depends on it, but that inside a callback the flags in cpsr may be old ones.
 * - The host is little-endian.
 */
#ifndef SPIKINGCONVNET_CPU_H
#define SPIKINGCONVNET_CPU_H

#include <stdint.h>

#define CPU_ITCM_SIZE 0x8000u     /* at 0x00000000 */
#define CPU_DTCM_SIZE 0x10000u    /* at 0x00400000 */
#define CPU_SDRAM_SIZE 0x8000000u /* at 0x60000000 and 0x70000000 */
#define CPU_SYSRAM_SIZE 0x8000u   /* at 0xe5000000 and 0xf5000000 */

typedef struct cpu cpu_t;
typedef struct cpu_native cpu_native_t;
typedef uint32_t (*cpu_read_fn)(cpu_t *, uint32_t address, int size);
typedef void (*cpu_write_fn)(cpu_t *, uint32_t address, uint32_t value, int size);

enum { CPU_BANKS = 6 }; /* user and system, FIQ, IRQ, supervisor, abort, undefined */

/* The control register, c1 of coprocessor 15: the bits that SARK's start-up code (sark_alib.s) gives
 * a meaning to, at the places that the ARM Architecture Reference Manual (DDI 0100) has for them.
 * ALIGNED: words and half-words that are not aligned are data aborts. */
enum {
    CPU_CONTROL_ALIGNED = 1 << 1,
    CPU_CONTROL_BITS = CPU_CONTROL_ALIGNED | 1 << 2 /* DTCM */ | 1 << 3 /* write buffer */ |
                       1 << 7 /* big-endian */ | 1 << 12 /* ITCM */ | 1 << 13 /* high vectors */ |
                       1 << 15 /* loads of r15 do not switch to Thumb */,
};

struct cpu {
    uint32_t r[16]; /* the current mode's */
    uint32_t cpsr;
    uint8_t irq, fiq; /* interrupt lines, 0 or not 0 */
    uint8_t stop;     /* asks cpu_run to return CPU_STOPPED after the instruction; that clears it */
    uint8_t aborted;  /* set by cpu_abort and cpu_defer */
    uint8_t isolated; /* for the owner alone: what its callbacks have to put off */
    uint32_t control; /* coprocessor 15's, CPU_CONTROL_*; of these only ALIGNED does something */
    uint8_t *itcm, *dtcm, *sdram, *sysram;
    uint64_t instructions; /* executed since cpu_init; a Thumb BL or BLX pair is two */
    uint64_t stalls; /* cycles beyond one an instruction: cpu_run_timed counts both as instructions */
    cpu_read_fn read; /* called for what is not RAM, with an aligned address and size 1, 2 or 4 */
    cpu_write_fn write;
    void (*taken)(cpu_t *, uint32_t link); /* if not null: an interrupt has been taken */
    void *owner;
    uint32_t bank_r13[CPU_BANKS], bank_r14[CPU_BANKS]; /* of the modes that are not current */
    uint32_t bank_usr[5], bank_fiq[5];                 /* r8-r12: one of the two is not current */
    uint32_t spsr[CPU_BANKS];                          /* [0] has no meaning */
    uint32_t fault_address, fault_instruction; /* of the last undefined instruction or abort */
    uint32_t outside_pc;                       /* of the instruction executed outside ITCM */
    struct cpu_record *records;                /* see cpu_ops.h */

    /* For translated code: see cpu_native.h. */
    const cpu_native_t *native; /* or null; the owner keeps it for longer than the core */
    const uint8_t *native_code; /* the first byte of its code */
    int32_t native_handler;     /* of records that are entries */
    uint8_t left_native;        /* `native` has been given up */
    uint32_t n, z, c, v;        /* the flags while translated code runs, as in cpu.c */
    uint64_t finish;            /* what `instructions` is when the budget is used up */
    uint64_t (*native_load)(cpu_t *, uint32_t address, uint32_t where, int64_t left);
    uint32_t (*native_store)(cpu_t *, uint32_t address, uint32_t value, uint32_t where,
                             int64_t left);
    uint32_t (*native_load_block)(cpu_t *, uint32_t address, uint32_t where, int64_t left,
                                  uint32_t *values);
    uint32_t (*native_store_block)(cpu_t *, uint32_t address, uint32_t where, int64_t left,
                                   const uint32_t *values);
    uint32_t (*native_write_status)(cpu_t *, uint32_t value, uint32_t fields);
    uint32_t (*native_read_saved)(cpu_t *);
};

enum cpu_exit {
    CPU_WAITING, /* executed wait-for-interrupt; r[15] is after it */
    CPU_BUDGET,  /* the budget is used up */
    CPU_STOPPED, /* the owner set stop */
    /* A fault in abort or undefined mode, that is inside a fault handler (elsewhere the exception
     * is taken): r[15] is the faulting instruction, fault_address and fault_instruction say more.
     */
    CPU_UNDEFINED,
    CPU_DATA_ABORT,
    CPU_PREFETCH_ABORT,
    CPU_DEFERRED, /* r[15] is an instruction that must not be executed yet */
};

int cpu_init(cpu_t *); /* 0, or -1 when memory is short */
void cpu_free(cpu_t *);

/* Start a program: clears registers (`control` too), banks, lines and decoded records; `instructions`
 * goes on. */
void cpu_reset(cpu_t *, uint32_t r0, uint32_t cpsr, uint32_t pc);

/* Run at most about `budget` instructions: it is compared at taken branches only.
 * Returns an enum cpu_exit. */
int cpu_run(cpu_t *, uint64_t budget);

/* The same in cycles, as cpu_timed.c estimates them. A core is run by one of the two, always. */
int cpu_run_timed(cpu_t *, uint64_t budget);

/* Tell the core that `length` bytes of ITCM at `offset` were changed from outside. */
void cpu_invalidate(cpu_t *, uint32_t offset, uint32_t length);

/* Write CPSR, swapping banked registers when the mode changes. Not from a callback. */
void cpu_set_cpsr(cpu_t *, uint32_t value);

/* From a callback only: the address does not answer, take the data abort exception. */
void cpu_abort(cpu_t *);

/* From a callback only: leave the instruction undone and return CPU_DEFERRED. */
void cpu_defer(cpu_t *);

#endif
