"""The floating-point IF_curr_exp against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import connections, lif
from spikingconvnet.algorithms.spike_trains import from_lists, to_lists
from spikingconvnet.errors import ModelError

NEURON = {
    "cm": 0.5,
    "tau_m": 10.0,
    "tau_refrac": 2.0,
    "tau_syn_E": 5.0,
    "tau_syn_I": 3.0,
    "v_rest": -65.0,
    "v_reset": -70.0,
    "v_thresh": -50.0,
    "i_offset": 0.0,
}


def one(weight, delay=1.0):
    return connections.all_to_all(np.array([[weight]]), delay)


@pytest.mark.parametrize("timestep_ms", [0.1, 1.0])
def test_a_constant_current_charges_the_membrane_exponentially(timestep_ms):
    neuron = {**NEURON, "i_offset": 0.7}
    spikes, v = lif.simulate(neuron, 2, [], 200, timestep_ms=timestep_ms)
    time = np.arange(200) * timestep_ms
    wanted = -65.0 + 0.7 * 20.0 * (1 - np.exp(-time / 10.0))
    assert np.allclose(v, wanted[:, None])
    assert len(spikes) == 0


@settings(deadline=None, max_examples=30)
@given(st.floats(0.8, 5.0), st.floats(0.0, 6.0))
def test_a_constant_current_above_threshold_fires_at_the_analytic_interval(current, tau_refrac):
    neuron = {**NEURON, "i_offset": current, "tau_refrac": tau_refrac}
    spikes, v = lif.simulate(neuron, 1, [], 300)
    goal = -65.0 + 20.0 * current
    charging = [
        math.ceil(10.0 * math.log((goal - start) / (goal - -50.0)) - 1e-9) for start in (-65, -70)
    ]
    first, again = charging[0] - 1, charging[1] + math.ceil(tau_refrac)
    assert spikes.times.tolist() == list(range(first, 300, again))
    assert v.max() < -50.0


@pytest.mark.parametrize(("receptor", "tau", "sign"), [("excitatory", 5, 1), ("inhibitory", 3, -1)])
def test_one_spike_gives_the_closed_form_potential(receptor, tau, sign):
    _, v = lif.simulate(NEURON, 1, [(from_lists([[4.0]]), one(0.4, 3.0), receptor)], 60)
    decay, leak = math.exp(-1 / tau), math.exp(-1 / 10)
    current = 0.4 * tau * (1 - decay)
    # Steps since arrival k: sum over j < k of current decay^j, charging at (1 - leak) leak^(k-1-j).
    steps = np.arange(60 - 7)
    wanted = sign * 20 * current * (1 - leak) * (leak**steps - decay**steps) / (leak - decay)
    assert np.allclose(v[:8], -65.0)  # sent at 4, acts at 7, recorded before the update
    assert np.allclose(v[7:, 0], -65.0 + wanted)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=20))
def test_inputs_below_threshold_add_up(events):
    trains = from_lists([[t for n, t in events if n == i] for i in range(3)])
    links = connections.all_to_all(np.array([[0.01, 0.02], [0.03, 0.0], [0.02, 0.01]]))
    _, together = lif.simulate(NEURON, 2, [(trains, links, "excitatory")], 60)
    total = np.zeros((60, 2))
    for neuron, time in events:
        single = from_lists([[time] if i == neuron else [] for i in range(3)])
        _, v = lif.simulate(NEURON, 2, [(single, links, "excitatory")], 60)
        total += v + 65.0
    assert np.allclose(together + 65.0, total)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.0, 30.0), st.integers(0, 2**31))
def test_a_refractory_neuron_never_fires(tau_refrac, seed):
    rng = np.random.default_rng(seed)
    trains = from_lists([np.unique(rng.integers(0, 200, 80)) for _ in range(4)])
    links = connections.all_to_all(rng.random((4, 3)) * 20)
    neuron = {**NEURON, "tau_refrac": tau_refrac}
    spikes, _ = lif.simulate(neuron, 3, [(trains, links, "excitatory")], 200)
    assert len(spikes) > 0
    for train in to_lists(spikes):
        assert np.all(np.diff(train) > math.ceil(tau_refrac))


def test_lateral_inhibition_silences_the_losers():
    """One winner per window: -300 nA for the rest, as in training in 2018."""
    neuron = {**NEURON, "v_reset": -65.0, "tau_syn_I": 5.0, "v_thresh": -5.0, "tau_refrac": 2060.0}
    burst = from_lists([list(range(1, 50, 5))] * 16)
    links = connections.all_to_all(np.tile([0.30, 0.34, 0.32], (16, 1)))
    inputs = [(burst, links, "excitatory")]
    rivals = [(connections.lateral(3, 300.0), "inhibitory")]
    spikes, v = lif.simulate(neuron, 3, inputs, 100, recurrent=rivals)
    assert spikes.neurons.tolist() == [1]
    assert v[:, [0, 2]].min() < -1000
    free, _ = lif.simulate(neuron, 3, inputs, 100)
    assert sorted(free.neurons.tolist()) == [0, 1, 2]


def test_recurrent_spikes_take_their_delay():
    kick = (from_lists([[0.0]]), connections.all_to_all(np.array([[500.0, 0.0]])), "excitatory")
    chain = connections.Connections(*(np.array([x]) for x in (0, 1, 500.0, 7.0)))
    neuron = {**NEURON, "tau_refrac": 100.0}
    spikes, _ = lif.simulate(neuron, 2, [kick], 30, recurrent=[(chain, "excitatory")])
    assert list(zip(spikes.times, spikes.neurons, strict=True)) == [(1.0, 0), (8.0, 1)]


def test_a_delay_below_one_step_takes_one_step():
    _, short = lif.simulate(NEURON, 1, [(from_lists([[4.0]]), one(0.4, 0.2), "excitatory")], 20)
    _, step = lif.simulate(NEURON, 1, [(from_lists([[4.0]]), one(0.4, 1.0), "excitatory")], 20)
    assert np.array_equal(short, step)


@pytest.mark.parametrize(
    ("links", "receptor", "message"),
    [
        (one(1.0), "shunting", "receptor: 'shunting' .must be one of excitatory, inhibitory"),
        (
            connections.all_to_all(np.ones((1, 2))),
            "excitatory",
            r"post: 0\.\.1 .must lie in 0\.\.0",
        ),
        (connections.all_to_all(np.ones((2, 1))), "excitatory", r"pre: 0\.\.1 .must lie in 0\.\.0"),
    ],
)
def test_synapses_that_do_not_fit_are_refused(links, receptor, message):
    with pytest.raises(ModelError, match=message):
        lif.simulate(NEURON, 1, [(from_lists([[1.0]]), links, receptor)], 5)
