"""Train a layer on a board by pair STDP, batch by batch, so that one that is stopped goes on.

A batch is a run of its own: the network is built from the weights that the batch before it ended
with, all potentials, currents and STDP traces start from rest, and at its end everything pending is
written (see `TrainingNetwork`). Weights are thus all that one batch hands to the next, whether or
not the training was stopped in between, and both ways give the same bits.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spikingconvnet import checkpoints, report
from spikingconvnet.algorithms import spike_trains
from spikingconvnet.backends import Backend, provenance
from spikingconvnet.board_steps import (
    encoded,
    infer,
    initial_weights,
    noted,
    running_backend,
    tell_needs,
    tell_speed,
    trained_weights,
)
from spikingconvnet.classes import network
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.model import SpikingConvNet, Stage
from spikingconvnet.classes.network import SpikeTrains, Trained, TrainingNetwork
from spikingconvnet.errors import DataError, UsageError
from spikingconvnet.job import (
    FIGURES,
    TOOLCHAIN_LOG,
    Job,
    bar,
    fingerprint,
    images_of,
    sheet_of,
    tell,
)
from spikingconvnet.utilities.storage import LayerWeights

MOST_KERNELS = 254
"""Plastic synapses of one source on a core (sPyNNaker 7.4.1)."""


def train_layer(job: Job, number: int) -> None:
    """Train one layer on the spikes that enter it."""
    _train(job, number, copies=1, rounds=1)


def train_copies(job: Job, number: int) -> None:
    """Train several copies of a layer on different windows at once and average their weights."""
    settings = job.config.training
    _train(job, number, settings.copies, settings.rounds)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """Hold what one layer is taught: where it stands, from which weights, with which windows."""

    number: int
    stage: Stage
    layer: ConvLayer
    initial: np.ndarray
    shown: SpikeTrains
    count: int
    copies: int
    rounds: int

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"training layer {self.number}"

    @property
    def checkpoint(self) -> str:
        """Return the file that is saved after each batch."""
        return f"checkpoint_layer_{self.number}.npz"


@dataclass(frozen=True, eq=False)
class _Batch:
    """Hold what each copy of a layer is shown in one run, and how many windows that are."""

    trains: list[SpikeTrains]
    windows: int


def _batches(lesson: _Lesson, every: int) -> list[_Batch]:
    """Return all batches in order: of `every` windows, or a round of all copies."""
    window_ms = lesson.layer.window_ms
    if lesson.copies * lesson.rounds == 1:
        starts = range(0, lesson.count, every)
        ends = [min(first + every, lesson.count) for first in starts]
        return [
            _Batch(
                [spike_trains.window(lesson.shown, first * window_ms, end * window_ms)], end - first
            )
            for first, end in zip(starts, ends, strict=True)
        ]
    total = lesson.copies * lesson.rounds
    parts = network.split_windows(lesson.shown, lesson.count, window_ms, total)
    firsts = range(0, total, lesson.copies)
    return [_Batch(parts[first : first + lesson.copies], lesson.count // total) for first in firsts]


@dataclass(eq=False)
class _Course:
    """Hold how far a training is: weights after `done` batches, spikes of each neuron so far."""

    weights: np.ndarray
    fired: np.ndarray
    batches: int
    done: int = 0

    def add(self, results: Sequence[Trained]) -> Trained:
        """Go on to the weights that a batch ended with, the mean over copies; return them."""
        self.weights = np.mean([result.weights for result in results], axis=0)
        for result in results:
            self.fired += np.bincount(result.spikes.neurons, minlength=len(self.fired))
        self.done += 1
        return Trained(self.weights, results[-1].spikes, results[-1].voltages)

    def state(self) -> dict[str, Any]:
        """Return all that the next batch depends on."""
        return {"weights": self.weights, "fired": self.fired, "done": self.done}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. DataError when it is not one of this training."""
        weights, fired, done = state["weights"], state["fired"], int(state["done"])
        if weights.shape != self.weights.shape or not np.isfinite(weights).all():
            raise DataError(f"weights of shape {weights.shape}, or not all finite")
        if fired.shape != self.fired.shape or not 0 < done < self.batches:
            raise DataError(f"done {done} (must be in 1..{self.batches - 1})")
        self.weights, self.fired, self.done = weights, fired.astype(np.int64), done


@dataclass
class _Kept:
    """Hold how many windows of a training are saved, and of how many."""

    done: int = 0
    windows: int = 0


def _train(job: Job, number: int, copies: int, rounds: int) -> None:
    data = images_of(job)
    model = job.config.model(data.train.shape[1:])
    stage, layer = model.conv_stage(number), model.conv_layers[number - 1]
    if layer.kernels > MOST_KERNELS:
        raise UsageError(
            f"training layer {number}: {layer.kernels} kernels (must be {MOST_KERNELS} at most: a "
            "core has no room for more plastic synapses of one input); nothing was loaded"
        )
    images = data.train[: job.config.training.images]
    initial = initial_weights(job, model, number)
    kept = _Kept()
    with (
        checkpoints.told(job, "windows", lambda: (kept.done, kept.windows)),
        running_backend(job) as backend,
    ):
        below = trained_weights(job, model, number - 1, made_up=not backend.has_data)
        shown, count = _windows(job, backend, model, number, below, images)
        if count < copies * rounds:
            raise UsageError(
                f"training layer {number}: {count} windows for {copies * rounds} runs (show more "
                "images or windows, or lower TRAINING min_spikes)"
            )
        lesson = _Lesson(number, stage, layer, initial, shown, count, copies, rounds)
        taught = _teach(job, backend, lesson, kept)
    if taught is not None:
        _save_trained(job, lesson, below, *taught, backend.origin)


