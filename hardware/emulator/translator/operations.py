"""What each operation does, as LLVM instructions: the counterpart of the handlers in csrc/cpu.c."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from .emit import ATTEND, GO_ON, RETURN, WAIT, Emitter, block_label
from .instructions import ALWAYS, Instruction
from .memory import (
    emit_load,
    emit_load_block,
    emit_load_pair,
    emit_load_pc,
    emit_store,
    emit_store_block,
    emit_store_pair,
    shifted_by_any,
)
from .regions import CALLS, INTERPRETED, Block
from .text import LIKELY, UNLIKELY

FORMS = ("IMM", "REG", "LSL", "LSR", "ASR", "ANY")
MODES = ("IMM", "REG", "PRE", "POST", "ANY")
LOGICAL = {"AND": "and", "EOR": "xor", "ORR": "or", "BIC": "bic", "MOV": "mov", "MVN": "mvn"}
ARITHMETIC = ("SUB", "RSB", "ADD", "ADC", "SBC", "RSC")
LOADS = {"LDR": (4, ""), "LDRB": (1, "zext"), "LDRH": (2, "zext")}
LOADS |= {"LDRSB": (1, "sext"), "LDRSH": (2, "sext")}
STORES = {"STR": 4, "STRB": 1, "STRH": 2}
WIDE = {"UMULL": "zext", "UMLAL": "zext", "SMULL": "sext", "SMLAL": "sext"}


def operand(e: Emitter, form: str) -> tuple[str, str | Callable[[], str] | None]:
    """Give the second operand of data processing, and the carry that it leaves if it does."""
    i = e.here
    if form == "IMM":
        return str(i.imm), None if i.rm else str(i.rs)
    value = e.get(i.rm)
    if form == "REG":
        return value, None
    if form == "ANY":
        return shifted_by_any(e)
    result = e.op({"LSL": "shl", "LSR": "lshr", "ASR": "ashr"}[form], value, i.rs)
    bit = 32 - i.rs if form == "LSL" else i.rs - 1
    return result, lambda: e.op("and", e.op("lshr", value, bit), 1)


def logical(e: Emitter, name: str, form: str, sets: bool, keeps: bool = True) -> None:
    """AND, EOR, ORR, BIC, MOV, MVN, TST, TEQ."""
    b, carry = operand(e, form)
    how = LOGICAL[name]
    if how == "mov":
        result = e.op("add", b, 0)
    elif how == "mvn":
        result = e.op("xor", b, -1)
    elif how == "bic":
        result = e.op("and", e.get(e.here.rn), e.op("xor", b, -1))
    else:
        result = e.op(how, e.get(e.here.rn), b)
    if keeps:
        e.set(e.here.rd, result)
    if sets:
        e.set_flags(n=result, z=result, **({} if carry is None else {"c": carry}))


def arithmetic(e: Emitter, name: str, form: str, sets: bool, keeps: bool = True) -> None:
    """SUB, RSB, ADD, ADC, SBC, RSC, CMP, CMN."""
    b, _ = operand(e, form)
    a = e.get(e.here.rn)
    if name in ("RSB", "RSC"):
        a, b = b, a
    adds = name in ("ADD", "ADC")
    carry = e.flag("c") if name in ("ADC", "SBC", "RSC") else None
    result = e.op("add" if adds else "sub", a, b)
    if carry is not None:
        result = e.op("add", result, carry) if adds else e.op("sub", result, e.op("xor", carry, 1))
    if keeps:
        e.set(e.here.rd, result)
    if not sets:
        return

    def carry_out() -> str:
        if adds:
            out = e.test("ult", result, a)
            out = out if carry is None else _either(e, carry, e.test("ule", result, a), out)
        else:
            out = e.test("uge", a, b)
            out = out if carry is None else _either(e, carry, out, e.test("ugt", a, b))
        return e.convert("zext", out, "i1", "i32")

    def overflow() -> str:
        differ = e.op("xor", a, b)
        differ = e.op("xor", differ, -1) if adds else differ
        return e.op("and", differ, e.op("xor", a, result))

    e.set_flags(n=result, z=result, c=carry_out, v=overflow)
    if not adds and carry is None:
        e.set_compared(a, b)


def _either(e: Emitter, carry: str, yes: str, no: str) -> str:
    return e.select(e.test("ne", carry, 0), yes, no, "i1")


def multiply(e: Emitter, adds: bool, sets: bool) -> None:
    """MUL, MLA."""
    i = e.here
    result = e.op("mul", e.get(i.rm), e.get(i.rs))
    if adds:
        result = e.op("add", result, e.get(i.rn))
    e.set(i.rd, result)
    if sets:
        e.set_flags(n=result, z=result)


def _set_wide(e: Emitter, wide: str) -> None:
    low = e.convert("trunc", wide, "i64", "i32")
    high = e.convert("trunc", e.op("lshr", wide, 32, "i64"), "i64", "i32")
    e.set(e.here.rn, low)
    e.set(e.here.rd, high)
    if e.here.imm & 1:
        e.set_flags(n=high, z=e.op("or", low, high))


def _addend(e: Emitter) -> str:
    low = e.convert("zext", e.get(e.here.rn), "i32", "i64")
    high = e.op("shl", e.convert("zext", e.get(e.here.rd), "i32", "i64"), 32, "i64")
    return e.op("or", high, low, "i64")


def multiply_wide(e: Emitter, name: str) -> None:
    """UMULL, UMLAL, SMULL, SMLAL."""
    a, b = (e.convert(WIDE[name], e.get(r), "i32", "i64") for r in (e.here.rm, e.here.rs))
    wide = e.op("mul", a, b, "i64")
    if name.endswith("LAL"):
        wide = e.op("add", wide, _addend(e), "i64")
    _set_wide(e, wide)


def _half(e: Emitter, register: int, upper: int) -> str:
    value = e.get(register)
    return e.op("ashr", value if upper else e.op("shl", value, 16), 16)


def _long(e: Emitter, value: str) -> str:
    return e.convert("sext", value, "i32", "i64")


def _limit(e: Emitter, exact: str, limited: str) -> str:
    """Note in Q that a result is not the exact one."""
    note, done, place = e.label(), e.label(), e.field("cpsr")
    e.branch(e.test("eq", exact, _long(e, limited), "i64"), done, note, LIKELY)
    e.begin(note)
    e.store("i32", e.op("or", e.load("i32", place), 1 << 27), place)
    e.jump(done)
    e.begin(done)
    return limited


def _saturate(e: Emitter, exact: str) -> str:
    high, low = (1 << 31) - 1, -(1 << 31)
    top = e.select(e.test("sgt", exact, high, "i64"), high, exact, "i64")
    value = e.select(e.test("slt", top, low, "i64"), low, top, "i64")
    return _limit(e, exact, e.convert("trunc", value, "i64", "i32"))


def multiply_halves(e: Emitter, name: str) -> None:
    """SMULxy, SMLAxy, SMULWy, SMLAWy, SMLALxy."""
    i = e.here
    second = _half(e, i.rs, i.imm & 32)
    if name in ("SMULWy", "SMLAWy"):
        product = e.op("mul", _long(e, e.get(i.rm)), _long(e, second), "i64")
        product = e.op("ashr", product, 16, "i64")
    else:
        product = _long(e, e.op("mul", _half(e, i.rm, i.imm & 16), second))
    if name == "SMLALxy":
        _set_wide(e, e.op("add", product, _addend(e), "i64"))
    elif name in ("SMULxy", "SMULWy"):
        e.set(i.rd, e.convert("trunc", product, "i64", "i32"))
    else:
        total = e.op("add", product, _long(e, e.get(i.rn)), "i64")
        e.set(i.rd, _limit(e, total, e.convert("trunc", total, "i64", "i32")))


def saturating(e: Emitter, name: str) -> None:
    """QADD, QSUB, QDADD, QDSUB."""
    i = e.here
    first, second = _long(e, e.get(i.rm)), _long(e, e.get(i.rn))
    if name[1] == "D":
        second = _long(e, _saturate(e, e.op("shl", second, 1, "i64")))
    e.set(i.rd, _saturate(e, e.op("sub" if name.endswith("SUB") else "add", first, second, "i64")))


def count_zeros(e: Emitter) -> None:
    """CLZ."""
    e.set(e.here.rd, e.let(f"call i32 @llvm.ctlz.i32(i32 {e.get(e.here.rm)}, i1 false)"))


def read_status(e: Emitter) -> None:
    """MRS."""
    if e.here.rn:
        e.set(e.here.rd, e.let("call preserve_mostcc i32 @read_saved(ptr %cpu)"))
        return
    value = e.op("and", e.load("i32", e.field("cpsr")), 0x0FFFFFFF)
    value = e.op("or", value, e.op("and", e.flag("n"), 1 << 31))
    zero = e.convert("zext", e.test("eq", e.flag("z"), 0), "i1", "i32")
    value = e.op("or", value, e.op("shl", zero, 30))
    value = e.op("or", value, e.op("shl", e.flag("c"), 29))
    value = e.op("or", value, e.op("shl", e.op("lshr", e.flag("v"), 31), 28))
    e.set(e.here.rd, value)


def write_status(e: Emitter, block: Block) -> None:
    """MSR; what changes the mode goes by way of the core's object."""
    i, place = e.here, e.field("cpsr")
    value = str(i.imm) if i.rd else e.get(i.rm)
    here, elsewhere, attend, on = (e.label() for _ in range(4))
    old = e.load("i32", place)
    mode = e.op("and", old, 0x1F)
    same = e.test("eq", mode, e.op("and", value, 0x1F))
    is_simple = e.op("and", same, e.test("ne", mode, 0x10), "i1")
    e.count()
    e.branch(is_simple if i.rs & 1 and not i.rn else "false", here, elsewhere)
    e.begin(elsewhere)
    e.put_back(e.now_dirty)
    answer = e.let(
        f"call preserve_mostcc i32 @write_status(ptr %cpu, i32 {value}, i32 {i.rs | i.rn << 4})"
    )
    e.fetch()
    e.branch(e.test("eq", answer, GO_ON), on, attend, LIKELY)
    e.begin(here)
    mask = 0xDF | (0xF8000000 if i.rs & 8 else 0)
    new = e.op("or", e.op("and", old, ~mask), e.op("and", value, mask))
    e.store("i32", new, place)
    if i.rs & 8:
        zero = e.op("and", e.op("xor", value, -1), 1 << 30)
        carry = e.op("and", e.op("lshr", value, 29), 1)
        for name, flag in zip("nzcv", (value, zero, carry, e.op("shl", value, 3)), strict=True):
            e.store("i32", flag, f"%{name}")
    irq, fiq = (e.load("i8", e.field(name)) for name in ("irq", "fiq"))
    by_irq, by_fiq = (
        e.op("and", e.test("ne", line, 0, "i8"), e.test("eq", e.op("and", new, bit), 0), "i1")
        for line, bit in ((irq, 0x80), (fiq, 0x40))
    )
    e.branch(e.op("or", by_irq, by_fiq, "i1"), attend, on, UNLIKELY)
    e.begin(attend)
    e.now_dirty |= {"n", "z", "c", "v"}
    e.leave(ATTEND << 32 | i.following)
    e.begin(on)
    _fall_through(e, block)


