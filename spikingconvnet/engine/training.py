"""Unsupervised training of one convolution: competition, and the rules that change the winners."""

from typing import NamedTuple

import numpy as np
from numba import njit

from spikingconvnet.engine.contest import best_of_each_map, choose, new_contest, reopen
from spikingconvnet.engine.integrate import first_seen
from spikingconvnet.engine.pending import (
    DONE,
    KEPT,
    add_all_up,
    add_up,
    close_around,
    close_idle,
    forget,
    least_spikes,
    new_pending,
    new_windows,
    take,
)
from spikingconvnet.engine.vectors import first_at_least, highest

ORDER, VOLTAGE, FERROELECTRIC = 0, 1, 2
"""Kinds of rules."""


class Rule(NamedTuple):
    """Give a learning rule to the compiled functions.

    kind: ORDER, VOLTAGE or FERROELECTRIC. `ratio` of depression to potentiation, and whether
    `bounded` softly, are of ORDER; `f_dep`, `ramp` and `silent` of VOLTAGE (see `_voltage`);
    `device` holds the constants of FERROELECTRIC.
    """

    kind: int
    low: float
    high: float
    bounded: bool
    ratio: float
    f_dep: float
    ramp: float
    silent: bool
    device: tuple[float, ...]


@njit(cache=True)
def _normalised_voltage(latency, time, steps, rule):
    """Return V_pre / theta of an input that has not fired: it has climbed (time + 1) of the
    latency + 1 steps of its ramp; a silent one climbs towards steps + 1, or not at all.
    """
    if latency >= steps and not rule.silent:
        return 0.0
    return rule.ramp * (time + 1) / (latency + 1)


@njit(cache=True)
def _ferroelectric(w, fired, voltage, device):
    gamma_p, gamma_d, theta_p, theta_d, alpha_p, alpha_d, scale_p, scale_d, v_ref = device
    if fired:
        drive = voltage * scale_p * theta_p
        gain = np.exp(-alpha_p * (drive - theta_p)) - 1 if drive < theta_p else 0.0
        return gain * max(1 - w, 0.0) ** gamma_p
    drive = (v_ref - voltage) * scale_d * theta_d
    loss = np.exp(alpha_d * (drive - theta_d)) - 1 if drive > theta_d else 0.0
    return -loss * max(w, 0.0) ** gamma_d


@njit(cache=True)
def changed(w, latency, time, steps, rate, rule):
    """Return a weight after its neuron has won at step `time`; `latency` is its input's."""
    fired = latency <= time
    room = (w - rule.low) * (rule.high - w) if rule.bounded else 1.0
    if rule.kind == ORDER:
        w += rate * room if fired else rule.ratio * rate * room
    elif rule.kind == VOLTAGE:
        if fired:
            w += rate * room
        else:
            w -= rate * room * (rule.f_dep - _normalised_voltage(latency, time, steps, rule))
    else:
        voltage = 1.0 if fired else _normalised_voltage(latency, time, steps, rule)
        w += _ferroelectric(w, fired, voltage, rule.device)
    return min(max(w, rule.low), rule.high)


@njit(cache=True)
def learn(weights, m, position, time, latency, steps, rate, rule, grid):
    """Change the kernel of map `m`, which has won at `position` in step `time`."""
    y0, x0 = first_seen(position, grid)
    for ky in range(grid.window_height):
        y = y0 + ky
        inside = 0 <= y < grid.height
        for kx in range(grid.window_width):
            x = x0 + kx
            seen = inside and 0 <= x < grid.width
            at = (y * grid.width + x) * grid.channels
            for channel in range(grid.channels):
                when = latency[at + channel] if seen else steps
                weights[channel, ky, kx, m] = changed(
                    weights[channel, ky, kx, m], when, time, steps, rate, rule
                )


@njit(cache=True)
def convergence(weights, maps, rule):
    """Return mean (w - low)(high - w) over all kernels."""
    total = 0.0
    for channel in range(weights.shape[0]):
        for ky in range(weights.shape[1]):
            for kx in range(weights.shape[2]):
                for m in range(maps):
                    w = weights[channel, ky, kx, m]
                    total += (w - rule.low) * (rule.high - w)
    return total / (weights.shape[0] * weights.shape[1] * weights.shape[2] * maps)


