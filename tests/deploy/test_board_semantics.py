"""What a board computes: compiled against the definition, and the populations against both."""

import numpy as np
import pytest
from drawn_waves import convolutions, random_waves
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import STEPS, listed, predicted

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.drift import drift
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork
from spikingconvnet.classes.deployed_parts import CLEAR, SOURCE, Answers, Deployment, Part, pieces
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.rules import VDSP
from spikingconvnet.classes.single_spike import DenseDecision, LinearSVM, SpikingConv
from spikingconvnet.engine import board_semantics
from spikingconvnet.errors import DataError, ModelError, UsageError


def dense(waves, image):
    fired = np.zeros((waves.steps, waves.units), bool)
    first, end = waves.start[image], waves.start[image + 1]
    fired[waves.step[first:end], waves.unit[first:end]] = True
    return fired


@settings(deadline=None)
@given(convolutions(), st.integers(1, 5), st.booleans(), st.integers(0, 2**32 - 1))
def test_compiled_layers_do_what_the_definition_says(drawn, levels, inhibition, seed):
    shape, layer = drawn
    rng = np.random.default_rng(seed)
    layer = SpikingConv(
        layer.maps, layer.shape, layer.threshold, layer.stride, layer.padding,
        inhibition=inhibition, levels=levels,
    )  # fmt: skip
    waves = random_waves(rng, shape, STEPS, 4)
    weights = rng.random(layer.weight_shape(shape))
    got = board_semantics.convolved(layer, waves, weights)
    kernels = board_layers.counts(weights, 1.0, levels)
    most = board_layers.most_silent(layer.threshold, 1.0, levels)
    for image in range(4):
        expected = board_layers.convolved(
            waves, image, kernels, most, layer.stride, layer.padding, inhibition=inhibition
        )
        assert np.array_equal(dense(got, image), expected.reshape(STEPS, -1))


def test_ties_fire_together_and_silence_the_rest_of_their_position():
    # Three maps at one position: the first two reach 2 in step 1, the third only in step 2.
    waves = Waves(
        (1, 4, 1), 4, np.array([0, 4]), np.arange(4, dtype=np.int32),
        np.array([0, 1, 1, 2], np.uint8),
    )  # fmt: skip
    kernels = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]).reshape(3, 1, 1, 4)
    layer = SpikingConv(maps=3, shape=(1, 4), threshold=1.0, levels=1)
    fired = board_semantics.convolved(layer, waves, kernels.astype(float))
    assert list(zip(fired.unit.tolist(), fired.step.tolist(), strict=True)) == [(0, 1), (1, 1)]
    free = SpikingConv(maps=3, shape=(1, 4), threshold=1.0, levels=1, inhibition=False)
    fired = board_semantics.convolved(free, waves, kernels.astype(float))
    assert fired.step.tolist() == [1, 1, 2]


def played(plan: Deployment, waves: Waves):
    """Step through a deployment with ideal IFTruncDelta neurons: all delays, all volleys."""
    images, parts = len(waves), {part.name: part for part in plan.parts}
    end = plan.duration_ms(images)
    fired = {name: np.zeros((end, part.size), bool) for name, part in parts.items()}
    fired[CLEAR][np.arange(images + 1) * plan.period_ms] = True
    image = np.repeat(np.arange(images), np.diff(waves.start))
    fired[SOURCE][2 + image * plan.period_ms + waves.step, waves.unit] = True
    neurons = [part for part in plan.parts if part.v_reset is not None]
    v = {part.name: np.full(part.size, part.v_reset) for part in neurons}
    arriving = {part.name: np.zeros((end + 20, 2, part.size)) for part in neurons}
    before = []
    for t in range(end):
        before.append(v["decision"].copy())
        for part in neurons:
            exc, inh = arriving[part.name][t]
            v[part.name] = np.maximum(v[part.name] + exc - inh, part.v_reset)
            fired[part.name][t] = now = v[part.name] >= board_layers.THRESHOLD_MV
            v[part.name][now] = part.v_reset
        for link in plan.links:
            found, side = link.connections, int(link.receptor == "inhibitory")
            on = fired[link.pre][t][found.pre]
            when = t + found.delay[on].astype(int)
            np.add.at(arriving[link.post], (when, side, found.post[on]), found.weight[on])
    return fired, np.array(before)


def decoded(fired, part: Part, plan: Deployment, image: int):
    start = 2 + image * plan.period_ms + part.depth
    return fired[part.name][start : start + plan.steps]


@pytest.mark.parametrize("seed", range(3))
def test_the_populations_do_what_the_host_predicts(seed):
    rng = np.random.default_rng(seed)
    model, weights, answers = listed(rng, DenseDecision(levels=9))
    waves = random_waves(rng, (6, 7, 1), STEPS, 6, share=0.6)
    plan = deployment(model, (6, 7), weights, answers)
    expected, last = predicted(model, waves, weights)
    fired, potentials = played(plan, waves)
    assert [part.name for part in plan.layers] == [SOURCE, *expected]
    assert sum(len(found.unit) for found in expected.values()) > 100
    for part in plan.layers[1:]:
        for image in range(len(waves)):
            seen = decoded(fired, part, plan, image)
            assert np.array_equal(seen, dense(expected[part.name], image)), part.name
        assert fired[part.name].sum() == len(expected[part.name].unit)  # and no others
    sums = board_semantics.sums(last, answers.weights) + answers.offsets
    at = (np.arange(len(waves)) + 1) * plan.period_ms + plan.decision.depth
    levels = potentials[at] - sums  # equal but for one constant
    assert np.ptp(levels) == 0 and not fired["decision"].any()


