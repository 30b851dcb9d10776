"""The workflow of networks that the host engine trains: the same steps, commands and files."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import checkpoints, host_figures, host_readouts, host_show, prediction
from spikingconvnet.classes import deployability
from spikingconvnet.classes.host_model import HostModel, Place
from spikingconvnet.classes.single_spike import DenseDecision, SpikingConv
from spikingconvnet.engine.layers import ConvTrainer
from spikingconvnet.engine.network import Network
from spikingconvnet.engine.presentation import Presentation
from spikingconvnet.errors import StorageError
from spikingconvnet.host_lesson import ORIGIN, Lesson, lesson
from spikingconvnet.job import (
    DATA,
    FIGURES,
    HISTORY,
    METRICS,
    METRICS_TEXT,
    PREDICTIONS,
    READOUT,
    READOUT_RECORD,
    Job,
    bar,
    fingerprint,
    judge,
    save_test,
    sheet_of,
)
from spikingconvnet.utilities import metrics
from spikingconvnet.utilities.storage import LayerWeights

CHECK_EVERY = 10
"""Images between two looks at the convergence measure."""


# ---- training ------------------------------------------------------------------------------------


def train_layer(job: Job, number: int) -> None:
    """Train one convolution on the waves that enter it."""
    held = lesson(job)
    place = held.model.place(number, held.shape)
    if not place.layer.images:
        job.say(f"training layer {number}: 0 images; it keeps its random kernels")
        return
    below = held.trained(held.below(place))
    order = _presentations(held, place)
    shown, order = np.unique(order, return_inverse=True)
    network = Network(held.model, held.shape, below)
    title = f"training layer {number}"
    with bar(f"{title}, layers below") as report:
        waves, _ = network.run(held.images.train[shown], place.stage, report)
    initial = held.initial(place)
    trainer = ConvTrainer(place.layer, waves, order, initial, CHECK_EVERY)
    started = time.perf_counter()
    progress = _train(held, place, trainer, title, below)
    seconds = time.perf_counter() - started
    record = {
        **dataclasses.asdict(place.layer.rule),
        "kind": type(place.layer.rule).__name__,
        "below": fingerprint(below),
        "images": progress.shown,
        "updates": progress.updates,
        "convergence": progress.convergence,
        "trace": trainer.trace,
        "trace_every": CHECK_EVERY,
    }
    weights = LayerWeights(trainer.weights, initial, record, ORIGIN, job.seed)
    path = job.run.save_weights(number, weights, csv=job.config.csv)
    checkpoints.remove(job, _checkpoint(number))
    host_figures.after_training(sheet_of(job, ORIGIN), held, place, weights, below)
    job.keep([path.name, path.with_suffix(".csv").name, FIGURES])
    if not weights.change.any():
        job.say(f"verdict: layer {number}: training changed no weight (lower its threshold)")
    job.say(
        f"{title}: {progress.shown:,} images, {progress.updates:,} updates, mean w(1 - w) "
        f"{progress.convergence:.4f}; {seconds:.1f} s"
    )
    job.say(f"weights of layer {number}: {path}")


def _presentations(held: Lesson, place: Place) -> NDArray[np.int64]:
    """Return which images are shown, in order: all of them, shuffled, again and again."""
    rng = held.job.rng("windows", place.number)
    count, wanted = len(held.images.train), place.layer.images
    turns = [rng.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate([*turns, np.empty(0, np.int64)])[:wanted].astype(np.int64)


def _checkpoint(number: int) -> str:
    return f"checkpoint_layer_{number}.npz"


def _train(
    held: Lesson,
    place: Place,
    trainer: ConvTrainer,
    title: str,
    below: list[NDArray[np.float64]],
) -> Any:
    """Show all images, saving a checkpoint every so many; go on from one that is there."""
    job, name = held.job, _checkpoint(place.number)
    wanted = checkpoints.identity(
        held.model.encoder, place.layer, job.seed, fingerprint(below), held.images.train
    )
    if checkpoints.resumed(job, name, wanted, trainer.restore):
        job.say(f"{title}: going on from a checkpoint at image {trainer.shown:,}")
    total = max(place.layer.images, 1)
    with bar(title) as report:
        progress = trainer.progress
        while not progress.finished:
            progress = trainer.run(job.config.checkpoint_every)
            report(progress.shown / total)
            if not progress.finished:
                checkpoints.save(job, name, wanted, trainer.state())
    return progress


# ---- read-out and test ---------------------------------------------------------------------------


def fit_readout(job: Job) -> None:
    """Teach the read-out on the trained network, and one for the untrained control."""
    held = lesson(job)
    sets = {"trained": held.trained(), "control": held.untrained()}
    arrays: dict[str, Any] = {}
    accuracy: dict[str, float] = {}
    for name, weights in sets.items():
        fitted, accuracy[name] = _fit(held, name, weights)
        arrays.update({f"{name}_{part}": array for part, array in fitted.items()})
    job.run.save_arrays(
        READOUT,
        **arrays,
        weights=fingerprint(sets["trained"]),
        readout=repr(held.model.readout),
        network=host_readouts.description(held),
        origin=ORIGIN,
    )
    checkpoints.remove(job, *map(host_readouts.checkpoint, sets))
    record = {"training_accuracy": accuracy, "readout": repr(held.model.readout), "seed": job.seed}
    job.run.save_json(READOUT_RECORD, record, ORIGIN)
    histories = {name: arrays[f"{name}_history"] for name in sets if f"{name}_history" in arrays}
    if histories:
        job.run.save_text(HISTORY, _history_table(histories))
        host_figures.after_readout(sheet_of(job, ORIGIN), histories)
    job.keep([READOUT, READOUT_RECORD, HISTORY, FIGURES])
    job.say(
        f"read-out fitted to {len(held.images.train):,} images: training accuracy "
        f"{accuracy['trained']:.2%}, untrained control {accuracy['control']:.2%}"
    )


def _fit(
    held: Lesson, name: str, weights: list[NDArray[np.float64]]
) -> tuple[dict[str, Any], float]:
    """Fit the read-out of one network; return its arrays and its training accuracy."""
    joint = host_readouts.taught_along(held, name) is not None
    shown = Presentation(
        Network(held.model, held.shape, weights),
        held.images.train,
        held.model.readout,
        held.job.seed,
        len(held.model.layers) - 1 if joint else None,
    )
    fitted, accuracy = host_readouts.fit(held, shown, name)
    if name == "trained":
        _tell_spikes(held.job, shown.spikes)
    return fitted, accuracy


def _history_table(histories: dict[str, NDArray[np.float64]]) -> str:
    """Return a table of the shares of right, wrong and silent answers in every epoch."""
    parts = ("right", "wrong", "silent")
    titles = ["epoch", *(f"{name}_{part}" for name in histories for part in parts)]
    lines = [",".join(titles)]
    for epoch, rows in enumerate(zip(*histories.values(), strict=True), start=1):
        lines.append(",".join([str(epoch), *(f"{value:.6f}" for row in rows for value in row)]))
    return "\n".join(lines) + "\n"


def test(job: Job) -> None:
    """Classify the test images with the trained network and with the untrained control."""
    held = lesson(job)
    answers: dict[str, host_readouts.Answers] = {}
    spikes: dict[str, list[float]] = {}
    started = time.perf_counter()
    for name in ("trained", "control"):
        weights, part = host_readouts.saved(held, name)
        with bar(f"testing, {name}") as report:
            waves, counts = Network(held.model, held.shape, weights).run(
                held.images.test, report=report
            )
        answers[name] = host_readouts.ask(held, waves, part)
        spikes[name] = counts.tolist()
    seconds = time.perf_counter() - started
    said = {name: (found.labels, found.scores) for name, found in answers.items()}
    judged = judge(held.images, said)
    record = {
        "model": held.model.name,
        "seed": job.seed,
        "spikes_per_image": spikes,
        "spikes_of": host_figures.layer_names(held),
        "score": answers["trained"].measure,
    }
    text = _text(held.model.name, judged, spikes["trained"])
    save_test(job, ORIGIN, held.images, said, judged, record, text)
    host_figures.after_test(
        sheet_of(job, ORIGIN), held, judged["trained"], answers["trained"], spikes["trained"]
    )
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS, FIGURES])
    job.say(job.run.load_text(METRICS_TEXT))
    rate = 2 * len(held.images.test) / seconds
    job.say(f"{rate:,.0f} images a second; results: {job.run.path}")


def _text(name: str, judged: dict[str, metrics.Metrics], spikes: list[float]) -> str:
    return (
        f"{name} on the {ORIGIN}\n{judged['trained'].as_text()}\n\n"
        f"{_spikes_text(spikes)}; {sum(spikes):,.0f} in all\n"
        "control: the same network with its untrained kernels and a read-out of its own\n"
        f"accuracy {judged['control'].accuracy:.2%}\n"
    )


def _spikes_text(spikes: Iterable[float]) -> str:
    counts = ", ".join(f"{count:,.1f}" for count in spikes)
    return f"spikes an image, input first, layers before and behind their pooling: {counts}"


# ---- one picture ---------------------------------------------------------------------------------


def predict(job: Job) -> None:
    """Tell the class of one picture."""
    held = lesson(job)
    weights, part = host_readouts.saved(held, "trained")
    picture = prediction.chosen(job, held.images)
    waves, _ = Network(held.model, held.shape, weights).run(picture.pixels[None])
    found = host_readouts.ask(held, waves, part)
    prediction.tell(job, held.images, picture, int(found.labels[0]), found.scores[0], found.measure)


def show(job: Job) -> None:
    """Draw what happens in the network while it sees one picture."""
    held = lesson(job)
    picture = prediction.chosen(job, held.images)
    weights, part = held.trained(), None
    if job.run.has(READOUT):
        weights, part = host_readouts.saved(held, "trained")
    files = host_show.draw(sheet_of(job, ORIGIN), held, picture, weights, part)
    job.say("\n".join(map(str, files)))


# ---- info ----------------------------------------------------------------------------------------


def describe(job: Job) -> None:
    """Show the model, and what the run directory holds."""
    assert isinstance(job.model, HostModel)
    model = job.model
    shape = lesson(job).shape if job.run.has(DATA) else (28, 28)
    job.say(f"{model.name}: {model.source}")
    tensors = model.tensors(shape)
    job.say(f"encoder   {model.encoder!r}\n          sends {_by(tensors[0])}")
    for place in model.places(shape):
        layer = place.layer
        output = layer.output_shape(place.input_shape)
        job.say(
            f"layer {place.number}   {layer.maps} maps of {_by(layer.shape)}, "
            f"threshold {layer.threshold:g}, {_learning(layer)}; gives {_by(output)}"
        )
    job.say(f"read-out  {model.readout!r}")
    if isinstance(model.readout, DenseDecision) and model.readout.distorted_epochs:
        job.say(
            f"images    in the first {model.readout.distorted_epochs} of {model.readout.epochs} "
            f"epochs, anew in each: {model.readout.distortion}"
        )
    job.say(f"board     {deployability.verdict(model)}")
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


def _learning(layer: SpikingConv) -> str:
    """Say how the kernels of a convolution come about."""
    if not layer.images:
        return "random kernels"
    along = "" if layer.reward is None else ", then reward along with the read-out"
    return f"{type(layer.rule).__name__}{along}"


def _by(shape: Any) -> str:
    return " x ".join(map(str, shape))


def _tell_spikes(job: Job, spikes: NDArray[np.float64]) -> None:
    job.say(_spikes_text(spikes))
    if not spikes[-1]:
        job.say("verdict: the last layer is silent (lower its threshold)")
