"""Networks of two layers that tests deploy, and what the host engine makes of them."""

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.backends import preflight
from spikingconvnet.classes.deployed_network import DeployedNetwork
from spikingconvnet.classes.deployed_parts import Answers
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.single_spike import LinearSVM, Pool, SpikingConv
from spikingconvnet.engine import board_semantics
from spikingconvnet.utilities import logs

STEPS = 5


def listed(rng, readout):
    """Return a network for images of 6 x 7: strides, padding, pooling over edges."""
    layers = (
        SpikingConv(
            maps=3, shape=(3, 2), threshold=1.4, stride=(1, 2), padding=(1, 1), levels=2,
            pool=Pool((2, 3), stride=(2, 1), ceil=True),
        ),
        SpikingConv(maps=4, shape=2, threshold=1.0, padding=1, levels=1, inhibition=False),
    )  # fmt: skip
    model = HostModel("two", "of this test", RankOrder(STEPS), layers, readout)
    weights, units = _weights(rng, model, (6, 7))
    answers = Answers(
        rng.integers(-9, 10, (3, units)), rng.integers(-20, 20, 3), np.array([4, 5, 6])
    )
    return model, weights, answers


def on_chip(rng):
    """Return one for on-chip convolution of 8 x 12: kernels that are not square, both poolings."""
    layers = (
        SpikingConv(
            maps=3, shape=(3, 5), threshold=3.0, padding=(1, 2), levels=2,
            pool=Pool((6, 2), stride=2, padding=(2, 0)),
        ),
        SpikingConv(maps=4, shape=3, threshold=7.0, padding=1, levels=1, inhibition=False),
    )  # fmt: skip
    readout = LinearSVM(levels=9)
    model = HostModel("chip", "of this test", RankOrder(STEPS), layers, readout, "convolution")
    weights, units = _weights(rng, model, (8, 12))
    answers = Answers(rng.integers(-9, 10, (3, units)), np.zeros(3, int), np.array([4, 5, 6]))
    return model, weights, answers


def _weights(rng, model, shape):
    shapes = model.tensors(shape)
    weights = [
        rng.random(layer.weight_shape(below))
        for layer, below in zip(model.layers, shapes, strict=False)
    ]
    return weights, int(np.prod(shapes[-1]))


def predicted(model, waves, weights):
    """Return the waves of all layers by name, and those of the last."""
    found, behind = {}, waves
    for number, (layer, kernels) in enumerate(zip(model.layers, weights, strict=True), 1):
        found[f"conv {number}"] = behind = board_semantics.convolved(layer, behind, kernels)
        if layer.pool is not None:
            found[f"pool {number}"] = behind = board_semantics.pooled(layer, behind)
    return found, behind


def check_bill(plan, waves, folder):
    """Check what a deployment is said to need of a SpiNN-3 against what sPyNNaker maps."""
    needs = preflight.bill(plan, len(waves), 3)
    with (
        logs.capture(folder / "toolchain.log"),
        backends.load("virtual", version=3, folder=folder) as backend,
        DeployedNetwork(backend.sim, plan) as network,
    ):
        network.build(waves)
        network.simulate(len(waves))
        mapped = backends.measure(network.neurons, network.synapses, network.run_ms)
    assert (needs.cores, needs.neurons, needs.synapses, needs.run_ms) == (
        mapped.cores, mapped.neurons, mapped.synapses, mapped.run_ms
    )  # fmt: skip
    assert needs.sdram_bytes == pytest.approx(mapped.sdram_bytes, rel=0.15)
    assert needs.rounded_to_zero == needs.saturated == needs.extended_delays == 0
