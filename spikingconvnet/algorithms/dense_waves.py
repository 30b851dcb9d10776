"""Single-spike layers on dense arrays: the definitions the compiled functions are held to.

A wave is an array (steps, height, width, channels). What enters a convolution is cumulative: at
each step the number of spikes so far, so that the sum over a window is the potential of a
non-leaky neuron (Mozafari et al., Frontiers in Neuroscience 13 (2019) 625,
doi:10.3389/fnins.2019.00625). What fires is 0 before its spike and 1 from then on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair
from spikingconvnet.algorithms.waves import Waves


def spikes_of(waves: Waves, image: int) -> NDArray[np.int64]:
    """Return how often each unit fired at each step: (steps, height, width, channels)."""
    first, end = waves.start[image], waves.start[image + 1]
    counts = np.zeros((waves.steps, waves.units), np.int64)
    np.add.at(counts, (waves.step[first:end], waves.unit[first:end]), 1)
    return counts.reshape(waves.steps, *waves.shape)


def first_spikes(spikes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the step of each unit's first spike; the number of steps for none."""
    fired = np.asarray(spikes) > 0
    return np.where(fired.any(axis=0), fired.argmax(axis=0), len(fired))


def convolve(
    spikes: NDArray[Any],
    kernels: NDArray[np.float64],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    crop: Pair = (0, 0),
) -> NDArray[np.float64]:
    """Return ``V[t, y, x, m] = sum_{c, i, j} S[t, y s + i - p, x s + j - p, c] K[m, c, i, j]``.

    `kernels` (maps, channels, kh, kw); `crop` first rows and columns are left out.
    """
    maps, channels, height, width = kernels.shape
    padded = np.pad(spikes, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    rows = (padded.shape[1] - height) // stride[0] + 1
    columns = (padded.shape[2] - width) // stride[1] + 1
    potentials = np.zeros((len(spikes), rows, columns, maps))
    # One offset at a time: equal windows add the same numbers in the same order, wherever they lie.
    for y in range(height):
        down = slice(y, y + (rows - 1) * stride[0] + 1, stride[0])
        for x in range(width):
            right = slice(x, x + (columns - 1) * stride[1] + 1, stride[1])
            for channel in range(channels):
                seen = padded[:, down, right, channel]
                potentials += seen[..., None] * kernels[:, channel, y, x]
    return potentials[:, crop[0] :, crop[1] :]


def fire(potentials: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Return who has fired by each step: ``V > threshold`` now or before."""
    return np.logical_or.accumulate(potentials > threshold, axis=0)


def inhibit(potentials: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Return who has fired by each step when only one map may at each position.

    It is the one that exceeds `threshold` first; of several in one step that with the highest
    potential; of equal ones the first.
    """
    fired = np.zeros(potentials.shape, bool)
    taken = np.zeros(potentials.shape[1:3], bool)
    for potential, now in zip(potentials, fired, strict=True):
        best = potential.argmax(axis=2)
        rows, columns = np.nonzero((potential.max(axis=2) > threshold) & ~taken)
        now[rows, columns, best[rows, columns]] = True
        taken[rows, columns] = True
    return np.logical_or.accumulate(fired, axis=0)


def pool(
    fired: NDArray[np.bool_], shape: Pair, stride: Pair, padding: Pair = (0, 0), ceil: bool = False
) -> NDArray[np.bool_]:
    """Return whether anyone in a window has fired; `ceil`: windows may reach over the far edge."""
    counts = []
    for axis in (0, 1):
        span = fired.shape[axis + 1] + 2 * padding[axis] - shape[axis]
        counts.append((-(-span // stride[axis]) if ceil else span // stride[axis]) + 1)
    # As much silence behind as the last window may reach over.
    behind = [padding[axis] + shape[axis] + stride[axis] for axis in (0, 1)]
    margins = ((0, 0), (padding[0], behind[0]), (padding[1], behind[1]), (0, 0))
    padded = np.pad(fired, margins)
    pooled = np.zeros((len(fired), *counts, fired.shape[3]), bool)
    for y in range(counts[0]):
        for x in range(counts[1]):
            top, left = y * stride[0], x * stride[1]
            window = padded[:, top : top + shape[0], left : left + shape[1]]
            pooled[:, y, x] = window.any(axis=(1, 2))
    return pooled
