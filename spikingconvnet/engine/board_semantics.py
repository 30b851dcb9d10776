"""Frozen layers as a board computes them: quantised weights, ties, silence from the next step on.

The definitions are in `algorithms.board_layers`. Potentials are whole numbers below 2**24, which
float32 holds exactly.
"""

from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.single_spike import SpikingConv
from spikingconvnet.engine.geometry import conv_grid, pack, pool_grid
from spikingconvnet.engine.inference import pool_waves
from spikingconvnet.engine.integrate import TOUCHED, clear, spread
from spikingconvnet.engine.rows import Rows
from spikingconvnet.engine.vectors import highest

_FIRED = np.float32(-(2**25))


@njit(cache=True)
def _fire_together(
    potential, done, mark, now, n_now, most, compete, maps, step, units, steps, count
):
    """Let all units above `most` at the positions touched in this step fire; count spikes."""
    for i in range(n_now):
        position = now[i]
        mark[position] = TOUCHED
        if highest(potential, position) <= most:
            continue
        done[position] = compete
        for m in range(maps):
            if potential[position, m] > most:
                potential[position, m] = _FIRED
                units[count] = position * maps + m
                steps[count] = step
                count += 1
    return count


@njit(cache=True, parallel=True, nogil=True)
def _convolve(
    start, unit, step, first, weights, maps, most, compete, grid, out_unit, out_step, counts, blocks
):
    positions = grid.rows * grid.columns
    for block in prange(blocks):
        potential = np.zeros((positions, weights.shape[3]), np.float32)
        done, mark = np.zeros(positions, np.uint8), np.zeros(positions, np.uint8)
        now, ever = np.empty(positions, np.int32), np.empty(positions, np.int32)
        for image in range(block, len(counts), blocks):
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
                count = _fire_together(
                    potential, done, mark, now, n_now, most, compete, maps, time,
                    out_unit[image], out_step[image], count,
                )  # fmt: skip
            counts[image] = count
            clear(potential, done, mark, ever, n_ever)


def convolved(layer: SpikingConv, waves: Waves, weights: NDArray[Any]) -> Waves:
    """Return the spikes of a layer with `levels` before its pooling, as `board_layers.convolved`.

    `weights` (maps, channels, kh, kw) as trained. The number of threads changes nothing.
    """
    kernels = board_layers.counts(weights, layer.rule.w_max, layer.levels)
    most = board_layers.most_silent(layer.inference_threshold, layer.rule.w_max, layer.levels)
    where = conv_grid(layer, waves.shape)
    packed = pack(kernels.astype(np.float64))
    rows = Rows(len(waves), where.rows * where.columns * layer.maps)
    for first, counts in rows.chunks():
        _convolve(
            waves.start, waves.unit, waves.step, first, packed, layer.maps, np.float32(most),
            np.uint8(layer.inhibition), where, *rows.out, counts, get_num_threads(),
        )  # fmt: skip
    return rows.waves((where.rows, where.columns, layer.maps), waves.steps)


def pooled(layer: SpikingConv, fired: Waves) -> Waves:
    """Return the spikes behind the pooling of a layer."""
    if layer.pool is None:
        return fired
    return pool_waves(fired, pool_grid(layer.pool, fired.shape))


def sums(waves: Waves, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums (images, neurons) of the whole weights (neurons, units) of all that fired."""
    total = np.zeros((len(waves), len(weights)), np.int64)
    image = np.repeat(np.arange(len(waves)), np.diff(waves.start))
    np.add.at(total, image, weights.T[waves.unit])
    return total
