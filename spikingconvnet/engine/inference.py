"""Frozen layers: convolution, firing, lateral inhibition and pooling in one pass per image."""

from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.engine.climbing import MOST, climb
from spikingconvnet.engine.counts import append
from spikingconvnet.engine.geometry import LANES, Grid
from spikingconvnet.engine.integrate import TOUCHED, first_window, last_window
from spikingconvnet.engine.pending import least_spikes
from spikingconvnet.engine.rows import Rows
from spikingconvnet.engine.vectors import add_row, any_above, first_at_least, highest

_FIRED = np.float32(-1e30)
SILENT = 255
"""Stands for the step of a unit that has not fired."""


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
def fire(potential, done, mark, now, n_now, threshold, compete, maps, step, grid, pool, out, count):
    """Let the positions touched in this step fire.

    Returns how many pooled spikes there are now, and how many units fired in this step.
    """
    flag, unit_out, step_out = out
    fired = 0
    for i in range(n_now):
        position = now[i]
        mark[position] = TOUCHED
        if not any_above(potential, position, threshold):
            continue
        if compete:
            best = highest(potential, position)
            done[position] = 1
            fired += 1
            m = first_at_least(potential, position, best)
            count = _emit(
                position, m, step, maps, grid.columns, pool, flag, unit_out, step_out, count
            )
            continue
        for m in range(maps):
            if potential[position, m] > threshold:
                potential[position, m] = _FIRED
                fired += 1
                count = _emit(
                    position, m, step, maps, grid.columns, pool, flag, unit_out, step_out, count
                )
    return count, fired


class _Tables(NamedTuple):
    """Spare the compiled functions divisions.

    By unit: `line`, the row of weights that the position at the upper left adds, and the `top` and
    `bottom` row, `left` and `right` column of the positions that see it. By row and by column of
    positions: the first and last row and column of the pooling windows that see it.
    """

    line: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray
    pool_top: np.ndarray
    pool_bottom: np.ndarray
    pool_left: np.ndarray
    pool_right: np.ndarray


@njit(cache=True)
def _tables(grid, pool):
    units = grid.height * grid.width * grid.channels
    by_unit = np.empty((5, units), np.int32)
    for unit in range(units):
        place = unit // grid.channels
        channel = unit - place * grid.channels
        y = place // grid.width
        x = place - y * grid.width
        line = channel * grid.window_height + y + grid.top
        by_unit[0, unit] = line * grid.window_width + x + grid.left
        by_unit[1, unit] = first_window(y, grid.top, grid.window_height, grid.down)
        by_unit[2, unit] = last_window(y, grid.top, grid.down, grid.rows)
        by_unit[3, unit] = first_window(x, grid.left, grid.window_width, grid.right)
        by_unit[4, unit] = last_window(x, grid.left, grid.right, grid.columns)
    rows, columns = np.empty((2, grid.rows), np.int32), np.empty((2, grid.columns), np.int32)
    for row in range(grid.rows):
        rows[0, row] = first_window(row, pool.top, pool.window_height, pool.down)
        rows[1, row] = last_window(row, pool.top, pool.down, pool.rows)
    for column in range(grid.columns):
        columns[0, column] = first_window(column, pool.left, pool.window_width, pool.right)
        columns[1, column] = last_window(column, pool.left, pool.right, pool.columns)
    return _Tables(
        by_unit[0], by_unit[1], by_unit[2], by_unit[3], by_unit[4], rows[0], rows[1], columns[0],
        columns[1],
    )  # fmt: skip


@njit(cache=True)
def _count_seen(unit, begin, corners, tables, grid):
    """Write where the list of each position starts."""
    corners[:] = 0
    for one in unit:
        row0, row1 = tables.top[one], tables.bottom[one]
        column0, column1 = tables.left[one], tables.right[one]
        if row0 <= row1 and column0 <= column1:
            corners[row0, column0] += 1
            corners[row0, column1 + 1] -= 1
            corners[row1 + 1, column0] -= 1
            corners[row1 + 1, column1 + 1] += 1
    begin[0] = 0
    for row in range(grid.rows):
        along = 0
        for column in range(grid.columns):
            along += corners[row, column]
            corners[row, column] = along + (corners[row - 1, column] if row else 0)
            position = row * grid.columns + column
            begin[position + 1] = begin[position] + corners[row, column]


