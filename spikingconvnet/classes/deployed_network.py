"""Run a deployment on a board: PyNN populations, one run over many images, what came back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import CLEAR, SOURCE, Deployment, Part, pieces
from spikingconvnet.classes.network import _Network, read_spikes

FIRST_MS = 2
"""When the first image starts: all membranes are cleared before."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Hold what a board did: waves by layer, answers (images,), spikes that no image explains."""

    waves: dict[str, Waves]
    labels: NDArray[np.int64]
    strays: dict[str, int]


class DeployedNetwork(_Network):
    """Build a deployment with stock neurons and run it; times are those of `Deployment`."""

    def __init__(
        self, sim: Any, plan: Deployment, *, report: Callable[[float], None] = lambda share: None
    ) -> None:
        super().__init__(sim, report)
        self.plan = plan
        self._built: dict[str, list[Any]] = {}

    def run(self, waves: Waves) -> Seen:
        """Show images, given as the waves that the encoder sends, one after the other."""
        self.build(waves)
        self.simulate(len(waves))
        return self.read(len(waves))

    def simulate(self, images: int) -> None:
        """Let the time of so many images pass."""
        self._run(self.plan.duration_ms(images))

    def build(self, waves: Waves) -> None:
        """Make all populations and projections for showing the images of `waves`."""
        self._setup()
        images, period = len(waves), self.plan.period_ms
        clears = np.arange(images + 1, dtype=np.float64) * period
        trains = {
            CLEAR: SpikeTrains(np.zeros(images + 1, np.int32), clears, 1),
            SOURCE: self._shown(waves),
        }
        parts = {part.name: part for part in self.plan.parts}
        for name, part in parts.items():
            source = trains.get(name)
            self._built[name] = (
                self._populations(part) if source is None else [self._source(source, name)]
            )
        for link in self.plan.links:
            for one, other, found in pieces(link, parts[link.pre], parts[link.post]):
                pre, post = self._built[link.pre][one], self._built[link.post][other]
                self._project(pre, post, found, link.receptor)

    def _shown(self, waves: Waves) -> SpikeTrains:
        image = np.repeat(np.arange(len(waves)), np.diff(waves.start))
        times = (FIRST_MS + image * self.plan.period_ms + waves.step).astype(np.float64)
        if not len(times):  # sPyNNaker cannot build sources that never fire
            end = self.plan.duration_ms(len(waves)) + 1.0
            return SpikeTrains(np.zeros(1, np.int32), np.full(1, end), waves.units)
        return SpikeTrains(waves.unit, times, waves.units)

    def _populations(self, part: Part) -> list[Any]:
        sizes = np.diff(part.bounds).tolist()
        return [self._population(part, size, number) for number, size in enumerate(sizes)]

    def _population(self, part: Part, size: int, number: int) -> Any:
        self.neurons += size
        # The threshold is 1 mV at steps of 1 ms, and v_thresh is the first input: see
        # `board_neurons`. From v_reset, it does nothing before all is cleared.
        model = self.sim.extra_models.IFTruncDelta(
            tau_m=1.0, cm=1.0, v_reset=part.v_reset, v_thresh=1.0, tau_refrac=0.0
        )
        population = self.sim.Population(
            size,
            model,
            label=f"{part.name} piece {number}",
            max_expected_summed_weight=list(part.most),
        )
        population.initialize(v=part.v_reset)
        population.record("v" if part.answers else "spikes")
        return population

    def read(self, images: int) -> Seen:
        """Return what the network did."""
        waves, strays = {}, {}
        for part in self.plan.layers:
            if part.name != SOURCE:
                trains = joined([read_spikes(piece) for piece in self._built[part.name]])
                waves[part.name], strays[part.name] = sorted_out(trains, part, self.plan, images)
        return Seen(waves, self._labels(images), strays)

    def _labels(self, images: int) -> NDArray[np.int64]:
        """Return the class of the neuron that is highest when the clearing volley arrives."""
        part = self.plan.decision
        values = self._built[part.name][0].spinnaker_get_data("v", as_matrix=True)
        at = (np.arange(images) + 1) * self.plan.period_ms + part.depth
        highest = np.asarray(values)[at].argmax(axis=1)
        return np.asarray(self.plan.answers.classes[highest], np.int64)


def joined(pieces: Sequence[SpikeTrains]) -> SpikeTrains:
    """Return the spikes of several populations, numbered one after the other."""
    starts = np.cumsum([0, *(piece.size for piece in pieces)])
    neurons = [piece.neurons + start for piece, start in zip(pieces, starts, strict=False)]
    times = [piece.times for piece in pieces]
    return SpikeTrains(np.concatenate(neurons), np.concatenate(times), int(starts[-1]))


def sorted_out(trains: SpikeTrains, part: Part, plan: Deployment, images: int) -> tuple[Waves, int]:
    """Return the spikes of a population as waves, and how many belong to no image."""
    since = np.rint(trains.times).astype(np.int64) - FIRST_MS - part.depth
    image, step = np.divmod(since, plan.period_ms)
    inside = (since >= 0) & (image < images) & (step < plan.steps)
    image, step, unit = image[inside], step[inside], trains.neurons[inside].astype(np.int32)
    order = np.lexsort((unit, step, image))
    start = np.zeros(images + 1, np.int64)
    np.cumsum(np.bincount(image, minlength=images), out=start[1:])
    waves = Waves(part.shape, plan.steps, start, unit[order], step[order].astype(np.uint8))
    return waves, int((~inside).sum())
