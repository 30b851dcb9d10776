"""A linear support vector machine on waves, compiled: one against the rest, all classes together.

Minimises ``|w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2`` for each class, b as the weight of one
more feature of 1, by descent along one coordinate of the dual after the other: Hsieh et al.,
International Conference on Machine Learning (2008) 408-415, doi:10.1145/1390156.1390208. The
same problem as scikit-learn's LinearSVC solves, without its copies of the features.
"""

import numpy as np
from numba import njit

from spikingconvnet.engine.geometry import padded
from spikingconvnet.engine.shares import add_shares, spread_shares

TOLERANCE = 1e-3
"""Passes end when no coordinate's gradient was further from its optimum than this."""


@njit(cache=True, nogil=True)
def descend(spikes, value, order, target, curvature, softness, dual, weights):
    """Pass over the images `order` once; return the largest violation met.

    `value` (steps,): what a spike at a step counts. `target` (images,): class 0..classes - 1.
    `curvature` (images,): |x|^2 + 1 + softness, softness = 1 / 2C. Changes `dual` (images,
    classes) and `weights` (units + 1, padded classes), the last row of which is b.
    """
    start, unit, step = spikes
    score, by = np.empty(weights.shape[1], np.float32), np.zeros(weights.shape[1], np.float32)
    worst = 0.0
    for image in order:
        first, end = start[image], start[image + 1]
        score[:] = weights[-1]
        add_shares(score, weights, unit, step, value, first, end)
        moved = False
        for j in range(dual.shape[1]):
            sign = 1.0 if target[image] == j else -1.0
            held = dual[image, j]
            gradient = sign * score[j] - 1.0 + softness * held
            by[j] = 0
            if held == 0 and gradient >= 0:
                continue
            worst = max(worst, abs(gradient))
            new = max(held - gradient / curvature[image], 0.0)
            if new != held:
                by[j] = sign * (new - held)
                dual[image, j] = new
                moved = True
        if moved:
            spread_shares(weights, by, unit, step, value, first, end)
            weights[-1] += by
    return worst


def fit(waves, target, classes, value, penalty, passes, rng):
    """Return weights (classes, units) and offsets (classes,), and the passes that it took.

    `penalty` is C; images come in a new order, drawn from `rng`, in each of at most `passes`.
    """
    squares = np.add.reduceat(
        np.append(value[waves.step].astype(np.float64) ** 2, 0.0), waves.start[:-1]
    )
    squares[np.diff(waves.start) == 0] = 0.0
    softness = 0.5 / penalty
    dual = np.zeros((len(waves), classes))
    weights = np.zeros((waves.units + 1, padded(classes)), np.float32)
    spikes = (waves.start, waves.unit, waves.step)
    done, worst = 0, np.inf
    while done < passes and worst >= TOLERANCE:
        done += 1
        worst = descend(
            spikes, value, rng.permutation(len(waves)), target, squares + 1.0 + softness,
            softness, dual, weights,
        )  # fmt: skip
    found = weights[:, :classes].astype(np.float64)
    return np.ascontiguousarray(found[:-1].T), found[-1], done
