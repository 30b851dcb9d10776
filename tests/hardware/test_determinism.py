"""The same script gives the same bytes: on a new board, under load, on any number of threads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spikingconvnet.hardware import client
from spikingconvnet.hardware.client import SoftwareBoard

ROOT = Path(client.__file__).resolve().parent.parent


def network(sim: Any) -> dict[str, Any]:
    """Run learning from noise on several cores, some of which share memory; give what it did.

    The delay is 3: sPyNNaker 7.4 loses plastic synapses whose delay is the longest of all onto
    their population and a power of two above 1.
    """
    sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 20)
    sim.set_number_of_neurons_per_core(sim.SpikeSourcePoisson, 20)
    source = sim.Population(60, sim.SpikeSourcePoisson(rate=60.0), seed=1)
    cells = sim.Population(60, sim.IF_curr_exp(tau_refrac=2.0), seed=2)
    plastic = sim.Projection(
        source,
        cells,
        sim.FixedProbabilityConnector(0.4),
        sim.STDPMechanism(
            sim.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.1, A_minus=0.1),
            sim.AdditiveWeightDependence(w_min=0.0, w_max=6.0),
            weight=3.0,
            delay=3.0,
        ),
    )
    sim.Projection(
        cells,
        cells,
        sim.FixedProbabilityConnector(0.1),
        sim.StaticSynapse(weight=-0.5, delay=1.0),
        receptor_type="inhibitory",
    )
    # These sources write to SDRAM what the neurons read from there in the same instant.
    near = sim.Population(20, sim.SpikeSourcePoisson(rate=60.0), seed=3)
    split = sim.Population(20, sim.IF_curr_exp(), n_synapse_cores=2)
    for other in (near, source[:20]):
        synapse = sim.StaticSynapse(weight=1.0, delay=1.0)
        sim.Projection(other, split, sim.OneToOneConnector(), synapse)
    cells.record(["spikes", "v"])
    split.record("v")
    source.record("spikes")
    sim.run(200)
    data = cells.get_data().segments[0]
    noise = source.get_data().segments[0]
    voltages = [v for of in (data, split.get_data().segments[0]) for v in of.analogsignals]
    weights = sorted(tuple(map(float, row)) for row in plastic.get("weight", "list"))
    return {
        "noise": [train.magnitude.tolist() for train in noise.spiketrains],
        "spikes": [train.magnitude.tolist() for train in data.spiketrains],
        "v": [v.magnitude.tobytes() for v in voltages],
        "weights": weights,
    }


@pytest.fixture(scope="module")
def memory() -> dict[str, Any]:
    """Hold the result that all others must equal."""
    return {}


@pytest.fixture
def reference(memory, spynnaker_on):
    """Give the result of a new board."""
    if not memory:
        with SoftwareBoard(version=3) as board, spynnaker_on(board) as sim:
            memory.update(network(sim))
    return memory


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Keep two processors busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def board_with_threads(threads: int) -> Iterator[Any]:
    """Run a board on so many threads."""
    words = ["-m", "spikingconvnet.hardware.server", "--version=3", "--watch-stdin"]
    process = subprocess.Popen(
        [sys.executable, *words, f"--threads={threads}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        word, address = process.stdout.readline().split()
        assert word == "ready"
        yield SimpleNamespace(address=address, version=3)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_the_network_does_something(reference):
    assert sum(map(len, reference["noise"])) > 400
    assert sum(map(len, reference["spikes"])) > 100
    weights = np.array([row[2] for row in reference["weights"]])
    assert len(np.unique(weights)) > 100


def test_a_second_run_equals_the_first(reference, spynnaker_on):
    with SoftwareBoard(version=3) as board, spynnaker_on(board) as sim:
        assert network(sim) == reference


def test_load_changes_nothing(reference, spynnaker_on):
    with load(), SoftwareBoard(version=3) as board, spynnaker_on(board) as sim:
        assert network(sim) == reference


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(reference, spynnaker_on, threads):
    with board_with_threads(threads) as board, spynnaker_on(board) as sim:
        assert network(sim) == reference


def test_a_board_that_has_been_used_gives_the_same(reference, spynnaker_on):
    with SoftwareBoard(version=3) as board:
        with spynnaker_on(board) as sim:
            cells = sim.Population(30, sim.IF_curr_exp(i_offset=1.0))
            cells.record("spikes")
            sim.run(50)
        with spynnaker_on(board) as sim:
            assert network(sim) == reference
