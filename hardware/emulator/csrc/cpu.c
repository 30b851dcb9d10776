/* Interpreter of the ARM968E-S (ARMv5TE): execution, memory, exceptions.  cpu.h states the rules
 * towards the owner.
 *
 * How it is fast, and what that asks of every handler:
 * - Each word and half-word of ITCM is decoded once into a 16-byte record (cpu_ops.h); handlers
 *   are chained by computed gotos.  `ip` is the record being executed, the next one in memory the
 *   next instruction.
 * - Instructions are counted by `ip` itself: `end` is where ip would be after the budget if code
 *   were straight, so (end - ip) is what is left.  Whoever moves ip by other than one record moves
 *   `end` as much.  The budget is compared at taken branches only.
 * - Flags live in four locals: n (its bit 31), z (flag set when 0), c (0 or 1), v (its bit 31).
 *   PACK writes them to cpu->cpsr before anything that may look there; the rest of cpu->cpsr, mode
 *   and Q included, is always true.
 * - DTCM and SDRAM are reached inline by one aligned-and-inside test.  All else (ITCM, system RAM,
 *   peripherals, what is not aligned) goes through cpu_load and cpu_store, with `ip` and flags
 *   published first, and looks at interrupts, stop and abort afterwards.
 * - Base registers are written after the access, so that an aborted transfer leaves them alone.
 * - Code outside ITCM is decoded into a single record each time it is executed, followed by one
 *   that comes back.
 *
 * Past 600 lines: one function holds all handlers, as labels cannot be shared between functions;
 * the handlers themselves are tables of macros.
 */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

#include "cpu_native.h"
#include "cpu_ops.h"

/* What an instruction takes beyond one cycle: counted only by cpu_timed.c, which compiles cpu_run
 * once more by including this file, and runs no translated code, as that does not count. */
#ifndef CPU_TIMED
#define COSTS(cycles) ((void)0)
enum { TIMED = 0 };
#endif
enum { JUMP_COST = 2, SDRAM_COST = 20, LONG_COST = 2, FLAGS_COST = 2 };

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { MODE_USR = 0x10, MODE_ABT = 0x17, MODE_UND = 0x1b };
enum { BANK_USR, BANK_FIQ, BANK_IRQ, BANK_SVC, BANK_ABT, BANK_UND };
enum { STATUS_BITS = 0xf80000ffu }; /* of CPSR and SPSR that exist */

/* Exceptions: where they go, and what they set in CPSR besides clearing mode and Thumb. */
enum exception { UNDEFINED_TAKEN, SWI_TAKEN, PREFETCH_TAKEN, DATA_TAKEN, IRQ_TAKEN, FIQ_TAKEN };
static const struct {
    uint32_t vector, status;
} exceptions[] = {{0x04, 0x9b}, {0x08, 0x93}, {0x0c, 0x97},
                  {0x10, 0x97}, {0x18, 0x92}, {0x1c, 0xd1}};

/* ---- registers and modes ---- */

static int bank_of(uint32_t cpsr) {
    static const uint8_t banks[16] = {
        [1] = BANK_FIQ, [2] = BANK_IRQ, [3] = BANK_SVC, [7] = BANK_ABT, [11] = BANK_UND};
    return banks[cpsr & 15];
}

#ifndef CPU_TIMED
static void swap_bank(cpu_t *cpu, int from, int to) {
    cpu->bank_r13[from] = cpu->r[13];
    cpu->bank_r14[from] = cpu->r[14];
    cpu->r[13] = cpu->bank_r13[to];
    cpu->r[14] = cpu->bank_r14[to];
    if (from == BANK_FIQ || to == BANK_FIQ) {
        memcpy(from == BANK_FIQ ? cpu->bank_fiq : cpu->bank_usr, cpu->r + 8, sizeof cpu->bank_usr);
        memcpy(cpu->r + 8, to == BANK_FIQ ? cpu->bank_fiq : cpu->bank_usr, sizeof cpu->bank_usr);
    }
}

void cpu_set_cpsr(cpu_t *cpu, uint32_t value) {
    int from = bank_of(cpu->cpsr), to = bank_of(value);
    if (from != to) swap_bank(cpu, from, to);
    cpu->cpsr = (value & STATUS_BITS) | 0x10;
}
#endif

static uint32_t *user_register(cpu_t *cpu, int i) {
    int bank = bank_of(cpu->cpsr);
    if (bank != BANK_USR && i == 13) return &cpu->bank_r13[BANK_USR];
    if (bank != BANK_USR && i == 14) return &cpu->bank_r14[BANK_USR];
    return bank == BANK_FIQ && i >= 8 && i < 13 ? &cpu->bank_usr[i - 8] : &cpu->r[i];
}

/* Enter an exception; returns its vector. */
static uint32_t take(cpu_t *cpu, enum exception kind, uint32_t link) {
    uint32_t old = cpu->cpsr;
    cpu_set_cpsr(cpu, (old & ~(uint32_t)(FLAG_T | MODE_BITS)) | exceptions[kind].status);
    cpu->spsr[bank_of(cpu->cpsr)] = old;
    cpu->r[14] = link;
    return exceptions[kind].vector;
}

static uint32_t interrupt(cpu_t *cpu, enum exception kind, uint32_t link) {
    if (UNLIKELY(cpu->taken)) cpu->taken(cpu, link);
    return take(cpu, kind, link);
}

