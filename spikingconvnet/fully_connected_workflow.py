"""The workflow of the fully connected network: the same steps and commands as every other model.

`weights.csv` (neurons, pixels) and `labels.csv` (neurons,) are kept in the format of the public
program that the network comes from; -1 labels a neuron that never fired.
"""

import dataclasses
import hashlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.engine import winner_take_all
from spikingconvnet.engine.winner_take_all import WinnerTakeAll
from spikingconvnet.errors import NotTrainedError, UsageError
from spikingconvnet.utilities import metrics
from spikingconvnet.utilities.progress import Bar
from spikingconvnet.workflow import (
    METRICS,
    METRICS_TEXT,
    PREDICTIONS,
    READOUT_RECORD,
    Images,
    Job,
    images_of,
)

ORIGIN = "host engine"
NETWORK, CHECKPOINT = "network.npz", "checkpoint_network.npz"
WEIGHTS, LABELS = "weights.csv", "labels.csv"
PART = 5000
"""Images whose responses are counted together."""


@dataclasses.dataclass(frozen=True)
class _Lesson:
    """Hold what every step needs."""

    job: Job
    model: FullyConnectedModel
    images: Images

    @property
    def classes(self) -> NDArray[np.int64]:
        """Return the labels of the data set, in order; a class is a position in it."""
        return np.array(self.images.classes)

    def network(self, *stream: int) -> WinnerTakeAll:
        """Return the network as it is before training."""
        pixels = int(np.prod(self.images.train.shape[1:]))
        rng = self.job.rng("weights", *stream)
        return WinnerTakeAll(self.model.encoder, self.model.layer, pixels, rng)

    def trained(self) -> WinnerTakeAll:
        """Return the trained network. NotTrainedError when there is none."""
        again = "run --mode training --layer 1"
        if not self.job.run.has(NETWORK):
            raise NotTrainedError(f"{self.job.run.file(NETWORK)}: not trained yet ({again} first)")
        state = self.job.run.load_arrays(NETWORK, ("identity", "weights", "raised", "shown"))
        if str(state["identity"]) != self.identity():
            raise UsageError(
                f"{self.job.run.file(NETWORK)}: trained with other settings ({again} again)"
            )
        network = self.network()
        network.restore(state)
        return network

    def identity(self) -> str:
        """Return a short name of all that decides how the training goes."""
        digest = hashlib.sha256()
        for part in (self.model.encoder, self.model.layer, self.job.seed):
            digest.update(repr(part).encode())
        digest.update(np.ascontiguousarray(self.images.train).tobytes())
        return digest.hexdigest()[:16]


def _lesson(job: Job) -> _Lesson:
    assert isinstance(job.model, FullyConnectedModel)
    return _Lesson(job, job.model, images_of(job))


def _presentations(held: _Lesson) -> NDArray[np.int64]:
    """Return which image is shown when: all of them in each epoch, shuffled."""
    rng = held.job.rng("windows", 1)
    turns = [rng.permutation(len(held.images.train)) for _ in range(held.model.layer.epochs)]
    return np.concatenate(turns).astype(np.int64)


def train_layer(job: Job, number: int) -> None:
    """Train the layer; go on from a checkpoint if there is one of the same training."""
    if number != 1:
        raise UsageError(f"layer: {number} (must be 1: the network has one layer)")
    held = _lesson(job)
    gaps = winner_take_all.spike_gaps(held.model.encoder, held.images.train)
    order, identity = _presentations(held), held.identity()
    network = held.network()
    winners = np.full(len(order), -1, np.int64)
    if job.run.has(CHECKPOINT):
        state = job.run.load_arrays(CHECKPOINT, ("identity",))
        if str(state["identity"]) == identity:
            network.restore(state)
            winners[: network.shown] = state["winners"]
            job.say(f"training layer 1: going on from a checkpoint at image {network.shown:,}")
    started, begun = time.perf_counter(), network.shown
    with Bar("training layer 1", len(order)) as bar:
        bar.update(network.shown)
        while network.shown < len(order):
            part = slice(network.shown, network.shown + job.config.checkpoint_every)
            winners[part] = network.train(gaps, order[part])
            bar.update(network.shown - bar.done)
            if network.shown < len(order):
                state = {**network.state(), "winners": winners[: network.shown]}
                job.run.save_arrays(CHECKPOINT, identity=identity, **state)
    _save_network(held, network, order, winners)
    seconds = time.perf_counter() - started
    used = len(np.unique(winners[winners >= 0]))
    job.say(
        f"training layer 1: {len(order):,} images, {used:,} of {held.model.layer.neurons:,} "
        f"neurons won; {(len(order) - begun) / max(seconds, 1e-9):,.0f} images a second"
    )
    job.say(f"weights: {job.run.file(WEIGHTS)}")


def _save_network(
    held: _Lesson, network: WinnerTakeAll, order: NDArray[np.int64], winners: NDArray[np.int64]
) -> None:
    job = held.job
    job.run.save_arrays(
        NETWORK, **network.state(), order=order, winners=winners, identity=held.identity(),
        origin=ORIGIN,
    )  # fmt: skip
    job.run.save_csv(WEIGHTS, network.weights)
    job.run.file(CHECKPOINT).unlink(missing_ok=True)
    job.keep([NETWORK, WEIGHTS])


def _counts(network: WinnerTakeAll, held: _Lesson, images: NDArray[Any], title: str) -> Any:
    """Return the spikes (images, neurons) that images evoke."""
    parts = []
    with Bar(title, len(images)) as bar:
        for first in range(0, len(images), PART):
            gaps = winner_take_all.spike_gaps(held.model.encoder, images[first : first + PART])
            parts.append(network.respond(gaps).astype(np.uint16))
            bar.update(len(gaps))
    return np.concatenate(parts)


