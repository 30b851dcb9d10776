"""Hold compiled decision layers to the reference functions, epoch by epoch."""

from dataclasses import dataclass, replace

import numba
import numpy as np
import pytest
from drawn_waves import CLOSE, assume_apart, random_waves
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import decision_learning as reference
from spikingconvnet.algorithms.dense_waves import convolve, spikes_of
from spikingconvnet.classes.rules import S2STDP, HitMissSTDP, OrderSTDP, PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import DenseDecision, SpikingDecision
from spikingconvnet.engine.decision import decision_trainer, decision_weights
from spikingconvnet.errors import DataError, UsageError

SEEDS = st.integers(0, 2**31)
SHAPE, STEPS, CLASSES, IMAGES = (4, 3, 3), 6, 3, 16


@dataclass
class Setup:
    """Hold a layer, what it starts from and what it is shown."""

    layer: object
    weights: np.ndarray
    waves: object
    labels: np.ndarray
    classes: np.ndarray
    seed: int

    def trainer(self):
        shape = self.waves.shape
        return decision_trainer(self.layer, shape, CLASSES, self.weights.copy(), self.seed)

    def fired(self, image):
        return spikes_of(self.waves, image).any(axis=0)

    def orders(self, epochs):
        """Give (epoch, images in the order they are shown)."""
        for epoch in range(epochs):
            yield epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.waves))


def drawn(layer, seed, shape=SHAPE):
    """Draw labels and waves; images of a class have more spikes in places of its own."""
    rng = np.random.default_rng(seed)
    waves = random_waves(rng, shape, STEPS, IMAGES)
    classes = np.repeat(np.arange(CLASSES), layer.per_class)
    weights = decision_weights(layer, shape, CLASSES, rng)
    return Setup(layer, weights, waves, rng.integers(CLASSES, size=IMAGES), classes, seed % 1000)


def by_reward(setup, epochs):
    """Return weights and votes by `reward_stdp`; a dense layer is a window over all there is."""
    layer, rule = setup.layer, setup.layer.rule
    dense = isinstance(layer, DenseDecision)
    padding = (0, 0) if dense else layer.padding
    weights = setup.weights.copy()
    if dense:
        weights = np.moveaxis(weights.reshape(-1, *setup.waves.shape), 3, 1).copy()
    votes, factors = [], (1.0, 1.0)
    for epoch, order in setup.orders(epochs):
        rng = np.random.default_rng([setup.seed, epoch, 1])
        for first in range(0, len(order), rule.batch):
            batch = order[first : first + rule.batch]
            allowed = np.ones((len(batch), len(setup.classes)), bool)
            if rule.dropout:
                allowed = rng.random(allowed.shape) >= rule.dropout
            rates = [
                tuple(factor * rate for rate in pair)
                for factor, pair in zip(factors, (rule.reward, rule.punishment), strict=True)
            ]
            now = [
                _reward_one(setup, weights, image, may, rates, padding, rule)
                for image, may in zip(batch, allowed, strict=True)
            ]
            right = np.mean(now == setup.labels[batch])
            silent = np.mean(np.array(now) < 0)
            if rule.adaptive:
                factors = (1.0 - right - silent, right)
            votes += now
    return np.moveaxis(weights, 1, 3).reshape(len(weights), -1) if dense else weights, votes


def _reward_one(setup, weights, image, allowed, rates, padding, rule):
    fired = setup.fired(image)
    potentials = convolve(fired[None].astype(float), weights, padding=padding)[0]
    potentials = np.where(allowed, potentials, -np.inf)
    row, column, m = np.unravel_index(potentials.argmax(), potentials.shape)
    assume(abs(potentials[row, column, m]) > CLOSE or not fired.any())
    if not potentials[row, column, m] > 0:
        return -1
    seen = window(fired, row, column, weights, padding)
    for y, x, k in np.argwhere(potentials > potentials.max() - CLOSE):
        # Equal windows have equal potentials, and teach the same; others may not be so close.
        assume(k == m and np.array_equal(window(fired, y, x, weights, padding), seen))
    change = rates[0] if setup.classes[m] == setup.labels[image] else rates[1]
    weights[m] = reference.reward_stdp(
        weights[m], np.moveaxis(seen, 2, 0), change, stabiliser=rule.stabiliser,
        w_min=rule.w_min, w_max=rule.w_max,
    )  # fmt: skip
    return setup.classes[m]