def literal(e: Emitter) -> None:
    """LDR of a constant in ITCM."""
    i = e.here
    if e.image.is_constant(i.imm):
        e.needs.add(i.imm)
        e.set(i.rd, e.image.word(i.imm))
    else:
        e.set(i.rd, e.load("i32", e.offset("%itcm", i.imm)))


def call_prefix(e: Emitter) -> None:
    """Set the first half of a Thumb call."""
    e.set(14, e.here.imm)


@cache
def _table() -> dict[str, Callable[[Emitter], None]]:
    table: dict[str, Callable[[Emitter], None]] = {
        "LDR_LITERAL": literal,
        "LDRD": emit_load_pair,
        "STRD": emit_store_pair,
        "LDM": emit_load_block,
        "STM": emit_store_block,
        "CLZ": count_zeros,
        "MRS": read_status,
        "NOP": lambda e: None,
        "BL_FIRST": call_prefix,
    }
    for form in FORMS:
        for name in LOGICAL:
            table[f"{name}_{form}"] = partial(logical, name=name, form=form, sets=False)
            table[f"{name}S_{form}"] = partial(logical, name=name, form=form, sets=True)
        for name in ARITHMETIC:
            table[f"{name}_{form}"] = partial(arithmetic, name=name, form=form, sets=False)
            table[f"{name}S_{form}"] = partial(arithmetic, name=name, form=form, sets=True)
        for test, name in (("TST", "AND"), ("TEQ", "EOR")):
            table[f"{test}_{form}"] = partial(logical, name=name, form=form, sets=True, keeps=False)
        for test, name in (("CMP", "SUB"), ("CMN", "ADD")):
            table[f"{test}_{form}"] = partial(
                arithmetic, name=name, form=form, sets=True, keeps=False
            )
    for mode in MODES:
        for name, (size, extend) in LOADS.items():
            table[f"{name}_{mode}"] = partial(emit_load, mode=mode, size=size, extend=extend)
        for name, size in STORES.items():
            table[f"{name}_{mode}"] = partial(emit_store, mode=mode, size=size)
    for adds, name in enumerate(("MUL", "MLA")):
        table[name] = partial(multiply, adds=bool(adds), sets=False)
        table[name + "S"] = partial(multiply, adds=bool(adds), sets=True)
    for name in WIDE:
        table[name] = partial(multiply_wide, name=name)
    for name in ("SMULxy", "SMLAxy", "SMULWy", "SMLAWy", "SMLALxy"):
        table[name] = partial(multiply_halves, name=name)
    for name in ("QADD", "QSUB", "QDADD", "QDSUB"):
        table[name] = partial(saturating, name=name)
    return table


