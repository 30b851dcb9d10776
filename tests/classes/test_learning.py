import dataclasses

import numpy as np
import pytest

from spikingconvnet.algorithms import plasticity
from spikingconvnet.algorithms.spike_trains import from_lists
from spikingconvnet.classes.learning import STDP_2018, PairSTDP
from spikingconvnet.errors import ModelError


@pytest.mark.parametrize(
    ("number", "w_max", "a_plus", "a_minus", "mean", "sd"),
    [
        (1, 1.0, 0.020, 0.020, 0.30, 0.04),
        (2, 1.0, 0.020, 0.015, 0.50, 0.05),
        (3, 2.5, 0.060, 0.090, 0.50, 0.05),
    ],
)
def test_table_of_2018(number, w_max, a_plus, a_minus, mean, sd):
    assert dataclasses.asdict(STDP_2018[number]) == {
        "tau_plus": 7,
        "tau_minus": 7,
        "A_plus": a_plus,
        "A_minus": a_minus,
        "w_min": 0,
        "w_max": w_max,
        "dependence": "additive",
        "pairing": "all",
        "w_init_mean": mean,
        "w_init_sd": sd,
    }


def test_initial_weights_are_gaussian_and_clipped():
    rule = PairSTDP(w_init_mean=0.9, w_init_sd=0.2)
    weights = rule.initial_weights((50, 2, 5, 5), np.random.default_rng(1))
    assert weights.shape == (50, 2, 5, 5)
    assert weights.max() == 1.0 and weights.min() >= 0.0
    assert np.median(weights) == pytest.approx(0.9, abs=0.02)


def test_defect_15_one_seed_gives_one_set_of_weights():
    first, same, other = (
        PairSTDP().initial_weights((4, 1, 4, 4), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_rule_hands_all_its_values_to_the_reference():
    rule = PairSTDP(5.0, 9.0, 0.03, 0.02, 0.2, 0.8, "multiplicative", "nearest", 0.4, 0.0)
    pre, post = from_lists([[10.0, 30.0], [12.0]]), from_lists([[13.0, 15.0]])
    weights = rule.initial_weights((2, 1), np.random.default_rng(0))
    wanted = plasticity.pair_stdp_matrix(
        pre,
        post,
        weights,
        tau_plus=5.0,
        tau_minus=9.0,
        a_plus=0.03,
        a_minus=0.02,
        w_min=0.2,
        w_max=0.8,
        dependence="multiplicative",
        pairing="nearest",
        delay=2.0,
        flush=True,
    )
    assert np.array_equal(rule.reference(pre, post, weights, delay=2.0, flush=True), wanted)
    assert not np.allclose(wanted, weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau_plus": -1}, r"PairSTDP\.tau_plus: -1 \(must be above 0\)"),
        ({"A_minus": -0.1}, r"PairSTDP\.A_minus: -0\.1 \(must be at least 0\)"),
        ({"w_min": -1.0}, r"PairSTDP\.w_min: -1\.0 \(must be at least 0\)"),
        ({"w_max": 0.0}, r"PairSTDP\.w_max: 0\.0 \(must be above w_min 0\.0\)"),
        ({"w_init_mean": 1.5}, r"PairSTDP\.w_init_mean: 1\.5 \(must lie in w_min\.\.w_max"),
        ({"w_init_sd": -1}, r"PairSTDP\.w_init_sd: -1 \(must be at least 0\)"),
        ({"dependence": "cubic"}, r"PairSTDP\.dependence: 'cubic' \(must be one of additive"),
        ({"pairing": "some"}, r"PairSTDP\.pairing: 'some' \(must be one of all, nearest\)"),
    ],
)
def test_impossible_rules_are_refused(settings, message):
    with pytest.raises(ModelError, match=message):
        PairSTDP(**settings)
