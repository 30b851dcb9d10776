"""Weights of a board are saved, loaded by another process, and do there what they did here.

Run as a program, this file is that other process: `FILE ROLE BACKEND FOLDER`.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.spalloc import SpallocServer

from spikingconvnet import backends
from spikingconvnet.algorithms import connections
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes import network
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.learning import PairSTDP
from spikingconvnet.classes.network import TrainingNetwork
from spikingconvnet.classes.neurons import IFCurrExp
from spikingconvnet.utilities import logs
from spikingconvnet.utilities.storage import LayerWeights, RunDirectory

SHAPE = (3, 2, 2, 3)  # kernels, channels, height, width
SOURCES = 12
WINDOWS, WINDOW_MS = 40, 30
NEURON = IFCurrExp(cm=0.5, tau_m=10.0, v_thresh=-55.0, tau_refrac=45.0)
RULE = PairSTDP(w_init_mean=0.5, w_init_sd=0.1, A_plus=0.05, A_minus=0.03)
STILL = PairSTDP(A_plus=0.0, A_minus=0.0)
LAYER = ConvLayer(3, (2, 3), train_neuron=NEURON, rule=RULE, inhibition=8.0, window_ms=WINDOW_MS)
DRAWN, LEARNT = 1, 2
"""Numbers of the weights in the run directory: drawn at random, and learnt by a board."""


def windows(seed):
    """Draw two kinds of window: the first or the last half of the sources, a little jittered."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, WINDOWS)
    neurons = (np.arange(SOURCES // 2)[None] + kind[:, None] * (SOURCES // 2)).ravel()
    times = np.arange(WINDOWS)[:, None] * WINDOW_MS + rng.integers(1, 8, (WINDOWS, SOURCES // 2))
    return SpikeTrains(neurons.astype(np.int32), times.ravel().astype(float), SOURCES)


def shown(backend, weights, rule):
    """Show windows to neurons with given weights, static without a rule; spikes, weights after."""
    net, sim = network._Network(backend.sim), backend.sim
    with net:
        net._setup()
        source = net._source(windows(1), "windows")
        # The step of the weights is that of the training, so that nothing is rounded.
        most = (network.busiest_step(windows(1)) * RULE.w_max, LAYER.inhibition * len(weights))
        post = net._neurons(len(weights), NEURON, "kernels", most)
        found = net._project(
            source,
            post,
            connections.all_to_all(weights.reshape(len(weights), -1).T, network.DELAY_MS),
            "excitatory",
            None if rule is None else network.plastic_synapse(sim, rule),
        )
        links = connections.lateral(len(weights), LAYER.inhibition, network.DELAY_MS)
        net._project(post, post, links, "inhibitory")
        post.record("spikes")
        net._run(WINDOWS * WINDOW_MS)
        rows = np.array([tuple(row) for row in found.get("weight", format="list")], float)
        spikes = network.read_spikes(post) if backend.has_data else None
    read = np.empty((len(weights), SOURCES))
    read[rows[:, 1].astype(int), rows[:, 0].astype(int)] = rows[:, 2]
    return spikes, read.reshape(weights.shape)


def trained(backend, weights, seed):
    with TrainingNetwork(backend.sim, LAYER) as net:
        (result,) = net.run(weights, [windows(seed)], WINDOWS * WINDOW_MS)
    return result.spikes, result.weights


def told(name, spikes, weights):
    """Return what a network did as arrays."""
    arrays = {f"{name} weights": weights}
    if spikes is not None:
        arrays |= {f"{name} neurons": spikes.neurons, f"{name} times": spikes.times}
    return arrays


def make(backend, run):
    """Draw and learn weights, save them, and tell what they do in the memory of this process."""
    drawn = np.random.default_rng(1).uniform(0.2, 0.8, SHAPE)
    spikes, read = shown(backend, drawn, None)
    learnt = trained(backend, RULE.initial_weights(SHAPE, np.random.default_rng(2)), 1)[1]
    for number, weights in ((DRAWN, read), (LEARNT, learnt)):
        saved = LayerWeights(weights, drawn, {}, backend.origin, 1)
        run.save_weights(number, saved, csv=True)
    return {
        **told("static", spikes, read),
        **told("still", *shown(backend, learnt, STILL)),
        **told("further", *trained(backend, learnt, 2)),
    }


def again(backend, run):
    """Load the weights, and tell what they do here."""
    drawn, learnt = (run.load_weights(number).weights for number in (DRAWN, LEARNT))
    arrays = {
        **told("static", *shown(backend, drawn, None)),
        **told("learnt, static", *shown(backend, learnt, None)),
        **told("still", *shown(backend, learnt, STILL)),
    }
    if backend.has_data:
        arrays |= told("further", *trained(backend, learnt, 2))
    return arrays


def program(role, name, folder):
    """Do one role on one backend and save what it tells."""
    SoftwareBoard.translates = False
    run, version = RunDirectory(folder), 5 if name.startswith("spalloc") else 3
    with (
        logs.capture(folder / "toolchain.log"),
        backends.load(name, version=version, folder=folder) as backend,
    ):
        arrays = {"make": make, "again": again}[role](backend, run)
    run.save_arrays("told.npz", **arrays)


def process(request, role, name, folder):
    """Run this file as a program; return what it told."""
    outcome = subprocess.run(
        [sys.executable, __file__, role, name, str(folder)],
        env=os.environ | {"PYTHONPATH": str(request.config.rootpath)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert outcome.returncode == 0, outcome.stderr
    return RunDirectory(folder).load_arrays("told.npz")


@pytest.fixture(scope="module")
def made(request, tmp_path_factory):
    """Give the folder that the weights were saved to, and what they did before."""
    folder = tmp_path_factory.mktemp("made")
    return folder, process(request, "make", "software", folder)


def copied(made, folder):
    """Copy the weights, and nothing else, to a folder."""
    folder.mkdir()
    for number in (DRAWN, LEARNT):
        path = RunDirectory(made[0]).weights_file(number)
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def check(before, after):
    """Hold a board with loaded weights to what they did in the process that they come from."""
    for name in ("static", "still", "further"):
        assert len(before[f"{name} times"]) > WINDOWS / 2
        for what in ("neurons", "times", "weights"):
            key = f"{name} {what}"
            assert np.array_equal(before[key], after[key]), key
    # Learnt weights do as static ones what they do with learning rates of 0.
    for what in ("neurons", "times", "weights"):
        assert np.array_equal(after[f"learnt, static {what}"], after[f"still {what}"]), what


def test_weights_do_on_another_board_what_they_did_on_the_first(request, made, tmp_path):
    before, folder = made[1], made[0]
    after = process(request, "again", "software", copied(made, tmp_path / "other"))
    check(before, after)
    learnt = RunDirectory(folder).load_weights(LEARNT)
    assert np.array_equal(before["still weights"], learnt.weights)  # rates of 0 change nothing
    assert np.abs(before["further weights"] - learnt.weights).max() > 0.05  # and others do
    assert not np.array_equal(before["static times"], before["still times"])


def test_weights_as_text_are_the_same_weights(made):
    run = RunDirectory(made[0])
    for number in (DRAWN, LEARNT):
        table = run.load_csv(run.weights_file(number).with_suffix(".csv").name)
        assert np.array_equal(table.reshape(SHAPE), run.load_weights(number).weights)


@pytest.mark.long
def test_weights_do_on_a_lent_board_what_they_did_on_the_first(request, made, tmp_path):
    folder = copied(made, tmp_path / "lent")
    with SpallocServer(boards=1, booted=True) as server:
        name = f"spalloc:{server.address}:{server.port}"
        after = process(request, "again", name, folder)
    check(made[1], after)


def test_a_virtual_machine_is_given_the_very_weights(request, made, tmp_path):
    """It runs nothing: its weights, after a round through the board's 16 bits, are what it has."""
    before, after = made[1], process(request, "again", "virtual", copied(made, tmp_path / "none"))
    for one, other in (("static", "static"), ("still", "still"), ("learnt, static", "still")):
        assert np.array_equal(after[f"{one} weights"], before[f"{other} weights"]), one


if __name__ == "__main__":
    program(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
