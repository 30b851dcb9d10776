import dataclasses

import pytest

from spikingconvnet.algorithms import connections, lif
from spikingconvnet.algorithms.spike_trains import from_lists
from spikingconvnet.classes.neurons import NEURONS_2018, POOL_NEURON, IFCurrExp
from spikingconvnet.errors import ModelError


@pytest.mark.parametrize(
    ("number", "mode", "tau_m", "v_thresh", "tau_refrac", "cm"),
    [
        (1, "train", 10, -5, 2060, 0.5),
        (1, "rebuild", 10, -10, 1, 0.5),
        (2, "train", 10, -40, 660, 0.3),
        (2, "rebuild", 10, -40, 3, 0.3),
        (3, "train", 5, -35, 200, 0.3),
        (3, "rebuild", 5, -50, 5, 0.5),
    ],
)
def test_table_of_2018(number, mode, tau_m, v_thresh, tau_refrac, cm):
    assert getattr(NEURONS_2018[number], mode).as_pynn() == {
        "tau_m": tau_m,
        "v_thresh": v_thresh,
        "tau_refrac": tau_refrac,
        "cm": cm,
        "i_offset": 0,
        "v_rest": -65,
        "v_reset": -65,
        "tau_syn_E": 5,
        "tau_syn_I": 5,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau_m": 0}, r"IFCurrExp\.tau_m: 0 \(must be above 0\)"),
        ({"cm": -1.0}, r"IFCurrExp\.cm: -1\.0 \(must be above 0\)"),
        ({"tau_syn_I": float("nan")}, r"IFCurrExp\.tau_syn_I: nan \(must be above 0\)"),
        ({"tau_refrac": -1}, r"IFCurrExp\.tau_refrac: -1 \(must be at least 0\)"),
        ({"v_rest": "x"}, r"IFCurrExp\.v_rest: 'x' \(must be a finite number\)"),
        ({"v_reset": True}, r"IFCurrExp\.v_reset: True \(must be a finite number\)"),
        ({"v_thresh": -65.0}, r"IFCurrExp\.v_thresh: -65\.0 \(must be above v_rest -65\.0"),
    ],
)
def test_impossible_neurons_are_refused(settings, message):
    with pytest.raises(ModelError, match=message):
        IFCurrExp(**settings)


def test_a_neuron_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        IFCurrExp().cm = 2.0
    with pytest.raises(TypeError):
        NEURONS_2018[1] = None


def test_the_pooling_neuron_passes_each_spike_on_once():
    links = connections.all_to_all([[20.0], [20.0]])
    trains = from_lists([[3.0, 20.0, 24.0], [3.0]])
    spikes, _ = lif.simulate(POOL_NEURON.as_pynn(), 1, [(trains, links, "excitatory")], 40)
    assert spikes.times.tolist() == [4.0, 21.0, 25.0]