#ifndef CPU_TIMED
void cpu_move_to_status(cpu_t *cpu, uint32_t value, int fields, int spsr) {
    uint32_t mask = (fields & 8 ? 0xf8000000u : 0) | (fields & 1 ? 0xffu : 0);
    uint32_t *saved = &cpu->spsr[bank_of(cpu->cpsr)];
    if (spsr) {
        *saved = (*saved & ~mask) | (value & mask);
        return;
    }
    mask &= (cpu->cpsr & MODE_BITS) == MODE_USR ? 0xf8000000u : ~(uint32_t)FLAG_T;
    cpu_set_cpsr(cpu, (cpu->cpsr & ~mask) | (value & mask));
}

uint32_t cpu_saved_status(const cpu_t *cpu) { return cpu->spsr[bank_of(cpu->cpsr)]; }
#endif

/* ---- memory ---- */

static uint32_t fetch(const cpu_t *cpu, uint32_t address, int size) {
    const uint8_t *at = cpu_ram(cpu, address);
    uint32_t value = 0;
    if (at) memcpy(&value, at, (size_t)size);
    return value;
}

/* ---- arithmetic ---- */

/* The barrel shifter: result, and carry in bit 32. `amount` is 0-255, 0 leaves value and carry. */
static uint64_t shifted(uint32_t value, uint32_t type, uint32_t amount, uint32_t carry) {
    uint64_t wide = value;
    if (type == SHIFT_RRX) return (wide >> 1 | carry << 31) | (wide & 1) << 32;
    if (!amount) return wide | (uint64_t)carry << 32;
    switch (type) {
    case SHIFT_LSL: return amount <= 32 ? (wide << amount) & 0x1ffffffffu : 0;
    case SHIFT_LSR: return amount <= 32 ? wide >> amount | (wide >> (amount - 1) & 1) << 32 : 0;
    case SHIFT_ASR:
        if (amount > 32) amount = 32;
        wide = (uint64_t)(int64_t)(int32_t)value;
        return (uint32_t)((int64_t)wide >> amount) | (wide >> (amount - 1) & 1) << 32;
    default: value = cpu_rotate(value, amount); return value | (uint64_t)(value >> 31) << 32;
    }
}

static __attribute__((noinline)) uint64_t any_operand(const cpu_t *cpu, const record_t *ip,
                                                      uint32_t carry) {
    uint32_t amount = ip->imm >> SHIFT_AMOUNT;
    if (ip->imm & SHIFT_BY_REGISTER) amount = cpu->r[amount] & 0xff;
    return shifted(cpu->r[ip->rm], ip->imm & 7, amount, carry);
}

static uint32_t arithmetic(int opcode, uint32_t a, uint32_t b, uint32_t c) {
    switch (opcode) {
    case 0: return a & b;
    case 1: return a ^ b;
    case 2: return a - b;
    case 3: return b - a;
    case 4: return a + b;
    case 5: return a + b + c;
    case 6: return a - b - !c;
    case 7: return b - a - !c;
    case 12: return a | b;
    case 13: return b;
    case 14: return a & ~b;
    default: return ~b;
    }
}

static uint32_t saturate(cpu_t *cpu, int64_t value) {
    int64_t limited = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
    if (limited != value) cpu->cpsr |= FLAG_Q;
    return (uint32_t)limited;
}

/* A DSP multiply-accumulate wraps, and says so in Q. */
static uint32_t accumulate(cpu_t *cpu, int64_t product, uint32_t addend) {
    int64_t sum = product + (int32_t)addend;
    if (sum != (int32_t)sum) cpu->cpsr |= FLAG_Q;
    return (uint32_t)sum;
}

/* ---- records ---- */

static uint32_t address_of(const cpu_t *cpu, const record_t *ip) {
    uint32_t i = (uint32_t)(ip - cpu->records);
    if (i < FIRST_THUMB) return 4 * i;
    if (i < FIRST_OUTSIDE) return 2 * (i - FIRST_THUMB);
    return cpu->outside_pc + (i - FIRST_OUTSIDE) * (cpu->cpsr & FLAG_T ? 2 : 4);
}

#ifndef CPU_TIMED
/* Untouched pages of records stay untouched. */
static void forget(record_t *first, const record_t *last) {
    for (; first <= last; first++)
        if (first->handler) first->handler = 0;
}

void cpu_invalidate(cpu_t *cpu, uint32_t offset, uint32_t length) {
    uint32_t last;
    if (!length || offset >= CPU_ITCM_SIZE) return;
    if (cpu->native && !cpu_native_fits(cpu->native, cpu->itcm, offset, length)) {
        cpu->native = 0;
        cpu->left_native = 1;
        offset = 0;
        length = CPU_ITCM_SIZE;
    }
    last = length > CPU_ITCM_SIZE - offset ? CPU_ITCM_SIZE - 1 : offset + length - 1;
    forget(cpu->records + offset / 4, cpu->records + last / 4);
    /* the half-word before may be the first half of a call, decoded together with this one */
    forget(cpu->records + FIRST_THUMB + (offset < 2 ? 0 : offset / 2 - 1),
           cpu->records + FIRST_THUMB + last / 2);
}

int cpu_init(cpu_t *cpu) {
    memset(cpu, 0, sizeof *cpu);
    cpu->cpsr = 0xd3;
    cpu_native_init(cpu);
    cpu->records = calloc(ALL_RECORDS, sizeof *cpu->records);
    return cpu->records ? 0 : -1;
}

