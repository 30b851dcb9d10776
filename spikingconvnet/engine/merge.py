"""Waves side by side, compiled: joined by channel, merged unit by unit, and parted again."""

from collections.abc import Sequence

import numpy as np
from numba import get_num_threads, njit, prange

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.engine.rows import Rows
from spikingconvnet.errors import ModelError

_SIGHTINGS = {"or": 1, "and": 2, "add": 0}
"""At which spike of a unit, in either of two waves, the merged one fires; 0: at each."""


@njit(cache=True, parallel=True, nogil=True)
def _merge(one, other, units, wanted, first, out_unit, out_step, counts, blocks):
    for block in prange(blocks):
        seen = np.zeros(units, np.uint8)
        for image in range(block, len(counts), blocks):
            a, a_end = one[0][first + image], one[0][first + image + 1]
            b, b_end = other[0][first + image], other[0][first + image + 1]
            count = 0
            while a < a_end or b < b_end:
                if b == b_end or (a < a_end and one[2][a] <= other[2][b]):
                    unit, step = one[1][a], one[2][a]
                    a += 1
                else:
                    unit, step = other[1][b], other[2][b]
                    b += 1
                seen[unit] += 1
                if not wanted or seen[unit] == wanted:
                    out_unit[image, count], out_step[image, count] = unit, step
                    count += 1
            counts[image] = count
            for at in range(one[0][first + image], a_end):
                seen[one[1][at]] = 0
            for at in range(other[0][first + image], b_end):
                seen[other[1][at]] = 0


@njit(cache=True, parallel=True, nogil=True)
def _beside(starts, units, steps, channels, offsets, start, unit, step, longest):
    for image in prange(len(start) - 1):
        begin = np.zeros(longest + 1, np.int64)
        for part in range(len(units)):
            for at in range(starts[part][image], starts[part][image + 1]):
                begin[steps[part][at] + 1] += 1
        begin[0] = start[image]
        for time in range(longest):
            begin[time + 1] += begin[time]
        for part in range(len(units)):
            for at in range(starts[part][image], starts[part][image + 1]):
                position = units[part][at] // channels[part]
                channel = units[part][at] - position * channels[part]
                to = begin[steps[part][at]]
                unit[to] = position * offsets[-1] + offsets[part] + channel
                step[to] = steps[part][at]
                begin[steps[part][at]] += 1


def beside(parts: Sequence[Waves]) -> Waves:
    """Return what `waves.join_channels` does; spikes of one step stay in the order of the parts."""
    first = parts[0]
    for part in parts:
        if (part.shape[:2], part.steps, len(part)) != (first.shape[:2], first.steps, len(first)):
            raise ModelError(
                f"beside: {part.shape}, {part.steps} steps, {len(part)} images beside "
                f"{first.shape}, {first.steps} steps, {len(first)} images"
            )
    start = np.sum([part.start for part in parts], axis=0)
    unit, step = np.empty(start[-1], np.int32), np.empty(start[-1], np.uint8)
    channels = np.array([part.shape[2] for part in parts])
    offsets = np.concatenate([[0], np.cumsum(channels)])
    _beside(
        tuple(part.start for part in parts), tuple(part.unit for part in parts),
        tuple(part.step for part in parts), channels, offsets, start, unit, step, first.steps,
    )  # fmt: skip
    return Waves((*first.shape[:2], int(offsets[-1])), first.steps, start, unit, step)


@njit(cache=True, parallel=True, nogil=True)
def _pick(start, unit, step, channels, first, end, picked, out_unit, out_step):
    for image in prange(len(start) - 1):
        to = picked[image]
        for at in range(start[image], start[image + 1]):
            position = unit[at] // channels
            channel = unit[at] - position * channels
            if first <= channel < end:
                out_unit[to] = position * (end - first) + channel - first
                out_step[to] = step[at]
                to += 1


@njit(cache=True, parallel=True, nogil=True)
def _count(start, unit, channels, first, end, counts):
    for image in prange(len(counts)):
        count = 0
        for at in range(start[image], start[image + 1]):
            count += first <= unit[at] % channels < end
        counts[image] = count


def pick_channels(waves: Waves, first: int, end: int) -> Waves:
    """Return the waves of the channels from `first` to before `end`."""
    height, width, channels = waves.shape
    counts = np.empty(len(waves), np.int64)
    _count(waves.start, waves.unit, channels, first, end, counts)
    start = np.concatenate([[0], np.cumsum(counts)])
    unit, step = np.empty(start[-1], np.int32), np.empty(start[-1], np.uint8)
    _pick(waves.start, waves.unit, waves.step, channels, first, end, start, unit, step)
    return Waves((height, width, end - first), waves.steps, start, unit, step)


def merge_units(one: Waves, other: Waves, how: str) -> Waves:
    """Return waves of the same units as one: "or", "and" or "add" (see `Branches`).

    Spikes of one step come in the order of the arguments. Raises ModelError for other units.
    """
    if (one.shape, one.steps, len(one)) != (other.shape, other.steps, len(other)):
        raise ModelError(
            f"merge_units: {other.shape}, {other.steps} steps, {len(other)} images beside "
            f"{one.shape}, {one.steps} steps, {len(one)} images"
        )
    rows = Rows(len(one), one.units * (2 if how == "add" else 1))
    for first, counts in rows.chunks():
        _merge(
            (one.start, one.unit, one.step), (other.start, other.unit, other.step), one.units,
            _SIGHTINGS[how], first, *rows.out, counts, get_num_threads(),
        )  # fmt: skip
    return rows.waves(one.shape, one.steps)
