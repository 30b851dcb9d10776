import numpy as np
import pytest

from spikingconvnet.algorithms import spike_trains
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes import network
from spikingconvnet.classes.layers import ConvLayer, PoolLayer
from spikingconvnet.classes.learning import PairSTDP
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import InferenceNetwork, TrainingNetwork
from spikingconvnet.errors import ModelError


def trains(*pairs, size=4):
    neurons, times = zip(*pairs, strict=True) if pairs else ((), ())
    return SpikeTrains(np.array(neurons, np.int32), np.array(times, float), size)


def random_trains(size, end_ms, count, seed=0):
    rng = np.random.default_rng(seed)
    return trains(
        *zip(rng.integers(0, size, count), rng.integers(0, end_ms, count), strict=True), size=size
    )


def model(*layers, shape=(8, 7, 2)):
    made = SpikingConvNet(shape)
    for layer in layers:
        made.add(layer)
    return made


def test_the_flush_is_one_spike_of_every_source_ten_time_constants_after_the_end():
    rule = PairSTDP(tau_plus=7, tau_minus=20)
    flushed = network.flushed(trains((1, 3.0), (2, 99.0)), 100, rule)
    assert network.flush_time(100, rule) == 300
    assert spike_trains.to_lists(flushed) == [[300.0], [3.0, 300.0], [99.0, 300.0], [300.0]]
    assert rule.A_minus * np.exp(-(300 - 99) / 20) < 2**-16


def test_respacing_keeps_times_in_the_window_and_drops_what_does_not_fit():
    spikes = trains((0, 5.0), (1, 29.0), (2, 31.0), (3, 59.0))
    longer = network.respaced(spikes, 30, 50)
    assert longer.times.tolist() == [5.0, 29.0, 51.0, 79.0]
    shorter = network.respaced(spikes, 30, 20)
    assert shorter.times.tolist() == [5.0, 21.0] and shorter.neurons.tolist() == [0, 2]


def test_windows_are_dealt_out_in_equal_parts():
    spikes = trains(*((n % 4, 10.0 * n + 1) for n in range(7)))
    parts = network.split_windows(spikes, 7, 10, 3)
    assert [part.times.tolist() for part in parts] == [[1.0, 11.0]] * 3
    assert [part.neurons.tolist() for part in parts] == [[0, 1], [2, 3], [0, 1]]


@pytest.mark.parametrize("depthwise", [False, True])
def test_training_windows_are_drawn_among_those_with_enough_spikes(depthwise):
    layer = ConvLayer(3, (3, 2), (2, 1), depthwise=depthwise, window_ms=25)
    stage = model(layer).conv_stage(1)
    spikes = random_trains(8 * 7 * 2, 4 * 20, 300)
    draw = {"limit": 5, "min_spikes": 3}
    rng = np.random.default_rng(0)
    shown, count = network.training_windows(stage, spikes, 4, 20, **draw, rng=rng)
    assert shown.size == (6 if depthwise else 12)
    assert 0 < count <= 5 * 4
    each = spike_trains.counts(shown, 25, count).sum(axis=1)
    assert each.min() >= 3 and each.sum() == len(shown)
    again, _ = network.training_windows(stage, spikes, 4, 20, **draw, rng=np.random.default_rng(0))
    assert again == shown
    everything, total = network.training_windows(
        stage, spikes, 4, 20, limit=None, min_spikes=0, rng=rng
    )
    assert total == 4 * 3 * 6 * (2 if depthwise else 1)
    assert everything.times.max() < total * 25


def test_a_pooling_layer_has_no_training_windows():
    stage = model(ConvLayer(2, 3), PoolLayer(2)).stages[1]
    with pytest.raises(ModelError, match="pool1: a pooling layer"):
        network.unknown_windows(stage, 5, 3)


def test_networks_refuse_what_does_not_fit():
    net = TrainingNetwork(None, ConvLayer(2, 3))
    with pytest.raises(ModelError, match="windows is empty"):
        net.run(np.ones((2, 1, 3, 3)), [], 10)
    with pytest.raises(ModelError, match=r"windows over 4 sources \(must be 9"):
        net.run(np.ones((2, 1, 3, 3)), [trains()], 10)
    with pytest.raises(ModelError, match=r"InferenceNetwork.stages: none"):
        InferenceNetwork(None, [])


