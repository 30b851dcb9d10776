"""Run the frozen layers of a model over a data set, a part of it at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair
from spikingconvnet.algorithms.waves import Waves, join_images
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import Branches, Stage
from spikingconvnet.engine.encode import encode
from spikingconvnet.engine.layers import advance_branches_counted, advance_counted

PART = 10_000
"""Images that are worked on together: what lies between layers is kept for these only."""


@dataclass(frozen=True, eq=False)
class Network:
    """Hold a model with the weights of its convolutions, those of one layer after the other.

    `weights[n - 1]` belongs to convolution n; those of the stages that run are enough.
    """

    model: HostModel
    image_shape: Pair
    weights: Sequence[NDArray[Any]]

    def stages(self, images: NDArray[np.uint8], upto: int | None = None) -> Iterator[Waves]:
        """Give the waves of images (n, height, width): encoded, then behind each stage."""
        for waves, _ in self._counted(images, upto):
            yield waves

    def _counted(self, images: NDArray[np.uint8], upto: int | None) -> Iterator[tuple[Waves, int]]:
        """Give the waves, and how many spikes a stage's convolutions sent before its pooling."""
        waves = encode(self.model.encoder, images)
        yield waves, 0
        number = 0
        for stage in self.model.layers[:upto]:
            if isinstance(stage, Branches):
                size = len(stage.layers)
                weights = list(self.weights[number : number + size])
                waves, fired = advance_branches_counted(stage, waves, weights)
                number += size
            else:
                waves, fired = advance_counted(stage, waves, self.weights[number])
                number += 1
            yield waves, fired

    def run(
        self,
        images: NDArray[np.uint8],
        upto: int | None = None,
        report: Callable[[float], None] = lambda share: None,
    ) -> tuple[Waves, NDArray[np.float64]]:
        """Return the waves behind stage `upto` (None: the last) and the mean spikes of an image.

        The latter are counted behind the encoder, then behind each stage and, where it pools,
        before that. `report` is told the share done.
        """
        parts, spikes = [], []
        pooling = [False, *map(_pools, self.model.layers)]
        for first in range(0, len(images), PART):
            part = images[first : first + PART]
            waves: Waves | None = None
            counts: list[int] = []
            for (waves, fired), pools in zip(self._counted(part, upto), pooling, strict=False):
                counts += [fired, len(waves.unit)] if pools else [len(waves.unit)]
            assert waves is not None
            parts.append(waves)
            spikes.append(counts)
            report(min(first + PART, len(images)) / len(images))
        return join_images(parts), np.sum(spikes, axis=0) / max(len(images), 1)


def _pools(stage: Stage) -> bool:
    branches = stage.layers if isinstance(stage, Branches) else ()
    return any(part.pool is not None for part in (stage, *branches))
