"""The workflow: load data, train layer by layer, fit the read-out, test. One function per step.

Every step is a command of its own; steps hand results on through the run directory alone.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet import backends, report
from spikingconvnet.backends import Backend, provenance
from spikingconvnet.backends import stages as board_stages
from spikingconvnet.classes import classifier, network
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.layers import Classifier
from spikingconvnet.classes.model import SpikingConvNet, Stage
from spikingconvnet.classes.network import (
    Activity,
    InferenceNetwork,
    SpikeTrains,
    TrainingNetwork,
)
from spikingconvnet.config import Config
from spikingconvnet.errors import NoDataError, NotTrainedError, StorageError, UsageError
from spikingconvnet.utilities import datasets, logs, metrics, pictures
from spikingconvnet.utilities.progress import Bar, StepBars
from spikingconvnet.utilities.storage import LayerWeights, RunDirectory

log = logging.getLogger(__name__)

DATA, DATA_RECORD, PARAMETERS = "data.npz", "data.json", "parameters.py"
READOUT, READOUT_RECORD = "readout.npz", "readout.json"
METRICS, METRICS_TEXT, PREDICTIONS = "metrics.json", "metrics.txt", "predictions.npz"
FIGURES, TOOLCHAIN_LOG, TIMING = "figures", "toolchain.log", "timing.json"
SHOWN_INPUTS = 49
"""Images in the figure of the inputs."""
SVM_SCORE = "decision value of the support vector machine"
WATCHED_NEURONS = 4
"""Neurons of each layer whose potential is recorded in a test."""
_DATA_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "classes", "source")
_STREAMS = {"data": 0, "weights": 1, "windows": 2, "encode train": 3, "encode test": 4, "svm": 5}


@dataclass(frozen=True)
class Job:
    """Hold what every step needs: settings, run directory, board, and how to tell the user."""

    config: Config
    run: RunDirectory
    board: str
    version: int
    seed: int
    backup: bool
    say: Callable[[str], None]
    model: HostModel | FullyConnectedModel | None = None
    """A network for the host engine; None: the layers of the parameter file, on a board."""
    picture: pictures.Request | None = None
    """What --image names, for the modes that look at one picture."""
    shown: int | None = None
    """How many test images a board is shown; None: as many as is usual."""
    on_board: bool = False
    """The board was asked for by name, also where it is the usual one."""

    def rng(self, stream: str, *numbers: int) -> np.random.Generator:
        """Return the generator of one purpose, the same whatever ran before."""
        return np.random.default_rng([self.seed, _STREAMS[stream], *numbers])

    def keep(self, names: Sequence[str | Path]) -> None:
        """Copy results into a backup folder, unless that was refused."""
        if self.backup:
            self.run.backup([name for name in names if self.run.file(name).exists()])


@dataclass(frozen=True, eq=False)
class Images:
    """Hold the images and labels that `load_data` chose; `names` belong to `classes`."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    classes: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width) of the images."""
        height, width = self.train.shape[1:]
        return height, width

    def numbers(self, labels: np.ndarray) -> np.ndarray:
        """Return the place in `classes` of every label."""
        order = np.argsort(self.classes)
        found = order[np.searchsorted(self.classes, labels, sorter=order)]
        return np.asarray(found, dtype=np.int64)


# ---- data ----------------------------------------------------------------------------------------


