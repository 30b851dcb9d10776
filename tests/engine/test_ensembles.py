"""Heads that vote, a convolution taught along with its decision layer, and merged branches."""

import numba
import numpy as np
import pytest
from drawn_waves import random_waves

from spikingconvnet.algorithms import dense_waves as dense
from spikingconvnet.algorithms.decision_learning import reward_stdp
from spikingconvnet.algorithms.shared_learning import Contest, show
from spikingconvnet.classes.rules import OrderSTDP, RewardSTDP
from spikingconvnet.classes.single_spike import (
    Branches,
    Competition,
    MajorityVote,
    Pool,
    SpikingConv,
    SpikingDecision,
)
from spikingconvnet.engine.decision import decision_trainer, decision_weights
from spikingconvnet.engine.ensembles import JointTrainer, majority
from spikingconvnet.engine.layers import advance, advance_branches
from spikingconvnet.engine.merge import merge_units
from spikingconvnet.errors import DataError, ModelError

STEPS, SHAPE, CLASSES = 6, (7, 6, 2), 3


# ---- votes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "answer"),
    [
        ((4, 4, 7), 4),
        ((7, 4, 4), 4),
        ((1, 2, 3), 2),  # no majority: the head named by `tie`
        ((1, -1, 3), 1),  # that one is silent: the first that is not
        ((-1, -1, 3), 3),
        ((-1, 5, 3), 5),
        ((-1, -1, -1), -1),
        ((0, 1, 2, 2, 0), 0),  # the head of `tie` is not among the leaders
    ],
)
def test_the_majority_decides_and_silent_heads_do_not_vote(votes, answer):
    assert majority(np.array(votes)[:, None], tie=1).tolist() == [answer]


def vote_layer(**changes):
    rule = RewardSTDP(reward=(0.05, -0.03), punishment=(-0.05, 0.01), batch=8)
    settings = {"per_class": 2, "shapes": (2, 3), "padding": 1, "rule": rule, "epochs": 2}
    return MajorityVote(**settings | changes)


def taught(layer, waves, labels, epochs=2):
    weights = decision_weights(layer, SHAPE, CLASSES, np.random.default_rng(5))
    trainer = decision_trainer(layer, SHAPE, CLASSES, weights, seed=3)
    for _ in range(epochs):
        trainer.run_epoch(waves, labels)
    return trainer


def test_each_head_learns_as_if_it_were_alone_when_rates_are_fixed():
    rng = np.random.default_rng(1)
    waves, labels = random_waves(rng, SHAPE, STEPS, 30), rng.integers(CLASSES, size=30)
    fixed = RewardSTDP(reward=(0.05, -0.03), punishment=(-0.05, 0.01), adaptive=False, batch=8)
    layer = vote_layer(rule=fixed)
    together = taught(layer, waves, labels)
    weights = decision_weights(layer, SHAPE, CLASSES, np.random.default_rng(5))
    for head, alone, kernels in zip(together.heads, layer.heads, weights, strict=True):
        trainer = decision_trainer(alone, SHAPE, CLASSES, kernels, seed=3)
        trainer.run_epoch(waves, labels)
        trainer.run_epoch(waves, labels)
        assert np.abs(trainer.weights - kernels).max() > 0.01
        assert np.array_equal(head.weights, trainer.weights)
    votes = np.array([head.predict(waves) for head in together.heads])
    assert np.array_equal(together.predict(waves), majority(votes, 0))
    assert together.history[-1].silent >= np.mean(np.diff(waves.start) == 0)


def test_adaptive_rates_follow_the_common_answer():
    rng = np.random.default_rng(2)
    waves, labels = random_waves(rng, SHAPE, STEPS, 8), rng.integers(CLASSES, size=8)
    trainer = taught(vote_layer(), waves, labels, epochs=1)
    seen = trainer.history[-1]  # one batch
    assert 0 < seen.right < 1
    for head in trainer.heads:
        assert head.state()["factors"].tolist() == [seen.wrong, seen.right]


def test_a_vote_goes_on_from_its_state():
    rng = np.random.default_rng(3)
    waves, labels = random_waves(rng, SHAPE, STEPS, 30), rng.integers(CLASSES, size=30)
    whole = taught(vote_layer(), waves, labels)
    first, second = (taught(vote_layer(), waves, labels, epochs) for epochs in (1, 0))
    second.restore(first.state())
    second.run_epoch(waves, labels)
    assert second.history == whole.history
    for one, other in zip(second.heads, whole.heads, strict=True):
        assert np.array_equal(one.weights, other.weights)
    for kernels in (first.state()["weights"], ()):
        with pytest.raises(DataError, match="weights of shape"):
            second.restore(first.state() | {"weights_1": kernels})


