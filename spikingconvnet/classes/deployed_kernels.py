"""Layers of IF_curr_exp neurons that a board's on-chip convolution connects: one population a map.

A unit fires once as firing takes it to v_reset, from where an image cannot bring it back; the other
maps of its position it pushes as far down, through kernels of one weight. All maps are cleared by
letting every neuron fire (see `algorithms.board_kernels`): that burst reaches the layer above just
when it is cleared itself, and the inhibition that it brings is part of what the lift must overcome.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_kernels, board_layers
from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.classes.deployed_parts import (
    CLEAR,
    NEURONS_PER_CORE,
    SOURCE,
    SOURCES_PER_CORE,
    Kernels,
    Part,
)
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import Pool, SpikingConv
from spikingconvnet.errors import ModelError


def problems(model: HostModel) -> Iterator[str]:
    """Yield what in a model on-chip convolution cannot compute, naming the part."""
    for number, layer in enumerate(model.layers, 1):
        if not isinstance(layer, SpikingConv):
            continue
        if layer.stride != (1, 1):
            yield (
                f"layer {number}: SpikingConv.stride: {layer.stride} (must be 1 with connector "
                "'convolution': the board's connector strides over inputs, not over windows)"
            )
        if any(size % 2 == 0 for size in layer.shape):  # type: ignore[union-attr]
            yield (
                f"layer {number}: SpikingConv.shape: {layer.shape} (must be odd with connector "
                "'convolution': the board reads even kernels beside their place)"
            )
        if layer.crop != (0, 0):
            yield (
                f"layer {number}: SpikingConv.crop: {layer.crop} (must be 0 with connector "
                "'convolution')"
            )
        if layer.pool is not None:
            try:
                _pool_sizes(layer.pool)
            except ModelError as error:
                yield f"layer {number}: {error}"


def _pool_sizes(pool: Pool) -> tuple[Pair, Pair]:
    return board_kernels.pooling("Pool", pool.shape, pool.stride, pool.padding)  # type: ignore[arg-type]


def layers(
    model: HostModel, image_shape: Pair, weights: list[NDArray[Any]]
) -> tuple[list[Part], tuple[Kernels, ...]]:
    """Return the sources and layers of a model, and what connects them."""
    steps = model.encoder.steps
    shape = model.encoder.output_shape(image_shape)
    source = Part(SOURCE, shape, 0, grid=board_kernels.core_grid(shape[:2], SOURCES_PER_CORE))
    parts, links = [Part(CLEAR, (1, 1, 1), 0, grid=(1, 1)), source], []
    for number, (layer, trained) in enumerate(zip(model.layers, weights, strict=True), 1):
        assert isinstance(layer, SpikingConv)
        part, joined = _convolution(f"conv {number}", layer, trained, parts[-1], steps)
        parts.append(part)
        links += joined
        if layer.pool is not None:
            part, joined = _pooling(f"pool {number}", layer.pool, parts[-1], steps)
            parts.append(part)
            links += joined
    return parts, tuple(links)


def _convolution(
    name: str, layer: SpikingConv, weights: NDArray[Any], below: Part, steps: int
) -> tuple[Part, list[Kernels]]:
    counts = board_layers.counts(weights, layer.rule.w_max, layer.levels)
    most = board_layers.most_silent(layer.inference_threshold, layer.rule.w_max, layer.levels)
    drive = int(counts.sum(axis=(1, 2, 3)).max(initial=0))
    shape = layer.conv_shape(below.shape)
    rivals = shape[2] - 1 if layer.inhibition else 0
    scale = board_kernels.scale(name, most, drive, rivals, steps)
    part = _part(name, shape, below, scale, drive * scale.unit, rivals * scale.push)
    padding: Pair = layer.padding  # type: ignore[assignment]
    links = [_link(below, part, counts * scale.unit, padding)]
    if rivals:
        others = -scale.push * (1 - np.eye(shape[2]))
        links.append(_link(part, part, others[:, :, None, None], (0, 0)))
    return part, [*links, *_clearing(part, scale)]


def _pooling(name: str, pool: Pool, below: Part, steps: int) -> tuple[Part, list[Kernels]]:
    shape = pool.output_shape(below.shape)
    size, padding = _pool_sizes(pool)
    window: Pair = pool.shape  # type: ignore[assignment]
    scale = board_kernels.scale(name, 0, window[0] * window[1], 0, steps)
    part = _part(name, shape, below, scale, window[0] * window[1] * scale.unit, 0.0)
    same_map = np.eye(shape[2])[:, :, None, None] * np.full(size, scale.unit)
    seen = np.eye(shape[2])[:, :, None, None] * np.ones(window)
    grid, stride, outside = shape[:2], pool.stride, pool.padding
    count = board_kernels.synapses(seen, below.shape, grid, stride, outside)  # type: ignore[arg-type]
    link = Kernels(
        below.name, name, same_map, stride, padding,  # type: ignore[arg-type]
        window=(window, stride, outside), synapses=count,  # type: ignore[arg-type]
    )  # fmt: skip
    return part, [link, *_clearing(part, scale)]


def _part(
    name: str, shape: Shape, below: Part, scale: board_kernels.Scale, drive: float, push: float
) -> Part:
    """Return a layer; ModelError when its weights are finer than the board's."""
    most = (scale.flush + drive, max(push, 1.0))
    if scale.unit % board_layers.ring_resolution(max(most)):
        raise ModelError(
            f"{name}: weights from {scale.unit:g} to {scale.flush:g} nA (beyond the board's range: "
            "16 bits for all of them; fewer levels, or fewer maps, fit)"
        )
    return Part(
        name, shape, below.depth + 1, scale.v_reset, most,
        grid=board_kernels.core_grid(shape[:2], NEURONS_PER_CORE), v_thresh=scale.v_thresh,
    )  # fmt: skip


def _link(pre: Part, post: Part, kernels: NDArray[Any], padding: Pair) -> Kernels:
    count = board_kernels.synapses(kernels, pre.shape, post.shape[:2], (1, 1), padding)
    return Kernels(pre.name, post.name, kernels, padding=padding, synapses=count)


def _clearing(part: Part, scale: board_kernels.Scale) -> Iterator[Kernels]:
    """Give the volley that lets every unit of a part fire, and a step later that which lifts."""
    for delay, weight in ((part.depth, scale.flush), (part.depth + 1, scale.lift)):
        one = np.full((1, 1, 1, 1), weight)
        yield Kernels(CLEAR, part.name, one, delay=delay, everywhere=True, synapses=part.size)