void cpu_free(cpu_t *cpu) {
    free(cpu->records);
    cpu->records = 0;
}

void cpu_reset(cpu_t *cpu, uint32_t r0, uint32_t cpsr, uint32_t pc) {
    memset(cpu->r, 0, sizeof cpu->r);
    memset(cpu->bank_r13, 0, sizeof cpu->bank_r13);
    memset(cpu->bank_r14, 0, sizeof cpu->bank_r14);
    memset(cpu->bank_usr, 0, sizeof cpu->bank_usr);
    memset(cpu->bank_fiq, 0, sizeof cpu->bank_fiq);
    memset(cpu->spsr, 0, sizeof cpu->spsr);
    cpu->irq = cpu->fiq = cpu->stop = cpu->aborted = 0;
    cpu->control = 0;
    cpu->fault_address = cpu->fault_instruction = 0;
    cpu->r[0] = r0;
    cpu->r[15] = pc;
    cpu->cpsr = (cpsr & STATUS_BITS) | 0x10;
    cpu->native = 0;
    cpu_invalidate(cpu, 0, CPU_ITCM_SIZE);
}

void cpu_abort(cpu_t *cpu) { cpu->aborted = CPU_ABORTED; }
void cpu_defer(cpu_t *cpu) { cpu->aborted = CPU_PUT_OFF; }
#endif

/* ---- execution ---- */

#define R(field) cpu->r[ip->field]
#define GOTO(distance) goto *(void *)((char *)&&L_DECODE + (distance))
#define DISPATCH GOTO(ip->handler)
#define NEXT do { ip++; DISPATCH; } while (0)
#define PACK \
    (cpu->cpsr = (cpu->cpsr & ~(FLAG_N | FLAG_Z | FLAG_C | FLAG_V)) | (n & FLAG_N) | \
                 (z ? 0 : FLAG_Z) | c << 29 | v >> 31 << 28)
#define FLAGS_FROM(word) \
    (n = (word) & FLAG_N, z = ~(word) & FLAG_Z, c = (word) >> 29 & 1, v = (word) << 3)
#define UNPACK FLAGS_FROM(cpu->cpsr)
#define LEFT ((int64_t)(end - (intptr_t)ip) / (int64_t)sizeof(record_t))
#define PUBLISH \
    (PACK, cpu->instructions = finish - (uint64_t)LEFT, cpu->r[15] = address_of(cpu, ip))
#define THUMB_STATE(on) (cpu->cpsr = (cpu->cpsr & ~(uint32_t)FLAG_T) | ((on) ? FLAG_T : 0))

/* Go to an address: in the current state, or in the state that bit 0 says. */
#define JUMP_TO(target) do { pc = (target); ip++; goto jump; } while (0)
#define EXCHANGE(target) do { pc = (target); ip++; goto exchange; } while (0)
/* After an access that may have reached a callback. */
#define CHECK_ABORT do { if (UNLIKELY(cpu->aborted)) goto data_abort; } while (0)
#define CHECK_LINES do { if (UNLIKELY(cpu_attention(cpu))) goto attend_after; } while (0)

#define CONDITION_EQ (z == 0)
#define CONDITION_NE (z != 0)
#define CONDITION_CS (c)
#define CONDITION_CC (!c)
#define CONDITION_MI ((int32_t)n < 0)
#define CONDITION_PL ((int32_t)n >= 0)
#define CONDITION_VS ((int32_t)v < 0)
#define CONDITION_VC ((int32_t)v >= 0)
#define CONDITION_HI (c && z)
#define CONDITION_LS (!c || !z)
#define CONDITION_GE ((int32_t)(n ^ v) >= 0)
#define CONDITION_LT ((int32_t)(n ^ v) < 0)
#define CONDITION_GT (z && (int32_t)(n ^ v) >= 0)
#define CONDITION_LE (!z || (int32_t)(n ^ v) < 0)

/* Second operand by form, and what it does to the carry in the logical instructions. */
#define OPERAND_IMM uint32_t b = ip->imm
#define OPERAND_REG uint32_t b = R(rm)
#define OPERAND_LSL uint32_t b = R(rm) << ip->rs
#define OPERAND_LSR uint32_t b = R(rm) >> ip->rs
#define OPERAND_ASR uint32_t b = (uint32_t)((int32_t)R(rm) >> ip->rs)
#define OPERAND_ANY uint64_t wide = any_operand(cpu, ip, c); uint32_t b = (uint32_t)wide
#define CARRY_IMM c = (c & ip->rm) | ip->rs
#define CARRY_REG (void)0
#define CARRY_LSL c = R(rm) >> (32 - ip->rs) & 1
#define CARRY_LSR c = R(rm) >> (ip->rs - 1) & 1
#define CARRY_ASR c = R(rm) >> (ip->rs - 1) & 1
#define CARRY_ANY c = (uint32_t)(wide >> 32)

#define EACH_FORM(X, ...) \
    X(IMM, __VA_ARGS__) X(REG, __VA_ARGS__) X(ANY, __VA_ARGS__) \
    X(LSL, __VA_ARGS__) X(LSR, __VA_ARGS__) X(ASR, __VA_ARGS__)