def load_data(job: Job) -> None:
    """Draw training and test images and save them in the run directory."""
    wanted = job.config.data
    with StepBars() as bars:
        dataset = datasets.load(wanted.name, wanted.folder, progress=bars)
    chosen = datasets.select(
        dataset, wanted.classes, wanted.train_per_class, wanted.test_per_class, job.rng("data")
    )
    chosen = datasets.thinned(chosen, wanted.train_ratio)
    if wanted.augment:
        chosen = datasets.augmented(chosen, job.rng("data", 1))
    _check_fit(job, chosen.train_images.shape[1:])
    names = list(chosen.names or map(str, chosen.classes))
    job.run.save_arrays(
        DATA,
        train_images=chosen.train_images,
        train_labels=chosen.train_labels,
        train_index=chosen.train_index,
        test_images=chosen.test_images,
        test_labels=chosen.test_labels,
        test_index=chosen.test_index,
        classes=np.array(chosen.classes),
        names=np.array(names),
        source=chosen.source,
    )
    origin = f"{dataset.name} from {chosen.source}"
    record = {
        "data": dataset.name,
        "classes": list(chosen.classes),
        "names": names,
        "train_images": len(chosen.train_images),
        "test_images": len(chosen.test_images),
        "seed": job.seed,
    }
    job.run.save_json(DATA_RECORD, record, origin)
    job.run.save_text(PARAMETERS, job.config.text)
    shown = [names[chosen.classes.index(label)] for label in chosen.train_labels[:SHOWN_INPUTS]]
    report.input_figures(sheet_of(job, dataset.name), chosen.train_images, shown)
    job.keep([DATA, DATA_RECORD, PARAMETERS])
    for note in dataset.notes:
        job.say(note)
    job.say(
        f"{origin}: {len(chosen.train_images):,} training and {len(chosen.test_images):,} test "
        f"images of classes {', '.join(names)}"
    )


def _check_fit(job: Job, shape: tuple[int, int]) -> None:
    """Raise ModelError when the layers do not fit images of a (height, width)."""
    if job.model is None:
        job.config.model(shape)
    else:
        job.model.tensors(shape)


def images_of(job: Job) -> Images:
    """Return the images that `load_data` saved. NotTrainedError when it has not."""
    if not job.run.has(DATA):
        raise NotTrainedError(f"{job.run.file(DATA)}: no data yet (run --mode loaddata first)")
    found = job.run.load_arrays(DATA, _DATA_ARRAYS)
    train, train_labels, test, test_labels = (found[name] for name in _DATA_ARRAYS[:4])
    classes = found["classes"].tolist()
    names = found["names"].tolist() if "names" in found else map(str, classes)
    data = Images(train, train_labels, test, test_labels, tuple(classes), tuple(names))
    for part, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        if part.ndim != 3 or len(part) != len(labels):
            raise StorageError(
                f"{job.run.file(DATA)}: images of shape {part.shape} for {len(labels)} labels "
                "(run --mode loaddata again)"
            )
    return data


# ---- read-out and test ---------------------------------------------------------------------------


def fit_readout(job: Job) -> None:
    """Fit the read-out to the spike counts of the training images, and one for the control."""
    data = images_of(job)
    model = job.config.model(data.train.shape[1:])
    with running_backend(job) as backend:
        sets = _both(job, model, made_up=not backend.has_data)
        activity = infer(
            job, backend, model.stages, sets, data.train, "encode train", "counting spikes"
        )
        require_data(backend, "a read-out cannot be fitted")
    features = _features(job, activity, len(data.train))
    settings = model.classifier or Classifier()
    readouts = {
        name: classifier.fit(table, data.train_labels, settings, job.rng("svm"))
        for name, table in features.items()
    }
    accuracy = {
        name: metrics.accuracy(data.train_labels, readouts[name].predict(features[name]))
        for name in readouts
    }
    arrays = {
        f"{name}_{part}": array
        for name, readout in readouts.items()
        for part, array in readout.arrays().items()
    }
    job.run.save_arrays(READOUT, **arrays, weights=fingerprint(sets[0]), origin=backend.origin)
    record = {
        "training_accuracy": accuracy,
        "C": {name: readout.C for name, readout in readouts.items()},
        "seed": job.seed,
    }
    job.run.save_json(READOUT_RECORD, record, backend.origin)
    job.keep([READOUT, READOUT_RECORD, TOOLCHAIN_LOG])
    tell(job, report.activity_verdicts(model.stages[-1:], activity[0], len(data.train)))
    job.say(
        f"read-out fitted to {len(data.train):,} images: training accuracy "
        f"{accuracy['trained']:.1%}, untrained control {accuracy['control']:.1%}"
    )


