"""Project features of deep layers back to the input: what a unit answers to, drawn in pixels.

A feature is the sum of what its inputs stand for, each at its place in the window and weighted by
its synapse. A pooled unit stands for its input at the centre of the pooling window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair


@dataclass(frozen=True, eq=False)
class Features:
    """Hold what the units of a layer stand for.

    `values` (maps, height, width, channels) of the input; the unit in row r and column c has the
    upper left corner of its patch at input pixel ``r * step[0] + origin[0], c * step[1] +
    origin[1]``.
    """

    values: NDArray[np.float64]
    step: Pair
    origin: Pair


def of_input(channels: int) -> Features:
    """Return the features of the input itself: one pixel in one channel."""
    return Features(np.eye(channels).reshape(channels, 1, 1, channels), (1, 1), (0, 0))


def through_convolution(
    below: Features, weights: NDArray[np.float64], stride: Pair, padding: Pair
) -> Features:
    """Return the features of kernels (maps, channels, kh, kw) over a layer.

    ``F[m] = sum over c, y, x of w[m, c, y, x] * below[c]``, moved by (y, x) steps.
    """
    maps, _, rows, columns = weights.shape
    down, right = below.step
    _, height, width, channels = below.values.shape
    shape = (maps, (rows - 1) * down + height, (columns - 1) * right + width, channels)
    values = np.zeros(shape)
    for y, x in np.ndindex(rows, columns):
        part = values[:, y * down : y * down + height, x * right : x * right + width]
        part += np.tensordot(weights[:, :, y, x], below.values, axes=1)
    origin = (below.origin[0] - padding[0] * down, below.origin[1] - padding[1] * right)
    return Features(values, (down * stride[0], right * stride[1]), origin)


def through_pooling(below: Features, shape: Pair, stride: Pair, padding: Pair) -> Features:
    """Return the features of pooled units: those at the centres of their windows."""
    centre = [
        int((shape[axis] - 1) / 2 * below.step[axis]) - padding[axis] * below.step[axis]
        for axis in (0, 1)
    ]
    origin = (below.origin[0] + centre[0], below.origin[1] + centre[1])
    step = (below.step[0] * stride[0], below.step[1] * stride[1])
    return Features(below.values, step, origin)


def cropped(below: Features, crop: Pair) -> Features:
    """Return the features of units whose first rows and columns are left out."""
    origin = tuple(below.origin[axis] + crop[axis] * below.step[axis] for axis in (0, 1))
    return Features(below.values, below.step, (origin[0], origin[1]))


def beside(parts: Sequence[Features]) -> Features:
    """Return the features of layers side by side, on patches that hold those of all."""
    top, left = (min(part.origin[axis] for part in parts) for axis in (0, 1))
    bottom, right = (
        max(part.origin[axis] + part.values.shape[axis + 1] for part in parts) for axis in (0, 1)
    )
    moved = []
    for part in parts:
        maps, height, width, channels = part.values.shape
        whole = np.zeros((maps, bottom - top, right - left, channels))
        y, x = part.origin[0] - top, part.origin[1] - left
        whole[:, y : y + height, x : x + width] = part.values
        moved.append(whole)
    return Features(np.concatenate(moved), parts[0].step, (top, left))


def in_pixels(features: Features, filters: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return grey pictures (maps, height, width): each channel drawn as its filter (odd side).

    Without filters (one channel of plain pixels) values stay as they are.
    """
    if not filters:
        return features.values[..., 0]
    margin = max(len(kernel) for kernel in filters) // 2
    maps, height, width, _ = features.values.shape
    pictures = np.zeros((maps, height + 2 * margin, width + 2 * margin))
    for channel, kernel in enumerate(filters):
        shift = margin - len(kernel) // 2
        for y, x in np.ndindex(kernel.shape):
            rows = slice(y + shift, y + shift + height)
            columns = slice(x + shift, x + shift + width)
            pictures[:, rows, columns] += kernel[y, x] * features.values[..., channel]
    return pictures
