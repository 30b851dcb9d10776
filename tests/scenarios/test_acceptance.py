"""The acceptance tests of the 2018 system that have no better place, and where the others are.

(a) tensors and connection lists against naive loops: algorithms/test_connections.py
(b) simulated time = presentations x interval: algorithms/test_windows.py, test_defect_01_*
(c) testing never touches training images, shuffled labels fall to chance: test_main_job.py
(d) histograms of the 2018 encoders: algorithms/test_encoders.py
(e) the control with untrained kernels beside every result: test_main_job.py
(h) the whole test file, fixed seeds, selection without the test images: here
(i) a refractory neuron never fires: here on the board, algorithms/test_lif.py for the reference
(f) and (g) concern other systems.
"""

import inspect

import numpy as np
import pytest

from spikingconvnet.classes import classifier
from spikingconvnet.classes.layers import Classifier, ConvLayer
from spikingconvnet.classes.learning import PairSTDP
from spikingconvnet.classes.network import TrainingNetwork
from spikingconvnet.classes.neurons import IFCurrExp
from spikingconvnet.utilities import datasets


def test_h_all_images_of_the_test_file_are_shown_once_each():
    dataset = datasets.load("digits")
    one, two = (
        datasets.select(dataset, None, None, None, np.random.default_rng(7)) for _ in range(2)
    )
    assert sorted(one.test_index) == list(range(len(dataset.test_images)))
    assert sorted(one.train_index) == list(range(len(dataset.train_images)))
    assert np.array_equal(one.test_images, dataset.test_images[one.test_index])
    assert np.array_equal(one.test_index, two.test_index)


def test_h_the_readout_is_chosen_on_training_images_alone():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    features = rng.normal(labels[:, None], 2.0, (90, 6))
    chosen = classifier.fit(features, labels, Classifier(), np.random.default_rng(1))
    assert chosen.C in classifier.C_GRID
    given = classifier.fit(features, labels, Classifier(C=chosen.C), np.random.default_rng(1))
    assert np.allclose(chosen.coef, given.coef)
    # There is no way for a test image to get in.
    assert list(inspect.signature(classifier.fit).parameters) == [
        "features", "labels", "classifier", "rng",
    ]  # fmt: skip


@pytest.mark.parametrize("tau_refrac", [3.0, 17.0])
def test_i_a_refractory_neuron_never_fires(board_backend, tau_refrac):
    from spikingconvnet.algorithms.spike_trains import SpikeTrains, to_lists

    neuron = IFCurrExp(cm=0.2, tau_m=10.0, v_thresh=-60.0, tau_refrac=tau_refrac)
    layer = ConvLayer(2, 2, train_neuron=neuron, rule=PairSTDP(w_max=2.0), inhibition=0.0)
    times, sources = np.divmod(np.arange(4 * 150), 4)
    spikes = SpikeTrains(sources.astype(np.int32), times + 1.0, 4)
    with TrainingNetwork(board_backend.sim, layer) as network:
        (result,) = network.run(np.full((2, 1, 2, 2), 1.5), [spikes], 160)
    for train in to_lists(result.spikes):
        intervals = np.diff([time for time in train if time < 160])
        assert len(intervals) >= 3
        assert intervals.min() >= tau_refrac
