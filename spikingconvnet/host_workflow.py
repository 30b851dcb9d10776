"""The workflow of networks that the host engine trains: the same steps, commands and files."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.host_model import HostModel, Place
from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.engine import decision, features
from spikingconvnet.engine.layers import ConvTrainer
from spikingconvnet.engine.network import Network
from spikingconvnet.errors import NotTrainedError, StorageError, UsageError
from spikingconvnet.utilities import metrics
from spikingconvnet.utilities.progress import Bar
from spikingconvnet.utilities.storage import LayerWeights
from spikingconvnet.workflow import (
    METRICS,
    METRICS_TEXT,
    PREDICTIONS,
    READOUT,
    READOUT_RECORD,
    Images,
    Job,
    fingerprint,
    images_of,
)

ORIGIN = "host engine"
CHECK_EVERY = 10
"""Images between two looks at the convergence measure."""


@dataclass(frozen=True)
class Lesson:
    """Hold what every step needs of a host model: the job, the model and the images."""

    job: Job
    model: HostModel
    images: Images

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width) of the images."""
        height, width = self.images.train.shape[1:]
        return height, width

    def initial(self, place: Place) -> NDArray[np.float64]:
        """Return the weights that a convolution starts from, the same in every command."""
        rng = self.job.rng("weights", place.number)
        return place.layer.rule.initial_weights(place.layer.weight_shape(place.input_shape), rng)

    def trained(self, count: int | None = None) -> list[NDArray[np.float64]]:
        """Return the trained weights of the first `count` convolutions (None: of all)."""
        weights: list[NDArray[np.float64]] = []
        for place in self.model.places(self.shape):
            if count is not None and place.number > count:
                break
            weights.append(self._loaded(place, weights))
        return weights

    def _loaded(self, place: Place, below: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        run, number = self.job.run, place.number
        again = f"run --mode training --layer {number}"
        if not run.has_weights(number):
            raise NotTrainedError(
                f"{run.weights_file(number)}: layer {number} is not trained yet ({again} first)"
            )
        found = run.load_weights(number)
        wanted = place.layer.weight_shape(place.input_shape)
        if found.weights.shape != wanted or found.rule.get("below") != fingerprint(below):
            raise UsageError(
                f"{run.weights_file(number)}: weights of shape {found.weights.shape}, or trained "
                f"on other layers below (the model has {wanted}; {again} again)"
            )
        return found.weights

    def untrained(self) -> list[NDArray[np.float64]]:
        """Return the weights that training would start from."""
        return [self.initial(place) for place in self.model.places(self.shape)]


def lesson(job: Job) -> Lesson:
    """Return what a step needs; NotTrainedError when no data has been loaded."""
    assert job.model is not None
    return Lesson(job, job.model, images_of(job))


# ---- training ------------------------------------------------------------------------------------


def train_layer(job: Job, number: int) -> None:
    """Train one convolution on the waves that enter it."""
    held = lesson(job)
    place = held.model.place(number, held.shape)
    below = held.trained(_below(held, place))
    order = _presentations(held, place)
    shown, order = np.unique(order, return_inverse=True)
    network = Network(held.model, held.shape, below)
    title = f"training layer {number}"
    with _bar(f"{title}, layers below") as report:
        waves, _ = network.run(held.images.train[shown], place.stage, report)
    initial = held.initial(place)
    trainer = ConvTrainer(place.layer, waves, order, initial, CHECK_EVERY)
    started = time.perf_counter()
    progress = _train(job, place, trainer, title, _identity(held, place, below))
    seconds = time.perf_counter() - started
    record = {
        **dataclasses.asdict(place.layer.rule),
        "kind": type(place.layer.rule).__name__,
        "below": fingerprint(below),
        "images": progress.shown,
        "updates": progress.updates,
        "convergence": progress.convergence,
        "trace": trainer.trace,
    }
    weights = LayerWeights(trainer.weights, initial, record, ORIGIN, job.seed)
    path = job.run.save_weights(number, weights, csv=job.config.csv)
    job.run.file(_checkpoint(number)).unlink(missing_ok=True)
    job.keep([path.name, path.with_suffix(".csv").name])
    job.say(
        f"{title}: {progress.shown:,} images, {progress.updates:,} updates, mean w(1 - w) "
        f"{progress.convergence:.4f}; {seconds:.1f} s"
    )
    job.say(f"weights of layer {number}: {path}")


def _below(held: Lesson, place: Place) -> int:
    """Return how many convolutions stand in earlier stages than a place."""
    return sum(other.stage < place.stage for other in held.model.places(held.shape))


def _presentations(held: Lesson, place: Place) -> NDArray[np.int64]:
    """Return which images are shown, in order: all of them, shuffled, again and again."""
    rng = held.job.rng("windows", place.number)
    count, wanted = len(held.images.train), place.layer.images
    turns = [rng.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate([*turns, np.empty(0, np.int64)])[:wanted].astype(np.int64)


def _checkpoint(number: int) -> str:
    return f"checkpoint_layer_{number}.npz"


def _identity(held: Lesson, place: Place, below: list[NDArray[np.float64]]) -> str:
    """Return a short name of all that decides how a training goes."""
    digest = hashlib.sha256()
    for part in (held.model.encoder, place.layer, held.job.seed, fingerprint(below)):
        digest.update(repr(part).encode())
    digest.update(np.ascontiguousarray(held.images.train).tobytes())
    return digest.hexdigest()[:16]


def _train(job: Job, place: Place, trainer: ConvTrainer, title: str, identity: str) -> Any:
    """Show all images, saving a checkpoint every so many; go on from one that is there."""
    name, every = _checkpoint(place.number), job.config.checkpoint_every
    if job.run.has(name):
        state = job.run.load_arrays(name, ("identity",))
        if str(state["identity"]) == identity:
            trainer.restore(state)
            job.say(f"{title}: going on from a checkpoint at image {trainer.shown:,}")
    total = max(place.layer.images, 1)
    with _bar(title) as report:
        progress = trainer.progress
        while not progress.finished:
            progress = trainer.run(every)
            report(progress.shown / total)
            if not progress.finished:
                job.run.save_arrays(name, identity=identity, **trainer.state())
    return progress


# ---- read-out and test ---------------------------------------------------------------------------


def fit_readout(job: Job) -> None:
    """Teach the read-out on the trained network, and one for the untrained control."""
    held = lesson(job)
    sets = {"trained": held.trained(), "control": held.untrained()}
    arrays: dict[str, Any] = {}
    accuracy: dict[str, float] = {}
    for name, weights in sets.items():
        with _bar(f"features, {name}") as report:
            waves, spikes = Network(held.model, held.shape, weights).run(
                held.images.train, report=report
            )
        fitted, accuracy[name] = _READOUTS[_kind(held.model)].fit(held, waves, name)
        arrays.update({f"{name}_{part}": array for part, array in fitted.items()})
        if name == "trained":
            _tell_spikes(job, spikes)
    job.run.save_arrays(READOUT, **arrays, weights=fingerprint(sets["trained"]), origin=ORIGIN)
    record = {"training_accuracy": accuracy, "readout": repr(held.model.readout), "seed": job.seed}
    job.run.save_json(READOUT_RECORD, record, ORIGIN)
    job.keep([READOUT, READOUT_RECORD])
    job.say(
        f"read-out fitted to {len(held.images.train):,} images: training accuracy "
        f"{accuracy['trained']:.2%}, untrained control {accuracy['control']:.2%}"
    )


def test(job: Job) -> None:
    """Classify the test images with the trained network and with the untrained control."""
    held = lesson(job)
    sets = {"trained": held.trained(), "control": held.untrained()}
    saved = _saved_readout(job, sets["trained"])
    predicted: dict[str, NDArray[np.int64]] = {}
    spikes: dict[str, list[float]] = {}
    started = time.perf_counter()
    for name, weights in sets.items():
        with _bar(f"testing, {name}") as report:
            waves, counts = Network(held.model, held.shape, weights).run(
                held.images.test, report=report
            )
        part = {
            key.removeprefix(f"{name}_"): array
            for key, array in saved.items()
            if key.startswith(f"{name}_")
        }
        predicted[name] = _READOUTS[_kind(held.model)].predict(held, waves, part)
        spikes[name] = counts.tolist()
    seconds = time.perf_counter() - started
    labels, classes = held.images.test_labels, held.images.classes
    judged = {name: metrics.evaluate(labels, found, classes) for name, found in predicted.items()}
    _save_test(held, judged, predicted, spikes)
    job.say(job.run.load_text(METRICS_TEXT))
    job.say(f"{2 * len(labels) / seconds:,.0f} images a second; results: {job.run.path}")


def _save_test(
    held: Lesson,
    judged: dict[str, metrics.Metrics],
    predicted: dict[str, NDArray[np.int64]],
    spikes: dict[str, list[float]],
) -> None:
    job = held.job
    job.run.save_arrays(PREDICTIONS, labels=held.images.test_labels, origin=ORIGIN, **predicted)
    record = {
        "model": held.model.name,
        "seed": job.seed,
        "spikes_per_image": spikes,
        **{name: result.as_dict() for name, result in judged.items()},
    }
    job.run.save_json(METRICS, record, ORIGIN)
    counts = ", ".join(f"{count:,.1f}" for count in spikes["trained"])
    text = (
        f"{held.model.name} on the {ORIGIN}\n{judged['trained'].as_text()}\n\n"
        f"spikes an image, input first: {counts}; {sum(spikes['trained']):,.0f} in all\n"
        "control: the same network with its untrained kernels and a read-out of its own\n"
        f"accuracy {judged['control'].accuracy:.2%}\n"
    )
    job.run.save_text(METRICS_TEXT, text)
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS])