def _sets_flags(i: Instruction) -> bool:
    if i.operation == "MSR":
        return bool(i.rs & 8) and not i.rn
    stem = i.operation.partition("_")[0]
    if stem in WIDE or i.operation == "SMLALxy":
        return bool(i.imm & 1)
    return stem in ("TST", "TEQ", "CMP", "CMN", "MULS", "MLAS") or (
        stem[-1] == "S" and stem[:-1] in (*LOGICAL, *ARITHMETIC)
    )


def written(i: Instruction) -> frozenset[str]:
    """Give the registers and flags that an instruction may write, or more."""
    registers = {14} if i.operation in CALLS or i.operation == "BL_FIRST" else set()
    if i.operation.startswith(("LDM", "STM")):
        registers |= {i.rn, *(n for n in range(16) if i.imm >> n & 1)}
    elif i.operation not in ("B", "B_FAR", "BL", "BL_PAIR", "BL_FAR", "BL_SECOND", "BX", "BLX"):
        registers |= {i.rd, i.rn, (i.rd + 1) & 15} if i.operation == "LDRD" else {i.rd, i.rn}
    names = {f"r{n}" for n in registers if n != 15 and n < 15}
    return frozenset(names.union("nzcv") if _sets_flags(i) else names)


def emit_instruction(e: Emitter) -> None:
    """Emit an instruction that is followed by the next one in memory."""
    i = e.here
    emit = _table()[i.operation]
    if i.condition == ALWAYS:
        emit(e)
        return
    then, after = e.label(), e.label()
    condition = e.condition(i.condition)
    if _sets_flags(i):
        e.keep_flags()
    e.branch(condition, then, after)
    e.begin(then)
    emit(e)
    if _sets_flags(i):
        e.keep_flags()
    e.jump(after)
    e.begin(after)


