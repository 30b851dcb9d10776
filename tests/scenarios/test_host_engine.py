"""The host engine from images to answers, on the bundled 8 x 8 digits."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import zoo
from spikingconvnet.classes.rules import S2STDP, HitMissSTDP, PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import DenseDecision, LinearSVM, Pool
from spikingconvnet.engine import decision, features
from spikingconvnet.engine.layers import ConvTrainer
from spikingconvnet.engine.network import Network
from spikingconvnet.utilities import datasets

PUBLISHED = zoo.load("goupy2023")
LAYER = replace(PUBLISHED.layers[0], maps=32, shape=5, padding=2, threshold=4.0, pool=Pool(3, 2, 1))
MODEL = replace(PUBLISHED, layers=(LAYER,))
SHAPE = (8, 8)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def kernels(digits):
    """Train the layer; return how that went, the kernels before and after it."""
    (place,) = MODEL.places(SHAPE)
    rng = np.random.default_rng(0)
    initial = LAYER.rule.initial_weights(LAYER.weight_shape(place.input_shape), rng)
    encoded = next(Network(MODEL, SHAPE, []).stages(digits.train_images))
    order = np.tile(rng.permutation(len(encoded)), 2)
    trainer = ConvTrainer(LAYER, encoded, order, initial)
    return trainer.run(), initial, trainer.weights


def accuracy(digits, weights):
    network = Network(MODEL, SHAPE, [weights])
    (train, _), (test, _) = network.run(digits.train_images), network.run(digits.test_images)
    settings = LinearSVM(C=0.05)
    readout = features.fit_svm(train, digits.train_labels, settings, np.random.default_rng(0))
    return np.mean(readout.predict(features.table(test, "fired")) == digits.test_labels)


def test_learned_kernels_beat_untrained_ones(digits, kernels):
    progress, before, after = kernels
    assert progress.convergence < 0.01
    assert accuracy(digits, after) > 0.92
    assert accuracy(digits, after) > accuracy(digits, before) + 0.02


def test_spikes_are_counted_before_and_behind_the_pooling(digits, kernels):
    network = Network(MODEL, SHAPE, [kernels[2]])
    behind, spikes = network.run(digits.test_images)
    single = Network(replace(MODEL, layers=(replace(LAYER, pool=None),)), SHAPE, [kernels[2]])
    before, unpooled = single.run(digits.test_images)
    lit = np.count_nonzero(digits.test_images) / len(digits.test_images)
    assert spikes == pytest.approx([lit, len(before.unit) / 500, len(behind.unit) / 500])
    assert unpooled == pytest.approx(spikes[:2])


@pytest.mark.parametrize(
    ("rule", "reached"),
    [
        (PairedRule(margin=5.0, rate=0.01), 0.90),
        (RewardSTDP(batch=100), 0.85),
        (S2STDP(), 0.80),
        (HitMissSTDP(), 0.80),
    ],
)
def test_decision_layers_learn_by_local_rules(digits, kernels, rule, reached):
    network = Network(MODEL, SHAPE, [kernels[2]])
    (train, _), (test, _) = network.run(digits.train_images), network.run(digits.test_images)
    layer = DenseDecision(1, rule)
    start = decision.decision_weights(layer, train.shape, 10, np.random.default_rng(1))
    trainer = decision.decision_trainer(layer, train.shape, 10, start, 1)
    for _ in range(10):
        trainer.run_epoch(train, digits.train_labels.astype(np.int64))
    assert np.mean(trainer.predict(test) == digits.test_labels) > reached