def _saved_readout(job: Job, weights: list[NDArray[np.float64]]) -> dict[str, Any]:
    again = "run --mode training --layer svm"
    if not job.run.has(READOUT):
        raise NotTrainedError(f"{job.run.file(READOUT)}: no read-out yet ({again} first)")
    saved = job.run.load_arrays(READOUT, ("weights",))
    if str(saved["weights"]) != fingerprint(weights):
        raise UsageError(
            f"{job.run.file(READOUT)}: fitted to other weights of the layers ({again} again)"
        )
    return saved


@dataclass(frozen=True)
class _Kind:
    """Hold how one kind of read-out is fitted and asked."""

    fit: Callable[[Lesson, Any, str], tuple[dict[str, Any], float]]
    predict: Callable[[Lesson, Any, dict[str, Any]], NDArray[np.int64]]


def _kind(model: HostModel) -> str:
    return "svm" if isinstance(model.readout, LinearSVM) else "decision"


def _fit_svm(held: Lesson, waves: Any, _name: str) -> tuple[dict[str, Any], float]:
    settings = held.model.readout
    assert isinstance(settings, LinearSVM)
    labels = held.images.train_labels
    readout = features.fit_svm(waves, labels, settings, held.job.rng("svm"))
    seen = readout.predict(features.table(waves, settings.features))
    return readout.arrays(), metrics.accuracy(labels, seen)


