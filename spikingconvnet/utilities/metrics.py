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


def roc_auc(labels: Any, scores: Any, classes: Sequence[int]) -> np.ndarray:
    """Give the area under the ROC curve of each class (classes,), against all others.

    ``scores`` (n, classes) speak for each class; less their mean over classes, for potentials and
    votes differ from image to image by more than from class to class. The area is the chance that
    an image of the class then scores higher than one of another class, ties counting half (Mann and
    Whitney's U over the number of pairs); NaN for a class that every image or none belongs to.
    """
    true, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if values.shape != (len(true), len(classes)):
        raise UsageError(f"scores: shape {values.shape} (must be ({len(true)}, {len(classes)}))")
    if not np.isfinite(values).all():
        raise UsageError("scores: not all finite (NaN or infinity among them)")
    values = values - values.mean(axis=1, keepdims=True)
    areas = np.full(len(classes), np.nan)
    for place, label in enumerate(classes):
        mine = true == label
        ours, others = int(mine.sum()), int((~mine).sum())
        if ours and others:
            _, rank, count = np.unique(values[:, place], return_inverse=True, return_counts=True)
            mean_rank = np.cumsum(count) - (count - 1) / 2
            above = mean_rank[rank][mine].sum() - ours * (ours + 1) / 2
            areas[place] = above / (ours * others)
    return areas


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


@dataclass(frozen=True, eq=False)
class Metrics:
    """Hold the confusion matrix of a test and what follows from it.

    ``confusion`` is (classes, classes), true class by row. For class c with true positives t,
    precision = t / column sum, recall = t / row sum, F1 = 2 t / (row sum + column sum);
    0 where the divisor is 0, that is where a class was never predicted or never shown. ``silent``
    (classes,) counts images without an answer; they belong to their row's sum. ``auc`` (classes,)
    is that of `roc_auc`, None where nothing gave scores; ``names`` are shown for the classes.
    """

    classes: tuple[int, ...]
    confusion: np.ndarray
    silent: np.ndarray
    names: tuple[str, ...]
    auc: np.ndarray | None = None

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

    @property
    def macro(self) -> dict[str, float]:
        """Give the means over classes of precision, recall and F1, and of the AUC if there is one.

        Classes without an AUC of their own are left out of its mean.
        """
        means = {name: float(getattr(self, name).mean()) for name in ("precision", "recall", "f1")}
        if self.auc is not None and np.isfinite(self.auc).any():
            means["roc_auc"] = float(np.nanmean(self.auc))
        return means

    def as_dict(self) -> dict[str, Any]:
        """Give everything in types that JSON knows."""
        areas = None if self.auc is None else [x if np.isfinite(x) else None for x in self.auc]
        return {
            "accuracy": self.accuracy,
            "images": self.images,
            "correct": self.correct,
            "classes": list(self.classes),
            "names": list(self.names),
            "macro": self.macro,
            "roc_auc": areas,
            "confusion": self.confusion.tolist(),
            "silent": self.silent.tolist(),
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "f1": self.f1.tolist(),
            "support": self.support.tolist(),
        }

    def as_text(self) -> str:
        """Give a table for a terminal: one row per class, means and accuracy below."""
        wide = max(8, *map(len, self.names))
        lines = [f"{'class':>{wide}} {'precision':>10} {'recall':>8} {'F1':>8} {'images':>8}"]
        for name, *row in zip(
            self.names, self.precision, self.recall, self.f1, self.support, strict=True
        ):
            lines.append(f"{name:>{wide}} " + "{:>10.3f} {:>8.3f} {:>8.3f} {:>8}".format(*row))
        share = f"accuracy {100 * self.accuracy:.2f} %"
        silent = f", {self.silent.sum()} without an answer" if self.silent.any() else ""
        means = self.macro
        area = f", ROC AUC {means['roc_auc']:.4f}" if "roc_auc" in means else ""
        return "\n".join(
            [
                *lines,
                f"{share} ({self.correct} of {self.images} images{silent})",
                f"means over classes: precision {means['precision']:.4f}, recall "
                f"{means['recall']:.4f}, F1 {means['f1']:.4f}{area}",
            ]
        )


def evaluate(
    labels: Any,
    predictions: Any,
    classes: Sequence[int] | None = None,
    scores: Any = None,
    names: Sequence[str] = (),
) -> Metrics:
    """Judge predictions (n,) against labels (n,).

    ``classes`` fixes the order of rows; by default every value that occurs, ascending. Predictions
    of SILENT count as wrong. ``scores`` (n, classes) are what speaks for each class, ``names`` what
    the classes are called.
    """
    true, predicted = _paired(labels, predictions)
    answered = predicted != SILENT
    order = np.union1d(true, predicted[answered]).tolist() if classes is None else list(classes)
    matrix = confusion_matrix(true, predicted, order)
    silent = np.array([np.sum(true[~answered] == label) for label in order], dtype=np.int64)
    areas = None if scores is None else roc_auc(true, scores, order)
    return Metrics(tuple(order), matrix, silent, tuple(names) or tuple(map(str, order)), areas)
