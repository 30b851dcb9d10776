"""Decision layers taught by reward, compiled: the winner's map votes, its kernel changes.

Nothing fires here: potentials after the last step are compared over all maps and positions. Kernels
lie as (maps, window height, window width, channels).

Images change one kernel each, so those of a `TOGETHER` are first summed with the kernels as they
are, piece by piece of the kernels so that each stays in the cache, and by all threads. Then the
images take their turns: a kernel that has changed since is summed again, unless the sum of its
increases cannot lift it to the top. The answers are those of one image after the other.
"""

import numpy as np
from numba import njit, prange

from spikingconvnet.engine.geometry import LANES
from spikingconvnet.engine.integrate import first_seen
from spikingconvnet.engine.vectors import add_rows

TOGETHER = 128
"""Images that are summed together; more make the pieces cheaper, and more kernels change."""
_ROUNDING = np.float32(1e-4)
"""Share of a potential by which two orders of summation may differ, with room to spare."""


@njit(cache=True, parallel=True, nogil=True)
def _by_place(start, unit, images, begin, channel, grid):
    """List the channels that fired at each place: ``channel[begin[i, place] : ...[place + 1]]``."""
    ends = np.empty(len(images) + 1, np.int64)
    ends[0] = 0
    for i in range(len(images)):
        ends[i + 1] = ends[i] + start[images[i] + 1] - start[images[i]]
    for i in prange(len(images)):
        first, end = start[images[i]], start[images[i] + 1]
        row = begin[i]
        row[:] = 0
        for at in range(first, end):
            row[unit[at] // grid.channels + 1] += 1
        row[0] = ends[i]
        for place in range(len(row) - 1):
            row[place + 1] += row[place]
        fill = row.copy()
        for at in range(first, end):
            place = unit[at] // grid.channels
            channel[fill[place]] = unit[at] - place * grid.channels
            fill[place] += 1


@njit(cache=True)
def _add_piece(total, rows, ky, kx, begin, channel, grid):
    """Add what one place of the window gives at all positions of all images."""
    for i in range(len(total)):
        for row in range(grid.rows):
            y = row * grid.down - grid.top + ky
            if y < 0 or y >= grid.height:
                continue
            for column in range(grid.columns):
                x = column * grid.right - grid.left + kx
                if 0 <= x < grid.width:
                    place = y * grid.width + x
                    add_rows(
                        total[i, row * grid.columns + column], rows, channel,
                        begin[i, place], begin[i, place + 1],
                    )  # fmt: skip


@njit(cache=True, parallel=True, nogil=True)
def _sum(weights, begin, channel, potential, best, grid):
    """Write the potentials (images, maps, positions), and the highest of each map."""
    maps, images = weights.shape[0], best.shape[0]
    for block in prange((maps + LANES - 1) // LANES):
        first = block * LANES
        held = min(LANES, maps - first)
        total = np.zeros((images, grid.rows * grid.columns, LANES), np.float32)
        rows = np.zeros((grid.channels, LANES), np.float32)
        for ky in range(grid.window_height):
            for kx in range(grid.window_width):
                for j in range(held):
                    for c in range(grid.channels):
                        rows[c, j] = weights[first + j, ky, kx, c]
                _add_piece(total, rows, ky, kx, begin, channel, grid)
        for i in range(images):
            for j in range(held):
                top = total[i, 0, j]
                for p in range(total.shape[1]):
                    potential[i, first + j, p] = total[i, p, j]
                    top = max(top, total[i, p, j])
                best[i, first + j] = top


@njit(cache=True, fastmath=True)
def _sum_one(kernel, begin, channel, position, grid):
    """Return the potential of one map at one position of one image."""
    y0, x0 = first_seen(position, grid)
    total = np.float32(0)
    for ky in range(max(-y0, 0), min(grid.window_height, grid.height - y0)):
        for kx in range(max(-x0, 0), min(grid.window_width, grid.width - x0)):
            place = (y0 + ky) * grid.width + x0 + kx
            for at in range(begin[place], begin[place + 1]):
                total += kernel[ky, kx, channel[at]]
    return total


@njit(cache=True)
def _apply(kernel, position, fired, change, bounds, bounded, grid):
    """Change a kernel by change[0] where the input has fired, else by change[1].

    Returns the largest increase of a weight, at least 0.
    """
    low, high = bounds
    y0, x0 = first_seen(position, grid)
    increase = np.float32(0)
    for ky in range(grid.window_height):
        y = y0 + ky
        for kx in range(grid.window_width):
            x = x0 + kx
            seen = 0 <= y < grid.height and 0 <= x < grid.width
            at = (y * grid.width + x) * grid.channels
            line = kernel[ky, kx]
            for channel in range(grid.channels):
                w = line[channel]
                room = (w - low) * (high - w) if bounded else np.float32(1)
                step = change[0] if seen and fired[at + channel] else change[1]
                new = min(max(w + step * room, low), high)
                line[channel] = new
                increase = max(increase, new - w)
    return increase


@njit(cache=True)
def _decide(best, potential, increased, allowed, weights, begin, channel, grid):
    """Return (position, map) of the highest potential above 0 now, or (-1, -1).

    `best` (maps,) and `potential` (maps, positions) are those of the kernels before they changed;
    `increased` (maps,) sums the largest increases since, below 0 where a kernel has not changed.
    """
    top, place, winner = np.float32(0), -1, -1
    for m in range(len(best)):
        if increased[m] < 0 and allowed[m] and best[m] > top:
            top, winner = best[m], m
    if winner >= 0:
        place = int(np.argmax(potential[winner]))
    spikes = np.float32(begin[-1] - begin[0])
    for m in range(len(best)):
        rise = increased[m] * spikes
        if increased[m] < 0 or not allowed[m] or best[m] + rise < top * (1 - _ROUNDING):
            continue
        for p in range(potential.shape[1]):
            if potential[m, p] + rise < top * (1 - _ROUNDING):
                continue
            value = _sum_one(weights[m], begin, channel, p, grid)
            if value > top or (value == top and m < winner):
                top, place, winner = value, p, m
    return place, winner


@njit(cache=True, nogil=True)
def _take_turns(
    spikes, images, labels, classes, weights, allowed, reward, punishment, bounds, bounded, grid,
    summed, votes,
):  # fmt: skip
    start, unit = spikes
    best, potential, begin, channel = summed
    fired = np.zeros(grid.height * grid.width * grid.channels, np.uint8)
    increased = np.full(len(classes), np.float32(-1))
    for i in range(len(images)):
        image = images[i]
        place, m = _decide(
            best[i], potential[i], increased, allowed[i], weights, begin[i], channel, grid
        )
        votes[i] = classes[m] if m >= 0 else -1
        if m < 0:
            continue
        for at in range(start[image], start[image + 1]):
            fired[unit[at]] = 1
        change = reward if votes[i] == labels[image] else punishment
        gain = _apply(weights[m], place, fired, change, bounds, bounded, grid)
        increased[m] = max(increased[m], np.float32(0)) + gain
        for at in range(start[image], start[image + 1]):
            fired[unit[at]] = 0


def _summed(waves, images, weights, grid):
    """Return highest potentials of maps, all potentials, and the channels that fired by place."""
    spikes = int(np.sum(waves.start[images + 1] - waves.start[images]))
    begin = np.empty((len(images), grid.height * grid.width + 1), np.int64)
    channel = np.empty(spikes, np.int32)
    best = np.empty((len(images), len(weights)), np.float32)
    potential = np.empty((*best.shape, grid.rows * grid.columns), np.float32)
    _by_place(waves.start, waves.unit, images, begin, channel, grid)
    _sum(weights, begin, channel, potential, best, grid)
    return best, potential, begin, channel


def teach(
    waves, order, labels, classes, weights, allowed, reward, punishment, bounds, bounded, grid
):  # fmt: skip
    """Show a batch once; return votes (images,), -1 for silence.

    `allowed` (images, maps) says which maps may win; `classes` (maps,) what they vote for. The
    winner's kernel changes by `reward` or `punishment`: (fired inputs, silent inputs). Nothing
    depends on the number of threads.
    """
    votes = np.empty(len(order), np.int64)
    low_high = np.float32(bounds[0]), np.float32(bounds[1])
    changes = [(np.float32(pair[0]), np.float32(pair[1])) for pair in (reward, punishment)]
    for first in range(0, len(order), TOGETHER):
        part = slice(first, first + TOGETHER)
        images = order[part]
        _take_turns(
            (waves.start, waves.unit), images, labels, classes, weights, allowed[part], *changes,
            low_high, bounded, grid, _summed(waves, images, weights, grid), votes[part],
        )  # fmt: skip
    return votes


def scores(waves, weights, grid):
    """Return the highest potential (images, maps) of every map in any position."""
    best = np.empty((len(waves), len(weights)), np.float32)
    for first in range(0, len(waves), TOGETHER):
        images = np.arange(first, min(first + TOGETHER, len(waves)))
        best[images] = _summed(waves, images, weights, grid)[0]
    return best


def vote(waves, classes, weights, grid):
    """Return the class that each image's winning map stands for, -1 for silence."""
    best = scores(waves, weights, grid)
    return np.where(best.max(axis=1) > 0, classes[best.argmax(axis=1)], -1)