def test_weights_come_back_from_the_virtual_machine_as_they_were_but_for_rounding(virtual_backend):
    layer = ConvLayer(5, (3, 2), window_ms=20)
    weights = layer.rule.initial_weights((5, 2, 3, 2), np.random.default_rng(0))
    with TrainingNetwork(virtual_backend.sim, layer) as net:
        (one, two) = net.run(weights, [random_trains(12, 200, 80, seed) for seed in (1, 2)], 200)
    assert one.weights.shape == weights.shape
    assert np.abs(one.weights - weights).max() < 2**-10
    assert np.array_equal(one.weights, two.weights)
    assert net.neurons == 10 and net.synapses == 2 * (5 * 12 + 5 * 4)
    assert net.run_ms == network.flush_time(200, layer.rule) + network.FLUSH_TAIL_MS


def test_one_kernel_needs_no_inhibition(virtual_backend):
    layer = ConvLayer(1, 2)
    with TrainingNetwork(virtual_backend.sim, layer) as net:
        net.run(np.full((1, 1, 2, 2), 0.5), [trains((0, 1.0))], 10)
    assert net.synapses == 4


@pytest.mark.parametrize(("duration_ms", "parts"), [(100, 1), (35_000, 3), (900_000, 20)])
def test_progress_is_reported_to_the_end(virtual_backend, duration_ms, parts):
    seen = []
    layer = ConvLayer(2, 2)
    with TrainingNetwork(virtual_backend.sim, layer, report=seen.append) as net:
        net.run(np.full((2, 1, 2, 2), 0.5), [trains((0, 1.0))], duration_ms)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) == parts


@pytest.mark.parametrize("images_per_run", [2, 5])
def test_inference_is_mapped_for_several_sets_of_weights(virtual_backend, images_per_run):
    net_model = model(ConvLayer(3, 3, 2), PoolLayer(2), ConvLayer(2, 1, depthwise=True))
    rng = np.random.default_rng(0)
    # Negative weights go to inhibitory synapses, zeros nowhere.
    first = rng.choice([-0.5, 0.0, 0.5], (3, 2, 3, 3))
    sets = [[first, rng.random((2, 1, 1, 1))], [np.zeros((3, 2, 3, 3)), rng.random((2, 1, 1, 1))]]
    spikes = random_trains(8 * 7 * 2, 5 * 20, 200)
    with InferenceNetwork(
        virtual_backend.sim,
        net_model.stages,
        record=("conv1", "conv2"),
        watch=2,
        images_per_run=images_per_run,
    ) as net:
        activity = net.run(sets, spikes, 5, 20)
    windows, pooled = 3 * 3, 1 * 1
    assert net.neurons == 2 * (3 * windows + 3 * pooled + 6 * pooled)
    assert net.synapses == windows * np.count_nonzero(first) + 2 * (3 * 4 + 6)
    assert net.run_ms == 100
    assert [one.spikes["conv2"].size for one in activity] == [6, 6]
    assert all(len(one.spikes["conv1"]) == 0 for one in activity)
    assert activity[0].voltages["conv1"].values.shape == (0, 2)


def test_images_without_a_single_spike_can_be_shown(virtual_backend):
    stages = model(ConvLayer(1, 3)).stages
    with InferenceNetwork(virtual_backend.sim, stages) as net:
        (activity,) = net.run([[np.ones((1, 2, 3, 3))]], trains(size=112), 2, 20)
    assert len(activity.spikes["conv1"]) == 0


@pytest.mark.parametrize("dependence", ["additive", "multiplicative"])
@pytest.mark.parametrize("pairing", ["all", "nearest"])
def test_every_rule_has_a_binary(virtual_backend, dependence, pairing):
    from spynnaker.pyNN.data import SpynnakerDataView

    layer = ConvLayer(2, 2, rule=PairSTDP(dependence=dependence, pairing=pairing))
    with TrainingNetwork(virtual_backend.sim, layer) as net:
        net.run(np.full((2, 1, 2, 2), 0.5), [trains((0, 1.0))], 10)
        names = {
            place.vertex.get_binary_file_name()
            for place in SpynnakerDataView.iterate_placemements()
            if place.vertex.app_vertex is not None
        }
        assert any("stdp" in name for name in names)
        for name in names:
            assert SpynnakerDataView.get_executable_path(name)
