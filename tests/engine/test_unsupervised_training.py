"""Hold compiled training of convolutions to the reference functions."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from drawn_waves import (
    PARTS,
    competitions,
    convolutions,
    exact_kernels,
    random_waves,
    train_by_reference,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms.shared_learning import room
from spikingconvnet.classes.rules import VDSP, FerroelectricVDSP, OrderSTDP, PairedRule
from spikingconvnet.classes.single_spike import Competition, SpikingConv
from spikingconvnet.engine.layers import ConvTrainer, compiled_rule
from spikingconvnet.errors import DataError, UsageError

SEEDS = st.integers(0, 2**31)
COMMON = {
    "update": st.sampled_from(["image", "step"]),
    "double_every": st.integers(0, 3),
    "double_per": st.sampled_from(["images", "updates"]),
    "top_rate": st.sampled_from([0.05, 0.3, 0.5]),
}
RATES = st.sampled_from([0.1, 0.25])
RULES = {
    "order": st.builds(
        OrderSTDP, rate=RATES, ratio=st.sampled_from([-0.75, -1.2]), stabiliser=st.booleans(),
        **COMMON,
    ),
    "vdsp": st.builds(
        VDSP, rate=RATES, f_dep=st.sampled_from([1.5, 2.0]), ramp=st.sampled_from([0.1, 1.0]),
        silent_ramp=st.booleans(), w_min=st.just(0.125), w_max=st.just(0.875), **COMMON,
    ),
    "ferroelectric": st.builds(
        FerroelectricVDSP, v_ref=st.sampled_from([1.0, 1.5]), ramp=st.sampled_from([0.1, 1.0]),
        silent_ramp=st.booleans(), **COMMON,
    ),
}  # fmt: skip


def agree(layer, waves, order, weights):
    """Check one training against the reference; return how many updates there were."""
    wanted, winners = train_by_reference(layer, waves, order, weights)
    trainer = ConvTrainer(layer, waves, order, weights)
    progress = trainer.run()
    np.testing.assert_allclose(trainer.weights, wanted, atol=2e-5)
    assert progress.shown == len(order) and progress.finished
    assert progress.updates == sum(map(len, winners))
    return progress.updates


@pytest.mark.parametrize("kind", RULES)
@settings(max_examples=80, deadline=None)
@given(drawn=convolutions(), data=st.data(), competition=competitions, seed=SEEDS)
def test_one_image_changes_the_same_kernels(kind, drawn, data, competition, seed):
    shape, layer = drawn
    rule = data.draw(RULES[kind])
    rng = np.random.default_rng(seed)
    layer = replace(layer, rule=rule, competition=competition)
    waves = random_waves(rng, shape, steps=6, images=1, repeat=data.draw(st.booleans()))
    agree(layer, waves, np.array([0]), exact_kernels(rng, layer.weight_shape(shape)))


@pytest.mark.parametrize("update", ["image", "step"])
@pytest.mark.parametrize("kind", RULES)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), competition=competitions, seed=SEEDS)
def test_many_images_lead_to_the_same_kernels(kind, update, data, competition, seed):
    rule = replace(data.draw(RULES[kind]), update=update)
    rng = np.random.default_rng(seed)
    layer = SpikingConv(
        maps=6, shape=(3, 2), threshold=1.5, padding=(1, 0), stop=0.0, rule=rule,
        competition=competition,
    )  # fmt: skip
    waves = random_waves(rng, (6, 5, 2), steps=6, images=8)
    weights = rng.uniform(0.2, 0.8, layer.weight_shape(waves.shape))
    agree(layer, waves, rng.integers(8, size=12), weights)


@pytest.mark.parametrize("update", ["image", "step"])
@pytest.mark.parametrize("maps", [3, 120])
@pytest.mark.parametrize("stride", [1, 2])
def test_more_steps_than_are_kept_in_order(stride, maps, update):
    """Steps are added up late, sixteen at most; and maps lie in one vector, or in many."""
    rng = np.random.default_rng(maps)
    layer = SpikingConv(
        maps, (4, 3), 3.0, stride, (1, 2), rule=VDSP(rate=0.1, update=update), stop=0.0,
        competition=Competition(3, "step", 1),
    )  # fmt: skip
    waves = random_waves(rng, (9, 8, 2), steps=60, images=6)
    weights = rng.uniform(0.2, 0.8, layer.weight_shape(waves.shape))
    assert agree(layer, waves, np.arange(6), weights) > 5


def test_kernels_beyond_the_bounds_fire_when_they_should():
    """A weight above w_max until it changes needs fewer spikes; one below 0 takes some away."""
    rng = np.random.default_rng(4)
    layer = SpikingConv(5, 3, 3.0, rule=OrderSTDP(rate=0.1), stop=0.0)
    waves = random_waves(rng, (7, 6, 2), steps=6, images=8)
    weights = rng.integers(-PARTS, 3 * PARTS, layer.weight_shape(waves.shape)) / PARTS
    assert sum(agree(layer, waves, np.array([image]), weights) for image in range(8)) > 5


def test_the_drawn_images_do_teach():
    """Guard the tests above against layers that never fire."""
    rng = np.random.default_rng(1)
    layer = SpikingConv(6, 3, 1.5, stop=0.0, competition=Competition(radius=0))
    waves = random_waves(rng, (6, 5, 2), steps=6, images=8)
    weights = rng.uniform(0.2, 0.8, layer.weight_shape(waves.shape))
    assert agree(layer, waves, np.arange(8), weights) > 10


def test_map_first_takes_losing_maps_out():
    """A map whose best unit loses to a neighbour wins nowhere else, unless map_first is off."""
    waves = random_waves(np.random.default_rng(0), (1, 6, 1), 1, 1, share=1.0)
    waves = replace(waves, start=np.array([0, 3]), unit=np.array([0, 1, 4], np.int32),
                    step=np.zeros(3, np.uint8))  # fmt: skip
    weights = np.array([[[[1.0, 0.5]]], [[[0.75, 0.875]]]])
    updates = {}
    for map_first in (False, True):
        layer = SpikingConv(
            maps=2, shape=(1, 2), threshold=0.25, stop=0.0,
            competition=Competition(5, "image", 1, map_first),
        )  # fmt: skip
        updates[map_first] = agree(layer, waves, np.array([0]), weights)
    assert updates == {False: 2, True: 1}


def test_the_order_within_a_step_changes_nothing():
    """Equal patterns tie exactly: sums do not depend on the order in which spikes were sent."""
    rng = np.random.default_rng(3)
    layer = SpikingConv(9, 3, 1.5, stop=0.0, competition=Competition(3, "step", 1))
    waves = random_waves(rng, (9, 8, 2), steps=3, images=40)
    mixed = waves.unit.copy()
    for image in range(40):
        span = slice(waves.start[image], waves.start[image + 1])
        order = np.lexsort((rng.random(len(mixed[span])), waves.step[span]))
        mixed[span] = mixed[span][order]
    assert not np.array_equal(mixed, waves.unit)
    weights = rng.uniform(0.2, 0.8, layer.weight_shape(waves.shape))
    found = []
    for unit in (waves.unit, mixed):
        trainer = ConvTrainer(layer, replace(waves, unit=unit), np.arange(40), weights)
        assert trainer.run().updates > 50
        found.append(trainer.weights)
    assert np.array_equal(*found)


def test_training_stops_when_kernels_have_converged():
    layer = SpikingConv(maps=3, shape=2, threshold=0.5, rule=OrderSTDP(rate=0.5), stop=0.1)
    rng = np.random.default_rng(2)
    waves = random_waves(rng, (5, 5, 1), 4, 50)
    order = np.tile(np.arange(50), 4)
    weights = rng.uniform(0.3, 0.7, (3, 1, 2, 2))
    trainer = ConvTrainer(layer, waves, order, weights, check_every=5)
    progress = trainer.run()
    assert progress.finished and progress.shown < len(order) and progress.shown % 5 == 0
    assert progress.convergence == pytest.approx(room(trainer.weights, 0, 1).mean(), abs=1e-6)
    assert progress.convergence < 0.1 <= trainer.trace[-2]


# ---- stopped and restored ------------------------------------------------------------------------


def lesson(rule):
    """Return the arguments of a trainer that has something to learn."""
    rng = np.random.default_rng(7)
    layer = SpikingConv(maps=9, shape=3, threshold=2.0, rule=rule, stop=0.0)
    waves = random_waves(rng, (7, 6, 2), steps=8, images=30)
    weights = np.clip(rng.normal(0.6, 0.1, layer.weight_shape(waves.shape)), 0, 1)
    return layer, waves, rng.permutation(30), weights


@pytest.mark.parametrize(
    "rule", [OrderSTDP(double_every=7), VDSP(double_every=7), FerroelectricVDSP()]
)
def test_a_training_stopped_anywhere_goes_on_to_the_same_kernels(rule):
    whole = ConvTrainer(*lesson(rule))
    whole.run()
    for cut in range(30):
        first = ConvTrainer(*lesson(rule))
        first.run(cut)
        second = ConvTrainer(*lesson(rule))
        second.restore(first.state())
        assert second.progress.shown == cut
        second.run()
        assert np.array_equal(second.weights, whole.weights)
        assert second.progress.updates == whole.progress.updates > 0
        assert second.progress.finished


def test_threads_do_not_change_training():
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            trainer = ConvTrainer(*lesson(VDSP()))
            trainer.run()
            found.append(trainer.weights)
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(*found)


def other_shape(state):
    state["weights"] = state["weights"][..., :1]


def not_a_number(state):
    state["weights"][0, 0, 0, 0] = np.nan


def without_pace(state):
    del state["pace"]


def broken_pace(state):
    state["pace"][1] = np.nan


def beyond_the_end(state):
    state["shown"] = np.int64(31)


DAMAGES = {
    other_shape: r"checkpoint: weights of shape .* \(the layer has",
    not_a_number: "checkpoint: weights are not all finite",
    without_pace: "checkpoint: without pace",
    broken_pace: "checkpoint: pace",
    beyond_the_end: r"checkpoint: shown 31 \(must be in 0..30\)",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused_and_changes_nothing(damage):
    trainer = ConvTrainer(*lesson(OrderSTDP()))
    trainer.run(10)
    before, state = trainer.weights, trainer.state()
    damage(state)
    with pytest.raises(DataError, match=DAMAGES[damage]):
        trainer.restore(state)
    assert np.array_equal(trainer.weights, before) and trainer.shown == 10


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_kernels_that_are_no_numbers_are_refused(value):
    layer, waves, order, weights = lesson(OrderSTDP())
    weights[0, 0, 0, 0] = value
    with pytest.raises(DataError, match="weights: not all finite"):
        ConvTrainer(layer, waves, order, weights)


def test_a_rule_of_decisions_does_not_train_a_convolution():
    with pytest.raises(UsageError, match="rule: PairedRule"):
        compiled_rule(PairedRule())
