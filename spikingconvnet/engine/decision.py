"""Train and ask decision layers: neurons or maps that vote for a class, taught by local rules."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.rules import PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import DenseDecision, SpikingDecision
from spikingconvnet.engine import dense, reward
from spikingconvnet.engine.geometry import LANES, Grid, grid, pack, unpack
from spikingconvnet.errors import DataError, UsageError


@dataclass
class Epoch:
    """Count the answers while an epoch was taught: shares of right, wrong and silent ones."""

    right: float
    wrong: float
    silent: float


class Trainer(Protocol):
    """Say what every trainer of a decision layer does."""

    epochs_done: int
    history: list[Epoch]

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, in an order of its own."""

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where nobody answers."""

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


def _counted(votes: NDArray[np.int64], labels: NDArray[np.int64]) -> Epoch:
    silent = float(np.mean(votes < 0))
    right = float(np.mean(votes == labels))
    return Epoch(right, 1.0 - right - silent, silent)


def _pooled(parts: list[Epoch], sizes: list[int]) -> Epoch:
    return Epoch(
        *(
            float(np.average([getattr(part, name) for part in parts], weights=sizes))
            for name in ("right", "wrong", "silent")
        )
    )


def _order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    """Return the order of an epoch; it depends on nothing that came before."""
    return np.random.default_rng([seed, epoch]).permutation(images)


@dataclass
class _Base:
    """Hold what the trainers share."""

    seed: int
    epochs_done: int = 0
    history: list[Epoch] = field(default_factory=list)

    def _restored(self, state: dict[str, Any], weights: NDArray[np.float32]) -> Any:
        found = np.asarray(state["weights"])
        if found.shape != weights.shape or not np.isfinite(found).all():
            raise DataError(
                f"checkpoint: weights of shape {found.shape}, finite: {np.isfinite(found).all()} "
                f"(the layer has {weights.shape})"
            )
        self.epochs_done = int(state["epochs_done"])
        self.history = [Epoch(*row) for row in np.asarray(state["history"]).reshape(-1, 3)]
        return np.ascontiguousarray(found, np.float32)

    def _state(self, weights: NDArray[np.float32]) -> dict[str, Any]:
        rows = [[epoch.right, epoch.wrong, epoch.silent] for epoch in self.history]
        return {
            "weights": weights.copy(),
            "epochs_done": np.int64(self.epochs_done),
            "history": np.array(rows).reshape(-1, 3),
        }


class RewardTrainer(_Base):
    """Teach by reward: convolutional (`SpikingDecision`) or fully connected (`DenseDecision`).

    `shape` is that of the waves that enter; classes are 0..classes - 1; `weights` (maps, channels,
    kh, kw), or (neurons, inputs), are those to start from.
    """

    def __init__(
        self,
        layer: SpikingDecision | DenseDecision,
        shape: Shape,
        classes: int,
        weights: NDArray[Any],
        seed: int,
    ) -> None:
        super().__init__(seed)
        rule = layer.rule
        if not isinstance(rule, RewardSTDP):
            raise UsageError(f"rule: {type(rule).__name__} (RewardTrainer takes RewardSTDP)")
        self.layer, self._rule = layer, rule
        self.classes = np.repeat(np.arange(classes), layer.per_class)
        self._grid: Grid | None = None
        if isinstance(layer, SpikingDecision):
            self._grid = grid(shape, layer.shape, (1, 1), layer.padding)  # type: ignore[arg-type]
        self._packed = pack(weights) if self._grid is not None else _pack_dense(weights)
        self._factors = (1.0, 1.0)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights, as they were given."""
        if self._grid is not None:
            return unpack(self._packed, len(self.classes))
        return self._packed[:, : len(self.classes)].T.astype(np.float64)

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, batch by batch."""
        rng = np.random.default_rng([self.seed, self.epochs_done, 1])
        order = _order(self.seed, self.epochs_done, len(waves))
        parts, sizes = [], []
        for first in range(0, len(order), self._rule.batch):
            batch = order[first : first + self._rule.batch]
            allowed = np.ones((len(batch), len(self.classes)), np.uint8)
            if self._rule.dropout:
                allowed = (rng.random(allowed.shape) >= self._rule.dropout).astype(np.uint8)
            votes = self._teach(waves, labels, batch, allowed)
            parts.append(_counted(votes, labels[batch]))
            sizes.append(len(batch))
            if self._rule.adaptive:
                self._factors = (parts[-1].wrong, parts[-1].right)
        self.epochs_done += 1
        self.history.append(_pooled(parts, sizes))
        return self.history[-1]

    def _teach(
        self,
        waves: Waves,
        labels: NDArray[np.int64],
        batch: NDArray[np.int64],
        allowed: NDArray[np.uint8],
    ) -> NDArray[np.int64]:
        rule = self._rule
        rewards = tuple(self._factors[0] * rate for rate in rule.reward)
        punishments = tuple(self._factors[1] * rate for rate in rule.punishment)
        spikes = (waves.start, waves.unit, waves.step)
        common = (
            spikes, batch, labels, self.classes, self._packed, allowed, rewards, punishments,
            (rule.w_min, rule.w_max), rule.stabiliser,
        )  # fmt: skip
        if self._grid is not None:
            return np.asarray(reward.teach(*common, self._grid))
        return np.asarray(dense.teach_rewarded(*common))

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where no potential is above 0."""
        if self._grid is not None:
            return np.asarray(reward.vote(waves, self.classes, self._packed, self._grid))
        scores = dense.score(waves, self._packed, len(self.classes))
        return np.where(scores.max(axis=1) > 0, self.classes[scores.argmax(axis=1)], -1)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {**self._state(self._packed), "factors": np.array(self._factors)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it belongs to another layer."""
        self._packed = self._restored(state, self._packed)
        self._factors = (float(state["factors"][0]), float(state["factors"][1]))


class PairedTrainer(_Base):
    """Teach a fully connected layer by the paired rule; arguments as for `RewardTrainer`."""

    def __init__(
        self, layer: DenseDecision, shape: Shape, classes: int, weights: NDArray[Any], seed: int
    ) -> None:
        super().__init__(seed)
        rule = layer.rule
        if not isinstance(rule, PairedRule):
            raise UsageError(f"rule: {type(rule).__name__} (PairedTrainer takes PairedRule)")
        self.layer, self._rule = layer, rule
        self.classes = np.repeat(np.arange(classes), layer.per_class)
        self._packed = _pack_dense(weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights (neurons, inputs)."""
        return self._packed[:, : len(self.classes)].T.astype(np.float64)

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once."""
        rule = self._rule
        rate = rule.rate * rule.decay**self.epochs_done
        right = dense.teach_pairs(
            (waves.start, waves.unit, waves.step),
            _order(self.seed, self.epochs_done, len(waves)),
            labels, self.classes, self._packed, np.float32(rate), np.float32(rule.margin),
            np.float32(rule.w_min), np.float32(rule.w_max),
        )  # fmt: skip
        self.epochs_done += 1
        self.history.append(Epoch(right / len(waves), 1 - right / len(waves), 0.0))
        return self.history[-1]

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return the class of the neuron with the highest potential."""
        scores = dense.score(waves, self._packed, len(self.classes))
        return self.classes[scores.argmax(axis=1)]

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return self._state(self._packed)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it belongs to another layer."""
        self._packed = self._restored(state, self._packed)


def _pack_dense(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Return weights (neurons, inputs) as (inputs, padded neurons)."""
    neurons = len(weights)
    packed = np.zeros((weights.shape[1], -(-neurons // LANES) * LANES), np.float32)
    packed[:, :neurons] = weights.T
    return packed


def decision_weights(
    layer: SpikingDecision | DenseDecision,
    shape: Shape,
    classes: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw the weights that a decision layer starts from."""
    neurons = classes * layer.per_class
    rule = layer.rule
    wanted: tuple[int, ...] = (neurons, shape[0] * shape[1] * shape[2])
    if isinstance(layer, SpikingDecision):
        wanted = (neurons, shape[2], *layer.shape)  # type: ignore[misc]
    # Not clipped: equal weights at a bound would leave the first winners to the order of the maps.
    return rng.normal(rule.w_init_mean, rule.w_init_sd, wanted)


_TRAINERS: dict[tuple[type, type], Callable[..., Trainer]] = {
    (SpikingDecision, RewardSTDP): RewardTrainer,
    (DenseDecision, RewardSTDP): RewardTrainer,
    (DenseDecision, PairedRule): PairedTrainer,
}


def decision_trainer(
    layer: SpikingDecision | DenseDecision,
    shape: Shape,
    classes: int,
    weights: NDArray[Any],
    seed: int,
) -> Trainer:
    """Return the trainer of a decision layer; UsageError for a rule that it cannot learn by."""
    kind = (type(layer), type(layer.rule))
    if kind not in _TRAINERS:
        valid = ", ".join(rule.__name__ for place, rule in _TRAINERS if place is type(layer))
        raise UsageError(f"{kind[0].__name__}.rule: {kind[1].__name__} (must be one of {valid})")
    return _TRAINERS[kind](layer, shape, classes, weights, seed)
