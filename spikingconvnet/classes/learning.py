"""Learning rules as records, and the table of the 2018 program."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import plasticity
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.errors import ModelError


@dataclass(frozen=True)
class PairSTDP:
    """Describe pair-based STDP, and the Gaussian the weights start from.

    With dt = t_post - t_pre: ``dw = +A_plus exp(-dt / tau_plus)`` for dt > 0 and
    ``-A_minus exp(dt / tau_minus)`` for dt < 0 ("additive": A in nA, as sPyNNaker 7.4.1 takes it;
    "multiplicative": times ``w_max - w``, or ``w - w_min``). tau_* in ms, w_* in nA.
    pairing: "all" pairs of spikes, or the "nearest" ones. Initial weights: normal with mean
    w_init_mean and deviation w_init_sd, clipped into [w_min, w_max].
    """

    tau_plus: float = 7.0
    tau_minus: float = 7.0
    A_plus: float = 0.020
    A_minus: float = 0.020
    w_min: float = 0.0
    w_max: float = 1.0
    dependence: Literal["additive", "multiplicative"] = "additive"
    pairing: Literal["all", "nearest"] = "all"
    w_init_mean: float = 0.30
    w_init_sd: float = 0.04

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("tau_plus", "tau_minus"):
            check_number("PairSTDP", name, getattr(self, name), above=0)
        for name in ("A_plus", "A_minus", "w_min", "w_init_sd"):
            check_number("PairSTDP", name, getattr(self, name), least=0)
        for name in ("w_max", "w_init_mean"):
            check_number("PairSTDP", name, getattr(self, name))
        if not self.w_max > self.w_min:
            raise ModelError(f"PairSTDP.w_max: {self.w_max} (must be above w_min {self.w_min})")
        if not self.w_min <= self.w_init_mean <= self.w_max:
            raise ModelError(
                f"PairSTDP.w_init_mean: {self.w_init_mean} "
                f"(must lie in w_min..w_max, {self.w_min}..{self.w_max})"
            )
        for name, valid in (
            ("dependence", plasticity.DEPENDENCES),
            ("pairing", plasticity.PAIRINGS),
        ):
            if getattr(self, name) not in valid:
                raise ModelError(
                    f"PairSTDP.{name}: {getattr(self, name)!r} (must be one of {', '.join(valid)})"
                )

    def initial_weights(
        self, shape: Sequence[int], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw starting weights of `shape`, nA, clipped into [w_min, w_max]."""
        drawn = rng.normal(self.w_init_mean, self.w_init_sd, tuple(shape))
        return np.clip(drawn, self.w_min, self.w_max)

    def reference(
        self,
        pre: SpikeTrains,
        post: SpikeTrains,
        weights: NDArray[np.float64],
        delay: float = 1.0,
        flush: bool = False,
    ) -> NDArray[np.float64]:
        """Return the weights (pre, post) that these spikes make, in floating point."""
        return plasticity.pair_stdp_matrix(
            pre,
            post,
            weights,
            tau_plus=self.tau_plus,
            tau_minus=self.tau_minus,
            a_plus=self.A_plus,
            a_minus=self.A_minus,
            w_min=self.w_min,
            w_max=self.w_max,
            dependence=self.dependence,
            pairing=self.pairing,
            delay=delay,
            flush=flush,
        )


# Source: the 2018 program's constants for layers 1 to 3.
STDP_2018 = MappingProxyType(
    {
        1: PairSTDP(),
        2: PairSTDP(A_minus=0.015, w_init_mean=0.50, w_init_sd=0.05),
        3: PairSTDP(A_plus=0.060, A_minus=0.090, w_max=2.5, w_init_mean=0.50, w_init_sd=0.05),
    }
)