def test_the_scores_of_a_vote_are_its_votes():
    rng = np.random.default_rng(9)
    waves, labels = random_waves(rng, SHAPE, STEPS, 30), rng.integers(CLASSES, size=30)
    trainer = taught(vote_layer(), waves, labels, epochs=1)
    scores, answers = trainer.scores(waves), trainer.predict(waves)
    heads = [head.predict(waves) for head in trainer.heads]
    assert np.array_equal(scores.sum(axis=1), np.sum(np.array(heads) >= 0, axis=0))
    spoken = answers >= 0
    assert np.array_equal(scores[spoken, answers[spoken]], scores.max(axis=1)[spoken])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": (3,)}, "MajorityVote.shapes: .* two or more"),
        ({"tie": 2}, r"MajorityVote.tie: 2 \(must be in 0..1"),
        ({"epochs": 0}, "MajorityVote.epochs"),
    ],
)
def test_a_vote_that_cannot_be_held_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        vote_layer(**changes)


# ---- one reward for two layers -------------------------------------------------------------------


def joint_layers(inhibition, alternate=False, winners=3, adaptive=False):
    conv = SpikingConv(
        maps=5,
        shape=3,
        padding=1,
        threshold=2.0,
        inhibition=inhibition,
        pool=Pool(2),
        rule=OrderSTDP(stabiliser=False),
        competition=Competition(winners=winners, radius=1),
        reward=RewardSTDP(
            reward=(0.03, -0.02), punishment=(-0.03, 0.01), w_min=0.0, w_max=1.0, adaptive=adaptive
        ),
    )
    rule = RewardSTDP(reward=(0.04, -0.03), punishment=(-0.04, 0.02), adaptive=adaptive, batch=10)
    above = SpikingDecision(per_class=2, shape=2, padding=1, rule=rule, alternate=alternate)
    return conv, above


def joint_trainer(conv, above, kernels, weights):
    return JointTrainer(above, SHAPE, CLASSES, weights, 3, conv, kernels)


def drawn(conv, above, images=25, seed=4):
    rng = np.random.default_rng(seed)
    kernels = rng.normal(0.6, 0.2, conv.weight_shape(SHAPE)).clip(0, 1)
    weights = decision_weights(above, conv.output_shape(SHAPE), CLASSES, rng)
    waves = random_waves(rng, SHAPE, STEPS, images)
    return kernels, weights, waves, rng.integers(CLASSES, size=images)


