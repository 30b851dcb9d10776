"""Put a network that the host trained on a board, and hold the board to what the host predicts."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import backends, deploy_report, host_readouts
from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.backends import Backend, preflight, provenance
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.deployed import SOURCE, Answers, Deployment, check_model, deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork, Seen
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import DenseDecision, SpikingConv
from spikingconvnet.engine import board_semantics
from spikingconvnet.engine.encode import encode
from spikingconvnet.errors import NotTrainedError, StorageError, UsageError
from spikingconvnet.host_lesson import Lesson, bar, lesson
from spikingconvnet.workflow import Job, fingerprint, running_backend, sheet_of

DEPLOYED, RECORD = "deployed.npz", "deployed.json"
IMAGES = 1000
"""Test images that are shown, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Hold what the host says that a board will do: waves by layer, labels (images,)."""

    waves: dict[str, Waves]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Hold a deployment and its prediction for some test images."""

    held: Lesson
    plan: Deployment
    images: int
    prediction: Prediction
    identity: str

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return the true labels."""
        return np.asarray(self.held.images.test_labels[: self.images])


def host_model(job: Job, mode: str) -> HostModel:
    """Return the model of a job if it can be deployed; UsageError if not."""
    if not isinstance(job.model, HostModel):
        name = "the layers of the parameter file" if job.model is None else job.model.name
        raise UsageError(
            f"--mode {mode}: {name} (must be a convolutional network of the zoo: --model NAME)"
        )
    check_model(job.model)
    return job.model


# ---- from the run directory to a deployment ------------------------------------------------------


def planned(held: Lesson) -> Deployment:
    """Return the populations and projections of what the run directory holds."""
    weights, part = host_readouts.saved(held, "trained")
    return deployment(held.model, held.shape, weights, _answers(held, part))


def _answers(held: Lesson, part: Mapping[str, Any]) -> Answers:
    """Return what the decision neurons add up, in whole numbers."""
    layer, classes = held.model.readout, np.array(held.images.classes)
    if isinstance(layer, DenseDecision):
        shape = held.model.tensors(held.shape)[-1]
        trainer: Any = host_readouts.trainer(held, shape)
        trainer.restore(dict(part))
        whole = board_layers.counts(trainer.weights, trainer.layer.rule.w_max, layer.levels)
        return Answers(whole, np.zeros(len(whole), np.int64), classes[trainer.classes])
    readout = LinearReadout.from_arrays(dict(part))
    return Answers(
        np.rint(readout.coef).astype(np.int64),
        np.rint(readout.intercept).astype(np.int64),
        np.asarray(readout.classes, np.int64),
    )


def predicted(held: Lesson, plan: Deployment, images: NDArray[np.uint8]) -> Prediction:
    """Return what a board will do with some images."""
    waves = {SOURCE: encode(held.model.encoder, images)}
    weights, _ = host_readouts.saved(held, "trained")
    behind = waves[SOURCE]
    for number, (layer, kernels) in enumerate(zip(held.model.layers, weights, strict=True), 1):
        assert isinstance(layer, SpikingConv)
        waves[f"conv {number}"] = behind = board_semantics.convolved(layer, behind, kernels)
        if layer.pool is not None:
            waves[f"pool {number}"] = behind = board_semantics.pooled(layer, behind)
    scores = board_semantics.sums(behind, plan.answers.weights) + plan.answers.offsets
    return Prediction(waves, plan.answers.classes[scores.argmax(axis=1)])


def prepared(job: Job, mode: str) -> Prepared:
    """Return all that is known before a board is asked."""
    host_model(job, mode)
    held = lesson(job)
    plan = planned(held)
    most = len(held.images.test)
    images = min(IMAGES, most) if job.shown is None else job.shown
    if not 1 <= images <= most:
        raise UsageError(f"--images: {images} (must be in 1..{most}, the test images)")
    chosen = held.images.test[:images]
    numbers = [link.connections.weight for link in plan.links]
    return Prepared(
        held, plan, images, predicted(held, plan, chosen), fingerprint([*numbers, chosen])
    )


# ---- modes ---------------------------------------------------------------------------------------


def deploy(job: Job) -> None:
    """Run the trained network on a board and tell how its answers compare with the host's."""
    started = time.perf_counter()
    ready = prepared(job, "deploy")
    built_s = time.perf_counter() - started
    needs = preflight.bill(ready.plan, ready.images, job.version)
    job.say(
        f"{ready.plan.name} on SpiNN-{job.version}, {ready.images:,} images:\n{needs.as_text()}"
    )
    job.say(f"prediction and connection lists: {built_s:.1f} s")
    preflight.refuse(ready.plan, needs, job.version)
    with running_backend(job) as backend:
        seen, speed, counts = _run(job, backend, ready)
    if seen is None:
        return
    _save(job, ready, seen, backend.origin)
    record = {
        "needs": asdict(needs), "speed": speed, "provenance": dict(counts), "strays": seen.strays,
    }  # fmt: skip
    _tell(job, ready, seen, backend.origin, record)


