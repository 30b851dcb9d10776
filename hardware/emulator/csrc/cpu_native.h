/* Translated code: how cpu.c enters it, what it calls, how it comes back.
 *
 * A translation is made from one image by the Python package `translator` and shared by all cores
 * that run it. It is position-independent machine code, some places of which are entries: there
 * the decoder makes records whose handler calls
 *
 *     cpu_native_result_t code(cpu_t *cpu, int64_t left, uint32_t depth, uint32_t entry)
 *
 * `left` is what is left of the budget, `depth` how many translated functions have called each
 * other. Registers are in cpu->r and flags in cpu->n, z, c and v before and after; in between they
 * live in the host's. The code counts instructions, compares the budget and sees to interrupts
 * where cpu.c does, so that leaving it earlier or later, or not entering it, changes nothing.
 *
 * A translation depends on some words of its image, code and constants. When one of them changes
 * in a core's ITCM, that core gives the translation up.
 */
#ifndef SPIKINGCONVNET_CPU_NATIVE_H
#define SPIKINGCONVNET_CPU_NATIVE_H

#include <stddef.h>

#include "cpu_ops.h"

/* Why translated code has come back; `where` is this << 32 | address of an instruction | Thumb. */
enum native_exit {
    NATIVE_GO_ON,  /* go on there, without a look at the budget */
    NATIVE_JUMP,   /* a jump there has been taken */
    NATIVE_ATTEND, /* the instruction before it may have made an interrupt deliverable */
    NATIVE_ABORT,  /* its access was aborted or put off; it has changed nothing else */
    NATIVE_WAIT,   /* the instruction before it was wait-for-interrupt */
    NATIVE_RETURN, /* return there from an exception */
    NATIVE_LEFT,   /* as GO_ON: the translation has been given up */
};

typedef struct {
    int64_t left;
    uint64_t where;
} cpu_native_result_t;

typedef cpu_native_result_t (*cpu_native_fn)(cpu_t *, int64_t left, uint32_t depth, uint32_t entry);

/* An entry: the number of its record (cpu_ops.h), and what to call. */
typedef struct {
    uint32_t record, offset, entry;
} cpu_native_entry_t;

/* Make a translation of `entries` sorted by record; `needs` has a bit for each word of `image`
 * that it depends on. Null when memory that can be executed is refused. */
const cpu_native_t *cpu_native_new(const uint8_t *code, size_t size,
                                   const cpu_native_entry_t *entries, uint32_t count,
                                   const uint8_t *needs,
                                   const uint8_t *image);
void cpu_native_free(const cpu_native_t *);

/* Use a translation from now on; -1 when the core's ITCM is not what it was made from. Not from a
 * callback. */
int cpu_native_use(cpu_t *, const cpu_native_t *);

/* For cpu.c. */
void cpu_native_init(cpu_t *);
int cpu_native_fits(const cpu_native_t *, const uint8_t *itcm, uint32_t offset, uint32_t length);
int cpu_native_find(const cpu_native_t *, uint32_t record, record_t *into);
void cpu_move_to_status(cpu_t *, uint32_t value, int fields, int spsr);
uint32_t cpu_saved_status(const cpu_t *);

#endif
