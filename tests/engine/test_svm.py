"""Hold the compiled support vector machine to scikit-learn's, which solves the same problem."""

import numpy as np
import pytest
from drawn_waves import random_waves
from sklearn.svm import LinearSVC

from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.engine import features
from spikingconvnet.errors import UsageError


def drawn(classes, images=300):
    """Draw waves whose label shows in part of their units."""
    rng = np.random.default_rng(classes)
    waves = random_waves(rng, (4, 5, 3), 6, images)
    hidden = rng.normal(size=(waves.units, classes))
    scores = features.table(waves, "fired") @ hidden + rng.normal(size=(images, classes))
    return waves, 3 * scores.argmax(axis=1)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kind", ["fired", "latency"])
def test_it_solves_the_problem_of_scikit_learn(classes, kind):
    waves, labels = drawn(classes)
    found = features.fit_svm(waves, labels, LinearSVM(0.05, kind), np.random.default_rng(0))
    table = features.table(waves, kind).astype(np.float64)
    wanted = LinearSVC(C=0.05, tol=1e-8, max_iter=100_000).fit(table, labels)
    coef, intercept = wanted.coef_, wanted.intercept_
    if classes == 2:
        coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
    assert found.classes.tolist() == wanted.classes_.tolist()
    assert np.abs(found.coef - coef).max() < 2e-3 * np.abs(coef).max()
    assert np.abs(found.intercept - intercept).max() < 2e-3 * np.abs(coef).max()


def test_the_seed_decides_and_nothing_else():
    waves, labels = drawn(3)
    one, two = (
        features.fit_svm(waves, labels, LinearSVM(0.05), np.random.default_rng(7)) for _ in range(2)
    )
    assert one.coef.tobytes() == two.coef.tobytes()


def test_silent_images_and_silent_units_keep_weights_of_zero():
    waves = random_waves(np.random.default_rng(0), (2, 2, 2), 4, 6, share=0.0)
    labels = np.array([0, 1] * 3)
    found = features.fit_svm(waves, labels, LinearSVM(1.0), np.random.default_rng(0))
    assert not found.coef.any()
    assert np.abs(found.intercept).max() < 1e-2


def test_one_class_cannot_be_told_apart():
    waves, labels = drawn(2)
    with pytest.raises(UsageError, match="1 class in the training labels"):
        features.fit_svm(waves, labels * 0, LinearSVM(), np.random.default_rng(0))