@njit(cache=True)
def _list_seen(unit, step, begin, fill, seen, tables, grid):
    """List what each position sees, in order of time: 256 times the row of weights, plus step."""
    fill[:] = begin[:-1]
    for at in range(len(unit)):
        one = unit[at]
        column = tables.left[one]
        columns = tables.right[one] + 1 - column
        for row in range(tables.top[one], tables.bottom[one] + 1):
            line = tables.line[one] - row * grid.down * grid.window_width - column * grid.right
            position = row * grid.columns + column
            append(seen, fill, position, columns, line << 8 | step[at], grid.right << 8)


@njit(cache=True, inline="always")
def _note(row, column, m, step, maps, tables, columns, earliest, units, count):
    """Note a spike at the pooling windows that see it, and list those that had none."""
    for pooled_row in range(tables.pool_top[row], tables.pool_bottom[row] + 1):
        for pooled_column in range(tables.pool_left[column], tables.pool_right[column] + 1):
            unit = (pooled_row * columns + pooled_column) * maps + m
            if earliest[unit] == SILENT:
                units[count] = unit
                count += 1
            earliest[unit] = min(earliest[unit], step)
    return count


@njit(cache=True)
def _climb_wide(total, weights, seen, begin, start, end, least, threshold):
    """Do as `climb` for rows of any width."""
    for at in range(start, end):
        add_row(total, 0, weights, seen[at] >> 8)
        if at + 1 < end and (seen[at] ^ seen[at + 1]) & 255 == 0:
            continue
        if at + 1 - begin >= least and any_above(total, 0, threshold):
            return at
    return end


@njit(cache=True, inline="always")
def _climb(total, weights, seen, begin, start, end, least, threshold):
    """Return the place of the spike with which a sum gets above `threshold`, or `end`."""
    if total.shape[1] <= MOST * LANES:
        return climb(total, weights, seen, begin, start, end, least, threshold)
    return _climb_wide(total, weights, seen, begin, start, end, least, threshold)


@njit(cache=True, inline="always")
def _fire_first(
    seen, begin, end, least, weights, total, threshold, maps, row, column, tables, columns,
    earliest, units, count,
):  # fmt: skip
    """Let the map fire that is above first at a position.

    Returns how many pooled units fire now, and whether one did here.
    """
    at = _climb(total, weights, seen, begin, begin, end, least, threshold)
    if at == end:
        return count, 0
    m = first_at_least(total, 0, highest(total, 0))
    step = np.uint8(seen[at] & 255)
    return _note(row, column, m, step, maps, tables, columns, earliest, units, count), 1


@njit(cache=True, inline="always")
def _fire_all(
    seen, begin, end, least, weights, total, threshold, maps, row, column, tables, columns,
    earliest, units, count,
):  # fmt: skip
    """Let all maps fire that are ever above; return as `_fire_first`, but how many did."""
    fired, at = 0, begin
    while at < end:
        at = _climb(total, weights, seen, begin, at, end, least, threshold)
        if at == end:
            break
        step = np.uint8(seen[at] & 255)
        for m in range(maps):
            if total[0, m] > threshold:
                total[0, m] = _FIRED
                fired += 1
                count = _note(row, column, m, step, maps, tables, columns, earliest, units, count)
        at += 1
    return count, fired


@njit(cache=True)
def _in_time(units, steps, count, earliest, unsorted, ends):
    """Sort pooled units by their first spike, write these, and forget them."""
    for step in range(len(ends)):
        ends[step] = 0
    for i in range(count):
        unit = units[i]
        unsorted[i] = unit
        ends[earliest[unit] + 1] += 1
    for step in range(len(ends) - 1):
        ends[step + 1] += ends[step]
    for i in range(count):
        unit = unsorted[i]
        step = earliest[unit]
        units[ends[step]], steps[ends[step]] = unit, step
        ends[step] += 1
        earliest[unit] = SILENT


