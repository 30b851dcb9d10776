"""A trained single-spike network as populations and projections of a board: what, not yet PyNN.

Every neuron is an IFTruncDelta without leak: it takes the weights that arrive in a step, fires at
1 mV, and is never below `v_reset`. That is put so far down that nothing brings a neuron back within
an image. Firing resets there, so a unit fires once; inhibition pushes there, so it is silenced.
After each image one source clears all: an inhibitory volley sets every membrane to `v_reset`, an
excitatory one a step later to 0. Both are exact. Images follow at ``steps + 2`` ms: a layer at
depth d (the source has 0) acts d ms after the source, and is cleared d ms after it has ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import TimeToFirstSpike
from spikingconvnet.classes.single_spike import (
    DenseDecision,
    LinearSVM,
    Pool,
    SpikingConv,
)
from spikingconvnet.errors import ModelError, UsageError

SOURCE, CLEAR = "input", "clear"
NEURONS_PER_CORE = 256
"""The most that sPyNNaker puts on a core, unless told otherwise."""
Receptor = Literal["excitatory", "inhibitory"]


@dataclass(frozen=True)
class Part:
    """Describe a population: units (height, width, channels), channels last, or a source.

    v_reset: mV, None for a source; most: the largest input of a step by receptor, nA; depth: ms
    behind the source; answers: its potential is the result, spikes are not; piece: units in each
    of the populations that it is made of (None: one of all). sPyNNaker keeps a row of weights for
    each neuron of a source on each core of a target, all as long as the longest: layers with
    inhibition would take 40 times the memory in one piece.
    """

    name: str
    shape: Shape
    depth: int
    v_reset: float | None = None
    most: tuple[float, float] = (1.0, 1.0)
    answers: bool = False
    piece: int | None = None

    @property
    def bounds(self) -> NDArray[np.int64]:
        """Return where the populations begin, and the end."""
        return np.append(np.arange(0, self.size, self.piece or self.size), self.size)

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


def pieces(link: Link, pre: Part, post: Part) -> Iterator[tuple[int, int, Connections]]:
    """Cut a link into those between populations: (number of pre, number of post, connections)."""
    found, bounds = link.connections, (pre.bounds, post.bounds)
    numbers = [
        np.searchsorted(bound[1:], units, side="right")
        for bound, units in zip(bounds, (found.pre, found.post), strict=True)
    ]
    pair = numbers[0] * len(bounds[1]) + numbers[1]
    order = np.argsort(pair, kind="stable")
    cuts = np.flatnonzero(np.diff(pair[order])) + 1
    for chosen in np.split(order, cuts):
        if len(chosen):
            one, other = int(numbers[0][chosen[0]]), int(numbers[1][chosen[0]])
            units = found.pre[chosen] - bounds[0][one], found.post[chosen] - bounds[1][other]
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
        return sum(len(link.connections) for link in self.links)

    @property
    def neurons(self) -> int:
        """Return how many there are, sources not counted."""
        return sum(part.size for part in self.parts if part.v_reset is not None)


def check_model(model: HostModel) -> None:
    """Raise UsageError, naming the part, for a model that stock neurons cannot compute exactly."""
    problem = next(_problems(model), None)
    if problem:
        raise UsageError(f"{model.name}: {problem}")


def _problems(model: HostModel) -> Iterator[str]:
    if isinstance(model.encoder, TimeToFirstSpike) and model.encoder.repeat:
        yield "encoder TimeToFirstSpike.repeat: True (must be False: a unit fires once on a board)"
    for index, layer in enumerate(model.layers):
        if not isinstance(layer, SpikingConv):
            yield f"layer {index + 1}: {type(layer).__name__} (must be a SpikingConv)"
        elif layer.levels is None:
            yield (
                f"layer {index + 1}: SpikingConv.levels: None (must be a number: the host must "
                "round its weights and let ties fire as a board does; 1 for binary kernels)"
            )
        elif layer.channels is not None:
            yield f"layer {index + 1}: SpikingConv.channels: {layer.channels} (must be None)"
        elif layer.rule.w_min < 0:
            yield f"layer {index + 1}: rule.w_min: {layer.rule.w_min:g} (must be at least 0)"
    readout = model.readout
    if isinstance(readout, LinearSVM) and readout.features != "fired":
        yield f"read-out LinearSVM.features: {readout.features!r} (must be 'fired')"
    if not isinstance(readout, DenseDecision | LinearSVM):
        yield f"read-out: {type(readout).__name__} (must be a DenseDecision or a LinearSVM)"
    elif readout.levels is None:
        yield f"read-out {type(readout).__name__}.levels: None (must be a number, such as 16)"


def deployment(
    model: HostModel, image_shape: Pair, weights: list[NDArray[Any]], answers: Answers
) -> Deployment:
    """Return the populations and projections of a model with its trained weights.

    `weights` holds one array (maps, channels, kh, kw) per convolution. Raises UsageError for what a
    board cannot do, ModelError, naming the layer, for weights outside of its range.
    """
    check_model(model)
    shape = model.encoder.output_shape(image_shape)
    parts, links = [Part(CLEAR, (1, 1, 1), 0), Part(SOURCE, shape, 0)], []
    for number, (layer, kernels) in enumerate(zip(model.layers, weights, strict=True), 1):
        assert isinstance(layer, SpikingConv)
        part, joined = _convolution(f"conv {number}", layer, kernels, parts[-1])
        parts.append(part)
        links += joined
        if layer.pool is not None:
            part, joined = _pooling(f"pool {number}", layer.pool, parts[-1])
            parts.append(part)
            links += joined
    part, joined = _decision(answers, parts[-1])
    return Deployment(model.name, (*parts, part), (*links, *joined), answers, model.encoder.steps)


def _convolution(
    name: str, layer: SpikingConv, weights: NDArray[Any], below: Part
) -> tuple[Part, list[Link]]:
    kernels = board_layers.counts(weights, layer.rule.w_max, layer.levels)
    threshold = layer.threshold if layer.test_threshold is None else layer.test_threshold
    most = board_layers.most_silent(threshold, layer.rule.w_max, layer.levels)
    unit = board_layers.unit_weight(most)
    shape = layer.conv_shape(below.shape)
    drive = unit * float(np.abs(kernels).sum(axis=(1, 2, 3)).max(initial=0))
    floor = board_layers.floor_below(drive)
    push = 2 * floor + 1  # from just below 1 mV, against `drive` in the same step
    rivals = shape[2] - 1 if layer.inhibition else 0
    part = Part(
        name, shape, below.depth + 1, -floor, (floor, push * max(rivals, 1)),
        piece=max(NEURONS_PER_CORE // shape[2], 1) * shape[2] if rivals else None,
    )  # fmt: skip
    _check_range(part, unit, bool((kernels < 0).any()))
    found = board_layers.windows(
        below.shape,
        kernels,
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.crop,  # type: ignore[arg-type]
    )
    links = [
        Link(below.name, name, receptor, _scaled(found, chosen, unit))
        for receptor, chosen in _by_sign(found)
    ]
    if rivals:
        links.append(Link(name, name, "inhibitory", board_layers.rivals(shape, push)))
    return part, [*links, *_clearing(part, push, floor)]


def _pooling(name: str, pool: Pool, below: Part) -> tuple[Part, list[Link]]:
    shape = pool.output_shape(below.shape)
    window: Pair = pool.shape  # type: ignore[assignment]
    floor = board_layers.floor_below(float(window[0] * window[1]))
    part = Part(name, shape, below.depth + 1, -floor, (floor, floor + 1))
    links = board_layers.pool_windows(
        below.shape,
        window,
        pool.stride,  # type: ignore[arg-type]
        pool.padding,  # type: ignore[arg-type]
        shape[:2],
    )
    return part, [Link(below.name, name, "excitatory", links), *_clearing(part, floor + 1, floor)]


def _decision(answers: Answers, below: Part) -> tuple[Part, list[Link]]:
    """Return neurons that never reach 1 mV: they start as low as they may have to rise."""
    neurons, units = answers.weights.shape
    if units != below.size:
        raise ModelError(f"read-out: {units} weights a neuron (must be {below.size})")
    rise = np.maximum(answers.weights, 0).sum(axis=1)
    fall = -np.minimum(answers.weights, 0).sum(axis=1)
    start = int((fall - answers.offsets).max())
    reload = start + answers.offsets  # so far above the floor that nothing is cut off
    floor = float((reload + rise).max())
    part = Part(
        "decision", (1, 1, neurons), below.depth + 1, -floor,
        (float(max(rise.max(), reload.max())), max(floor, float(fall.max()))), answers=True,
    )  # fmt: skip
    _check_range(part, 1.0, bool(fall.any()))
    post, pre = np.nonzero(answers.weights)
    found = board_layers.links(pre, post, answers.weights[post, pre])
    links = [
        Link(below.name, part.name, receptor, _scaled(found, chosen, 1.0))
        for receptor, chosen in _by_sign(found)
    ]
    return part, [*links, *_clearing(part, floor, reload)]


def _by_sign(found: Connections) -> Iterator[tuple[Receptor, NDArray[np.bool_]]]:
    for receptor, chosen in (("excitatory", found.weight > 0), ("inhibitory", found.weight < 0)):
        if chosen.any():
            yield receptor, chosen  # type: ignore[misc]


def _scaled(found: Connections, chosen: NDArray[np.bool_], unit: float) -> Connections:
    weight = np.abs(found.weight[chosen]) * unit
    return Connections(found.pre[chosen], found.post[chosen], weight, found.delay[chosen])


def _clearing(part: Part, push: float, reload: Any) -> Iterator[Link]:
    """Give the two volleys that set every membrane of a part to `v_reset`, then `reload` above."""
    units = np.arange(part.size)
    volley = board_layers.links(0, units, push, part.depth)
    yield Link(CLEAR, part.name, "inhibitory", volley)
    heights = np.broadcast_to(np.asarray(reload, np.float64), units.shape)
    some = heights > 0
    if some.any():
        lift = board_layers.links(0, units[some], heights[some], part.depth + 1)
        yield Link(CLEAR, part.name, "excitatory", lift)


def _check_range(part: Part, unit: float, signed: bool) -> None:
    """Raise ModelError when a part's numbers do not fit the 16 bits of the board's weights."""
    assert part.v_reset is not None
    step = max(board_layers.ring_resolution(most) for most in part.most[: 2 if signed else 1])
    if -part.v_reset >= board_layers.MOST_MV or unit % step:
        raise ModelError(
            f"{part.name}: weights from {unit:g} to {-part.v_reset:g} nA (beyond the board's "
            f"range: 16 bits for all of them, {board_layers.MOST_MV:,} nA at most; fewer levels, "
            "or fewer inputs, fit)"
        )
