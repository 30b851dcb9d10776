"""Find the code in an image and cut it into regions, which become one function each.

A region is what can be reached from its root without a call: the root is the target of a call, a
vector, or an address that the interpreter has met and that no other region holds. Code that two
regions reach is in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...constants import ITCM_SIZE
from .instructions import ALWAYS, Image, Instruction

CALLS = frozenset(("BL", "BL_PAIR", "BL_FAR", "BL_SECOND", "BLX"))
JUMPS = frozenset(("B", "B_FAR", "BX", "ALU_PC", "LDR_PC", "LDM_PC", "LDM_RETURN"))
INTERPRETED = frozenset(
    ("SWP", "SWPB", "MRC", "MCR", "LDM_USER", "STM_USER", "SWI", "BKPT", "UNDEFINED", "OUTSIDE")
)
"""Left to the interpreter: too rare to be worth it."""
_DEAD_ENDS = frozenset(("BKPT", "UNDEFINED"))
_PLAUSIBLE = 12
_PLAUSIBLE_DATA = 3
"""Instructions within which a function has its push, at the address that an instruction loads or
that any word is."""
_SMALL = 8


def target_of(instruction: Instruction, before: Instruction | None) -> int | None:
    """Give where a branch or call goes, None when only a register knows."""
    operation = instruction.operation
    if operation in ("B", "BL", "BL_PAIR"):
        return instruction.near_target
    if operation == "B_FAR":
        return instruction.imm & ~1 | instruction.thumb
    if operation == "BL_FAR":
        return instruction.imm
    if operation == "BL_SECOND" and before is not None and before.operation == "BL_FIRST":
        target = before.imm + instruction.imm & 0xFFFFFFFF
        return target | 1 if instruction.rd else target & ~3
    return None


def ends_block(instruction: Instruction) -> bool:
    """Tell whether a block ends with this instruction."""
    operation = instruction.operation
    return operation in CALLS | JUMPS | INTERPRETED or operation in ("WAIT", "MSR")


@dataclass
class Block:
    """Instructions that are entered at the first only; `successors` within the region."""

    instructions: list[Instruction]
    target: int | None = None
    successors: list[int] = field(default_factory=list)

    @property
    def address(self) -> int:
        """Where it begins."""
        return self.instructions[0].address

    @property
    def last(self) -> Instruction:
        """The instruction that it ends with."""
        return self.instructions[-1]


@dataclass
class Region:
    """The blocks reached from `root`, and at which of them it can be entered, the root first."""

    root: int
    blocks: dict[int, Block]
    entries: list[int]

    @property
    def is_small(self) -> bool:
        """Tell whether to make it part of its callers."""
        return sum(len(block.instructions) for block in self.blocks.values()) <= _SMALL and not any(
            block.last.operation in CALLS for block in self.blocks.values()
        )


class Explorer:
    """Follows the code of an image from addresses that are known to be executed."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.roots: set[int] = set()
        self._seen: set[int] = set()

    def add(self, address: int) -> None:
        """Make an address a root, and find the roots that it leads to."""
        waiting = [address]
        while waiting:
            root = waiting.pop()
            if root in self._image and root not in self.roots:
                self.roots.add(root)
                waiting += self._follow(root)

    def has_seen(self, address: int) -> bool:
        """Tell whether some root leads to this address."""
        return address in self._seen

    def _follow(self, root: int) -> Iterator[int]:
        """Walk through what has not been seen, and give the roots met."""
        waiting = [root]
        while waiting:
            address, before = waiting.pop(), None
            while address in self._image and address not in self._seen:
                self._seen.add(address)
                instruction = self._image[address]
                target = target_of(instruction, before)
                if instruction.operation in CALLS and target is not None:
                    yield target
                elif target is not None:
                    waiting.append(target)
                yield from self._pointers(instruction)
                if not _goes_on(instruction):
                    break
                address, before = instruction.following, instruction

    def _pointers(self, instruction: Instruction) -> Iterator[int]:
        """Give the constant that an instruction loads if it looks like the address of code."""
        if instruction.operation == "LDR_LITERAL":
            value = self._image.word(instruction.imm)
        elif instruction.operation == "MOV_IMM":
            value = instruction.imm
        else:
            return
        if value in self._image and self._is_plausible(value, _PLAUSIBLE):
            yield value

    def add_pointers(self) -> None:
        """Make roots of all words that look like the address of a function.

        Interrupt handlers are known from tables that only code not yet seen may read.
        """
        for place in range(0, ITCM_SIZE, 4):
            value = self._image.word(place)
            if value in self._image and self._is_plausible(value, _PLAUSIBLE_DATA):
                self.add(value)

    def _is_plausible(self, address: int, within: int) -> bool:
        """Tell whether code at an address begins like a function: with a push, soon."""
        if address & 3 in (2, 3) and not address & 1:
            return False
        for _ in range(within):
            if address not in self._image:
                return False
            instruction = self._image[address]
            if instruction.operation in ("STM", "STR_PRE") and instruction.rn == 13:
                return True
            if instruction.operation in ("BX", "LDM_PC"):
                return True
            if ends_block(instruction) or instruction.condition != ALWAYS:
                return False
            address = instruction.following
        return False


