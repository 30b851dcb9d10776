"""What the steps share that run the model of the parameter file on a board."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from spikingconvnet import backends, report
from spikingconvnet.backends import Backend, provenance
from spikingconvnet.backends import stages as board_stages
from spikingconvnet.classes.model import SpikingConvNet, Stage
from spikingconvnet.classes.network import (
    Activity,
    InferenceNetwork,
    SpikeTrains,
    TrainingNetwork,
)
from spikingconvnet.errors import NoDataError, NotTrainedError, UsageError
from spikingconvnet.job import TIMING, TOOLCHAIN_LOG, Job, bar, fingerprint, tell
from spikingconvnet.utilities import logs
from spikingconvnet.utilities.storage import LayerWeights

log = logging.getLogger(__name__)

WATCHED_NEURONS = 4
"""Neurons of each layer whose potential is recorded in a test."""


@contextmanager
def running_backend(job: Job) -> Iterator[Backend]:
    """Start the board; send all that the toolchain prints, and any traceback, to the log."""
    with logs.capture(job.run.file(TOOLCHAIN_LOG)):
        try:
            with backends.load(job.board, version=job.version, folder=job.run.path) as backend:
                yield backend
            _tell_timing(job, backend)
        except BaseException:
            log.exception("step failed")
            raise


def _tell_timing(job: Job, backend: Backend) -> None:
    """Save what each core did in its ticks, where that is counted, and tell if it was too much."""
    if backend.accounts:
        job.run.save_json(TIMING, {"programs": backend.accounts}, backend.origin)
        tell(job, report.timing_verdicts(backend.accounts))


def require_data(backend: Backend, consequence: str) -> None:
    """Raise NoDataError on a backend that only maps networks."""
    if not backend.has_data:
        raise NoDataError(
            f"{backend.origin}: it maps networks but runs none, so {consequence} (use --board "
            "software, or a board)"
        )


def initial_weights(job: Job, model: SpikingConvNet, number: int) -> np.ndarray:
    """Return the weights that a layer starts from, the same in every command."""
    stage, layer = model.conv_stage(number), model.conv_layers[number - 1]
    shape = layer.weight_shape(stage.input_shape)
    return layer.rule.initial_weights(shape, job.rng("weights", number))


def layer_weights(job: Job, model: SpikingConvNet, number: int) -> LayerWeights:
    """Return the saved weights of a layer, checked to be there and to fit the model."""
    path = job.run.weights_file(number)
    again = f"run --mode training --layer {number}"
    if not job.run.has_weights(number):
        raise NotTrainedError(f"{path}: layer {number} is not trained yet ({again} first)")
    found = job.run.load_weights(number)
    stage, layer = model.conv_stage(number), model.conv_layers[number - 1]
    wanted = layer.weight_shape(stage.input_shape)
    if found.weights.shape != wanted:
        raise UsageError(
            f"{path}: weights of shape {found.weights.shape} (the model has {wanted}; {again} "
            "again, or use another --run-dir)"
        )
    return found


def trained_weights(
    job: Job, model: SpikingConvNet, count: int, made_up: bool = False
) -> list[np.ndarray]:
    """Return the trained weights of the first `count` layers, each trained on those below it.

    With `made_up` (to map a network that will not run) initial weights stand in for missing ones.
    """
    weights: list[np.ndarray] = []
    for number in range(1, count + 1):
        if made_up and not job.run.has_weights(number):
            weights.append(initial_weights(job, model, number))
            continue
        found = layer_weights(job, model, number)
        if not made_up and found.rule.get("below") != fingerprint(weights):
            raise UsageError(
                f"{job.run.weights_file(number)}: trained on other weights of the layers below "
                f"(run --mode training --layer {number} again)"
            )
        weights.append(found.weights)
    return weights


def encoded(job: Job, images: np.ndarray, stream: str) -> SpikeTrains:
    """Return the input spikes of images (n, height, width)."""
    chosen = job.config.filter
    return job.config.encoder.encode(
        images if chosen is None else chosen.apply(images), job.rng(stream)
    )


def infer(
    job: Job,
    backend: Backend,
    stages: Sequence[Stage],
    sets: Sequence[Sequence[np.ndarray]],
    images: np.ndarray,
    stream: str,
    title: str,
    watch: bool = False,
) -> list[Activity]:
    """Show images to the given stages with each set of weights."""
    if backend.one_board:
        board_stages.refuse(stages, len(sets), job.version)
    spikes, faults = encoded(job, images, stream), provenance.Faults()
    started = time.perf_counter()
    with bar(title) as shown:
        net = InferenceNetwork(
            backend.sim,
            stages,
            record=[stage.name for stage in stages] if watch else (),
            watch=WATCHED_NEURONS if watch else 0,
            images_per_run=job.config.inference.images_per_run,
            report=shown,
            **noted(backend, faults),
        )
        with net:
            count = len(images) if backend.has_data else min(len(images), net.images_per_run)
            activity = net.run(sets, spikes, count, job.config.encoder.interval_ms)
            if not backend.has_data:
                tell_needs(job, title, net)
    if backend.has_data:
        tell_speed(job, title, net.run_ms, time.perf_counter() - started)
        tell(job, report.fault_verdicts(faults.counts))
    return activity


def noted(backend: Backend, faults: provenance.Faults) -> dict[str, Any]:
    """Return the argument that lets a network sum its faults, where there are any to be seen."""
    return {"ran": faults.add} if backend.has_data else {}


def tell_needs(job: Job, title: str, net: TrainingNetwork | InferenceNetwork) -> None:
    """Print what a network that was mapped would need of a board."""
    needs = backends.measure(net.neurons, net.synapses, net.run_ms)
    job.say(f"{title}: would need\n{needs.as_text()}")


def tell_speed(job: Job, title: str, simulated_ms: float, seconds: float) -> None:
    """Print how fast a simulation was."""
    job.say(
        f"{title}: {simulated_ms / 1000:,.1f} s simulated in {seconds:,.1f} s "
        f"({simulated_ms / 1000 / seconds:,.1f} times real time)"
    )
