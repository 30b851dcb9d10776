"""Which chips a board has and how they are joined.

A board is described by a JSON file in `hardware/boards`: `name`, `version`, `width`, `height`,
`wraps` (links leave one edge and come back at the other), `ethernet` [x, y], `chips` [x, y, cores]
with the monitor counted among the cores, and `dead_links` [x, y, link].
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from ..constants import LINKS, P2P_NONE, P2P_SELF
from ..errors import UnknownBoard

XY = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """The chips of a board: positions, cores and links."""

    name: str
    version: int
    width: int
    height: int
    ethernet: XY
    cores: dict[XY, int]
    neighbours: dict[XY, tuple[XY | None, ...]]

    @property
    def chips(self) -> list[XY]:
        """All chips, ordered by x, then y."""
        return sorted(self.cores)

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


def load_layout(version: int) -> Layout:
    """Read the description of a SpiNN-3 or SpiNN-5; UnknownBoard for another version."""
    folder = resources.files(__package__.rpartition(".")[0] + ".boards")
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".json"))
    known = {json.loads((folder / name).read_text())["version"]: name for name in found}
    if version not in known:
        valid = ", ".join(str(number) for number in sorted(known))
        raise UnknownBoard(f"board version: {version} (there are descriptions of {valid})")
    return read_layout(json.loads((folder / known[version]).read_text()))


def read_layout(description: dict) -> Layout:
    """Make a layout of a board's description."""
    width, height, wraps = description["width"], description["height"], description["wraps"]
    cores = {(x, y): count for x, y, count in description["chips"]}
    dead = {(x, y, link) for x, y, link in description["dead_links"]}

    def behind(x: int, y: int, link: int) -> XY | None:
        there = (x + LINKS[link][0], y + LINKS[link][1])
        if wraps:
            there = (there[0] % width, there[1] % height)
        return there if there in cores and (x, y, link) not in dead else None

    return Layout(
        name=description["name"],
        version=description["version"],
        width=width,
        height=height,
        ethernet=tuple(description["ethernet"]),
        cores=cores,
        neighbours={(x, y): tuple(behind(x, y, link) for link in range(6)) for x, y in cores},
    )
