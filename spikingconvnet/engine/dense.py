"""Fully connected decision layers, compiled. Weights lie as (inputs, padded neurons)."""

import numpy as np
from numba import get_num_threads, njit, prange


@njit(cache=True, fastmath=True)
def potentials(unit, first, end, weights, out):
    """Write the sum of the weights of all inputs that fired."""
    out[:] = 0
    for at in range(first, end):
        for j in range(weights.shape[1]):
            out[j] += weights[unit[at], j]


@njit(cache=True, parallel=True, nogil=True)
def _score(start, unit, weights, scores, blocks):
    for block in prange(blocks):
        total = np.empty(weights.shape[1], np.float32)
        for image in range(block, len(scores), blocks):
            potentials(unit, start[image], start[image + 1], weights, total)
            scores[image] = total[: scores.shape[1]]


def score(waves, weights, neurons):
    """Return the potentials (images, neurons) after the last step."""
    scores = np.empty((len(waves), neurons), np.float32)
    _score(waves.start, waves.unit, weights, scores, get_num_threads())
    return scores


@njit(cache=True, nogil=True)
def teach_pairs(spikes, order, labels, classes, weights, rate, margin, low, high):
    """Show images once by the paired rule; return how many were answered right.

    Where the best neuron of the right class leads the best of the others by less than `margin`,
    active inputs strengthen the first by `rate` and weaken the second, within [low, high].
    """
    start, unit, _ = spikes
    total = np.empty(weights.shape[1], np.float32)
    correct = 0
    for image in order:
        first, end = start[image], start[image + 1]
        potentials(unit, first, end, weights, total)
        best, rival = -1, -1
        for j in range(len(classes)):
            if classes[j] == labels[image]:
                if best < 0 or total[j] > total[best]:
                    best = j
            elif rival < 0 or total[j] > total[rival]:
                rival = j
        correct += total[best] > total[rival]
        if total[best] - total[rival] >= margin:
            continue
        for at in range(first, end):
            i = unit[at]
            weights[i, best] = min(weights[i, best] + rate, high)
            weights[i, rival] = max(weights[i, rival] - rate, low)
    return correct


@njit(cache=True, nogil=True)
def teach_rewarded(
    spikes, order, labels, classes, weights, allowed, reward, punishment, bounds, bounded
):  # fmt: skip
    """Show a batch once by reward; return votes (images,), -1 for silence.

    `allowed` (images, neurons) says who may win. The winner changes by `reward` or `punishment`:
    (inputs that fired, silent inputs).
    """
    start, unit, _ = spikes
    low, high = bounds
    total = np.empty(weights.shape[1], np.float32)
    fired = np.zeros(weights.shape[0], np.uint8)
    votes = np.full(len(order), -1, np.int64)
    for k in range(len(order)):
        first, end = start[order[k]], start[order[k] + 1]
        potentials(unit, first, end, weights, total)
        winner, top = -1, np.float32(0)
        for j in range(len(classes)):
            if allowed[k, j] and total[j] > top:
                winner, top = j, total[j]
        if winner < 0:
            continue
        votes[k] = classes[winner]
        change = reward if votes[k] == labels[order[k]] else punishment
        for at in range(first, end):
            fired[unit[at]] = 1
        for i in range(weights.shape[0]):
            step = change[0] if fired[i] else change[1]
            if step:
                w = weights[i, winner]
                room = (w - low) * (high - w) if bounded else 1.0
                weights[i, winner] = min(max(w + step * room, low), high)
        for at in range(first, end):
            fired[unit[at]] = 0
    return votes
