"""The memory and registers of one chip, and the heaps that live in them.

A heap is the block list of spinnaker_tools' `sark/sark_alloc.c`, kept in the chip's own memory
because the application cores read and write it too:

    heap  : free list, first block, last block, free bytes   (u32 each), then the blocks
    block : next block, next free block                      (u32 each), then the data

An allocated block's second word is 0xffff0000 | application << 8 | tag.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_BLOCK = 8


class Memory:
    """Typed access to what a chip's monitor sees, by SpiNNaker address."""

    def __init__(self, core: Any, chip: int) -> None:
        self._core = core
        self._chip = chip

    def read(self, address: int, length: int) -> bytes:
        """Read bytes; ValueError where there is neither memory nor registers."""
        data: bytes = self._core.read(self._chip, address, length)
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write bytes; ValueError where there is neither memory nor registers."""
        self._core.write(self._chip, address, data)

    def u8(self, address: int) -> int:
        """Read a byte."""
        return self.read(address, 1)[0]

    def u16(self, address: int) -> int:
        """Read a half-word."""
        value: int = _U16.unpack(self.read(address, 2))[0]
        return value

    def u32(self, address: int) -> int:
        """Read a word."""
        value: int = _U32.unpack(self.read(address, 4))[0]
        return value

    def set_u8(self, address: int, value: int) -> None:
        """Write a byte."""
        self.write(address, bytes((value & 0xFF,)))

    def set_u16(self, address: int, value: int) -> None:
        """Write a half-word."""
        self.write(address, _U16.pack(value & 0xFFFF))

    def set_u32(self, address: int, value: int) -> None:
        """Write a word."""
        self.write(address, _U32.pack(value & 0xFFFFFFFF))


@dataclass(frozen=True)
class Heap:
    """A heap in a chip's memory; `tags` is the address of the table of tagged blocks, or 0."""

    memory: Memory
    base: int
    tags: int = 0

    def initialise(self, top: int) -> None:
        """Make the area from `base` to `top` one free block."""
        first, last = self.base + 16, top - _BLOCK
        words = (first, first, last, last - first - _BLOCK)
        self.memory.write(self.base, struct.pack("<4I", *words))
        self.memory.write(first, struct.pack("<2I", last, 0))
        self.memory.write(last, struct.pack("<2I", 0, 0))

    def _block(self, address: int) -> tuple[int, int]:
        following, free = struct.unpack("<2I", self.memory.read(address, _BLOCK))
        return following, free

    def _link(self, previous: int, address: int) -> None:
        """Let the free list go on at `address` after `previous`, or begin there."""
        self.memory.set_u32(previous + 4 if previous else self.base, address)

    def _add_free_bytes(self, change: int) -> None:
        self.memory.set_u32(self.base + 12, self.memory.u32(self.base + 12) + change)

    @property
    def free_bytes(self) -> int:
        """Bytes not allocated, block headers included."""
        return self.memory.u32(self.base + 12)

    def tagged(self, application: int, tag: int) -> int:
        """Give the address of an application's block with this tag, or 0."""
        return self.memory.u32(self.tags + 4 * (application << 8 | tag)) if self.tags else 0

    def allocate(self, size: int, application: int, tag: int = 0, again: bool = False) -> int:
        """Allocate the first block that fits and give its address, or 0.

        With `again`, a block that already has this tag and size is given once more.
        """
        if size <= 0 or not 0 <= tag <= 255:
            return 0
        owner = application << 8 | tag
        taken = self.tagged(application, tag) if tag else 0
        if taken:
            length = self._block(taken - _BLOCK)[0] - (taken - _BLOCK) - _BLOCK
            return taken if again and length == size else 0
        size = (size + 3 & ~3) + _BLOCK
        previous, here = 0, self.memory.u32(self.base)
        while here:
            following, free = self._block(here)
            end = here + size
            if end <= following:
                break
            previous, here = here, free
        else:
            return 0
        if end + _BLOCK < following:
            self.memory.write(end, struct.pack("<2I", following, free))
            following, free = end, end
        self.memory.write(here, struct.pack("<2I", following, 0xFFFF0000 | owner))
        self._link(previous, free)
        self._add_free_bytes(-size)
        if tag:
            self.memory.set_u32(self.tags + 4 * owner, here + _BLOCK)
        return here + _BLOCK

    def free(self, address: int) -> None:
        """Give a block back and join it with free neighbours; ValueError if it is not allocated."""
        block = address - _BLOCK
        end, owner = self._block(block)
        if owner >> 16 != 0xFFFF or not block < end <= self.memory.u32(self.base + 8):
            raise ValueError(f"heap block: 0x{address:08x} (not allocated)")
        if owner & 0xFF and self.tags:
            self.memory.set_u32(self.tags + 4 * (owner & 0xFFFF), 0)
        self._add_free_bytes(end - block)
        previous, following = 0, self.memory.u32(self.base)
        while following and following < block:
            previous, following = following, self._block(following)[1]
        free = following
        if following and end == following:
            end, free = self._block(following)
        self.memory.write(block, struct.pack("<2I", end, free))
        if previous and self._block(previous)[0] == block:
            self.memory.write(previous, struct.pack("<2I", end, free))
        else:
            self._link(previous, block)

    def free_application(self, application: int) -> int:
        """Give back all blocks of an application; return how many there were."""
        count, here = 0, self.memory.u32(self.base + 4)
        while True:
            following, owner = self._block(here)
            if not following:
                return count
            if owner >> 16 == 0xFFFF and owner >> 8 & 0xFF == application:
                self.free(here + _BLOCK)
                count += 1
            here = following

    def largest(self) -> int:
        """Give the size of the largest block that could be allocated, in bytes."""
        best, here = 0, self.memory.u32(self.base)
        while here:
            following, free = self._block(here)
            if following:
                best = max(best, following - here - _BLOCK)
            here = free
        return best
