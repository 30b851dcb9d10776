"""Encoders as records: one and the same record serves training windows and inference."""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms import encoders
from spikingconvnet.algorithms.indexing import as_int
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.errors import ModelError


@dataclass(frozen=True)
class DifferenceOfGaussians:
    """Describe the filter blur(sigma_centre) - blur(sigma_surround); sigmas in pixels.

    polarity: "on", "off" or "both" (which doubles the channels).
    """

    sigma_centre: float = 1.0
    sigma_surround: float = 2.0
    polarity: Literal["on", "off", "both"] = "both"

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("sigma_centre", "sigma_surround"):
            check_number("DifferenceOfGaussians", name, getattr(self, name), above=0)
        if self.polarity not in ("on", "off", "both"):
            raise ModelError(
                f'DifferenceOfGaussians.polarity: {self.polarity!r} (must be "on", "off" or "both")'
            )

    def channels(self, channels: int = 1) -> int:
        """Return how many channels images of `channels` channels have after the filter."""
        return channels * (2 if self.polarity == "both" else 1)

    def apply(self, images: NDArray[Any]) -> NDArray[np.uint8]:
        """Filter images (n, height, width[, channels]) -> uint8 (n, height, width, channels)."""
        return encoders.difference_of_gaussians(
            images, self.sigma_centre, self.sigma_surround, self.polarity
        )


# The 2018 filter, blur(1.1) - blur(1.0): positive where the surround is brighter than the centre.
DOG_2018 = DifferenceOfGaussians(1.1, 1.0, "on")


@dataclass(frozen=True)
class _Encoder:
    """Hold what every encoder has: the presentation's timing and the threshold."""

    interval_ms: int = encoders.INTERVAL_MS
    on_ms: int = encoders.ON_MS
    threshold: float = encoders.THRESHOLD
    offset_ms: int = 1

    def __post_init__(self) -> None:
        """Check every value."""
        owner = type(self).__name__
        for name, least in (("interval_ms", 1), ("on_ms", 1), ("offset_ms", 0)):
            as_int(getattr(self, name), f"{owner}.{name}", least)
        if self.on_ms + self.offset_ms > self.interval_ms:
            raise ModelError(
                f"{owner}.on_ms: {self.on_ms} (must be at most interval_ms - offset_ms, "
                f"{self.interval_ms - self.offset_ms})"
            )
        check_number(owner, "threshold", self.threshold, least=0)
        if self.threshold > 255:
            raise ModelError(f"{owner}.threshold: {self.threshold} (must be at most 255)")

    def _options(self) -> dict[str, Any]:
        """Return the fields that the function in `algorithms.encoders` takes."""
        names = [item.name for item in fields(self) if item.name != "legacy"]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class RateEncoder(_Encoder):
    """Describe the rate code: period ``255 / I * factor`` ms from a random phase, I >= threshold.

    legacy: the literal 2018 code, with its noise spike on every dark pixel and its bursts.
    """

    factor: float = encoders.FACTOR
    legacy: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        check_number("RateEncoder", "factor", self.factor, above=0)

    def encode(
        self,
        images: NDArray[Any],
        rng: np.random.Generator,
        window_sum: ArrayLike | None = None,
    ) -> SpikeTrains:
        """Encode images, or windows of them, one per interval.

        With window_sum (n,), the factor of image i comes from its sum and not from `factor`, as
        in training in 2018; inference cannot do the same, so the two codes then differ.
        """
        code = encoders.rate_2018 if self.legacy else encoders.rate
        return code(images, rng, window_sum=window_sum, **self._options())


@dataclass(frozen=True)
class RegularEncoder(_Encoder):
    """Describe the regular rate code: ``round(I / 255 * max_spikes)`` evenly spaced spikes."""

    max_spikes: int = encoders.MAX_SPIKES

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if as_int(self.max_spikes, "RegularEncoder.max_spikes") > self.on_ms:
            raise ModelError(
                f"RegularEncoder.max_spikes: {self.max_spikes} (must be at most on_ms {self.on_ms})"
            )

    def encode(self, images: NDArray[Any], rng: np.random.Generator) -> SpikeTrains:
        """Encode images, or windows of them, one per interval; `rng` is not used."""
        return encoders.regular(images, **self._options())


@dataclass(frozen=True)
class PoissonEncoder(_Encoder):
    """Describe the Poisson code: rate ``I / 255 * max_rate_hz``."""

    threshold: float = 0
    max_rate_hz: float = 100.0

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        check_number("PoissonEncoder", "max_rate_hz", self.max_rate_hz, above=0)
        if self.max_rate_hz > 1000:
            raise ModelError(
                f"PoissonEncoder.max_rate_hz: {self.max_rate_hz} (must be at most 1000)"
            )

    def encode(self, images: NDArray[Any], rng: np.random.Generator) -> SpikeTrains:
        """Encode images, or windows of them, one per interval."""
        return encoders.poisson(images, rng, **self._options())


@dataclass(frozen=True)
class LatencyEncoder(_Encoder):
    """Describe the time code: one spike at ``int((1 - I / 255) * (on_ms - 1))`` ms.

    Pixels below the threshold stay silent.
    """

    def encode(self, images: NDArray[Any], rng: np.random.Generator) -> SpikeTrains:
        """Encode images, or windows of them, one per interval; `rng` is not used."""
        return encoders.latency(images, **self._options())
