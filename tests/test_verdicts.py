"""Verdicts: one line for each sign that a result cannot be trusted, with the next step to take."""

from types import SimpleNamespace

import numpy as np
import pytest
from spikingconvnet.hardware.client import SoftwareBoard

from spikingconvnet import backends, deploy_report, report
from spikingconvnet.algorithms.connections import all_to_all
from spikingconvnet.algorithms.spike_trains import SpikeTrains, empty, from_lists
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.backends import provenance
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.network import Activity, _Network
from spikingconvnet.classes.neurons import IFCurrExp
from spikingconvnet.classes.single_spike import SpikingConv
from spikingconvnet.utilities import logs
from spikingconvnet.utilities.storage import LayerWeights

LAYER = ConvLayer(3, 2)
DRAWN = np.linspace(0.2, 0.7, 12).reshape(3, 1, 2, 2)


def trained(weights):
    return LayerWeights(weights, DRAWN, {}, "here", 1)


TRAININGS = {
    "learnt": ([3, 1, 2], DRAWN + 0.1, None),
    "silent": ([0, 0, 0], DRAWN, "layer 1: no neuron fired, so nothing was learnt (lower "),
    "one never fired": ([3, 0, 2], DRAWN + 0.1, "layer 1: 1 of 3 kernels never fired (show more "),
    "unchanged": ([3, 1, 2], DRAWN, "layer 1: training changed no weight (raise rule A_plus "),
    "all at most": ([3, 1, 2], np.ones_like(DRAWN), "layer 1: every weight is at its greatest "),
    "all at least": ([3, 1, 2], np.zeros_like(DRAWN), "layer 1: every weight is at its least "),
}


@pytest.mark.parametrize("what", TRAININGS)
def test_what_training_a_layer_may_have_come_to(what):
    fired, weights, words = TRAININGS[what]
    told = list(report.training_verdicts(1, LAYER, np.array(fired), trained(weights)))
    assert [line[: len(words or "")] for line in told] == ([] if words is None else [words])


def test_a_silent_layer_and_one_that_is_nearly_so():
    stages = [SimpleNamespace(name=name) for name in ("one", "two", "three")]
    spikes = {"one": from_lists([[1.0, 2.0], [3.0]]), "two": from_lists([[1.0]]), "three": empty(4)}
    told = list(report.activity_verdicts(stages, Activity(spikes, {}), 2))
    assert [line.partition(" (")[0] for line in told] == [
        "two: 0.50 spikes per image",
        "three: no spike at all in 2 images",
    ]
    assert all("v_thresh" in line for line in told)


def test_each_fault_that_a_board_counts_has_a_line_and_a_next_step():
    assert set(report.ADVICE) == {*provenance.COUNTS, *provenance.quantised([])}
    for what in report.ADVICE:
        (line,) = report.fault_verdicts({what: 1200})
        assert line.startswith(f"{what}: 1,200 ") and "(" in line
    assert list(report.fault_verdicts(dict.fromkeys(report.ADVICE, 0))) == []


def one_layer(units):
    start = np.array([0, len(units)])
    unit = np.array(units, np.int32)
    return {"conv 1": Waves((2, 2, 1), 3, start, unit, np.zeros(len(units), np.uint8))}


def outcome(expected, seen, label=1):
    one = np.array([1])
    return deploy_report.compare(
        None, one_layer(expected), one, one_layer(seen), np.array([label]), one
    )


