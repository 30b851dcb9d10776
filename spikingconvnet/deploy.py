"""Put a network that the host trained on a board, and hold the board to what the host predicts."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import backends, checkpoints, deploy_report, host_readouts
from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.backends import Backend, preflight, provenance, reference
from spikingconvnet.board_steps import running_backend
from spikingconvnet.classes import deployability
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.deployed import SOURCE, Answers, Deployment, check_model, deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork, Seen
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import DenseDecision, SpikingConv
from spikingconvnet.deploy_batches import Kept, arrays_of, seen_in
from spikingconvnet.engine import board_semantics
from spikingconvnet.engine.encode import encode
from spikingconvnet.errors import NotTrainedError, StorageError, UsageError
from spikingconvnet.host_lesson import Lesson, lesson
from spikingconvnet.job import Job, bar, fingerprint, sheet_of, tell

DEPLOYED, RECORD, REFERENCE = "deployed.npz", "deployed.json", "reference.json"
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
    weights: host_readouts.Weights
    images: int
    prediction: Prediction
    identity: str

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return the true labels."""
        return np.asarray(self.held.images.test_labels[: self.images])

    def outcome(self, seen: Seen) -> deploy_report.Outcome:
        """Return how what was seen compares with the prediction."""
        return deploy_report.compare(
            self.plan, self.prediction.waves, self.prediction.labels, seen.waves, seen.labels,
            self.labels,
        )  # fmt: skip


def host_model(job: Job, mode: str) -> HostModel:
    """Return the model of a job if it can be deployed; UsageError if not."""
    if not isinstance(job.model, HostModel):
        if isinstance(job.model, FullyConnectedModel):
            raise UsageError(f"--mode {mode}: {job.model.name} {deployability.verdict(job.model)}")
        raise UsageError(
            f"--mode {mode}: the layers of the parameter file (must be a convolutional network of "
            "the zoo: --model NAME)"
        )
    check_model(job.model)
    return job.model


# ---- from the run directory to a deployment ------------------------------------------------------


def planned(held: Lesson) -> tuple[Deployment, host_readouts.Weights]:
    """Return the populations and projections of what the run directory holds, and its weights."""
    weights, part = host_readouts.saved(held, "trained")
    host_readouts.check_same_network(held)
    return deployment(held.model, held.shape, weights, _answers(held, part)), weights


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


def predicted(
    held: Lesson, plan: Deployment, weights: host_readouts.Weights, images: NDArray[np.uint8]
) -> Prediction:
    """Return what a board will do with some images."""
    waves = {SOURCE: encode(held.model.encoder, images)}
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
    plan, weights = planned(held)
    most = len(held.images.test)
    images = min(IMAGES, most) if job.shown is None else job.shown
    if not 1 <= images <= most:
        raise UsageError(f"--images: {images} (must be in 1..{most}, the test images)")
    chosen = held.images.test[:images]
    numbers = [link.connections.weight for link in plan.links]
    numbers += [each.kernels for each in plan.kernels]
    prediction = predicted(held, plan, weights, chosen)
    return Prepared(held, plan, weights, images, prediction, fingerprint([*numbers, chosen]))


# ---- modes ---------------------------------------------------------------------------------------


def deploy(job: Job) -> None:
    """Run the trained network on a board and tell how its answers compare with the host's."""
    started = time.perf_counter()
    ready = prepared(job, "deploy")
    built_s = time.perf_counter() - started
    needs = _tell_bill(job, ready.plan, ready.images)
    job.say(f"prediction and connection lists: {built_s:.1f} s")
    preflight.refuse(ready.plan, needs, job.version)
    kept = Kept(job, ready.plan, ready.images)
    with checkpoints.told(job, "images", kept.progress), running_backend(job) as backend:
        if backend.has_data:
            kept.load(ready.identity, backend.origin)
        speed = _run(job, backend, ready, kept)
    if not backend.has_data:
        return
    seen, counts = kept.whole()
    job.run.save_arrays(DEPLOYED, **arrays_of(seen), identity=ready.identity, origin=backend.origin)
    kept.remove()
    counts |= preflight.quantised(needs)
    record = {"needs": asdict(needs), "speed": speed, "provenance": counts, "strays": seen.strays}
    _tell(job, ready, seen, backend.origin, record)