def fit_readout(job: Job) -> None:
    """Label every neuron by the training images."""
    held = _lesson(job)
    network = held.trained()
    truth = np.searchsorted(held.classes, held.images.train_labels).astype(np.int64)
    counts = _counts(network, held, held.images.train, "counting spikes")
    if held.model.label == "last":
        saved = job.run.load_arrays(NETWORK, ("order", "winners"))
        found = winner_take_all.last_won(
            saved["winners"], truth[saved["order"]], held.model.layer.neurons
        )
    else:
        found = winner_take_all.labels_of_neurons(counts, truth, len(held.classes))
    labels = np.where(found < 0, -1, held.classes[found])
    accuracy = metrics.accuracy(held.images.train_labels, winner_take_all.predict(counts, labels))
    job.run.save_csv(LABELS, labels[:, None])
    record = {"training_accuracy": accuracy, "unlabelled": int(np.sum(found < 0)), "seed": job.seed}
    job.run.save_json(READOUT_RECORD, record, ORIGIN)
    job.keep([LABELS, READOUT_RECORD])
    job.say(
        f"{np.sum(found >= 0):,} of {len(labels):,} neurons labelled by "
        f"{len(truth):,} images: training accuracy {accuracy:.2%}"
    )


def _labels(held: _Lesson) -> NDArray[np.int64]:
    if not held.job.run.has(LABELS):
        raise NotTrainedError(
            f"{held.job.run.file(LABELS)}: no labels yet (run --mode training --layer svm first)"
        )
    labels = held.job.run.load_csv(LABELS).astype(np.int64).ravel()
    if len(labels) != held.model.layer.neurons:
        raise UsageError(
            f"{held.job.run.file(LABELS)}: {len(labels)} labels (the network has "
            f"{held.model.layer.neurons} neurons; run --mode training --layer svm again)"
        )
    return labels


def test(job: Job) -> None:
    """Classify the test images; compare with random weights, and with a dense network."""
    held = _lesson(job)
    network, labels = held.trained(), _labels(held)
    truth = held.images.test_labels
    counts = _counts(network, held, held.images.test, "testing")
    predicted = {"trained": winner_take_all.predict(counts, labels)}
    predicted["control"] = _control(held)
    if held.model.ann_epochs:
        predicted["ann"] = _dense_network(held)
    judged = {
        name: metrics.evaluate(truth, found, held.images.classes)
        for name, found in predicted.items()
    }
    job.run.save_arrays(PREDICTIONS, labels=truth, origin=ORIGIN, **predicted)
    spikes = float(counts.sum(axis=1).mean())
    record = {
        "model": held.model.name,
        "seed": job.seed,
        "spikes_per_image": spikes,
        **{name: result.as_dict() for name, result in judged.items()},
    }
    job.run.save_json(METRICS, record, ORIGIN)
    text = (
        f"{held.model.name} on the {ORIGIN}\n{judged['trained'].as_text()}\n\n"
        f"{spikes:.1f} spikes of the layer an image\n"
        "control: as many neurons with the pixels of random training images as weights\n"
        f"accuracy {judged['control'].accuracy:.2%}\n"
    )
    if "ann" in judged:
        text += (
            f"dense network of as many hidden units, {held.model.ann_epochs} epochs of "
            f"back-propagation on the same images\naccuracy {judged['ann'].accuracy:.2%}\n"
        )
    job.run.save_text(METRICS_TEXT, text)
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS])
    job.say(text)


def _control(held: _Lesson) -> NDArray[np.int64]:
    """Return what the network says whose weights are images, labelled like any other.

    It shows what learning adds to a memory of single images.
    """
    network, rule = held.network(), held.model.layer.rule
    flat = held.images.train.reshape(len(held.images.train), -1)
    chosen = held.job.rng("svm").integers(len(flat), size=held.model.layer.neurons)
    shares = flat[chosen] / np.maximum(flat[chosen].sum(axis=1, keepdims=True), 1)
    shares *= network.weights.sum(axis=1).mean() / max(shares.sum(axis=1).mean(), 1e-9)
    network.restore(
        {
            "weights": np.clip(shares, rule.w_min, rule.w_max),
            "raised": np.zeros(held.model.layer.neurons),
            "shown": 0,
        }
    )
    some = held.images.train[:PART]
    truth = np.searchsorted(held.classes, held.images.train_labels[:PART]).astype(np.int64)
    counts = _counts(network, held, some, "control, labels")
    found = winner_take_all.labels_of_neurons(counts, truth, len(held.classes))
    labels = np.where(found < 0, -1, held.classes[found])
    return winner_take_all.predict(
        _counts(network, held, held.images.test, "control, testing"), labels
    )


def _dense_network(held: _Lesson) -> NDArray[np.int64]:
    """Return what a dense network of the same size says, trained by back-propagation."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    train = held.images.train.reshape(len(held.images.train), -1) / 255
    test_images = held.images.test.reshape(len(held.images.test), -1) / 255
    network = MLPClassifier(
        (held.model.layer.neurons,), max_iter=held.model.ann_epochs, random_state=held.job.seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many epochs as were asked for
        network.fit(train, held.images.train_labels)
    return np.asarray(network.predict(test_images))


def describe(job: Job) -> None:
    """Show the model, and what the run directory holds."""
    model = job.model
    assert isinstance(model, FullyConnectedModel)
    job.say(f"{model.name}: {model.source}\nencoder   {model.encoder!r}\nlayer 1   {model.layer!r}")
    for name in (NETWORK, WEIGHTS, LABELS):
        if job.run.has(name):
            job.say(f"there is   {job.run.file(name)}")
    if job.run.has(METRICS_TEXT):
        job.say(job.run.load_text(METRICS_TEXT))
