"""A trained network on a software board: spike for spike; what it needs; what is refused."""

import json

import numpy as np
import pytest
import small_jobs
from small_networks import check_bill

from spikingconvnet.algorithms import board_layers, spike_trains
from spikingconvnet.backends import preflight
from spikingconvnet.classes.deployed import Answers, deployment
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.network import _Network
from spikingconvnet.classes.single_spike import DenseDecision, Pool, SpikingConv
from spikingconvnet.engine.encode import encode
from spikingconvnet.errors import UsageError

SMALL = small_jobs.sections(30, 4)
STEPS = (
    ("--mode", "loaddata"),
    ("--mode", "training", "--layer", "1"),
    ("--mode", "training", "--layer", "svm"),
)


NEEDS = (
    *("neurons", "synapses", "cores", "chips", "boards", "SDRAM", "for a core", "DTCM", "fan-in"),
    *("rounded to zero", "16 bits hold", "an extra core", "run time", "energy", "estimate"),
)


@pytest.fixture
def trained(command):
    for words in STEPS:
        outcome = command(*words, **SMALL)
        assert outcome.code == 0, outcome.err
    return command


def test_board_equals_host_spike_for_spike(trained, tmp_path):
    outcome = trained("--mode", "deploy", "--images", "20", **SMALL)
    assert outcome.code == 0, outcome.err
    assert "host equals board: every spike of 20 images" in outcome.out
    assert all(need in outcome.out for need in NEEDS) and "images a second" in outcome.out
    record = json.loads((tmp_path / "run" / "deployed.json").read_text())
    assert record["label_agreement"] == 1 and record["host_accuracy"] == record["board_accuracy"]
    assert [layer["seen"] > 100 for layer in record["layers"].values()] == [True, True]
    assert record["provenance"]["dropped"] == 0
    assert (tmp_path / "run" / "figures" / "drift.png").stat().st_size > 1000

    again = trained("--mode", "compare", **SMALL)
    assert again.code == 0 and "20 of 20" in again.out
    _lose_a_spike(tmp_path / "run" / "deployed.npz")
    changed = trained("--mode", "compare", **SMALL)
    assert changed.code == 0 and "19 of 20" in changed.out
    assert "verdict: conv 1: differs although nothing was lost" in changed.out
    other = trained("--mode", "training", "--layer", "1", "--seed", "9", **SMALL)
    assert other.code == 0
    foreign = trained("--mode", "compare", **SMALL)
    assert foreign.code == 2 and "fitted to other weights" in foreign.err


def _lose_a_spike(path):
    with np.load(path) as archive:
        saved = dict(archive)
    saved["conv_1_start"] = np.append(saved["conv_1_start"][:-1], saved["conv_1_start"][-1] - 1)
    for name in ("unit", "step"):
        saved[f"conv_1_{name}"] = saved[f"conv_1_{name}"][:-1]
    np.savez(path, **saved)


def test_what_cannot_be_deployed_is_refused_in_one_line(trained, command, tmp_path):
    early = command("--mode", "deploy", "--run-dir", str(tmp_path / "none"), **SMALL)
    assert early.code == 2 and "loaddata first" in early.err
    not_yet = trained("--mode", "compare", **SMALL)
    assert not_yet.code == 2 and "--mode deploy first" in not_yet.err
    many = trained("--mode", "deploy", "--images", "41", **SMALL)
    assert many.code == 2 and "--images: 41 (must be in 1..40" in many.err
    plain = command("--mode", "deploy")
    assert plain.code == 2 and "--model NAME" in plain.err
    unfit = command("--mode", "deploy", **SMALL | {"MODEL": "goupy2023", "OVERRIDES": {}})
    assert unfit.code == 2 and "SpikingConv.levels: None" in unfit.err
    (tmp_path / "run" / "weights_layer_1.npz").unlink()
    untrained = trained("--mode", "deploy", **SMALL)
    assert untrained.code == 2 and "layer 1 is not trained yet" in untrained.err


