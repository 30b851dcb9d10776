"""Single-spike layers as a board computes them in steps of 1 ms, in whole numbers.

A weight is k times a unit, k a whole number. What arrives in a step is added up; all units whose
sum exceeds the threshold fire in that step. Those that fire silence themselves at once and, by
inhibition that takes one step, the others of their position from the next step on. This module
holds the definitions, and the connection lists and sizes that make IFTruncDelta do the same.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.dense_waves import convolve, spikes_of
from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.errors import ModelError


def counts(weights: ArrayLike, w_max: float, levels: int | None) -> NDArray[np.int64]:
    """Return whole numbers k so that ``k w_max / levels`` is nearest to the weights."""
    if levels is None:
        raise ModelError("levels: None (must be a number of levels: a board has no other weights)")
    return np.rint(np.asarray(weights, np.float64) / w_max * levels).astype(np.int64)


def most_silent(threshold: float, w_max: float, levels: int | None) -> int:
    """Return the largest sum of whole numbers that does not exceed a threshold of weights."""
    assert levels is not None
    return int(np.floor(threshold / w_max * levels + 1e-9))


def convolved(
    waves: Waves,
    image: int,
    kernels: NDArray[np.int64],
    most: int,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    crop: Pair = (0, 0),
    inhibition: bool = True,
) -> NDArray[np.bool_]:
    """Return who fires at which step of an image: (steps, height, width, maps).

    A unit fires once, in the first step in which the weights `kernels` (maps, channels, kh, kw)
    of the spikes so far sum to more than `most`; with `inhibition` only in the first step in
    which any of its position does.
    """
    spikes = np.cumsum(spikes_of(waves, image), axis=0)
    above = convolve(spikes, kernels.astype(np.float64), stride, padding, crop) > most
    fired = np.zeros_like(above)
    silent = np.zeros(above.shape[1:], bool)
    for now, out in zip(above, fired, strict=True):
        out[:] = now & ~silent
        silent |= out.any(axis=2, keepdims=True) if inhibition else out
    return fired


# ---- connection lists ----------------------------------------------------------------------------
# Units are numbered as in `waves`, channels last: the maps of a position then lie on one core, and
# so do the windows of one row, which makes for fewer packets than the map-major order.


def windows(
    shape: Shape,
    kernels: NDArray[Any],
    stride: Pair,
    padding: Pair = (0, 0),
    crop: Pair = (0, 0),
) -> Connections:
    """Connect inputs (height, width, channels) to the units that see them; weight 0: not at all.

    kernels (maps, channels, kh, kw): output (row, column, map) sees input ``(row + crop) stride +
    k - padding``. Rows and columns are as many as fit, ``(size + 2 padding - k) // stride + 1``.
    """
    height, width, channels = shape
    maps = len(kernels)
    rows, columns = (
        (shape[axis] + 2 * padding[axis] - kernels.shape[2 + axis]) // stride[axis] + 1 - crop[axis]
        for axis in (0, 1)
    )
    m, c, ky, kx = (index[:, None] for index in np.nonzero(kernels))
    place = np.arange(rows * columns)
    y = (place // columns + crop[0]) * stride[0] + ky - padding[0]
    x = (place % columns + crop[1]) * stride[1] + kx - padding[1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    pre, post = (y * width + x) * channels + c, place * maps + m
    weight = np.broadcast_to(kernels[m, c, ky, kx], inside.shape)
    return links(pre[inside], post[inside], weight[inside])


def pool_windows(
    shape: Shape, window: Pair, stride: Pair, padding: Pair, grid: Pair
) -> Connections:
    """Connect units (height, width, maps) to the windows (rows, columns) = `grid` that see them."""
    height, width, maps = shape
    rows, columns = grid
    ky, kx = (index.reshape(-1, 1) for index in np.mgrid[: window[0], : window[1]])
    place = np.arange(rows * columns)
    y = place // columns * stride[0] + ky - padding[0]
    x = place % columns * stride[1] + kx - padding[1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    seen, by = (y * width + x)[inside], np.broadcast_to(place, inside.shape)[inside]
    m = np.arange(maps)
    return links((seen[:, None] * maps + m).ravel(), (by[:, None] * maps + m).ravel(), 1.0)


def rivals(shape: Shape, weight: float) -> Connections:
    """Connect each unit of (height, width, maps) to the others of its position."""
    height, width, maps = shape
    one, other = (index.ravel() for index in np.nonzero(~np.eye(maps, dtype=bool)))
    place = np.arange(height * width)[:, None] * maps
    return links((place + one).ravel(), (place + other).ravel(), weight)


def links(pre: Any, post: Any, weight: Any, delay: float = 1.0) -> Connections:
    """Return connections from arrays of units; weight and delay may be single numbers."""
    pre, post = np.broadcast_arrays(np.asarray(pre, np.int32), np.asarray(post, np.int32))
    full = [np.broadcast_to(np.asarray(value, np.float64), pre.shape) for value in (weight, delay)]
    return Connections(np.ascontiguousarray(pre), np.ascontiguousarray(post), *full)


# ---- numbers of a neuron -------------------------------------------------------------------------

THRESHOLD_MV = 1.0
"""Of IFTruncDelta at steps of 1 ms, whatever its v_thresh says (see `board_neurons`)."""
RING_BITS = 16
"""Of the sum of weights that arrive in a step (sPyNNaker's synapse ring buffers)."""
MOST_UNITS = 180
"""Up to here there is a weight of at most 15 bits behind the point: n (n + 1) <= 2**15."""
MOST_MV = 2**15
"""Potentials stay below it, and above minus it: s16.15 holds twice as much."""


def unit_weight(most: int) -> float:
    """Return the weight u for which ``most u < 1 mV <= (most + 1) u``, of as few bits as can be."""
    for bits in range(RING_BITS):
        u = -(-(2**bits) // (most + 1))
        if u * most < 2**bits:
            return u / 2**bits
    raise ModelError(f"threshold: above {most} units of weight (must be at most {MOST_UNITS})")


def ring_resolution(largest: float) -> float:
    """Return the step of the weights of a receptor whose largest sum in a step is known.

    As sPyNNaker 7.4.1 chooses it: sums below 2**w have w - 15 as exponent of the step.
    """
    power = int(np.ceil(max(0.0, np.log2(largest)))) if largest > 0 else 0
    power += 2**power <= largest
    return 2.0 ** (power - (RING_BITS - 1))


def floor_below(largest: float) -> float:
    """Return a power of two, mV, so far below rest that inputs of `largest` mV do not fire."""
    return float(2 ** int(np.ceil(np.log2(max(largest, 1.0)))))