#define MOVE(form, name, value) \
    L_##name##_##form: { OPERAND_##form; R(rd) = value; NEXT; } \
    L_##name##S_##form: { OPERAND_##form; CARRY_##form; n = z = R(rd) = value; NEXT; }
#define LOGICAL(form, name, value) \
    L_##name##_##form: { uint32_t a = R(rn); OPERAND_##form; R(rd) = value; NEXT; } \
    L_##name##S_##form: { \
        uint32_t a = R(rn); OPERAND_##form; CARRY_##form; \
        n = z = R(rd) = value; NEXT; \
    }
#define LOGICAL_TEST(form, name, value) \
    L_##name##_##form: { uint32_t a = R(rn); OPERAND_##form; CARRY_##form; n = z = value; NEXT; }

/* Arithmetic: the result from a, b and c, then the carry, then overflow of a sum or difference. */
#define OVERFLOW_SUM(x, y) v = ~((x) ^ (y)) & ((x) ^ n)
#define OVERFLOW_DIFFERENCE(x, y) v = ((x) ^ (y)) & ((x) ^ n)
#define ARITHMETIC(form, name, value, carry, overflow) \
    L_##name##_##form: { uint32_t a = R(rn); OPERAND_##form; R(rd) = value; NEXT; } \
    L_##name##S_##form: { \
        uint32_t a = R(rn); OPERAND_##form; \
        n = z = value; carry; overflow; R(rd) = n; NEXT; \
    }
#define ARITHMETIC_TEST(form, name, value, carry, overflow) \
    L_##name##_##form: { uint32_t a = R(rn); OPERAND_##form; n = z = value; carry; overflow; NEXT; }

/* Address by form of transfer; `base` is the base register afterwards. */
#define ADDRESS_IMM uint32_t address = R(rn) + ip->imm
#define ADDRESS_REG uint32_t address = R(rn) + (R(rm) << ip->rs)
#define ADDRESS_PRE uint32_t address = R(rn) + ip->imm
#define ADDRESS_POST uint32_t address = R(rn)
#define ADDRESS_ANY \
    uint32_t start = R(rn); \
    uint32_t step = ip->rs & MODE_REGISTER ? (uint32_t)any_operand(cpu, ip, c) : ip->imm; \
    uint32_t moved = ip->rs & MODE_SUBTRACT ? start - step : start + step; \
    uint32_t address = ip->rs & MODE_PRE ? moved : start; \
    uint32_t after = (ip->rs & (MODE_PRE | MODE_WRITEBACK)) == MODE_PRE ? start : moved
#define REBASE_IMM (void)0
#define REBASE_REG (void)0
#define REBASE_PRE R(rn) += ip->imm
#define REBASE_POST R(rn) += ip->imm
#define REBASE_ANY R(rn) = after

#define EACH_ADDRESS(X, ...) \
    X(IMM, __VA_ARGS__) X(REG, __VA_ARGS__) X(ANY, __VA_ARGS__) \
    X(PRE, __VA_ARGS__) X(POST, __VA_ARGS__)

#define IN_DTCM(address, size) (((address) & (0xffff0000u | ((size) - 1))) == 0x00400000u)
#define IN_SDRAM(address, size) (((address) & (0xe8000000u | ((size) - 1))) == 0x60000000u)
#define TO_DTCM(address) (cpu->dtcm + ((address) & (CPU_DTCM_SIZE - 1)))
#define TO_SDRAM(address) (cpu->sdram + ((address) & (CPU_SDRAM_SIZE - 1)))

/* `type` is the C type in memory: it extends the sign by itself. */
#define LOAD(form, name, type, size) \
    L_##name##_##form: { \
        ADDRESS_##form; \
        type value; \
        if (LIKELY(IN_DTCM(address, size))) memcpy(&value, TO_DTCM(address), size); \
        else if (LIKELY(IN_SDRAM(address, size))) { \
            memcpy(&value, TO_SDRAM(address), size); \
            COSTS(SDRAM_COST); \
        } else { \
            PUBLISH; \
            value = (type)cpu_load(cpu, address, size); \
            CHECK_ABORT; \
            REBASE_##form; \
            R(rd) = (uint32_t)(int32_t)value; \
            CHECK_LINES; \
            NEXT; \
        } \
        REBASE_##form; \
        R(rd) = (uint32_t)(int32_t)value; \
        NEXT; \
    }