def test(job: Job) -> None:
    """Show the test images, judge the read-outs on them, and save metrics and figures."""
    data = images_of(job)
    model = job.config.model(data.test.shape[1:])
    with running_backend(job) as backend:
        sets = _both(job, model, made_up=not backend.has_data)
        readouts = readouts_for(job, sets[0]) if backend.has_data else {}
        activity = infer(
            job, backend, model.stages, sets, data.test, "encode test", "testing", watch=True
        )
        require_data(backend, "there is no accuracy to measure")
    features = _features(job, activity, len(data.test))
    predicted = {name: readouts[name].predict(table) for name, table in features.items()}
    scores = {name: _scores(data, readouts[name], table) for name, table in features.items()}
    judged = {
        name: metrics.evaluate(data.test_labels, labels, data.classes, scores[name], data.names)
        for name, labels in predicted.items()
    }
    verdicts = [
        *report.activity_verdicts(model.stages, activity[0], len(data.test)),
        *report.testing_verdicts(judged),
    ]
    arrays = predicted | {f"{name}_scores": values for name, values in scores.items()}
    _save_test(job, backend.origin, data, arrays, judged, verdicts)
    report.testing_figures(
        sheet_of(job, backend.origin), model.stages, activity[0], features["trained"],
        data.test_labels, judged["trained"],
    )  # fmt: skip
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS, FIGURES, TOOLCHAIN_LOG])
    tell(job, verdicts)
    job.say(job.run.load_text(METRICS_TEXT))
    job.say(f"results: {job.run.path}; figures: {job.run.file(FIGURES)}")


def _save_test(
    job: Job,
    origin: str,
    data: Images,
    arrays: Mapping[str, np.ndarray],
    judged: Mapping[str, metrics.Metrics],
    verdicts: Sequence[str],
) -> None:
    job.run.save_arrays(PREDICTIONS, labels=data.test_labels, origin=origin, **arrays)
    record = {
        "seed": job.seed,
        "score": SVM_SCORE,
        "verdicts": list(verdicts),
        **{name: result.as_dict() for name, result in judged.items()},
    }
    job.run.save_json(METRICS, record, origin)
    text = (
        f"trained network on {origin}\n{judged['trained'].as_text()}\n\n"
        f"control: the same network with its untrained kernels and a read-out of its own\n"
        f"accuracy {judged['control'].accuracy:.2%}\n"
    )
    job.run.save_text(METRICS_TEXT, text)


def _scores(data: Images, readout: LinearReadout, features: np.ndarray) -> np.ndarray:
    """Return decision values (images, classes of the data set)."""
    return by_class(data, readout, readout.scores(features))


def by_class(data: Images, readout: LinearReadout, scores: np.ndarray) -> np.ndarray:
    """Return scores in the order of the data set's classes; one never taught is below the rest."""
    whole = np.full((len(scores), len(data.classes)), scores.min(initial=0.0) - 1)
    whole[:, data.numbers(readout.classes)] = scores
    return whole


def _features(job: Job, activity: Sequence[Activity], images: int) -> dict[str, np.ndarray]:
    """Return the spike counts (images, neurons) of the last layer, trained and control."""
    interval_ms = job.config.encoder.interval_ms
    return {
        name: network.spike_counts(list(one.spikes.values())[-1], interval_ms, images)
        for name, one in zip(("trained", "control"), activity, strict=True)
    }


def readouts_for(job: Job, weights: Sequence[np.ndarray]) -> dict[str, LinearReadout]:
    """Return the saved read-outs, trained and control, checked to be fitted to these weights."""
    if not job.run.has(READOUT):
        raise NotTrainedError(
            f"{job.run.file(READOUT)}: no read-out yet (run --mode training --layer svm first)"
        )
    arrays = job.run.load_arrays(READOUT, ("weights",))
    if str(arrays["weights"]) != fingerprint(weights):
        raise UsageError(
            f"{job.run.file(READOUT)}: fitted to other weights than there are now (run --mode "
            "training --layer svm again)"
        )
    try:
        return {
            name: LinearReadout.from_arrays(
                {part: arrays[f"{name}_{part}"] for part in ("classes", "coef", "intercept", "C")}
            )
            for name in ("trained", "control")
        }
    except KeyError as error:
        raise StorageError(f"{job.run.file(READOUT)}: lacks {error}") from error


