/* What the decoder (cpu_decode.c) and the interpreter (cpu.c) share: the decoded record and the
 * list of operations.
 *
 * A record describes one instruction at one address.  `handler` and `second` leave the decoder as
 * operation numbers; the interpreter replaces them by distances from its "not decoded" handler, so
 * that zeroed memory means not decoded and nothing in a record depends on where it lies.  Thumb
 * instructions become the records of the ARM instructions that do the same.
 *
 * Fields by kind of operation (see the decoder for the rest):
 *   data processing  rd, rn; IMM: imm, and carry = (carry & rm) | rs; REG: rm; LSL, LSR, ASR: rm
 *                    by rs (1-31); ANY: rm by what imm packs (SHIFT_*)
 *   transfers        rd, rn; IMM, PRE, POST: imm (signed); REG: rm << rs; ANY: rs = MODE_* and imm,
 *                    or rm by imm
 *   LDM, STM         rn, imm = register list, rd = its length, rs = first address - base and
 *                    rm = new base - base, in signed words
 *   MRC              rn: of the control register; else imm is the value
 *   near branches    imm = distance in bytes from the following record; BL: second = return address
 */
#ifndef SPIKINGCONVNET_CPU_OPS_H
#define SPIKINGCONVNET_CPU_OPS_H

#include "cpu.h"

typedef struct cpu_record {
    int32_t handler;
    uint8_t rd, rn, rm, rs;
    uint32_t imm;
    int32_t second; /* what a prefix goes on to */
} record_t;

/* One record a word and one a half-word of ITCM, each row followed by one that leaves ITCM; two for
 * code elsewhere. */
enum {
    ARM_RECORDS = CPU_ITCM_SIZE / 4,
    THUMB_RECORDS = CPU_ITCM_SIZE / 2,
    FIRST_THUMB = ARM_RECORDS + 1,
    FIRST_OUTSIDE = FIRST_THUMB + THUMB_RECORDS + 1,
    ALL_RECORDS = FIRST_OUTSIDE + 2,
};

enum { FLAG_N = 1u << 31, FLAG_Z = 1 << 30, FLAG_C = 1 << 29, FLAG_V = 1 << 28, FLAG_Q = 1 << 27 };
enum { FLAG_I = 0x80, FLAG_F = 0x40, FLAG_T = 0x20, MODE_BITS = 0x1f };
enum { SHIFT_LSL, SHIFT_LSR, SHIFT_ASR, SHIFT_ROR, SHIFT_RRX, SHIFT_BY_REGISTER = 8 };
enum { SHIFT_AMOUNT = 8 }; /* from this bit on: the amount, or whose register it is */
enum { MODE_PRE = 1, MODE_WRITEBACK = 2, MODE_REGISTER = 4, MODE_SUBTRACT = 8 };