def taught_by_definition(conv, above, kernels, weights, waves, labels, order):
    """Show images one by one as the records say; return votes."""
    kernels[:], votes = kernels.astype(np.float32), []
    contest, rule = conv.competition, conv.reward
    for image in order:
        spikes = dense.spikes_of(waves, image)
        latencies = np.pad(
            dense.first_spikes(spikes), ((1, 1), (1, 1), (0, 0)), constant_values=STEPS
        )
        place = Contest(conv.conv_shape(SHAPE), contest.winners, False, contest.radius, False)
        nothing = lambda w, _latencies, _time: w  # noqa: E731
        won = show(spikes, kernels, conv.threshold, place, nothing, False, padding=conv.padding)
        potentials = dense.convolve(spikes.cumsum(axis=0), kernels, padding=conv.padding)
        fired = (dense.inhibit if conv.inhibition else dense.fire)(potentials, conv.threshold)
        sent = dense.pool(fired, (2, 2), (2, 2))[-1:]
        answer = dense.convolve(sent, weights, padding=above.padding)[0]
        row, column, m = np.unravel_index(answer.argmax(), answer.shape)
        if not answer[row, column, m] > 0:
            votes.append(-1)
            continue
        votes.append(m // above.per_class)
        right = votes[-1] == labels[image]
        for time, y, x, winner in won:
            seen = np.moveaxis(latencies[y : y + 3, x : x + 3], 2, 0) <= time
            change = rule.reward if right else rule.punishment
            kernels[winner] = reward_stdp(kernels[winner], seen, change, w_min=0.0, w_max=1.0)
        active = np.pad(sent[0], ((1, 1), (1, 1), (0, 0)))[row : row + 2, column : column + 2]
        change = above.rule.reward if right else above.rule.punishment
        weights[m] = reward_stdp(weights[m], np.moveaxis(active, 2, 0), change)
    return votes


@pytest.mark.parametrize("inhibition", [False, True])
def test_both_layers_learn_by_their_definitions(inhibition):
    conv, above = joint_layers(inhibition)
    kernels, weights, waves, labels = drawn(conv, above)
    trainer = joint_trainer(conv, above, kernels, weights)
    order = np.random.default_rng([3, 0]).permutation(len(waves))
    before = kernels.copy()
    votes = taught_by_definition(conv, above, kernels, weights, waves, labels, order)
    seen = trainer.run_epoch(waves, labels)
    assert np.abs(kernels - before).max() > 0.1
    assert np.allclose(trainer.kernels, kernels, atol=1e-5)
    assert np.allclose(trainer.weights, weights, atol=1e-5)
    assert seen.right == pytest.approx(np.mean(np.array(votes) == labels[order]))
    assert seen.silent == pytest.approx(np.mean(np.array(votes) < 0))


def test_a_joint_network_answers_as_its_layers_one_after_the_other():
    conv, above = joint_layers(False)
    kernels, weights, waves, labels = drawn(conv, above)
    trainer = joint_trainer(conv, above, kernels, weights)
    trainer.run_epoch(waves, labels)
    behind = advance(conv, waves, trainer.kernels)
    alone = decision_trainer(above, behind.shape, CLASSES, trainer.weights, seed=0)
    assert np.array_equal(trainer.predict(waves), alone.predict(behind))
    alone.restore(trainer.state())  # what testing does
    assert np.array_equal(trainer.predict(waves), alone.predict(behind))
    assert np.array_equal(trainer.scores(waves), alone.scores(behind))


def test_taking_turns_changes_one_layer_in_a_batch_and_the_other_in_the_next():
    conv, above = joint_layers(False, alternate=True)
    kernels, weights, waves, labels = drawn(conv, above, images=10)
    trainer = joint_trainer(conv, above, kernels, weights)
    trainer.run_epoch(waves, labels)  # one batch: the convolution
    assert np.array_equal(trainer.weights.astype(np.float32), weights.astype(np.float32))
    after_one = trainer.kernels
    assert np.abs(after_one - kernels).max() > 0.02
    trainer.run_epoch(waves, labels)  # the decision layer
    assert np.array_equal(trainer.kernels, after_one)
    assert np.abs(trainer.weights - weights).max() > 0.02


def test_a_joint_training_goes_on_from_its_state():
    conv, above = joint_layers(True, adaptive=True)
    kernels, weights, waves, labels = drawn(conv, above)
    whole, first, second = (joint_trainer(conv, above, kernels, weights) for _ in range(3))
    whole.run_epoch(waves, labels)
    whole.run_epoch(waves, labels)
    first.run_epoch(waves, labels)
    second.restore(first.state())
    second.run_epoch(waves, labels)
    assert second.history == whole.history
    assert np.array_equal(second.kernels, whole.kernels)
    assert np.array_equal(second.weights, whole.weights)
    for conv_kernels in (first.kernels[1:], np.full_like(first.kernels, np.nan), ()):
        with pytest.raises(DataError, match="kernels of shape"):
            second.restore(first.state() | {"conv": conv_kernels})


@pytest.mark.parametrize("joint", [True, False])
def test_threads_change_nothing(joint):
    rng = np.random.default_rng(8)
    waves, labels = random_waves(rng, SHAPE, STEPS, 300), rng.integers(CLASSES, size=300)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            if joint:
                conv, above = joint_layers(True, adaptive=True)
                trainer = joint_trainer(conv, above, *drawn(conv, above)[:2])
                trainer.run_epoch(waves, labels)
            else:
                trainer = taught(vote_layer(), waves, labels)
            found.append((trainer.state(), trainer.scores(waves)))
    finally:
        numba.set_num_threads(before)
    for name, value in found[0][0].items():
        assert np.array_equal(value, found[1][0][name])
    assert np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"competition": Competition(map_first=True)}, r"SpikingConv\.reward: given"),
        ({"levels": 16}, r"SpikingConv\.levels: 16 with SpikingConv\.reward \(one of them must"),
    ],
)
def test_a_reward_that_a_layer_cannot_follow_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        SpikingConv(4, 3, 1.0, reward=RewardSTDP(), **changes)


