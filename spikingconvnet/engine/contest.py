"""Who may learn in an image: candidates compete, winners shut others out."""

from typing import NamedTuple

import numpy as np
from numba import njit


class Competition(NamedTuple):
    """Say who may learn: at most `winners` in a step (or, unless `per_step`, in an image), one a
    map, none within `radius` of another. With `map_first`, each map sends its best unit only.
    With `at_once` weights change within the image, else after it.
    """

    winners: int
    radius: int
    per_step: bool
    map_first: bool
    at_once: bool


class Contest(NamedTuple):
    """Hold what may win no more in an image, the candidates of a step, and the winners so far.

    By place `zone_done`, by map `map_done`. Of a candidate potential (`value`), `place` and map
    (`feature`); of a winner (`won`) place, map and step.
    """

    zone_done: np.ndarray
    map_done: np.ndarray
    value: np.ndarray
    place: np.ndarray
    feature: np.ndarray
    won: np.ndarray


@njit(cache=True)
def new_contest(grid, maps):
    """Return the working memory for a layer; `best_of_each_map` takes twice as many candidates."""
    positions = grid.rows * grid.columns
    return Contest(
        np.zeros(positions, np.uint8),
        np.zeros(maps, np.uint8),
        np.empty(2 * positions, np.float32),
        np.empty(2 * positions, np.int32),
        np.empty(2 * positions, np.int32),
        np.empty((maps, 3), np.int32),
    )


@njit(cache=True)
def reopen(contest):
    """Let all places and maps take part in another image."""
    contest.zone_done[:] = 0
    contest.map_done[:] = 0


@njit(cache=True)
def block_around(position, radius, blocked, grid):
    """Mark all places within `radius` rows and columns of a position."""
    row = position // grid.columns
    column = position - row * grid.columns
    for y in range(max(row - radius, 0), min(row + radius + 1, grid.rows)):
        for x in range(max(column - radius, 0), min(column + radius + 1, grid.columns)):
            blocked[y * grid.columns + x] = 1


@njit(cache=True, inline="always")
def _before(value, position, i, j):
    """Tell whether candidate i goes before j: the higher potential, then the first position."""
    return value[i] > value[j] or (value[i] == value[j] and position[i] < position[j])


@njit(cache=True)
def best_of_each_map(contest, n):
    """Keep the best candidate of each map, and let these maps take part no more."""
    value, position, feature = contest.value, contest.place, contest.feature
    kept = 0
    for i in range(n):
        best = True
        for j in range(n):
            if feature[j] == feature[i] and _before(value, position, j, i):
                best = False
                break
        if best:
            # The places before i have been looked at, but their values may still be needed.
            to = n + kept
            value[to], position[to], feature[to] = value[i], position[i], feature[i]
            kept += 1
    for i in range(kept):
        value[i], position[i], feature[i] = value[n + i], position[n + i], feature[n + i]
        contest.map_done[feature[i]] = 1
    return kept


@njit(cache=True)
def choose(contest, n, room, won, time, competition, grid):
    """Let up to `room` candidates win, the highest potential first; return the new `won`."""
    while n and room:
        chosen = -1
        for i in range(n):
            if contest.zone_done[contest.place[i]]:
                continue
            if not competition.map_first and contest.map_done[contest.feature[i]]:
                continue
            if chosen < 0 or _before(contest.value, contest.place, i, chosen):
                chosen = i
        if chosen < 0:
            break
        position, m = contest.place[chosen], contest.feature[chosen]
        contest.won[won, 0], contest.won[won, 1], contest.won[won, 2] = position, m, time
        contest.map_done[m] = 1
        block_around(position, competition.radius, contest.zone_done, grid)
        n -= 1
        contest.value[chosen] = contest.value[n]
        contest.place[chosen], contest.feature[chosen] = contest.place[n], contest.feature[n]
        won += 1
        room -= 1
    return won
