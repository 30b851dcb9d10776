"""Encoders of single-spike layers: images become waves of at most `steps` steps."""

from dataclasses import dataclass
from typing import Literal

from spikingconvnet.algorithms.indexing import Pair, Shape, as_int
from spikingconvnet.algorithms.waves import MAX_STEPS
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.classes.rules import check_choice
from spikingconvnet.errors import ModelError


def _check_steps(owner: str, steps: int) -> None:
    if not 1 <= as_int(steps, f"{owner}.steps") <= MAX_STEPS:
        raise ModelError(f"{owner}.steps: {steps} (must be at most {MAX_STEPS})")


@dataclass(frozen=True)
class RankOrder:
    """Send each pixel above 0 once, the brighter the earlier, evenly spread over all steps.

    ``step = ceil(rank (steps - 1) / count)`` with ranks from 0 among the `count` pixels above 0;
    equal pixels keep their row-major order. As in the public code of Goupy et al. (2023).
    """

    steps: int = 15

    def __post_init__(self) -> None:
        """Check every value."""
        _check_steps("RankOrder", self.steps)

    def output_shape(self, image_shape: Pair) -> Shape:
        """Return (height, width, 1)."""
        return (*image_shape, 1)


@dataclass(frozen=True)
class TimeToFirstSpike:
    """Send each pixel I in 1..255 at ``step = floor((1 - I / 255) steps)``.

    With `repeat` it goes on to send at every later step, so that it drives the layer above by a
    growing step and not by a pulse, as the public port of Goupy et al. (2023) does.
    """

    steps: int = 15
    repeat: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        _check_steps("TimeToFirstSpike", self.steps)

    def output_shape(self, image_shape: Pair) -> Shape:
        """Return (height, width, 1)."""
        return (*image_shape, 1)


@dataclass(frozen=True)
class DoG:
    """Describe one difference of Gaussians: kernel side and sigmas, pixels."""

    size: int
    sigma_centre: float
    sigma_surround: float

    def __post_init__(self) -> None:
        """Check every value."""
        if as_int(self.size, "DoG.size") % 2 == 0:
            raise ModelError(f"DoG.size: {self.size} (must be odd)")
        for name in ("sigma_centre", "sigma_surround"):
            check_number("DoG", name, getattr(self, name), above=0)


# Sizes and sigmas of Mozafari et al. (2019): on- and off-centre cells of three scales.
SIX_DOGS = tuple(
    DoG(size, *pair)
    for size, narrow in ((3, 3 / 9), (7, 7 / 9), (13, 13 / 9))
    for pair in ((narrow, 2 * narrow), (2 * narrow, narrow))
)
# On- and off-centre cells of Kheradpisheh et al. (2018).
TWO_DOGS = (DoG(7, 1.0, 2.0), DoG(7, 2.0, 1.0))


@dataclass(frozen=True)
class FilterBank:
    """Filter by differences of Gaussians, drop weak responses, send strong ones early.

    Images 0..255 lose their first `crop` rows and columns, are padded by zeros and correlated with
    each filter (one channel each). kernel: "zero-mean" (less its mean, then over its maximum) or
    "plain" (``G(centre) - G(surround)``, unit volume). Responses below `threshold` (or at it, when
    `strict`) are dropped. normalise_radius r: the others are divided by the mean of responses
    within r rows and columns (0: not). Those left are ranked, all channels together when `joint`,
    and split into `steps` bins of ``floor(count / steps)``; what is left over is dropped. Not
    joint: each channel into bins ``floor(rank steps / count)``.
    """

    filters: tuple[DoG, ...] = SIX_DOGS
    threshold: float = 50.0
    normalise_radius: int = 8
    steps: int = 15
    kernel: Literal["zero-mean", "plain"] = "zero-mean"
    joint: bool = True
    strict: bool = False
    crop: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        _check_steps("FilterBank", self.steps)
        check_number("FilterBank", "threshold", self.threshold, least=0)
        check_choice("FilterBank", "kernel", self.kernel, ("zero-mean", "plain"))
        as_int(self.normalise_radius, "FilterBank.normalise_radius", 0)
        as_int(self.crop, "FilterBank.crop", 0)
        if not self.filters or not all(isinstance(item, DoG) for item in self.filters):
            raise ModelError(f"FilterBank.filters: {self.filters!r} (must be one DoG or more)")

    def output_shape(self, image_shape: Pair) -> Shape:
        """Return (height, width, filters)."""
        height, width = image_shape
        if min(height, width) <= self.crop:
            raise ModelError(f"FilterBank.crop: {self.crop} (leaves nothing of {height}x{width})")
        return height - self.crop, width - self.crop, len(self.filters)


@dataclass(frozen=True)
class SideBySide:
    """Encode by several encoders of equally many steps; their channels stand beside each other."""

    encoders: tuple[RankOrder | TimeToFirstSpike | FilterBank, ...]

    def __post_init__(self) -> None:
        """Check every value."""
        counts = [encoder.steps for encoder in self.encoders]
        if len(set(counts)) != 1:
            raise ModelError(f"SideBySide.encoders: of {counts} steps (must be one or more, equal)")

    @property
    def steps(self) -> int:
        """Return the number of steps in a wave."""
        return self.encoders[0].steps

    def output_shape(self, image_shape: Pair) -> Shape:
        """Return (height, width, all channels); ModelError when sizes differ."""
        shapes = [encoder.output_shape(image_shape) for encoder in self.encoders]
        if len({shape[:2] for shape in shapes}) != 1:
            raise ModelError(f"SideBySide.encoders: send {shapes} (must be of the same size)")
        return (*shapes[0][:2], sum(shape[2] for shape in shapes))
