"""Two number systems for one set of equations: the board's fixed point, and float64.

`FIXED` is what sPyNNaker's C code computes on a core: s16.15 (a step is 2**-15) and u0.32 for
decays, in whole numbers held in int64. A product is cut off, not rounded, so that it errs by up to
one step, always downwards; a quotient of positive numbers likewise. Overflow is not modelled.
`REAL` is the same arithmetic without its errors.
Sources: spinn_common's stdfix-exp.c and utils.h, sPyNNaker's decay.h and maths-util.h, and the
behaviour of the binaries of sPyNNaker 7.4.1.
"""

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[Any]

STEP = 2.0**-15
"""The value of one unit of s16.15."""


def _scaled_exponentials(exponents: list[Decimal], bits: int) -> NDArray[np.uint64]:
    """Return round(2**bits exp(x)) of each exponent."""
    with localcontext() as context:
        context.prec = 40
        return np.array(
            [int((2**bits * x.exp()).to_integral_value()) for x in exponents], np.uint64
        )


_WHOLE = _scaled_exponentials([Decimal(n) for n in range(-13, 13)], 32)
"""exp(n) in units of 2**-32 for n in -13..12."""
_SIXTEENTHS = np.uint64(2**32) - _scaled_exponentials([Decimal(-n) / 16 for n in range(16)], 32)
"""1 - exp(-n / 16) in units of 2**-32."""
_SERIES = tuple(np.uint64(c) for c in (5294, 4293434720, 2081624032))
"""The polynomial for 1 - exp(-y), 0 <= y < 1/16, in units of 2**-32 (stdfix-exp.c). Its constant
is not 0: exp of whole sixteenths comes out a little too small."""
_LOWEST = -340695
"""Below, exp is taken as 0 (units of 2**-15)."""
_32, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def _scale(x: Numbers, factor: Numbers) -> Numbers:
    """Return x factor / 2**32, rounded up from 2**-32 below a half; x below 2**50, factor 2**32."""
    low = (x & _LOW) * factor
    return (x >> _32) * factor + (low >> _32) + ((low & _LOW) >= np.uint64(0x7FFFFFFF))


def exponential(x: ArrayLike) -> NDArray[np.uint64]:
    """Return exp(x / 2**15) in units of 2**-32, as a core computes it; |x| / 2**15 below 10.

    exp(whole) times exp(-sixteenths) times a polynomial: right to about 2e-6 of its value.
    """
    n = np.asarray(x, np.int64)
    whole = -(-n >> 15)
    rest = ((whole << 15) - n).astype(np.uint64)
    value = _WHOLE[np.clip(whole + 13, 0, 25)]
    y = (rest & np.uint64(0x7FF)) << np.uint64(17)
    series = ((_SERIES[1] - (_SERIES[2] * y >> _32)) * y >> _32) + _SERIES[0]
    reduced = value - _scale(value, _SIXTEENTHS[(rest >> np.uint64(11)).astype(int)])
    reduced = reduced - _scale(reduced, series)
    return np.where(n < _LOWEST, np.uint64(0), np.where(rest > 0, reduced, value))


class Fixed:
    """Compute as the board does: numbers are whole counts of 2**-15, decays of 2**-32."""

    step = 1
    conductance = 1024
    """What weights of conductances are multiplied by (so that small ones keep some bits)."""

    def number(self, value: ArrayLike) -> Numbers:
        """Return parameters as the host writes them: the nearest s16.15."""
        return np.rint(np.asarray(value, np.float64) / STEP).astype(np.int64)

    def value(self, number: Numbers) -> NDArray[np.float64]:
        """Return what a number stands for."""
        return number * STEP

    def times(self, a: Numbers, b: Numbers) -> Numbers:
        """Return a b."""
        return a * b >> 15

    def over(self, a: Numbers, b: Numbers) -> Numbers:
        """Return a / b of positive numbers."""
        return (a << 15) // b

    def ceiling(self, a: Numbers) -> NDArray[np.int64]:
        """Return the next whole number."""
        return -(-a >> 15)

    def exp(self, x: Numbers) -> Numbers:
        """Return exp(x)."""
        return (exponential(x) >> np.uint64(17)).astype(np.int64)

    def decay(self, x: Numbers) -> Numbers:
        """Return exp(-x), x > 0, as a decay."""
        return exponential(-x).astype(np.int64)

    def mean_decay(self, decay: Numbers, steps: Numbers) -> Numbers:
        """Return (1 - decay) steps, the mean of an exponential over its first step, as a decay."""
        return ((2**32 - 1 - decay) * steps) >> 15

    def decayed(self, a: Numbers, decay: Numbers) -> Numbers:
        """Return a decay."""
        return a * decay >> 32

    def unscaled(self, a: Numbers) -> Numbers:
        """Return a conductance as it is."""
        return a >> 10


class Real:
    """Compute the same without rounding: numbers are float64."""

    step = STEP
    conductance = 1

    def number(self, value: ArrayLike) -> Numbers:
        """Return parameters."""
        return np.asarray(value, np.float64)

    def value(self, number: Numbers) -> NDArray[np.float64]:
        """Return what a number stands for."""
        return number

    def times(self, a: Numbers, b: Numbers) -> Numbers:
        """Return a b."""
        return a * b

    def over(self, a: Numbers, b: Numbers) -> Numbers:
        """Return a / b."""
        return a / b

    def ceiling(self, a: Numbers) -> NDArray[np.int64]:
        """Return the next whole number."""
        return np.ceil(a).astype(np.int64)

    def exp(self, x: Numbers) -> Numbers:
        """Return exp(x)."""
        return np.exp(x)

    def decay(self, x: Numbers) -> Numbers:
        """Return exp(-x)."""
        return np.exp(-x)

    def mean_decay(self, decay: Numbers, steps: Numbers) -> Numbers:
        """Return (1 - decay) steps."""
        return (1 - decay) * steps

    def decayed(self, a: Numbers, decay: Numbers) -> Numbers:
        """Return a decay."""
        return a * decay

    def unscaled(self, a: Numbers) -> Numbers:
        """Return a conductance as it is."""
        return a


FIXED, REAL = Fixed(), Real()
