"""The job that the steps of a run share: its settings, its images, and the files of its results.

Every step is a command of its own; steps hand results on through the run directory alone.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet import report
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.errors import NotTrainedError, StorageError
from spikingconvnet.settings import Config
from spikingconvnet.utilities import metrics, pictures
from spikingconvnet.utilities.progress import Bar
from spikingconvnet.utilities.storage import RunDirectory

DATA, DATA_RECORD, PARAMETERS = "data.npz", "data.json", "parameters.py"
READOUT, READOUT_RECORD = "readout.npz", "readout.json"
METRICS, METRICS_TEXT, PREDICTIONS = "metrics.json", "metrics.txt", "predictions.npz"
FIGURES, TOOLCHAIN_LOG, TIMING = "figures", "toolchain.log", "timing.json"
HISTORY = "history.csv"
NETWORK = "network.npz"
"""Of the fully connected network: weights, thresholds, winners."""
SVM_SCORE = "decision value of the support vector machine"
_DATA_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "classes", "source")
_STREAMS = {"data": 0, "weights": 1, "windows": 2, "encode train": 3, "encode test": 4, "svm": 5}


Answers = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Labels (images,) and scores (images, classes) by the name of who gave them."""


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


def image_shape(job: Job) -> tuple[int, int]:
    """Return (height, width) of the images there are, or of the data set that is named."""
    if job.run.has(DATA):
        height, width = images_of(job).train.shape[1:]
        return height, width
    return (8, 8) if job.config.data.name == "digits" else (28, 28)


def by_class(data: Images, readout: LinearReadout, scores: np.ndarray) -> np.ndarray:
    """Return scores in the order of the data set's classes; one never taught is below the rest."""
    whole = np.full((len(scores), len(data.classes)), scores.min(initial=0.0) - 1)
    whole[:, data.numbers(readout.classes)] = scores
    return whole


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
def bar(label: str) -> Iterator[Callable[[float], None]]:
    """Show a bar; give a function that takes the share done."""
    with Bar(label, 100) as shown:
        yield lambda share: shown.update(max(0, round(100 * share) - shown.done))


def judge(images: Images, answers: Answers) -> dict[str, metrics.Metrics]:
    """Return how good answers to the test images are, by the name of who gave them."""
    return {
        name: metrics.evaluate(images.test_labels, labels, images.classes, scores, images.names)
        for name, (labels, scores) in answers.items()
    }


def save_test(
    job: Job,
    origin: str,
    images: Images,
    answers: Answers,
    judged: Mapping[str, metrics.Metrics],
    record: Mapping[str, Any],
    text: str,
) -> None:
    """Save the answers to the test images, how good they are beside a `record`, and a text."""
    arrays = {name: labels for name, (labels, _) in answers.items()}
    arrays |= {f"{name}_scores": scores for name, (_, scores) in answers.items()}
    job.run.save_arrays(PREDICTIONS, labels=images.test_labels, origin=origin, **arrays)
    results = {name: result.as_dict() for name, result in judged.items()}
    job.run.save_json(METRICS, {**record, **results}, origin)
    job.run.save_text(METRICS_TEXT, text)


def tell(job: Job, verdicts: Iterable[str]) -> None:
    """Print verdicts."""
    for verdict in verdicts:
        job.say(f"verdict: {verdict}")
