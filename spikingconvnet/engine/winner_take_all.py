"""Train and ask the fully connected winner-take-all network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.classes.fully_connected import FullyConnected, ReceptiveRate
from spikingconvnet.engine import fully_connected
from spikingconvnet.engine.fully_connected import Constants
from spikingconvnet.engine.geometry import padded
from spikingconvnet.errors import DataError

RADIUS = 2
"""Of the receptive field, pixels."""


def receptive_field(encoder: ReceptiveRate) -> NDArray[np.float64]:
    """Return the weights (5, 5) of the pixels around one, by their Manhattan distance."""
    at = np.abs(np.arange(-RADIUS, RADIUS + 1))
    return np.array(encoder.field)[at[:, None] + at[None, :]]


def spike_gaps(encoder: ReceptiveRate, images: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the steps between two spikes of every pixel (images, pixels), 0 for silence."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"images: {images.dtype} of shape {images.shape} (must be uint8 (n, height, width))"
        )
    images = np.ascontiguousarray(images)
    return np.asarray(
        fully_connected.gaps(images, receptive_field(encoder), encoder.steps, encoder.most)
    )


def _constants(layer: FullyConnected) -> Constants:
    neuron, rule = layer.neuron, layer.rule
    return Constants(
        neuron.v_rest, neuron.v_thresh, neuron.v_reset, neuron.v_lost, neuron.leak,
        neuron.thresh_up, neuron.thresh_down, neuron.tau_refrac, rule.rate * rule.A_plus,
        rule.rate * rule.A_minus, rule.tau, rule.window, rule.mu, rule.w_min, rule.w_max,
        layer.homeostasis, layer.legacy,
    )  # fmt: skip


class WinnerTakeAll:
    """Hold the state of a network: weights (neurons, pixels), raised thresholds, images shown."""

    def __init__(
        self, encoder: ReceptiveRate, layer: FullyConnected, pixels: int, rng: np.random.Generator
    ) -> None:
        self._encoder, self.layer = encoder, layer
        rule = layer.rule
        drawn = rng.normal(rule.w_init_mean, rule.w_init_sd, (pixels, layer.neurons))
        self._packed = np.zeros((pixels, padded(layer.neurons)), np.float32)
        self._packed[:, : layer.neurons] = np.clip(drawn, rule.w_min, rule.w_max)
        self._raised = np.zeros(self._packed.shape[1], np.float32)
        self.shown = 0

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights (neurons, pixels)."""
        return self._packed[:, : self.layer.neurons].T.astype(np.float64)

    @property
    def raised(self) -> NDArray[np.float64]:
        """Return what each threshold (neurons,) has been raised by for good."""
        return self._raised[: self.layer.neurons].astype(np.float64)

    def _check(self, gaps: NDArray[np.int32]) -> None:
        """Refuse what the compiled functions have no room for."""
        least = -(-self._encoder.steps // self._encoder.most)
        if gaps.ndim != 2 or gaps.shape[1] != len(self._packed):
            raise DataError(f"gaps: shape {gaps.shape} (must be (images, {len(self._packed)}))")
        if gaps.size and gaps[gaps != 0].min(initial=least) < least:
            raise DataError(f"gaps: {gaps[gaps != 0].min()} steps (must be 0 or at least {least})")

    def train(self, gaps: NDArray[np.int32], order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Show images once each; return for each the neuron that fired last, -1 for none."""
        self._check(gaps)
        self.shown += len(order)
        return np.asarray(
            fully_connected.train(
                gaps, order, self._encoder.steps, self._encoder.most, self._packed, self._raised,
                self.layer.neurons, _constants(self.layer),
            )
        )  # fmt: skip

    def respond(self, gaps: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the spikes (images, neurons) that images evoke; nothing is learned."""
        self._check(gaps)
        return np.asarray(
            fully_connected.respond(
                gaps, self._encoder.steps, self._encoder.most, self._packed, self._raised,
                self.layer.neurons, _constants(self.layer),
            )
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {"weights": self.weights, "raised": self.raised, "shown": self.shown}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it belongs to another network."""
        weights = np.asarray(state["weights"])
        wanted = (self.layer.neurons, len(self._packed))
        if weights.shape != wanted or not np.isfinite(weights).all():
            raise DataError(
                f"weights: of shape {weights.shape}, all finite: {np.isfinite(weights).all()} "
                f"(the network has {wanted})"
            )
        raised = np.asarray(state["raised"])
        if raised.shape != (self.layer.neurons,) or not np.isfinite(raised).all():
            raise DataError(
                f"thresholds: of shape {raised.shape}, all finite: {np.isfinite(raised).all()} "
                f"(the network has {(self.layer.neurons,)})"
            )
        self._packed[:, : self.layer.neurons] = weights.T
        self._raised[: self.layer.neurons] = raised
        self.shown = int(state["shown"])


def labels_of_neurons(counts: Any, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the class (neurons,) at whose images each neuron fired most, -1 if it never did.

    `counts` (images, neurons), dense or sparse, are spikes, `labels` (images,) classes 0..classes -
    1. Spikes are divided by the images of their class.
    """
    shares = shares_of_neurons(counts, labels, classes)
    return np.where(shares.max(axis=1) > 0, shares.argmax(axis=1), -1)


def last_won(
    winners: NDArray[np.int64], labels: NDArray[np.int64], neurons: int
) -> NDArray[np.int64]:
    """Return the class (neurons,) of the image that each neuron won last, -1 for none.

    `winners` (images,) are neurons or -1, `labels` (images,) classes, both in order of showing.
    """
    found = np.full(neurons, -1, np.int64)
    for neuron, label in zip(winners, labels, strict=True):
        if neuron >= 0:
            found[neuron] = label
    return found


def shares_of_neurons(counts: Any, labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return how the spikes of each neuron are shared among classes (neurons, classes).

    `counts` (images, neurons), dense or sparse, and `labels` as for `labels_of_neurons`. A neuron
    that never fired has only zeros.
    """
    votes = np.stack(
        [
            np.asarray(counts[labels == label].sum(axis=0)).ravel()
            / max((labels == label).sum(), 1)
            for label in range(classes)
        ],
        axis=1,
    )
    return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-300))


def votes_of_labels(neuron_labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return a table as `shares_of_neurons` does: all of a neuron's vote for its label."""
    return np.asarray(neuron_labels[:, None] == np.arange(classes), dtype=np.float64)


def class_scores(counts: Any, votes: NDArray[np.float64], together: bool) -> NDArray[np.float64]:
    """Return what speaks for each class (images, classes), by the votes (neurons, classes).

    `counts` (images, neurons), dense or sparse. together: all spikes count as their neurons vote;
    else only those of the neuron with the most.
    """
    if together:
        return np.asarray(counts @ votes)
    dense = counts.toarray() if hasattr(counts, "toarray") else counts
    best = dense.argmax(axis=1)
    return np.asarray(dense.max(axis=1)[:, None] * votes[best])
