"""Train read-outs that are more than one layer: heads that vote, or a decision layer together with
the convolution below it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.rules import RewardSTDP
from spikingconvnet.classes.single_spike import MajorityVote, SpikingConv, SpikingDecision
from spikingconvnet.engine import decision, joint
from spikingconvnet.engine.decision import Epoch, RewardTrainer, windows_of
from spikingconvnet.engine.geometry import Grid, conv_grid, grid, pack, pool_grid, unpack
from spikingconvnet.engine.layers import advance, compiled_competition
from spikingconvnet.errors import DataError


def majority(votes: NDArray[np.int64], tie: int) -> NDArray[np.int64]:
    """Return the class with most votes (heads, images) of each image; -1 where all are silent (-1).

    Among classes with as many votes, that of head `tie` counts first, then those of the others in
    order.
    """
    counts = np.sum(votes[:, None, :] == votes[None, :, :], axis=0) * (votes >= 0)
    leading = counts == counts.max(axis=0)
    answer = np.full(votes.shape[1], -1, np.int64)
    for head in [*reversed(range(len(votes))), tie]:
        answer = np.where(leading[head], votes[head], answer)
    return answer


class MajorityTrainer(decision.BaseTrainer):
    """Teach decision layers side by side, each on its own vote; arguments as `RewardTrainer`.

    `weights`: those of all heads. The state's "weights" belong to head 0, "weights_n" to head n.
    """

    measure = "votes"

    def __init__(
        self,
        layer: MajorityVote,
        shape: Shape,
        classes: int,
        weights: tuple[NDArray[Any], ...],
        seed: int,
    ) -> None:
        super().__init__(seed)
        self.layer = layer
        self.heads = [
            RewardTrainer(head, shape, classes, kernels, seed)
            for head, kernels in zip(layer.heads, weights, strict=True)
        ]

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, batch by batch; rates follow the common answer."""

        def show(batch: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
            votes = [head.show(waves, labels, batch, rng) for head in self.heads]
            return majority(np.array(votes), self.layer.tie)

        return self.in_batches(show, labels, self.layer.rule.batch)

    def adapt(self, seen: Epoch) -> None:
        """Set the rates of the next batch by the common answers to this one."""
        for head in self.heads:
            head.adapt(seen)

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where all heads are silent."""
        return majority(np.array([head.predict(waves) for head in self.heads]), self.layer.tie)

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return the votes (images, classes) of the heads."""
        votes = np.array([head.predict(waves) for head in self.heads])
        classes = np.arange(self.heads[0].classes.max() + 1)
        return np.sum(votes[:, :, None] == classes, axis=0, dtype=np.float64)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        kernels = [head.state()["weights"] for head in self.heads]
        others = {f"weights_{n}": array for n, array in enumerate(kernels) if n}
        return {**self._state(kernels[0]), "factors": self.heads[0].state()["factors"], **others}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it belongs to another layer."""
        for number, head in enumerate(self.heads):
            name = f"weights_{number}" if number else "weights"
            head.restore({**state, "weights": state.get(name, ())})
        self.epochs_done, self.history = self.heads[0].epochs_done, list(self.heads[0].history)


class JointTrainer(RewardTrainer):
    """Teach a decision layer and the convolution below it by the same reward.

    `conv` takes waves of the shape `entering`, from `kernels` (maps, channels, kh, kw) on; these
    waves are what `run_epoch` and `predict` take. The other arguments are those of `RewardTrainer`.
    The state's "conv" holds the kernels of the convolution.
    """

    def __init__(
        self,
        layer: SpikingDecision,
        entering: Shape,
        classes: int,
        weights: NDArray[Any],
        seed: int,
        conv: SpikingConv,
        kernels: NDArray[Any],
    ) -> None:
        super().__init__(layer, conv.output_shape(entering), classes, weights, seed)
        self.conv, self._entering = conv, entering
        self._kernels = pack(kernels)
        self._turn = 0

    @property
    def kernels(self) -> NDArray[np.float64]:
        """Return the present kernels of the convolution (maps, channels, kh, kw)."""
        return unpack(self._kernels, self.conv.maps)

    def run_epoch(self, waves: Waves, labels: NDArray[np.int64]) -> Epoch:
        """Show all images once, batch by batch."""
        self._turn = self.epochs_done
        return super().run_epoch(waves, labels)

    def _teach(
        self,
        waves: Waves,
        labels: NDArray[np.int64],
        batch: NDArray[np.int64],
        allowed: NDArray[np.uint8],
    ) -> NDArray[np.int64]:
        layer, conv, rule = self.layer, self.conv, self.conv.reward
        assert isinstance(layer, SpikingDecision) and rule is not None
        below = not layer.alternate or self._turn % 2 == 0
        self._turn += 1
        windows = conv_grid(conv, self._entering)
        firing = joint.Firing(
            np.float32(conv.inference_threshold), np.float32(conv.threshold), conv.inhibition,
            pool_grid(conv.pool, conv.conv_shape(self._entering)),
            compiled_competition(conv.competition, conv.rule),
        )  # fmt: skip
        maps, packed = len(self.classes), pack(self.weights)
        shape = conv.output_shape(self._entering)
        above = grid(shape, layer.shape, (1, 1), layer.padding)  # type: ignore[arg-type]
        votes = joint.teach(
            (waves.start, waves.unit, waves.step), batch, labels, self.classes,
            self._learner(self._kernels, conv.maps, windows, rule, below), firing,
            self._learner(packed, maps, above, layer.rule, not (layer.alternate and below)),
            allowed,
        )  # fmt: skip
        self._grid, self._packed = windows_of(layer, shape, unpack(packed, maps))
        return np.asarray(votes)

    def _learner(
        self, weights: NDArray[np.float32], maps: int, windows: Grid, rule: RewardSTDP, active: bool
    ) -> joint.Learner:
        return joint.Learner(
            weights, maps, windows, rule.w_min, rule.w_max, rule.stabiliser, active,
            *self.changes(rule),
        )  # fmt: skip

    def predict(self, waves: Waves) -> NDArray[np.int64]:
        """Return a class for every image; -1 where no potential is above 0."""
        return super().predict(advance(self.conv, waves, self.kernels))

    def scores(self, waves: Waves) -> NDArray[np.float64]:
        """Return the highest potential (images, classes) of the maps of each class."""
        return super().scores(advance(self.conv, waves, self.kernels))

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {**super().state(), "conv": self.kernels}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state. Raises DataError when it belongs to another layer."""
        super().restore(state)
        kernels = np.asarray(state.get("conv", ()))
        wanted = self.conv.weight_shape(self._entering)
        if kernels.shape != wanted or not np.isfinite(kernels).all():
            raise DataError(
                f"checkpoint: kernels of shape {kernels.shape}, finite: "
                f"{np.isfinite(kernels).all()} (the convolution has {wanted})"
            )
        self._kernels = pack(kernels)
