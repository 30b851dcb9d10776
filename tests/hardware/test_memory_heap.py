"""Typed memory access, and the heap in a chip's memory against a simple model of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.emulator.board import make_board
from spikingconvnet.hardware.emulator.memory import Heap

BASE = c.SDRAM + 0x100000
TOP = BASE + 0x400
TAGS = c.SDRAM + 0x200000
HEADER = 8


@pytest.fixture(scope="module")
def memory():
    return make_board(3).chips[0].memory


@pytest.fixture
def heap(memory):
    memory.write(TAGS, bytes(4 * 65536))
    made = Heap(memory, BASE, TAGS)
    made.initialise(TOP)
    return made


def test_typed_access_is_little_endian(memory):
    memory.set_u32(BASE, 0x12345678)
    assert memory.read(BASE, 4) == bytes.fromhex("78563412")
    assert (memory.u8(BASE), memory.u16(BASE), memory.u16(BASE + 2)) == (0x78, 0x5678, 0x1234)
    memory.set_u8(BASE + 1, 0x1AB)
    memory.set_u16(BASE + 2, 0x1CDEF)
    assert memory.u32(BASE) == 0xCDEFAB78
    assert memory.read(BASE + 0x10000000, 4) == memory.read(BASE, 4)


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (0x10000000, 4),
        (c.SDRAM - 1, 1),
        (c.SDRAM + c.SDRAM_SIZE - 2, 4),
        (c.SYSRAM + 0x8000 - 2, 4),
        (0, 4),
        (c.DTCM_BASE, 4),
        (0x90000000, 1),
        (0xFFFFFFFF, 2),
    ],
)
def test_where_there_is_nothing_access_is_refused(memory, address, length):
    with pytest.raises(ValueError, match=f"address: 0x{address:08x}"):
        memory.read(address, length)
    with pytest.raises(ValueError, match=f"address: 0x{address:08x}"):
        memory.write(address, bytes(length))


def test_a_fresh_heap_is_one_free_block(heap, memory):
    first, last = BASE + 16, TOP - HEADER
    assert struct.unpack("<4I", memory.read(BASE, 16)) == (first, first, last, TOP - BASE - 32)
    assert struct.unpack("<2I", memory.read(first, 8)) == (last, 0)
    assert heap.largest() == TOP - BASE - 32
    assert heap.free_bytes == TOP - BASE - 32


def test_an_allocated_block_names_its_owner(heap, memory):
    address = heap.allocate(10, 30, 7)
    assert address == BASE + 16 + HEADER
    assert memory.u32(address - 4) == 0xFFFF0000 | 30 << 8 | 7
    assert memory.u32(address - 8) == address + 12
    assert heap.tagged(30, 7) == address
    assert heap.tagged(30, 8) == heap.tagged(31, 7) == 0


@pytest.mark.parametrize(("size", "tag"), [(0, 0), (-4, 0), (8, 256), (8, -1), (2**31, 0)])
def test_impossible_requests_give_nothing(heap, size, tag):
    before = heap.free_bytes
    assert heap.allocate(size, 30, tag) == 0
    assert heap.free_bytes == before


def test_a_tag_is_given_once_or_again_for_the_same_size(heap):
    address = heap.allocate(16, 30, 5)
    assert heap.allocate(16, 30, 5) == 0
    assert heap.allocate(16, 30, 5, again=True) == address
    assert heap.allocate(20, 30, 5, again=True) == 0
    heap.free(address)
    assert heap.tagged(30, 5) == 0
    assert heap.allocate(20, 30, 5) == address


@pytest.mark.parametrize("what", ["twice", "inside", "never"])
def test_freeing_what_is_not_allocated_is_refused_and_harmless(heap, what):
    kept, gone = heap.allocate(32, 30), heap.allocate(32, 30)
    heap.free(gone)
    before = (heap.free_bytes, heap.largest())
    address = {"twice": gone, "inside": kept + 16, "never": BASE + 0x300}[what]
    with pytest.raises(ValueError, match=f"heap block: 0x{address:08x}"):
        heap.free(address)
    assert (heap.free_bytes, heap.largest()) == before
    assert heap.allocate(32, 30) == gone


@dataclass
class Model:
    """First fit over a list of free spans; each block costs a header."""

    gaps: list[list[int]]
    free_bytes: int
    blocks: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)

    def allocate(self, size: int, application: int, tag: int, again: bool) -> int:
        if size == 0:
            return 0
        for address, (_, end, owner, mark) in self.blocks.items():
            if tag and (owner, mark) == (application, tag):
                return address if again and end - address == size else 0
        need = (size + 3) // 4 * 4 + HEADER
        for gap in self.gaps:
            start, end = gap
            if need <= end - start:
                # What is left must hold more than a header, or it goes with the block.
                taken = need if end - start - need > HEADER else end - start
                gap[0] += taken
                self.gaps = [g for g in self.gaps if g[0] < g[1]]
                self.free_bytes -= need
                self.blocks[start + HEADER] = (start, start + taken, application, tag)
                return start + HEADER
        return 0

    def free(self, address: int) -> None:
        start, end, *_ = self.blocks.pop(address)
        self.free_bytes += end - start
        merged: list[list[int]] = []
        for gap in sorted([*self.gaps, [start, end]]):
            if merged and merged[-1][1] == gap[0]:
                merged[-1][1] = gap[1]
            else:
                merged.append(gap)
        self.gaps = merged

    def largest(self) -> int:
        return max((end - start - HEADER for start, end in self.gaps), default=0)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("allocate"),
            st.integers(0, 200),
            st.integers(16, 18),
            st.integers(0, 3),
            st.booleans(),
        ),
        st.tuples(st.just("free"), st.integers(0, 100)),
        st.tuples(st.just("free application"), st.integers(16, 18)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_any_history_agrees_with_the_model(memory, operations):
    memory.write(TAGS, bytes(4 * 65536))
    heap = Heap(memory, BASE, TAGS)
    heap.initialise(TOP)
    model = Model([[BASE + 16, TOP - HEADER]], TOP - BASE - 32)
    for operation in operations:
        if operation[0] == "allocate":
            _, size, application, tag, again = operation
            wanted = model.allocate(size, application, tag, again)
            assert heap.allocate(size, application, tag, again) == wanted
            if wanted:
                end = model.blocks[wanted][1]
                memory.write(wanted, b"\xff" * (end - wanted))
        elif operation[0] == "free":
            if model.blocks:
                address = sorted(model.blocks)[operation[1] % len(model.blocks)]
                heap.free(address)
                model.free(address)
        else:
            mine = [a for a, block in model.blocks.items() if block[2] == operation[1]]
            assert heap.free_application(operation[1]) == len(mine)
            for address in sorted(mine):
                model.free(address)
        assert heap.free_bytes == model.free_bytes
        assert heap.largest() == model.largest()
        for application in (16, 17, 18):
            for tag in (1, 2, 3):
                blocks = model.blocks.items()
                tagged = [a for a, block in blocks if block[2:] == (application, tag)]
                assert heap.tagged(application, tag) == (tagged[0] if tagged else 0)
