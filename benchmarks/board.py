"""Time the software board against real time: python benchmarks/board.py

A real SpiNNaker board runs at real time by design, so that is the baseline: a factor of 40 means
that a second on the board takes 25 ms here. Only the board's own work is counted (MIPS: million ARM
instructions a second, all cores together); sPyNNaker's mapping and loading, which are the same for
every board, are shown beside it.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikingconvnet import backends
from spikingconvnet.algorithms import spike_trains
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.classes.network import InferenceNetwork, TrainingNetwork
from spikingconvnet.utilities import logs

Build = Callable[[Any], None]


def random_spikes(size: int, rate_hz: float, duration_ms: int) -> spike_trains.SpikeTrains:
    """Draw regular-ish random spikes for `size` sources."""
    rng = np.random.default_rng(1)
    fired = rng.random((duration_ms, size)) < rate_hz / 1000
    times, neurons = np.nonzero(fired)
    return spike_trains.SpikeTrains(neurons.astype(np.int32), times.astype(float), size)


def poisson(sim: Any) -> None:
    """Run 128 Poisson sources into 128 IF_curr_exp neurons for 1,000 ms."""
    sim.setup(timestep=1.0)
    source = sim.Population(128, sim.SpikeSourcePoisson(rate=20.0), seed=1)
    target = sim.Population(128, sim.IF_curr_exp(), seed=2)
    synapse = sim.StaticSynapse(weight=0.5, delay=2.0)
    sim.Projection(source, target, sim.FixedProbabilityConnector(0.2), synapse)
    target.record("spikes")
    sim.run(1000.0)
    sim.end()


def training(kernels: int, side: int, channels: int) -> Build:
    """Train a layer for 20 s; an input fires in every second window of 50 ms, as in the demo."""

    def build(sim: Any) -> None:
        layer = ConvLayer(kernels, side)
        shape = (kernels, channels, side, side)
        weights = layer.rule.initial_weights(shape, np.random.default_rng(0))
        spikes = random_spikes(channels * side * side, 10.0, 20_000)
        with TrainingNetwork(sim, layer) as network:
            network.run(weights, [spikes], 20_000)

    return build


def convolution(sim: Any) -> None:
    """Show 20 images of 50 ms to a network of 784 -> 2,304 neurons."""
    model = SpikingConvNet((28, 28)).add(ConvLayer(16, 5, stride=2))
    weights = np.random.default_rng(0).random((16, 1, 5, 5)) / 4
    spikes = random_spikes(784, 8.0, 1000)
    with InferenceNetwork(sim, model.stages) as network:
        network.run([[weights]], spikes, 20, 50)


def balanced(neurons: int, duration_ms: int) -> Build:
    """Run a random network of 80 % excitatory and 20 % inhibitory neurons, 64 on a core."""

    def build(sim: Any) -> None:
        sim.setup(timestep=1.0)
        sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 64)
        sizes = {"excitatory": neurons * 4 // 5, "inhibitory": neurons // 5}
        cell = sim.IF_curr_exp(i_offset=1.1, tau_refrac=2.0)
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
        RATES.append(spikes / neurons / duration_ms * 1000)
        sim.end()

    return build


RATES: list[float] = []
NETWORKS: dict[str, Build] = {
    "128 Poisson -> 128 IF_curr_exp, 1 s": poisson,
    "training 16 -> 4, 20 s": training(4, 4, 1),
    "training 75 -> 32, 20 s": training(32, 5, 3),
    "convolution 784 -> 2,304, 1 s": convolution,
    "balanced, 2,000 neurons, 0.5 s": balanced(2000, 500),
}


def main() -> None:
    print(f"{'network':36} {'board s':>8} {'x real time':>12} {'MIPS':>6} {'all s':>8}")
    for name, build in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            backend = backends.load("software", version=5, folder=Path(folder))
            start = time.perf_counter()
            with logs.capture(Path(folder) / "toolchain.log"), backend:
                build(backend.sim)
            whole = time.perf_counter() - start
            summary = backend.board.summary
        factor = summary["virtual_ms"] / 1000 / summary["busy_s"]
        mips = summary["instructions"] / summary["busy_s"] / 1e6
        numbers = f"{summary['busy_s']:8.3f} {factor:12.1f} {mips:6.0f} {whole:8.2f}"
        rate = f"  ({RATES.pop():.0f} Hz)" if RATES else ""
        print(f"{name:36} {numbers}{rate}", flush=True)


if __name__ == "__main__":
    main()
