"""What every compiled layer does at a spike and at the end of a step.

Potentials lie as (position, padded map), so one input spike adds whole rows of weights. Only
positions that a spike has touched are looked at, and only those are cleared after an image.
"""

from numba import njit

from spikingconvnet.engine.vectors import add_row

TOUCHED_NOW, TOUCHED = 1, 2
"""Bits in `mark`: the position got input in this step; in this image."""


@njit(cache=True, inline="always")
def first_window(at, before, window, stride):
    """Return the first window that sees place `at` when `before` places are put in front."""
    low = at + before - window + 1
    return 0 if low <= 0 else (low + stride - 1) // stride


@njit(cache=True, inline="always")
def last_window(at, before, stride, count):
    """Return the last of `count` windows that sees place `at`, or -1."""
    if at + before < 0:
        return -1
    return min((at + before) // stride, count - 1)


@njit(cache=True, inline="always")
def first_seen(position, grid):
    """Return the first row and column of the input that a position sees; they may lie outside."""
    row = position // grid.columns
    column = position - row * grid.columns
    return row * grid.down - grid.top, column * grid.right - grid.left


@njit(cache=True)
def spread(unit, weights, potential, done, mark, now, n_now, ever, n_ever, grid):
    """Add one input spike to all potentials that see it; return how many positions are touched.

    `now` and `ever` list the positions touched in this step and in this image. Positions that are
    `done` take no more input.
    """
    place = unit // grid.channels
    channel = unit - place * grid.channels
    y = place // grid.width
    x = place - y * grid.width
    first = channel * grid.window_height * grid.window_width
    row0 = first_window(y, grid.top, grid.window_height, grid.down)
    row1 = last_window(y, grid.top, grid.down, grid.rows)
    column0 = first_window(x, grid.left, grid.window_width, grid.right)
    column1 = last_window(x, grid.left, grid.right, grid.columns)
    for row in range(row0, row1 + 1):
        ky = y + grid.top - row * grid.down
        for column in range(column0, column1 + 1):
            position = row * grid.columns + column
            if done[position]:
                continue
            seen = mark[position]
            if not seen & TOUCHED_NOW:
                if not seen:
                    ever[n_ever] = position
                    n_ever += 1
                mark[position] = TOUCHED_NOW | TOUCHED
                now[n_now] = position
                n_now += 1
            kx = x + grid.left - column * grid.right
            add_row(potential, position, weights, first + ky * grid.window_width + kx)
    return n_now, n_ever


@njit(cache=True)
def clear(potential, done, mark, ever, n_ever):
    """Forget an image."""
    for i in range(n_ever):
        position = ever[i]
        potential[position, :] = 0
        done[position] = 0
        mark[position] = 0
