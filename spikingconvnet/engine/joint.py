"""One reward for the last convolution and the decision layer behind it, compiled.

In each image the convolution fires and its competition is run, weights as they are; its pooled
spikes drive the decision layer, whose best unit votes. Then the kernels of all winners change.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from spikingconvnet.engine.contest import Competition, choose, new_contest, reopen
from spikingconvnet.engine.geometry import Grid
from spikingconvnet.engine.inference import fire
from spikingconvnet.engine.integrate import TOUCHED, clear, first_seen, spread
from spikingconvnet.engine.vectors import first_at_least, highest


class Learner(NamedTuple):
    """Give a layer that a reward changes: kernels (channels, kh, kw, padded maps) and how many maps
    there are, its windows, bounds of a weight, whether they are soft, and whether it learns now.

    reward, punishment: what a weight of a winner changes by, (fired inputs, silent inputs).
    """

    weights: np.ndarray
    maps: int
    grid: Grid
    low: float
    high: float
    bounded: bool
    active: bool
    reward: tuple[float, float]
    punishment: tuple[float, float]


class Firing(NamedTuple):
    """Say how the convolution fires: threshold of what it sends on and of the competition, whether
    a position fires once in all maps, pooling, and who may learn.
    """

    sent: float
    learned: float
    compete: bool
    pool: Grid
    competition: Competition


class _Work(NamedTuple):
    potential: np.ndarray
    done: np.ndarray
    mark: np.ndarray
    now: np.ndarray
    ever: np.ndarray
    met: np.ndarray
    fired: np.ndarray


@njit(cache=True)
def _new_work(grid, padded):
    positions = grid.rows * grid.columns
    return _Work(
        np.zeros((positions, padded), np.float32),
        np.zeros(positions, np.uint8),
        np.zeros(positions, np.uint8),
        np.empty(positions, np.int32),
        np.empty(positions, np.int32),
        np.zeros(positions, np.uint8),
        np.zeros(grid.height * grid.width * grid.channels, np.uint8),
    )


@njit(cache=True)
def _candidates(work, contest, n_now, threshold):
    """List the best unit of each position that crosses the threshold for the first time."""
    n = 0
    for i in range(n_now):
        position = work.now[i]
        if work.met[position]:
            continue
        best = highest(work.potential, position)
        if best > threshold:
            work.met[position] = 1
            m = first_at_least(work.potential, position, best)
            if not contest.zone_done[position] and not contest.map_done[m]:
                contest.place[n], contest.feature[n], contest.value[n] = position, m, best
                n += 1
    return n


@njit(cache=True)
def _forward(unit, step, conv, firing, work, contest, sent):
    """Run the convolution over an image; return how many spikes it sends and how many win."""
    work.met[:] = 0
    reopen(contest)
    rules = firing.competition
    count, won, n_ever, at = 0, 0, 0, 0
    while at < len(unit):
        time, begin = step[at], at
        n_now = 0
        while at < len(unit) and step[at] == time:
            at += 1
        # By unit, so that equal patterns in two places tie exactly (see `pending`).
        for one in np.sort(unit[begin:at]):
            n_now, n_ever = spread(
                one, conv.weights, work.potential, work.done, work.mark, work.now, n_now,
                work.ever, n_ever, conv.grid,
            )  # fmt: skip
        n = _candidates(work, contest, n_now, firing.learned)
        room = rules.winners - (0 if rules.per_step else won)
        won = choose(contest, n, room, won, time, rules, conv.grid)
        count, _ = fire(
            work.potential, work.done, work.mark, work.now, n_now, firing.sent, firing.compete,
            conv.maps, time, conv.grid, firing.pool, sent, count,
        )  # fmt: skip
    for i in range(count):
        sent[0][sent[1][i]] = 0
    clear(work.potential, work.done, work.mark, work.ever, n_ever)
    return count, won


@njit(cache=True)
def _vote(unit, decision, work, allowed):
    """Return (position, map) of the highest potential above 0, or (-1, -1).

    Of equal ones the first map counts, and its first position, as in `reward`.
    """
    n_ever = 0
    for spike in unit:
        n_now, n_ever = spread(
            spike, decision.weights, work.potential, work.done, work.mark, work.now, 0,
            work.ever, n_ever, decision.grid,
        )  # fmt: skip
        for i in range(n_now):
            work.mark[work.now[i]] = TOUCHED
    top, place, feature = np.float32(0), -1, -1
    for i in range(n_ever):
        position = work.ever[i]
        if highest(work.potential, position) < top:
            continue
        for m in range(decision.maps):
            value = work.potential[position, m]
            earlier = m < feature or (m == feature and position < place)
            if allowed[m] and (value > top or (value == top and earlier)):
                top, place, feature = value, position, m
    clear(work.potential, work.done, work.mark, work.ever, n_ever)
    return place, feature


@njit(cache=True)
def _change(learner, m, position, fired, right):
    """Change the kernel of map `m`, which has won at `position`, as its vote was right or wrong."""
    weights, grid = learner.weights, learner.grid
    change = learner.reward if right else learner.punishment
    y0, x0 = first_seen(position, grid)
    for ky in range(grid.window_height):
        y = y0 + ky
        for kx in range(grid.window_width):
            x = x0 + kx
            seen = 0 <= y < grid.height and 0 <= x < grid.width
            at = (y * grid.width + x) * grid.channels
            for channel in range(grid.channels):
                w = weights[channel, ky, kx, m]
                room = (w - learner.low) * (learner.high - w) if learner.bounded else 1.0
                step = change[0] if seen and fired[at + channel] else change[1]
                weights[channel, ky, kx, m] = min(max(w + step * room, learner.low), learner.high)


@njit(cache=True)
def _teach_conv(unit, step, conv, contest, won, fired, right):
    """Change the kernels of all winners; an input counts as fired up to the winner's own step."""
    at = 0
    for i in range(won):
        position, m, time = contest.won[i]
        while at < len(unit) and step[at] <= time:
            fired[unit[at]] = 1
            at += 1
        _change(conv, m, position, fired, right)
    fired[unit] = 0


@njit(cache=True, nogil=True)
def teach(spikes, order, labels, classes, conv, firing, decision, allowed):
    """Show a batch once; return votes (images,), -1 for silence, which changes nothing.

    `spikes`: start, unit and step of the waves that enter the convolution. `allowed` (images, maps)
    says which maps of the decision layer may win; `classes` (maps,) what they vote for.
    """
    start, unit, step = spikes
    work = _new_work(conv.grid, conv.weights.shape[3])
    answer = _new_work(decision.grid, decision.weights.shape[3])
    contest = new_contest(conv.grid, conv.maps)
    units = firing.pool.rows * firing.pool.columns * conv.maps
    sent = (np.zeros(units, np.uint8), np.empty(units, np.int32), np.empty(units, np.uint8))
    votes = np.full(len(order), -1, np.int64)
    for i in range(len(order)):
        image = order[i]
        seen = slice(start[image], start[image + 1])
        count, won = _forward(unit[seen], step[seen], conv, firing, work, contest, sent)
        place, m = _vote(sent[1][:count], decision, answer, allowed[i])
        if m < 0:
            continue
        votes[i] = classes[m]
        right = votes[i] == labels[image]
        if conv.active:
            _teach_conv(unit[seen], step[seen], conv, contest, won, work.fired, right)
        if decision.active:
            answer.fired[sent[1][:count]] = 1
            _change(decision, m, place, answer.fired, right)
            answer.fired[sent[1][:count]] = 0
    return votes