@njit(cache=True)
def _candidates(n_now, kept, weights, threshold, contest, windows, pending, grid):
    """Let the positions looked at in this step fire; return how many candidates may still win."""
    n = 0
    for i in range(n_now):
        corner = pending.now[i]
        if add_up(corner, kept, weights, threshold, windows, pending, grid):
            position = windows.position[corner]
            best = highest(pending.potential, position)
            m = first_at_least(pending.potential, position, best)
            pending.known[corner] = DONE
            if not contest.map_done[m]:
                contest.place[n], contest.feature[n], contest.value[n] = position, m, best
                n += 1
    return n


@njit(cache=True)
def _teach(weights, latency, winners, steps, rate, pace, rule, grid):
    """Change the kernels of `winners` (n, 3): position, map, step; keep count and pace of updates.

    `pace`: updates so far, factor on the rate, updates between its doublings, highest rate.
    """
    for i in range(len(winners)):
        position, m, time = winners[i]
        learn(weights, m, position, time, latency, steps, rate * pace[1], rule, grid)
        pace[0] += 1
        if pace[2] and pace[0] % pace[2] == 0:
            pace[1] = min(2 * pace[1], max(pace[3] / rate, 1.0))


@njit(cache=True)
def _show(
    spikes, image, steps, rate, pace, weights, threshold, least, grid, competition, rule, latency,
    contest, windows, pending,
):  # fmt: skip
    """Show one image, up to the step in which its last winner is found."""
    start, unit, step = spikes
    first, end = start[image], start[image + 1]
    for at in range(end - 1, first - 1, -1):
        latency[unit[at]] = step[at]
    reopen(contest)
    if competition.at_once:
        close_idle(unit, first, end, least, windows, pending, grid)
    won, at, kept = 0, first, -1
    while at < end:
        time, begin = step[at], at
        while at < end and step[at] == time:
            at += 1
        kept += 1
        n_now = take(unit, begin, at, kept, least, windows, pending, grid)
        n = _candidates(n_now, kept, weights, threshold, contest, windows, pending, grid)
        if competition.map_first:
            n = best_of_each_map(contest, n)
        begun = won
        room = competition.winners - (0 if competition.per_step else won)
        won = choose(contest, n, room, won, time, competition, grid)
        if won == len(contest.won) or (not competition.per_step and won == competition.winners):
            at = end
        for i in range(begun, won):
            close_around(contest.won[i, 0], competition.radius, windows, pending, grid)
        if at < end and (kept == KEPT - 1 or (competition.at_once and won > begun)):
            add_all_up(kept, weights, windows, pending, grid)
            kept = -1
        if competition.at_once:
            _teach(weights, latency, contest.won[begun:won], steps, rate, pace, rule, grid)
    if not competition.at_once:
        _teach(weights, latency, contest.won[:won], steps, rate, pace, rule, grid)
    for at in range(first, end):
        latency[unit[at]] = steps
    forget(windows, pending)


@njit(cache=True, nogil=True)
def train(
    spikes, steps, order, rates, pace, weights, maps, threshold, grid, competition, rule, limit,
    check_every,
):  # fmt: skip
    """Show the images `order` once each; stop when mean (w - low)(high - w) is below `limit`.

    `spikes` are start, unit and step of waves. Image i learns at ``rates[i]`` times a factor that
    doubles with the updates (see `_teach`). Changes `weights` and `pace` in place. Returns the
    images shown and the convergence measure, taken every `check_every` images.
    """
    latency = np.full(grid.height * grid.width * grid.channels, steps, np.uint8)
    contest, windows = new_contest(grid, maps), new_windows(grid)
    least = least_spikes(max(float(weights.max()), rule.high), threshold)
    pending = new_pending(spikes[0], windows, weights.shape[3], grid)
    trace = np.empty(len(order) // check_every + 1, np.float64)
    shown = checks = 0
    for image in order:
        _show(
            spikes, image, steps, rates[shown], pace, weights, threshold, least, grid, competition,
            rule, latency, contest, windows, pending,
        )  # fmt: skip
        shown += 1
        if shown % check_every == 0:
            trace[checks] = convergence(weights, maps, rule)
            checks += 1
            if trace[checks - 1] < limit:
                break
    return shown, trace[:checks]
