"""The read-outs of host models: taught on the last layer's waves, and asked."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import checkpoints
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import LinearSVM, SpikingConv, SpikingDecision
from spikingconvnet.engine import decision, features
from spikingconvnet.engine.ensembles import JointTrainer
from spikingconvnet.engine.presentation import Presentation
from spikingconvnet.errors import NotTrainedError, StorageError, UsageError
from spikingconvnet.host_lesson import Lesson
from spikingconvnet.job import READOUT, SVM_SCORE, bar, by_class, fingerprint
from spikingconvnet.utilities import metrics

Weights = list[NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Answers:
    """Hold labels (images,), -1 for silence, and what speaks for each class (images, classes)."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    measure: str


@dataclass(frozen=True)
class _Kind:
    """Hold how one kind of read-out is fitted and asked."""

    fit: Callable[[Lesson, Presentation, str], tuple[dict[str, Any], float]]
    ask: Callable[[Lesson, Waves, Mapping[str, Any]], Answers]


def fit(held: Lesson, shown: Presentation, name: str) -> tuple[dict[str, Any], float]:
    """Teach the read-out of the network `name` ("trained" or "control") what it is shown.

    Returns the arrays that `ask` takes and the share of the training images it had right at last.
    """
    return _KINDS[_kind(held.model)].fit(held, shown, name)


def ask(held: Lesson, waves: Waves, saved: Mapping[str, Any]) -> Answers:
    """Return the answers of a read-out to waves."""
    return _KINDS[_kind(held.model)].ask(held, waves, saved)


def _kind(model: HostModel) -> str:
    return "svm" if isinstance(model.readout, LinearSVM) else "decision"


def checkpoint(name: str) -> str:
    """Return the file that the teaching of the network `name` is saved to between epochs."""
    return f"checkpoint_readout_{name}.npz"


def saved(held: Lesson, name: str) -> tuple[Weights, dict[str, Any]]:
    """Return the weights of all convolutions and the arrays of the read-out of one network.

    NotTrainedError without a read-out, UsageError for one of other weights, StorageError when it is
    damaged.
    """
    job, again = held.job, "run --mode training --layer svm"
    trained = held.trained()
    if not job.run.has(READOUT):
        raise NotTrainedError(f"{job.run.file(READOUT)}: no read-out yet ({again} first)")
    found = job.run.load_arrays(READOUT, ("weights",))
    if str(found["weights"]) != fingerprint(trained):
        raise UsageError(
            f"{job.run.file(READOUT)}: fitted to other weights of the layers ({again} again)"
        )
    if str(found.get("readout", repr(held.model.readout))) != repr(held.model.readout):
        raise UsageError(f"{job.run.file(READOUT)}: a read-out of other settings ({again} again)")
    start = f"{name}_"
    part = {key.removeprefix(start): found[key] for key in found if key.startswith(start)}
    weights = trained if name == "trained" else held.untrained()
    if "conv" in part:  # the read-out has changed the last convolution
        weights = [*weights[:-1], part["conv"]]
    return weights, part


