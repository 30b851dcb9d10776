"""Pair STDP: the vectorised reference against the board's own procedure, synapse by synapse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import plasticity
from spikingconvnet.algorithms.spike_trains import from_lists
from spikingconvnet.errors import ModelError

RULE = {
    "tau_plus": 7.0,
    "tau_minus": 11.0,
    "a_plus": 0.02,
    "a_minus": 0.015,
    "w_min": 0.1,
    "w_max": 0.9,
}
KINDS = [(d, p) for d in plasticity.DEPENDENCES for p in plasticity.PAIRINGS]


def potentiated(w, amount, dependence):
    if dependence == "additive":
        return min(w + RULE["a_plus"] * amount, RULE["w_max"])
    return w + (RULE["w_max"] - w) * RULE["a_plus"] * amount


def depressed(w, amount, dependence):
    if dependence == "additive":
        return max(w - RULE["a_minus"] * amount, RULE["w_min"])
    return w - (w - RULE["w_min"]) * RULE["a_minus"] * amount


def board(pre, post, w, dependence, pairing, delay):
    """Rewrite a weight at each pre spike only, from the history of post spikes."""
    before = []
    for time in sorted(pre):
        last = before[-1] if before else 0
        for k, spike in enumerate(sorted(post)):
            arrival = spike + delay
            if not last < arrival <= time:
                continue
            if pairing == "all":
                pairs = [math.exp(-(arrival - p) / RULE["tau_plus"]) for p in before]
            else:
                alone = k == 0 or sorted(post)[k - 1] <= last
                pairs = [math.exp(-(arrival - last) / RULE["tau_plus"]) * alone]
            w = potentiated(w, sum(pairs), dependence)
        known = [spike + delay for spike in sorted(post) if spike + delay <= time]
        if pairing == "nearest":
            known = known[-1:]
        losses = [math.exp(-(time - arrival) / RULE["tau_minus"]) for arrival in known]
        w = depressed(w, sum(losses), dependence)
        before.append(time)
    return w


times = st.lists(st.integers(1, 60), max_size=12, unique=True)


@settings(deadline=None)
@pytest.mark.parametrize(("dependence", "pairing"), KINDS)
@given(times, times, st.integers(1, 4), st.floats(0.1, 0.9))
def test_one_synapse_equals_the_boards_procedure(dependence, pairing, pre, post, delay, weight):
    made = plasticity.pair_stdp(
        pre, post, weight, **RULE, dependence=dependence, pairing=pairing, delay=delay
    )
    wanted = board(pre, post, weight, dependence, pairing, delay)
    assert made == pytest.approx(wanted, abs=1e-12)


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize(("dependence", "pairing"), KINDS)
@given(st.lists(times, min_size=3, max_size=3), st.lists(times, min_size=2, max_size=2))
def test_a_matrix_is_its_synapses_one_by_one(dependence, pairing, pre, post):
    weights = np.linspace(0.2, 0.8, 6).reshape(3, 2)
    kind = {"dependence": dependence, "pairing": pairing}
    made = plasticity.pair_stdp_matrix(from_lists(pre), from_lists(post), weights, **RULE, **kind)
    for i, j in np.ndindex(3, 2):
        alone = plasticity.pair_stdp(pre[i], post[j], weights[i, j], **RULE, **kind)
        assert made[i, j] == pytest.approx(alone, abs=1e-12)


def test_one_pair_each_way():
    gain = 0.02 * math.exp(-(13 + 1 - 10) / 7)  # the post spike arrives one delay later
    loss = 0.015 * math.exp(-(40 - 14) / 11)
    made = plasticity.pair_stdp([10, 40], [13], 0.5, **RULE)
    assert made == pytest.approx(0.5 + gain - loss)


def test_a_post_spike_waits_for_the_next_pre_spike():
    assert plasticity.pair_stdp([10], [13], 0.5, **RULE) == 0.5
    flushed = plasticity.pair_stdp([10], [13], 0.5, **RULE, flush=True)
    assert flushed == pytest.approx(0.5 + 0.02 * math.exp(-4 / 7))


def test_a_far_away_pre_spike_flushes_without_adding_anything():
    by_spike = plasticity.pair_stdp([10, 20, 500], [13, 22], 0.5, **RULE)
    by_flag = plasticity.pair_stdp([10, 20], [13, 22], 0.5, **RULE, flush=True)
    assert by_spike == pytest.approx(by_flag, abs=1e-9)


def test_a_coincident_pair_depresses_by_a_minus():
    """The post spike arrives at the very time of the pre spike."""
    for pairing in plasticity.PAIRINGS:
        made = plasticity.pair_stdp([200], [199], 0.5, **RULE, pairing=pairing)
        assert made == pytest.approx(0.5 - 0.015, abs=1e-9)


def test_nearest_counts_each_post_spike_with_one_pre_spike_only():
    made = plasticity.pair_stdp([200, 205, 900], [210, 230], 0.5, **RULE, pairing="nearest")
    gain = 0.02 * math.exp(-(210 + 1 - 205) / 7)
    assert made == pytest.approx(0.5 + gain, abs=1e-9)


def test_nearest_starts_as_if_every_pre_neuron_had_fired_at_time_zero():
    made = plasticity.pair_stdp([900], [6], 0.5, **RULE, pairing="nearest")
    assert made == pytest.approx(0.5 + 0.02 * math.exp(-(6 + 1) / 7), abs=1e-9)
    assert plasticity.pair_stdp([900], [6], 0.5, **RULE) == pytest.approx(0.5, abs=1e-9)


@settings(deadline=None)
@given(times, times, st.sampled_from(KINDS), st.floats(0, 2), st.floats(0, 2))
def test_weights_stay_in_their_bounds(pre, post, kind, a_plus, a_minus):
    rule = {**RULE, "a_plus": a_plus, "a_minus": a_minus}
    dependence, pairing = kind
    if dependence == "multiplicative":  # bounded where no single step exceeds the distance left
        rule["a_plus"], rule["a_minus"] = a_plus / 40, a_minus / 40
    made = plasticity.pair_stdp(
        pre, post, 0.5, **rule, dependence=dependence, pairing=pairing, flush=True
    )
    assert 0.1 <= made <= 0.9


def test_additive_does_not_multiply_a_by_w_max():
    """sPyNNaker 7.4.1 takes A in nA: the same step whatever w_max is."""
    steps = [
        plasticity.pair_stdp([10], [13], 0.5, **{**RULE, "w_max": w_max}, flush=True) - 0.5
        for w_max in (1.0, 2.5)
    ]
    assert steps[0] == steps[1]


# Measured: the IF_curr_exp STDP binaries of sPyNNaker 7.4.1 on the software board, additive, from
# w = 0.3 with A_plus 0.02, A_minus 0.015, tau_plus 7, tau_minus 11, w in 0..1: the change of w for
# (pairing, delay) = (all, 1), (all, 3), (nearest, 1), (nearest, 3).
MEASURED = [
    ([100], [90], -0.0065, -0.0079, -0.0065, -0.0079),
    ([100], [99], -0.0150, 0.0, -0.0150, 0.0),
    ([100], [97], -0.0125, -0.0150, -0.0125, -0.0150),
    ([100], [98], -0.0137, 0.0, -0.0137, 0.0),
    ([100, 150], [100], 0.0171, 0.0129, 0.0171, 0.0129),
    ([100, 150], [104], 0.0096, 0.0070, 0.0096, 0.0070),
    ([100, 150], [100, 104], 0.0267, 0.0198, 0.0268, 0.0201),
    ([100, 150], [101, 104], 0.0243, 0.0181, 0.0148, 0.0110),
    ([100, 103, 150], [100], 0.0046, -0.0023, 0.0046, -0.0023),
    ([100, 103, 150], [105, 110], 0.0313, 0.0231, 0.0126, 0.0093),
    ([104, 117, 118, 132], [103, 117, 126], -0.0228, 0.0248, -0.0214, 0.0121),
    (
        [100, 107, 115, 121, 128, 140],
        [102, 105, 114, 119, 127, 133, 139],
        *(-0.0692, 0.0306, -0.0277, 0.0304),
    ),
    ([50], [6], -0.0003, -0.0003, 0.0070, 0.0052),
    ([50], [3, 9], -0.0006, -0.0007, 0.0109, 0.0080),
]
COLUMNS = [("all", 1.0), ("all", 3.0), ("nearest", 1.0), ("nearest", 3.0)]


@pytest.mark.parametrize(("column", "kind"), list(enumerate(COLUMNS)))
def test_what_the_binaries_of_spynnaker_made_of_these_spikes(column, kind):
    pairing, delay = kind
    rule = {**RULE, "w_min": 0.0, "w_max": 1.0}
    made = [
        plasticity.pair_stdp(pre, post, 0.3, **rule, pairing=pairing, delay=delay) - 0.3
        for pre, post, *_ in MEASURED
    ]
    assert made == pytest.approx([row[2 + column] for row in MEASURED], abs=6e-4)


def test_the_callers_weights_are_left_alone():
    weights = np.full((1, 1), 0.5)
    plasticity.pair_stdp_matrix(from_lists([[1.0, 50.0]]), from_lists([[3.0]]), weights, **RULE)
    assert weights[0, 0] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dependence": "cubic"}, "dependence: 'cubic' .must be one of additive, multiplicative"),
        ({"pairing": "some"}, "pairing: 'some' .must be one of all, nearest"),
    ],
)
def test_unknown_kinds_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        plasticity.pair_stdp([1], [2], 0.5, **RULE, **options)


def test_weights_of_the_wrong_shape_are_refused():
    with pytest.raises(ModelError, match=r"weights: shape \(2, 1\) \(must be \(pre, post\)"):
        plasticity.pair_stdp_matrix(from_lists([[]]), from_lists([[], []]), np.ones((2, 1)), **RULE)
