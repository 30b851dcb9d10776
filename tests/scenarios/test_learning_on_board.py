"""Learning on the software board against the floating-point reference, and its repeatability."""

import numpy as np
import pytest

from spikingconvnet.algorithms import spike_trains
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes import network
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.learning import PairSTDP
from spikingconvnet.classes.network import TrainingNetwork
from spikingconvnet.classes.neurons import IFCurrExp

NEURON = IFCurrExp(cm=0.5, tau_m=10.0, v_thresh=-55.0, tau_refrac=45.0)
WINDOWS, WINDOW_MS, SOURCES = 60, 30, 12


def shown(seed=0):
    """Draw two kinds of window: the first or the last half of the sources, a little jittered."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, WINDOWS)
    neurons = (np.arange(SOURCES // 2)[None] + kind[:, None] * (SOURCES // 2)).ravel()
    jitter = rng.integers(1, 8, (WINDOWS, SOURCES // 2))
    times = (np.arange(WINDOWS)[:, None] * WINDOW_MS + jitter).ravel()
    return SpikeTrains(neurons.astype(np.int32), times.astype(float), SOURCES)


def train(backend, rule, windows=None, inhibition=8.0, weights=None):
    layer = ConvLayer(
        3, (2, 3), train_neuron=NEURON, rule=rule, inhibition=inhibition, window_ms=WINDOW_MS
    )
    if weights is None:
        weights = rule.initial_weights((3, 2, 2, 3), np.random.default_rng(1))
    with TrainingNetwork(backend.sim, layer, sample_ms=1) as net:
        results = net.run(weights, windows or [shown()], WINDOWS * WINDOW_MS)
    return weights, results


def rule(**values):
    return PairSTDP(w_init_mean=0.5, w_init_sd=0.1, A_plus=0.05, A_minus=0.03, **values)


@pytest.mark.parametrize(
    ("dependence", "pairing"),
    [("additive", "all"), ("multiplicative", "all"), ("additive", "nearest")],
)
def test_weights_follow_the_reference_rule(board_backend, dependence, pairing):
    chosen = rule(dependence=dependence, pairing=pairing)
    initial, (result,) = train(board_backend, chosen)
    assert len(result.spikes) > WINDOWS / 2
    expected = chosen.reference(
        network.flushed(shown(), WINDOWS * WINDOW_MS, chosen),
        result.spikes,
        initial.reshape(3, SOURCES).T,
    )
    learnt = result.weights.reshape(3, SOURCES).T
    assert np.abs(learnt - initial.reshape(3, SOURCES).T).max() > 0.1
    # Every update is rounded to the 16 bits of a weight, here 1/2048 nA.
    assert np.abs(learnt - expected).max() < 0.02


def test_the_flush_carries_out_what_was_pending(board_backend):
    """Without a later presynaptic spike the potentiation by the only output spike would be lost."""
    chosen = rule()
    once = SpikeTrains(np.arange(SOURCES), np.full(SOURCES, 2.0), SOURCES)
    initial, (result,) = train(board_backend, chosen, [once], weights=np.full((3, 2, 2, 3), 0.6))
    assert len(result.spikes) >= 1
    lag = result.spikes.times[0] + network.DELAY_MS - 2.0  # all of the delay is dendritic
    gain = (result.weights - initial)[result.spikes.neurons[0]]
    assert np.allclose(gain, chosen.A_plus * np.exp(-lag / chosen.tau_plus), atol=2e-3)


def test_two_runs_give_the_same_bytes(board_backend):
    runs = [train(board_backend, rule())[1][0] for _ in range(2)]
    assert np.array_equal(runs[0].weights, runs[1].weights)
    assert runs[0].spikes == runs[1].spikes
    assert np.array_equal(runs[0].voltages.values, runs[1].voltages.values)


def test_inhibition_leaves_one_winner_per_window(board_backend):
    def rivals(inhibition):
        _, (result,) = train(board_backend, rule(), inhibition=inhibition)
        return spike_trains.counts(result.spikes, WINDOW_MS, WINDOWS).astype(bool).sum(axis=1)

    alone, together = rivals(8.0), rivals(0.0)
    assert alone.mean() < together.mean()
    assert np.mean(alone <= 1) > 0.7


def test_copies_on_one_board_learn_as_each_would_alone(board_backend):
    several = [shown(1), shown(2)]
    _, together = train(board_backend, rule(), several)
    for windows, result in zip(several, together, strict=True):
        _, (alone,) = train(board_backend, rule(), [windows])
        assert np.array_equal(result.weights, alone.weights)


def test_potentials_are_those_of_the_neuron(board_backend):
    _, (result,) = train(board_backend, rule())
    values = result.voltages.values
    assert values.shape[1] == 3 and len(values) >= WINDOWS * WINDOW_MS
    assert values[0].tolist() == [NEURON.v_rest] * 3
    assert values.max() < NEURON.v_thresh
    assert values.min() < NEURON.v_rest - 1  # inhibited
