"""Where the windows of a layer lie, as the compiled functions take it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.classes.single_spike import Pool, SpikingConv
from spikingconvnet.errors import DataError, ModelError

LANES = 16
"""Numbers that are worked on together, and what maps are padded to a multiple of: one AVX-512
register holds 16 numbers of 4 bytes."""


class Grid(NamedTuple):
    """Describe windows over an input: output (row, column) sees the inputs from
    ``row * down - top`` on, `window_height` of them, and likewise across; what lies outside the
    input is silent. A negative `top` or `left` leaves out the first rows or columns.
    """

    height: int
    width: int
    channels: int
    rows: int
    columns: int
    window_height: int
    window_width: int
    down: int
    right: int
    top: int
    left: int


def grid(
    shape: Shape,
    window: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    crop: Pair = (0, 0),
    ceil: bool = False,
) -> Grid:
    """Return the windows over an input (height, width, channels) padded on all sides.

    ``rows = (height + 2 * padding - window) // stride + 1``, rounded up with `ceil` (the last
    window may then reach over the edge), less `crop` first rows. Raises ModelError when none fits.
    """
    sizes = []
    for axis in (0, 1):
        span = shape[axis] + 2 * padding[axis] - window[axis]
        steps = -(-span // stride[axis]) if ceil else span // stride[axis]
        if span < 0 or steps + 1 - crop[axis] < 1:
            name = ("height", "width")[axis]
            raise ModelError(
                f"shape: {window[0]}x{window[1]} (its {name} must be at most "
                f"{shape[axis] + 2 * padding[axis]}, the input's with its padding)"
            )
        sizes.append(steps + 1 - crop[axis])
    return Grid(
        *shape,
        sizes[0],
        sizes[1],
        *window,
        *stride,
        padding[0] - crop[0] * stride[0],
        padding[1] - crop[1] * stride[1],
    )


def conv_grid(layer: SpikingConv, shape: Shape, cropped: bool = True) -> Grid:
    """Return where the windows of a layer lie over an input; `crop` counts at inference only."""
    window, stride, padding, crop = layer.shape, layer.stride, layer.padding, layer.crop
    return grid(shape, window, stride, padding, crop if cropped else (0, 0))  # type: ignore[arg-type]


def pool_grid(pool: Pool | None, shape: Shape) -> Grid:
    """Return where the windows of a pooling lie; without one every unit is a window."""
    if pool is None:
        return grid(shape, (1, 1), (1, 1))
    return grid(shape, pool.shape, pool.stride, pool.padding, ceil=pool.ceil)  # type: ignore[arg-type]


def check_weights(weights: NDArray[Any], wanted: tuple[int, ...]) -> None:
    """Raise DataError unless weights have a layer's shape and are finite."""
    if weights.shape != wanted:
        raise DataError(f"weights: of shape {weights.shape} (the layer has {wanted})")
    if not np.isfinite(weights).all():
        raise DataError("weights: not all finite (NaN or infinity among them)")


def padded(count: int) -> int:
    """Return a number of maps or neurons rounded up to a multiple of `LANES`."""
    return -(-count // LANES) * LANES


def pack(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Return kernels (maps, channels, kh, kw) as (channels, kh, kw, padded maps), maps last.

    Weights (neurons, inputs) become (inputs, padded neurons).
    """
    packed = np.zeros((*weights.shape[1:], padded(len(weights))), np.float32)
    packed[..., : len(weights)] = np.moveaxis(weights, 0, -1)
    return packed


def unpack(packed: NDArray[np.float32], maps: int) -> NDArray[np.float64]:
    """Return packed kernels as (maps, channels, kh, kw)."""
    return np.ascontiguousarray(np.moveaxis(packed[..., :maps], 3, 0)).astype(np.float64)
