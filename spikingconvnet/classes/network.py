"""Turn layers into PyNN populations and projections, run them, and read back what happened.

Both networks take any PyNN `sim`. What differs between simulators is met where it occurs: weights
of inhibitory synapses are given as negative numbers (sPyNNaker takes the size, all others insist
on the sign), spikes are read through the fast path of sPyNNaker where there is one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from spikingconvnet.algorithms import connections, spike_trains, windows
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.learning import PairSTDP
from spikingconvnet.classes.model import Stage
from spikingconvnet.classes.neurons import IFCurrExp
from spikingconvnet.errors import ModelError

TIMESTEP_MS = 1.0
DELAY_MS = 1.0
FLUSH_TAUS = 10
"""Time constants between the last window and the flush: exp(-10) of a step is below 16 bits."""
FLUSH_TAIL_MS = 10
"""Time for the flush spike to arrive and be worked off."""
PART_MS, MOST_PARTS = 10_000, 20
"""A long run is cut into parts of about this length, but no more of them, to show progress."""

Report = Callable[[float], None]
"""Receives the share of a run that is done, 0..1."""


def _silent(_share: float) -> None:
    """Report nothing."""


def _unheard(_network: Any) -> None:
    """Take no note of a run."""


class _Network:
    """Hold a simulator between set-up and end; count what is built.

    `ran` is told of the network after each of its runs, before the simulator is ended. `weights`
    holds of each projection the target, its receptor and the weights, nA.
    """

    def __init__(
        self, sim: Any, report: Report = _silent, ran: Callable[[Any], None] = _unheard
    ) -> None:
        self.sim = sim
        self.report = report
        self.ran = ran
        self.weights: list[tuple[Any, str, np.ndarray]] = []
        self.neurons = 0
        self.synapses = 0
        self.run_ms = 0.0
        self._open = False

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an interrupt or a failed run the backend ends the simulator, as it knows how.
        if error is None:
            self._close()

    def _setup(self) -> None:
        self._close()
        self.sim.setup(timestep=TIMESTEP_MS)
        self._open = True
        self.neurons = self.synapses = 0
        self.weights = []

    def _close(self) -> None:
        if self._open:
            self._open = False
            self.sim.end()

    def _source(self, spikes: SpikeTrains, label: str) -> Any:
        times = spike_trains.to_lists(spikes)
        return self.sim.Population(
            spikes.size, self.sim.SpikeSourceArray(spike_times=times), label=label
        )

    def _neurons(
        self, size: int, neuron: IFCurrExp, label: str, most: tuple[float, float] | None = None
    ) -> Any:
        """Make a population; `most` is the largest (excitatory, inhibitory) input in a step, nA.

        sPyNNaker keeps weights in 16 bits of which the largest input decides the value. Without
        knowing it, it guesses far too high, and then every rewriting of a plastic weight cuts off
        up to 1/512 nA.
        """
        self.neurons += size
        model = self.sim.IF_curr_exp(**neuron.as_pynn())
        known = most is not None and hasattr(self.sim, "extra_models")
        extra = {"max_expected_summed_weight": list(most or ())} if known else {}
        population = self.sim.Population(size, model, label=label, **extra)
        population.initialize(v=neuron.v_rest)
        return population

    def _project(
        self, pre: Any, post: Any, links: Connections, receptor: str, synapse: Any = None
    ) -> Any:
        """Connect two populations by a list; `synapse` is static unless given."""
        self.synapses += len(links.pre)
        self.weights.append((post, receptor, links.weight))
        # sPyNNaker 7.4.1 takes too few synapses for the longest row, and drops the rest without a
        # word, unless the list is sorted (its FromListConnector.__numpy_group splits what it did
        # not sort).
        table = links.as_list()[np.lexsort((links.post, links.pre))]
        if receptor == "inhibitory":
            table[:, 2] = -np.abs(table[:, 2])
        return self.sim.Projection(
            pre,
            post,
            self.sim.FromListConnector(table, column_names=["weight", "delay"]),
            synapse or self.sim.StaticSynapse(),
            receptor_type=receptor,
        )

    def _run(self, duration_ms: int) -> None:
        """Run in parts and report after each."""
        self.run_ms = duration_ms
        parts = int(np.clip(duration_ms // PART_MS, 1, MOST_PARTS))
        ends = np.linspace(0, duration_ms, parts + 1).round()[1:]
        start = 0.0
        for end in ends:
            self.sim.run(float(end - start))
            start = end
            self.report(end / duration_ms)
        self.ran(self)


@dataclass(frozen=True, eq=False)
class Voltages:
    """Hold potentials: times (n,) ms, values (n, neurons) mV, the index of the first neuron."""

    times: np.ndarray
    values: np.ndarray
    first: int = 0


@dataclass(frozen=True, eq=False)
class Trained:
    """Hold what training one copy of a layer gave; weights (kernels, channels, kh, kw) nA."""

    weights: np.ndarray
    spikes: SpikeTrains
    voltages: Voltages


class TrainingNetwork(_Network):
    """Train one layer by pair STDP on windows that are shown one after another.

    On the machine: kh * kw * channels sources, one neuron per kernel, plastic synapses from all to
    all, and lateral inhibition. Weight sharing comes from showing every window of every image to
    the same neurons. A plastic weight is rewritten only at the next presynaptic spike, so one last
    spike of every source is sent `FLUSH_TAUS` time constants after the windows are over: it
    carries out what is pending and adds nothing of its own.
    """

    def __init__(
        self,
        sim: Any,
        layer: ConvLayer,
        *,
        sample_ms: int = 0,
        report: Report = _silent,
        ran: Callable[[Any], None] = _unheard,
    ) -> None:
        super().__init__(sim, report, ran)
        self.layer = layer
        self.sample_ms = sample_ms

    def run(
        self,
        weights: np.ndarray,
        windows: Sequence[SpikeTrains],
        duration_ms: int,
        busiest: int | None = None,
    ) -> list[Trained]:
        """Show each copy of the layer its own windows, starting from the same weights.

        `weights` (kernels, channels, kh, kw) nA; `windows` has one record per copy, over the
        sources (channel * kh + y) * kw + x and within [0, duration_ms). `busiest` is the largest
        number of spikes in a step that one copy is shown (None: counted here). It decides the step
        of the board's weights, and must be the same in runs that hand weights on.
        """
        if not windows:
            raise ModelError("TrainingNetwork.run: windows is empty (must hold at least 1 record)")
        for spikes in windows:
            if spikes.size != weights[0].size:
                raise ModelError(
                    f"TrainingNetwork.run: windows over {spikes.size} sources (must be "
                    f"{weights[0].size}, the inputs of a kernel)"
                )
        self._setup()
        copies = [
            self._build(weights, spikes, duration_ms, number, busiest or busiest_step(spikes))
            for number, spikes in enumerate(windows)
        ]
        self._run(flush_time(duration_ms, self.layer.rule) + FLUSH_TAIL_MS)
        return [self._read(population, plastic, weights) for population, plastic in copies]

    def _build(
        self, weights: np.ndarray, spikes: SpikeTrains, duration_ms: int, number: int, busiest: int
    ) -> tuple[Any, Any]:
        layer = self.layer
        source = self._source(flushed(spikes, duration_ms, layer.rule), f"windows {number}")
        most = (
            busiest * max(layer.rule.w_max, float(weights.max())),
            layer.inhibition * layer.kernels,
        )
        population = self._neurons(layer.kernels, layer.train_neuron, f"kernels {number}", most)
        plastic = self._project(
            source,
            population,
            connections.all_to_all(weights.reshape(len(weights), -1).T, DELAY_MS),
            "excitatory",
            plastic_synapse(self.sim, layer.rule),
        )
        if layer.kernels > 1 and layer.inhibition:
            links = connections.lateral(layer.kernels, layer.inhibition, DELAY_MS)
            self._project(population, population, links, "inhibitory")
        population.record("spikes")
        if self.sample_ms:
            population.record("v", sampling_interval=float(self.sample_ms))
        return population, plastic

    def _read(self, population: Any, plastic: Any, weights: np.ndarray) -> Trained:
        rows = np.array(
            [tuple(row) for row in plastic.get("weight", format="list")], dtype=np.float64
        )
        learnt = np.empty((len(weights), weights[0].size))
        learnt[rows[:, 1].astype(int), rows[:, 0].astype(int)] = rows[:, 2]
        return Trained(
            learnt.reshape(weights.shape),
            read_spikes(population),
            read_voltages(population, self.sample_ms),
        )


def flush_time(duration_ms: int, rule: PairSTDP) -> int:
    """Return when (ms) the flush spike is sent after windows that last `duration_ms`."""
    return int(duration_ms + np.ceil(FLUSH_TAUS * max(rule.tau_plus, rule.tau_minus)))


def flushed(spikes: SpikeTrains, duration_ms: int, rule: PairSTDP) -> SpikeTrains:
    """Append the flush: one spike of every source, `FLUSH_TAUS` time constants after the end.

    All come at once: should they make a neuron fire, it is too late to change a weight. They may
    fill its input beyond what the windows ever do, which is of no consequence any more.
    """
    last = SpikeTrains(
        np.arange(spikes.size, dtype=np.int32),
        np.full(spikes.size, float(flush_time(duration_ms, rule))),
        spikes.size,
    )
    return spike_trains.merge([spikes, last])


def busiest_step(spikes: SpikeTrains) -> int:
    """Return the largest number of spikes in one step of 1 ms, at least 1."""
    _, counts = np.unique(np.floor(spikes.times / TIMESTEP_MS), return_counts=True)
    return int(counts.max(initial=1))


def plastic_synapse(sim: Any, rule: PairSTDP) -> Any:
    """Return the PyNN synapse type for a pair STDP rule."""
    timing = {
        "all": lambda: sim.SpikePairRule,
        "nearest": lambda: sim.extra_models.SpikeNearestPairRule,
    }[rule.pairing]()
    dependence = {
        "additive": sim.AdditiveWeightDependence,
        "multiplicative": sim.MultiplicativeWeightDependence,
    }[rule.dependence]
    return sim.STDPMechanism(
        timing_dependence=timing(
            tau_plus=rule.tau_plus,
            tau_minus=rule.tau_minus,
            A_plus=rule.A_plus,
            A_minus=rule.A_minus,
        ),
        weight_dependence=dependence(w_min=rule.w_min, w_max=rule.w_max),
        delay=DELAY_MS,
    )


@dataclass(frozen=True, eq=False)
class Activity:
    """Hold what one set of weights did: spikes per recorded layer, potentials of a few neurons."""

    spikes: dict[str, SpikeTrains]
    voltages: dict[str, Voltages]


class InferenceNetwork(_Network):
    """Run the first stages of a model with fixed weights, whole images at once.

    Several sets of weights (trained and untrained, say) may share the machine and the sources; each
    drives layers of its own. `record` names stages, the last one if empty; `watch` neurons of each
    have their potential recorded.
    """

    def __init__(
        self,
        sim: Any,
        stages: Sequence[Stage],
        *,
        record: Sequence[str] = (),
        watch: int = 0,
        images_per_run: int = 500,
        report: Report = _silent,
        ran: Callable[[Any], None] = _unheard,
    ) -> None:
        super().__init__(sim, report, ran)
        if not stages:
            raise ModelError("InferenceNetwork.stages: none (must be at least 1)")
        self.stages = tuple(stages)
        self.record = tuple(record) or (self.stages[-1].name,)
        self.watch = watch
        self.images_per_run = images_per_run

    def run(
        self,
        sets: Sequence[Sequence[np.ndarray]],
        spikes: SpikeTrains,
        images: int,
        interval_ms: int,
    ) -> list[Activity]:
        """Show `images` images, image i in [i, i + 1) * interval_ms, to every set of weights.

        A set holds one array (kernels, channels, kh, kw) per convolution, in order. Long inputs
        are cut into runs of `images_per_run`, each starting from rest; potentials are those of
        the first run.
        """
        pieces: list[list[Activity]] = []
        starts = range(0, images, self.images_per_run)
        for first in starts:
            count = min(self.images_per_run, images - first)
            start = first * interval_ms
            piece = spike_trains.window(spikes, start, start + count * interval_ms)
            pieces.append(self._run_piece(sets, piece, count * interval_ms))
            self.report((first + count) / images)
        self.run_ms = images * interval_ms
        return [
            _joined([piece[number] for piece in pieces], [i * interval_ms for i in starts])
            for number in range(len(sets))
        ]

    def _run_piece(
        self, sets: Sequence[Sequence[np.ndarray]], spikes: SpikeTrains, duration_ms: int
    ) -> list[Activity]:
        self._setup()
        if not len(spikes):
            # sPyNNaker cannot build sources that never fire: let one fire when all is over.
            spikes = SpikeTrains(np.zeros(1, np.int32), np.full(1, duration_ms + 1.0), spikes.size)
        source = self._source(spikes, "image")
        chains = [self._build(source, weights, number) for number, weights in enumerate(sets)]
        self.sim.run(float(duration_ms))
        self.ran(self)
        return [
            Activity(
                {name: read_spikes(chain[name]) for name in self.record},
                {
                    stage.name: read_voltages(chain[stage.name], 1, self._watched(stage))
                    for stage in self.stages
                    if self.watch and stage.name in self.record
                },
            )
            for chain in chains
        ]

    def _watched(self, stage: Stage) -> slice:
        """Return the neurons whose potential is recorded: some in the middle of the first map."""
        height, width, _ = stage.output_shape
        count = min(self.watch, stage.neurons)
        first = max(0, min((height // 2) * width + (width - count) // 2, stage.neurons - count))
        return slice(first, first + count)

    def _build(self, source: Any, weights: Sequence[np.ndarray], number: int) -> dict[str, Any]:
        """Build one chain of layers; return its populations by stage name."""
        chain: dict[str, Any] = {}
        kernels = iter(weights)
        pre = source
        for stage in self.stages:
            post = self._neurons(stage.neurons, stage.layer.neuron, f"{stage.name} set {number}")
            links = stage_connections(stage, kernels)
            for receptor, part in _by_sign(links):
                self._project(pre, post, part, receptor)
            between = getattr(stage.layer, "cross_inhibition", 0.0)
            if between and stage.output_shape[2] > 1:
                links = connections.cross_map(stage.output_shape, between, DELAY_MS)
                self._project(post, post, links, "inhibitory")
            if stage.name in self.record:
                post.record("spikes")
                if self.watch:
                    post[self._watched(stage)].record("v")
            chain[stage.name] = pre = post
        return chain


def _joined(pieces: Sequence[Activity], starts: Sequence[int]) -> Activity:
    """Put the spikes of several runs on one clock."""
    spikes = {
        name: spike_trains.merge(
            [
                spike_trains.shift(piece.spikes[name], start)
                for piece, start in zip(pieces, starts, strict=True)
            ]
        )
        for name in pieces[0].spikes
    }
    return Activity(spikes, pieces[0].voltages)


def stage_connections(stage: Stage, kernels: Iterator[np.ndarray]) -> Connections:
    """Return the connections of one stage; a convolution takes its kernels in turn."""
    layer = stage.layer
    if isinstance(layer, ConvLayer):
        return connections.convolution(
            stage.input_shape, next(kernels), layer.stride, DELAY_MS, layer.depthwise
        )
    return connections.pooling(stage.input_shape, layer.shape, layer.stride, layer.weight, DELAY_MS)


def _by_sign(links: Connections) -> Iterator[tuple[str, Connections]]:
    """Split connections by receptor; synapses of weight 0 do nothing and are left out."""
    for receptor, chosen in (("excitatory", links.weight > 0), ("inhibitory", links.weight < 0)):
        if chosen.any():
            yield (
                receptor,
                Connections(
                    links.pre[chosen],
                    links.post[chosen],
                    links.weight[chosen],
                    links.delay[chosen],
                ),
            )


def training_windows(
    stage: Stage,
    spikes: SpikeTrains,
    images: int,
    interval_ms: int,
    *,
    limit: int | None,
    min_spikes: int,
    rng: np.random.Generator,
) -> tuple[SpikeTrains, int]:
    """Cut the spikes that enter a stage into training windows; return them and their number.

    Of each image at most `limit` windows (all: None) are drawn among those with at least
    `min_spikes` spikes; they keep the order of the images. Window n lies in
    [n, n + 1) * window_ms of the layer.
    """
    layer = _conv(stage)
    shape = (stage.input_shape, layer.shape, layer.train_stride)
    every = windows.window_trains(spikes, *shape, images, interval_ms, layer.depthwise)
    total = windows.presentations(*shape, images, layer.depthwise)
    busy = spike_trains.counts(every, interval_ms, total).sum(axis=1) >= min_spikes
    chosen = _drawn(busy, images, limit, rng)
    shown = windows.window_trains(
        spikes, *shape, images, interval_ms, layer.depthwise, selection=chosen
    )
    return respaced(shown, interval_ms, layer.window_ms), len(chosen)


def _drawn(
    busy: np.ndarray, images: int, limit: int | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw at most `limit` (all: None) of the busy presentations of each image, images in order."""
    order = rng.permutation(len(busy))
    order = order[busy[order]]
    owner = order // max(1, len(busy) // max(1, images))
    by_image = order[np.argsort(owner, kind="stable")]
    owner = np.sort(owner)
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner, side="left")
    return by_image if limit is None else by_image[rank < limit]


