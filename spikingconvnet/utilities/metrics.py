"""How well predicted labels agree with the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.errors import UsageError

SILENT = -1
"""The prediction of a network that gave no answer."""


def _paired(labels: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise UsageError(
            f"predictions: shape {predicted.shape} (must be one axis, as long as labels "
            f"{true.shape})"
        )
    if true.size == 0:
        raise UsageError("labels: none (must be at least 1)")
    return true, predicted


def accuracy(labels: Any, predictions: Any) -> float:
    """Give the share (0..1) of predictions that equal their label."""
    true, predicted = _paired(labels, predictions)
    return float((true == predicted).mean())


def confusion_matrix(labels: Any, predictions: Any, classes: Sequence[int]) -> np.ndarray:
    """Count how often each class (row) was taken for each class (column).

    Gives (classes, classes) int64; SILENT predictions are in no column. UsageError when a label or
    another prediction is not in ``classes``.
    """
    true, predicted = _paired(labels, predictions)
    order = np.asarray(classes)
    if order.ndim != 1 or len(np.unique(order)) != len(order):
        raise UsageError(f"classes: {list(classes)} (each may be given once)")
    known = ", ".join(map(str, order))
    for name, values in (("labels", true), ("predictions", predicted)):
        unknown = np.setdiff1d(values, order)
        if name == "predictions":
            unknown = unknown[unknown != SILENT]
        if unknown.size:
            raise UsageError(f"{name}: {unknown[0]} (must be one of {known})")
    true, predicted = true[predicted != SILENT], predicted[predicted != SILENT]
    matrix = np.zeros((len(order), len(order)), dtype=np.int64)
    position = np.argsort(order)
    rows, columns = (
        position[np.searchsorted(order, values, sorter=position)] for values in (true, predicted)
    )
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


@dataclass(frozen=True, eq=False)
class Metrics:
    """Hold the confusion matrix of a test and what follows from it.

    ``confusion`` is (classes, classes), true class by row. For class c with true positives t,
    precision = t / column sum, recall = t / row sum, F1 = 2 t / (row sum + column sum);
    0 where the divisor is 0, that is where a class was never predicted or never shown. ``silent``
    (classes,) counts images without an answer; they belong to their row's sum.
    """

    classes: tuple[int, ...]
    confusion: np.ndarray
    silent: np.ndarray

    @property
    def images(self) -> int:
        """Give the number of images judged."""
        return int(self.support.sum())

    @property
    def correct(self) -> int:
        """Give the number of images judged rightly."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Give the share of images judged rightly, 0..1."""
        return self.correct / self.images

    @property
    def support(self) -> np.ndarray:
        """Give the number of images shown of each class."""
        return np.asarray(self.confusion.sum(axis=1) + self.silent)

    @property
    def precision(self) -> np.ndarray:
        """Give, per class, the share of its predictions that were right."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """Give, per class, the share of its images that were recognised."""
        return _ratio(np.diag(self.confusion), self.support)

    @property
    def f1(self) -> np.ndarray:
        """Give, per class, the harmonic mean of precision and recall."""
        return _ratio(2 * np.diag(self.confusion), self.support + self.confusion.sum(axis=0))

    def as_dict(self) -> dict[str, Any]:
        """Give everything in types that JSON knows."""
        return {
            "accuracy": self.accuracy,
            "images": self.images,
            "correct": self.correct,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "silent": self.silent.tolist(),
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "f1": self.f1.tolist(),
            "support": self.support.tolist(),
        }

    def as_text(self) -> str:
        """Give a table for a terminal: one row per class, accuracy below."""
        lines = [f"{'class':>8} {'precision':>10} {'recall':>8} {'F1':>8} {'images':>8}"]
        for row in zip(
            self.classes, self.precision, self.recall, self.f1, self.support, strict=True
        ):
            lines.append("{:>8} {:>10.3f} {:>8.3f} {:>8.3f} {:>8}".format(*row))
        share = f"accuracy {100 * self.accuracy:.2f} %"
        silent = f", {self.silent.sum()} without an answer" if self.silent.any() else ""
        return "\n".join([*lines, f"{share} ({self.correct} of {self.images} images{silent})"])


def evaluate(labels: Any, predictions: Any, classes: Sequence[int] | None = None) -> Metrics:
    """Judge predictions (n,) against labels (n,).

    ``classes`` fixes the order of rows; by default every value that occurs, ascending. Predictions
    of SILENT count as wrong.
    """
    true, predicted = _paired(labels, predictions)
    answered = predicted != SILENT
    order = np.union1d(true, predicted[answered]).tolist() if classes is None else list(classes)
    matrix = confusion_matrix(true, predicted, order)
    silent = np.array([np.sum(true[~answered] == label) for label in order], dtype=np.int64)
    return Metrics(tuple(order), matrix, silent)
