"""The linear read-out: a support vector machine on spike counts, kept as plain arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.classes.layers import Classifier
from spikingconvnet.errors import DataError, UsageError

C_GRID = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Values of C that are tried; spike counts are not scaled, so the useful ones are small."""
FOLDS = 5
"""Parts of the training images, each held back in turn, on which C is chosen."""
DEFAULT_C = 1e-3
"""Taken where a class has too few images to hold any back."""


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Hold a fitted read-out: label = the class of the largest row of `features @ coef.T + b`.

    `classes` (c,), `coef` (c, features), `intercept` (c,); `C` is the penalty it was fitted with.
    """

    classes: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    C: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the decision values (n, c) of the rows of `features` (n, features)."""
        if features.ndim != 2 or features.shape[1] != self.coef.shape[1]:
            raise UsageError(
                f"LinearReadout: features of shape {features.shape} (must have "
                f"{self.coef.shape[1]} columns)"
            )
        return np.asarray(features @ self.coef.T + self.intercept)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the label of every row of `features` (n, features)."""
        return np.asarray(self.classes[np.argmax(self.scores(features), axis=1)])

    def arrays(self) -> dict[str, Any]:
        """Return the arrays that `from_arrays` takes."""
        return {
            "classes": self.classes,
            "coef": self.coef,
            "intercept": self.intercept,
            "C": np.float64(self.C),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "LinearReadout":
        """Return the read-out that `arrays` describes. Raises DataError where shapes disagree."""
        classes, coef, intercept = arrays["classes"], arrays["coef"], arrays["intercept"]
        if coef.ndim != 2 or not len(classes) == len(coef) == len(intercept):
            raise DataError(
                f"read-out: {len(classes)} classes, coef of shape {coef.shape}, "
                f"{len(intercept)} intercepts (must have one row per class)"
            )
        return cls(classes, coef, intercept, float(arrays["C"]))


def fit(
    features: np.ndarray, labels: np.ndarray, classifier: Classifier, rng: np.random.Generator
) -> LinearReadout:
    """Fit a linear SVM (squared hinge, L2, one against the rest) to spike counts.

    `features` (n, features), `labels` (n,). Without a C, the one of C_GRID that does best in
    cross-validation on these images is taken. Raises UsageError with fewer than two classes.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        raise UsageError(
            f"read-out: {len(present)} class in the training labels (must be 2 or more)"
        )
    seed = int(rng.integers(2**31))
    strength = classifier.C
    if strength is None:
        folds = _folds(labels, rng) if counts.min() >= FOLDS else None
        strength = DEFAULT_C if folds is None else _best(features, labels, folds, classifier, seed)
    return _fitted(features, labels, strength, classifier.max_iter, seed)


def _folds(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for every image the fold that holds it back, each class spread over all folds."""
    folds = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        folds[mine] = np.arange(len(mine)) % FOLDS
    return folds


def _best(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classifier: Classifier, seed: int
) -> float:
    """Return the C that judges most of the images right that it was not fitted to."""

    def right(strength: float, fold: int) -> int:
        held = folds == fold
        readout = _fitted(features[~held], labels[~held], strength, classifier.max_iter, seed)
        return int(np.sum(readout.predict(features[held]) == labels[held]))

    scores = [sum(right(strength, fold) for fold in range(FOLDS)) for strength in C_GRID]
    return C_GRID[int(np.argmax(scores))]


def _fitted(
    features: np.ndarray, labels: np.ndarray, strength: float, max_iter: int, seed: int
) -> LinearReadout:
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=strength, max_iter=max_iter, random_state=seed, dual="auto")
    machine.fit(features, labels)
    coef, intercept = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:
        # scikit-learn keeps one row for two classes: the score of the second.
        coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
    return LinearReadout(machine.classes_, coef, intercept, strength)
