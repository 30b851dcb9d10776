"""The workflow of the fully connected network: the same steps and commands as every other model.

`weights.csv` (neurons, pixels) and `labels.csv` (neurons,) are kept in the format of the public
program that the network comes from; -1 labels a neuron that never fired. `votes.csv` (neurons,
classes) says how a neuron votes where its label alone does not.
"""

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import checkpoints, fully_connected_figures, host_figures, prediction
from spikingconvnet.algorithms import window_learning
from spikingconvnet.classes import deployability
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.engine import winner_take_all
from spikingconvnet.engine.winner_take_all import WinnerTakeAll
from spikingconvnet.errors import NotTrainedError, UsageError
from spikingconvnet.host_lesson import ORIGIN
from spikingconvnet.job import (
    FIGURES,
    HISTORY,
    METRICS,
    METRICS_TEXT,
    NETWORK,
    PREDICTIONS,
    READOUT_RECORD,
    Images,
    Job,
    images_of,
    judge,
    save_test,
    sheet_of,
)
from spikingconvnet.utilities import metrics
from spikingconvnet.utilities.progress import Bar

CHECKPOINT = "checkpoint_network.npz"
WEIGHTS, LABELS, VOTES = "weights.csv", "labels.csv", "votes.csv"
MEASURE = "spikes of the neurons that vote for the class"
BLOCKS = 50
"""Points in the history of the training."""
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
        return checkpoints.identity(
            self.model.encoder, self.model.layer, self.job.seed, self.images.train
        )


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
    order, wanted = _presentations(held), held.identity()
    network = held.network()
    winners = np.full(len(order), -1, np.int64)

    def restore(state: dict[str, Any]) -> None:
        network.restore(state)
        winners[: network.shown] = state["winners"]

    if checkpoints.resumed(job, CHECKPOINT, wanted, restore):
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
                checkpoints.save(job, CHECKPOINT, wanted, state)
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
    checkpoints.remove(job, CHECKPOINT)
    fully_connected_figures.after_training(
        sheet_of(job, ORIGIN), network.weights, held.network().weights, winners, held.images.shape
    )
    job.keep([NETWORK, WEIGHTS, FIGURES])


def _counts(network: WinnerTakeAll, held: _Lesson, images: NDArray[Any], title: str) -> Any:
    """Return the spikes (images, neurons) that images evoke, sparse: few neurons fire."""
    from scipy.sparse import csr_matrix, vstack

    parts = []
    with Bar(title, len(images)) as bar:
        for first in range(0, len(images), PART):
            gaps = winner_take_all.spike_gaps(held.model.encoder, images[first : first + PART])
            parts.append(csr_matrix(network.respond(gaps)))
            bar.update(len(gaps))
    return vstack(parts, format="csr")


