"""Memory access: DTCM, SDRAM and ITCM inline, the rest by way of the core's object."""

from __future__ import annotations

from collections.abc import Callable

from .emit import ABORT, ATTEND, GO_ON, JUMP, RETURN, Emitter
from .text import LIKELY

LSL, LSR, ASR, ROR, RRX, BY_REGISTER = 0, 1, 2, 3, 4, 8
PRE, WRITEBACK, REGISTER, SUBTRACT = 1, 2, 4, 8
KINDS = {1: "i8", 2: "i16", 4: "i32"}
_DTCM, _SDRAM = (0xFFFF0000, 0x00400000, 0xFFFF), (0xE8000000, 0x60000000, 0x7FFFFFF)
_ITCM = (0xFFFF8000, 0, 0x7FFF)
STACK_POINTER = 13
"""What lies behind this register is in DTCM, or by way of the core's object, which costs more."""
_LAST_BLOCK = 0x8000000 - 64


def _narrow(e: Emitter, value: str) -> str:
    return e.convert("trunc", value, "i64", "i32")


def shifted_by_any(e: Emitter) -> tuple[str, Callable[[], str]]:
    """Give an operand of any form, and the carry that it leaves."""
    packed = e.here.imm
    value, kind = e.get(e.here.rm), packed & 7
    old = e.flag("c")
    if kind == RRX:
        result = e.op("or", e.op("lshr", value, 1), e.op("shl", old, 31))
        return result, lambda: e.op("and", value, 1)
    number = packed >> 8
    amount = e.op("and", e.get(number), 0xFF) if packed & BY_REGISTER else str(number)
    if kind == ROR:
        result = e.let(f"call i32 @llvm.fshr.i32(i32 {value}, i32 {value}, i32 {amount})")
        out: Callable[[], str] = lambda: e.op("lshr", result, 31)  # noqa: E731
    else:
        most = 32 if kind == ASR else 33
        over = e.test("ult", amount, most)
        by = e.convert("zext", e.select(over, amount, most), "i32", "i64")
        wide = e.convert("sext" if kind == ASR else "zext", value, "i32", "i64")
        shift = {LSL: "shl", LSR: "lshr", ASR: "ashr"}[kind]
        moved = e.op(shift, wide, by, "i64")
        result = _narrow(e, moved)

        def out() -> str:
            if kind == LSL:
                bit = e.op("lshr", moved, 32, "i64")
            else:
                bit = e.op(shift, e.op("shl", wide, 1, "i64"), by, "i64")
            return e.op("and", _narrow(e, bit), 1)

    return result, lambda: e.select(e.test("eq", amount, 0), old, out())


def _address(e: Emitter, mode: str) -> tuple[str, Callable[[], None]]:
    """Give the address of a transfer, and what moves the base register after it."""
    i = e.here
    start = e.get(i.rn)
    if mode == "REG":
        return e.op("add", start, e.op("shl", e.get(i.rm), i.rs)), lambda: None
    if mode != "ANY":
        moved = e.op("add", start, i.imm)
        address = start if mode == "POST" else moved
        return address, (lambda: None) if mode == "IMM" else lambda: e.set(i.rn, moved)
    step = shifted_by_any(e)[0] if i.rs & REGISTER else str(i.imm)
    moved = e.op("sub" if i.rs & SUBTRACT else "add", start, step)
    rebased = i.rs & (PRE | WRITEBACK) != PRE
    return moved if i.rs & PRE else start, lambda: e.set(i.rn, moved) if rebased else None


def _where(e: Emitter, size: int) -> int:
    return e.here.address & ~1 | size << 16


def _pointer(e: Emitter, address: str, base: str, mask: int) -> str:
    return e.offset(base, e.convert("zext", e.op("and", address, mask), "i32", "i64"))


def _in_memory(
    e: Emitter, address: str, size: int, join: str, access: Callable[[str], str], itcm: bool
) -> list[tuple[str, str]]:
    """Access an aligned address where it lies in memory, and go on at `join` with what `access`
    gives for its pointer; begin a block for the rest. Returns (value, block) of each memory."""
    found = []
    places = [(_DTCM, "%dtcm"), (_SDRAM, "%sdram"), *([(_ITCM, "%itcm")] if itcm else [])]
    if e.here.rn == STACK_POINTER:
        del places[1:]
    for (mask, value, inner), base in places:
        here, otherwise = e.label(), e.label()
        is_here = e.test("eq", e.op("and", address, mask | size - 1), value)
        e.branch(is_here, here, otherwise, LIKELY)
        e.begin(here)
        found.append((access(_pointer(e, address, base, inner)), here))
        e.jump(join)
        e.begin(otherwise)
    return found


