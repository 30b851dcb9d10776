"""The tensor formula and the only place where flat neuron indices are made.

Axes: a tensor has shape (height, width, channels); its neurons are numbered map-major, then
row-major: ``index = (map * height + y) * width + x``.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.errors import ModelError

Shape: TypeAlias = tuple[int, int, int]
Pair: TypeAlias = tuple[int, int]


def as_int(value: Any, name: str, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`, or raise a ModelError that names `name`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ModelError(f"{name}: {value!r} (must be a whole number of at least {minimum})")
    if value < minimum:
        raise ModelError(f"{name}: {value} (must be at least {minimum})")
    return int(value)


def as_pair(value: Any, name: str) -> Pair:
    """Return (height, width) from one int (a square) or two, each at least 1."""
    if isinstance(value, (tuple, list, np.ndarray)):
        if len(value) != 2:
            raise ModelError(f"{name}: {value!r} (must be one whole number or (height, width))")
        return as_int(value[0], f"{name}[0]"), as_int(value[1], f"{name}[1]")
    side = as_int(value, name)
    return side, side


def as_shape(value: Any, name: str) -> Shape:
    """Return (height, width, channels) from 2 (one channel) or 3 whole numbers, each at least 1."""
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) not in (2, 3):
        raise ModelError(
            f"{name}: {value!r} (must be (height, width) or (height, width, channels))"
        )
    sizes = [as_int(size, f"{name}[{axis}]") for axis, size in enumerate(value)]
    height, width, channels = sizes if len(sizes) == 3 else [*sizes, 1]
    return height, width, channels


def conv_output(size: int, kernel: int, stride: int) -> int:
    """Return how many windows fit on one axis: ``(size - kernel) // stride + 1``.

    Raises ModelError when the kernel is larger than the axis.
    """
    size, kernel = as_int(size, "size"), as_int(kernel, "kernel")
    stride = as_int(stride, "stride")
    if kernel > size:
        raise ModelError(f"kernel: {kernel} (must be at most the input's size {size})")
    return (size - kernel) // stride + 1


def output_grid(shape: Any, kernel: Any, stride: Any = 1) -> Pair:
    """Return (rows, columns) of windows of `kernel` over the tensor `shape` at `stride`."""
    height, width, _ = as_shape(shape, "shape")
    (kernel_height, kernel_width), (down, right) = (
        as_pair(kernel, "kernel"),
        as_pair(stride, "stride"),
    )
    return conv_output(height, kernel_height, down), conv_output(width, kernel_width, right)


def flat_index(feature_map: Any, y: Any, x: Any, height: int, width: int) -> Any:
    """Return the flat neuron index ``(map * height + y) * width + x`` (scalars or arrays)."""
    return (feature_map * height + y) * width + x


def unflatten(index: Any, height: int, width: int) -> tuple[Any, Any, Any]:
    """Return (map, y, x) of flat neuron indices: the inverse of `flat_index`."""
    row, x = np.divmod(index, width)
    feature_map, y = np.divmod(row, height)
    return feature_map, y, x


def flatten_images(images: NDArray[Any]) -> NDArray[Any]:
    """Return `images` (n, height, width[, channels]) as (n, neurons) in flat-index order."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise ModelError(
            f"images: {images.ndim} axes (must be (n, height, width) or with channels last)"
        )
    return np.ascontiguousarray(np.moveaxis(images, 3, 1)).reshape(len(images), -1)