def test_info_tells_the_needs(trained):
    outcome = trained("--mode", "info", "--board", "software", **SMALL)
    assert outcome.code == 0 and all(need in outcome.out for need in NEEDS)
    assert "fan-in" not in trained("--mode", "info", **SMALL).out


def test_no_synapse_of_an_unsorted_list_is_lost(board_backend):
    """The toolchain takes too few for the longest row of a list that is not sorted."""
    rng = np.random.default_rng(2)
    chosen = rng.permutation(40 * 600)[:4000]
    found = board_layers.links(chosen % 40, chosen // 40, 1.0)
    network = _Network(board_backend.sim)
    with network:
        network._setup()
        source = network._source(spike_trains.from_lists([[1.0]] * 40), "source")
        target = board_backend.sim.Population(600, board_backend.sim.IF_curr_exp())
        projection = network._project(source, target, found, "excitatory")
        board_backend.sim.run(5.0)
        there = {(int(row[0]), int(row[1])) for row in projection.get("weight", format="list")}
    assert there == set(zip(found.pre.tolist(), found.post.tolist(), strict=True))


# ---- what a board must have ----------------------------------------------------------------------


def plan_of(maps, side=28, pool=None):
    layer = SpikingConv(maps, 7, 10.0, padding=3, levels=1, pool=pool)
    model = HostModel("drawn", "", RankOrder(15), (layer,), DenseDecision(levels=4))
    rng = np.random.default_rng(1)
    units = int(np.prod(model.tensors((side, side))[-1]))
    answers = Answers(rng.integers(0, 3, (10, units)), np.zeros(10, int), np.arange(10))
    weights = [(rng.random((maps, 1, 7, 7)) < 0.3).astype(float)]
    return model, deployment(model, (side, side), weights, answers)


def test_the_bill_is_what_spynnaker_maps(tmp_path):
    model, plan = plan_of(12, side=12, pool=Pool(4, 2))
    images = np.random.default_rng(1).integers(0, 256, (10, 12, 12), np.uint8)
    check_bill(plan, encode(model.encoder, images), tmp_path)


def test_a_network_too_large_for_its_board_is_refused_with_what_would_fit():
    _, plan = plan_of(40)
    with pytest.raises(UsageError) as refused:
        preflight.refuse(plan, preflight.bill(plan, 10, 3), 3)
    told = str(refused.value)
    assert "conv 1 takes" in told and "--board-version 5" in told and "nothing was loaded" in told
    maps = int(told.partition("layers.0.maps=")[2].split()[0])
    fits, larger = (preflight.bill(plan_of(count)[1], 10, 3) for count in (maps, maps + 1))
    assert fits.cores <= preflight.room(3).cores < larger.cores
    preflight.refuse(plan_of(maps)[1], fits, 3)
    preflight.refuse(plan, preflight.bill(plan, 10, 5), 5)


def test_more_images_than_memory_are_refused():
    _, plan = plan_of(4)
    needs = preflight.bill(plan, 2_000_000, 3)
    with pytest.raises(UsageError, match=r"SDRAM.*fewer --images"):
        preflight.refuse(plan, needs, 3)


@pytest.mark.long
def test_the_published_size_equals_its_prediction_on_200_images(command, tmp_path):
    """About 2 minutes: all of MNIST, 13,578 neurons on a SpiNN-5."""
    model = {"MODEL": "deployed16", "DATA": {"name": "mnist", "train_per_class": None}}
    for words in STEPS:
        assert command(*words, **model).code == 0
    outcome = command("--mode", "deploy", "--images", "200", **model)
    assert outcome.code == 0, outcome.err
    assert "host equals board: every spike of 200 images" in outcome.out
    record = json.loads((tmp_path / "run" / "deployed.json").read_text())
    assert record["board_accuracy"] >= 0.95