def _entering(
    job: Job,
    backend: Backend,
    stages: Sequence[Stage],
    weights: Sequence[np.ndarray],
    images: np.ndarray,
) -> SpikeTrains | None:
    """Return the spikes that the given stages send on; None where they cannot be known."""
    if not stages:
        return encoded(job, images, "encode train")
    activity = infer(
        job, backend, stages, [weights], images, "encode train", "running layers below"
    )
    return activity[0].spikes[stages[-1].name] if backend.has_data else None


def _windows(
    job: Job,
    backend: Backend,
    model: SpikingConvNet,
    number: int,
    below: Sequence[np.ndarray],
    images: np.ndarray,
) -> tuple[SpikeTrains, int]:
    """Return the windows to be shown to a layer and their number."""
    settings, stage = job.config.training, model.conv_stage(number)
    spikes = _entering(job, backend, model.before(number), below, images)
    if spikes is None:
        return network.unknown_windows(stage, len(images), settings.windows_per_image)
    return network.training_windows(
        stage,
        spikes,
        len(images),
        job.config.encoder.interval_ms,
        limit=settings.windows_per_image,
        min_spikes=settings.min_spikes,
        rng=job.rng("windows", number),
    )


def _teach(
    job: Job, backend: Backend, lesson: _Lesson, kept: _Kept
) -> tuple[_Course, _Batch, Trained] | None:
    """Show the windows, batch by batch; return the end and the last batch. None without data.

    How many windows are saved is put into `kept`.
    """
    every = job.config.checkpoint_every if backend.has_data else lesson.count
    batches = _batches(lesson, max(every, 1))
    course = _Course(lesson.initial, np.zeros(lesson.layer.kernels, np.int64), len(batches))
    wanted = checkpoints.identity(
        lesson.layer, lesson.initial, lesson.shown.neurons, lesson.shown.times, lesson.copies,
        lesson.rounds, every, backend.origin,
    )  # fmt: skip
    windows = np.cumsum([0, *(batch.windows * lesson.copies for batch in batches)])
    kept.windows = int(windows[-1])
    if backend.has_data and checkpoints.resumed(job, lesson.checkpoint, wanted, course.restore):
        job.say(f"{lesson.title}: going on from a checkpoint at window {windows[course.done]:,}")
        kept.done = int(windows[course.done])
    started, simulated_ms, trained = time.perf_counter(), 0.0, None
    faults = provenance.Faults()
    for batch in batches[course.done :]:
        results, run_ms = _shown(job, backend, lesson, course, batch, faults)
        if not backend.has_data:
            return None
        simulated_ms += run_ms
        trained = course.add(results)
        if course.done < course.batches:
            checkpoints.save(job, lesson.checkpoint, wanted, course.state())
            kept.done = int(windows[course.done])
    assert trained is not None
    tell_speed(job, lesson.title, simulated_ms, time.perf_counter() - started)
    job.say(
        f"{lesson.title}: {windows[-1]:,} windows shown, {course.fired.sum():,} spikes by "
        f"{lesson.layer.kernels} neurons"
    )
    tell(job, report.fault_verdicts(faults.counts))
    return course, batch, trained


def _shown(
    job: Job,
    backend: Backend,
    lesson: _Lesson,
    course: _Course,
    batch: _Batch,
    faults: provenance.Faults,
) -> tuple[list[Trained], float]:
    """Show one batch; return what each copy has learnt, and the time simulated, ms."""
    label = lesson.title
    if course.batches > 1:
        part = "round" if lesson.rounds > 1 else "batch"
        label = f"{label}, {part} {course.done + 1} of {course.batches}"
    with bar(label) as shown:
        net = TrainingNetwork(
            backend.sim, lesson.layer, sample_ms=job.config.training.sample_ms, report=shown,
            **noted(backend, faults),
        )  # fmt: skip
        with net:
            window_ms = lesson.layer.window_ms
            results = net.run(
                course.weights,
                batch.trains,
                batch.windows * window_ms,
                network.busiest_step(lesson.shown),
            )
            if not backend.has_data:
                tell_needs(job, lesson.title, net)
    return results, net.run_ms


def _save_trained(
    job: Job,
    lesson: _Lesson,
    below: Sequence[np.ndarray],
    course: _Course,
    last: _Batch,
    trained: Trained,
    origin: str,
) -> None:
    record = {
        **asdict(lesson.layer.rule),
        "windows": lesson.count,
        "copies": lesson.copies,
        "rounds": lesson.rounds,
        "batches": course.batches,
        "below": fingerprint(below),
    }
    weights = LayerWeights(trained.weights, lesson.initial, record, origin, job.seed)
    path = job.run.save_weights(lesson.number, weights, csv=job.config.csv)
    checkpoints.remove(job, lesson.checkpoint)
    sheet = sheet_of(job, origin)
    report.weight_figures(sheet, lesson.number, weights)
    report.training_figures(
        sheet, lesson.number, lesson.layer, last.trains[-1], last.windows, trained
    )
    job.keep([path.name, path.with_suffix(".csv").name, FIGURES, TOOLCHAIN_LOG])
    tell(job, report.training_verdicts(lesson.number, lesson.layer, course.fired, weights))
    job.say(f"weights of layer {lesson.number}: {path}")
