"""Turn a region into one LLVM function (`csrc/cpu_native.h` says what is asked of it).

Within the function the guest's registers and flags are local variables, which LLVM keeps in host
registers; they go to the core's object where the function is left. Flags are computed where they
are used: within a block they are formulas, between blocks variables. `left` is counted down once a
block and compared at taken branches, as the interpreter does.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from .. import _core
from .instructions import ALWAYS, CONDITIONS, Image, Instruction
from .regions import CALLS, Block, Region
from .text import LIKELY, RESULT, UNLIKELY, Function

LAYOUT: dict[str, int] = _core.LAYOUT
FLAGS = ("n", "z", "c", "v")
GO_ON, JUMP, ATTEND, ABORT, WAIT, RETURN = range(6)
"""`enum native_exit`; a budget that is used up is a jump like any other to cpu.c."""
SIGNATURE = "(ptr %cpu, i64 %left0, i32 %depth, i32 %entry)"
MOST_CALLS = 48
"""Translated functions that may call each other before the interpreter takes over: it bounds the
host's stack, whatever the guest does."""

Formula = Callable[[], str]


def function_name(root: int) -> str:
    """Give the name of a region's function."""
    return f"region_{root:04x}"


class Emitter(Function):
    """The function of one region."""

    def __init__(self, image: Image, region: Region, roots: frozenset[int]) -> None:
        super().__init__()
        self.image, self.region, self.roots = image, region, roots
        self.needs: set[int] = set()
        self.here: Instruction
        self.done = 0
        """Instructions of the block before this one."""
        self._flags: dict[str, str | Formula] = {}
        self._compared: tuple[str, str] | None = None
        self._dirty = _dirty_at_start(region)
        self.now_dirty: set[str] = set()
        self._all_dirty = frozenset().union(*(writes(b) for b in region.blocks.values()))

    # --- registers and flags ------------------------------------------------------------------

    def get(self, number: int) -> str:
        """Read a register as an operand."""
        return str(self.here.pc) if number == 15 else self.load("i32", f"%r{number}")

    def set(self, number: int, value: str | int) -> None:
        """Write a register; r15 as a result of what is unpredictable goes nowhere."""
        if number != 15:
            self.store("i32", value, f"%r{number}")
            self.now_dirty.add(f"r{number}")

    def flag(self, name: str) -> str:
        """Read n (bit 31), z (0 when set), c (0 or 1) or v (bit 31)."""
        value = self._flags.get(name)
        if value is None:
            return self.load("i32", f"%{name}")
        return value if isinstance(value, str) else value()

    def set_flags(self, **values: str | Formula) -> None:
        """Note how flags are computed from now on."""
        self._flags.update(values)
        self.now_dirty.update(values)
        self._compared = None

    def set_compared(self, a: str, b: str) -> None:
        """Note that the flags are those of a - b."""
        self._compared = a, b

    def keep_flags(self, forget: bool = True) -> None:
        """Put flags into their variables."""
        values = [(name, self.flag(name)) for name in self._flags]
        for name, value in values:
            self.store("i32", value, f"%{name}")
        if forget:
            self._flags, self._compared = {}, None

    def condition(self, number: int) -> str:
        """Evaluate a condition."""
        name, inverse = CONDITIONS[number & ~1], number & 1
        value = self._difference(name) if self._compared else None
        if value is None:
            value = self._general(name)
        return self.op("xor", value, "true", "i1") if inverse else value

    def _difference(self, name: str) -> str | None:
        relations = {"EQ": "eq", "CS": "uge", "HI": "ugt", "GE": "sge", "GT": "sgt"}
        if name not in relations or self._compared is None:
            return None
        return self.test(relations[name], *self._compared)

    def _general(self, name: str) -> str:
        if name == "EQ":
            return self.test("eq", self.flag("z"), 0)
        if name == "CS":
            return self.test("ne", self.flag("c"), 0)
        if name in ("MI", "VS"):
            return self.test("slt", self.flag("n" if name == "MI" else "v"), 0)
        if name == "HI":
            return self.op("and", self._general("CS"), self.test("ne", self.flag("z"), 0), "i1")
        equal = self.test("sge", self.op("xor", self.flag("n"), self.flag("v")), 0)
        if name == "GE":
            return equal
        return self.op("and", equal, self.test("ne", self.flag("z"), 0), "i1")

    # --- leaving ------------------------------------------------------------------------------

    def left_after(self, done: int) -> str:
        """Give the budget that is left after so many instructions of the block."""
        return self.op("sub", self.load("i64", "%left"), done, "i64")

    def leave_by(self, code: str | int, done: int, flags_kept: bool = False) -> None:
        """End the block by the exit that all rare cases share."""
        if not flags_kept:
            self.keep_flags(forget=False)
        self.store("i64", self.left_after(done), "%left")
        self.store("i64", code, "%code")
        self.jump("exit")

    def leave(self, code: str | int) -> None:
        """End the block by an exit of its own; flags have been kept and the budget counted."""
        self.put_back(self.now_dirty)
        self.leave_with(self.load("i64", "%left"), code)

    def field(self, name: str) -> str:
        """Give the address of a field of the core's object."""
        number = int(name[1:]) if name[0] == "r" and name[1:].isdigit() else None
        distance = LAYOUT[name] if number is None else LAYOUT["r"] + 4 * number
        return self.offset("%cpu", distance)

    def put_back(self, names: AbstractSet[str]) -> None:
        """Write registers and flags to the core's object."""
        for name in sorted(names):
            self.store("i32", self.load("i32", f"%{name}"), self.field(name))

    def fetch(self) -> None:
        """Read all registers and flags from the core's object."""
        for name in (*(f"r{i}" for i in range(15)), *FLAGS):
            self.store("i32", self.load("i32", self.field(name)), f"%{name}")

    # --- jumps --------------------------------------------------------------------------------

    def count(self) -> None:
        """Count the block's instructions, this one included."""
        self.store("i64", self.left_after(self.done + self.here.steps), "%left")

    def _has_budget(self) -> str:
        return self.test("sgt", self.load("i64", "%left"), 0, "i64")

    def jump_to(self, target: int) -> None:
        """End the block with a taken branch; flags have been kept and the budget counted."""
        inside = target in self.region.blocks
        if not inside and target not in self.roots:
            self.leave(JUMP << 32 | target)
            return
        on, used = self.label(), self.label()
        self.branch(self._has_budget(), on, used, LIKELY)
        self.begin(used)
        self.leave(JUMP << 32 | target)
        self.begin(on)
        if inside:
            self.jump(block_label(target))
        else:
            self.put_back(self.now_dirty)
            self._call(target, "musttail call", "%depth")

    def _call(self, root: int, how: str, depth: str) -> None:
        self._call_by("i32 0", function_name(root), depth, how)

    def _call_by(self, last: str, function: str, depth: str, how: str) -> None:
        left = self.load("i64", "%left")
        arguments = f"ptr %cpu, i64 {left}, i32 {depth}, {last}"
        result = self.let(f"{how} {RESULT} @{function}({arguments})")
        if how != "call":
            self.do(f"ret {RESULT} {result}")
            return
        where = self.let(f"extractvalue {RESULT} {result}, 1")
        back, away = self.label(), self.label()
        returned = self.test("eq", where, JUMP << 32 | self.here.following, "i64")
        left = self.let(f"extractvalue {RESULT} {result}, 0")
        goes_on = self.op("and", returned, self.test("sgt", left, 0, "i64"), "i1")
        self.branch(goes_on, back, away, LIKELY)
        self.begin(away)
        self.do(f"ret {RESULT} {result}")
        self.begin(back)
        self.store("i64", left, "%left")
        self.fetch()
        self.jump(block_label(self.here.following))

    def call_to(self, target: int) -> None:
        """End the block with a call of a known function."""
        if target & 1 != self.here.thumb:
            self._change_state()
        if target not in self.roots or self.here.following not in self.region.blocks:
            self.leave(JUMP << 32 | target)
            return
        on, used = self.label(), self.label()
        shallow = self.test("ult", "%depth", MOST_CALLS)
        self.branch(self.op("and", self._has_budget(), shallow, "i1"), on, used, LIKELY)
        self.begin(used)
        self.leave(JUMP << 32 | target)
        self.begin(on)
        self.put_back(self.now_dirty)
        self._call(target, "call", self.op("add", "%depth", 1))

    def _change_state(self) -> None:
        place = self.field("cpsr")
        self.store("i32", self.op("xor", self.load("i32", place), 0x20), place)

    def state_of(self, target: str) -> str:
        """Enter the state that bit 0 of an address says; give the address as an exit has it."""
        change, done = self.label(), self.label()
        other = self.test("ne", self.op("and", target, 1), self.here.thumb)
        self.branch(other, change, done, UNLIKELY)
        self.begin(change)
        self._change_state()
        self.jump(done)
        self.begin(done)
        arm = self.op("and", target, -4)
        bit = self.convert("trunc", target, "i32", "i1")
        return self.convert("zext", self.select(bit, target, arm), "i32", "i64")

    def exchange(self, target: str, returns: bool) -> None:
        """End the block with a jump to a computed address, its bit 0 the new state."""
        self.leave_for(self.state_of(target), returns)

    def leave_for(self, where: str, returns: bool) -> None:
        """End the block with a jump to an address as an exit has it.

        One that `returns` leads back into a function that may have called this one.
        """
        if returns:
            self.leave(self.op("or", where, JUMP << 32, "i64"))
            return
        self.put_back(self.now_dirty)
        self._call_by(f"i64 {where}", "jump", "%depth", "tail call")

    def call_computed(self, target: str) -> None:
        """End the block with a call of a computed address."""
        where = self.state_of(target)
        self.put_back(self.now_dirty)
        if self.here.following in self.region.blocks:
            self._call_by(f"i64 {where}", "jump", self.op("add", "%depth", 1), "call")
        else:
            self.leave_with(self.load("i64", "%left"), self.op("or", where, JUMP << 32, "i64"))

    # --- the whole ----------------------------------------------------------------------------

    def function(self) -> str:
        """Give the text of the function."""
        from .ends import emit_last
        from .operations import emit_instruction

        self.begin("start")
        for name in (*(f"r{i}" for i in range(15)), *FLAGS):
            self.do(f"%{name} = alloca i32")
        self.do("%left = alloca i64")
        self.do("%code = alloca i64")
        self.do("%words = alloca [16 x i32]")
        self.store("i64", "%left0", "%left")
        self.fetch()
        for name in ("itcm", "dtcm", "sdram"):
            place = self.field(name)
            self.do(f"%{name} = load ptr, ptr {place}, !invariant.load !2")
        self._dispatch()
        for address, block in self.region.blocks.items():
            self._begin_block(address)
            for self.here in block.instructions[:-1]:
                emit_instruction(self)
                self.done += 1
            self.here = block.last
            emit_last(self, block)
        self.begin("exit")
        self.put_back(self._all_dirty)
        self.leave_with(self.load("i64", "%left"), self.load("i64", "%code"))
        kind = "#2" if self.region.is_small else "#0"
        head = f"define hidden {RESULT} @{function_name(self.region.root)}{SIGNATURE} {kind} {{"
        return "\n".join([head, *self.lines, "}"])

    def _dispatch(self) -> None:
        other, first = self.label(), block_label(self.region.entries[0])
        self.branch(self.test("eq", "%entry", 0), first, other, LIKELY)
        self.begin(other)
        cases = " ".join(
            f"i32 {number}, label %{block_label(entry)}"
            for number, entry in enumerate(self.region.entries)
        )
        self.do(f"switch i32 %entry, label %{first} [ {cases} ]")

    def _begin_block(self, address: int) -> None:
        self.begin(block_label(address))
        self._flags, self._compared, self.done = {}, None, 0
        self.now_dirty = set(self._dirty[address])
        for instruction in self.region.blocks[address].instructions:
            self.needs.update(range(instruction.address & ~3, instruction.following & ~1, 4))


def block_label(address: int) -> str:
    """Give the label of the block at an address."""
    return f"at_{address:04x}"


def writes(block: Block) -> frozenset[str]:
    """Give the registers and flags that a block may write: conservative."""
    from .operations import written

    return frozenset().union(*(written(instruction) for instruction in block.instructions))


def _dirty_at_start(region: Region) -> dict[int, frozenset[str]]:
    """Find what may differ from the core's object where each block begins."""
    dirty: dict[int, frozenset[str]] = {address: frozenset() for address in region.blocks}
    waiting = list(region.blocks)
    while waiting:
        block = region.blocks[waiting.pop()]
        after = dirty[block.address] | writes(block)
        if block.last.operation in CALLS and block.last.condition == ALWAYS:
            after = frozenset()
        for successor in block.successors:
            if not after <= dirty[successor]:
                dirty[successor] |= after
                waiting.append(successor)
    return dirty
