"""Cores that the layers of a board take, foretold; what does not fit is refused by its name."""

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.algorithms import spike_trains
from spikingconvnet.backends import stages
from spikingconvnet.classes.layers import ConvLayer, PoolLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import InferenceNetwork
from spikingconvnet.errors import UsageError


def model(kernels, side=20):
    net = SpikingConvNet((side, side, 2))
    return net.add(ConvLayer(kernels, (5, 5))).add(PoolLayer((2, 2))).stages


def test_the_cores_are_those_that_spynnaker_maps(virtual_backend):
    chain = model(6)
    weights = np.full((6, 2, 5, 5), 0.5)
    shown = spike_trains.from_lists([[1.0]] * 800)
    with InferenceNetwork(virtual_backend.sim, chain) as net:
        net.run([[weights], [weights]], shown, 1, 30)
        mapped = backends.measure(net.neurons, net.synapses, net.run_ms)
    assert sum(stages.cores(chain, 2).values()) == mapped.cores > 10


@pytest.mark.parametrize(("kernels", "version"), [(40, 3), (600, 5)])
def test_what_does_not_fit_is_refused_with_what_would(kernels, version):
    with pytest.raises(UsageError) as refused:
        stages.refuse(model(kernels), 2, version)
    told = str(refused.value)
    assert told.startswith("conv1 takes ") and told.endswith("; nothing was loaded")
    assert ("--board-version 5 has 759" in told) == (version == 3)
    fits = int(told.partition("conv1 with kernels ")[2].split()[0])
    stages.refuse(model(fits), 2, version)
    with pytest.raises(UsageError):
        stages.refuse(model(fits + 1), 2, version)


def test_the_command_line_refuses_before_anything_is_loaded(command, tmp_path):
    def job(kernels):
        layer = {"layer": "conv", "kernels": kernels, "shape": 3, "window_ms": 30}
        few = {"windows_per_image": 1, "images": 2}
        return {"BOARD": {"version": 3}, "TRAINING": few, "LAYERS": [layer]}

    def refused(layer, words, kernels):
        outcome = command("--mode", "training", "--layer", layer, **job(kernels))
        assert outcome.code == 2 and outcome.err.count("\n") == 1 and words in outcome.err

    assert command("--mode", "loaddata", **job(250)).code == 0
    refused("1", "training layer 1: 255 kernels (must be 254 at most", 255)
    assert command("--mode", "training", "--layer", "1", **job(250)).code == 0
    before = (tmp_path / "run" / "weights_layer_1.npz").read_bytes()
    refused("svm", "conv1 takes 72 of 73 cores of a SpiNN-3 (must be 63 at most; ", 250)
    assert (tmp_path / "run" / "weights_layer_1.npz").read_bytes() == before