def _answers(held: _Lesson, counts: Any, votes: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return labels (images,), -1 where no neuron with a label fired, and scores of classes."""
    together = held.model.label == "share"
    scores = np.concatenate(
        [
            winner_take_all.class_scores(counts[first : first + PART], votes, together)
            for first in range(0, counts.shape[0], PART)
        ]
    )
    found = held.classes[scores.argmax(axis=1)]
    return np.where(scores.max(axis=1) > 0, found, metrics.SILENT), scores


def fit_readout(job: Job) -> None:
    """Label every neuron by the training images."""
    held = _lesson(job)
    network = held.trained()
    truth = held.images.numbers(held.images.train_labels)
    counts = _counts(network, held, held.images.train, "counting spikes")
    saved = job.run.load_arrays(NETWORK, ("order", "winners"))
    order, winners = saved["order"], saved["winners"]
    if held.model.label == "last":
        found = winner_take_all.last_won(winners, truth[order], held.model.layer.neurons)
    else:
        found = winner_take_all.labels_of_neurons(counts, truth, len(held.classes))
    labels = np.where(found < 0, metrics.SILENT, held.classes[found])
    job.run.save_csv(LABELS, labels[:, None])
    votes = winner_take_all.votes_of_labels(found, len(held.classes))
    if held.model.label == "share":
        votes = winner_take_all.shares_of_neurons(counts, truth, len(held.classes))
        job.run.save_csv(VOTES, votes)
    predicted, _ = _answers(held, counts, votes)
    accuracy = metrics.accuracy(held.images.train_labels, predicted)
    record = {"training_accuracy": accuracy, "unlabelled": int(np.sum(found < 0)), "seed": job.seed}
    job.run.save_json(READOUT_RECORD, record, ORIGIN)
    history = _history(np.where(winners < 0, -1, found[winners]), truth[order])
    job.run.save_csv(HISTORY, history, "images shown, shares of right, wrong and silent winners")
    fully_connected_figures.after_readout(sheet_of(job, ORIGIN), history, found, held.images.names)
    job.keep([LABELS, VOTES, HISTORY, READOUT_RECORD, FIGURES])
    job.say(
        f"{np.sum(found >= 0):,} of {len(labels):,} neurons labelled by "
        f"{len(truth):,} images: training accuracy {accuracy:.2%}"
    )


def _history(said: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what winners would have answered while they learned, in blocks (blocks, 4).

    `said` and `truth` are classes in order of presentation, -1 where nobody won or has a label.
    """
    rows = []
    for at in np.array_split(np.arange(len(said)), min(BLOCKS, len(said))):
        right, silent = np.mean(said[at] == truth[at]), np.mean(said[at] < 0)
        rows.append((at[-1] + 1, right, 1 - right - silent, silent))
    return np.array(rows, dtype=np.float64)


def _votes(held: _Lesson) -> NDArray[np.float64]:
    """Return how each neuron votes (neurons, classes), from the files of labels or of votes."""
    name = VOTES if held.model.label == "share" else LABELS
    path, again = held.job.run.file(name), "run --mode training --layer svm"
    if not held.job.run.has(name):
        raise NotTrainedError(f"{path}: no labels yet ({again} first)")
    table = held.job.run.load_csv(name)
    wanted = (held.model.layer.neurons, len(held.classes) if name == VOTES else 1)
    if table.shape != wanted or not np.isfinite(table).all():
        raise UsageError(
            f"{path}: of shape {table.shape}, all finite: {np.isfinite(table).all()} (must be "
            f"{wanted}; {again} again)"
        )
    if name == VOTES:
        return table
    labels = table.astype(np.int64).ravel()
    unknown = np.setdiff1d(labels, [*held.images.classes, metrics.SILENT])
    if unknown.size:
        raise UsageError(f"{path}: label {unknown[0]} (the data have none such; {again} again)")
    known = labels != metrics.SILENT
    found = np.full(len(labels), -1)
    found[known] = held.images.numbers(labels[known])
    return winner_take_all.votes_of_labels(found, len(held.classes))


def test(job: Job) -> None:
    """Classify the test images; compare with random weights, and with a dense network."""
    held = _lesson(job)
    network, votes = held.trained(), _votes(held)
    counts = _counts(network, held, held.images.test, "testing")
    answers = {"trained": _answers(held, counts, votes), "control": _control(held)}
    if held.model.ann_epochs:
        answers["ann"] = _dense_network(held)
    judged = judge(held.images, answers)
    spikes = float(counts.sum() / len(held.images.test))
    record = {
        "model": held.model.name,
        "seed": job.seed,
        "spikes_per_image": spikes,
        "score": MEASURE,
    }
    text = _text(held, judged, spikes)
    save_test(job, ORIGIN, held.images, answers, judged, record, text)
    host_figures.test_figures(
        sheet_of(job, ORIGIN), held.images, judged["trained"], answers["trained"][0],
        job.rng("data", 2),
    )  # fmt: skip
    job.keep([METRICS, METRICS_TEXT, PREDICTIONS, FIGURES])
    job.say(job.run.load_text(METRICS_TEXT))


def _text(held: _Lesson, judged: dict[str, metrics.Metrics], spikes: float) -> str:
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
    return text


def _control(held: _Lesson) -> tuple[Any, Any]:
    """Return what the network says whose weights are images, labelled by what fires most.

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
    truth = held.images.numbers(held.images.train_labels[:PART])
    counts = _counts(network, held, some, "control, labels")
    votes = winner_take_all.shares_of_neurons(counts, truth, len(held.classes))
    return _answers(held, _counts(network, held, held.images.test, "control, testing"), votes)


def _dense_network(held: _Lesson) -> tuple[Any, Any]:
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
    shares = network.predict_proba(test_images)
    scores = np.zeros((len(shares), len(held.classes)))
    scores[:, held.images.numbers(network.classes_)] = shares
    return network.predict(test_images), scores


def predict(job: Job) -> None:
    """Tell the class of one picture."""
    held = _lesson(job)
    network, votes = held.trained(), _votes(held)
    picture = prediction.chosen(job, held.images)
    counts = _counts(network, held, picture.pixels[None], "showing one picture")
    labels, scores = _answers(held, counts, votes)
    prediction.tell(job, held.images, picture, int(labels[0]), scores[0], MEASURE)


def show(job: Job) -> None:
    """Draw what happens in the network while it sees one picture."""
    held = _lesson(job)
    network = held.trained()
    picture = prediction.chosen(job, held.images)
    gaps = winner_take_all.spike_gaps(held.model.encoder, picture.pixels[None])[0]
    trace = window_learning.present(
        gaps, held.model.encoder.steps, network.weights, network.raised, held.model.layer.neuron
    )
    votes = _votes(held) if job.run.has(READOUT_RECORD) else None
    files = fully_connected_figures.show(
        sheet_of(job, ORIGIN), picture, gaps, trace, votes, held.images.names
    )
    job.say("\n".join(map(str, files)))


def describe(job: Job) -> None:
    """Show the model, and what the run directory holds."""
    model = job.model
    assert isinstance(model, FullyConnectedModel)
    job.say(f"{model.name}: {model.source}\nencoder   {model.encoder!r}\nlayer 1   {model.layer!r}")
    job.say(f"board     {deployability.verdict(model)}")
    for name in (NETWORK, WEIGHTS, LABELS):
        if job.run.has(name):
            job.say(f"there is   {job.run.file(name)}")
    if job.run.has(METRICS_TEXT):
        job.say(job.run.load_text(METRICS_TEXT))