def window(fired, row, column, weights, padding):
    side = [(padding[0],) * 2, (padding[1],) * 2, (0, 0)]
    return np.pad(fired, side)[row : row + weights.shape[2], column : column + weights.shape[3]]


def by_hits(setup, epochs):
    rule, weights, votes, at = setup.layer.rule, setup.weights.copy(), [], 0
    ring = np.arange(rule.ring) < round(rule.hit_ratio * rule.ring)
    for _, order in setup.orders(epochs):
        for image in order:
            fired = setup.fired(image).ravel()
            assume_apart(np.sort(weights[:, fired].sum(axis=1))[-2:])
            votes.append(
                reference.hit_miss_stdp(
                    weights, fired, setup.labels[image], setup.classes, ring, at % rule.ring,
                    reward=rule.reward, punishment=rule.punishment, decay=rule.decay,
                )
            )  # fmt: skip
            at += votes[-1] >= 0
    return weights, votes


def by_pairs(setup, epochs):
    rule, weights, right = setup.layer.rule, setup.weights.copy(), []
    for epoch, order in setup.orders(epochs):
        for image in order:
            fired = setup.fired(image).ravel()
            potentials = weights[:, fired].sum(axis=1)
            own = setup.classes == setup.labels[image]
            lead = potentials[own].max() - potentials[~own].max()
            assume_apart(np.sort([lead, 0.0, rule.margin]))
            for side in (own, ~own):
                assume_apart(np.sort(potentials[side])[-2:])
            right.append(
                reference.paired_rule(
                    weights, fired, setup.labels[image], setup.classes,
                    rate=rule.rate * rule.decay**epoch, margin=rule.margin,
                )
            )  # fmt: skip
    return weights, right


