"""The paired-competing-neurons layer on spike latencies, compiled.

Weights lie as (inputs, padded neurons), as in `dense`; the definition is
`algorithms.decision_learning.s2_stdp`.
"""

import numpy as np
from numba import get_num_threads, njit, prange


@njit(cache=True, fastmath=True)
def _potentials(unit, step, first, end, steps, weights, out):
    """Write ``V = (1 - x) W``; an input that fires at `step` has x = step / steps."""
    out[:] = 0
    for at in range(first, end):
        left = np.float32(steps - step[at]) / np.float32(steps)
        for j in range(weights.shape[1]):
            out[j] += left * weights[unit[at], j]


@njit(cache=True)
def _class_latencies(total, classes, fastest, latency, taken):
    """Write the mean latency of the `fastest` neurons of each class, and mark these in `taken`.

    Returns the class with the lowest, or -1 when no potential is above 0.
    """
    top = total[: len(classes)].max()
    if not top > 0:
        return -1
    taken[:] = 0
    for number in range(len(latency)):
        found, mean = 0, 0.0
        while found < fastest:
            best = -1
            for j in range(len(classes)):
                if classes[j] == number and not taken[j] and (best < 0 or total[j] > total[best]):
                    best = j
            if best < 0:
                break
            taken[best] = 1
            mean += 1 - total[best] / top
            found += 1
        latency[number] = mean / found
    return latency.argmin()


@njit(cache=True, nogil=True)
def teach(spikes, steps, order, labels, classes, weights, rates, gap, fastest, bounds):
    """Show images once by the rule of classes.rules.S2STDP; return votes (images,), -1: silence.

    `rates`: of growing and of shrinking weights. Neurons (classes,) of a class are neighbours.
    """
    start, unit, step = spikes
    low, high = bounds
    total = np.empty(weights.shape[1], np.float32)
    latency = np.empty(classes.max() + 1, np.float64)
    taken = np.empty(len(classes), np.uint8)
    push = np.empty(len(classes), np.float64)
    votes = np.empty(len(order), np.int64)
    for k in range(len(order)):
        first, end = start[order[k]], start[order[k] + 1]
        _potentials(unit, step, first, end, steps, weights, total)
        votes[k] = _class_latencies(total, classes, fastest, latency, taken)
        if votes[k] < 0:
            continue
        mean = latency.mean()
        for j in range(len(classes)):
            target = mean - gap if classes[j] == labels[order[k]] else mean + gap
            push[j] = latency[classes[j]] - target if taken[j] else 0.0
        for at in range(first, end):
            left = (steps - step[at]) / steps
            for j in range(len(classes)):
                if push[j]:
                    w = weights[unit[at], j]
                    bound = rates[0] * (high - w) if push[j] > 0 else rates[1] * (w - low)
                    weights[unit[at], j] = min(max(w + push[j] * left * bound, low), high)
    return votes


@njit(cache=True, parallel=True, nogil=True)
def _vote(spikes, steps, classes, weights, fastest, votes, lead, blocks):
    start, unit, step = spikes
    for block in prange(blocks):
        total = np.empty(weights.shape[1], np.float32)
        latency = np.empty(classes.max() + 1, np.float64)
        taken = np.empty(len(classes), np.uint8)
        for image in range(block, len(votes), blocks):
            _potentials(unit, step, start[image], start[image + 1], steps, weights, total)
            votes[image] = _class_latencies(total, classes, fastest, latency, taken)
            if votes[image] >= 0:
                lead[image] = 1 - latency


def vote(waves, classes, weights, fastest):
    """Return the class with the lowest latency for each image, -1 for silence; and all leads.

    The lead (images, classes) is what is left of the time after the class's latency, 0..1.
    """
    votes = np.empty(len(waves), np.int64)
    lead = np.zeros((len(waves), classes.max() + 1))
    spikes = waves.start, waves.unit, waves.step
    _vote(spikes, waves.steps, classes, weights, fastest, votes, lead, get_num_threads())
    return votes, lead