def _goes_on(instruction: Instruction) -> bool:
    """Tell whether the next instruction in memory may be executed after this one."""
    operation = instruction.operation
    if instruction.condition != ALWAYS or operation in CALLS:
        return True
    return operation not in JUMPS and operation not in _DEAD_ENDS


def find_regions(image: Image, executed: Iterable[int] = ()) -> list[Region]:
    """Cut all code that vectors, calls, pointers and the addresses `executed` lead to."""
    explorer = Explorer(image)
    for target in image.vectors():
        explorer.add(target)
    for address in sorted(executed):
        if not explorer.has_seen(address):
            explorer.add(address)
    explorer.add_pointers()
    return [_region(image, root, explorer.roots) for root in sorted(explorer.roots)]


def _region(image: Image, root: int, roots: set[int]) -> Region:
    """Walk from a root twice: first to see where blocks begin, then to cut them."""
    starts, seen, waiting = {root}, set(), [root]
    while waiting:
        address, before = waiting.pop(), None
        while address in image and address not in seen:
            seen.add(address)
            instruction = image[address]
            target = target_of(instruction, before)
            if (
                target is not None
                and instruction.operation not in CALLS
                and _stays(instruction, target, root, roots)
            ):
                starts.add(target)
                waiting.append(target)
            if not _goes_on(instruction):
                break
            if ends_block(instruction):
                starts.add(instruction.following)
            address, before = instruction.following, instruction
    blocks = {start: _block(image, start, starts) for start in sorted(starts) if start in image}
    for block in blocks.values():
        if (
            block.target is not None
            and block.target in blocks
            and block.last.operation not in CALLS
        ):
            block.successors.append(block.target)
        if _goes_on(block.last) and block.last.following in blocks:
            block.successors.append(block.last.following)
    return Region(root, blocks, _entries(root, blocks))


def _stays(instruction: Instruction, target: int, root: int, roots: set[int]) -> bool:
    """Tell whether a branch stays in its region; one to another root without condition does not."""
    return target == root or target not in roots or instruction.condition != ALWAYS


def _block(image: Image, start: int, starts: set[int]) -> Block:
    instructions = [image[start]]
    while not ends_block(instructions[-1]):
        following = instructions[-1].following
        if following in starts or following not in image:
            break
        instructions.append(image[following])
    before = instructions[-2] if len(instructions) > 1 else None
    return Block(instructions, target_of(instructions[-1], before))


def _entries(root: int, blocks: dict[int, Block]) -> list[int]:
    """Enter at the root, after what leaves the region or may, and where loops begin."""
    entries = {root}
    for block in blocks.values():
        last = block.last
        if last.operation in CALLS | INTERPRETED or last.operation in ("WAIT", "MSR"):
            entries.add(last.following)
        if block.target is not None and block.target <= last.address:
            entries.add(block.target)
    return [root, *sorted((entries & blocks.keys()) - {root})]
