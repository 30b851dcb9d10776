"""Recorded segments of what a core did (`csrc/record.c`), and cores that do it again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WAITING, BUDGET, STOPPED, DEFERRED = 0, 1, 2, 6  # enum cpu_exit
NAMES = (
    *(f"r{i}" for i in range(16)),
    *("cpsr", "irq", "fiq", "stop"),
    *(f"r13_{mode}" for mode in ("usr", "fiq", "irq", "svc", "abt", "und")),
    *(f"r14_{mode}" for mode in ("usr", "fiq", "irq", "svc", "abt", "und")),
    *(f"r{i}_usr" for i in range(8, 13)),
    *(f"r{i}_fiq" for i in range(8, 13)),
    *(f"spsr_{mode}" for mode in ("usr", "fiq", "irq", "svc", "abt", "und")),
    "instructions",
)
"""Of the words of a state."""


@dataclass(frozen=True)
class Access:
    """One use of a peripheral, how lines and stop stand after it, and what memory it changed."""

    write: bool
    address: int
    value: int
    size: int
    pc: int
    instructions: int
    irq: int
    fiq: int
    stop: int
    aborted: int
    changed: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass
class Segment:
    """One run of a core: where it starts, what it meets, and what it must come to."""

    core: int
    isolated: int
    budget: int
    before: dict[str, int]
    pages_before: dict[int, bytes] = field(default_factory=dict)
    accesses: list[Access] = field(default_factory=list)
    interrupted: set[int] = field(default_factory=set)
    result: int = -1
    after: dict[str, int] = field(default_factory=dict)
    pages_after: dict[int, bytes] = field(default_factory=dict)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        self.at += length
        return self.data[self.at - length : self.at]

    def words(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self.take(4 * count))

    def state(self) -> dict[str, int]:
        return dict(zip(NAMES, self.words(len(NAMES)), strict=True))


def read(path: Path) -> Iterator[Segment]:
    """Read the complete segments of a file."""
    reader = _Reader(path.read_bytes())
    while reader.at < len(reader.data):
        assert reader.take(4) == b"SEGM"
        segment = Segment(*reader.words(3), reader.state())
        pages = segment.pages_before
        while (kind := reader.take(4)) != b"ENDS":
            if kind == b"PAGE":
                (address,) = reader.words(1)
                pages[address] = reader.take(4096)
            elif kind in (b"READ", b"WRIT"):
                segment.accesses.append(Access(kind == b"WRIT", *reader.words(9)))
            elif kind == b"DATA":
                address, length = reader.words(2)
                segment.accesses[-1].changed.append((address, reader.take(length)))
            elif kind == b"TAKE":
                segment.interrupted.add(reader.words(1)[0])
            elif kind == b"DONE":
                (segment.result,) = reader.words(1)
                segment.after, pages = reader.state(), segment.pages_after
            else:
                return  # the board was stopped in the middle of it
        yield segment
