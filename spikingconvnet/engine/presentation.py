"""Show the training images to a read-out: as they are, or distorted anew in every epoch."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.distortion import distorted
from spikingconvnet.algorithms.indexing import Shape
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.single_spike import DenseDecision, Readout
from spikingconvnet.engine.network import Network

_STREAM = 2
"""Beside those of the trainers, which draw by (seed, epoch) and (seed, epoch, 1)."""


@dataclass(eq=False)
class Presentation:
    """Hold the training images (n, height, width) and the frozen network that a read-out sees.

    What an epoch shows depends on the seed and its number alone, so a teaching that was stopped
    goes on the same. At most one data set of waves is held: of the images as they are. upto: the
    stage whose waves are shown (None: the last).
    """

    network: Network
    images: NDArray[np.uint8]
    readout: Readout
    seed: int
    upto: int | None = None
    _plain: Waves | None = field(default=None, init=False)
    _spikes: NDArray[np.float64] | None = field(default=None, init=False)

    @property
    def shape(self) -> Shape:
        """Return (height, width, maps) of the waves."""
        tensors = self.network.model.tensors(self.network.image_shape)
        return tensors[-1 if self.upto is None else self.upto]

    @property
    def spikes(self) -> NDArray[np.float64]:
        """Return the mean spikes of an image as in `Network.run`, of the epoch shown last."""
        if self._spikes is None:
            self.plain()
        assert self._spikes is not None
        return self._spikes

    def waves(self, epoch: int, report: Callable[[float], None] = lambda share: None) -> Waves:
        """Return what epoch number `epoch` (from 0) shows; `report` is told the share done."""
        readout = self.readout
        if not isinstance(readout, DenseDecision) or epoch >= readout.distorted_epochs:
            return self.plain(report)
        rng = np.random.default_rng([self.seed, epoch, _STREAM])
        copies = distorted(self.images, rng, **asdict(readout.distortion))
        waves, self._spikes = self.network.run(copies, self.upto, report)
        return waves

    def plain(self, report: Callable[[float], None] = lambda share: None) -> Waves:
        """Return the waves of the images as they are, which are kept."""
        if self._plain is None:
            self._plain, self._spikes = self.network.run(self.images, self.upto, report)
        return self._plain
