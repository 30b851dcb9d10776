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