def _tell_bill(job: Job, plan: Deployment, images: int) -> preflight.Bill:
    """Tell what a deployment needs of the job's board, and return it."""
    needs = preflight.bill(plan, images, job.version)
    job.say(f"{plan.name} on SpiNN-{job.version}, {images:,} images:\n{needs.as_text()}")
    return needs


def _run(job: Job, backend: Backend, ready: Prepared, kept: Kept) -> dict[str, float]:
    """Show the images that are not kept yet; return how many, and seconds by what they went into.

    Each batch is kept as it comes.
    """
    images = ready.images - kept.done
    if not images:
        return {}
    started = time.perf_counter()
    waves = ready.prediction.waves[SOURCE].select(np.arange(kept.done, ready.images))
    with bar("deploying") as report:
        network = DeployedNetwork(backend.sim, ready.plan, report=report)
        with network:
            network.build(waves, kept.every)
            built = time.perf_counter()
            reading, faults = 0.0, dict.fromkeys(provenance.COUNTS, 0)
            while kept.done < ready.images:
                count = min(kept.every, ready.images - kept.done)
                network.simulate(count)
                if not backend.has_data:
                    run_ms = float(ready.plan.duration_ms(images))
                    mapped = backends.measure(network.neurons, network.synapses, run_ms)
                    job.say(f"mapped by sPyNNaker:\n{mapped.as_text()}")
                    return {}
                ran = time.perf_counter()
                found = provenance.found()
                kept.add(network.read(count), {name: found[name] - faults[name] for name in found})
                faults = dict(found)
                reading += time.perf_counter() - ran
            shown = provenance.running_s()
    total = time.perf_counter() - started
    return {
        "images": images,
        "building_s": built - started,
        "mapping_and_loading_s": total - (built - started) - shown - reading,
        "running_s": shown,
        "reading_s": reading,
    }


def _tell(job: Job, ready: Prepared, seen: Seen, origin: str, record: dict[str, Any]) -> None:
    outcome = ready.outcome(seen)
    verdicts = [
        *deploy_report.verdicts(ready.plan, outcome, record.get("provenance", {})),
        *deploy_report.stray_verdicts(record.get("strays", {})),
        *deploy_report.weight_verdicts(
            ready.held.model.layers, ready.weights, ready.held.untrained()
        ),
    ]
    record = {"model": ready.plan.name, **record, **outcome.as_dict(), "verdicts": verdicts}
    job.run.save_json(RECORD, record, origin)
    files = deploy_report.figure(sheet_of(job, origin), outcome)
    job.keep([DEPLOYED, RECORD, *files])
    job.say(outcome.as_text(origin))
    if record.get("speed"):
        job.say(deploy_report.speed_text({"images": ready.images} | record["speed"]))
    tell(job, verdicts)
    drawn = f"; figure: {files[0]}" if files else ""
    job.say(f"results: {job.run.file(RECORD)}{drawn}")


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
    try:
        seen = seen_in(ready.plan, saved)
    except KeyError as error:
        raise StorageError(f"{job.run.file(DEPLOYED)}: lacks {error}") from error
    _tell(job, ready, seen, str(saved["origin"]), record)
    _tell_reference(job, ready)


def _tell_reference(job: Job, ready: Prepared) -> None:
    """Tell how the host compares with a simulator in double precision, where there is one."""
    if not reference.installed():
        job.say(reference.MISSING)
        return
    with bar("NEST"):
        seen = reference.run(
            ready.plan, ready.prediction.waves[SOURCE], job.run.file(reference.LOG)
        )
    outcome = ready.outcome(seen)
    sheet = sheet_of(job, reference.NAME)
    files = deploy_report.figure(sheet, outcome, "drift_reference", "NEST")
    job.run.save_json(REFERENCE, outcome.as_dict("reference"), reference.NAME)
    job.keep([REFERENCE, *files])
    job.say(outcome.as_text(reference.NAME, "NEST"))


def info(job: Job) -> None:
    """Tell what a trained model needs of a board, and refuse what does not fit."""
    host_model(job, "info")
    held = lesson(job)
    plan, _ = planned(held)
    images = min(IMAGES, len(held.images.test)) if job.shown is None else job.shown
    preflight.refuse(plan, _tell_bill(job, plan, images), job.version)
