"""Train and ask decision layers: neurons or maps that vote for a class, taught by local rules."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.rules import S2STDP, HitMissSTDP, PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import DenseDecision, MajorityVote, SpikingDecision
from spikingconvnet.engine import dense, hit_miss, pcn, reward
from spikingconvnet.engine.geometry import Grid, check_weights, grid, pack
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
    measure: ClassVar[str]

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, in an order of its own."""

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where nobody answers."""

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return what speaks for each class (images, classes), called `measure`."""

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
class BaseTrainer:
    """Hold what the trainers share."""

    seed: int
    epochs_done: int = 0
    history: list[Epoch] = field(default_factory=list)
    measure: ClassVar[str] = "highest potential"

    def _restored(self, state: dict[str, Any], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        missing = [name for name in self._state(weights) if name not in state]
        if missing:
            raise DataError(f"checkpoint: without {', '.join(missing)}")
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

    def in_batches(
        self,
        show: Callable[[NDArray[np.int64], np.random.Generator], NDArray[np.int64]],
        labels: NDArray[np.int64],
        size: int,
    ) -> Epoch:
        """Show all images once, `size` together; `show` takes some and returns their votes."""
        rng = np.random.default_rng([self.seed, self.epochs_done, 1])
        order = _order(self.seed, self.epochs_done, len(labels))
        batches = [order[first : first + size] for first in range(0, len(order), size)]
        parts = []
        for batch in batches:
            parts.append(_counted(show(batch, rng), labels[batch]))
            self.adapt(parts[-1])
        self.epochs_done += 1
        self.history.append(_pooled(parts, [len(batch) for batch in batches]))
        return self.history[-1]

    def adapt(self, seen: Epoch) -> None:
        """Set the rates of the next batch by the answers to this one."""


class RewardTrainer(BaseTrainer):
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
        self._grid, self._packed = windows_of(layer, shape, np.asarray(weights))
        self._factors = (1.0, 1.0)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights, as they were given."""
        if isinstance(self.layer, SpikingDecision):
            return np.moveaxis(self._packed, 3, 1).astype(np.float64)
        return self._packed.reshape(len(self.classes), -1).astype(np.float64)

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, batch by batch."""
        return self.in_batches(
            lambda batch, rng: self.show(waves, labels, batch, rng), labels, self._rule.batch
        )

    def show(
        self,
        waves: Waves,
        labels: NDArray[np.int64],
        batch: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Teach a batch of images; return the votes on them, -1 for silence."""
        allowed = np.ones((len(batch), len(self.classes)), np.uint8)
        if self._rule.dropout:
            allowed = (rng.random(allowed.shape) >= self._rule.dropout).astype(np.uint8)
        return self._teach(waves, labels, batch, allowed)

    def adapt(self, seen: Epoch) -> None:
        """Set the rates of the next batch by the answers to this one."""
        if self._rule.adaptive:
            self._factors = (seen.wrong, seen.right)

    def changes(self, rule: RewardSTDP) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return what reward and punishment change a weight by now: (fired, silent inputs)."""
        right, wrong = self._factors if rule.adaptive else (1.0, 1.0)
        right, wrong = (factor * rule.decay**self.epochs_done for factor in (right, wrong))
        return (
            (right * rule.reward[0], right * rule.reward[1]),
            (wrong * rule.punishment[0], wrong * rule.punishment[1]),
        )

    def _teach(
        self,
        waves: Waves,
        labels: NDArray[np.int64],
        batch: NDArray[np.int64],
        allowed: NDArray[np.uint8],
    ) -> NDArray[np.int64]:
        rule = self._rule
        rewards, punishments = self.changes(rule)
        return reward.teach(
            waves, batch, labels, self.classes, self._packed, allowed, rewards, punishments,
            (rule.w_min, rule.w_max), rule.stabiliser, self._grid,
        )  # fmt: skip

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where no potential is above 0."""
        return reward.vote(waves, self.classes, self._packed, self._grid)

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return the highest potential (images, classes) of the maps of each class."""
        return _best_of_class(reward.scores(waves, self._packed, self._grid), self.classes)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {**self._state(self._packed), "factors": np.array(self._factors)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it is damaged or another layer's."""
        factors = np.asarray(state.get("factors", ()))
        if factors.shape != (2,) or not np.isfinite(factors).all():
            raise DataError(f"checkpoint: factors {factors} (must be two finite numbers)")
        self._packed = self._restored(state, self._packed)
        self._factors = (float(factors[0]), float(factors[1]))


class _DenseTrainer(BaseTrainer):
    """Hold what the trainers of fully connected layers share; arguments as for `RewardTrainer`."""

    rule_type: ClassVar[type]

    def __init__(
        self, layer: DenseDecision, shape: Shape, classes: int, weights: NDArray[Any], seed: int
    ) -> None:
        super().__init__(seed)
        if not isinstance(layer.rule, self.rule_type):
            raise UsageError(
                f"rule: {type(layer.rule).__name__} ({type(self).__name__} takes "
                f"{self.rule_type.__name__})"
            )
        self.layer = layer
        self._rule: Any = layer.rule
        self.classes = np.repeat(np.arange(classes), layer.per_class)
        self._packed = pack(weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights (neurons, inputs)."""
        return self._packed[:, : len(self.classes)].T.astype(np.float64)

    def _done(self, epoch: Epoch) -> Epoch:
        self.epochs_done += 1
        self.history.append(epoch)
        return epoch

    def potentials(self, waves: Waves) -> NDArray[np.float32]:
        """Return the potentials (images, neurons) after the last step."""
        return np.asarray(dense.score(waves, self._packed, len(self.classes)))

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return the class of the neuron with the highest potential, -1 where none is above 0."""
        scores = self.potentials(waves)
        return np.where(scores.max(axis=1) > 0, self.classes[scores.argmax(axis=1)], -1)

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return the highest potential (images, classes) of the neurons of each class."""
        return _best_of_class(self.potentials(waves), self.classes)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return self._state(self._packed)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it is damaged or another layer's."""
        self._packed = self._restored(state, self._packed)


class PairedTrainer(_DenseTrainer):
    """Teach a fully connected layer by the paired rule."""

    rule_type = PairedRule

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
        return self._done(Epoch(right / len(waves), 1 - right / len(waves), 0.0))

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return the class of the neuron with the highest potential."""
        return self.classes[self.potentials(waves).argmax(axis=1)]

    def potentials(self, waves: Waves) -> NDArray[np.float32]:
        """Return the potentials (images, neurons) after the last step; with levels, in these."""
        levels = self.layer.levels
        if levels is None:
            return super().potentials(waves)
        whole = board_layers.counts(self.weights, self._rule.w_max, levels)
        return np.asarray(dense.score(waves, pack(whole), len(self.classes)))


class HitMissTrainer(_DenseTrainer):
    """Teach a fully connected layer by rewards that follow its recent hits."""

    rule_type = HitMissSTDP

    def __init__(
        self, layer: DenseDecision, shape: Shape, classes: int, weights: NDArray[Any], seed: int
    ) -> None:
        super().__init__(layer, shape, classes, weights, seed)
        ring = self._rule.ring
        self._ring = (np.arange(ring) < round(self._rule.hit_ratio * ring)).astype(np.uint8)
        self._answered = 0

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once."""
        rule = self._rule
        order = _order(self.seed, self.epochs_done, len(waves))
        votes = hit_miss.teach(
            (waves.start, waves.unit, waves.step), order, labels, self.classes, self._packed,
            self._ring, self._answered, tuple(map(float, rule.reward)),
            tuple(map(float, rule.punishment)), float(rule.decay),
            (float(rule.w_min), float(rule.w_max)),
        )  # fmt: skip
        self._answered += int(np.sum(votes >= 0))
        return self._done(_counted(votes, labels[order]))

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            **super().state(),
            "ring": self._ring.copy(),
            "answered": np.int64(self._answered),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it is damaged or another layer's."""
        ring, answered = np.asarray(state.get("ring", ())), int(state.get("answered", -1))
        if ring.shape != self._ring.shape or not np.isin(ring, (0, 1)).all() or answered < 0:
            raise DataError(
                f"checkpoint: ring of {ring.size} answers, {answered} given (the layer has a ring "
                f"of {self._ring.size}, each 0 or 1)"
            )
        super().restore(state)
        self._ring, self._answered = ring.astype(np.uint8), answered


class LatencyTrainer(_DenseTrainer):
    """Teach a fully connected layer of paired competing neurons on spike latencies."""

    rule_type = S2STDP
    measure = "time left after the latency, as a share"

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once."""
        rule = self._rule
        halved = 0.5 ** (self.epochs_done // rule.halve_every)
        order = _order(self.seed, self.epochs_done, len(waves))
        votes = pcn.teach(
            (waves.start, waves.unit, waves.step), waves.steps, order, labels, self.classes,
            self._packed, (halved * rule.rate, halved * rule.rate_minus), float(rule.gap),
            rule.fastest, (float(rule.w_min), float(rule.w_max)),
        )  # fmt: skip
        return self._done(_counted(votes, labels[order]))

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return the class whose earliest neurons are earliest on average, -1 for silence."""
        return np.asarray(pcn.vote(waves, self.classes, self._packed, self._rule.fastest)[0])

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return what is left of the time after the latency (images, classes) of each class."""
        return np.asarray(pcn.vote(waves, self.classes, self._packed, self._rule.fastest)[1])


def _best_of_class(potentials: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the highest potential of each class; its neurons stand side by side."""
    best = np.maximum.reduceat(potentials, np.flatnonzero(np.diff(classes, prepend=-1)), axis=1)
    return best.astype(np.float64)


def windows_of(
    layer: SpikingDecision | DenseDecision, shape: Shape, weights: NDArray[Any]
) -> tuple[Grid, NDArray[np.float32]]:
    """Return the windows of a layer and its kernels (maps, window height, window width, channels).

    A fully connected layer has one window, which is all of its input.
    """
    if isinstance(layer, SpikingDecision):
        windows = grid(shape, layer.shape, (1, 1), layer.padding)  # type: ignore[arg-type]
        return windows, np.ascontiguousarray(np.moveaxis(weights, 1, 3), np.float32)
    windows = grid(shape, shape[:2], (1, 1))
    return windows, np.ascontiguousarray(weights.reshape(len(weights), *shape), np.float32)


def decision_weights(
    layer: SpikingDecision | MajorityVote | DenseDecision,
    shape: Shape,
    classes: int,
    rng: np.random.Generator,
) -> Any:
    """Draw the weights that a decision layer starts from: an array, or one for each head."""
    if isinstance(layer, MajorityVote):
        return tuple(decision_weights(head, shape, classes, rng) for head in layer.heads)
    rule = layer.rule
    # Not clipped: equal weights at a bound would leave the first winners to the order of the maps.
    return rng.normal(rule.w_init_mean, rule.w_init_sd, _weight_shape(layer, shape, classes))


def _weight_shape(
    layer: SpikingDecision | DenseDecision, shape: Shape, classes: int
) -> tuple[int, ...]:
    """Return (maps, channels, kh, kw), or (neurons, inputs)."""
    neurons = classes * layer.per_class
    if isinstance(layer, SpikingDecision):
        return neurons, shape[2], *layer.shape  # type: ignore[misc]
    return neurons, shape[0] * shape[1] * shape[2]


_TRAINERS: dict[tuple[type, type], Callable[..., Trainer]] = {
    (SpikingDecision, RewardSTDP): RewardTrainer,
    (DenseDecision, RewardSTDP): RewardTrainer,
    (DenseDecision, HitMissSTDP): HitMissTrainer,
    (DenseDecision, PairedRule): PairedTrainer,
    (DenseDecision, S2STDP): LatencyTrainer,
}


def decision_trainer(
    layer: SpikingDecision | MajorityVote | DenseDecision,
    shape: Shape,
    classes: int,
    weights: Any,
    seed: int,
) -> Trainer:
    """Return the trainer of a decision layer; UsageError for a rule that it cannot learn by.

    Raises DataError for weights of another shape or that are not numbers.
    """
    if isinstance(layer, MajorityVote):
        from spikingconvnet.engine.ensembles import MajorityTrainer

        return MajorityTrainer(layer, shape, classes, weights, seed)
    kind = (type(layer), type(layer.rule))
    if kind not in _TRAINERS:
        valid = ", ".join(rule.__name__ for place, rule in _TRAINERS if place is type(layer))
        raise UsageError(f"{kind[0].__name__}.rule: {kind[1].__name__} (must be one of {valid})")
    check_weights(weights, _weight_shape(layer, shape, classes))
    return _TRAINERS[kind](layer, shape, classes, weights, seed)
