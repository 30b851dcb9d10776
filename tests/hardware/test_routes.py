"""Routing entries: allocation against a simple model, and the table that is written."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.emulator.board import make_board


@pytest.fixture(scope="module")
def chip():
    return make_board(3).chips[0]


@pytest.fixture
def fresh(chip):
    chip.clear_routes(1, c.ROUTER_ENTRIES - 1)
    chip.free_all_routes()
    return chip


def entry(chip, number):
    """Give route, key and mask of an entry as the router has it, and as the copy says."""
    registers = tuple(
        chip.memory.u32(table + 4 * number)
        for table in (c.ROUTER_ROUTES, c.ROUTER_KEYS, c.ROUTER_MASKS)
    )
    copy = struct.unpack("<3I", chip.memory.read(chip.router_copy + 16 * number + 4, 12))
    return registers, copy


EMPTY = (0xFF000000, 0xFFFFFFFF, 0)


def test_entries_are_handed_out_in_order(fresh):
    assert fresh.largest_free_routes() == 1023
    assert [fresh.allocate_routes(n, 30) for n in (10, 1, 1012)] == [1, 11, 12]
    assert fresh.largest_free_routes() == 0
    assert fresh.allocate_routes(1, 30) == 0
    fresh.free_routes(11, clear=False)
    assert fresh.largest_free_routes() == 1
    assert fresh.allocate_routes(2, 30) == 0
    assert fresh.allocate_routes(1, 30) == 11


@pytest.mark.parametrize("count", [0, 1024, 100000])
def test_impossible_requests_give_nothing(fresh, count):
    assert fresh.allocate_routes(count, 30) == 0
    assert fresh.largest_free_routes() == 1023


@pytest.mark.parametrize("number", [0, 1024, 2**31, 5, 1023])
def test_freeing_what_is_not_allocated_changes_nothing(fresh, number):
    kept = fresh.allocate_routes(10, 30)
    for entry in range(kept, kept + 10):
        fresh.set_route(entry, 0x1000 + entry, 0xFFFFFFFF, 0x41, 30)
    fresh.free_routes(number, clear=True)
    assert fresh.largest_free_routes() == 1013
    fresh.free_routes(kept, clear=True)
    fresh.free_routes(kept, clear=True)
    assert fresh.largest_free_routes() == 1023
    assert fresh.allocate_routes(1023, 30) == 1


def test_entries_are_written_and_cleared(fresh):
    first = fresh.allocate_routes(2, 30)
    fresh.set_route(first, 0x1000, 0xFFFFF000, 0x41, 30)
    fresh.set_route(first + 1, 0x2000, 0xFFFFFF00, 0x3F, 30)
    assert entry(fresh, first) == ((0x41, 0x1000, 0xFFFFF000),) * 2
    assert entry(fresh, first + 1) == ((0x3F, 0x2000, 0xFFFFFF00),) * 2
    assert fresh.free_application_routes(31, clear=True) == 0
    assert fresh.free_application_routes(30, clear=True) == 1
    assert entry(fresh, first) == (EMPTY, EMPTY)
    assert entry(fresh, first + 1) == (EMPTY, EMPTY)
    assert fresh.largest_free_routes() == 1023


def test_without_clearing_the_entries_stay(fresh):
    first = fresh.allocate_routes(1, 30)
    fresh.set_route(first, 0x1000, 0xFFFFF000, 0x41, 30)
    fresh.free_routes(first, clear=False)
    assert entry(fresh, first)[0] == (0x41, 0x1000, 0xFFFFF000)


def test_the_fixed_route_is_kept_and_written(fresh):
    fresh.set_fixed_route(0xFF000041)
    assert fresh.fixed_route() == 0x41
    assert fresh.memory.u32(c.ROUTER_FIXED_ROUTE) == 0x41


class Model:
    """Spans of entries, [first, end): who owns which."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, int]] = {}

    def gaps(self) -> list[tuple[int, int]]:
        gaps, at = [], 1
        for first, (end, _) in sorted(self.blocks.items()):
            if at < first:
                gaps.append((at, first))
            at = end
        return gaps + ([(at, 1024)] if at < 1024 else [])

    def allocate(self, count: int, application: int) -> int:
        for first, end in self.gaps():
            if 0 < count <= end - first:
                self.blocks[first] = (first + count, application)
                return first
        return 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("allocate"), st.integers(0, 400), st.integers(16, 18)),
            st.tuples(st.just("free"), st.integers(0, 100), st.booleans()),
            st.tuples(st.just("free application"), st.integers(16, 18), st.booleans()),
        ),
        max_size=30,
    )
)
def test_any_history_agrees_with_the_model(chip, operations):
    chip.free_all_routes()
    model = Model()
    for name, number, extra in operations:
        if name == "allocate":
            assert chip.allocate_routes(number, extra) == model.allocate(number, extra)
        elif name == "free" and model.blocks:
            first = sorted(model.blocks)[number % len(model.blocks)]
            chip.free_routes(first, clear=extra)
            del model.blocks[first]
        elif name == "free application":
            mine = [first for first, (_, owner) in model.blocks.items() if owner == number]
            assert chip.free_application_routes(number, clear=extra) == len(mine)
            for first in mine:
                del model.blocks[first]
        largest = max((end - first for first, end in model.gaps()), default=0)
        assert chip.largest_free_routes() == largest