def _is_return(e: Emitter) -> bool:
    return e.here.operation == "LDM_RETURN"


Finish = Callable[[str], str | None]
"""Completes an instruction with what it has loaded, or where that lies; gives the address that it
jumps to, if it does."""


def _answered(e: Emitter, answer: str, finish: Callable[[], str | None], on: str) -> None:
    """Go on at a label, or leave as a callout has answered: before the instruction or after it."""
    leave, abort, complete = e.label(), e.label(), e.label()
    e.branch(e.test("eq", answer, GO_ON), on, leave, LIKELY)
    e.begin(leave)
    e.keep_flags(forget=False)
    e.branch(e.test("eq", answer, ABORT), abort, complete)
    e.begin(abort)
    e.leave_by(ABORT << 32 | e.here.address, e.done, flags_kept=True)
    e.begin(complete)
    target = finish()
    code = e.op("shl", e.convert("zext", answer, "i32", "i64"), 32, "i64")
    where: str | int = e.here.following
    if target is not None and _is_return(e):
        where, code = e.convert("zext", target, "i32", "i64"), str(RETURN << 32)
    elif target is not None:
        where = e.state_of(target)
        code = e.select(e.test("eq", answer, ATTEND), code, JUMP << 32, "i64")
    e.leave_by(e.op("or", code, where, "i64"), e.done + 1, flags_kept=True)


def _load(e: Emitter, address: str, size: int, extend: str, finish: Finish) -> str:
    """Load and give 32 bits; `finish` completes the instruction where it must be left."""
    kind, join, slow = KINDS[size], e.label(), e.label()
    found = _in_memory(e, address, size, join, lambda p: e.load(kind, p, ", align 1"), True)
    arguments = f"ptr %cpu, i32 {address}, i32 {_where(e, size)}, i64 {e.left_after(e.done)}"
    wide = e.let(f"call preserve_mostcc i64 @load({arguments})")
    value = e.convert("trunc", wide, "i64", kind)

    def extended(value: str) -> str:
        return e.convert(extend, value, kind, "i32") if extend else value

    _answered(e, _narrow(e, e.op("lshr", wide, 32, "i64")), lambda: finish(extended(value)), slow)
    e.begin(slow)
    e.jump(join)
    e.begin(join)
    return extended(e.phi(kind, [*found, (value, slow)]))


def emit_load(e: Emitter, mode: str, size: int, extend: str) -> None:
    """LDR, LDRB, LDRH, LDRSB, LDRSH."""
    address, rebase = _address(e, mode)

    def finish(value: str) -> None:
        rebase()
        e.set(e.here.rd, value)

    finish(_load(e, address, size, extend, finish))


def emit_load_pc(e: Emitter) -> None:
    """LDR of r15, which ends a block."""
    address, rebase = _address(e, "ANY")

    def finish(value: str) -> str:
        rebase()
        return value

    target = finish(_load(e, address, 4, "", finish))
    e.count()
    e.exchange(target, returns=e.here.rn == 13)


def emit_store(e: Emitter, mode: str, size: int) -> None:
    """STR, STRB, STRH."""
    i, kind, join = e.here, KINDS[size], e.label()
    address, rebase = _address(e, mode)
    whole = str(i.pc + 4) if i.rd == 15 and mode == "ANY" else e.get(i.rd)
    value = whole if size == 4 else e.convert("trunc", whole, "i32", kind)

    def access(pointer: str) -> str:
        e.store(kind, value, pointer, ", align 1")
        return ""

    _in_memory(e, address, size, join, access, False)
    arguments = f"i32 {address}, i32 {whole}, i32 {_where(e, size)}, i64 {e.left_after(e.done)}"
    answer = e.let(f"call preserve_mostcc i32 @store(ptr %cpu, {arguments})")
    _answered(e, answer, rebase, join)
    e.begin(join)
    rebase()


