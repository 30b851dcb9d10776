"""The board's fixed point against exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest

from spikingconvnet.algorithms.fixed_point import FIXED, REAL, STEP, exponential


def test_exponential_of_every_number_of_the_board():
    x = np.arange(-10 * 2**15, 10 * 2**15, 7)
    exact = np.exp(x * STEP)
    # The tables hold units of 2**-32, and the polynomial is right to 1.3e-6.
    error = np.abs(exponential(x) / 2**32 - exact)
    assert (error <= 1.5e-6 * exact + 2 * 2**-32).all()
    assert (np.diff(exponential(x).astype(np.int64)) > 0)[x[:-1] > -3 * 2**15].all()


@pytest.mark.parametrize(
    ("x", "value"), [(0, 2**32), (-(2**15), 1580030169), (2**15, 11674931555), (-340696, 0)]
)
def test_exponential_of_whole_numbers(x, value):
    # round(2**32 exp(n)); below exp(-10.4) nothing is left.
    assert int(exponential(x)) == value


@pytest.mark.parametrize("seed", range(3))
def test_products_and_quotients_are_cut_off(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-(2**24), 2**24, 200)
    b = rng.integers(1, 2**24, 200)
    for x, y, product in zip(a.tolist(), b.tolist(), FIXED.times(a, b).tolist(), strict=True):
        assert product == math.floor(Fraction(x * y, 2**15))
    for x, y, quotient in zip(b.tolist(), a.tolist(), FIXED.over(b, abs(a)).tolist(), strict=True):
        assert quotient == math.floor(Fraction(x * 2**15, abs(y)))
    decay = rng.integers(0, 2**32, 200)
    for x, y, left in zip(
        a.tolist(), decay.tolist(), FIXED.decayed(a, decay).tolist(), strict=True
    ):
        assert left == math.floor(Fraction(x * y, 2**32))


@pytest.mark.parametrize("system", [FIXED, REAL])
def test_both_systems_mean_the_same(system):
    a, b = system.number([2.5, 1.25]), system.number([0.5, 4.0])
    assert system.value(system.times(a, b)).tolist() == [1.25, 5.0]
    assert system.value(system.over(a, b)).tolist() == [5.0, 0.3125]
    assert system.ceiling(a).tolist() == [3, 2]
    assert system.value(system.exp(-b)) == pytest.approx(np.exp([-0.5, -4.0]), abs=2 * STEP)
    decay = system.decay(b)
    assert system.value(system.decayed(a, decay)) == pytest.approx(
        [2.5 * math.exp(-0.5), 1.25 * math.exp(-4)], abs=2 * STEP
    )
    tau = system.over(system.number([1.0, 1.0]), b)
    mean = system.mean_decay(decay, tau)
    assert system.value(system.decayed(a, mean)) == pytest.approx(
        [2.5 * 2 * (1 - math.exp(-0.5)), 1.25 / 4 * (1 - math.exp(-4))], abs=2 * STEP
    )
    weight = system.number(np.array([0.125]) * system.conductance)
    assert system.value(system.unscaled(weight)).tolist() == [0.125]
