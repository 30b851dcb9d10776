"""Spikes of a step are put in order, and added up only where they may make a unit fire.

No potential is above the threshold before `least` spikes, at the largest weight there can be. So
spikes are counted at all positions, which is cheap, and most positions are never added up. Where
they are, each sees its spikes step by step, and within a step by unit, as if all had been added as
they came. Sums of float32 depend on their order: in this one, neurons that see the same pattern in
two places have equal potentials, whatever the order in which spikes were sent.

Places are those of the input with its padding, without what no window sees: ``(rows - 1) * down +
window height`` by ``(columns - 1) * right + window width``. A position goes by its corner, the
first place that it sees.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from spikingconvnet.engine.counts import copy_less, list_grown, slide
from spikingconvnet.engine.geometry import LANES
from spikingconvnet.engine.vectors import add_listed

KEPT = 16
"""Steps whose spikes are kept in order before everything is added up; bounds the memory."""
DONE = np.int32(2**31 - 1)
"""Stands for the number of spikes known at a place that matters no more, or is no corner."""


class Windows(NamedTuple):
    """Say where units lie among the places, `width` in a row: `place` (units,), -1 where unseen,
    and `line`, the row of weights that the position at the upper left would add; another adds the
    one that lies ``back[corner]`` before. `position`: that of a corner, `corner`: that of a
    position. `fresh`: 0 at corners, else DONE.
    """

    width: int
    place: np.ndarray
    line: np.ndarray
    back: np.ndarray
    position: np.ndarray
    corner: np.ndarray
    fresh: np.ndarray


class Pending(NamedTuple):
    """Hold the potentials (positions, padded maps) of an image, and what is not in them yet.

    Of each step kept: `lines` of its spikes in order, `begin` (steps, places + 1) where those of a
    place begin. By place: spikes `here` in this step, `seen` so far, sums of these `across` a
    window and `counts` over all of it; spikes `known` to the potential, `upto` the step after the
    last of these. `listed`: rows to add; `now`: corners to look at.
    """

    potential: np.ndarray
    lines: np.ndarray
    begin: np.ndarray
    here: np.ndarray
    seen: np.ndarray
    across: np.ndarray
    counts: np.ndarray
    known: np.ndarray
    upto: np.ndarray
    listed: np.ndarray
    now: np.ndarray


@njit(cache=True)
def least_spikes(largest, threshold):
    """Return how many spikes are needed to get above `threshold`, at the `largest` weight."""
    # A thousandth more than the largest weight makes up for rounding in the sums.
    return int(min(threshold / max(1.001 * largest, 1e-9), 2**31 - 2)) + 1


@njit(cache=True)
def new_windows(grid):
    """Return the places of a grid."""
    height = (grid.rows - 1) * grid.down + grid.window_height
    width = (grid.columns - 1) * grid.right + grid.window_width
    places = -(-height * width // LANES) * LANES
    units = grid.height * grid.width * grid.channels
    place, line = np.full(units, -1, np.int32), np.zeros(units, np.int32)
    for y in range(max(-grid.top, 0), min(grid.height, height - grid.top)):
        for x in range(max(-grid.left, 0), min(grid.width, width - grid.left)):
            for channel in range(grid.channels):
                unit = (y * grid.width + x) * grid.channels + channel
                down = channel * grid.window_height + y + grid.top
                place[unit] = (y + grid.top) * width + x + grid.left
                line[unit] = down * grid.window_width + x + grid.left
    back, position = np.zeros(places, np.int32), np.zeros(places, np.int32)
    corner, fresh = np.empty(grid.rows * grid.columns, np.int32), np.full(places, DONE)
    for row in range(grid.rows):
        for column in range(grid.columns):
            number = row * grid.columns + column
            at = row * grid.down * width + column * grid.right
            corner[number], position[at], fresh[at] = at, number, 0
            back[at] = row * grid.down * grid.window_width + column * grid.right
    return Windows(width, place, line, back, position, corner, fresh)


@njit(cache=True)
def new_pending(start, windows, padded, grid):
    """Return the working memory for waves that start at `start`."""
    longest = 0
    for image in range(len(start) - 1):
        longest = max(longest, start[image + 1] - start[image])
    places = len(windows.fresh)
    # Sums over windows read on behind the last place.
    further = places + grid.window_height * windows.width + grid.window_width + LANES
    return Pending(
        np.zeros((len(windows.corner), padded), np.float32),
        np.empty((KEPT, longest + LANES), np.int32),
        np.empty((KEPT, places + 1), np.int32),
        np.zeros(places, np.int32),
        np.zeros(further, np.int32),
        np.zeros(further, np.int32),
        np.zeros(places, np.int32),
        windows.fresh.copy(),
        np.zeros(places, np.int32),
        np.empty(longest + LANES, np.int32),
        np.empty(len(windows.corner), np.int32),
    )


@njit(cache=True)
def _order(unit, first, end, windows, pending, kept):
    """Put the spikes of a step in order of their units, and count them at their places."""
    here, begin, lines = pending.here, pending.begin, pending.lines
    here[:] = 0
    for i in range(first, end):
        place = windows.place[unit[i]]
        if place >= 0:
            here[place] += 1
            pending.seen[place] += 1
    total = 0
    for place in range(len(here)):
        begin[kept, place] = total
        total += here[place]
    begin[kept, len(here)] = total
    for i in range(first, end):
        place = windows.place[unit[i]]
        if place < 0:
            continue
        line = windows.line[unit[i]]
        # Filled from the end; what is there already moves if its channel is lower.
        here[place] -= 1
        at = begin[kept, place] + here[place]
        while at + 1 < begin[kept, place + 1] and lines[kept, at + 1] < line:
            lines[kept, at] = lines[kept, at + 1]
            at += 1
        lines[kept, at] = line


@njit(cache=True)
def _count(windows, pending, grid):
    """Count what each window has seen."""
    places = len(pending.counts)
    down = grid.window_height * windows.width
    slide(pending.across, pending.seen, places + down, 1, grid.window_width)
    slide(pending.counts, pending.across, places, windows.width, grid.window_height)


@njit(cache=True)
def close_idle(unit, first, end, least, windows, pending, grid):
    """Leave out the positions that see fewer than `least` spikes in the whole image."""
    for i in range(first, end):
        place = windows.place[unit[i]]
        if place >= 0:
            pending.seen[place] += 1
    _count(windows, pending, grid)
    for place in range(len(pending.counts)):
        if pending.counts[place] < least:
            pending.known[place] = DONE
    pending.seen[:] = 0


@njit(cache=True)
def take(unit, first, end, kept, least, windows, pending, grid):
    """Take the spikes of a step, number `kept` of those kept; return how many corners to look at.

    These are those of positions that have seen `least` spikes, and something new.
    """
    _order(unit, first, end, windows, pending, kept)
    _count(windows, pending, grid)
    return list_grown(pending.now, pending.counts, pending.known, len(pending.counts), least)


@njit(cache=True)
def add_up(corner, kept, weights, threshold, windows, pending, grid):
    """Add the spikes up to step `kept`; return whether a potential is above `threshold` then."""
    position = windows.position[corner]
    back, held = windows.back[corner], 0
    for step in range(pending.upto[corner], kept + 1):
        for down in range(grid.window_height):
            first = corner + down * windows.width
            held = copy_less(
                pending.listed, held, pending.lines, step, pending.begin[step, first],
                pending.begin[step, first + grid.window_width], back,
            )  # fmt: skip
    above = add_listed(
        pending.potential, position, pending.known[corner], weights, pending.listed, held, threshold
    )
    pending.known[corner] = pending.counts[corner]
    pending.upto[corner] = kept + 1
    return above


@njit(cache=True)
def add_all_up(kept, weights, windows, pending, grid):
    """Add the spikes up to step `kept` at all positions that matter, and keep no step."""
    n = list_grown(pending.now, pending.counts, pending.known, len(pending.counts), 1)
    for i in range(n):
        add_up(pending.now[i], kept, weights, np.float32(0), windows, pending, grid)
    pending.upto[:] = 0


@njit(cache=True)
def close_around(position, radius, windows, pending, grid):
    """Let all positions within `radius` rows and columns matter no more in this image."""
    row = position // grid.columns
    column = position - row * grid.columns
    for y in range(max(row - radius, 0), min(row + radius + 1, grid.rows)):
        for x in range(max(column - radius, 0), min(column + radius + 1, grid.columns)):
            pending.known[windows.corner[y * grid.columns + x]] = DONE


@njit(cache=True)
def forget(windows, pending):
    """Make ready for another image."""
    pending.known[:] = windows.fresh
    pending.upto[:] = 0
    pending.seen[:] = 0
