"""The fully connected winner-take-all network by definition, one image at a time, float64.

Records (`neuron`, `rule`) are `AdaptiveLIF` and `WindowRule` of `classes.fully_connected`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Trace:
    """Hold what happened in every step: potentials and thresholds (steps, neurons), the winner.

    Thresholds include what they were raised by for good. `winner` (steps,) is -1 where none fired;
    `weights` (neurons, pixels) and `raised` (neurons,) are those after the image.
    """

    potentials: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    winner: NDArray[np.int64]
    weights: NDArray[np.float64]
    raised: NDArray[np.float64]


def receptive_gaps(
    images: NDArray[np.uint8], field: NDArray[np.float64], steps: int, most: int
) -> NDArray[np.int64]:
    """Return the steps between two spikes of every pixel (n, pixels), 0 for none.

    Each pixel is weighted with its neighbours by `field` (side, side), zeros beyond the border,
    over 255. Values above 0 send ``r`` spikes, 1 to `most` from the image's least value to its
    greatest: one every ``ceil(steps / r)``.
    """
    margin = len(field) // 2
    padded = np.pad(images.astype(np.float64), ((0, 0), (margin,) * 2, (margin,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, field.shape, axis=(1, 2))
    values = np.einsum("nyxij,ij->nyx", windows, field).reshape(len(images), -1) / 255
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    rate = 1 + (values - low) / np.where(high > low, high - low, 1) * (most - 1)
    return np.where((values > 0) & (high > low), np.ceil(steps / rate), 0).astype(np.int64)


def window_rule(
    weights: NDArray[np.float64], since: NDArray[np.int64], spared: NDArray[np.bool_], rule: Any
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the winner's weights (pixels,) after a spike, and which are spared from now on.

    `since`: steps from each input's last spike; beyond the window, or never (-1), it did not fire.
    """
    fired = (since >= 0) & (since <= rule.window)
    grown = rule.rate * rule.A_plus * np.exp(-since / rule.tau)
    grown *= np.maximum(rule.w_max - weights, 0) ** rule.mu
    lost = rule.rate * rule.A_minus * np.exp(-1 / rule.tau)
    lost *= np.maximum(weights - rule.w_min, 0) ** rule.mu
    change = np.where(fired, grown, np.where(spared, 0.0, -lost))
    return np.clip(weights + change, rule.w_min, rule.w_max), spared | fired


def present(
    gaps: NDArray[Any],
    steps: int,
    weights: NDArray[np.float64],
    raised: NDArray[np.float64],
    neuron: Any,
    rule: Any = None,
    homeostasis: float = 0.0,
) -> Trace:
    """Show an image, `gaps` (pixels,), to the network; without a `rule` it does not learn."""
    weights, raised = weights.copy(), raised.astype(np.float64)
    neurons = len(weights)
    v, threshold = np.full(neurons, neuron.v_rest), np.full(neurons, neuron.v_thresh)
    spared = np.zeros(len(gaps), bool)
    potentials, thresholds = np.empty((steps, neurons)), np.empty((steps, neurons))
    winner = np.full(steps, -1)
    resting = 0
    for step in range(1, steps + 1):
        since = np.where((gaps > 0) & (step >= gaps), step % np.maximum(gaps, 1), -1)
        if resting:
            resting -= 1
        else:
            v += weights[:, since == 0].sum(axis=1)
            above = v > neuron.v_rest
            threshold -= neuron.thresh_down * (above & (threshold > neuron.v_thresh))
            v -= neuron.leak * above
            best = int(np.argmax(v - raised))
            if v[best] >= threshold[best] + raised[best]:
                winner[step - 1] = best
                if rule is not None:
                    weights[best], spared = window_rule(weights[best], since, spared, rule)
                    raised[best] += homeostasis
                threshold[best] += neuron.thresh_up
                v[:] = neuron.v_lost
                v[best] = neuron.v_reset
                resting = neuron.tau_refrac
        potentials[step - 1], thresholds[step - 1] = v, threshold + raised
    return Trace(potentials, thresholds, winner, weights, raised)