# ---- branches that meet unit by unit -------------------------------------------------------------


def pair(seed=6):
    """Draw two waves with one spike a unit at most."""
    rng = np.random.default_rng(seed)
    return [random_waves(rng, (3, 4, 2), STEPS, 12) for _ in range(2)]


@pytest.mark.parametrize(("how", "merged"), [("or", np.minimum), ("and", np.maximum)])
def test_merged_units_fire_with_the_first_or_the_last_of_their_spikes(how, merged):
    one, other = pair()
    found = merge_units(one, other, how)
    assert np.array_equal(found.latencies(), merged(one.latencies(), other.latencies()))
    assert len(found.unit) == np.sum(found.latencies() < STEPS)
    for image in range(len(found)):
        steps = found.step[found.start[image] : found.start[image + 1]]
        assert np.all(np.diff(steps.astype(int)) >= 0)


def test_added_units_send_each_of_their_spikes():
    one, other = pair()
    found = merge_units(one, other, "add")
    for image in range(len(found)):
        both = dense.spikes_of(one, image) + dense.spikes_of(other, image)
        assert np.array_equal(dense.spikes_of(found, image), both)


def test_branches_are_merged_behind_their_own_pools():
    rng = np.random.default_rng(7)
    waves = random_waves(rng, SHAPE, STEPS, 9)
    wide = SpikingConv(maps=4, shape=3, padding=1, threshold=2.0, pool=Pool(2), inhibition=False)
    around = SpikingConv(maps=4, shape=1, threshold=0.0, images=0, pool=Pool(2), inhibition=False)
    stage = Branches((wide, around), merge="and")
    kernels = [rng.random(layer.weight_shape(SHAPE)) for layer in stage.layers]
    parts = [advance(*both) for both in zip(stage.layers, [waves] * 2, kernels, strict=True)]
    found = advance_branches(stage, waves, kernels)
    assert found.shape == stage.output_shape(SHAPE) == (3, 3, 4)
    assert np.array_equal(found.latencies(), np.maximum(*(part.latencies() for part in parts)))
    with pytest.raises(ModelError, match="6 steps, 9 images beside"):
        merge_units(parts[0], waves, "or")


def test_a_border_of_silence_brings_valid_windows_to_the_same_grid():
    rng = np.random.default_rng(8)
    waves = random_waves(rng, (7, 7, 2), STEPS, 6)
    small = SpikingConv(maps=3, shape=3, padding=1, threshold=2.0, inhibition=False)
    large = SpikingConv(
        maps=2, shape=5, padding=1, threshold=3.0, inhibition=False, pool=Pool(1, padding=1)
    )
    stage = Branches((small, large), Pool(3))
    kernels = [rng.random(layer.weight_shape(waves.shape)) for layer in stage.layers]
    fired = []
    for layer, weights in zip(stage.layers, kernels, strict=True):
        potentials = [
            dense.convolve(dense.spikes_of(waves, i).cumsum(axis=0), weights, padding=(1, 1))
            for i in range(len(waves))
        ]
        inner = np.array([dense.fire(values, layer.threshold) for values in potentials])
        border = (7 - inner.shape[2]) // 2
        fired.append(np.pad(inner, ((0, 0), (0, 0), (border,) * 2, (border,) * 2, (0, 0))))
    joined = np.concatenate(fired, axis=4)
    wanted = [dense.first_spikes(dense.pool(image, (3, 3), (3, 3))) for image in joined]
    found = advance_branches(stage, waves, kernels)
    assert found.shape == (2, 2, 5)
    assert np.array_equal(found.latencies(), wanted)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"merge": "xor"}, "Branches.merge: 'xor'"),
        ({"merge": "add", "pool": Pool(2)}, "Branches.pool: .*must be None with 'add'"),
        ({"merge": "or"}, r"Branches: \[2, 3\] maps \(must be equal"),
    ],
)
def test_branches_that_cannot_meet_are_refused(stage, message):
    layers = tuple(SpikingConv(maps=maps, shape=3, threshold=1.0) for maps in (2, 3))
    with pytest.raises(ModelError, match=message):
        Branches(layers, **stage).output_shape(SHAPE)