# ---- other commands -----------------------------------------------------------------------------


def describe(job: Job) -> None:
    """Tell the settings, the model, and what the run directory holds; draw the kernels."""
    config = job.config
    model = config.model(image_shape(job))
    job.say(f"parameters: {config.path}\nseed: {job.seed}\nboard: {job.board}")
    for title in ("data", "encoder", "filter", "training"):
        job.say(f"{title}: {getattr(config, title)}")
    job.say(model.describe())
    job.say(f"run directory: {job.run.path}")
    for name in (DATA, READOUT, METRICS):
        job.say(f"  {name}: {'there' if job.run.has(name) else 'not yet'}")
    for number in range(1, len(model.conv_layers) + 1):
        name = job.run.weights_file(number).name
        if not job.run.has_weights(number):
            job.say(f"  {name}: not yet")
            continue
        weights = _loaded(job, model, number)
        files = report.weight_figures(sheet_of(job, weights.origin), number, weights)
        low, high = weights.weights.min(), weights.weights.max()
        job.say(
            f"  {name}: {low:.3f} to {high:.3f} nA, mean {weights.weights.mean():.3f}, from "
            f"{weights.origin}; {files[0]}"
        )
    if job.run.has(METRICS_TEXT):
        job.say(job.run.load_text(METRICS_TEXT))


def image_shape(job: Job) -> tuple[int, int]:
    """Return (height, width) of the images there are, or of the data set that is named."""
    if job.run.has(DATA):
        height, width = images_of(job).train.shape[1:]
        return height, width
    return (8, 8) if job.config.data.name == "digits" else (28, 28)


# ---- what steps share ----------------------------------------------------------------------------


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


def _loaded(job: Job, model: SpikingConvNet, number: int) -> LayerWeights:
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
        found = _loaded(job, model, number)
        if not made_up and found.rule.get("below") != fingerprint(weights):
            raise UsageError(
                f"{job.run.weights_file(number)}: trained on other weights of the layers below "
                f"(run --mode training --layer {number} again)"
            )
        weights.append(found.weights)
    return weights


def _both(job: Job, model: SpikingConvNet, made_up: bool) -> list[list[np.ndarray]]:
    """Return the trained weights and, as control, the untrained ones."""
    numbers = range(1, len(model.conv_layers) + 1)
    control = [initial_weights(job, model, number) for number in numbers]
    if not made_up:
        control = [_loaded(job, model, number).initial for number in numbers]
    return [trained_weights(job, model, len(numbers), made_up), control]


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
    with progress(title) as shown:
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


def fingerprint(weights: Sequence[np.ndarray]) -> str:
    """Return a short name of some weights, different for different ones."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()[:16]


def sheet_of(job: Job, origin: str) -> report.Sheet:
    """Return where the figures of a run go."""
    return report.Sheet(job.run.file(FIGURES), job.config.figures.formats, origin)


@contextmanager
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """Show a bar; give a function that takes the share done."""
    with Bar(label, 100) as bar:
        yield lambda share: bar.update(max(0, round(100 * share) - bar.done))


def tell(job: Job, verdicts: Iterable[str]) -> None:
    """Print verdicts."""
    for verdict in verdicts:
        job.say(f"verdict: {verdict}")


def _tell_timing(job: Job, backend: Backend) -> None:
    """Save what each core did in its ticks, where that is counted, and tell if it was too much."""
    if backend.accounts:
        job.run.save_json(TIMING, {"programs": backend.accounts}, backend.origin)
        tell(job, report.timing_verdicts(backend.accounts))


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
