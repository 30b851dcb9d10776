"""The linear read-out: a support vector machine on spike counts, kept as plain arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.classes.layers import Classifier
from spikingconvnet.errors import DataError, UsageError


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Hold a fitted read-out: label = the class of the largest row of `features @ coef.T + b`.

    `classes` (c,), `coef` (c, features), `intercept` (c,); `C` is the penalty it was fitted with.
    """

    classes: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    C: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the label of every row of `features` (n, features)."""
        if features.ndim != 2 or features.shape[1] != self.coef.shape[1]:
            raise UsageError(
                f"LinearReadout.predict: features of shape {features.shape} (must have "
                f"{self.coef.shape[1]} columns)"
            )
        scores = features @ self.coef.T + self.intercept
        return np.asarray(self.classes[np.argmax(scores, axis=1)])

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

    `features` (n, features), `labels` (n,). Raises UsageError with fewer than two classes.
    """
    from sklearn.svm import LinearSVC

    present = np.unique(labels)
    if len(present) < 2:
        raise UsageError(
            f"read-out: {len(present)} class in the training labels (must be 2 or more)"
        )
    machine = LinearSVC(
        C=classifier.C,
        max_iter=classifier.max_iter,
        random_state=int(rng.integers(2**31)),
        dual="auto",
    ).fit(features, labels)
    coef, intercept = machine.coef_, machine.intercept_
    if len(present) == 2:
        # scikit-learn keeps one row for two classes: the score of the second.
        coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
    return LinearReadout(machine.classes_, coef, intercept, classifier.C)
