"""Frozen layers: convolution, firing, lateral inhibition and pooling in one pass per image."""

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.engine.geometry import Grid
from spikingconvnet.engine.integrate import (
    TOUCHED,
    clear,
    first_window,
    first_with,
    highest,
    last_window,
    spread,
)

CHUNK_BYTES = 1 << 26
"""Memory for the outputs of the images that are worked on together."""
_FIRED = np.float32(-1e30)


@njit(cache=True, inline="always")
def _emit(position, m, step, maps, columns, pool, flag, unit_out, step_out, count):
    """Pass on a spike through the pooling windows that see it and have not fired yet."""
    row = position // columns
    column = position - row * columns
    row0 = first_window(row, pool.top, pool.window_height, pool.down)
    row1 = last_window(row, pool.top, pool.down, pool.rows)
    column0 = first_window(column, pool.left, pool.window_width, pool.right)
    column1 = last_window(column, pool.left, pool.right, pool.columns)
    for pooled_row in range(row0, row1 + 1):
        for pooled_column in range(column0, column1 + 1):
            unit = (pooled_row * pool.columns + pooled_column) * maps + m
            if not flag[unit]:
                flag[unit] = 1
                unit_out[count] = unit
                step_out[count] = step
                count += 1
    return count


@njit(cache=True)
def _fire(
    potential, done, mark, now, n_now, threshold, compete, maps, step, grid, pool, out, count
):
    """Let the positions touched in this step fire; return how many spikes there are now."""
    flag, unit_out, step_out = out
    for i in range(n_now):
        position = now[i]
        mark[position] = TOUCHED
        best = highest(potential, position)
        if best <= threshold:
            continue
        if compete:
            done[position] = 1
            m = first_with(potential, position, best)
            count = _emit(
                position, m, step, maps, grid.columns, pool, flag, unit_out, step_out, count
            )
            continue
        for m in range(maps):
            if potential[position, m] > threshold:
                potential[position, m] = _FIRED
                count = _emit(
                    position, m, step, maps, grid.columns, pool, flag, unit_out, step_out, count
                )
    return count


@njit(cache=True, parallel=True, nogil=True)
def _transform(
    start, unit, step, first, weights, maps, threshold, compete, grid, pool, out_unit, out_step,
    counts, blocks,
):  # fmt: skip
    images = len(counts)
    positions = grid.rows * grid.columns
    for block in prange(blocks):
        potential = np.zeros((positions, weights.shape[3]), np.float32)
        done, mark = np.zeros(positions, np.uint8), np.zeros(positions, np.uint8)
        now, ever = np.empty(positions, np.int32), np.empty(positions, np.int32)
        flag = np.zeros(pool.rows * pool.columns * maps, np.uint8)
        for image in range(block, images, blocks):
            units, steps = out_unit[image], out_step[image]
            count, n_ever = 0, 0
            at, end = start[first + image], start[first + image + 1]
            while at < end:
                time = step[at]
                n_now = 0
                while at < end and step[at] == time:
                    n_now, n_ever = spread(
                        unit[at], weights, potential, done, mark, now, n_now, ever, n_ever, grid
                    )
                    at += 1
                count = _fire(
                    potential, done, mark, now, n_now, threshold, compete, maps, time, grid, pool,
                    (flag, units, steps), count,
                )  # fmt: skip
            counts[image] = count
            for i in range(count):
                flag[units[i]] = 0
            clear(potential, done, mark, ever, n_ever)


def transform(
    waves: Waves,
    weights: NDArray[np.float32],
    maps: int,
    threshold: float,
    conv: Grid,
    pool: Grid,
    compete: bool = True,
) -> Waves:
    """Return the pooled spikes of a frozen convolution: non-leaky, at most one spike an image.

    A unit fires in the first step in which its potential, the sum of the weights of all input
    spikes so far, exceeds `threshold`. With `compete` only the map with the highest potential may
    fire at a position, and once one has, no other does. `weights` as `geometry.pack` makes them;
    `conv` lies over the input, `pool` over the output of `conv`. The result does not depend on the
    number of threads.
    """
    shape = (pool.rows, pool.columns, maps)
    capacity = pool.rows * pool.columns * maps
    chunk = max(1, min(len(waves), CHUNK_BYTES // (5 * capacity)))
    blocks = get_num_threads()
    rows = Rows(chunk, capacity)
    for first in range(0, len(waves), chunk):
        counts = np.empty(min(chunk, len(waves) - first), np.int64)
        _transform(
            waves.start, waves.unit, waves.step, first, weights, maps, np.float32(threshold),
            compete, conv, pool, *rows.out, counts, blocks,
        )  # fmt: skip
        rows.take(counts)
    return rows.waves(shape, waves.steps)


@njit(cache=True, parallel=True, nogil=True)
def _copy_rows(from_unit, from_step, ends, unit, step):
    for row in prange(len(ends)):
        begin = ends[row - 1] if row else 0
        for i in range(ends[row] - begin):
            unit[begin + i] = from_unit[row, i]
            step[begin + i] = from_step[row, i]


class Rows:
    """Gather the spikes of chunks of images into waves.

    Compiled functions write those of image i of a chunk to ``out[0][i]`` (units) and
    ``out[1][i]`` (steps); each has room for `capacity`.
    """

    def __init__(self, chunk: int, capacity: int) -> None:
        self.out = np.empty((chunk, capacity), np.int32), np.empty((chunk, capacity), np.uint8)
        self._units: list[NDArray[np.int32]] = []
        self._steps: list[NDArray[np.uint8]] = []
        self._lengths: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]

    def take(self, counts: NDArray[np.int64]) -> None:
        """Copy the first ``counts[i]`` spikes of row i."""
        ends = np.cumsum(counts)
        unit, step = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.uint8)
        _copy_rows(*self.out, ends, unit, step)
        self._units.append(unit)
        self._steps.append(step)
        self._lengths.append(counts)

    def waves(self, shape: Shape, steps: int) -> Waves:
        """Return all that was taken."""
        start = np.cumsum(np.concatenate(self._lengths))
        return Waves(shape, steps, start, np.concatenate(self._units), np.concatenate(self._steps))


@njit(cache=True, parallel=True, nogil=True)
def _pool(start, unit, step, channels, pool, out_unit, out_step, first, counts, blocks):
    for block in prange(blocks):
        flag = np.zeros(pool.rows * pool.columns * channels, np.uint8)
        for image in range(block, len(counts), blocks):
            units, steps = out_unit[image], out_step[image]
            count = 0
            for at in range(start[first + image], start[first + image + 1]):
                place = unit[at] // channels
                count = _emit(
                    place, unit[at] - place * channels, step[at], channels, pool.width, pool, flag,
                    units, steps, count,
                )  # fmt: skip
            counts[image] = count
            for i in range(count):
                flag[units[i]] = 0


def pool_waves(waves: Waves, pool: Grid) -> Waves:
    """Return the spikes of first-spike pooling alone."""
    channels = waves.shape[2]
    capacity = pool.rows * pool.columns * channels
    chunk = max(1, min(len(waves), CHUNK_BYTES // (5 * capacity)))
    rows = Rows(chunk, capacity)
    for first in range(0, len(waves), chunk):
        counts = np.empty(min(chunk, len(waves) - first), np.int64)
        _pool(
            waves.start, waves.unit, waves.step, channels, pool, *rows.out, first, counts,
            get_num_threads(),
        )  # fmt: skip
        rows.take(counts)
    return rows.waves((pool.rows, pool.columns, channels), waves.steps)
