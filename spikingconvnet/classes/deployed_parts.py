"""The records of a network on a board: populations and what connects them, not yet PyNN."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.indexing import Pair, Shape

SOURCE, CLEAR = "input", "clear"
NEURONS_PER_CORE, SOURCES_PER_CORE = 256, 2048
"""The most that sPyNNaker puts on a core, unless told otherwise."""
Receptor = Literal["excitatory", "inhibitory"]


@dataclass(frozen=True)
class Part:
    """Describe a population: units (height, width, channels), channels last, or a source.

    v_reset: mV, None for a source; most: the largest input of a step by receptor, nA; depth: ms
    behind the source; answers: its potential is the result, spikes are not; piece: units in each
    of the populations that it is made of (None: one of all). sPyNNaker keeps a row of weights for
    each neuron of a source on each core of a target, all as long as the longest: layers with
    inhibition would take 40 times the memory in one piece. grid: one population for each channel,
    with the rows and columns of a core, for on-chip convolution; v_thresh: of these, mV.
    """

    name: str
    shape: Shape
    depth: int
    v_reset: float | None = None
    most: tuple[float, float] = (1.0, 1.0)
    answers: bool = False
    piece: int | None = None
    grid: Pair | None = None
    v_thresh: float | None = None

    @property
    def sizes(self) -> list[int]:
        """Return the units of each of the populations."""
        if self.grid:
            return [self.shape[0] * self.shape[1]] * self.shape[2]
        bounds = np.append(np.arange(0, self.size, self.piece or self.size), self.size)
        return [int(count) for count in np.diff(bounds)]

    @property
    def per_core(self) -> int:
        """Return the most units on a core."""
        if self.grid:
            return self.grid[0] * self.grid[1]
        return SOURCES_PER_CORE if self.v_reset is None else NEURONS_PER_CORE

    def place(self, units: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return of each unit the population and its number in there."""
        if self.grid:
            return units % self.shape[2], units // self.shape[2]
        return units // (self.piece or self.size), units % (self.piece or self.size)

    def units(self, population: int, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the units that have these numbers in a population."""
        if self.grid:
            return numbers * self.shape[2] + population
        return numbers + population * (self.piece or self.size)

    @property
    def size(self) -> int:
        """Return the number of units."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True, eq=False)
class Link:
    """Describe a projection between parts, by name."""

    pre: str
    post: str
    receptor: Receptor
    connections: Connections


@dataclass(frozen=True, eq=False)
class Kernels:
    """Describe an on-chip convolution: kernels (maps, channels, kh, kw), nA, for parts with grids.

    Sizes, stride and padding are those of the connector: rows first. `everywhere`: the one unit of
    `pre` reaches all units of `post` with the weight of the only kernel. window: (shape, stride,
    padding) of the pooling that these kernels make.
    """

    pre: str
    post: str
    kernels: NDArray[np.float64]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    delay: int = 1
    everywhere: bool = False
    window: tuple[Pair, Pair, Pair] | None = None
    synapses: int = 0


def pieces(link: Link, pre: Part, post: Part) -> Iterator[tuple[int, int, Connections]]:
    """Cut a link into those between populations: (number of pre, number of post, connections)."""
    found = link.connections
    (pre_number, pre_units) = pre.place(found.pre)
    (post_number, post_units) = post.place(found.post)
    pair = pre_number * len(post.sizes) + post_number
    order = np.argsort(pair, kind="stable")
    cuts = np.flatnonzero(np.diff(pair[order])) + 1
    for chosen in np.split(order, cuts):
        if len(chosen):
            one, other = int(pre_number[chosen[0]]), int(post_number[chosen[0]])
            units = pre_units[chosen], post_units[chosen]
            yield one, other, Connections(*units, found.weight[chosen], found.delay[chosen])


@dataclass(frozen=True, eq=False)
class Answers:
    """Say what the decision neurons add up: weights (neurons, units) and offsets, whole numbers.

    `classes` (neurons,): the label that each stands for; the highest sum, the first of equal ones,
    is the answer.
    """

    weights: NDArray[np.int64]
    offsets: NDArray[np.int64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Deployment:
    """Hold a network for a board; `steps` in a wave, `period_ms` from image to image."""

    name: str
    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    answers: Answers
    steps: int
    kernels: tuple[Kernels, ...] = ()

    @property
    def period_ms(self) -> int:
        """Return the time from the start of an image to that of the next."""
        return self.steps + 2

    @property
    def layers(self) -> tuple[Part, ...]:
        """Return the populations whose spikes are compared, the source first."""
        return tuple(part for part in self.parts if not part.answers and part.name != CLEAR)

    @property
    def decision(self) -> Part:
        """Return the population that answers."""
        return self.parts[-1]

    def duration_ms(self, images: int) -> int:
        """Return how long a run of so many images takes."""
        return images * self.period_ms + self.decision.depth + 2

    @property
    def synapses(self) -> int:
        """Return how many there are."""
        lists = sum(len(link.connections) for link in self.links)
        return lists + sum(each.synapses for each in self.kernels)

    @property
    def neurons(self) -> int:
        """Return how many there are, sources not counted."""
        return sum(part.size for part in self.parts if part.v_reset is not None)
