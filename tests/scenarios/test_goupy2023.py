"""Reproduce what Goupy et al. (2023) publish of their network, on all of MNIST."""

import numpy as np
import pytest

from spikingconvnet import zoo
from spikingconvnet.engine import features
from spikingconvnet.engine.layers import ConvTrainer
from spikingconvnet.engine.network import Network
from spikingconvnet.utilities import datasets


@pytest.mark.long
def test_published_figures_on_mnist():
    """Converged after 577 to 753 images, 562 spikes an image, 98.49 to 98.65 % with a linear SVM.

    So the log of the ten runs in the authors' program. Ours rank equal pixels in row-major order,
    which converges somewhat earlier: after 535 to 665 images with 20 seeds. Where equal pixels
    come in random order, 12 seeds took 618 to 852.
    """
    data, model = datasets.load("mnist"), zoo.load("goupy2023")
    (place,) = model.places((28, 28))
    rng = np.random.default_rng(0)
    initial = place.layer.rule.initial_weights(place.layer.weight_shape(place.input_shape), rng)
    order = rng.permutation(len(data.train_images))[:2000]
    encoded = next(Network(model, (28, 28), []).stages(data.train_images[order]))
    trainer = ConvTrainer(place.layer, encoded, np.arange(len(order)), initial)
    progress = trainer.run()
    assert progress.convergence < 0.01
    assert 500 <= progress.shown <= 800

    network = Network(model, (28, 28), [trainer.weights])
    train, spikes = network.run(data.train_images)
    assert len(spikes) == 3  # input, convolution, behind its pooling
    assert 550 <= spikes.sum() <= 575
    readout = features.fit_svm(train, data.train_labels, model.readout, rng)
    test, _ = network.run(data.test_images)
    right = readout.predict(features.table(test, model.readout.features)) == data.test_labels
    assert 0.984 <= right.mean() <= 0.988
