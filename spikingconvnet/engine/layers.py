"""Train and run the single-spike layers of a model with the compiled functions."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.rules import VDSP, FerroelectricVDSP, OrderSTDP
from spikingconvnet.classes.single_spike import Branches, Competition, SpikingConv
from spikingconvnet.engine import board_semantics, contest, inference, training
from spikingconvnet.engine.geometry import check_weights, conv_grid, pack, pool_grid, unpack
from spikingconvnet.engine.merge import beside, merge_units, pick_channels
from spikingconvnet.errors import DataError, UsageError

_NO_DEVICE = (0.0,) * 9


def compiled_rule(rule: Any) -> training.Rule:
    """Return a learning rule as the compiled functions take it."""
    common = {"low": rule.w_min, "high": rule.w_max}
    if isinstance(rule, OrderSTDP):
        return training.Rule(
            training.ORDER, **common, bounded=rule.stabiliser, ratio=rule.ratio, f_dep=0.0,
            ramp=0.0, silent=False, device=_NO_DEVICE,
        )  # fmt: skip
    if isinstance(rule, VDSP):
        return training.Rule(
            training.VOLTAGE, **common, bounded=True, ratio=0.0, f_dep=rule.f_dep, ramp=rule.ramp,
            silent=rule.silent_ramp, device=_NO_DEVICE,
        )  # fmt: skip
    if isinstance(rule, FerroelectricVDSP):
        return training.Rule(
            training.FERROELECTRIC, **common, bounded=False, ratio=0.0, f_dep=0.0, ramp=rule.ramp,
            silent=rule.silent_ramp, device=rule.device,
        )  # fmt: skip
    raise UsageError(
        f"rule: {type(rule).__name__} (the host engine trains a convolution by OrderSTDP, VDSP or "
        "FerroelectricVDSP)"
    )


def compiled_competition(chosen: Competition, rule: Any) -> contest.Competition:
    """Return who may learn, as the compiled functions take it."""
    return contest.Competition(
        chosen.winners, chosen.radius, chosen.per == "step", chosen.map_first, rule.update == "step"
    )


def seen_by(layer: SpikingConv, waves: Waves) -> Waves:
    """Return the waves of the channels that a layer sees."""
    return waves if layer.channels is None else pick_channels(waves, *layer.channels)


@dataclass(frozen=True)
class Progress:
    """Tell how far the training of a layer has come: images shown, updates, mean w (1 - w)."""

    shown: int
    updates: int
    convergence: float
    finished: bool


class ConvTrainer:
    """Train one convolution image by image; can be stopped, saved and resumed at any image.

    `waves` enter the layer; `order` (images,) int says which are shown, one after the other.
    `weights` (maps, channels, kh, kw) are those to start from. `state` and `restore` carry all
    that is needed to go on to the same final weights.
    """

    def __init__(
        self,
        layer: SpikingConv,
        waves: Waves,
        order: NDArray[np.int64],
        weights: NDArray[np.float64],
        check_every: int = 10,
    ) -> None:
        check_weights(weights, layer.weight_shape(waves.shape))
        self.layer, self._waves = layer, seen_by(layer, waves)
        self._order = np.ascontiguousarray(order, np.int64)
        self._check_every = check_every
        self._rates = layer.rule.rates(len(order))
        by_updates = layer.rule.double_per == "updates"
        every = layer.rule.double_every if by_updates else 0
        self._pace = np.array([0.0, 1.0, every, layer.rule.top_rate])
        self._packed = pack(weights)
        self.shown = 0
        self.trace: list[float] = []

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return the present weights (maps, channels, kh, kw)."""
        return unpack(self._packed, self.layer.maps)

    def run(self, images: int | None = None) -> Progress:
        """Show up to so many images more (None: all that are left)."""
        left = self._order[self.shown :] if images is None else self._order[self.shown :][:images]
        rates = self._rates[self.shown : self.shown + len(left)]
        waves, layer = self._waves, self.layer
        shown, trace = training.train(
            (waves.start, waves.unit, waves.step), waves.steps, left, rates, self._pace,
            self._packed, layer.maps, np.float32(layer.threshold),
            conv_grid(layer, waves.shape, cropped=False),
            compiled_competition(layer.competition, layer.rule), compiled_rule(layer.rule),
            layer.stop, self._check_every,
        )  # fmt: skip
        self.shown += int(shown)
        self.trace += trace.tolist()
        return self.progress

    @property
    def progress(self) -> Progress:
        """Return how far training has come."""
        last = self.trace[-1] if self.trace else float("nan")
        ended = self.shown == len(self._order) or last < self.layer.stop
        return Progress(self.shown, int(self._pace[0]), last, ended)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what `restore` takes."""
        return {
            "weights": self._packed.copy(),
            "pace": self._pace.copy(),
            "shown": np.int64(self.shown),
            "trace": np.array(self.trace),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from a saved state. Raises DataError when it is damaged or another layer's."""
        missing = [name for name in self.state() if name not in state]
        if missing:
            raise DataError(f"checkpoint: without {', '.join(missing)}")
        if state["weights"].shape != self._packed.shape:
            raise DataError(
                f"checkpoint: weights of shape {state['weights'].shape} (the layer has "
                f"{self._packed.shape})"
            )
        if not np.isfinite(state["weights"]).all():
            raise DataError("checkpoint: weights are not all finite (NaN or infinity among them)")
        if state["pace"].shape != self._pace.shape or not np.isfinite(state["pace"]).all():
            raise DataError(f"checkpoint: pace {state['pace']} (must be 4 finite numbers)")
        if not 0 <= state["shown"] <= len(self._order):
            raise DataError(
                f"checkpoint: shown {state['shown']} (must be in 0..{len(self._order)})"
            )
        self._packed = np.ascontiguousarray(state["weights"], np.float32)
        self._pace = np.array(state["pace"], np.float64)
        self.shown = int(state["shown"])
        self.trace = [float(value) for value in state["trace"]]