def test_the_board_does_what_the_host_predicts(board_backend):
    """Two layers, strides, padding, pooling over edges, weights of both signs, offsets."""
    rng = np.random.default_rng(5)
    model, weights, answers = listed(rng, LinearSVM(levels=9))
    waves = random_waves(rng, (6, 7, 1), STEPS, 12, share=0.6)
    expected, last = predicted(model, waves, weights)
    # Offsets that give each class its share of the answers.
    offsets = -np.rint(board_semantics.sums(last, answers.weights).mean(axis=0)).astype(int)
    answers = Answers(answers.weights, offsets, answers.classes)
    plan = deployment(model, (6, 7), weights, answers)
    with DeployedNetwork(board_backend.sim, plan) as network:
        seen = network.run(waves)
    assert {name: drift(expected[name], found).equal for name, found in seen.waves.items()} == {
        "conv 1": True, "pool 1": True, "conv 2": True
    }  # fmt: skip
    sums = board_semantics.sums(last, answers.weights) + answers.offsets
    assert seen.labels.tolist() == answers.classes[sums.argmax(axis=1)].tolist()
    assert len(set(seen.labels.tolist())) == 3 and not any(seen.strays.values())


def test_pieces_hold_all_connections_once():
    rng = np.random.default_rng(3)
    model, weights, answers = listed(rng, LinearSVM(levels=9))
    plan = deployment(model, (6, 7), weights, answers)
    parts = {part.name: part for part in plan.parts}
    cut = Part("conv 1", parts["conv 1"].shape, 1, -1.0, piece=9)
    link = next(one for one in plan.links if one.pre == one.post)
    rows = []
    for one, other, found in pieces(link, cut, cut):
        assert one == other  # rivals share a position, positions a piece
        assert found.pre.max() < 9 and found.post.max() < 9
        rows += zip((found.pre + 9 * one).tolist(), (found.post + 9 * other).tolist(), strict=True)
    whole = zip(link.connections.pre.tolist(), link.connections.post.tolist(), strict=True)
    assert sorted(rows) == sorted(whole)


@pytest.mark.parametrize("most", [0, 1, 2, 9, 10, 31, 100, board_layers.MOST_UNITS])
def test_the_weight_for_a_threshold_fires_at_one_more_and_has_few_bits(most):
    u = board_layers.unit_weight(most)
    assert most * u < 1 <= (most + 1) * u
    assert (u * 2**15).is_integer()


def test_the_step_of_a_receptor_is_what_spynnaker_takes():
    assert [board_layers.ring_resolution(x) * 2**15 for x in (0.5, 1, 1.5, 2, 255, 256)] == [
        1, 2, 2, 4, 256, 512
    ]  # fmt: skip


def test_drift_names_the_first_difference():
    rng = np.random.default_rng(1)
    one = random_waves(rng, (4, 4, 2), STEPS, 5)
    same = drift(one, one)
    assert same.equal and same.first is None
    keep = np.ones(len(one.unit), bool)
    lost = int(np.flatnonzero(one.step == 2)[0])
    keep[lost] = False
    image = int(np.searchsorted(one.start, lost, side="right")) - 1
    start = one.start - (np.arange(len(one.start)) > image)
    other = drift(one, Waves(one.shape, STEPS, start, one.unit[keep], one.step[keep]))
    assert other.first == (2, image) and other.differing.sum() == 1
    assert (other.expected - other.seen)[image] == 1
    with pytest.raises(DataError, match="beside"):
        drift(one, one.select([0]))


CASES = {
    "levels: None": {"layers": (SpikingConv(2, 3, 1.0),)},
    "must be a DenseDecision": {"readout": None},
    "LinearSVM.features": {"readout": LinearSVM(features="latency", levels=3)},
    "LinearSVM.levels": {"readout": LinearSVM()},
    "channels": {"layers": (SpikingConv(2, 3, 1.0, levels=1, channels=(0, 1)),)},
    "w_min": {"layers": (SpikingConv(2, 3, 1.0, rule=VDSP(w_min=-0.5), levels=1),)},
}


@pytest.mark.parametrize("words", CASES)
def test_a_model_that_a_board_cannot_compute_is_refused(words):
    given = {"layers": (SpikingConv(2, 3, 1.0, levels=1),), "readout": DenseDecision(levels=4)}
    given |= CASES[words]
    model = HostModel("odd", "", RankOrder(STEPS), given["layers"], given["readout"])
    with pytest.raises(UsageError, match=words):
        deployment(model, (6, 6), [np.ones((2, 1, 3, 3))], Answers(*(np.ones((3, 1), int),) * 3))


def test_weights_beyond_the_board_are_refused_by_the_name_of_the_layer():
    rng = np.random.default_rng(0)
    model, weights, answers = listed(rng, DenseDecision(levels=9))
    large = Answers(answers.weights * 10_000, answers.offsets, answers.classes)
    with pytest.raises(ModelError, match=r"decision: weights from 1 to .*16 bits"):
        deployment(model, (6, 7), weights, large)
    with pytest.raises(ModelError, match="threshold: above 100000 units"):
        board_layers.unit_weight(100_000)
