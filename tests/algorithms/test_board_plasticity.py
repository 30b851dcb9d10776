"""The board's STDP in integers: by hand, against the float64 rule, and at its edges."""

import math

import numpy as np
import pytest

from spikingconvnet.algorithms.board_plasticity import (
    PairRule,
    TripletRule,
    VogelsRule,
    board_stdp,
    decay_table,
)
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.plasticity import pair_stdp_matrix
from spikingconvnet.algorithms.spike_trains import from_lists
from spikingconvnet.errors import ModelError

PAIR = PairRule(tau_plus=20.0, tau_minus=25.0, a_plus=0.1, a_minus=0.12)
STEP = 2.0**-11


def one(rule, pre, post, weight=0.5, delay=1.0, step=2.0**-15, **more):
    """Give the weight of one synapse."""
    synapse = Connections(
        np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([weight]), np.array([delay])
    )
    return float(
        board_stdp(from_lists([pre]), from_lists([post]), synapse, rule, weight_step=step, **more)[
            0
        ]
    )


def test_decay_table():
    table = decay_table(20.0)
    assert table[:3].tolist() == [2048, 1948, 1853]
    assert len(table) % 2 == 0 and table[-1] <= 1 <= table[-4]
    assert decay_table(20.0, shift=2)[:2].tolist() == [2048, 1676]
    assert decay_table(20.0, timestep_ms=0.1)[1] == math.floor(2048 * math.exp(-0.005))


def test_one_pair_by_hand():
    # Pre at 10, post at 14 (arrives at 15); pre at 30 applies it and is itself depressed.
    gain = math.floor(3277 * (math.floor(2048 * math.exp(-5 / 20)) * 16) / 2**15)
    loss = math.floor(3932 * (math.floor(2048 * math.exp(-15 / 25)) * 16) / 2**15)
    assert one(PAIR, [10.0, 30.0], [14.0]) == 0.5 + (gain - loss) / 2**15
    assert (
        one(PAIR, [10.0, 30.0], [14.0], step=STEP) == math.floor(1024 + (gain - loss) / 16) * STEP
    )
    # Nothing is done after the last pre spike, nor before the first post spike.
    assert one(PAIR, [10.0], [14.0, 20.0]) == 0.5
    assert one(PAIR, [10.0, 12.0], [14.0]) == 0.5


def test_a_coincidence_depresses_only():
    table = math.floor(2048 * math.exp(0))
    loss = math.floor(3932 * (table * 16) / 2**15)
    assert one(PAIR, [10.0], [9.0]) == 0.5 - loss / 2**15


def test_a_longest_delay_of_a_power_of_two_counts_as_none():
    pre = [10.0, 30.0]
    assert one(PAIR, pre, [14.0], delay=4.0) == one(PAIR, pre, [13.0], delay=1.0)
    # A post spike at 10 meets both pre spikes: at once, and 20 ms before.
    later = math.floor(3932 * math.floor(2048 * math.exp(-20 / 25)) * 16 / 2**15)
    assert one(PAIR, pre, [10.0], delay=4.0) == 0.5 - (3932 + later) / 2**15
    longer = one(PAIR, pre, [14.0], delay=4.0, longest_delay_ms=5.0)
    assert longer == one(PAIR, pre, [15.0], delay=3.0)


def test_only_15_post_spikes_are_remembered():
    many = [20.0 + t for t in range(20)]
    rule = PairRule(20.0, 25.0, a_plus=0.01, a_minus=0.0)
    assert one(rule, [10.0, 90.0], many) == one(rule, [10.0, 90.0], many[5:])
    assert one(rule, [10.0, 90.0], many) < one(rule, [10.0, 30.0, 90.0], many)


def random_lists(rng, size, rate, length=800):
    """Draw trains."""
    return [
        sorted({float(t) for t in rng.integers(1, length, 1 + rng.poisson(rate * length / 1000))})
        for _ in range(size)
    ]


