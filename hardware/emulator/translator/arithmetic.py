"""What data processing and multiplication do, as LLVM instructions."""

from __future__ import annotations

from collections.abc import Callable

from .emit import Emitter
from .memory import shifted_by_any
from .text import LIKELY

FORMS = ("IMM", "REG", "LSL", "LSR", "ASR", "ANY")
LOGICAL = {"AND": "and", "EOR": "xor", "ORR": "or", "BIC": "bic", "MOV": "mov", "MVN": "mvn"}
ARITHMETIC = ("SUB", "RSB", "ADD", "ADC", "SBC", "RSC")
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
