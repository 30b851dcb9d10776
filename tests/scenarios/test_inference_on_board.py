"""The rebuilt network on the software board against the floating-point reference."""

import numpy as np
import pytest

from spikingconvnet.algorithms import lif, spike_trains
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes import network
from spikingconvnet.classes.layers import ConvLayer, PoolLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import InferenceNetwork
from spikingconvnet.classes.neurons import IFCurrExp

IMAGES, INTERVAL_MS = 6, 40
NEURON = IFCurrExp(cm=0.5, tau_m=10.0, v_thresh=-57.0, tau_refrac=3.0)


@pytest.fixture
def model():
    """Build a deep model on an oblong image of two channels."""
    net = SpikingConvNet((7, 9, 2))
    return net.add(ConvLayer(3, (3, 2), (2, 1), neuron=NEURON)).add(PoolLayer((1, 2))).add(
        ConvLayer(2, 2, neuron=NEURON)
    )  # fmt: skip


@pytest.fixture
def weights(model):
    """Draw kernels with both signs."""
    rng = np.random.default_rng(4)
    return [
        rng.uniform(-0.4, 1.0, layer.weight_shape(model.conv_stage(number).input_shape))
        for number, layer in enumerate(model.conv_layers, start=1)
    ]


@pytest.fixture
def spikes(model):
    """Draw input spikes in the first half of every interval."""
    rng = np.random.default_rng(5)
    size = int(np.prod(model.input_shape))
    image, neuron = np.nonzero(rng.random((IMAGES, size)) < 0.4)
    times = image * INTERVAL_MS + rng.integers(1, 20, len(image))
    return SpikeTrains(neuron.astype(np.int32), times.astype(float), size)


def show(backend, model, sets, spikes, **options):
    names = [stage.name for stage in model.stages]
    with InferenceNetwork(backend.sim, model.stages, record=names, watch=3, **options) as net:
        return net.run(sets, spikes, IMAGES, INTERVAL_MS)


def expected(model, weights, spikes, source):
    """Run one stage after another in floating point, each on what `source` says came before."""
    kernels = iter(weights)
    found = {}
    for stage in model.stages:
        links = network.stage_connections(stage, kernels)
        inputs = [(spikes, part, receptor) for receptor, part in network._by_sign(links)]
        found[stage.name] = lif.simulate(
            stage.layer.neuron.as_pynn(),
            stage.neurons,
            [(one, _positive(part), receptor) for one, part, receptor in inputs],
            IMAGES * INTERVAL_MS,
        )
        spikes = source[stage.name]
    return found


def _positive(links):
    return type(links)(links.pre, links.post, np.abs(links.weight), links.delay)


def test_every_layer_fires_as_the_reference_does(board_backend, model, weights, spikes):
    (activity,) = show(board_backend, model, [weights], spikes)
    found = expected(model, weights, spikes, activity.spikes)
    for stage in model.stages:
        reference, potentials = found[stage.name]
        ours = spike_trains.counts(activity.spikes[stage.name], INTERVAL_MS, IMAGES)
        theirs = spike_trains.counts(reference, INTERVAL_MS, IMAGES)
        assert ours.sum() > 20, stage.name
        # Sixteen bits of weight: a few spikes come a step earlier, later or not at all.
        assert np.abs(ours - theirs).sum() <= 0.03 * ours.sum() + 1, stage.name
        seen = activity.voltages[stage.name].values
        watched = InferenceNetwork(None, model.stages, watch=3)._watched(stage)
        assert seen.shape == (IMAGES * INTERVAL_MS, 3)
        assert np.median(np.abs(seen - potentials[:, watched])) < 0.1, stage.name


def test_sets_of_weights_beside_each_other_do_not_disturb(board_backend, model, weights, spikes):
    other = [np.abs(array) for array in weights]
    (both, second) = show(board_backend, model, [weights, other], spikes)
    (alone,) = show(board_backend, model, [weights], spikes)
    for name, trains in alone.spikes.items():
        assert both.spikes[name] == trains
    assert second.spikes["conv1"] != both.spikes["conv1"]


def test_images_shown_in_several_runs_join_on_one_clock(board_backend, model, weights, spikes):
    (whole,) = show(board_backend, model, [weights], spikes)
    (pieces,) = show(board_backend, model, [weights], spikes, images_per_run=4)
    first = spike_trains.cut(whole.spikes["conv1"], 0, 4 * INTERVAL_MS)
    assert spike_trains.cut(pieces.spikes["conv1"], 0, 4 * INTERVAL_MS) == first
    later = spike_trains.counts(pieces.spikes["conv1"], INTERVAL_MS, 2, 4 * INTERVAL_MS)
    # The second run starts from rest, where the first carried a trace of the image before.
    before = spike_trains.counts(whole.spikes["conv1"], INTERVAL_MS, 2, 4 * INTERVAL_MS)
    assert later.sum() > 0 and np.abs(later - before).sum() <= 0.1 * before.sum()


def test_weights_saved_and_loaded_give_the_same_spikes(
    board_backend, model, weights, spikes, tmp_path
):
    from spikingconvnet.utilities.storage import LayerWeights, RunDirectory

    run = RunDirectory(tmp_path / "run")
    for number, array in enumerate(weights, start=1):
        run.save_weights(number, LayerWeights(array, array, {}, board_backend.origin, 0))
    loaded = [run.load_weights(number).weights for number in (1, 2)]
    (before,) = show(board_backend, model, [weights], spikes)
    (after,) = show(board_backend, model, [loaded], spikes)
    assert all(np.array_equal(*pair) for pair in zip(weights, loaded, strict=True))
    assert before.spikes == after.spikes
