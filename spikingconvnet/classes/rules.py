"""Learning rules of single-spike layers, which run in the host engine.

A weight w in [w_min, w_max] changes when its neuron wins the competition of an image (see
`single_spike.Competition`). None of these rules has a counterpart in stock sPyNNaker: all neurons
of a map share their weights, and inputs that stay silent are depressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import as_int
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.errors import ModelError


def check_choice(owner: str, name: str, value: Any, valid: Sequence[str]) -> None:
    """Raise ModelError unless `value` is one of `valid`."""
    if value not in valid:
        raise ModelError(f"{owner}.{name}: {value!r} (must be one of {', '.join(valid)})")


def _check_pairs(owner: str, **pairs: Any) -> None:
    """Raise ModelError unless every value is two finite numbers."""
    for name, pair in pairs.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ModelError(f"{owner}.{name}: {pair!r} (must be two numbers)")
        for index, value in enumerate(pair):
            check_number(owner, f"{name}[{index}]", value)


def _check_numbers(rule: Any, *names: str, **limits: float) -> None:
    """Raise ModelError unless these settings of a rule are finite numbers within the limits."""
    for name in names:
        check_number(type(rule).__name__, name, getattr(rule, name), **limits)


def _check_weights(rule: Any) -> None:
    """Raise ModelError unless the bounds of a rule's weights and their first values make sense."""
    _check_numbers(rule, "w_init_sd", least=0)
    _check_numbers(rule, "w_min", "w_max", "w_init_mean")
    if not rule.w_max > rule.w_min:
        owner = type(rule).__name__
        raise ModelError(f"{owner}.w_max: {rule.w_max} (must be above w_min {rule.w_min})")