#define STORE(form, name, type, size) \
    L_##name##_##form: { \
        ADDRESS_##form; \
        type value = (type)(R(rd) + (STORES_PC_##form && ip->rd == 15 ? 4 : 0)); \
        if (LIKELY(IN_DTCM(address, size))) memcpy(TO_DTCM(address), &value, size); \
        else if (LIKELY(IN_SDRAM(address, size))) memcpy(TO_SDRAM(address), &value, size); \
        else { \
            PUBLISH; \
            cpu_store(cpu, address, value, size); \
            CHECK_ABORT; \
            REBASE_##form; \
            CHECK_LINES; \
            NEXT; \
        } \
        REBASE_##form; \
        NEXT; \
    }
#define STORES_PC_IMM 0
#define STORES_PC_REG 0
#define STORES_PC_PRE 0
#define STORES_PC_POST 0
#define STORES_PC_ANY 1

/* Registers of the list in ascending order with the word that belongs to each. */
#define FOR_LIST(i, at) \
    for (uint32_t list = ip->imm, at = 0, i; list && (i = (uint32_t)__builtin_ctz(list), 1); \
         at++, list &= list - 1)
#define BLOCK_ADDRESS (R(rn) + 4 * (uint32_t)(int8_t)ip->rs)
#define BLOCK_REBASE R(rn) += 4 * (uint32_t)(int8_t)ip->rm
#define LOAD_BLOCK \
    uint32_t values[16]; \
    PUBLISH; \
    cpu_load_block(cpu, BLOCK_ADDRESS, ip->rd, values); \
    CHECK_ABORT

#define LABEL_DISTANCE(name) (int32_t)((char *)&&L_##name - (char *)&&L_DECODE),
#define HALF(value, shift) (int16_t)((value) >> (shift))

int cpu_run(cpu_t *cpu, uint64_t budget) {
    static const int32_t distances[OPERATIONS] = {EACH_OPERATION(LABEL_DISTANCE)};
    uint32_t n, z, c, v, pc;
    record_t *ip = cpu->records + FIRST_OUTSIDE;
    intptr_t end;
    uint64_t finish;
    int result;

    if (budget > (uint64_t)1 << 56) budget = (uint64_t)1 << 56;
    end = (intptr_t)ip + (intptr_t)(budget * sizeof *ip);
    finish = cpu->finish = cpu->instructions + budget;
    cpu->native_handler = distances[OP_NATIVE];
    pc = cpu->r[15] & ~(cpu->cpsr & FLAG_T ? 1u : 3u);
    cpu->aborted = 0;
    UNPACK;
    goto attend;

    /* -- control -- */

attend_after: /* the current instruction is complete */
    ip++;
    pc = address_of(cpu, ip);
attend: /* pc: the next instruction; ip: the record after the last one executed */
    if (cpu->stop) {
        cpu->stop = 0;
        result = CPU_STOPPED;
        goto leave;
    }
    if (cpu->fiq && !(cpu->cpsr & FLAG_F)) {
        PACK;
        pc = interrupt(cpu, FIQ_TAKEN, pc + 4);
    } else if (cpu->irq && !(cpu->cpsr & FLAG_I)) {
        PACK;
        pc = interrupt(cpu, IRQ_TAKEN, pc + 4);
    }
    goto jump;

exchange:
    THUMB_STATE(pc & 1);
    pc &= pc & 1 ? ~1u : ~3u;
jump:
    COSTS(JUMP_COST);
    if (LIKELY(pc < CPU_ITCM_SIZE)) {
        record_t *target = cpu->records + (cpu->cpsr & FLAG_T ? FIRST_THUMB + pc / 2 : pc / 4);
        end += (intptr_t)target - (intptr_t)ip;
        ip = target;
        if (UNLIKELY((intptr_t)ip >= end)) goto budget_used;
        DISPATCH;
    }
    end += (intptr_t)(cpu->records + FIRST_OUTSIDE) - (intptr_t)ip;
    ip = cpu->records + FIRST_OUTSIDE;
    cpu->outside_pc = pc;
    if (UNLIKELY((intptr_t)ip >= end)) goto budget_used;
    if (UNLIKELY(!cpu_ram(cpu, pc))) goto prefetch_abort;
    ip[0].handler = 0;
    ip[1].handler = distances[OP_OUTSIDE];
    DISPATCH;

L_OUTSIDE: /* no instruction: sequential code left what was decoded, ITCM included */
    pc = address_of(cpu, ip);
    goto jump;

L_DECODE:
    pc = address_of(cpu, ip);
    if (UNLIKELY(pc == CPU_ITCM_SIZE)) goto jump;
    if (!TIMED && cpu->native && ip < cpu->records + FIRST_OUTSIDE &&
        cpu_native_find(cpu->native, (uint32_t)(ip - cpu->records), ip)) {
        ip->handler = distances[OP_NATIVE];
        DISPATCH;
    }
    cpu_decode(cpu, pc, ip);
    if (ip->handler >= OP_IF_EQ && ip->handler <= OP_IF_LE) ip->second = distances[ip->second];
    ip->handler = distances[ip->handler];
    DISPATCH;

L_NATIVE: { /* see cpu_native.h */
    cpu->n = n, cpu->z = z, cpu->c = c, cpu->v = v;
    cpu->left_native = 0;
    cpu_native_fn code = (cpu_native_fn)(uintptr_t)(cpu->native_code + ip->imm);
    cpu_native_result_t out = code(cpu, LEFT, 0, (uint32_t)ip->second);
    n = cpu->n, z = cpu->z, c = cpu->c, v = cpu->v;
    pc = (uint32_t)out.where & ~1u;
    ip = cpu->records;
    if (LIKELY(pc <= CPU_ITCM_SIZE))
        ip += out.where & 1 ? FIRST_THUMB + pc / 2 : pc / 4;
    end = (intptr_t)ip + out.left * (intptr_t)sizeof *ip;
    switch (out.where >> 32) {
    case NATIVE_JUMP: goto jump;
    case NATIVE_ATTEND: goto attend;
    case NATIVE_ABORT: goto data_abort;
    case NATIVE_WAIT: result = CPU_WAITING; goto leave;
    case NATIVE_RETURN: end += sizeof *ip; goto exception_return;
    default: DISPATCH;
    }
}

budget_used:
    pc = address_of(cpu, ip);
    result = CPU_BUDGET;
leave: /* pc: the next instruction; ip: the record after the last one executed */
    PUBLISH;
    cpu->r[15] = pc;
    return result;

data_abort:
    pc = address_of(cpu, ip);
    result = cpu->aborted == CPU_PUT_OFF ? CPU_DEFERRED : CPU_DATA_ABORT;
    cpu->aborted = 0;
    if (result == CPU_DEFERRED) goto leave;
    goto fault;
prefetch_abort:
    pc = address_of(cpu, ip);
    cpu->fault_address = pc;
    result = CPU_PREFETCH_ABORT;
    goto fault;
undefined:
    pc = address_of(cpu, ip);
    cpu->fault_address = pc;
    result = CPU_UNDEFINED;
fault: /* pc: the faulting instruction; counted as executed unless the core gives up */
    cpu->fault_instruction = fetch(cpu, pc, cpu->cpsr & FLAG_T ? 2 : 4);
    if ((cpu->cpsr & MODE_BITS) == MODE_ABT || (cpu->cpsr & MODE_BITS) == MODE_UND) goto leave;
    PACK;
    ip++;
    if (result == CPU_DATA_ABORT)
        pc = take(cpu, DATA_TAKEN, pc + 8);
    else if (result == CPU_PREFETCH_ABORT)
        pc = take(cpu, PREFETCH_TAKEN, pc + 4);
    else
        pc = take(cpu, UNDEFINED_TAKEN, pc + (cpu->cpsr & FLAG_T ? 2 : 4));
    goto attend;

L_UNDEFINED:
    goto undefined;
L_SWI:
    PACK;
    pc = take(cpu, SWI_TAKEN, address_of(cpu, ip + 1));
    ip++;
    goto attend;
L_BKPT:
    pc = address_of(cpu, ip);
    cpu->fault_address = pc;
    result = CPU_PREFETCH_ABORT;
    goto fault;
L_WAIT:
    ip++;
    pc = address_of(cpu, ip);
    result = CPU_WAITING;
    goto leave;
L_NOP:
    NEXT;

    /* -- prefixes -- */

#define PREFIX(name) L_IF_##name: if (CONDITION_##name) GOTO(ip->second); NEXT;
    EACH_CONDITION(PREFIX, )

L_PC12:
    pc = address_of(cpu, ip);
    cpu->r[15] = cpu->cpsr & FLAG_T ? (pc + 4) & ~3u : pc + 12;
    goto test_condition;
L_PC8:
    pc = address_of(cpu, ip);
    cpu->r[15] = pc + (cpu->cpsr & FLAG_T ? 4 : 8);
test_condition:
    switch (ip->second >> 16) {
#define CASE(number, name) case number: if (!(CONDITION_##name)) NEXT; break;
    CASE(0, EQ) CASE(1, NE) CASE(2, CS) CASE(3, CC) CASE(4, MI) CASE(5, PL) CASE(6, VS)
    CASE(7, VC) CASE(8, HI) CASE(9, LS) CASE(10, GE) CASE(11, LT) CASE(12, GT) CASE(13, LE)
    default: break;
    }
    GOTO(distances[ip->second & 0xffff]);

    /* -- branches -- */

#define NEAR(records_on) \
    do { \
        int32_t distance = (int32_t)ip->imm; \
        COSTS(JUMP_COST); \
        end += distance; \
        ip = (record_t *)((char *)(ip + (records_on)) + distance); \
        if (UNLIKELY((intptr_t)ip >= end)) goto budget_used; \
        DISPATCH; \
    } while (0)
#define BRANCH(name) L_B_##name: if (CONDITION_##name) NEAR(1); NEXT;
    EACH_CONDITION(BRANCH, )
L_B_AL: NEAR(1);
L_BL: cpu->r[14] = (uint32_t)ip->second; NEAR(1);
L_BL_PAIR: cpu->r[14] = (uint32_t)ip->second; NEAR(2);
L_B_FAR: JUMP_TO(ip->imm & ~1u);
L_BL_FAR:
    cpu->r[14] = address_of(cpu, ip + 1);
    EXCHANGE(ip->imm);
L_BL_FIRST: cpu->r[14] = ip->imm; NEXT;
L_BL_SECOND:
    pc = cpu->r[14] + ip->imm;
    cpu->r[14] = address_of(cpu, ip + 1) | 1;
    EXCHANGE(ip->rd ? pc | 1 : pc & ~3u);
L_BX: EXCHANGE(R(rm));
L_BLX:
    pc = R(rm);
    cpu->r[14] = address_of(cpu, ip + 1) | !!(cpu->cpsr & FLAG_T);
    EXCHANGE(pc);

    /* -- data processing -- */

    EACH_FORM(MOVE, MOV, b)
    EACH_FORM(MOVE, MVN, ~b)
    EACH_FORM(LOGICAL, AND, a & b)
    EACH_FORM(LOGICAL, EOR, a ^ b)
    EACH_FORM(LOGICAL, ORR, a | b)
    EACH_FORM(LOGICAL, BIC, a & ~b)
    EACH_FORM(LOGICAL_TEST, TST, a & b)
    EACH_FORM(LOGICAL_TEST, TEQ, a ^ b)
    EACH_FORM(ARITHMETIC, SUB, a - b, c = a >= b, OVERFLOW_DIFFERENCE(a, b))
    EACH_FORM(ARITHMETIC, RSB, b - a, c = b >= a, OVERFLOW_DIFFERENCE(b, a))
    EACH_FORM(ARITHMETIC, ADD, a + b, c = n < a, OVERFLOW_SUM(a, b))
    EACH_FORM(ARITHMETIC, ADC, a + b + c, c = c ? n <= a : n < a, OVERFLOW_SUM(a, b))
    EACH_FORM(ARITHMETIC, SBC, a - b - !c, c = c ? a >= b : a > b, OVERFLOW_DIFFERENCE(a, b))
    EACH_FORM(ARITHMETIC, RSC, b - a - !c, c = c ? b >= a : b > a, OVERFLOW_DIFFERENCE(b, a))
    EACH_FORM(ARITHMETIC_TEST, CMP, a - b, c = a >= b, OVERFLOW_DIFFERENCE(a, b))
    EACH_FORM(ARITHMETIC_TEST, CMN, a + b, c = n < a, OVERFLOW_SUM(a, b))

L_ALU_PC: { /* r15 is written: a jump that stays in its state, with S an exception return */
    uint32_t b = ip->rs ? ip->imm : (uint32_t)any_operand(cpu, ip, c);
    pc = arithmetic(ip->rd & 15, R(rn), b, c);
    if (ip->rd & 16) goto exception_return;
    JUMP_TO(pc & ~(cpu->cpsr & FLAG_T ? 1u : 3u));
}
exception_return: /* to pc */
    PACK;
    if (bank_of(cpu->cpsr) != BANK_USR) cpu_set_cpsr(cpu, cpu->spsr[bank_of(cpu->cpsr)]);
    UNPACK;
    pc &= ~(cpu->cpsr & FLAG_T ? 1u : 3u);
    ip++;
    goto attend;

    /* -- transfers -- */

    EACH_ADDRESS(LOAD, LDR, uint32_t, 4)
    EACH_ADDRESS(LOAD, LDRB, uint8_t, 1)
    EACH_ADDRESS(LOAD, LDRH, uint16_t, 2)
    EACH_ADDRESS(LOAD, LDRSB, int8_t, 1)
    EACH_ADDRESS(LOAD, LDRSH, int16_t, 2)
    EACH_ADDRESS(STORE, STR, uint32_t, 4)
    EACH_ADDRESS(STORE, STRB, uint8_t, 1)
    EACH_ADDRESS(STORE, STRH, uint16_t, 2)

L_LDR_LITERAL:
    memcpy(&R(rd), cpu->itcm + ip->imm, 4);
    NEXT;
L_LDR_PC: {
    ADDRESS_ANY;
    PUBLISH;
    pc = cpu_load(cpu, address, 4);
    CHECK_ABORT;
    REBASE_ANY;
    goto exchange_attending;
}
exchange_attending: /* to pc, after an access that may have moved the interrupt lines */
    ip++;
    if (LIKELY(!cpu_attention(cpu))) goto exchange;
    THUMB_STATE(pc & 1);
    pc &= pc & 1 ? ~1u : ~3u;
    goto attend;
L_LDRD: {
    ADDRESS_ANY;
    uint32_t values[2];
    if (UNLIKELY(!cpu_block(cpu, address, 2))) PUBLISH;
    cpu_load_block(cpu, address, 2, values);
    CHECK_ABORT;
    REBASE_ANY;
    R(rd) = values[0];
    cpu->r[ip->rd + 1] = values[1];
    CHECK_LINES;
    NEXT;
}
L_STRD: {
    ADDRESS_ANY;
    uint32_t values[2] = {R(rd), cpu->r[ip->rd + 1]};
    if (UNLIKELY(!cpu_block(cpu, address, 2))) PUBLISH;
    cpu_store_block(cpu, address, 2, values);
    CHECK_ABORT;
    REBASE_ANY;
    CHECK_LINES;
    NEXT;
}
#define SWAP(name, size) \
    L_##name: { \
        uint32_t address = R(rn), old; \
        PUBLISH; \
        old = cpu_load(cpu, address, size); \
        CHECK_ABORT; \
        cpu_store(cpu, address, R(rm), size); \
        CHECK_ABORT; \
        R(rd) = old; \
        CHECK_LINES; \
        NEXT; \
    }
    SWAP(SWP, 4)
    SWAP(SWPB, 1)

#define BLOCK_COST(address) (ip->rd - 1 + ((address) >> 28 == 6 || (address) >> 28 == 7) * SDRAM_COST)
L_LDM: {
    COSTS(BLOCK_COST(BLOCK_ADDRESS));
    const uint8_t *at = cpu_block(cpu, BLOCK_ADDRESS, ip->rd);
    if (LIKELY(at)) {
        BLOCK_REBASE;
        FOR_LIST(i, word) memcpy(&cpu->r[i], at + 4 * word, 4);
        NEXT;
    }
    LOAD_BLOCK;
    BLOCK_REBASE;
    FOR_LIST(i, word) cpu->r[i] = values[word];
    CHECK_LINES;
    NEXT;
}
L_LDM_PC: {
    COSTS(BLOCK_COST(BLOCK_ADDRESS));
    const uint8_t *at = cpu_block(cpu, BLOCK_ADDRESS, ip->rd);
    if (LIKELY(at)) {
        BLOCK_REBASE;
        FOR_LIST(i, word) memcpy(&cpu->r[i], at + 4 * word, 4);
        EXCHANGE(cpu->r[15]);
    }
    LOAD_BLOCK;
    BLOCK_REBASE;
    FOR_LIST(i, word) cpu->r[i] = values[word];
    pc = cpu->r[15];
    goto exchange_attending;
}
L_LDM_RETURN: {
    LOAD_BLOCK;
    BLOCK_REBASE;
    FOR_LIST(i, word) cpu->r[i] = values[word];
    pc = cpu->r[15];
    goto exception_return;
}
L_LDM_USER: {
    LOAD_BLOCK;
    BLOCK_REBASE;
    FOR_LIST(i, word) *user_register(cpu, (int)i) = values[word];
    CHECK_LINES;
    NEXT;
}
L_STM: {
    COSTS(ip->rd - 1);
    uint8_t *at = cpu_block(cpu, BLOCK_ADDRESS, ip->rd);
    if (LIKELY(at)) {
        FOR_LIST(i, word) memcpy(at + 4 * word, &cpu->r[i], 4);
        BLOCK_REBASE;
        NEXT;
    }
    uint32_t values[16];
    FOR_LIST(i, word) values[word] = cpu->r[i];
    PUBLISH;
    cpu_store_block(cpu, BLOCK_ADDRESS, ip->rd, values);
    CHECK_ABORT;
    BLOCK_REBASE;
    CHECK_LINES;
    NEXT;
}
L_STM_USER: {
    uint32_t values[16];
    FOR_LIST(i, word) values[word] = *user_register(cpu, (int)i);
    PUBLISH;
    cpu_store_block(cpu, BLOCK_ADDRESS, ip->rd, values);
    CHECK_ABORT;
    BLOCK_REBASE;
    CHECK_LINES;
    NEXT;
}

    /* -- multiplication and the DSP instructions -- */

L_MUL: COSTS(1); R(rd) = R(rm) * R(rs); NEXT;
L_MULS: COSTS(1 + FLAGS_COST); n = z = R(rd) = R(rm) * R(rs); NEXT;
L_MLA: COSTS(1); R(rd) = R(rm) * R(rs) + R(rn); NEXT;
L_MLAS: COSTS(1 + FLAGS_COST); n = z = R(rd) = R(rm) * R(rs) + R(rn); NEXT;

#define SIGNED(field) (uint64_t)(int64_t)(int32_t)R(field)
#define WIDE(name, value) \
    L_##name: { \
        uint64_t wide = value; \
        COSTS(ip->imm & 1 ? LONG_COST + FLAGS_COST : LONG_COST); \
        R(rn) = (uint32_t)wide; \
        R(rd) = (uint32_t)(wide >> 32); \
        if (ip->imm & 1) n = R(rd), z = R(rd) | R(rn); \
        NEXT; \
    }
