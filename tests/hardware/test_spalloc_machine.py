"""The machine of the spalloc server: which boards a request gets, and where they are."""

from __future__ import annotations

import pytest
from spikingconvnet.hardware.emulator.layout import load_layout
from spikingconvnet.hardware.errors import UnknownBoard
from spikingconvnet.hardware.spalloc.machine import Machine, Request


@pytest.mark.parametrize(
    ("request_", "size", "origin"),
    [
        (Request(), 1, (0, 0, 0)),
        (Request(boards=2), (1, 1), (0, 0, 0)),
        (Request(boards=3), (1, 1), (0, 0, 0)),
        (Request(boards=4), (2, 1), (0, 0, 0)),
        (Request(boards=10), (2, 2), (0, 0, 0)),
        (Request(boards=13), (3, 2), (0, 0, 0)),
        (Request(boards=13, min_ratio=0.9), (3, 3), (0, 0, 0)),
        (Request(boards=21, min_ratio=0.5), (4, 2), (0, 0, 0)),
        (Request(boards=4, min_ratio=1.0), (2, 2), (0, 0, 0)),
        (Request(triads=(1, 3)), (1, 3), (0, 0, 0)),
        (Request(board=(3, 2, 1)), 1, (3, 2, 1)),
        (Request(boards=36, torus=True), (4, 3), (0, 0, 0)),
        (Request(triads=(4, 3), torus=True, machine="m", tags=("a",)), (4, 3), (0, 0, 0)),
    ],
)
def test_a_request_gets_the_fewest_boards_that_will_do(request_, size, origin):
    machine = Machine(36, "m", ("a", "b"))
    assert (machine.width, machine.height, machine.dead) == (4, 3, [])
    assert machine.possible(request_)
    found = machine.allocate(request_)
    assert (found.size, found.origin, found.wrap) == (size, origin, request_.torus)
    assert len(set(found.boards)) == (1 if size == 1 else 3 * size[0] * size[1])


@pytest.mark.parametrize(
    "request_",
    [
        Request(boards=0),
        Request(boards=-3),
        Request(boards=37),
        Request(triads=(5, 1)),
        Request(triads=(0, 1)),
        Request(board=(4, 0, 0)),
        Request(board=(0, 0, 3)),
        Request(torus=True),
        Request(boards=6, torus=True),
        Request(boards=30, min_ratio=1.0),
        Request(machine="other"),
        Request(tags=("a", "c")),
    ],
)
def test_what_the_machine_can_never_lend(request_):
    assert not Machine(36, "m", ("a", "b")).possible(request_)


def test_single_boards_leave_whole_triads_free():
    machine = Machine(12, "m")
    first = [machine.allocate(Request()) for _ in range(2)]
    triads = [machine.allocate(Request(boards=3)) for _ in range(3)]
    assert {board[:2] for one in first for board in one.boards} == {(0, 0)}
    assert None not in triads and machine.allocate(Request(boards=3)) is None
    assert machine.allocate(Request()).boards == ((0, 0, 2),)
    assert machine.allocate(Request()) is None
    machine.release(triads[1])
    assert machine.allocate(Request(boards=3)) == triads[1]


def test_places_without_a_board_are_dead():
    machine = Machine(7, "m")
    assert (machine.width, machine.height, len(machine.dead)) == (2, 2, 5)
    assert machine.possible(Request(triads=(2, 1))) and not machine.possible(Request(boards=7))
    assert not machine.possible(Request(board=machine.dead[0]))
    for wrong in (0, -1, 100_000):
        with pytest.raises(UnknownBoard, match="boards: "):
            Machine(wrong, "m")


def test_every_chip_of_a_job_is_found_again():
    machine = Machine(12, "m")
    whole = load_layout(5, (2, 2), wrap=True)
    for chip, ethernet in whole.boards.items():
        board = machine.board_of(chip)
        assert machine.ethernet(board) == ethernet and machine.from_ethernet(ethernet) == board
    boards = [(x, y, z) for x in range(2) for y in range(2) for z in range(3)]
    physical = [machine.physical(board) for board in boards]
    assert len(set(physical)) == 12
    assert [machine.logical(place) for place in physical] == boards
