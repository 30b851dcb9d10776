"""The boards of a spalloc machine: which there are, where each is, and which are free.

The machine is a rectangle of triads of SpiNN-5. A board has a logical place (x, y, z), its triad
and its number there; a physical one, (cabinet, frame, board); and, by its Ethernet chip, one among
the chips of the whole machine, opposite edges joined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Final

from ..emulator.layout import XY, load_layout
from ..errors import UnknownBoard

XYZ = tuple[int, int, int]

_TRIAD: Final = 12
_BOARDS_OF_TRIAD: Final = ((0, 0), (8, 4), (4, 8))
"""Ethernet chips of the boards 0, 1 and 2 of a triad (the server's numbers, not by x and y)."""
_FRAME: Final = 24
"""Boards in a frame of the machines in Manchester."""
_CABINET: Final = 5
"""Frames in a cabinet there."""


@dataclass(frozen=True)
class Request:
    """What a job asks for: so many boards, (width, height) triads, or the one `board`.

    A number of boards is rounded up to triads whose shorter side is at least `min_ratio` of the
    longer. A `torus` has its opposite edges joined. Only the `machine` of that name will do, and
    only one with all the `tags`.
    """

    boards: int = 1
    triads: tuple[int, int] | None = None
    board: XYZ | None = None
    min_ratio: float = 0.0
    torus: bool = False
    machine: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allocation:
    """Boards that belong together; `size` is 1 or (width, height) in triads."""

    boards: tuple[XYZ, ...]
    size: int | tuple[int, int]
    wrap: bool

    @property
    def origin(self) -> XYZ:
        """The board with the job's chip (0, 0)."""
        return self.boards[0]


class Machine:
    """Lends `boards` boards; places of the last triads that have none count as dead."""

    def __init__(self, boards: int, name: str, tags: tuple[str, ...] = ()) -> None:
        if boards < 1:
            raise UnknownBoard(f"boards: {boards} (must be at least 1)")
        triads = -(-boards // 3)
        self.name = name
        self.tags = tags
        self.width = math.isqrt(triads - 1) + 1
        self.height = -(-triads // self.width)
        self._layout = load_layout(5, (self.width, self.height), wrap=True)
        self._places = [(x, y, z) for y, x, z in product(*map(range, (self.height, self.width, 3)))]
        self.dead = self._places[boards:]
        self._alive = frozenset(self._places[:boards])
        self._free = {*self._alive}

    def possible(self, request: Request) -> bool:
        """Tell whether a request could be granted if all boards were free."""
        meant = request.machine in (None, self.name) and {*request.tags} <= {*self.tags}
        return meant and self._find(request, {*self._alive}) is not None

    def allocate(self, request: Request) -> Allocation | None:
        """Lend boards, or None while there are not enough."""
        found = self._find(request, self._free)
        if found is not None:
            self._free -= {*found.boards}
        return found

    def release(self, allocation: Allocation) -> None:
        """Take boards back."""
        self._free |= {*allocation.boards}

    def _find(self, request: Request, free: set[XYZ]) -> Allocation | None:
        if request.triads is None and (request.board is not None or request.boards == 1):
            wanted = free if request.board is None else free & {request.board}
            return None if request.torus or not wanted else self._find_one(wanted)
        shape = self._shape(request)
        if shape is None or (request.torus and shape != (self.width, self.height)):
            return None
        width, height = shape
        for y, x in product(range(self.height - height + 1), range(self.width - width + 1)):
            columns, rows = range(x, x + width), range(y, y + height)
            boards = tuple(product(columns, rows, range(3)))
            if free.issuperset(boards):
                return Allocation(boards, shape, request.torus)
        return None

    @staticmethod
    def _find_one(free: set[XYZ]) -> Allocation:
        """Choose a board so that as many whole triads as possible stay free."""

        def key(board: XYZ) -> tuple[int, int, int, int]:
            x, y, z = board
            return sum((x, y, other) in free for other in range(3)), y, x, z

        return Allocation((min(free, key=key),), 1, False)

    def _shape(self, request: Request) -> tuple[int, int] | None:
        """Give width and height in triads: the smallest, then the squarest that will do."""
        shapes = list(product(range(1, self.width + 1), range(1, self.height + 1)))
        if request.triads is not None:
            return request.triads if request.triads in shapes else None
        if request.boards < 1:
            return None
        fitting = [
            (width, height)
            for width, height in shapes
            if 3 * width * height >= request.boards
            and min(width, height) >= request.min_ratio * max(width, height)
        ]
        return min(fitting, key=lambda s: (s[0] * s[1], abs(s[0] - s[1]), s[1]), default=None)

    # --- where things are -----------------------------------------------------------------------

    def ethernet(self, board: XYZ) -> XY:
        """Give the chip of a board that has the network socket."""
        x, y, z = board
        return _TRIAD * x + _BOARDS_OF_TRIAD[z][0], _TRIAD * y + _BOARDS_OF_TRIAD[z][1]

    def from_ethernet(self, chip: XY) -> XYZ:
        """Give the board of an Ethernet chip."""
        x, y = chip
        return x // _TRIAD, y // _TRIAD, _BOARDS_OF_TRIAD.index((x % _TRIAD, y % _TRIAD))

    def board_of(self, chip: XY) -> XYZ:
        """Give the board of a chip; coordinates wrap around."""
        return self.from_ethernet(self._layout.boards[self.chip(*chip)])

    @property
    def size(self) -> XY:
        """The width and height of the machine in chips."""
        return self._layout.width, self._layout.height

    def chip(self, x: int, y: int) -> XY:
        """Bring coordinates into the machine."""
        return x % self._layout.width, y % self._layout.height

    def physical(self, board: XYZ) -> XYZ | None:
        """Give the (cabinet, frame, board) of a working board."""
        if board not in self._alive:
            return None
        number = self._places.index(board)
        frame, slot = divmod(number, _FRAME)
        return frame // _CABINET, frame % _CABINET, slot

    def logical(self, physical: XYZ) -> XYZ | None:
        """Give the working board at a (cabinet, frame, board)."""
        return next((b for b in self._places if self.physical(b) == physical), None)