def _ask_svm(held: Lesson, waves: Any, saved: dict[str, Any]) -> NDArray[np.int64]:
    settings = held.model.readout
    assert isinstance(settings, LinearSVM)
    readout = LinearReadout.from_arrays(saved)
    return readout.predict(features.table(waves, settings.features))


def _trainer(held: Lesson, shape: Any) -> Any:
    layer, classes = held.model.readout, len(held.images.classes)
    assert not isinstance(layer, LinearSVM)
    weights = decision.decision_weights(layer, shape, classes, held.job.rng("svm"))
    return decision.decision_trainer(layer, shape, classes, weights, held.job.seed)


def _teach(held: Lesson, waves: Any, name: str) -> tuple[dict[str, Any], float]:
    layer = held.model.readout
    assert not isinstance(layer, LinearSVM)
    trainer = _trainer(held, waves.shape)
    labels = np.searchsorted(held.images.classes, held.images.train_labels).astype(np.int64)
    with _bar(f"teaching the read-out, {name}") as report:
        while trainer.epochs_done < layer.epochs:
            trainer.run_epoch(waves, labels)
            report(trainer.epochs_done / layer.epochs)
    return trainer.state(), trainer.history[-1].right


def _ask(held: Lesson, waves: Any, saved: dict[str, Any]) -> NDArray[np.int64]:
    trainer = _trainer(held, waves.shape)
    trainer.restore(saved)
    found = trainer.predict(waves)
    return np.where(found < 0, -1, np.array(held.images.classes)[found])


_READOUTS = {"svm": _Kind(_fit_svm, _ask_svm), "decision": _Kind(_teach, _ask)}


# ---- info ----------------------------------------------------------------------------------------


def describe(job: Job) -> None:
    """Show the model, and what the run directory holds."""
    assert job.model is not None
    model, shape = job.model, (28, 28)
    if job.run.has("data.npz"):
        held = lesson(job)
        shape = held.shape
    job.say(f"{model.name}: {model.source}")
    tensors = model.tensors(shape)
    job.say(f"encoder   {model.encoder!r}\n          sends {_by(tensors[0])}")
    for place in model.places(shape):
        layer = place.layer
        output = layer.output_shape(place.input_shape)
        job.say(
            f"layer {place.number}   {layer.maps} maps of {_by(layer.shape)}, "
            f"threshold {layer.threshold:g}, {type(layer.rule).__name__}; gives {_by(output)}"
        )
    job.say(f"read-out  {model.readout!r}")
    for place in model.places(shape):
        if not job.run.has_weights(place.number):
            continue
        try:
            found = job.run.load_weights(place.number)
        except StorageError as error:
            job.say(f"weights of layer {place.number}: {error}")
            continue
        job.say(f"weights of layer {place.number}: from {found.origin}, seed {found.seed}")
    if job.run.has(METRICS_TEXT):
        job.say(job.run.load_text(METRICS_TEXT))


def _by(shape: Any) -> str:
    return " x ".join(map(str, shape))


def _tell_spikes(job: Job, spikes: NDArray[np.float64]) -> None:
    counts = ", ".join(f"{count:,.1f}" for count in spikes)
    job.say(f"spikes an image, input first: {counts}")
    if not spikes[-1]:
        job.say("verdict: the last layer is silent (lower its threshold)")


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    with Bar(label, 100) as bar:
        yield lambda share: bar.update(max(0, round(100 * share) - bar.done))
