"""Instructions that end a block, as LLVM instructions: where it goes on."""

from __future__ import annotations

from collections.abc import Callable

from .emit import ATTEND, GO_ON, RETURN, WAIT, Emitter, block_label
from .instructions import ALWAYS
from .memory import emit_load_block, emit_load_pc, shifted_by_any
from .operations import emit_instruction
from .regions import CALLS, INTERPRETED, Block
from .text import LIKELY, UNLIKELY


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


def _fall_through(e: Emitter, block: Block) -> None:
    """End a block with the next instruction in memory; flags kept, instructions counted."""
    following = block.last.following
    if following in e.region.blocks:
        e.jump(block_label(following))
    else:
        e.leave(GO_ON << 32 | following)


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
