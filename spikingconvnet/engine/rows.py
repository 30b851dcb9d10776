"""The spikes that compiled functions write, image by image, gathered into waves."""

from collections.abc import Iterator

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves

CHUNK_BYTES = 1 << 26
"""Memory for the spikes of the images that are worked on together."""


@njit(cache=True, parallel=True, nogil=True)
def _copy_rows(from_unit, from_step, ends, unit, step):
    for row in prange(len(ends)):
        begin = ends[row - 1] if row else 0
        for i in range(ends[row] - begin):
            unit[begin + i] = from_unit[row, i]
            step[begin + i] = from_step[row, i]


class Rows:
    """Gather the spikes of so many images, at most `capacity` each, chunk by chunk.

    Compiled functions write those of image i of a chunk to ``out[0][i]`` (units) and
    ``out[1][i]`` (steps).
    """

    def __init__(self, images: int, capacity: int) -> None:
        self._images = images
        self._chunk = max(1, min(images, CHUNK_BYTES // (5 * capacity)))
        shape = (self._chunk, capacity)
        self.out = np.empty(shape, np.int32), np.empty(shape, np.uint8)
        self._units: list[NDArray[np.int32]] = []
        self._steps: list[NDArray[np.uint8]] = []
        self._lengths: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]

    def chunks(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield, for each chunk, its first image and where to write how many spikes each has."""
        for first in range(0, self._images, self._chunk):
            counts = np.empty(min(self._chunk, self._images - first), np.int64)
            yield first, counts
            self._take(counts)

    def _take(self, counts: NDArray[np.int64]) -> None:
        """Copy the first ``counts[i]`` spikes of row i."""
        ends = np.cumsum(counts)
        unit, step = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.uint8)
        _copy_rows(*self.out, ends, unit, step)
        self._units.append(unit)
        self._steps.append(step)
        self._lengths.append(counts)

    def waves(self, shape: Shape, steps: int) -> Waves:
        """Return the spikes of all images."""
        start = np.cumsum(np.concatenate(self._lengths))
        return Waves(shape, steps, start, np.concatenate(self._units), np.concatenate(self._steps))