#define EACH_CONDITION(X, p) \
    X(p##EQ) X(p##NE) X(p##CS) X(p##CC) X(p##MI) X(p##PL) X(p##VS) \
    X(p##VC) X(p##HI) X(p##LS) X(p##GE) X(p##LT) X(p##GT) X(p##LE)
#define EACH_OPERAND(X, p) X(p##_IMM) X(p##_REG) X(p##_LSL) X(p##_LSR) X(p##_ASR) X(p##_ANY)
#define EACH_MODE(X, p) X(p##_IMM) X(p##_REG) X(p##_PRE) X(p##_POST) X(p##_ANY)

/* The order within a line, and of operands and modes, is used by the decoder. */
#define EACH_OPERATION(X) \
    X(DECODE) \
    EACH_CONDITION(X, IF_) X(PC8) X(PC12) /* prefixes */ \
    EACH_CONDITION(X, B_) X(B_AL) X(BL) X(BL_PAIR) X(B_FAR) X(BL_FAR) \
    X(BL_FIRST) X(BL_SECOND) X(BX) X(BLX) \
    EACH_OPERAND(X, AND) EACH_OPERAND(X, ANDS) EACH_OPERAND(X, EOR) EACH_OPERAND(X, EORS) \
    EACH_OPERAND(X, SUB) EACH_OPERAND(X, SUBS) EACH_OPERAND(X, RSB) EACH_OPERAND(X, RSBS) \
    EACH_OPERAND(X, ADD) EACH_OPERAND(X, ADDS) EACH_OPERAND(X, ADC) EACH_OPERAND(X, ADCS) \
    EACH_OPERAND(X, SBC) EACH_OPERAND(X, SBCS) EACH_OPERAND(X, RSC) EACH_OPERAND(X, RSCS) \
    EACH_OPERAND(X, TST) EACH_OPERAND(X, TEQ) EACH_OPERAND(X, CMP) EACH_OPERAND(X, CMN) \
    EACH_OPERAND(X, ORR) EACH_OPERAND(X, ORRS) EACH_OPERAND(X, MOV) EACH_OPERAND(X, MOVS) \
    EACH_OPERAND(X, BIC) EACH_OPERAND(X, BICS) EACH_OPERAND(X, MVN) EACH_OPERAND(X, MVNS) \
    X(ALU_PC) \
    EACH_MODE(X, LDR) EACH_MODE(X, LDRB) EACH_MODE(X, LDRH) EACH_MODE(X, LDRSB) \
    EACH_MODE(X, LDRSH) EACH_MODE(X, STR) EACH_MODE(X, STRB) EACH_MODE(X, STRH) \
    X(LDRD) X(STRD) X(LDR_LITERAL) X(LDR_PC) X(SWP) X(SWPB) \
    X(LDM) X(STM) X(LDM_PC) X(LDM_USER) X(STM_USER) X(LDM_RETURN) \
    X(MUL) X(MULS) X(MLA) X(MLAS) X(UMULL) X(UMLAL) X(SMULL) X(SMLAL) \
    X(SMLAxy) X(SMLAWy) X(SMULWy) X(SMLALxy) X(SMULxy) X(QADD) X(QSUB) X(QDADD) X(QDSUB) X(CLZ) \
    X(MRS) X(MSR) X(MRC) X(MCR) X(WAIT) X(NOP) X(SWI) X(BKPT) X(UNDEFINED) X(OUTSIDE) \
    X(NATIVE)

#define OPERATION_NUMBER(name) OP_##name,
enum operation { EACH_OPERATION(OPERATION_NUMBER) OPERATIONS };

/* RAM that holds `address`, or null. */
static inline uint8_t *cpu_ram(const cpu_t *cpu, uint32_t address) {
    if (address < CPU_ITCM_SIZE) return cpu->itcm + address;
    if (address - 0x400000u < CPU_DTCM_SIZE) return cpu->dtcm + (address - 0x400000u);
    if ((address & 0xe8000000u) == 0x60000000u)
        return cpu->sdram + (address & (CPU_SDRAM_SIZE - 1));
    if ((address & 0xefff8000u) == 0xe5000000u)
        return cpu->sysram + (address & (CPU_SYSRAM_SIZE - 1));
    return 0;
}

/* Memory by way of the owner where it must be (cpu_memory.c). If the control register says so, what
 * is not aligned is a data abort; else a word comes rotated, half-words and blocks lose their lowest
 * bits. Look at cpu->aborted and cpu_attention afterwards. */
enum { CPU_ABORTED = 1, CPU_NOTED, CPU_PUT_OFF }; /* cpu->aborted: what has become of an access */
uint32_t cpu_load(cpu_t *cpu, uint32_t address, int size);
void cpu_store(cpu_t *cpu, uint32_t address, uint32_t value, int size);
void cpu_load_block(cpu_t *cpu, uint32_t address, int words, uint32_t *values);
void cpu_store_block(cpu_t *cpu, uint32_t address, int words, const uint32_t *values);

static inline uint32_t cpu_rotate(uint32_t value, uint32_t by) {
    return by & 31 ? value >> (by & 31) | value << (32 - (by & 31)) : value;
}

/* `words` consecutive and aligned words of DTCM or SDRAM, or null. */
static inline uint8_t *cpu_block(const cpu_t *cpu, uint32_t address, uint32_t words) {
    uint32_t inside = address - 0x400000u; /* rotated, what is not aligned is large */
    if (cpu_rotate(inside, 2) <= CPU_DTCM_SIZE / 4 - words) return cpu->dtcm + inside;
    if ((address & 0xe8000003u) == 0x60000000u &&
        (address & (CPU_SDRAM_SIZE - 1)) <= CPU_SDRAM_SIZE - 64)
        return cpu->sdram + (address & (CPU_SDRAM_SIZE - 1));
    return 0;
}

/* Whether cpu_run has to see to an interrupt, or stop. */
static inline int cpu_attention(const cpu_t *cpu) {
    return cpu->stop || (cpu->fiq && !(cpu->cpsr & FLAG_F)) || (cpu->irq && !(cpu->cpsr & FLAG_I));
}

/* Decode the instruction at `address` (RAM; state as in CPSR) into `record`. */
void cpu_decode(const cpu_t *cpu, uint32_t address, record_t *record);

#endif