@njit(cache=True, parallel=True, nogil=True)
def _transform(
    start, unit, step, first, weights, maps, threshold, compete, least, room, grid, pool, tables,
    last, out_unit, out_step, counts, fired, blocks,
):  # fmt: skip
    positions = grid.rows * grid.columns
    for block in prange(blocks):
        begin, fill = np.empty(positions + 1, np.int32), np.empty(positions, np.int32)
        corners = np.empty((grid.rows + 1, grid.columns + 1), np.int32)
        seen = np.empty(room, np.int32)
        total = np.zeros((1, weights.shape[3]), np.float32)
        earliest = np.full(pool.rows * pool.columns * maps, SILENT, np.uint8)
        unsorted, ends = np.empty(len(earliest), np.int32), np.empty(last + 1, np.int32)
        for image in range(block, len(counts), blocks):
            units, steps = out_unit[image], out_step[image]
            of = slice(start[first + image], start[first + image + 1])
            _count_seen(unit[of], begin, corners, tables, grid)
            _list_seen(unit[of], step[of], begin, fill, seen, tables, grid)
            count, sent = 0, 0
            for row in range(grid.rows):
                for column in range(grid.columns):
                    position = row * grid.columns + column
                    if begin[position + 1] - begin[position] < least:
                        continue
                    total[:] = 0
                    if compete:
                        count, more = _fire_first(
                            seen, begin[position], begin[position + 1], least, weights, total,
                            threshold, maps, row, column, tables, pool.columns, earliest, units,
                            count,
                        )  # fmt: skip
                    else:
                        count, more = _fire_all(
                            seen, begin[position], begin[position + 1], least, weights, total,
                            threshold, maps, row, column, tables, pool.columns, earliest, units,
                            count,
                        )  # fmt: skip
                    sent += more
            _in_time(units, steps, count, earliest, unsorted, ends)
            counts[image], fired[image] = count, sent


def transform(
    waves: Waves,
    weights: NDArray[np.float32],
    maps: int,
    threshold: float,
    conv: Grid,
    pool: Grid,
    compete: bool = True,
) -> tuple[Waves, int]:
    """Return the pooled spikes of a frozen convolution, and how many there were before pooling.

    Non-leaky, at most one spike a unit and image.

    A unit fires in the first step in which its potential, the sum of the weights of all input
    spikes so far, exceeds `threshold`. With `compete` only the map with the highest potential may
    fire at a position, and once one has, no other does. `weights` as `geometry.pack` makes them;
    `conv` lies over the input, `pool` over the output of `conv`. The result does not depend on the
    number of threads.
    """
    shape = (pool.rows, pool.columns, maps)
    capacity = pool.rows * pool.columns * maps
    least = least_spikes(float(weights.max()), threshold)
    # Windows that can see one spike, times the spikes of the image that has most.
    room = -(-conv.window_height // conv.down) * -(-conv.window_width // conv.right)
    room *= int(np.diff(waves.start).max(initial=0))
    rows, total, tables = Rows(len(waves), capacity), 0, _tables(conv, pool)
    for first, counts in rows.chunks():
        fired = np.empty(len(counts), np.int64)
        _transform(
            waves.start, waves.unit, waves.step, first, weights, maps, np.float32(threshold),
            compete, least, room, conv, pool, tables, waves.steps, *rows.out, counts, fired,
            get_num_threads(),
        )  # fmt: skip
        total += int(fired.sum())
    return rows.waves(shape, waves.steps), total


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
    rows = Rows(len(waves), pool.rows * pool.columns * channels)
    for first, counts in rows.chunks():
        _pool(
            waves.start, waves.unit, waves.step, channels, pool, *rows.out, first, counts,
            get_num_threads(),
        )  # fmt: skip
    return rows.waves((pool.rows, pool.columns, channels), waves.steps)
