"""Where the windows of a layer lie, as the compiled functions take it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.errors import ModelError

LANES = 16
"""Maps are padded to a multiple of this: one AVX-512 register holds 16 numbers of 4 bytes."""


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


def pack(weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return kernels (maps, channels, kh, kw) as (channels, kh, kw, padded maps), maps last."""
    maps = weights.shape[0]
    padded = -(-maps // LANES) * LANES
    packed = np.zeros((*weights.shape[1:], padded), np.float32)
    packed[..., :maps] = np.moveaxis(weights, 0, 3)
    return packed


def unpack(packed: NDArray[np.float32], maps: int) -> NDArray[np.float64]:
    """Return packed kernels as (maps, channels, kh, kw)."""
    return np.ascontiguousarray(np.moveaxis(packed[..., :maps], 3, 0)).astype(np.float64)
