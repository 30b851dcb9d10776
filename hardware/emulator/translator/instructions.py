"""The instructions of an ITCM image, as the interpreter's own decoder sees them.

The meaning of the fields by kind of operation is that of `csrc/cpu_ops.h`. Thumb instructions are
the ARM instructions that do the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ...constants import ITCM_SIZE
from .. import _core

ALWAYS = 14
CONDITIONS = ("EQ", "NE", "CS", "CC", "MI", "PL", "VS", "VC", "HI", "LS", "GE", "LT", "GT", "LE")
RECORD = struct.Struct("<iBBBBIi")
_NAMES: tuple[str, ...] = _core.OPERATIONS
_FIRST_IF = _NAMES.index("IF_EQ")
_PC8, _PC12 = _NAMES.index("PC8"), _NAMES.index("PC12")
VECTORS_SIZE = 0x40
"""Bytes of exception vectors and of the addresses that they load."""
THUMB_RECORDS_FROM = ITCM_SIZE // 4 + 1
"""Number of the first Thumb record, FIRST_THUMB of cpu_ops.h."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: `address` has bit 0 set in Thumb state, `pc` is what it reads as r15."""

    address: int
    operation: str
    condition: int
    rd: int
    rn: int
    rm: int
    rs: int
    imm: int
    second: int
    pc: int

    @property
    def thumb(self) -> int:
        """1 in Thumb state, else 0."""
        return self.address & 1

    @property
    def unit(self) -> int:
        """Bytes that one record stands for."""
        return 2 if self.thumb else 4

    @property
    def steps(self) -> int:
        """How many instructions it counts as."""
        return 2 if self.operation == "BL_PAIR" else 1

    @property
    def following(self) -> int:
        """The next instruction in memory."""
        return self.address + self.unit * self.steps

    @property
    def number(self) -> int:
        """The number of its record."""
        return record_number(self.address)

    @cached_property
    def near_target(self) -> int:
        """Where a near branch goes."""
        distance = self.imm - (1 << 32) if self.imm >> 31 else self.imm
        return self.following + self.unit * distance // RECORD.size


def record_number(address: int) -> int:
    """Give the number of the record of an address with the Thumb bit."""
    return THUMB_RECORDS_FROM + address // 2 if address & 1 else address // 4


def record_address(number: int) -> int:
    """Give the address, with the Thumb bit, of a record."""
    if number >= THUMB_RECORDS_FROM:
        return 2 * (number - THUMB_RECORDS_FROM) | 1
    return 4 * number


class Image:
    """An ITCM image that gives the instruction at an address (bit 0: Thumb).

    Vectors and `changed` words, which a program has written to, do not count as code.
    """

    def __init__(self, data: bytes, changed: Iterable[int] = ()) -> None:
        self.data = data.ljust(ITCM_SIZE, b"\0")
        self._no_code = {address & ~3 for address in changed}.union(range(0, VECTORS_SIZE, 4))
        self._records = [_core.decode(self.data, thumb) for thumb in (False, True)]
        self._known: dict[int, Instruction] = {}

    def word(self, address: int) -> int:
        """Read a word."""
        return int.from_bytes(self.data[address : address + 4], "little")

    def __contains__(self, address: int) -> bool:
        return 0 <= address < ITCM_SIZE and self.is_constant(address)

    def is_constant(self, address: int) -> bool:
        """Tell whether a word may be taken for what it is in the image."""
        return address & ~3 not in self._no_code

    def vectors(self) -> Iterator[int]:
        """Give where the exception vectors lead."""
        for address in range(0, 0x20, 4):
            instruction = self[address]
            if instruction.operation == "LDR_PC" and instruction.rn == 15:
                yield self.word(instruction.pc + instruction.imm & ITCM_SIZE - 1)
            elif instruction.operation == "B":
                yield instruction.near_target

    def __getitem__(self, address: int) -> Instruction:
        if address not in self._known:
            self._known[address] = self._decode(address)
        return self._known[address]

    def _decode(self, address: int) -> Instruction:
        thumb = address & 1
        place, unit = address & ~1, 2 if thumb else 4
        at = place // unit * RECORD.size
        handler, rd, rn, rm, rs, imm, second = RECORD.unpack_from(self._records[thumb], at)
        condition, pc = ALWAYS, place + 2 * unit
        if handler in (_PC8, _PC12):
            if handler == _PC12:
                pc = pc & ~3 if thumb else pc + 4
            handler, condition = second & 0xFFFF, min(second >> 16, ALWAYS)
        elif _FIRST_IF <= handler < _FIRST_IF + len(CONDITIONS):
            handler, condition = second, handler - _FIRST_IF
        name = _NAMES[handler]
        if name.startswith("B_") and name[2:] in CONDITIONS:
            condition, name = CONDITIONS.index(name[2:]), "B"
        elif name == "B_AL":
            name = "B"
        return Instruction(address, name, condition, rd, rn, rm, rs, imm, second, pc)
