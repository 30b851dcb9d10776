"""How far two runs of the same layer differ: one computed, one seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.errors import DataError


@dataclass(frozen=True, eq=False)
class Drift:
    """Hold how the spikes of a layer differ over n images.

    expected, seen (n,): spikes of an image; differing (n,): spikes that only one of the two has;
    first: (step, image) of the earliest difference, None without one.
    """

    expected: NDArray[np.int64]
    seen: NDArray[np.int64]
    differing: NDArray[np.int64]
    first: tuple[int, int] | None

    @property
    def equal(self) -> bool:
        """Tell whether all spikes are the same."""
        return not self.differing.any()


def drift(expected: Waves, seen: Waves) -> Drift:
    """Compare spikes one by one: image, unit and step. DataError for waves of different layers."""
    if (expected.shape, expected.steps, len(expected)) != (seen.shape, seen.steps, len(seen)):
        raise DataError(
            f"drift: {len(seen)} images of {seen.shape}, {seen.steps} steps, beside "
            f"{len(expected)} of {expected.shape}, {expected.steps} steps"
        )
    apart = np.setxor1d(_codes(expected), _codes(seen))
    image, rest = np.divmod(apart, expected.steps * expected.units)
    step = rest // expected.units
    earliest = int(np.lexsort((image, step))[0]) if len(apart) else None
    return Drift(
        np.diff(expected.start),
        np.diff(seen.start),
        np.bincount(image, minlength=len(expected)).astype(np.int64),
        None if earliest is None else (int(step[earliest]), int(image[earliest])),
    )


def _codes(waves: Waves) -> NDArray[Any]:
    """Return one number for each spike; a unit that fires twice in a step counts once."""
    image = np.repeat(np.arange(len(waves)), np.diff(waves.start))
    return (image * waves.steps + waves.step) * waves.units + waves.unit