DEPLOYMENTS = {
    "equal": (outcome([0, 2], [0, 2]), {}, ["host equals board: every spike of 1 images"]),
    "silent": (
        outcome([0, 2], []),
        {},
        ["conv 1: no spike at all in 1 images (the host predicts", "conv 1: differs although"],
    ),
    "silent as foretold": (
        outcome([], []),
        {},
        ["conv 1: no spike at all in 1 images (as the host predicts: lower ", "host equals board"],
    ),
    "another label": (outcome([0], [0], 2), {}, ["decision: differs although nothing was lost"]),
    "late": (outcome([0, 2], [0]), {"late": 3}, ["late: 3 spikes came late (fewer neurons"]),
    "dropped": (outcome([0, 2], [0]), {"dropped": 3}, ["dropped: 3 packets"]),
    "dropped, not missed": (outcome([0], [0]), {"dropped": 3}, ["host equals board"]),
    "overruns": (
        outcome([0], [0]), {"overruns": 2}, ["overruns: 2 ticks took longer", "host equals board"]
    ),
    "quantised": (
        outcome([0], [1]), {"zeroed": 5, "clipped": 6}, ["zeroed: 5 weights", "clipped: 6 weights"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DEPLOYMENTS)
def test_what_a_deployment_may_have_come_to(what):
    found, counts, words = DEPLOYMENTS[what]
    told = list(deploy_report.verdicts(None, found, counts))
    assert [line[: len(word)] for line, word in zip(told, words, strict=True)] == words


def test_spikes_between_images_have_a_line():
    (line,) = deploy_report.stray_verdicts({"conv 1": 0, "pool 1": 7})
    assert line.startswith("pool 1: 7 spikes between images (")


def test_kernels_that_learnt_nothing_or_are_lost_in_rounding_have_a_line():
    layers = [SpikingConv(3, 2, 1.0, levels=1), SpikingConv(3, 2, 1.0, levels=3)]
    good = DRAWN + 0.2
    rounded = good.copy()
    rounded[1] = 0.1  # below a half of the first layer's only level, and of the second's three
    assert list(deploy_report.weight_verdicts(layers, [good, good], [DRAWN, DRAWN])) == []
    told = list(deploy_report.weight_verdicts(layers, [rounded, good], [DRAWN, good]))
    assert [line.partition(" (")[0] for line in told] == [
        "conv 1: 1 of 3 kernels are 0 in 1 levels",
        "conv 2: training changed no weight",
    ]


# ---- what a board tells of itself ----------------------------------------------------------------


def ran(sim, weights, most):
    """Run ten sources that fire together on to five neurons; return the faults."""
    faults = provenance.Faults()
    with _Network(sim, ran=faults.add) as network:
        network._setup()
        fired = np.arange(10, dtype=np.int32)
        source = network._source(SpikeTrains(fired, np.full(10, 3.0), 10), "source")
        post = network._neurons(5, IFCurrExp(), "post", most)
        network._project(source, post, all_to_all(weights, 1.0), "excitatory")
        post.record("spikes")
        network._run(20)
    return faults.counts


def test_a_board_counts_sums_and_weights_beyond_its_16_bits(board_backend):
    fit = ran(board_backend.sim, np.full((10, 5), 0.5), (6.0, 1.0))
    assert set(fit.values()) == {0}
    large = ran(board_backend.sim, np.full((10, 5), 0.5), (1.0, 1.0))
    assert large["saturated"] > 0 and large["zeroed"] == large["clipped"] == 0
    beyond = np.full((10, 5), 0.5)
    beyond[1, :2] = 100.0
    assert ran(board_backend.sim, beyond, (6.0, 1.0))["clipped"] == 2
    mixed = np.full((10, 5), 0.5)
    mixed[0], mixed[1, :2] = 0.02, 0.001  # steps are 1/16; the second is of no account
    assert ran(board_backend.sim, mixed, (2000.0, 1.0))["zeroed"] == 5


def test_a_board_that_cannot_keep_up_says_so(tmp_path):
    """One core takes longer than a step of 0.1 ms; then 400 spikes a step are too many for it."""
    counts = []
    with (
        SoftwareBoard(version=3, enforce_timing=True) as board,
        logs.capture(tmp_path / "toolchain.log"),
        backends.load(board.address, version=3, folder=tmp_path) as backend,
    ):
        sim = backend.sim
        for timestep, sources, end_ms in ((0.1, 10, 10), (1.0, 400, 30)):
            sim.setup(timestep=timestep, time_scale_factor=1)
            times = [[float(t) for t in range(2, end_ms)]] * sources
            source = sim.Population(sources, sim.SpikeSourceArray(spike_times=times))
            cells = sim.Population(255, sim.IF_curr_exp())
            some = sim.StaticSynapse(weight=0.1, delay=1.0)
            sim.Projection(source, cells, sim.AllToAllConnector(), some)
            sim.run(end_ms)
            counts.append(provenance.found())
            sim.end()
    slow, crowded = counts
    assert slow["overruns"] > 0 and crowded["late"] > 0 and crowded["lost"] > 0
    assert [line.split(":")[0] for line in report.fault_verdicts(crowded)][:2] == ["late", "lost"]
