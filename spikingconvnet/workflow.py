"""The workflow: load data, train layer by layer, fit the read-out, test. One function per step.

Loading is the same for every model; the others are those of the parameter file's, on a board, and
`board_training` is part of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spikingconvnet import report
from spikingconvnet.board_steps import (
    infer,
    initial_weights,
    layer_weights,
    require_data,
    running_backend,
    trained_weights,
)
from spikingconvnet.classes import classifier, network
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.layers import Classifier
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import Activity
from spikingconvnet.errors import NotTrainedError, StorageError, UsageError
from spikingconvnet.job import (
    DATA,
    DATA_RECORD,
    FIGURES,
    METRICS,
    METRICS_TEXT,
    PARAMETERS,
    PREDICTIONS,
    READOUT,
    READOUT_RECORD,
    SVM_SCORE,
    TOOLCHAIN_LOG,
    Images,
    Job,
    by_class,
    fingerprint,
    image_shape,
    images_of,
    judge,
    save_test,
    sheet_of,
    tell,
)
from spikingconvnet.utilities import datasets, metrics
from spikingconvnet.utilities.progress import StepBars

SHOWN_INPUTS = 49
"""Images in the figure of the inputs."""


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
    answers = {
        name: (readouts[name].predict(table), _scores(data, readouts[name], table))
        for name, table in features.items()
    }
    judged = judge(data, answers)
    verdicts = [
        *report.activity_verdicts(model.stages, activity[0], len(data.test)),
        *report.testing_verdicts(judged),
    ]
    record = {"seed": job.seed, "score": SVM_SCORE, "verdicts": verdicts}
    text = _text(backend.origin, judged)
    save_test(job, backend.origin, data, answers, judged, record, text)
    report.testing_figures(
        sheet_of(job, backend.origin), model.stages, activity[0], features["trained"],
        data.test_labels, judged["trained"],
    )  # fmt: skip
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS, FIGURES, TOOLCHAIN_LOG])
    tell(job, verdicts)
    job.say(job.run.load_text(METRICS_TEXT))
    job.say(f"results: {job.run.path}; figures: {job.run.file(FIGURES)}")


def _text(origin: str, judged: Mapping[str, metrics.Metrics]) -> str:
    return (
        f"trained network on {origin}\n{judged['trained'].as_text()}\n\n"
        f"control: the same network with its untrained kernels and a read-out of its own\n"
        f"accuracy {judged['control'].accuracy:.2%}\n"
    )


def _scores(data: Images, readout: LinearReadout, features: np.ndarray) -> np.ndarray:
    """Return decision values (images, classes of the data set)."""
    return by_class(data, readout, readout.scores(features))


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


def _both(job: Job, model: SpikingConvNet, made_up: bool) -> list[list[np.ndarray]]:
    """Return the trained weights and, as control, the untrained ones."""
    numbers = range(1, len(model.conv_layers) + 1)
    control = [initial_weights(job, model, number) for number in numbers]
    if not made_up:
        control = [layer_weights(job, model, number).initial for number in numbers]
    return [trained_weights(job, model, len(numbers), made_up), control]


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
        weights = layer_weights(job, model, number)
        files = report.weight_figures(sheet_of(job, weights.origin), number, weights)
        low, high = weights.weights.min(), weights.weights.max()
        job.say(
            f"  {name}: {low:.3f} to {high:.3f} nA, mean {weights.weights.mean():.3f}, from "
            f"{weights.origin}; {files[0]}"
        )
    if job.run.has(METRICS_TEXT):
        job.say(job.run.load_text(METRICS_TEXT))