def unknown_windows(stage: Stage, images: int, limit: int | None) -> tuple[SpikeTrains, int]:
    """Return silence as long as the windows would be, to map a network that will not run."""
    layer = _conv(stage)
    shape = (stage.input_shape, layer.shape, layer.train_stride)
    each = windows.presentations(*shape, 1, layer.depthwise)
    count = images * (each if limit is None else min(limit, each))
    return spike_trains.empty(layer.sources(stage.input_shape)), count


def _conv(stage: Stage) -> ConvLayer:
    if not isinstance(stage.layer, ConvLayer):
        raise ModelError(f"{stage.name}: a pooling layer (only a ConvLayer is trained)")
    return stage.layer


def spike_counts(spikes: SpikeTrains, interval_ms: int, images: int) -> np.ndarray:
    """Return how often each neuron fired for each image -> (images, neurons)."""
    return spike_trains.counts(spikes, interval_ms, images)


def respaced(spikes: SpikeTrains, interval_ms: float, window_ms: float) -> SpikeTrains:
    """Give presentations of `interval_ms` the length `window_ms`, losing spikes beyond it."""
    number, time = np.divmod(spikes.times, interval_ms)
    keep = time < window_ms
    return SpikeTrains(spikes.neurons[keep], number[keep] * window_ms + time[keep], spikes.size)


