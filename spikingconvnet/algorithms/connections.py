"""Connection lists as arrays: what a PyNN FromListConnector takes, built without Python loops.

A convolution is the cross-correlation of machine learning: the kernel is not flipped, and unless
`depthwise`, a kernel sums over all input maps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.indexing import as_int, as_pair, as_shape, flat_index, output_grid
from spikingconvnet.errors import ModelError


@dataclass(frozen=True, eq=False)
class Connections:
    """Hold synapses from one population to another, one per row of four equally long arrays.

    pre, post: int32 (n,) neuron indices; weight: float64 (n,), nA; delay: float64 (n,), ms.
    """

    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weight: NDArray[np.float64]
    delay: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of synapses."""
        return len(self.pre)

    def as_list(self) -> NDArray[np.float64]:
        """Return rows (pre, post, weight, delay), float64 (n, 4), for a FromListConnector."""
        return np.column_stack((self.pre, self.post, self.weight, self.delay))


def _connections(pre: Any, post: Any, weight: Any, delay: float) -> Connections:
    """Broadcast four values to one shape and flatten them into a record."""
    shape = np.broadcast_shapes(np.shape(pre), np.shape(post), np.shape(weight))

    def column(values: Any, dtype: type) -> NDArray[Any]:
        full: NDArray[Any] = np.empty(shape, dtype)
        full[...] = values
        return full.reshape(-1)

    return Connections(
        column(pre, np.int32),
        column(post, np.int32),
        column(weight, np.float64),
        column(delay, np.float64),
    )


def _grid(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: Any
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Index one map's windows: pre (rows, columns, kh, kw) and post (rows, columns, 1, 1)."""
    height, width, _ = shape
    rows, columns = output_grid(shape, kernel, stride)
    down, right = as_pair(stride, "stride")
    y2, x2, y1, x1 = np.ogrid[:rows, :columns, : kernel[0], : kernel[1]]
    pre = flat_index(0, y1 + y2 * down, x1 + x2 * right, height, width)
    post = flat_index(0, y2, x2, rows, columns)
    return pre.astype(np.int32), post.astype(np.int32)


def convolution(
    input_shape: Any,
    weights: ArrayLike,
    stride: Any = 1,
    delay: float = 1.0,
    depthwise: bool = False,
) -> Connections:
    """Connect every window of a tensor to its neuron in every output map.

    weights: (kernels, channels, kh, kw), nA, giving one output map per kernel; or, depthwise,
    (kernels, 1, kh, kw), each kernel applied to each input map d alone, output map
    ``m = kernel * channels + d``. Rows are ordered by output map, row and column, then by input
    map, kernel row and kernel column. Raises ModelError when the shapes do not fit.
    """
    shape = as_shape(input_shape, "input_shape")
    kernels = _kernels(weights, 1 if depthwise else shape[2])
    count, channels, kernel_height, kernel_width = kernels.shape
    pre, post = _grid(shape, (kernel_height, kernel_width), stride)
    in_map, out_map = shape[0] * shape[1], post.size
    if depthwise:
        kernel, d = np.ogrid[:count, : shape[2]]
        maps = (kernel * shape[2] + d)[:, :, None, None, None, None]
        sources = pre + (d * in_map)[:, :, None, None, None, None]
        strengths = kernels[:, :, None, None]  # (kernels, 1, 1, 1, kh, kw)
    else:
        maps = np.arange(count)[:, None, None, None, None, None]
        sources = (pre[:, :, None] + np.arange(channels)[:, None, None] * in_map)[None]
        post = post[:, :, None]
        strengths = kernels[:, None, None]  # (kernels, 1, 1, channels, kh, kw)
    return _connections(sources, post + maps * out_map, strengths, delay)


def _kernels(weights: ArrayLike, channels: int) -> NDArray[np.float64]:
    kernels = np.asarray(weights, dtype=np.float64)
    if kernels.ndim != 4 or kernels.shape[1] != channels or not kernels.size:
        raise ModelError(
            f"weights: shape {kernels.shape} (must be (kernels, {channels}, height, width))"
        )
    return kernels


def pooling(
    input_shape: Any, shape: Any, stride: Any = None, weight: float = 1.0, delay: float = 1.0
) -> Connections:
    """Connect every window of every map to one neuron of the same map, all at one weight (nA).

    `stride` is the window's own shape when None (no overlap).
    """
    tensor, window = as_shape(input_shape, "input_shape"), as_pair(shape, "shape")
    pre, post = _grid(tensor, window, window if stride is None else stride)
    maps = np.arange(tensor[2])[:, None, None, None, None]
    return _connections(
        pre + maps * (tensor[0] * tensor[1]), post + maps * post.size, weight, delay
    )


def all_to_all(weights: ArrayLike, delay: float = 1.0) -> Connections:
    """Connect every pre neuron to every post neuron with weights (pre, post), nA."""
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.ndim != 2:
        raise ModelError(f"weights: shape {matrix.shape} (must be (pre, post))")
    pre, post = np.ogrid[: matrix.shape[0], : matrix.shape[1]]
    return _connections(pre, post, matrix, delay)


def lateral(size: int, weight: float, delay: float = 1.0) -> Connections:
    """Connect every neuron of a population to every other one, and none to itself."""
    size = as_int(size, "size")
    pre, step = np.ogrid[:size, 1:size]
    return _connections(pre, np.sort((pre + step) % size, axis=1), weight, delay)


def cross_map(shape: Any, weight: float, delay: float = 1.0) -> Connections:
    """Connect every neuron of a tensor to those at the same place in the other maps."""
    height, width, maps = as_shape(shape, "shape")
    pre_map, step, place = np.ogrid[:maps, 1:maps, : height * width]
    post_map = np.sort((pre_map + step) % maps, axis=1)
    size = height * width
    return _connections(pre_map * size + place, post_map * size + place, weight, delay)