def _block_pointer(
    e: Emitter, address: str, words: int, rest: Callable[[], None], rest_label: str
) -> str:
    """Give the host's address of consecutive words; `rest` runs, in a block of that name which it
    must leave open, where they are not aligned, all in DTCM or SDRAM: then they are in %words."""
    join, dtcm, other, sdram, slow = (e.label() for _ in range(5))
    first = e.op("sub", address, 0x400000)
    rotated = e.let(f"call i32 @llvm.fshr.i32(i32 {first}, i32 {first}, i32 2)")
    e.branch(e.test("ule", rotated, 0x4000 - words), dtcm, other, LIKELY)
    e.begin(dtcm)
    found = [(e.offset("%dtcm", e.convert("zext", first, "i32", "i64")), dtcm)]
    e.jump(join)
    e.begin(other)
    if e.here.rn != STACK_POINTER:
        inner = e.op("and", address, _SDRAM[2])
        is_sdram = e.test("eq", e.op("and", address, _SDRAM[0] | 3), _SDRAM[1])
        fits = e.test("ule", inner, _LAST_BLOCK)
        e.branch(e.op("and", is_sdram, fits, "i1"), sdram, slow, LIKELY)
        e.begin(sdram)
        found.append((e.offset("%sdram", e.convert("zext", inner, "i32", "i64")), sdram))
        e.jump(join)
        e.begin(slow)
    rest()
    e.begin(rest_label)
    e.jump(join)
    e.begin(join)
    return e.phi("ptr", [*found, ("%words", rest_label)])


def _load_words(e: Emitter, address: str, words: int, finish: Finish) -> str:
    """Give the host's address of words that have been loaded."""
    on = e.label()

    def rest() -> None:
        where, left = _where(e, words), e.left_after(e.done)
        arguments = f"ptr %cpu, i32 {address}, i32 {where}, i64 {left}, ptr %words"
        answer = e.let(f"call preserve_mostcc i32 @load_block({arguments})")
        _answered(e, answer, lambda: finish("%words"), on)

    return _block_pointer(e, address, words, rest, on)


def _store_words(e: Emitter, address: str, values: list[str], finish: Callable[[], None]) -> None:
    on = e.label()

    def put(pointer: str) -> None:
        for number, value in enumerate(values):
            e.store("i32", value, e.offset(pointer, 4 * number), ", align 1")

    def rest() -> None:
        put("%words")
        where, left = _where(e, len(values)), e.left_after(e.done)
        arguments = f"ptr %cpu, i32 {address}, i32 {where}, i64 {left}, ptr %words"
        answer = e.let(f"call preserve_mostcc i32 @store_block({arguments})")
        _answered(e, answer, finish, on)

    put(_block_pointer(e, address, len(values), rest, on))
    finish()


def _word(e: Emitter, pointer: str, number: int) -> str:
    return e.load("i32", e.offset(pointer, 4 * number), ", align 1")


def emit_load_pair(e: Emitter) -> None:
    """LDRD."""
    i = e.here
    address, rebase = _address(e, "ANY")

    def finish(pointer: str) -> None:
        values = [_word(e, pointer, number) for number in (0, 1)]
        rebase()
        for register, value in zip((i.rd, i.rd + 1), values, strict=True):
            e.set(register, value)

    finish(_load_words(e, address, 2, finish))


def emit_store_pair(e: Emitter) -> None:
    """STRD."""
    i = e.here
    address, rebase = _address(e, "ANY")
    values = [e.get(i.rd), e.get(i.rd + 1)]
    _store_words(e, address, values, rebase)


def _signed(value: int) -> int:
    return value - 256 if value > 127 else value


def _list(e: Emitter) -> list[int]:
    return [number for number in range(16) if e.here.imm >> number & 1]


def _block_address(e: Emitter) -> tuple[str, Callable[[], None]]:
    i = e.here
    base = e.get(i.rn)
    address = e.op("add", base, 4 * _signed(i.rs))
    moved = 4 * _signed(i.rm)

    def rebase() -> None:
        if moved:
            e.set(i.rn, e.op("add", base, moved))

    return address, rebase


def emit_load_block(e: Emitter) -> None:
    """LDM; with r15 in the list it ends a block."""
    address, rebase = _block_address(e)

    def finish(pointer: str) -> str | None:
        values = [_word(e, pointer, number) for number in range(len(_list(e)))]
        rebase()
        for register, value in zip(_list(e), values, strict=True):
            e.set(register, value)
        return values[-1] if e.here.imm >> 15 else None

    target = finish(_load_words(e, address, len(_list(e)), finish))
    if target is None:
        return
    e.count()
    if _is_return(e):
        e.leave(e.op("or", e.convert("zext", target, "i32", "i64"), RETURN << 32, "i64"))
    else:
        e.exchange(target, returns=e.here.rn == 13)


def emit_store_block(e: Emitter) -> None:
    """STM."""
    address, rebase = _block_address(e)
    _store_words(e, address, [e.get(number) for number in _list(e)], rebase)