def split_windows(
    spikes: SpikeTrains, count: int, window_ms: float, parts: int
) -> list[SpikeTrains]:
    """Deal `count` windows out to `parts` equally long trains; what is left over is not shown."""
    share = count // parts
    return [
        spike_trains.window(spikes, part * share * window_ms, (part + 1) * share * window_ms)
        for part in range(parts)
    ]


def read_spikes(population: Any) -> SpikeTrains:
    """Return what a population fired, sorted by time."""
    if hasattr(population, "spinnaker_get_data"):
        table = population.spinnaker_get_data("spikes").reshape(-1, 2)
    else:
        trains = population.get_data("spikes").segments[-1].spiketrains
        return spike_trains.from_lists([np.asarray(train.magnitude) for train in trains])
    return SpikeTrains(table[:, 0].astype(np.int32), table[:, 1], population.size)


def forget_spikes(population: Any) -> None:
    """Drop what was recorded so far, so that the next reading is of later runs only.

    The toolchain would read, and take apart, all spikes of all runs again.
    """
    if hasattr(population, "spinnaker_get_data"):
        from spynnaker.pyNN.utilities.neo_buffer_database import NeoBufferDatabase

        with NeoBufferDatabase(read_only=False) as recorded:
            recorded.clear_data(population.label, "spikes")


def read_voltages(population: Any, sample_ms: int, neurons: slice = slice(None)) -> Voltages:
    """Return the recorded potentials of some neurons; empty where none were recorded."""
    if not sample_ms:
        return Voltages(np.zeros(0), np.zeros((0, 0)))
    view = range(population.size)[neurons]
    if hasattr(population, "spinnaker_get_data"):
        values = population.spinnaker_get_data("v", as_matrix=True, view_indexes=list(view))
    else:
        values = population.get_data("v").segments[-1].analogsignals[0].magnitude
    values = np.asarray(values, dtype=np.float64)
    return Voltages(np.arange(len(values)) * float(sample_ms), values, view.start)
