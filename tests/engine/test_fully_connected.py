"""Hold the compiled winner-take-all network to its definition, step by step."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from spikingconvnet.algorithms import window_learning as reference
from spikingconvnet.classes.fully_connected import (
    AdaptiveLIF,
    FullyConnected,
    FullyConnectedModel,
    ReceptiveRate,
    WindowRule,
)
from spikingconvnet.engine import winner_take_all
from spikingconvnet.engine.winner_take_all import WinnerTakeAll
from spikingconvnet.errors import DataError, ModelError

ENCODER = ReceptiveRate(steps=120, most=30)
RULE = WindowRule(rate=0.05, w_init_mean=0.5, w_init_sd=0.2)
LAYER = FullyConnected(neurons=21, rule=RULE, homeostasis=0.7)


def pictures(seed, count, shape=(7, 6)):
    rng = np.random.default_rng(seed)
    bright = rng.integers(60, 256, (count, *shape))
    return (bright * (rng.random((count, *shape)) < 0.45)).astype(np.uint8)


def network(layer=LAYER, seed=0, pixels=42):
    return WinnerTakeAll(ENCODER, layer, pixels, np.random.default_rng(seed))


@pytest.mark.parametrize("shape", [(7, 6), (1, 5), (9, 3)])
def test_gaps_follow_the_receptive_field(shape):
    images = pictures(3, 8, shape)
    images[5] = 0
    field = winner_take_all.receptive_field(ENCODER)
    found = winner_take_all.spike_gaps(ENCODER, images)
    wanted = reference.receptive_gaps(images, field, ENCODER.steps, ENCODER.most)
    assert np.array_equal(found, wanted)
    assert not found[5].any() and (found > 0).any()
    assert found[found > 0].min() == ENCODER.steps // ENCODER.most


def test_the_field_is_that_of_manhattan_distances():
    field = winner_take_all.receptive_field(ENCODER)
    assert field[2, 2] == 1 and field[2, 1] == 0.625 and field[1, 1] == field[0, 2] == 0.125
    assert field[0, 1] == -0.125 and field[0, 0] == -0.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("v_thresh", [-55.0, -63.0])
def test_training_is_the_definition_image_after_image(seed, v_thresh):
    # The defaults are multiples of 0.2: five steps down would meet v_thresh but for rounding.
    neuron = AdaptiveLIF(v_thresh=v_thresh, leak=0.83, thresh_up=1.03, thresh_down=0.37)
    layer = replace(LAYER, neuron=neuron)
    net = network(layer, seed)
    gaps = winner_take_all.spike_gaps(ENCODER, pictures(seed, 25))
    weights, raised, winners, spikes = net.weights, np.zeros(layer.neurons), [], []
    for image in gaps:
        args = (image, ENCODER.steps, weights, raised, layer.neuron, RULE, layer.homeostasis)
        trace = reference.present(*args)
        weights, raised = trace.weights, trace.raised
        fired = trace.winner[trace.winner >= 0]
        winners.append(fired[-1] if fired.size else -1)
        spikes.append(len(fired))
    assert net.train(gaps, np.arange(25)).tolist() == winners
    assert min(spikes) > 0 and len(set(winners)) > 3
    assert np.allclose(net.weights, weights, atol=2e-5)
    assert np.allclose(net.raised, raised, atol=1e-4)
    counts = net.respond(gaps)
    for image, found in zip(gaps, counts, strict=True):
        trace = reference.present(image, ENCODER.steps, net.weights, net.raised, layer.neuron)
        wanted = np.bincount(trace.winner[trace.winner >= 0], minlength=layer.neurons)
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("rest", [0, 4, 15])
def test_a_refractory_neuron_never_fires(rest):
    """A winner's potential is not looked at again before its rest is over."""
    # Strong inputs: every step that is no rest has a winner.
    strong = WindowRule(w_init_mean=1.0, w_init_sd=0.3, w_max=40.0)
    neuron = AdaptiveLIF(
        v_thresh=-69.0, v_lost=-70.0, v_reset=-70.0, tau_refrac=rest, thresh_up=0.1
    )
    layer = FullyConnected(neurons=5, neuron=neuron, rule=strong)
    gaps = np.ones((1, 42), np.int32)
    encoder = ReceptiveRate(steps=120, most=120)
    net = WinnerTakeAll(encoder, layer, 42, np.random.default_rng(0))
    trace = reference.present(gaps[0], ENCODER.steps, net.weights, net.raised, neuron)
    times = np.flatnonzero(trace.winner >= 0)
    assert np.diff(times).min() == rest + 1
    assert net.respond(gaps).sum() == len(times) == -(-ENCODER.steps // (rest + 1))


def test_the_original_fires_on_while_it_rests():
    images = winner_take_all.spike_gaps(ENCODER, pictures(1, 6))
    sound, original = (network(replace(LAYER, legacy=old)).respond(images) for old in (False, True))
    assert sound.sum(axis=1).max() <= -(-ENCODER.steps // 16) < original.sum(axis=1).max()


def test_learning_stays_in_bounds_and_spares_what_fired():
    since = np.array([0, 5, 6, -1, 30])
    rule = WindowRule(rate=0.5, w_init_mean=0.5)
    before = np.array([0.5, 0.5, 0.5, 0.5, 1e-5])
    after, spared = reference.window_rule(before, since, np.zeros(5, bool), rule)
    assert after[0] > after[1] > 0.5 > after[2] == after[3] and after[4] == 1e-5
    assert after[0] == pytest.approx(0.5 + 0.5 * 0.3 * 0.5**0.9)
    assert after[3] == pytest.approx(0.5 - 0.5 * 0.8 * np.exp(-0.2) * (0.5 - 1e-5) ** 0.9)
    later, _ = reference.window_rule(after, np.full(5, -1), spared, rule)
    assert later[0] == after[0] and later[1] == after[1] and later[2] < after[2]
    for _ in range(60):
        later, _ = reference.window_rule(later, np.array([0, 0, -1, -1, -1]), spared, rule)
    assert later.min() >= rule.w_min and later.max() <= rule.w_max


def test_threads_change_nothing_and_a_resumed_training_ends_the_same():
    gaps = winner_take_all.spike_gaps(ENCODER, pictures(9, 40))
    whole, halves = network(), network()
    whole.train(gaps, np.arange(40))
    halves.train(gaps, np.arange(17))
    resumed = network(seed=5)
    resumed.restore(halves.state())
    resumed.train(gaps, np.arange(17, 40))
    assert np.array_equal(whole.weights, resumed.weights)
    assert np.array_equal(whole.raised, resumed.raised) and whole.shown == resumed.shown == 40
    before = numba.get_num_threads()
    try:
        counts = []
        for threads in (1, before):
            numba.set_num_threads(threads)
            counts.append(whole.respond(gaps))
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(*counts)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", np.zeros((3, 4)), r"weights: of shape \(3, 4\)"),
        ("weights", np.full((21, 42), np.nan), "all finite: False"),
        ("raised", np.zeros(3), r"thresholds: of shape \(3,\)"),
        ("raised", np.full(21, np.inf), "all finite: False"),
    ],
)
def test_a_state_of_another_network_is_refused(name, value, message):
    net = network()
    with pytest.raises(DataError, match=message):
        net.restore({**net.state(), name: value})


