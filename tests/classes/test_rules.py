"""Rules of single-spike layers: their schedules, and what they refuse."""

import numpy as np
import pytest

from spikingconvnet.classes.rules import (
    S2STDP,
    VDSP,
    FerroelectricVDSP,
    HitMissSTDP,
    OrderSTDP,
    PairedRule,
    RewardSTDP,
)
from spikingconvnet.errors import ModelError


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        # 0.004 doubled every 2 images, up to 0.15: what SpykeTorch's training of MNIST does.
        (OrderSTDP(double_every=2), [0.004, 0.004, 0.008, 0.008, 0.016, 0.016, 0.032, 0.032]),
        (OrderSTDP(rate=0.05, double_every=1), [0.05, 0.1, *[0.15] * 6]),
        (OrderSTDP(rate=0.3, double_every=1), [0.3] * 8),
        (OrderSTDP(double_every=0), [0.004] * 8),
        (VDSP(double_every=1), [0.01] * 8),
    ],
)
def test_rates_double_up_to_their_top(rule, wanted):
    assert rule.rates(8).tolist() == pytest.approx(wanted)


def test_rates_of_very_many_doublings_are_finite():
    assert OrderSTDP(double_every=1).rates(5000)[-1] == 0.15


def test_initial_weights_lie_within_their_bounds():
    rule = OrderSTDP(w_min=0.2, w_max=0.8, w_init_mean=0.8, w_init_sd=0.1)
    drawn = rule.initial_weights((50, 2, 3, 3), np.random.default_rng(0))
    assert drawn.shape == (50, 2, 3, 3)
    assert drawn.min() >= 0.2 and drawn.max() == 0.8


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (OrderSTDP, {"rate": 0}, r"OrderSTDP.rate: 0 \(must be above 0\)"),
        (OrderSTDP, {"rate": float("nan")}, "OrderSTDP.rate: nan"),
        (OrderSTDP, {"ratio": "half"}, "OrderSTDP.ratio: 'half'"),
        (OrderSTDP, {"double_per": "epochs"}, r"double_per: 'epochs' \(must be one of images, upd"),
        (VDSP, {"update": "never"}, r"VDSP.update: 'never' \(must be one of image, step\)"),
        (VDSP, {"f_dep": -1}, r"VDSP.f_dep: -1 \(must be at least 0\)"),
        (FerroelectricVDSP, {"w_max": 0.0}, r"w_max: 0.0 \(must be above w_min 0.0\)"),
        (RewardSTDP, {"reward": (0.1,)}, r"RewardSTDP.reward: \(0.1,\) \(must be two numbers\)"),
        (RewardSTDP, {"reward": (0.1, np.nan)}, r"RewardSTDP.reward\[1\]: nan"),
        (RewardSTDP, {"dropout": 1.0}, r"RewardSTDP.dropout: 1.0"),
        (HitMissSTDP, {"punishment": 1}, r"HitMissSTDP.punishment: 1 \(must be two numbers\)"),
        (HitMissSTDP, {"ring": 0}, r"HitMissSTDP.ring: 0 \(must be at least 1\)"),
        (HitMissSTDP, {"hit_ratio": 1.1}, r"HitMissSTDP.hit_ratio: 1.1 \(must lie in 0..1\)"),
        (HitMissSTDP, {"w_max": 0.0}, r"HitMissSTDP.w_max: 0.0 \(must be above w_min 0.0\)"),
        (HitMissSTDP, {"decay": -1}, r"HitMissSTDP.decay: -1 \(must be at least 0\)"),
        (PairedRule, {"margin": -1}, r"PairedRule.margin: -1"),
        (PairedRule, {"w_max": 0.0}, r"PairedRule.w_max: 0.0 \(must be above w_min 0.0\)"),
        (S2STDP, {"w_init_sd": -1}, r"S2STDP.w_init_sd: -1 \(must be at least 0\)"),
        (S2STDP, {"fastest": 0}, r"S2STDP.fastest: 0 \(must be at least 1\)"),
    ],
)
def test_values_that_make_no_sense_are_refused(kind, values, message):
    with pytest.raises(ModelError, match=message):
        kind(**values)