def _fall_through(e: Emitter, block: Block) -> None:
    """End a block with the next instruction in memory; flags kept, instructions counted."""
    following = block.last.following
    if following in e.region.blocks:
        e.jump(block_label(following))
    else:
        e.leave(GO_ON << 32 | following)


def emit_last(e: Emitter, block: Block) -> None:
    """Emit the last instruction of a block, and where it goes on."""
    i = e.here
    if i.operation in INTERPRETED:
        e.leave_by(GO_ON << 32 | i.address, e.done)
        return
    if i.operation not in _ENDS:
        emit_instruction(e)
        e.keep_flags()
        e.count()
        _fall_through(e, block)
        return
    condition = e.condition(i.condition) if i.condition != ALWAYS else None
    e.keep_flags()
    if condition is not None:
        then, otherwise = e.label(), e.label()
        e.branch(condition, then, otherwise)
        e.begin(otherwise)
        e.count()
        _fall_through(e, block)
        e.begin(then)
    _ENDS[i.operation](e, block)


def _branch(e: Emitter, block: Block) -> None:
    assert block.target is not None
    e.count()
    e.jump_to(block.target)


def _call(e: Emitter, block: Block) -> None:
    i = e.here
    if block.target is not None:
        e.set(14, i.following)
        e.count()
        e.call_to(block.target)
        return
    if i.operation == "BLX":
        target = e.get(i.rm)
    else:
        target = e.op("add", e.get(14), i.imm)
        target = e.op("or", target, 1) if i.rd else e.op("and", target, -4)
    e.set(14, i.following)
    e.count()
    e.call_computed(target)


