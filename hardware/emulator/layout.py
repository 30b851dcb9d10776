"""Which chips a machine has and how they are joined.

A board is described by a JSON file in `hardware/boards`: `name`, `version`, `width`, `height`,
`wraps` (links leave one edge and come back at the other), `ethernet` [x, y], `chips` [x, y, cores]
with the monitor counted among the cores, and `dead_links` [x, y, link].
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from itertools import product
from typing import Final

from ..constants import LINKS, P2P_NONE, P2P_SELF, SDRAM_USABLE
from ..errors import BadDescription, UnknownBoard
from .dead import Dead
from .description import read_description

XY = tuple[int, int]
_TRIAD: Final = 12
"""Chips between one triad of SpiNN-5 and the next, in both directions."""
_MOST_TRIADS: Final = 20
"""In either direction: 20 * 12 + 4 chips, and the size of a machine is told in bytes."""
_BOARDS_OF_TRIAD: Final = ((0, 0), (4, 8), (8, 4))
"""Where the Ethernet chips of a triad are (SpiNNMachine's SpiNNakerTriadGeometry)."""


def p2p_address(chip: XY) -> int:
    """Give a chip's address as messages and tables have it: x << 8 | y."""
    return chip[0] << 8 | chip[1]


@dataclass(frozen=True)
class Layout:
    """The chips of a machine: positions, cores and links.

    `ethernet` is the chip from which the machine is booted, `boards` tells for the chips of a
    machine of several boards which is the Ethernet chip of theirs, `dead_cores` are (x, y, core),
    and `sdram` is in bytes per chip.
    """

    name: str
    version: int
    width: int
    height: int
    ethernet: XY
    cores: dict[XY, int]
    neighbours: dict[XY, tuple[XY | None, ...]]
    boards: dict[XY, XY] = field(default_factory=dict)
    dead_cores: frozenset[tuple[int, int, int]] = frozenset()
    sdram: int = SDRAM_USABLE

    @property
    def chips(self) -> list[XY]:
        """All chips, ordered by x, then y."""
        return sorted(self.cores)

    @cached_property
    def ethernets(self) -> list[XY]:
        """The Ethernet chips, the one of the boot first."""
        others = sorted({*self.boards.values()} - {self.ethernet})
        return [self.ethernet, *others]

    def ethernet_of(self, chip: XY) -> XY:
        """Give the Ethernet chip of a chip's board."""
        return self.boards.get(chip, self.ethernet)

    @cached_property
    def routes(self) -> dict[XY, dict[XY, int]]:
        """Tell for every target the link that leads there from every chip."""
        return {target: self.routes_to(target) for target in self.chips}

    def routes_to(self, target: XY) -> dict[XY, int]:
        """Tell the first link of a shortest way from every chip to `target` (7 at the target)."""
        routes = {target: P2P_SELF}
        waiting = deque([target])
        while waiting:
            here = waiting.popleft()
            for link, there in enumerate(self.neighbours[here]):
                if there is None or there in routes:
                    continue
                back = (link + 3) % 6
                if self.neighbours[there][back] == here:
                    routes[there] = back
                    waiting.append(there)
        return {chip: routes.get(chip, P2P_NONE) for chip in self.cores}

    def triads(self, width: int, height: int, wraps: bool = False) -> Layout:
        """Join 3 * width * height boards of this kind (SpiNN-5) to one machine.

        With `wraps`, the links that leave one edge come back at the other: (12 width, 12 height)
        chips. Without, the machine is one cut out of a larger one, with ragged edges: 4 more chips
        each way.
        """
        more = 0 if wraps else 4
        size = (_TRIAD * width + more, _TRIAD * height + more)
        cores: dict[XY, int] = {}
        boards: dict[XY, XY] = {}
        for column, row, (x0, y0) in product(range(width), range(height), _BOARDS_OF_TRIAD):
            ethernet = (x0 + _TRIAD * column, y0 + _TRIAD * row)
            for (x, y), count in self.cores.items():
                chip = ((x + ethernet[0]) % size[0], (y + ethernet[1]) % size[1])
                cores[chip], boards[chip] = count, ethernet
        return replace(
            self,
            name=f"{3 * width * height} x {self.name}{', wrapped' if wraps else ''}",
            width=size[0],
            height=size[1],
            cores=cores,
            neighbours=_join(cores, *size, wraps),
            boards=boards,
        )

    def without(self, dead: Dead) -> Layout:
        """Give this machine without the dead parts and without the chips that they cut off.

        Raises BadDescription for a part that there is not or that the machine cannot do without.
        """
        self._check(dead)
        links = {*dead.links}
        for x, y, link in dead.links:
            there = self.neighbours[x, y][link]
            links |= {(*there, (link + 3) % 6)} if there else set()
        rest = self._only({*self.cores} - {*dead.chips}, links)
        reached = {chip for chip, way in rest.routes_to(self.ethernet).items() if way != P2P_NONE}
        for ethernet in self.ethernets:
            if ethernet not in reached:
                raise dead.refuse("chips and links", ethernet, "an Ethernet chip is cut off")
        return replace(
            rest._only(reached, set()),
            name=f"{self.name}, reduced",
            dead_cores=frozenset(core for core in dead.cores if core[:2] in reached),
            sdram=self.sdram if dead.sdram is None else dead.sdram,
        )

    def _only(self, chips: set[XY], dead_links: set[tuple[int, int, int]]) -> Layout:
        def left(here: XY) -> tuple[XY | None, ...]:
            return tuple(
                there if there in chips and (*here, link) not in dead_links else None
                for link, there in enumerate(self.neighbours[here])
            )

        return replace(
            self,
            cores={chip: count for chip, count in self.cores.items() if chip in chips},
            neighbours={chip: left(chip) for chip in self.neighbours if chip in chips},
            boards={chip: ethernet for chip, ethernet in self.boards.items() if chip in chips},
        )

    def _check(self, dead: Dead) -> None:
        """Make sure that there are all these parts, and none that is needed."""
        for name, found in (("chips", dead.chips), ("cores", dead.cores), ("links", dead.links)):
            for item in found:
                if item[:2] not in self.cores:
                    raise dead.refuse(name, item, f"must be on a chip of the {self.name}")
        for chip in dead.chips:
            if chip in self.ethernets:
                raise dead.refuse("chips", chip, "must not be an Ethernet chip")
        for x, y, core in dead.cores:
            if not 1 <= core < self.cores[x, y]:
                valid = f"the core must be 1 to {self.cores[x, y] - 1} here; 0 is the monitor"
                raise dead.refuse("cores", (x, y, core), valid)
        for x, y, link in dead.links:
            there = [i for i, to in enumerate(self.neighbours[x, y]) if to is not None]
            if link not in there:
                valid = f"the link must be one of {', '.join(map(str, there))} here"
                raise dead.refuse("links", (x, y, link), valid)
        if dead.sdram is not None and (dead.sdram % 4 or not 4 <= dead.sdram <= self.sdram):
            raise dead.refuse("sdram", dead.sdram, f"must be 4 to {self.sdram}, a multiple of 4")


def load_layout(version: int, boards: int | tuple[int, int] = 1, wrap: bool = False) -> Layout:
    """Read the description of a SpiNN-3 or SpiNN-5, or of a machine of several SpiNN-5.

    `boards` is their number or the (width, height) of the machine in triads, `wrap` as in
    `Layout.triads`. Raises UnknownBoard for another version or for boards that make no such
    machine, and BadDescription for a file of a machine that cannot be.
    """
    folder = resources.files(__package__.rpartition(".")[0] + ".boards")
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".json"))
    known = {board["version"]: board for board in (read_description(folder / n) for n in found)}
    if version not in known:
        valid = ", ".join(str(number) for number in sorted(known))
        raise UnknownBoard(f"board version: {version} (there are descriptions of {valid})")
    layout = read_layout(known[version])
    cut_off = [c for c, way in layout.routes_to(layout.ethernet).items() if way == P2P_NONE]
    if cut_off:
        raise BadDescription(f"{layout.name}: chip {cut_off[0]} (no way from the Ethernet chip)")
    if boards == 1:
        if wrap:
            raise UnknownBoard("boards: 1 (must be 3, 6, 12, 18, ... to wrap around)")
        return layout
    if version != 5:
        raise UnknownBoard(f"boards: {boards} (must be 1 for version {version})")
    return layout.triads(*_triads_of(boards), wraps=wrap)