def advance(layer: SpikingConv, waves: Waves, weights: NDArray[Any]) -> Waves:
    """Return the pooled spikes of a trained convolution."""
    return advance_counted(layer, waves, weights)[0]


def advance_counted(layer: SpikingConv, waves: Waves, weights: NDArray[Any]) -> tuple[Waves, int]:
    """Do as `advance`, and tell how many spikes there were before pooling."""
    check_weights(weights, layer.weight_shape(waves.shape))
    waves = seen_by(layer, waves)
    if layer.levels is not None:
        fired = board_semantics.convolved(layer, waves, weights)
        return board_semantics.pooled(layer, fired), len(fired.unit)
    return inference.transform(
        waves,
        pack(weights),
        layer.maps,
        layer.inference_threshold,
        conv_grid(layer, waves.shape),
        pool_grid(layer.pool, layer.conv_shape(waves.shape)),
        layer.inhibition,
    )


def advance_branches(stage: Branches, waves: Waves, weights: list[NDArray[Any]]) -> Waves:
    """Return the joined spikes of convolutions side by side, pooled."""
    return advance_branches_counted(stage, waves, weights)[0]


def advance_branches_counted(
    stage: Branches, waves: Waves, weights: list[NDArray[Any]]
) -> tuple[Waves, int]:
    """Do as `advance_branches`, and tell how many spikes there were before any pooling."""
    pairs = [
        advance_counted(layer, waves, kernels)
        for layer, kernels in zip(stage.layers, weights, strict=True)
    ]
    parts = [part for part, _ in pairs]
    if stage.merge == "beside":
        joined = beside(parts)
    else:
        joined = reduce(lambda one, other: merge_units(one, other, stage.merge), parts)
    if stage.pool is not None:
        joined = inference.pool_waves(joined, pool_grid(stage.pool, joined.shape))
    return joined, sum(fired for _, fired in pairs)