def _exchange(e: Emitter, block: Block) -> None:
    i = e.here
    target = e.get(i.rm)
    e.count()
    loaded = any(
        other.operation == "LDM" and other.rn == 13 and other.imm >> i.rm & 1
        for other in block.instructions
    )
    e.exchange(target, returns=i.rm == 14 or loaded)


def _jump(e: Emitter, block: Block) -> None:
    """Emit data processing that writes r15: a jump that stays in its state."""
    i = e.here
    b = str(i.imm) if i.rs else shifted_by_any(e)[0]
    target = _value(e, i.rd & 15, b)
    if i.rd & 16:
        e.count()
        e.leave(e.op("or", e.convert("zext", target, "i32", "i64"), RETURN << 32, "i64"))
        return
    target = e.op("or", e.op("and", target, -2), 1) if i.thumb else e.op("and", target, -4)
    e.count()
    returns = i.rm == 14 and not i.rs
    e.leave_for(e.convert("zext", target, "i32", "i64"), returns)


def _value(e: Emitter, opcode: int, b: str) -> str:
    if opcode == 13:
        return b
    if opcode == 15:
        return e.op("xor", b, -1)
    a, carry = e.get(e.here.rn), e.flag("c")
    simple = {0: "and", 1: "xor", 2: "sub", 4: "add", 12: "or"}
    if opcode in simple:
        return e.op(simple[opcode], a, b)
    if opcode == 3:
        return e.op("sub", b, a)
    if opcode == 14:
        return e.op("and", a, e.op("xor", b, -1))
    if opcode == 5:
        return e.op("add", e.op("add", a, b), carry)
    difference = e.op("sub", a, b) if opcode == 6 else e.op("sub", b, a)
    return e.op("sub", difference, e.op("xor", carry, 1))


def _wait(e: Emitter, block: Block) -> None:
    e.count()
    e.leave(WAIT << 32 | e.here.following)


_ENDS: dict[str, Callable[[Emitter, Block], None]] = {
    **dict.fromkeys(("B", "B_FAR"), _branch),
    **dict.fromkeys(CALLS, _call),
    "BX": _exchange,
    "ALU_PC": _jump,
    "LDR_PC": lambda e, block: emit_load_pc(e),
    "LDM_PC": lambda e, block: emit_load_block(e),
    "LDM_RETURN": lambda e, block: emit_load_block(e),
    "MSR": write_status,
    "WAIT": _wait,
}