def by_latencies(setup, epochs):
    rule, weights, votes = setup.layer.rule, setup.weights.copy(), []
    latencies = setup.waves.latencies() / STEPS
    for epoch, order in setup.orders(epochs):
        halved = 0.5 ** (epoch // rule.halve_every)
        for image in order:
            x = latencies[image].ravel()
            if (x < 1).any():
                _assume_ranks(weights, x, setup.classes, rule.fastest)
            votes.append(
                reference.s2_stdp(
                    weights, x, setup.labels[image], setup.classes, rate=halved * rule.rate,
                    rate_minus=halved * rule.rate_minus, gap=rule.gap, fastest=rule.fastest,
                )
            )  # fmt: skip
    return weights, votes


def _assume_ranks(weights, x, classes, fastest):
    found, _ = reference.class_latencies(weights, x, classes, fastest)
    assume_apart(np.sort(found)[:2])
    for number in range(CLASSES):
        assume_apart(np.sort((weights @ (1 - x))[classes == number]))


REWARDS = st.builds(
    RewardSTDP,
    reward=st.just((0.04, -0.03)),
    punishment=st.sampled_from([(-0.04, 0.005), (-0.04, 0.0)]),
    adaptive=st.booleans(),
    batch=st.sampled_from([7, 16, 100]),
    stabiliser=st.booleans(),
    dropout=st.sampled_from([0.0, 0.4]),
    w_init_mean=st.sampled_from([0.2, 0.8]),
)
LAYERS = {
    "convolution": st.builds(
        SpikingDecision,
        per_class=st.integers(1, 7),
        shape=st.tuples(st.integers(1, 4), st.integers(1, 3)),
        padding=st.tuples(st.integers(0, 2), st.integers(0, 1)),
        rule=REWARDS,
    ),
    "reward": st.builds(DenseDecision, per_class=st.integers(1, 7), rule=REWARDS),
    "hit-miss": st.builds(
        DenseDecision,
        per_class=st.integers(1, 7),
        rule=st.builds(
            HitMissSTDP, reward=st.just((0.4, -0.3)), punishment=st.just((-0.2, 0.3)),
            ring=st.integers(1, 30), hit_ratio=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
            decay=st.sampled_from([0.0, 0.01]),
        ),
    ),
    "paired": st.builds(
        DenseDecision,
        per_class=st.integers(1, 7),
        rule=st.builds(PairedRule, rate=st.just(0.05), margin=st.sampled_from([0.0, 1.0, 3.0])),
    ),
    "latencies": st.builds(
        DenseDecision,
        per_class=st.integers(1, 7),
        rule=st.builds(
            S2STDP, rate=st.just(0.3), rate_minus=st.just(0.2), fastest=st.integers(1, 8),
            halve_every=st.integers(1, 2), w_init_mean=st.just(0.5),
        ),
    ),
}  # fmt: skip
REFERENCES = {
    "convolution": by_reward,
    "reward": by_reward,
    "hit-miss": by_hits,
    "paired": by_pairs,
    "latencies": by_latencies,
}


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=SEEDS)
def test_two_epochs_lead_to_the_same_weights(kind, data, seed):
    setup = drawn(data.draw(LAYERS[kind]), seed)
    wanted, votes = REFERENCES[kind](setup, 2)
    trainer = setup.trainer()
    for _ in range(2):
        trainer.run_epoch(setup.waves, setup.labels)
    np.testing.assert_allclose(trainer.weights, wanted, atol=2e-5)
    shown = np.concatenate([order for _, order in setup.orders(2)])
    right = np.array(votes) if kind == "paired" else np.array(votes) == setup.labels[shown]
    assert [epoch.right for epoch in trainer.history] == pytest.approx(
        right.reshape(2, -1).mean(axis=1)
    )
    if kind != "paired":
        silent = (np.array(votes) < 0).reshape(2, -1).mean(axis=1)
        assert [epoch.silent for epoch in trainer.history] == pytest.approx(silent)


def plain(kind, **values):
    """Return a layer of a kind with given settings of its rule."""
    rule = {
        "convolution": RewardSTDP(batch=7, dropout=0.3),
        "reward": RewardSTDP(batch=7, dropout=0.3),
        "hit-miss": HitMissSTDP(ring=10),
        "paired": PairedRule(),
        "latencies": S2STDP(),
    }[kind]
    rule = replace(rule, **values)
    if kind == "convolution":
        return SpikingDecision(per_class=4, shape=(2, 3), padding=(1, 0), rule=rule)
    return DenseDecision(per_class=4, rule=rule)


@pytest.mark.parametrize("kind", LAYERS)
def test_answers_are_those_of_the_definition(kind):
    setup = drawn(plain(kind), 11)
    found = setup.trainer().predict(setup.waves)
    for image in range(IMAGES):
        fired = setup.fired(image)
        if not fired.any():
            assert found[image] == (0 if kind == "paired" else -1)
        elif kind == "latencies":
            x = setup.waves.latencies()[image].ravel() / STEPS
            latencies, _ = reference.class_latencies(setup.weights, x, setup.classes, 10)
            assert found[image] == latencies.argmin()
        elif kind == "convolution":
            potentials = convolve(fired[None].astype(float), setup.weights, padding=(1, 0))[0]
            assert found[image] == setup.classes[potentials.max(axis=(0, 1)).argmax()]
        else:
            potentials = setup.weights[:, fired.ravel()].sum(axis=1)
            assert found[image] == setup.classes[potentials.argmax()]
    assert len(set(found.tolist())) > 1


