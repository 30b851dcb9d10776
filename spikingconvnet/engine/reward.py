"""Convolutional decision layers, compiled: the winner's map votes, a reward changes its kernel.

Nothing fires here: potentials after the last step are compared over all maps and positions.
"""

import numpy as np
from numba import get_num_threads, njit, prange

from spikingconvnet.engine.integrate import TOUCHED, clear, highest, spread


@njit(cache=True)
def _winner(unit, first, end, weights, work, allowed, grid):
    """Return (position, map) of the highest potential above 0, or (-1, -1); forgets the image."""
    potential, done, mark, now, ever = work
    n_ever = 0
    for at in range(first, end):
        n_now, n_ever = spread(unit[at], weights, potential, done, mark, now, 0, ever, n_ever, grid)
        for i in range(n_now):
            mark[now[i]] = TOUCHED
    top, place, feature = np.float32(0), -1, -1
    for i in range(n_ever):
        position = ever[i]
        if highest(potential, position) <= top:
            continue
        for m in range(len(allowed)):
            if potential[position, m] > top and allowed[m]:
                top, place, feature = potential[position, m], position, m
    clear(potential, done, mark, ever, n_ever)
    return place, feature


@njit(cache=True)
def _work(grid, padded):
    positions = grid.rows * grid.columns
    return (
        np.zeros((positions, padded), np.float32),
        np.zeros(positions, np.uint8),
        np.zeros(positions, np.uint8),
        np.empty(positions, np.int32),
        np.empty(positions, np.int32),
    )


@njit(cache=True)
def _apply(weights, m, position, fired, change, bounds, bounded, grid):
    """Change the kernel of map `m` by change[0] where the input has fired, else by change[1]."""
    low, high = bounds
    row = position // grid.columns
    y0 = row * grid.down - grid.top
    x0 = (position - row * grid.columns) * grid.right - grid.left
    for ky in range(grid.window_height):
        y = y0 + ky
        for kx in range(grid.window_width):
            x = x0 + kx
            seen = 0 <= y < grid.height and 0 <= x < grid.width
            at = (y * grid.width + x) * grid.channels
            for channel in range(grid.channels):
                w = weights[channel, ky, kx, m]
                room = (w - low) * (high - w) if bounded else 1.0
                step = change[0] if seen and fired[at + channel] else change[1]
                weights[channel, ky, kx, m] = min(max(w + step * room, low), high)


@njit(cache=True, nogil=True)
def teach(
    spikes, order, labels, classes, weights, allowed, reward, punishment, bounds, bounded, grid
):  # fmt: skip
    """Show a batch once; return votes (images,), -1 for silence.

    `allowed` (images, maps) says which maps may win; `classes` (maps,) what they vote for. The
    winner's kernel changes by `reward` or `punishment`: (fired inputs, silent inputs).
    """
    start, unit, _ = spikes
    work = _work(grid, weights.shape[3])
    fired = np.zeros(grid.height * grid.width * grid.channels, np.uint8)
    votes = np.full(len(order), -1, np.int64)
    for i in range(len(order)):
        first, end = start[order[i]], start[order[i] + 1]
        position, m = _winner(unit, first, end, weights, work, allowed[i], grid)
        if m < 0:
            continue
        votes[i] = classes[m]
        for at in range(first, end):
            fired[unit[at]] = 1
        change = reward if votes[i] == labels[order[i]] else punishment
        _apply(weights, m, position, fired, change, bounds, bounded, grid)
        for at in range(first, end):
            fired[unit[at]] = 0
    return votes


@njit(cache=True, parallel=True, nogil=True)
def _vote(start, unit, classes, weights, votes, grid, blocks):
    for block in prange(blocks):
        work = _work(grid, weights.shape[3])
        allowed = np.ones(len(classes), np.uint8)
        for image in range(block, len(votes), blocks):
            _, m = _winner(unit, start[image], start[image + 1], weights, work, allowed, grid)
            votes[image] = classes[m] if m >= 0 else -1


def vote(waves, classes, weights, grid):
    """Return the class that each image's winning map stands for, -1 for silence."""
    votes = np.empty(len(waves), np.int64)
    _vote(waves.start, waves.unit, classes, weights, votes, grid, get_num_threads())
    return votes
