"""A trained single-spike network as populations and projections of a board: what, not yet PyNN.

Every neuron is an IFTruncDelta without leak, unless the model asks for on-chip convolution (see
`deployed_kernels`): it takes the weights that arrive in a step, fires at 1 mV, and is never below
`v_reset`. That is put so far down that nothing brings a neuron back within an image. Firing resets
there, so a unit fires once; inhibition pushes there, so it is silenced. After each image one source
clears all: an inhibitory volley sets every membrane to `v_reset`, an excitatory one a step later to
0. Both are exact. Images follow at ``steps + 2`` ms: a layer at depth d (the source has 0) acts d
ms after the source, and is cleared d ms after it has ended.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.indexing import Pair
from spikingconvnet.classes import deployability, deployed_kernels
from spikingconvnet.classes.deployed_parts import (
    CLEAR,
    NEURONS_PER_CORE,
    SOURCE,
    Answers,
    Deployment,
    Link,
    Part,
    Receptor,
)
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import Pool, SpikingConv
from spikingconvnet.errors import ModelError, UsageError


def check_model(model: HostModel) -> None:
    """Raise UsageError, naming the part, for a model that stock neurons cannot compute exactly."""
    found = deployability.obstacles(model)
    if found:
        raise UsageError(f"{model.name}: {found[0].text}")


def deployment(
    model: HostModel, image_shape: Pair, weights: list[NDArray[Any]], answers: Answers
) -> Deployment:
    """Return the populations and projections of a model with its trained weights.

    `weights` holds one array (maps, channels, kh, kw) per convolution. Raises UsageError for what a
    board cannot do, ModelError, naming the layer, for weights outside of its range.
    """
    check_model(model)
    if model.connector == "convolution":
        return _on_chip(model, image_shape, weights, answers)
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


def _on_chip(
    model: HostModel, image_shape: Pair, weights: list[NDArray[Any]], answers: Answers
) -> Deployment:
    parts, kernels = deployed_kernels.layers(model, image_shape, weights)
    part, links = _decision(answers, parts[-1], burst=True)
    steps = model.encoder.steps
    return Deployment(model.name, (*parts, part), tuple(links), answers, steps, kernels)


def _convolution(
    name: str, layer: SpikingConv, weights: NDArray[Any], below: Part
) -> tuple[Part, list[Link]]:
    kernels = board_layers.counts(weights, layer.rule.w_max, layer.levels)
    most = board_layers.most_silent(layer.inference_threshold, layer.rule.w_max, layer.levels)
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


def _decision(answers: Answers, below: Part, burst: bool = False) -> tuple[Part, list[Link]]:
    """Return neurons that never reach 1 mV: they start as low as they may have to rise.

    burst: all units below fire when they are cleared.
    """
    neurons, units = answers.weights.shape
    if units != below.size:
        raise ModelError(f"read-out: {units} weights a neuron (must be {below.size})")
    rise = np.maximum(answers.weights, 0).sum(axis=1)
    fall = -np.minimum(answers.weights, 0).sum(axis=1)
    start = int((fall - answers.offsets).max())
    reload = start + answers.offsets  # so far above the floor that nothing is cut off
    floor = float((reload + rise).max())
    push, most = floor, float(fall.max())
    if burst:  # falls on the volley that clears
        push, most = floor + float(rise.max()), floor + float(rise.max()) + most
    part = Part(
        "decision", (1, 1, neurons), below.depth + 1, -floor,
        (float(max(rise.max(), reload.max())), max(push, most)), answers=True,
    )  # fmt: skip
    _check_range(part, 1.0, bool(fall.any()))
    post, pre = np.nonzero(answers.weights)
    found = board_layers.links(pre, post, answers.weights[post, pre])
    links = [
        Link(below.name, part.name, receptor, _scaled(found, chosen, 1.0))
        for receptor, chosen in _by_sign(found)
    ]
    return part, [*links, *_clearing(part, push, reload)]


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
