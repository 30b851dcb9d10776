"""Run a deployment on a board: PyNN populations, runs over batches of images, what came back.

A batch begins and ends in silence, with all membranes cleared: what a board does with it depends
neither on the batches before it nor on whether they were shown at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_kernels, spike_trains
from spikingconvnet.algorithms.spike_trains import SpikeTrains, window
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed_parts import (
    CLEAR,
    SOURCE,
    Deployment,
    Kernels,
    Part,
    pieces,
)
from spikingconvnet.classes.network import _Network, forget_spikes, read_spikes

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
        self._images = self._shown = self._began = self._clock = 0

    def run(self, waves: Waves) -> Seen:
        """Show images, given as the waves that the encoder sends, one after the other."""
        self.build(waves)
        self.simulate(len(waves))
        return self.read(len(waves))

    def simulate(self, images: int) -> None:
        """Let the time of a batch of so many images pass."""
        duration = self.plan.duration_ms(images)
        self.sim.run(float(duration))
        self._began, self._clock = self._clock, self._clock + duration
        self.run_ms = self._clock
        self._shown += images
        self.report(self._shown / max(self._images, 1))

    def build(self, waves: Waves, every: int | None = None) -> None:
        """Make all populations and projections for showing the images of `waves`.

        They are shown in batches of `every` images, the last of which may be smaller (None: all at
        once); `simulate` runs one batch after the other.
        """
        self._setup()
        self._images, self._shown, self._began, self._clock = len(waves), 0, 0, 0
        starts = self._starts(len(waves), every or len(waves))
        trains = {CLEAR: self._clearing(starts), SOURCE: self._sent(waves, np.concatenate(starts))}
        parts = {part.name: part for part in self.plan.parts}
        after = float(starts[-1][-1] + self.plan.duration_ms(1) + 1)
        for name, part in parts.items():
            source = trains.get(name)
            self._built[name] = (
                self._populations(part) if source is None else self._sources(source, part, after)
            )
        for each in self.plan.kernels:
            self._convolve(each, parts[each.post])
        for link in self.plan.links:
            for one, other, found in pieces(link, parts[link.pre], parts[link.post]):
                pre, post = self._built[link.pre][one], self._built[link.post][other]
                self._project(pre, post, found, link.receptor)

    def _starts(self, images: int, every: int) -> list[NDArray[np.int64]]:
        """Return when the images of each batch are cleared for, ms."""
        starts, clock = [], 0
        for first in range(0, images, every):
            count = min(every, images - first)
            starts.append(clock + np.arange(count) * self.plan.period_ms)
            clock += self.plan.duration_ms(count)
        return starts

    def _clearing(self, starts: Sequence[NDArray[np.int64]]) -> SpikeTrains:
        """Clear before every image, and after the last one of a batch."""
        times = [np.append(each, each[-1] + self.plan.period_ms) for each in starts]
        spikes = np.concatenate(times).astype(np.float64)
        return SpikeTrains(np.zeros(len(spikes), np.int32), spikes, 1)

    def _sent(self, waves: Waves, starts: NDArray[np.int64]) -> SpikeTrains:
        """Return the spikes of the source for images that start at `starts`."""
        times = np.repeat(FIRST_MS + starts, np.diff(waves.start)) + waves.step
        if not len(times):  # sPyNNaker cannot build sources that never fire
            end = starts[-1] + self.plan.duration_ms(len(waves)) + 1.0
            return SpikeTrains(np.zeros(1, np.int32), np.full(1, end), waves.units)
        return SpikeTrains(waves.unit, times.astype(np.float64), waves.units)

    def _populations(self, part: Part) -> list[Any]:
        return [self._population(part, size, number) for number, size in enumerate(part.sizes)]

    def _population(self, part: Part, size: int, number: int) -> Any:
        self.neurons += size
        population = self.sim.Population(
            size,
            self._cell(part),
            label=f"{part.name} piece {number}",
            max_expected_summed_weight=list(part.most),
            **self._grid(part),
        )
        population.initialize(v=part.v_reset)
        population.record("v" if part.answers else "spikes")
        return population

    def _cell(self, part: Part) -> Any:
        if part.v_thresh is not None and part.v_reset is not None:
            return self.sim.IF_curr_exp(**board_kernels.neuron(part.v_thresh, part.v_reset))
        # The threshold is 1 mV at steps of 1 ms, and v_thresh is the first input: see
        # `board_neurons`. From v_reset, it does nothing before all is cleared.
        return self.sim.extra_models.IFTruncDelta(
            tau_m=1.0, cm=1.0, v_reset=part.v_reset, v_thresh=1.0, tau_refrac=0.0
        )

    def _sources(self, trains: SpikeTrains, part: Part, after: float) -> list[Any]:
        """Return the sources of a part, one for each channel if they have a grid.

        Those that have nothing to send do so `after` all images, ms: sPyNNaker cannot build sources
        that never fire.
        """
        if not part.grid:
            return [self._source(trains, part.name)]
        number, unit = part.place(trains.neurons)
        built = []
        for channel, size in enumerate(part.sizes):
            mine = number == channel
            times = spike_trains.to_lists(SpikeTrains(unit[mine], trains.times[mine], size))
            if not mine.any():
                times[0] = [after]
            source = self.sim.SpikeSourceArray(spike_times=times)
            label = f"{part.name} {channel}"
            built.append(self.sim.Population(size, source, label=label, **self._grid(part)))
        return built

    def _grid(self, part: Part) -> dict[str, Any]:
        """Return what makes a population two-dimensional: columns first, as all of PyNN's grids."""
        if not part.grid:
            return {}
        # A float is not exact enough for PyNN, which takes the root of neurons times ratio.
        shape = self.sim.Grid2D(Fraction(part.shape[1], part.shape[0]))
        return {"structure": shape, "neurons_per_core": part.grid[::-1]}

    def _convolve(self, each: Kernels, post: Part) -> None:
        """Connect two parts by on-chip convolution: a projection for each pair of maps."""
        self.synapses += each.synapses
        for other, target in enumerate(self._built[each.post]):
            for one, source in enumerate(self._built[each.pre]):
                weights = each.kernels[0 if each.everywhere else other, one]
                if not weights.any():
                    continue
                kernel, padding = board_kernels.as_kernel(weights), each.padding[::-1]
                if each.everywhere:
                    kernel, padding = board_kernels.everywhere(post.shape[:2], weights[0, 0])
                connector = self.sim.ConvolutionConnector(
                    kernel,
                    strides=each.stride[::-1],
                    padding=padding,
                    filter_edges=not each.everywhere,
                )
                synapse = self.sim.Convolution(delay=float(each.delay))
                self.sim.Projection(source, target, connector, synapse)

    def read(self, images: int) -> Seen:
        """Return what the network did with the batch of `images` images that was run last."""
        waves, strays = {}, {}
        for part in self.plan.layers:
            if part.name != SOURCE:
                trains = joined([read_spikes(piece) for piece in self._built[part.name]], part)
                trains = window(trains, self._began, self._clock)
                waves[part.name], strays[part.name] = sorted_out(trains, part, self.plan, images)
                for piece in self._built[part.name]:
                    forget_spikes(piece)
        return Seen(waves, self._labels(images), strays)

    def _labels(self, images: int) -> NDArray[np.int64]:
        """Return the class of the neuron that is highest when the clearing volley arrives."""
        part = self.plan.decision
        values = self._built[part.name][0].spinnaker_get_data("v", as_matrix=True)
        at = self._began + (np.arange(images) + 1) * self.plan.period_ms + part.depth
        highest = np.asarray(values)[at].argmax(axis=1)
        return np.asarray(self.plan.answers.classes[highest], np.int64)