#define ADDEND ((uint64_t)R(rd) << 32 | R(rn))
    WIDE(UMULL, (uint64_t)R(rm) * R(rs))
    WIDE(UMLAL, (uint64_t)R(rm) * R(rs) + ADDEND)
    WIDE(SMULL, SIGNED(rm) * SIGNED(rs))
    WIDE(SMLAL, SIGNED(rm) * SIGNED(rs) + ADDEND)

#define FIRST HALF(R(rm), ip->imm & 16)
#define SECOND HALF(R(rs), ip->imm >> 1 & 16)
#define BY_HALF ((int64_t)(int32_t)R(rm) * SECOND >> 16)
L_SMULxy: R(rd) = (uint32_t)(FIRST * SECOND); NEXT;
L_SMLAxy: R(rd) = accumulate(cpu, FIRST * SECOND, R(rn)); NEXT;
L_SMULWy: R(rd) = (uint32_t)BY_HALF; NEXT;
L_SMLAWy: R(rd) = accumulate(cpu, BY_HALF, R(rn)); NEXT;
    WIDE(SMLALxy, (uint64_t)(int64_t)(FIRST * SECOND) + ADDEND)

#define DOUBLED (int64_t)(int32_t)saturate(cpu, 2 * (int64_t)(int32_t)R(rn))
L_QADD: R(rd) = saturate(cpu, (int64_t)(int32_t)R(rm) + (int32_t)R(rn)); NEXT;
L_QSUB: R(rd) = saturate(cpu, (int64_t)(int32_t)R(rm) - (int32_t)R(rn)); NEXT;
L_QDADD: R(rd) = saturate(cpu, (int64_t)(int32_t)R(rm) + DOUBLED); NEXT;
L_QDSUB: R(rd) = saturate(cpu, (int64_t)(int32_t)R(rm) - DOUBLED); NEXT;
L_CLZ: R(rd) = R(rm) ? (uint32_t)__builtin_clz(R(rm)) : 32; NEXT;

    /* -- status and coprocessor -- */

L_MRS:
    PACK;
    R(rd) = ip->rn ? cpu->spsr[bank_of(cpu->cpsr)] : cpu->cpsr;
    NEXT;
L_MSR:
    PACK;
    cpu_move_to_status(cpu, ip->rd ? ip->imm : R(rm), ip->rs, ip->rn);
    UNPACK;
    CHECK_LINES;
    NEXT;
L_MRC:
    R(rd) = ip->rn ? cpu->control : ip->imm;
    if (ip->rd == 15) FLAGS_FROM(R(rd));
    NEXT;
L_MCR:
    cpu->control = R(rd) & CPU_CONTROL_BITS;
    NEXT;
}
