"""What a read-out sees of the waves that leave the last layer, and the linear one fitted to it."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.engine import svm
from spikingconvnet.errors import UsageError

logger = logging.getLogger(__name__)


def table(waves: Waves, kind: str) -> Any:
    """Return features as a sparse matrix (images, units): "fired" 0 or 1, or "latency".

    The latter is the share of the steps that was left at the spike: ``(steps - step) / steps``.
    """
    from scipy.sparse import csr_matrix

    values = _values(waves.steps, kind)[waves.step]
    return csr_matrix((values, waves.unit, waves.start), shape=(len(waves), waves.units))


def _values(steps: int, kind: str) -> NDArray[np.float32]:
    """Return what a spike at each step counts."""
    left = (steps - np.arange(steps)) / steps
    return np.asarray(left if kind == "latency" else np.ones(steps), np.float32)


def fit_svm(
    waves: Waves, labels: NDArray[np.int64], settings: LinearSVM, rng: np.random.Generator
) -> LinearReadout:
    """Fit a linear SVM (squared hinge, L2, one against the rest). UsageError with one class."""
    classes, target = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise UsageError("read-out: 1 class in the training labels (must be 2 or more)")
    value = _values(waves.steps, settings.features)
    coef, intercept, passes = svm.fit(
        waves, target, len(classes), value, settings.C, settings.max_iter, rng
    )
    logger.info("linear SVM: %d passes over %d images", passes, len(waves))
    if settings.levels is not None:
        # Whole numbers: which of the rows is largest does not depend on the unit.
        unit = np.abs(coef).max() / settings.levels or 1.0
        coef, intercept = np.rint(coef / unit), np.rint(intercept / unit)
    return LinearReadout(classes, coef, intercept, settings.C)
