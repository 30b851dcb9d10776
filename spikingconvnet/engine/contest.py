"""Who may learn in an image: candidates compete, winners shut others out."""

from typing import NamedTuple

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
def best_of_each_map(position, feature, value, n, map_done):
    """Keep the best candidate of each map, and let these maps take part no more."""
    kept = 0
    for i in range(n):
        best = True
        for j in range(n):
            if feature[j] == feature[i] and _before(value, position, j, i):
                best = False
                break
        if best:
            # The places before i have been looked at, but their values may still be needed.
            value[n + kept], position[n + kept], feature[n + kept] = (
                value[i],
                position[i],
                feature[i],
            )
            kept += 1
    for i in range(kept):
        value[i], position[i], feature[i] = value[n + i], position[n + i], feature[n + i]
        map_done[feature[i]] = 1
    return kept


@njit(cache=True)
def choose(state, n, room, won, time, competition, grid):
    """Let up to `room` candidates win, the highest potential first; return the new `won`."""
    while n and room:
        chosen = -1
        for i in range(n):
            if state.zone_done[state.place[i]]:
                continue
            if not competition.map_first and state.map_done[state.feature[i]]:
                continue
            if chosen < 0 or _before(state.value, state.place, i, chosen):
                chosen = i
        if chosen < 0:
            break
        position, m = state.place[chosen], state.feature[chosen]
        state.won[won, 0], state.won[won, 1], state.won[won, 2] = position, m, time
        state.map_done[m] = 1
        block_around(position, competition.radius, state.zone_done, grid)
        n -= 1
        state.value[chosen] = state.value[n]
        state.place[chosen], state.feature[chosen] = state.place[n], state.feature[n]
        won += 1
        room -= 1
    return won
