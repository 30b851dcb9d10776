import numpy as np
import pytest

from spikingconvnet.classes import classifier
from spikingconvnet.classes.classifier import LinearReadout
from spikingconvnet.classes.layers import Classifier
from spikingconvnet.errors import DataError, UsageError


def blobs(classes, seed=0, n=60):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    centres = 6 * np.eye(len(classes), 5)
    return rng.poisson(1 + centres[labels]), np.array(classes)[labels]


@pytest.mark.parametrize("classes", [(3, 8), (7, 1, 4), tuple(range(5))])
def test_separable_counts_are_told_apart(classes):
    readout = classifier.fit(*blobs(classes), Classifier(C=0.1), np.random.default_rng(1))
    features, labels = blobs(classes, seed=1)
    assert readout.coef.shape == (len(classes), 5)
    assert np.mean(readout.predict(features) == labels) > 0.9


@pytest.mark.parametrize("classes", [(3, 8), (7, 1, 4)])
def test_the_arrays_alone_predict_what_scikit_learn_predicts(classes):
    from sklearn.svm import LinearSVC

    features, labels = blobs(classes)
    seed = int(np.random.default_rng(5).integers(2**31))
    machine = LinearSVC(C=0.1, max_iter=1000, random_state=seed, dual="auto").fit(features, labels)
    readout = classifier.fit(features, labels, Classifier(C=0.1), np.random.default_rng(5))
    new = np.random.default_rng(2).poisson(2, (200, 5))
    again = LinearReadout.from_arrays(readout.arrays())
    assert np.array_equal(again.predict(new), machine.predict(new))


def test_one_class_cannot_be_fitted():
    with pytest.raises(UsageError, match=r"1 class in the training labels \(must be 2 or more\)"):
        classifier.fit(np.ones((3, 2)), np.zeros(3), Classifier(), np.random.default_rng(0))


def test_features_of_another_network_are_refused():
    readout = classifier.fit(*blobs((0, 1)), Classifier(), np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"features of shape \(4, 6\) \(must have 5 columns\)"):
        readout.predict(np.ones((4, 6)))


def test_arrays_that_disagree_are_refused():
    arrays = classifier.fit(*blobs((0, 1, 2)), Classifier(), np.random.default_rng(0)).arrays()
    with pytest.raises(DataError, match="must have one row per class"):
        LinearReadout.from_arrays(arrays | {"classes": np.arange(4)})