@pytest.mark.parametrize("multiplicative", [False, True])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_near_the_float64_rule(seed, nearest, multiplicative):
    # Each event errs by less than 4 steps of 2**-11 of the amplitude, 2 of 2**-15, and each pre
    # spike by one unit of the weight. The float64 rule forgets nothing, so few spikes.
    rng = np.random.default_rng(seed)
    pre, post = random_lists(rng, 6, 15), random_lists(rng, 4, 12)
    rule = PairRule(
        *(float(x) for x in rng.uniform(10, 40, 2)),
        *(float(x) for x in rng.uniform(0.01, 0.05, 2)),
        multiplicative=multiplicative,
        nearest=nearest,
    )
    index = np.indices((6, 4)).reshape(2, -1).astype(np.int32)
    weights = np.rint(rng.uniform(0.3, 0.7, 24) / STEP) * STEP
    synapses = Connections(index[0], index[1], weights, np.ones(24))
    got = board_stdp(from_lists(pre), from_lists(post), synapses, rule, weight_step=STEP)
    expected = pair_stdp_matrix(
        from_lists(pre),
        from_lists(post),
        weights.reshape(6, 4),
        tau_plus=rule.tau_plus,
        tau_minus=rule.tau_minus,
        a_plus=rule.a_plus,
        a_minus=rule.a_minus,
        w_min=0.0,
        w_max=1.0,
        dependence="multiplicative" if multiplicative else "additive",
        pairing="nearest" if nearest else "all",
    ).ravel()
    events = max(map(len, pre)) + max(map(len, post))
    allowed = max(map(len, pre)) * STEP + events * (4 * 2**-11 * 0.05 + 2 * 2**-15)
    assert np.abs(got - weights).max() > 20 * STEP
    assert np.abs(got - expected).max() <= allowed


def test_vogels_rule_by_hand():
    rule = VogelsRule(tau=20.0, alpha=0.5, a_plus=0.125)
    met = math.floor(2048 * math.exp(-20 / 20)), math.floor(2048 * math.exp(-4 / 20))
    # A pre spike meets post spikes that came before it; a post spike the pre spike before it.
    up = math.floor(4096 * met[1] * 16 / 2**15)
    down = math.floor(4096 * (math.floor(2048 * math.exp(-16 / 20)) - 1024) * 16 / 2**15)
    assert one(rule, [10.0, 30.0], [13.0]) == 0.5 + (up + down) / 2**15
    assert met[0] < met[1]
    # The 16 bits of the weight wrap below 0.
    below = VogelsRule(tau=20.0, alpha=8.0, a_plus=0.125)
    assert one(below, [90.0], [1.0], weight=0.25, step=STEP) > 30


def test_triplet_rule_by_hand():
    rule = TripletRule(
        tau_plus=16.0, tau_minus=32.0, tau_x=100.0, tau_y=120.0, a_plus=0.125, a_minus=0.0625,
        a3_plus=0.25, a3_minus=0.125,
    )  # fmt: skip
    # The second post spike sees the first one's slow trace, looked up at 16 of 19 ms.
    fast = [math.floor(2048 * math.exp(-t / 16)) for t in (5, 24)]
    slow = math.floor(2048 * math.exp(-16 / 120))
    gain = [math.floor(4096 * f * 16 / 2**15) for f in fast]
    third = math.floor(8192 * (fast[1] * slow // 2048) * 16 / 2**15)
    trace = 2048 + math.floor(2048 * math.exp(-19 / 32))
    met = trace * math.floor(2048 * math.exp(-6 / 32)) // 2048
    loss = math.floor(2048 * met * 16 / 2**15)
    # The second pre spike's slow trace: one spike, 30 ms ago, looked up at 28.
    both = met * math.floor(2048 * math.exp(-28 / 100)) // 2048
    loss += math.floor(4096 * both * 16 / 2**15)
    expected = 0.5 + (sum(gain) + third - loss) / 2**15
    assert one(rule, [10.0, 40.0], [14.0, 33.0]) == expected


def test_conductances_are_scaled_and_steps_may_be_short():
    scaled = PairRule(20.0, 25.0, a_plus=0.1 / 1024, a_minus=0.12 / 1024, w_max=1 / 1024)
    got = one(scaled, [10.0, 30.0], [14.0], weight=0.5 / 1024, step=2.0**-25, conductance=True)
    assert got * 1024 == one(PAIR, [10.0, 30.0], [14.0])
    tenth = PairRule(2.0, 2.5, a_plus=0.1, a_minus=0.12)
    assert one(tenth, [1.0, 3.0], [1.4], delay=0.1, timestep_ms=0.1) == one(
        PAIR, [10.0, 30.0], [14.0]
    )


@pytest.mark.parametrize("step", [0.001, 2.0**-16])
def test_impossible_weight_steps(step):
    with pytest.raises(ModelError, match=r"weight_step: .* \(must be a power of two, at least"):
        one(PAIR, [1.0], [2.0], step=step)