def _triads_of(boards: int | tuple[int, int]) -> tuple[int, int]:
    """Tell the width and height in triads of a machine, as square as it can be."""
    if isinstance(boards, tuple):
        width, height = boards
        rest = 0
    else:
        width = math.isqrt(max(boards // 3, 1) - 1) + 1
        height, rest = divmod(boards, 3 * width)
    if rest or width < 1 or height < 1:
        raise UnknownBoard(f"boards: {boards} (must be 1, 3, 6, 12, 18, 27, 36, ...)")
    if max(width, height) > _MOST_TRIADS:
        raise UnknownBoard(f"boards: {boards} (must be at most {_MOST_TRIADS} triads each way)")
    return width, height


def read_layout(description: dict) -> Layout:
    """Make a layout of a board's description."""
    width, height, wraps = description["width"], description["height"], description["wraps"]
    cores = {(x, y): count for x, y, count in description["chips"]}
    dead = {(x, y, link) for x, y, link in description["dead_links"]}
    joined = _join(cores, width, height, wraps)
    return Layout(
        name=description["name"],
        version=description["version"],
        width=width,
        height=height,
        ethernet=tuple(description["ethernet"]),
        cores=cores,
        neighbours={
            here: tuple(None if (*here, i) in dead else there for i, there in enumerate(around))
            for here, around in joined.items()
        },
    )


def _join(
    chips: Iterable[XY], width: int, height: int, wraps: bool
) -> dict[XY, tuple[XY | None, ...]]:
    """Tell what is behind the six links of every chip."""
    known = {*chips}

    def behind(x: int, y: int, link: int) -> XY | None:
        there = (x + LINKS[link][0], y + LINKS[link][1])
        if wraps:
            there = (there[0] % width, there[1] % height)
        return there if there in known else None

    return {(x, y): tuple(behind(x, y, link) for link in range(6)) for x, y in known}