def test_more_spikes_than_the_encoder_sends_are_refused():
    with pytest.raises(DataError, match=r"gaps: 1 steps .must be 0 or at least 4"):
        network().respond(np.ones((1, 42), np.int32))
    with pytest.raises(DataError, match=r"gaps: shape \(1, 41\)"):
        network().train(np.zeros((1, 41), np.int32), np.arange(1))


def test_neurons_are_labelled_by_the_classes_they_fire_at():
    counts = np.array([[3, 0, 0], [1, 2, 0], [0, 2, 0], [0, 2, 0]])
    truth = np.array([0, 0, 1, 1])
    assert winner_take_all.labels_of_neurons(counts, truth, 3).tolist() == [0, 1, -1]
    shares = winner_take_all.shares_of_neurons(counts, truth, 3)
    assert np.allclose(shares, [[1, 0, 0], [1 / 3, 2 / 3, 0], [0, 0, 0]])
    together = winner_take_all.class_scores(counts, shares, True)
    assert np.allclose(together[1], [1 + 2 / 3, 4 / 3, 0])
    alone = winner_take_all.class_scores(counts, shares, False)
    assert np.allclose(alone[1], [2 / 3, 4 / 3, 0])
    won = winner_take_all.last_won(np.array([1, 1, -1, 0]), np.array([0, 2, 1, 1]), 3)
    assert won.tolist() == [1, 2, -1]


def test_records_refuse_what_cannot_be():
    with pytest.raises(ModelError, match=r"label: 'best' .must be one of last, most, share"):
        FullyConnectedModel("x", "y", ENCODER, LAYER, label="best")
    with pytest.raises(ModelError, match=r"AdaptiveLIF.v_thresh: -95"):
        AdaptiveLIF(v_thresh=-95.0)
    with pytest.raises(ModelError, match=r"WindowRule.w_max: -1"):
        WindowRule(w_max=-1.0)
    with pytest.raises(ModelError, match="w_min"):
        WindowRule(w_min=float("nan"))
