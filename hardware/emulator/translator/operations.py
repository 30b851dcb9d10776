"""What each operation does, as LLVM instructions: the counterpart of the handlers in csrc/cpu.c."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from .arithmetic import (
    ARITHMETIC,
    FORMS,
    LOGICAL,
    WIDE,
    arithmetic,
    count_zeros,
    logical,
    multiply,
    multiply_halves,
    multiply_wide,
    saturating,
)
from .emit import Emitter
from .instructions import ALWAYS, Instruction
from .memory import (
    emit_load,
    emit_load_block,
    emit_load_pair,
    emit_store,
    emit_store_block,
    emit_store_pair,
)
from .regions import CALLS

MODES = ("IMM", "REG", "PRE", "POST", "ANY")
LOADS = {"LDR": (4, ""), "LDRB": (1, "zext"), "LDRH": (2, "zext")}
LOADS |= {"LDRSB": (1, "sext"), "LDRSH": (2, "sext")}
STORES = {"STR": 4, "STRB": 1, "STRH": 2}


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