@dataclass(frozen=True)
class _SharedRule:
    """Hold what every rule of shared kernels has.

    rate: of potentiation, doubled after every `double_every` images or updates (`double_per`; 0:
    never) up to `top_rate`. update: when weights change, at the "step" of the
    win or after the "image". Initial weights: normal, clipped into [w_min, w_max].
    """

    rate: float = 0.004
    double_every: int = 500
    double_per: Literal["images", "updates"] = "images"
    top_rate: float = 0.15
    update: Literal["image", "step"] = "image"
    w_min: float = 0.0
    w_max: float = 1.0
    w_init_mean: float = 0.8
    w_init_sd: float = 0.05

    def __post_init__(self) -> None:
        """Check every value."""
        owner = type(self).__name__
        _check_numbers(self, "rate", "top_rate", above=0)
        as_int(self.double_every, f"{owner}.double_every", 0)
        check_choice(owner, "double_per", self.double_per, ("images", "updates"))
        check_choice(owner, "update", self.update, ("image", "step"))
        _check_weights(self)

    def initial_weights(
        self, shape: Sequence[int], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw starting weights of `shape`, clipped into [w_min, w_max]."""
        drawn = rng.normal(self.w_init_mean, self.w_init_sd, tuple(shape))
        return np.clip(drawn, self.w_min, self.w_max)

    def rates(self, images: int) -> NDArray[np.float64]:
        """Return the rate of each of so many images, as far as it follows from their number."""
        if not self.double_every or self.double_per == "updates":
            return np.full(images, self.rate)
        # Beyond 1,000 doublings the power would overflow; any rate has long met its top before.
        doublings = np.minimum(np.arange(images) // self.double_every, 1000)
        return np.minimum(self.rate * 2.0**doublings, max(self.top_rate, self.rate))


@dataclass(frozen=True)
class OrderSTDP(_SharedRule):
    """Describe order-based STDP: what counts is whether an input fired, not how long before.

    ``dw = +rate * s`` for inputs that have fired at the winner's spike or before, ``dw = ratio *
    rate * s`` for the others, with ``s = (w - w_min) (w_max - w)``, or 1 when not `stabiliser`.
    Kheradpisheh et al., Neural Networks 99 (2018) 56-67, doi:10.1016/j.neunet.2017.12.005.
    """

    ratio: float = -0.75
    stabiliser: bool = True

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        check_number("OrderSTDP", "ratio", self.ratio)


@dataclass(frozen=True)
class VDSP(_SharedRule):
    """Describe voltage-dependent synaptic plasticity with soft bounds.

    ``dw = +rate * s`` for inputs that have fired, ``-rate * s * (f_dep - V / theta)`` for the
    others, ``s = (w - w_min) (w_max - w)``; V climbs linearly to the input's spike. `ramp` is the
    height of that climb as a share of theta: an input neuron's own threshold of 1 is a tenth of
    the 10 of the layer above. With `silent_ramp`, inputs that never fire climb too, towards step
    T + 1. Goupy et al., Neuromorphic Computing and Engineering 3 (2023) 014001,
    doi:10.1088/2634-4386/acad98.
    """

    rate: float = 0.01
    double_per: Literal["images", "updates"] = "updates"
    top_rate: float = 0.1
    update: Literal["image", "step"] = "step"
    f_dep: float = 2.0
    ramp: float = 0.1
    silent_ramp: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        _check_numbers(self, "f_dep", "ramp", least=0)


@dataclass(frozen=True)
class FerroelectricVDSP(_SharedRule):
    """Describe VDSP by the programming curves of a ferroelectric device.

    With ``x = V / theta`` of the input: ``v_p = x * scale_p * theta_p``, ``v_d = (v_ref - x) *
    scale_d * theta_d``; ``f_p = exp(-alpha_p (v_p - theta_p)) - 1`` below theta_p, else 0; ``f_d =
    exp(alpha_d (v_d - theta_d)) - 1`` above theta_d, else 0. ``dw = f_p (1 - w)^gamma_p`` for
    inputs that have fired, ``-f_d w^gamma_d`` for the others. The defaults are the constants
    fitted to 999 pulses on a device, as the public port of Goupy et al. (2023) has them.
    """

    update: Literal["image", "step"] = "step"
    double_every: int = 0
    gamma_p: float = 1.6222
    gamma_d: float = 1.7913
    theta_p: float = -0.5521
    theta_d: float = 0.4685
    alpha_p: float = 0.6681
    alpha_d: float = 0.3839
    scale_p: float = 1.0283
    scale_d: float = 1.30
    v_ref: float = 1.0
    ramp: float = 1.0
    silent_ramp: bool = True

    @property
    def device(self) -> tuple[float, ...]:
        """Return the constants in the order in which the engine takes them."""
        return (
            self.gamma_p, self.gamma_d, self.theta_p, self.theta_d, self.alpha_p, self.alpha_d,
            self.scale_p, self.scale_d, self.v_ref,
        )  # fmt: skip


@dataclass(frozen=True)
class RewardSTDP(_SharedRule):
    """Describe reward-modulated STDP of a decision layer: the winner's vote is right or wrong.

    Right: ``dw = reward[0]`` for inputs that fired before, ``reward[1]`` for the others; wrong:
    ``punishment[0]`` and ``punishment[1]``. All times ``s = (w - w_min) (w_max - w)`` with
    `stabiliser`. With `adaptive`, after each batch of `batch` images rewards are multiplied by its
    share of wrong answers and punishments by its share of right ones; all rates by `decay` after
    each epoch. `dropout`: share of the neurons that may not win, drawn anew for each image in
    training. Mozafari et al., Pattern Recognition 94 (2019) 87-95,
    doi:10.1016/j.patcog.2019.05.015.
    """

    reward: tuple[float, float] = (0.004, -0.003)
    punishment: tuple[float, float] = (-0.004, 0.0005)
    adaptive: bool = True
    batch: int = 1000
    stabiliser: bool = False
    dropout: float = 0.0
    decay: float = 1.0
    w_min: float = 0.2
    w_max: float = 0.8

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        as_int(self.batch, "RewardSTDP.batch")
        _check_pairs("RewardSTDP", reward=self.reward, punishment=self.punishment)
        check_number("RewardSTDP", "decay", self.decay, above=0)
        if not 0 <= self.dropout < 1:
            raise ModelError(f"RewardSTDP.dropout: {self.dropout} (must lie in 0..1, 1 excluded)")


@dataclass(frozen=True)
class HitMissSTDP:
    """Describe reward-modulated STDP whose rates follow the share of recent hits.

    The neuron with the highest potential answers; its answer enters a ring of the last `ring` ones
    (at the start `hit_ratio` of them hits, the oldest), then its weights change by ``dw = (misses /
    ring) reward[0] s`` for inputs that fired and ``(misses / ring) reward[1] s`` for silent ones
    after a hit, ``(hits / ring) punishment[0] s`` and ``(hits / ring) punishment[1] s`` after a
    miss; ``s = (w - w_min) (w_max - w)``; last by ``dw = -decay w``. From the public program s-cnn
    (2024), as far as its behaviour is known, but for the punishment: its own, (-0.0005, 0.004),
    lifts the silent inputs of whoever errs so that one neuron ends by answering everything (10 % on
    the 8 x 8 digits, 93 % with the default). Rates that follow the performance: Mozafari et al.,
    IEEE Transactions on Neural Networks and Learning Systems 29 (2018) 6178-6190,
    doi:10.1109/TNNLS.2018.2826721.
    """

    reward: tuple[float, float] = (0.004, -0.003)
    punishment: tuple[float, float] = (-0.004, 0.0005)
    ring: int = 100
    hit_ratio: float = 0.9
    decay: float = 0.0
    w_min: float = 0.0
    w_max: float = 1.0
    w_init_mean: float = 0.8
    w_init_sd: float = 0.02

    def __post_init__(self) -> None:
        """Check every value."""
        _check_pairs("HitMissSTDP", reward=self.reward, punishment=self.punishment)
        as_int(self.ring, "HitMissSTDP.ring")
        check_number("HitMissSTDP", "decay", self.decay, least=0)
        if not 0 <= self.hit_ratio <= 1:
            raise ModelError(f"HitMissSTDP.hit_ratio: {self.hit_ratio} (must lie in 0..1)")
        _check_weights(self)


@dataclass(frozen=True)
class PairedRule:
    """Describe the supervised paired rule: a teacher sets the right neuron against its best rival.

    Where the best neuron of the right class does not lead the best of the others by `margin`, the
    weights of active inputs grow by rate on the first and shrink by rate on the second, within
    [w_min, w_max]. The rate is multiplied by `decay` after each epoch. Uses the label of every
    image: supervised and local, not reward-modulated.
    """

    rate: float = 0.005
    decay: float = 0.8
    margin: float = 10.0
    w_min: float = 0.0
    w_max: float = 1.0
    w_init_mean: float = 0.5
    w_init_sd: float = 0.05

    def __post_init__(self) -> None:
        """Check every value."""
        _check_numbers(self, "rate", "decay", above=0)
        check_number("PairedRule", "margin", self.margin, least=0)
        _check_weights(self)


@dataclass(frozen=True)
class S2STDP:
    """Describe the supervised rule of a paired competing neurons layer on spike latencies.

    Inputs are normalised latencies x in [0, 1] (1: silent); a neuron's latency is ``1 - V / max V``
    with ``V = (1 - x) W``. Of each class the mean of its `fastest` earliest neurons is its latency;
    targets are the mean over classes minus `gap` for the right class and plus `gap` for the others.
    The error times (1 - x) changes the weights of these neurons: growing ones by ``rate (w_max -
    w)``, shrinking ones by ``rate_minus (w - w_min)``. Rates halve every `halve_every` epochs.
    Goupy et al., Frontiers in Neuroscience 18 (2024) 1401690, doi:10.3389/fnins.2024.1401690.
    """

    rate: float = 0.01
    rate_minus: float = 0.002
    gap: float = 0.1
    fastest: int = 10
    halve_every: int = 100
    w_min: float = 0.0
    w_max: float = 1.0
    w_init_mean: float = 0.8
    w_init_sd: float = 0.1

    def __post_init__(self) -> None:
        """Check every value."""
        _check_numbers(self, "rate", "rate_minus", above=0)
        for name in ("fastest", "halve_every"):
            as_int(getattr(self, name), f"S2STDP.{name}")
        _check_weights(self)
