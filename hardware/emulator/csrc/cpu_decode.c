/* Decoder of ARMv5TE: one instruction word to one record (cpu_ops.h says what its fields mean).
 *
 * Encodings are those of the ARM Architecture Reference Manual (DDI 0100), chapters A3 to A7.  What
 * ARMv5TE leaves undefined becomes OP_UNDEFINED; what it calls UNPREDICTABLE becomes something
 * harmless.  A condition puts OP_IF_* in front (near branches have their own handlers for each
 * condition).  A register 15 read as an operand puts OP_PC8 or OP_PC12 in front, which stores the
 * value into r[15] - inside cpu_run r[15] is otherwise scratch - and tests the condition as well,
 * given in the upper half of `second`.
 */
#include <string.h>

#include "cpu_ops.h"

#define BITS(w, low, count) (((w) >> (low)) & ((1u << (count)) - 1u))
#define BIT(w, n) (((w) >> (n)) & 1u)

typedef struct {
    record_t *record;
    uint32_t address, size; /* of the instruction */
    uint32_t condition;
    int pc; /* prefix wanted: 0, OP_PC8, OP_PC12 */
} decoding_t;

static int32_t sign_extend(uint32_t value, int bits) {
    return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

static void reads(decoding_t *d, uint32_t reg) {
    if (reg == 15 && !d->pc) d->pc = OP_PC8;
}

static int inside(const decoding_t *d, uint32_t target) {
    return d->address < CPU_ITCM_SIZE && target < CPU_ITCM_SIZE;
}

/* A shift by immediate as in bits 11:5, or by register, packed for an ANY form. */
static uint32_t packed_shift(uint32_t w) {
    uint32_t type = BITS(w, 5, 2), amount = BITS(w, 7, 5);
    if (BIT(w, 4)) return type | SHIFT_BY_REGISTER | BITS(w, 8, 4) << SHIFT_AMOUNT;
    if (!amount && type == SHIFT_ROR) type = SHIFT_RRX;
    if (!amount && type != SHIFT_LSL) amount = 32;
    return type | amount << SHIFT_AMOUNT;
}

static int data_processing(decoding_t *d, uint32_t w) {
    static const uint16_t first[16][2] = {
        {OP_AND_IMM, OP_ANDS_IMM}, {OP_EOR_IMM, OP_EORS_IMM}, {OP_SUB_IMM, OP_SUBS_IMM},
        {OP_RSB_IMM, OP_RSBS_IMM}, {OP_ADD_IMM, OP_ADDS_IMM}, {OP_ADC_IMM, OP_ADCS_IMM},
        {OP_SBC_IMM, OP_SBCS_IMM}, {OP_RSC_IMM, OP_RSCS_IMM}, {0, OP_TST_IMM},
        {0, OP_TEQ_IMM},           {0, OP_CMP_IMM},           {0, OP_CMN_IMM},
        {OP_ORR_IMM, OP_ORRS_IMM}, {OP_MOV_IMM, OP_MOVS_IMM}, {OP_BIC_IMM, OP_BICS_IMM},
        {OP_MVN_IMM, OP_MVNS_IMM}};
    record_t *r = d->record;
    uint32_t opcode = BITS(w, 21, 4), set = BIT(w, 20), amount = BITS(w, 7, 5);
    int immediate = BIT(w, 25), moves = opcode == 13 || opcode == 15,
        tests = opcode >= 8 && opcode <= 11;
    r->rn = moves ? 0 : BITS(w, 16, 4);
    r->rd = BITS(w, 12, 4);
    r->rm = BITS(w, 0, 4);
    reads(d, r->rn);
    if (immediate) {
        uint32_t rotate = 2 * BITS(w, 8, 4), value = BITS(w, 0, 8);
        r->imm = rotate ? value >> rotate | value << (32 - rotate) : value;
        r->rm = !rotate;
        r->rs = rotate ? r->imm >> 31 : 0;
    } else {
        r->imm = packed_shift(w);
        reads(d, r->rm);
        if (BIT(w, 4)) {
            reads(d, BITS(w, 8, 4));
            if (d->pc) d->pc = OP_PC12;
        }
    }
    if (r->rd == 15 && !tests) { /* rd says which operation, rs how to find the operand */
        r->rd = opcode | set << 4;
        r->rs = immediate;
        return OP_ALU_PC;
    }
    if (immediate && r->rn == 15 && !set &&
        (opcode == 2 || opcode == 4)) { /* an address relative to the PC */
        uint32_t here = d->address + 2 * d->size;
        r->imm = opcode == 4 ? here + r->imm : here - r->imm;
        d->pc = 0;
        return OP_MOV_IMM;
    }
    if (immediate) return first[opcode][set];
    if (BIT(w, 4)) return first[opcode][set] + 5;
    if (!amount && BITS(w, 5, 2) == SHIFT_LSL) return first[opcode][set] + 1;
    if (!amount || BITS(w, 5, 2) == SHIFT_ROR) return first[opcode][set] + 5;
    r->rs = amount;
    return first[opcode][set] + 2 + BITS(w, 5, 2);
}

/* Fill in a transfer's address; `offset` is an immediate unless bit MODE_REGISTER. Returns the
 * form, 0 IMM to 4 ANY. */
static int addressing(decoding_t *d, uint32_t w, int by_register, uint32_t offset, int any) {
    record_t *r = d->record;
    int pre = BIT(w, 24), up = BIT(w, 23), writeback = BIT(w, 21);
    r->rn = BITS(w, 16, 4);
    r->rd = BITS(w, 12, 4);
    r->rm = BITS(w, 0, 4);
    reads(d, r->rn);
    if (by_register) reads(d, r->rm);
    if (by_register && up && pre && !writeback && (offset & 0xff) == SHIFT_LSL && !any) {
        r->rs = offset >> SHIFT_AMOUNT;
        return 1;
    }
    r->rs = pre * MODE_PRE | writeback * MODE_WRITEBACK | by_register * MODE_REGISTER;
    r->imm = by_register || up ? offset : 0u - offset;
    if (by_register && !up) r->rs |= MODE_SUBTRACT;
    if (by_register || any) return 4;
    return !pre ? 3 : writeback ? 2 : 0;
}

static int word_transfer(decoding_t *d, uint32_t w) {
    int by_register = BIT(w, 25), load = BIT(w, 20), byte = BIT(w, 22), pc = BITS(w, 12, 4) == 15;
    uint32_t offset = by_register ? packed_shift(w) : BITS(w, 0, 12);
    int form = addressing(d, w, by_register, offset, pc);
    record_t *r = d->record;
    if (load && !byte && pc) return OP_LDR_PC;
    if (load && !byte && form == 0 && r->rn == 15) {
        uint32_t address = ((d->address + 2 * d->size) & ~3u) + r->imm;
        if (inside(d, address) && !(address & 3)) {
            r->imm = address;
            d->pc = 0;
            return OP_LDR_LITERAL;
        }
        if (d->size == 2) d->pc = OP_PC12; /* which aligns in Thumb state */
    }
    if (!load) reads(d, r->rd);
    return (load ? byte ? OP_LDRB_IMM : OP_LDR_IMM : byte ? OP_STRB_IMM : OP_STR_IMM) + form;
}

static int half_transfer(decoding_t *d, uint32_t w) {
    int by_register = !BIT(w, 22), load = BIT(w, 20), kind = BITS(w, 5, 2);
    uint32_t offset = by_register ? 0 : BITS(w, 8, 4) << 4 | BITS(w, 0, 4);
    int dual = !load && kind != 1;
    int form = addressing(d, w, by_register, offset, dual || BITS(w, 12, 4) == 15);
    if (dual) return BIT(w, 12) ? OP_UNDEFINED : kind == 2 ? OP_LDRD : OP_STRD;
    if (!load) reads(d, d->record->rd);
    return (!load       ? OP_STRH_IMM
            : kind == 1 ? OP_LDRH_IMM
            : kind == 2 ? OP_LDRSB_IMM
                        : OP_LDRSH_IMM) +
           form;
}

static int block_transfer(decoding_t *d, uint32_t w) {
    record_t *r = d->record;
    uint32_t list = BITS(w, 0, 16);
    int load = BIT(w, 20), writeback = BIT(w, 21), user = BIT(w, 22), up = BIT(w, 23),
        before = BIT(w, 24);
    int count = __builtin_popcount(list);
    r->rn = BITS(w, 16, 4);
    r->imm = list;
    r->rd = (uint8_t)count;
    r->rs = (uint8_t)(up ? before : 1 - before - count);
    r->rm = (uint8_t)(!writeback || !list ? 0 : up ? count : -count);
    reads(d, r->rn);
    if (load)
        return !BIT(list, 15) ? user ? OP_LDM_USER : OP_LDM : user ? OP_LDM_RETURN : OP_LDM_PC;
    if (BIT(list, 15)) d->pc = OP_PC12;
    return user ? OP_STM_USER : OP_STM;
}

static int multiply(decoding_t *d, uint32_t w) {
    static const uint16_t wide[4] = {OP_UMULL, OP_UMLAL, OP_SMULL, OP_SMLAL};
    record_t *r = d->record;
    r->rd = BITS(w, 16, 4);
    r->rn = BITS(w, 12, 4);
    r->rs = BITS(w, 8, 4);
    r->rm = BITS(w, 0, 4);
    r->imm = BIT(w, 20);
    switch (BITS(w, 23, 2)) {
    case 0: return BIT(w, 22) ? OP_UNDEFINED : OP_MUL + BITS(w, 20, 2);
    case 1: return wide[BITS(w, 21, 2)];
    default:
        r->rd = BITS(w, 12, 4);
        r->rn = BITS(w, 16, 4);
        return BITS(w, 23, 2) != 2 || BITS(w, 20, 2) || BITS(w, 8, 4) ? OP_UNDEFINED
               : BIT(w, 22)                                           ? OP_SWPB
                                                                      : OP_SWP;
    }
}

static int move_to_status(decoding_t *d, uint32_t w, int immediate) {
    record_t *r = d->record;
    uint32_t rotate = 2 * BITS(w, 8, 4), value = BITS(w, 0, 8);
    r->imm = rotate ? value >> rotate | value << (32 - rotate) : value;
    r->rd = immediate;
    r->rn = BIT(w, 22);
    r->rs = BITS(w, 16, 4);
    r->rm = immediate ? 0 : BITS(w, 0, 4);
    reads(d, r->rm);
    return OP_MSR;
}

/* The space of compare instructions without S. */
static int miscellaneous(decoding_t *d, uint32_t w) {
    static const uint16_t saturating[4] = {OP_QADD, OP_QSUB, OP_QDADD, OP_QDSUB};
    record_t *r = d->record;
    r->rd = BITS(w, 12, 4);
    r->rn = BITS(w, 16, 4);
    r->rm = BITS(w, 0, 4);
    reads(d, r->rm);
    if ((w & 0x0fbf0fffu) == 0x010f0000u) {
        r->rn = BIT(w, 22);
        d->pc = 0;
        return OP_MRS;
    }
    if ((w & 0x0fb0fff0u) == 0x0120f000u) return move_to_status(d, w, 0);
    if ((w & 0x0ffffff0u) == 0x012fff10u) return OP_BX;
    if ((w & 0x0ffffff0u) == 0x012fff30u) return OP_BLX;
    if ((w & 0x0fff0ff0u) == 0x016f0f10u) return OP_CLZ;
    if ((w & 0x0ff000f0u) == 0x01200070u) return OP_BKPT;
    if ((w & 0x0f900ff0u) == 0x01000050u) return saturating[BITS(w, 21, 2)];
    if ((w & 0x0f900090u) ==
        0x01000080u) { /* imm: by how much to shift the first (bit 4) and second (bit 5) factor */
        r->rd = BITS(w, 16, 4);
        r->rn = BITS(w, 12, 4);
        r->rs = BITS(w, 8, 4);
        r->imm = BIT(w, 5) << 4 | BIT(w, 6) << 5;
        switch (BITS(w, 21, 2)) {
        case 0: return OP_SMLAxy;
        case 1: return BIT(w, 5) ? OP_SMULWy : OP_SMLAWy;
        case 2: return OP_SMLALxy;
        default: return OP_SMULxy;
        }
    }
    return OP_UNDEFINED;
}

static int near_or_far(decoding_t *d, uint32_t target, int near, int far, uint32_t far_state) {
    record_t *r = d->record;
    int size = (int)d->size;
    if (near && inside(d, target)) {
        r->imm = (uint32_t)(((int32_t)(target - d->address) / size - (near == OP_BL_PAIR ? 2 : 1)) *
                            (int)sizeof *r);
        return near;
    }
    r->imm = target | far_state;
    return far;
}

static int branch(decoding_t *d, uint32_t w) {
    uint32_t target = d->address + 8 + (uint32_t)sign_extend(w, 24) * 4;
    if (BIT(w, 24)) {
        d->record->second = (int32_t)(d->address + 4);
        return near_or_far(d, target, d->condition == 14 ? OP_BL : 0, OP_BL_FAR, 0);
    }
    return near_or_far(d, target, OP_B_EQ + (int)d->condition, OP_B_FAR, 0);
}

/* Registers of coprocessor 15: opcode 1, CRn, opcode 2, CRm. */
enum { CP15_ID = 0, CP15_CONTROL = 1 << 16, CP15_WAIT = 7 << 16 | 4 << 5 };

static int coprocessor(decoding_t *d, uint32_t w) {
    record_t *r = d->record;
    if (BITS(w, 24, 4) == 15) return OP_SWI;
    if (BITS(w, 24, 4) != 14 || !BIT(w, 4) || BITS(w, 8, 4) != 15) return OP_UNDEFINED;
    uint32_t which = w & 0x00ef00efu;
    r->rd = BITS(w, 12, 4);
    r->rn = which == CP15_CONTROL;
    if (BIT(w, 20)) {
        r->imm = which == CP15_ID ? 0x41059680u : 0; /* ARM Ltd, 5TE, 968 */
        return OP_MRC;
    }
    if (!r->rn) return which == CP15_WAIT ? OP_WAIT : OP_NOP;
    reads(d, r->rd);
    return OP_MCR;
}

static int unconditional(decoding_t *d, uint32_t w) {
    if (BITS(w, 25, 3) == 5)
        return near_or_far(d, d->address + 8 + (uint32_t)sign_extend(w, 24) * 4 + BIT(w, 24) * 2, 0,
                           OP_BL_FAR, 1);
    return (w & 0xfd70f000u) == 0xf550f000u ? OP_NOP /* PLD */ : OP_UNDEFINED;
}

static int arm(decoding_t *d, uint32_t w) {
    if (d->condition == 15) return unconditional(d, w);
    switch (BITS(w, 25, 3)) {
    case 0:
        if ((w & 0x90) == 0x90) return BITS(w, 5, 2) ? half_transfer(d, w) : multiply(d, w);
        return (w & 0x01900000u) == 0x01000000u ? miscellaneous(d, w) : data_processing(d, w);
    case 1:
        if ((w & 0x01900000u) != 0x01000000u) return data_processing(d, w);
        return (w & 0x0fb0f000u) == 0x0320f000u ? move_to_status(d, w, 1) : OP_UNDEFINED;
    case 2: return word_transfer(d, w);
    case 3: return BIT(w, 4) ? OP_UNDEFINED : word_transfer(d, w);
    case 4: return block_transfer(d, w);
    case 5: return branch(d, w);
    case 6: return OP_UNDEFINED;
    default: return coprocessor(d, w);
    }
}

/* Thumb format 4, 010000: the ARM instruction without registers, and how the two registers go into
 * it. */
static uint32_t thumb_alu(uint32_t w) {
    enum { TWO, MOVE, SHIFT, NEGATE, TEST, MULTIPLY };
    static const struct {
        uint32_t word;
        int kind;
    } table[16] = {
        {0xe0100000u, TWO},   {0xe0300000u, TWO},      {0xe1b00010u, SHIFT}, {0xe1b00030u, SHIFT},
        {0xe1b00050u, SHIFT}, {0xe0b00000u, TWO},      {0xe0d00000u, TWO},   {0xe1b00070u, SHIFT},
        {0xe1100000u, TEST},  {0xe2700000u, NEGATE},   {0xe1500000u, TEST},  {0xe1700000u, TEST},
        {0xe1900000u, TWO},   {0xe0100090u, MULTIPLY}, {0xe1d00000u, TWO},   {0xe1f00000u, MOVE}};
    uint32_t word = table[BITS(w, 6, 4)].word, rd = BITS(w, 0, 3), rm = BITS(w, 3, 3);
    switch (table[BITS(w, 6, 4)].kind) {
    case TWO: return word | rd << 16 | rd << 12 | rm;
    case MOVE: return word | rd << 12 | rm;
    case SHIFT: return word | rd << 12 | rm << 8 | rd;
    case NEGATE: return word | rm << 16 | rd << 12;
    case TEST: return word | rd << 16 | rm;
    default: return word | rd << 16 | rd << 8 | rm;
    }
}

static uint32_t thumb_high(uint32_t w) {
    uint32_t rd = BITS(w, 0, 3) | BIT(w, 7) << 3, rm = BITS(w, 3, 4);
    switch (BITS(w, 8, 2)) {
    case 0: return 0xe0800000u | rd << 16 | rd << 12 | rm;
    case 1: return 0xe1500000u | rd << 16 | rm;
    case 2: return 0xe1a00000u | rd << 12 | rm;
    default: return 0xe12fff10u | BIT(w, 7) << 5 | rm;
    }
}

static uint32_t thumb_by_register(uint32_t w) {
    static const uint32_t table[8] = {0xe7800000u, 0xe18000b0u, 0xe7c00000u, 0xe19000d0u,
                                      0xe7900000u, 0xe19000b0u, 0xe7d00000u, 0xe19000f0u};
    return table[BITS(w, 9, 3)] | BITS(w, 3, 3) << 16 | BITS(w, 0, 3) << 12 | BITS(w, 6, 3);
}

/* The ARM instruction that does the same, 0 where there is none. */
static uint32_t thumb_as_arm(uint32_t w) {
    uint32_t rd = BITS(w, 0, 3), rn = BITS(w, 3, 3), rd8 = BITS(w, 8, 3), imm5 = BITS(w, 6, 5),
             imm8 = BITS(w, 0, 8);
    static const uint32_t immediate[4] = {0xe3b00000u, 0xe3500000u, 0xe2900000u, 0xe2500000u};
    switch (w >> 11) {
    case 0:
    case 1:
    case 2: return 0xe1b00000u | rd << 12 | imm5 << 7 | BITS(w, 11, 2) << 5 | rn;
    case 3:
        return (BIT(w, 9) ? 0xe0500000u : 0xe0900000u) | BIT(w, 10) << 25 | rn << 16 | rd << 12 |
               BITS(w, 6, 3);
    case 4:
    case 5:
    case 6:
    case 7:
        return immediate[BITS(w, 11, 2)] | (BITS(w, 11, 2) ? rd8 << 16 : 0) |
               (BITS(w, 11, 2) == 1 ? 0 : rd8 << 12) | imm8;
    case 8: return BIT(w, 10) ? thumb_high(w) : thumb_alu(w);
    case 9: return 0xe59f0000u | rd8 << 12 | imm8 << 2;
    case 10:
    case 11: return thumb_by_register(w);
    case 12:
    case 13: return 0xe5800000u | BIT(w, 11) << 20 | rn << 16 | rd << 12 | imm5 << 2;
    case 14:
    case 15: return 0xe5c00000u | BIT(w, 11) << 20 | rn << 16 | rd << 12 | imm5;
    case 16:
    case 17:
        return 0xe1c000b0u | BIT(w, 11) << 20 | rn << 16 | rd << 12 | (imm5 >> 3) << 8 |
               (imm5 & 7) << 1;
    case 18:
    case 19: return 0xe58d0000u | BIT(w, 11) << 20 | rd8 << 12 | imm8 << 2;
    case 21: return 0xe28d0f00u | rd8 << 12 | imm8;
    case 22:
        if (BITS(w, 9, 2) == 2) return 0xe92d0000u | BIT(w, 8) << 14 | imm8;
        return BITS(w, 8, 3) ? 0 : (BIT(w, 7) ? 0xe24ddf00u : 0xe28ddf00u) | BITS(w, 0, 7);
    case 23:
        if (BITS(w, 9, 2) == 2) return 0xe8bd0000u | BIT(w, 8) << 15 | imm8;
        return BITS(w, 8, 3) == 6 ? 0xe1200070u : 0;
    case 24: return 0xe8a00000u | rd8 << 16 | imm8;
    case 25: return 0xe8b00000u | rd8 << 16 | imm8;
    case 26:
    case 27: return BITS(w, 8, 4) == 15 ? 0xef000000u | imm8 : 0;
    default: return 0;
    }
}

static int thumb_call(decoding_t *d, uint32_t w, uint32_t next) {
    record_t *r = d->record;
    uint32_t after = d->address + 4, high = after + (uint32_t)sign_extend(w, 11) * 4096,
             low = BITS(next, 0, 11) * 2;
    if (w >> 11 != 0x1e) { /* a second half by itself: imm is added to r14 */
        r->imm = BITS(w, 0, 11) * 2;
        r->rd = w >> 11 == 0x1f;
        return OP_BL_SECOND;
    }
    r->second = (int32_t)(after | 1);
    r->imm = high;
    if (next >> 11 == 0x1f && inside(d, high + low))
        return near_or_far(d, high + low, OP_BL_PAIR, 0, 0);
    return OP_BL_FIRST;
}

static int thumb(decoding_t *d, uint32_t w, uint32_t next) {
    uint32_t same = thumb_as_arm(w), target;
    switch (w >> 11) {
    case 20: /* address relative to the aligned PC */
        d->record->rd = BITS(w, 8, 3);
        d->record->imm = ((d->address + 4) & ~3u) + BITS(w, 0, 8) * 4;
        return OP_MOV_IMM;
    case 26:
    case 27:
        if (BITS(w, 8, 4) >= 14) break;
        target = d->address + 4 + (uint32_t)sign_extend(w, 8) * 2;
        d->condition = BITS(w, 8, 4);
        return near_or_far(d, target, OP_B_EQ + (int)d->condition, OP_B_FAR, 1);
    case 28:
        return near_or_far(d, d->address + 4 + (uint32_t)sign_extend(w, 11) * 2, OP_B_AL, OP_B_FAR,
                           1);
    case 29:
        if (w & 1) return OP_UNDEFINED; /* fall through */
    case 30:
    case 31: return thumb_call(d, w, next);
    default: break;
    }
    return same ? arm(d, same) : OP_UNDEFINED;
}

void cpu_decode(const cpu_t *cpu, uint32_t address, record_t *record) {
    uint32_t in_thumb = cpu->cpsr & FLAG_T, word = 0;
    const uint8_t *at = cpu_ram(cpu, address), *following = cpu_ram(cpu, address + 2);
    decoding_t d = {record, address, in_thumb ? 2 : 4, 14, 0};
    int operation;
    memset(record, 0, sizeof *record);
    memcpy(&word, at, in_thumb ? 2 : 4);
    if (in_thumb) {
        uint16_t next = 0;
        if (following) memcpy(&next, following, 2);
        operation = thumb(&d, word, next);
    } else {
        d.condition = word >> 28;
        operation = arm(&d, word);
    }
    record->handler = operation;
    if (d.pc) {
        record->second = operation | (int32_t)d.condition << 16;
        record->handler = d.pc;
    } else if (d.condition < 14 && !(operation >= OP_B_EQ && operation <= OP_B_LE)) {
        record->second = operation;
        record->handler = OP_IF_EQ + (int)d.condition;
    }
}
