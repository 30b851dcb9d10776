"""The fully connected layer whose rates follow its recent hits, compiled.

Weights lie as (inputs, padded neurons); the definition is
`algorithms.decision_learning.hit_miss_stdp`.
"""

import numpy as np
from numba import njit

from spikingconvnet.engine.dense import potentials


@njit(cache=True, nogil=True)
def teach(
    spikes, order, labels, classes, weights, ring, answered, reward, punishment, decay, bounds
):  # fmt: skip
    """Show images once; return votes (images,), -1 for silence.

    `ring` (n,) uint8 holds the last hits and misses and changes in place; `answered` is how many
    answers went into it before. Silence changes nothing.
    """
    start, unit, _ = spikes
    low, high = bounds
    total = np.empty(weights.shape[1], np.float32)
    fired = np.zeros(weights.shape[0], np.uint8)
    votes = np.full(len(order), -1, np.int64)
    hits = ring.sum()
    for k in range(len(order)):
        first, end = start[order[k]], start[order[k] + 1]
        potentials(unit, first, end, weights, total)
        winner = total[: len(classes)].argmax()
        if not total[winner] > 0:
            continue
        votes[k] = classes[winner]
        hit = votes[k] == labels[order[k]]
        slot = answered % len(ring)
        hits += np.int64(hit) - ring[slot]
        ring[slot] = hit
        answered += 1
        share = (len(ring) - hits) / len(ring) if hit else hits / len(ring)
        change = reward if hit else punishment
        for at in range(first, end):
            fired[unit[at]] = 1
        for i in range(weights.shape[0]):
            w = weights[i, winner]
            w += share * (change[0] if fired[i] else change[1]) * (w - low) * (high - w)
            weights[i, winner] = min(max(w - decay * w, low), high)
        for at in range(first, end):
            fired[unit[at]] = 0
    return votes