def description(held: Lesson) -> str:
    """Return, as JSON, all settings of the network that a read-out is fitted to."""
    model, images = held.model, held.images
    return json.dumps(
        {
            "encoder": _plain(model.encoder),
            "layers": _plain(model.layers),
            "readout": _plain(model.readout),
            "data": {"shape": list(images.shape), "classes": list(images.classes)},
        }
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {"kind": type(value).__name__} | {name: _plain(fields[name]) for name in fields}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def check_same_network(held: Lesson) -> None:
    """Raise UsageError, naming the first setting, if the read-out is one of another network."""
    path = held.job.run.file(READOUT)
    found = held.job.run.load_arrays(READOUT).get("network")
    change = None
    if found is not None:
        change = next(_changes(json.loads(str(found)), json.loads(description(held))), None)
    if change:
        raise UsageError(
            f"{path}: of another network ({change}; give the settings it was trained with, or "
            "train again)"
        )


def _changes(was: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield each setting that differs, by its path."""
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(was, dict) and isinstance(now, dict):
        pairs = [(key, was.get(key), now.get(key)) for key in was | now]
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = [(number, *pair) for number, pair in enumerate(zip(was, now, strict=True))]
    elif was != now:
        yield f"{name} was {was}, is {now}"
    for key, before, after in pairs:
        yield from _changes(before, after, f"{name}.{key}" if name else str(key))


# ---- linear --------------------------------------------------------------------------------------


def _fit_svm(held: Lesson, shown: Presentation, name: str) -> tuple[dict[str, Any], float]:
    settings = held.model.readout
    assert isinstance(settings, LinearSVM)
    labels = held.images.train_labels
    with bar(f"features, {name}") as report:
        waves = shown.plain(report)
    readout = features.fit_svm(waves, labels, settings, held.job.rng("svm"))
    seen = readout.predict(features.table(waves, settings.features))
    return readout.arrays(), metrics.accuracy(labels, seen)


def _ask_svm(held: Lesson, waves: Waves, part: Mapping[str, Any]) -> Answers:
    settings, path = held.model.readout, held.job.run.file(READOUT)
    assert isinstance(settings, LinearSVM)
    try:
        readout = LinearReadout.from_arrays(dict(part))
    except KeyError as error:
        raise StorageError(f"{path}: lacks {error}") from error
    if not np.isfinite(readout.coef).all() or not np.isfinite(readout.intercept).all():
        raise StorageError(f"{path}: holds NaN or infinity (must be finite)")
    scores = readout.scores(features.table(waves, settings.features))
    labels = readout.classes[scores.argmax(axis=1)]
    return Answers(labels, by_class(held.images, readout, scores), SVM_SCORE)


# ---- decision layers -----------------------------------------------------------------------------


def taught_along(held: Lesson, name: str) -> SpikingConv | None:
    """Return the convolution that learns while the read-out is taught; none does in the control."""
    return held.model.joint if name == "trained" else None


def _joint_trainer(held: Lesson, shape: Any, conv: SpikingConv, kernels: Any) -> Any:
    layer, classes = held.model.readout, len(held.images.classes)
    assert isinstance(layer, SpikingDecision)
    rng, above = held.job.rng("svm"), conv.output_shape(shape)
    weights = decision.decision_weights(layer, above, classes, rng)
    return JointTrainer(layer, shape, classes, weights, held.job.seed, conv, kernels)


def trainer(held: Lesson, shape: Any) -> decision.Trainer:
    """Return the trainer of the decision layer, as it is before it is taught."""
    layer, classes = held.model.readout, len(held.images.classes)
    assert not isinstance(layer, LinearSVM)
    weights = decision.decision_weights(layer, shape, classes, held.job.rng("svm"))
    return decision.decision_trainer(layer, shape, classes, weights, held.job.seed)


def _teach(held: Lesson, shown: Presentation, name: str) -> tuple[dict[str, Any], float]:
    """Teach a decision layer, saved after every epoch; go on where it was."""
    layer, images, weights = held.model.readout, held.images, list(shown.network.weights)
    assert not isinstance(layer, LinearSVM)
    conv = taught_along(held, name)
    teacher = (
        trainer(held, shown.shape)
        if conv is None
        else _joint_trainer(held, shown.shape, conv, weights[-1])
    )
    wanted = checkpoints.identity(
        held.model.encoder, held.model.layers, layer, held.job.seed, fingerprint(weights),
        images.train, images.train_labels,
    )  # fmt: skip
    title = f"teaching the read-out, {name}"
    if checkpoints.resumed(held.job, checkpoint(name), wanted, teacher.restore):
        held.job.say(f"{title}: going on from a checkpoint after epoch {teacher.epochs_done}")
    labels = images.numbers(images.train_labels)
    with bar(title) as report:
        while teacher.epochs_done < layer.epochs:
            epoch = teacher.epochs_done
            told = _shares(report, epoch, layer.epochs)
            # Not given a name here, so that distorted waves are gone before the next are made.
            teacher.run_epoch(shown.waves(epoch, told), labels)
            report(teacher.epochs_done / layer.epochs)
            checkpoints.save(held.job, checkpoint(name), wanted, teacher.state())
    return teacher.state(), teacher.history[-1].right


def _shares(report: Callable[[float], None], epoch: int, epochs: int) -> Callable[[float], None]:
    """Return a report of the share of an epoch that tells the share of all."""
    return lambda share: report((epoch + share) / epochs)


def _ask(held: Lesson, waves: Waves, part: Mapping[str, Any]) -> Answers:
    teacher = trainer(held, waves.shape)
    try:
        teacher.restore(dict(part))
    except KeyError as error:
        raise StorageError(f"{held.job.run.file(READOUT)}: lacks {error}") from error
    found = teacher.predict(waves)
    labels = np.where(found < 0, metrics.SILENT, np.array(held.images.classes)[found])
    return Answers(labels, teacher.scores(waves), teacher.measure)


_KINDS = {"svm": _Kind(_fit_svm, _ask_svm), "decision": _Kind(_teach, _ask)}
