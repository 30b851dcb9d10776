"""What a read-out sees of the waves that leave the last layer, and the linear one fitted to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.errors import UsageError


def table(waves: Waves, kind: str) -> Any:
    """Return features as a sparse matrix (images, units): "fired" 0 or 1, or "latency".

    The latter is the share of the steps that was left at the spike: ``(steps - step) / steps``.
    """
    from scipy.sparse import csr_matrix

    values = np.ones(len(waves.unit))
    if kind == "latency":
        values = (waves.steps - waves.step.astype(np.float64)) / waves.steps
    return csr_matrix((values, waves.unit, waves.start), shape=(len(waves), waves.units))


def fit_svm(
    waves: Waves, labels: NDArray[np.int64], settings: LinearSVM, rng: np.random.Generator
) -> LinearReadout:
    """Fit a linear SVM (squared hinge, L2, one against the rest). UsageError with one class."""
    from sklearn.svm import LinearSVC

    if len(np.unique(labels)) < 2:
        raise UsageError("read-out: 1 class in the training labels (must be 2 or more)")
    machine = LinearSVC(
        C=settings.C, max_iter=settings.max_iter, random_state=int(rng.integers(2**31))
    ).fit(table(waves, settings.features), labels)
    coef, intercept = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:
        # scikit-learn keeps one row for two classes: the score of the second.
        coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
    return LinearReadout(machine.classes_, coef, intercept, settings.C)