def _run(
    job: Job, backend: Backend, ready: Prepared
) -> tuple[Seen | None, dict[str, float], Mapping[str, int]]:
    """Show the images; return what was seen, seconds by what they went into, and faults."""
    started = time.perf_counter()
    with bar("deploying") as report:
        network = DeployedNetwork(backend.sim, ready.plan, report=report)
        with network:
            network.build(ready.prediction.waves[SOURCE])
            provenance.ask()
            built = time.perf_counter()
            network.simulate(ready.images)
            ran = time.perf_counter()
            if not backend.has_data:
                found = backends.measure(network.neurons, network.synapses, network.run_ms)
                job.say(f"mapped by sPyNNaker:\n{found.as_text()}")
                return None, {}, {}
            shown = provenance.running_s()
            counts = provenance.found()
            seen = network.read(ready.images)
    speed = {
        "building_s": built - started,
        "mapping_and_loading_s": ran - built - shown,
        "running_s": shown,
        "reading_s": time.perf_counter() - ran,
    }
    return seen, speed, counts


def _save(job: Job, ready: Prepared, seen: Seen, origin: str) -> None:
    arrays: dict[str, Any] = {
        "labels": seen.labels, "identity": ready.identity, "origin": origin,
    }  # fmt: skip
    for name, waves in seen.waves.items():
        key = name.replace(" ", "_")
        arrays |= {
            f"{key}_start": waves.start,
            f"{key}_unit": waves.unit,
            f"{key}_step": waves.step,
        }
    job.run.save_arrays(DEPLOYED, **arrays)


def _tell(job: Job, ready: Prepared, seen: Seen, origin: str, record: dict[str, Any]) -> None:
    outcome = deploy_report.compare(
        ready.plan, ready.prediction.waves, ready.prediction.labels, seen.waves, seen.labels,
        ready.labels,
    )  # fmt: skip
    verdicts = [
        *deploy_report.verdicts(ready.plan, outcome, record.get("provenance", {})),
        *deploy_report.stray_verdicts(record.get("strays", {})),
    ]
    record = {"model": ready.plan.name, **record, **outcome.as_dict(), "verdicts": verdicts}
    job.run.save_json(RECORD, record, origin)
    files = deploy_report.figure(sheet_of(job, origin), outcome)
    job.keep([DEPLOYED, RECORD, *files])
    job.say(outcome.as_text(origin))
    if record.get("speed"):
        job.say(deploy_report.speed_text(record["speed"], ready.images))
    for verdict in verdicts:
        job.say(f"verdict: {verdict}")
    job.say(f"results: {job.run.file(RECORD)}; figure: {files[0]}")


def compare(job: Job) -> None:
    """Tell again how a deployment compares with the host, from what was saved."""
    host_model(job, "compare")
    if not job.run.has(DEPLOYED):
        raise NotTrainedError(
            f"{job.run.file(DEPLOYED)}: not deployed yet (run --mode deploy first)"
        )
    saved = job.run.load_arrays(DEPLOYED, ("labels", "identity", "origin"))
    ready = prepared(replace(job, shown=len(saved["labels"])), "compare")
    if str(saved["identity"]) != ready.identity:
        raise UsageError(
            f"{job.run.file(DEPLOYED)}: of other weights or images (run --mode deploy again)"
        )
    record = {
        key: value
        for key, value in job.run.load_json(RECORD).items()
        if key in ("needs", "speed", "provenance", "strays")
    }
    seen = Seen(_loaded(job, ready, saved), saved["labels"], {})
    _tell(job, ready, seen, str(saved["origin"]), record)


def _loaded(job: Job, ready: Prepared, saved: Mapping[str, Any]) -> dict[str, Waves]:
    waves = {}
    for part in ready.plan.layers[1:]:
        key = part.name.replace(" ", "_")
        try:
            arrays = (saved[f"{key}_{name}"] for name in ("start", "unit", "step"))
            waves[part.name] = Waves(part.shape, ready.plan.steps, *arrays)
        except KeyError as error:
            raise StorageError(f"{job.run.file(DEPLOYED)}: lacks {error}") from error
    return waves


def info(job: Job) -> None:
    """Tell what a trained model needs of a board, and refuse what does not fit."""
    host_model(job, "info")
    held = lesson(job)
    plan = planned(held)
    images = min(IMAGES, len(held.images.test)) if job.shown is None else job.shown
    needs = preflight.bill(plan, images, job.version)
    job.say(f"{plan.name} on SpiNN-{job.version}, {images:,} images:\n{needs.as_text()}")
    preflight.refuse(plan, needs, job.version)