@pytest.mark.parametrize("kind", LAYERS)
def test_what_differs_is_learned(kind):
    """Images of each class fire in places of their own: every rule must tell them apart."""
    layer = plain(kind)
    setup = drawn(layer, 3, shape=(1, 3, 12))
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=300)
    dense = rng.random((300, 36)) < 0.1
    for image, label in enumerate(labels):
        dense[image, 12 * label : 12 * label + 12] |= rng.random(12) < 0.7
    image, unit = np.nonzero(dense)
    start = np.concatenate([[0], np.cumsum(dense.sum(axis=1))])
    waves = replace(setup.waves, start=start, unit=unit.astype(np.int32),
                    step=np.zeros(len(unit), np.uint8))  # fmt: skip
    trainer = decision_trainer(layer, waves.shape, CLASSES, setup.weights, 1)
    before = np.mean(trainer.predict(waves) == labels)
    for _ in range(20):
        trainer.run_epoch(waves, labels)
    after = np.mean(trainer.predict(waves) == labels)
    assert after > 0.9 > before


@pytest.mark.parametrize("kind", LAYERS)
def test_a_teaching_stopped_after_any_epoch_goes_on_to_the_same_weights(kind):
    setup = drawn(plain(kind), 5)
    whole = setup.trainer()
    for _ in range(4):
        whole.run_epoch(setup.waves, setup.labels)
    for cut in range(4):
        first = setup.trainer()
        for _ in range(cut):
            first.run_epoch(setup.waves, setup.labels)
        second = setup.trainer()
        second.restore(first.state())
        while second.epochs_done < 4:
            second.run_epoch(setup.waves, setup.labels)
        assert np.array_equal(second.weights, whole.weights)
        assert second.history == whole.history


@pytest.mark.parametrize("kind", LAYERS)
def test_threads_change_nothing(kind):
    setup = drawn(plain(kind), 6)
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            trainer = setup.trainer()
            trainer.run_epoch(setup.waves, setup.labels)
            found.append((trainer.weights, trainer.predict(setup.waves)))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", LAYERS)
def test_damaged_states_are_refused_and_change_nothing(kind):
    setup = drawn(plain(kind), 8)
    trainer = setup.trainer()
    trainer.run_epoch(setup.waves, setup.labels)
    before = trainer.weights
    for name in trainer.state():
        state = trainer.state()
        del state[name]
        with pytest.raises(DataError, match="checkpoint: "):
            trainer.restore(state)
    state = trainer.state()
    state["weights"].flat[0] = np.nan
    with pytest.raises(DataError, match="finite: False"):
        trainer.restore(state)
    state["weights"] = state["weights"][:1]
    with pytest.raises(DataError, match=r"weights of shape .* \(the layer has"):
        trainer.restore(state)
    assert np.array_equal(trainer.weights, before) and trainer.epochs_done == 1


@pytest.mark.parametrize(
    ("name", "value"), [("factors", [np.nan, 1.0]), ("factors", [1.0]), ("factors", [])]
)
def test_damaged_factors_are_refused(name, value):
    trainer = drawn(plain("reward"), 8).trainer()
    with pytest.raises(DataError, match="checkpoint: factors"):
        trainer.restore(trainer.state() | {name: np.array(value)})


@pytest.mark.parametrize("ring", [np.ones(9, np.uint8), np.full(10, 2, np.uint8)])
def test_damaged_rings_are_refused(ring):
    trainer = drawn(plain("hit-miss"), 8).trainer()
    with pytest.raises(DataError, match="checkpoint: ring"):
        trainer.restore(trainer.state() | {"ring": ring})


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_that_do_not_fit_are_refused(kind):
    setup = drawn(plain(kind), 9)
    setup.weights.flat[0] = np.nan
    with pytest.raises(DataError, match="weights: not all finite"):
        setup.trainer()
    setup.weights = setup.weights[1:]
    with pytest.raises(DataError, match=r"weights: of shape .* \(the layer has"):
        setup.trainer()


def test_a_rule_of_convolutions_teaches_no_decision():
    layer = DenseDecision()
    object.__setattr__(layer, "rule", OrderSTDP())
    with pytest.raises(UsageError, match=r"DenseDecision.rule: OrderSTDP \(must be one of Reward"):
        decision_trainer(layer, SHAPE, CLASSES, np.zeros((3, 36)), 0)
