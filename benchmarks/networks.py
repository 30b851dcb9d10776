"""Networks that benchmarks run, each a function of the PyNN module of a running board.

A network returns the mean rate of its neurons in Hz where that says how hard it worked.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from spikingconvnet.algorithms import spike_trains
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import InferenceNetwork, TrainingNetwork

Network = Callable[[Any], float | None]


def random_spikes(size: int, rate_hz: float, duration_ms: int) -> spike_trains.SpikeTrains:
    """Draw regular-ish random spikes for `size` sources."""
    rng = np.random.default_rng(1)
    fired = rng.random((duration_ms, size)) < rate_hz / 1000
    times, neurons = np.nonzero(fired)
    return spike_trains.SpikeTrains(neurons.astype(np.int32), times.astype(float), size)


def poisson(duration_ms: int) -> Network:
    """Run 128 Poisson sources into 128 IF_curr_exp neurons."""

    def run(sim: Any) -> None:
        sim.setup(timestep=1.0)
        source = sim.Population(128, sim.SpikeSourcePoisson(rate=20.0), seed=1)
        target = sim.Population(128, sim.IF_curr_exp(), seed=2)
        synapse = sim.StaticSynapse(weight=0.5, delay=2.0)
        sim.Projection(source, target, sim.FixedProbabilityConnector(0.2), synapse)
        target.record("spikes")
        sim.run(float(duration_ms))
        sim.end()

    return run


def training(kernels: int, side: int, channels: int) -> Network:
    """Train a layer for 20 s; an input fires in every second window of 50 ms, as in the demo."""

    def run(sim: Any) -> None:
        layer = ConvLayer(kernels, side)
        shape = (kernels, channels, side, side)
        weights = layer.rule.initial_weights(shape, np.random.default_rng(0))
        spikes = random_spikes(channels * side * side, 10.0, 20_000)
        with TrainingNetwork(sim, layer) as network:
            network.run(weights, [spikes], 20_000)

    return run


def convolution(sim: Any) -> None:
    """Show 20 images of 50 ms to a network of 784 -> 2,304 neurons."""
    model = SpikingConvNet((28, 28)).add(ConvLayer(16, 5, stride=2))
    weights = np.random.default_rng(0).random((16, 1, 5, 5)) / 4
    spikes = random_spikes(784, 8.0, 1000)
    with InferenceNetwork(sim, model.stages) as network:
        network.run([[weights]], spikes, 20, 50)


def balanced(neurons: int, per_core: int, duration_ms: int) -> Network:
    """Run a random network of 80 % excitatory and 20 % inhibitory neurons, 200 inputs each."""

    def run(sim: Any) -> float:
        sim.setup(timestep=1.0)
        sim.set_number_of_neurons_per_core(sim.IF_curr_exp, per_core)
        sizes = {"excitatory": neurons * 4 // 5, "inhibitory": neurons // 5}
        cell = sim.IF_curr_exp(i_offset=1.25, tau_refrac=2.0)
        cells = {name: sim.Population(size, cell, seed=size) for name, size in sizes.items()}
        for population in cells.values():
            start = sim.RandomDistribution("uniform", low=-65.0, high=-50.0)
            population.initialize(v=start)
            population.record("spikes")
        connector = sim.FixedProbabilityConnector(200 / neurons)
        for name, weight in (("excitatory", 0.08), ("inhibitory", -0.32)):
            for target in cells.values():
                synapse = sim.StaticSynapse(weight=weight, delay=2.0)
                sim.Projection(cells[name], target, connector, synapse, receptor_type=name)
        sim.run(float(duration_ms))
        spikes = sum(len(cells[name].spinnaker_get_data("spikes")) for name in cells)
        sim.end()
        return spikes / neurons / duration_ms * 1000

    return run