def joined(pieces: Sequence[SpikeTrains], part: Part) -> SpikeTrains:
    """Return the spikes of the populations of a part by its units."""
    units = [part.units(number, piece.neurons) for number, piece in enumerate(pieces)]
    times = [piece.times for piece in pieces]
    return SpikeTrains(np.concatenate(units), np.concatenate(times), part.size)


def sorted_out(trains: SpikeTrains, part: Part, plan: Deployment, images: int) -> tuple[Waves, int]:
    """Return the spikes of a population as waves, and how many more or fewer there are.

    All units of a grid also fire when they are cleared.
    """
    since = np.rint(trains.times).astype(np.int64) - FIRST_MS - part.depth
    image, step = np.divmod(since, plan.period_ms)
    inside = (since >= 0) & (image < images) & (step < plan.steps)
    image, step, unit = image[inside], step[inside], trains.neurons[inside].astype(np.int32)
    order = np.lexsort((unit, step, image))
    start = np.zeros(images + 1, np.int64)
    np.cumsum(np.bincount(image, minlength=images), out=start[1:])
    waves = Waves(part.shape, plan.steps, start, unit[order], step[order].astype(np.uint8))
    flush = (images + 1) * part.size if part.grid else 0
    return waves, abs(int((~inside).sum()) - flush)
