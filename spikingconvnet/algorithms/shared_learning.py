"""Learning of shared kernels on dense arrays: competition, and one function for each rule.

These are the definitions the compiled training is held to. A winner is (step, row, column, map).
A rule takes a kernel w (channels, kh, kw), the steps at which its inputs fired first (`steps` for
never; what lies outside the input never fires) and the step of the winner's spike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.dense_waves import convolve, first_spikes
from spikingconvnet.algorithms.indexing import Pair

Winner = tuple[int, int, int, int]
Rule = Callable[[NDArray[np.float64], NDArray[np.int64], int], NDArray[np.float64]]


class Contest:
    """Find the winners of one image, step by step.

    Units that fire compete, the highest potential first, of equal ones the first in row-major
    order. At most `winners` a step (`per_step`) or image; each takes its map, and all maps within
    `radius` rows and columns, out for the image. With `map_first`, each map that fires outside of
    those places sends its best unit only, and is out whether or not that wins. Kheradpisheh et al.,
    Neural Networks 99 (2018) 56-67, doi:10.1016/j.neunet.2017.12.005.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        winners: int,
        per_step: bool,
        radius: int,
        map_first: bool,
    ) -> None:
        self.blocked = np.zeros(shape[:2], bool)
        self.out = np.zeros(shape[2], bool)
        self.room, self.per_step = winners, per_step
        self.radius, self.map_first = radius, map_first

    def step(self, potentials: NDArray[np.float64], firing: NDArray[np.bool_]) -> list[Any]:
        """Return the (row, column, map) that win in a step; arrays are (rows, columns, maps)."""
        free = firing & ~self.blocked[..., None] & ~self.out
        if self.map_first:
            free = self._best_of_maps(potentials, free)
        won: list[Any] = []
        while free.any() and len(won) < self.room:
            best = int(np.where(free, potentials, -np.inf).argmax())
            row, column, m = (int(index) for index in np.unravel_index(best, free.shape))
            won.append((row, column, m))
            self.out[m] = True
            rows = slice(max(row - self.radius, 0), row + self.radius + 1)
            self.blocked[rows, max(column - self.radius, 0) : column + self.radius + 1] = True
            free &= ~self.blocked[..., None]
            free[..., m] = False
        self.room -= 0 if self.per_step else len(won)
        return won

    def _best_of_maps(
        self, potentials: NDArray[np.float64], free: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        best = np.where(free, potentials, -np.inf).reshape(-1, len(self.out)).argmax(axis=0)
        first = np.zeros_like(free).reshape(-1, len(self.out))
        first[best, np.arange(len(self.out))] = True
        self.out |= free.any(axis=(0, 1))
        return first.reshape(free.shape) & free


def learn(
    kernels: NDArray[np.float64],
    winner: Winner,
    latencies: NDArray[np.int64],
    steps: int,
    rule: Rule,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
) -> None:
    """Change the winner's kernel in place; `latencies` (height, width, channels)."""
    time, row, column, m = winner
    height, width = kernels.shape[2:]
    margins = ((padding[0],) * 2, (padding[1],) * 2, (0, 0))
    padded = np.pad(latencies, margins, constant_values=steps)
    top, left = row * stride[0], column * stride[1]
    seen = padded[top : top + height, left : left + width]
    kernels[m] = rule(kernels[m], np.moveaxis(seen, 2, 0), time)


def show(
    spikes: NDArray[Any],
    kernels: NDArray[np.float64],
    threshold: float,
    contest: Contest,
    rule: Rule,
    at_once: bool,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
) -> list[Winner]:
    """Show one image, spikes (steps, height, width, channels); change `kernels` in place.

    In each step potentials grow by the kernels as they are then; at each position only the map with
    the highest one fires, and no other after it. Winners learn at once, or after the image.
    """
    latencies = first_spikes(spikes)
    potentials: Any = 0.0
    taken: Any = False
    winners: list[Winner] = []
    for time in range(len(spikes)):
        potentials = potentials + convolve(spikes[time : time + 1], kernels, stride, padding)[0]
        highest = potentials.max(axis=2)
        now = (highest > threshold) & ~np.asarray(taken)
        taken = taken | now
        one = np.arange(potentials.shape[2]) == potentials.argmax(axis=2)[..., None]
        won = [(time, *place) for place in contest.step(potentials, one & now[..., None])]
        for winner in won if at_once else ():
            learn(kernels, winner, latencies, len(spikes), rule, stride, padding)
        winners += won
    for winner in () if at_once else winners:
        learn(kernels, winner, latencies, len(spikes), rule, stride, padding)
    return winners


def room(w: NDArray[np.float64], w_min: float, w_max: float) -> NDArray[np.float64]:
    """Return ``(w - w_min) (w_max - w)``; its mean over all kernels tells convergence."""
    return (w - w_min) * (w_max - w)


def order_stdp(
    w: NDArray[np.float64],
    latencies: NDArray[np.int64],
    time: int,
    *,
    rate: float,
    ratio: float = -0.75,
    stabiliser: bool = True,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> NDArray[np.float64]:
    """Return w after ``dw = rate s`` where the input fired by `time`, else ``ratio rate s``.

    ``s = (w - w_min) (w_max - w)``, or 1 without `stabiliser`; clipped into [w_min, w_max].
    Kheradpisheh et al. (2018), as `Contest`.
    """
    bound = room(w, w_min, w_max) if stabiliser else 1.0
    change = np.where(latencies <= time, rate, ratio * rate)
    return np.clip(w + change * bound, w_min, w_max)


def ramp_voltage(
    latencies: NDArray[np.int64], time: int, steps: int, ramp: float, silent_ramp: bool
) -> NDArray[np.float64]:
    """Return V / theta of inputs that have not fired: ``ramp (time + 1) / (latency + 1)``.

    Inputs that never fire stay at 0, or climb towards step `steps` with `silent_ramp`.
    """
    climbing = (latencies < steps) | silent_ramp
    return np.where(climbing, ramp * (time + 1) / (latencies + 1), 0.0)


def vdsp(
    w: NDArray[np.float64],
    latencies: NDArray[np.int64],
    time: int,
    *,
    steps: int,
    rate: float,
    f_dep: float = 2.0,
    ramp: float = 0.1,
    silent_ramp: bool = False,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> NDArray[np.float64]:
    """Return w after ``dw = rate s`` where the input fired, else ``-rate s (f_dep - V / theta)``.

    ``s = (w - w_min) (w_max - w)``; V as `ramp_voltage`. Goupy et al., Neuromorphic Computing and
    Engineering 3 (2023) 014001, doi:10.1088/2634-4386/acad98. Their program: ramp 0.1, silent
    inputs at 0; its public port: ramp 1, `silent_ramp`.
    """
    voltage = ramp_voltage(latencies, time, steps, ramp, silent_ramp)
    change = np.where(latencies <= time, 1.0, voltage - f_dep)
    return np.clip(w + rate * room(w, w_min, w_max) * change, w_min, w_max)


def ferroelectric_vdsp(
    w: NDArray[np.float64],
    latencies: NDArray[np.int64],
    time: int,
    *,
    steps: int,
    gamma_p: float,
    gamma_d: float,
    theta_p: float,
    theta_d: float,
    alpha_p: float,
    alpha_d: float,
    scale_p: float,
    scale_d: float,
    v_ref: float,
    ramp: float = 1.0,
    silent_ramp: bool = True,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> NDArray[np.float64]:
    """Return w after ``dw = f_p (1 - w)^gamma_p`` where the input fired, else ``-f_d w^gamma_d``.

    ``f_p = exp(-alpha_p (v_p - theta_p)) - 1`` for ``v_p = x scale_p theta_p`` below theta_p, ``f_d
    = exp(alpha_d (v_d - theta_d)) - 1`` for ``v_d = (v_ref - x) scale_d theta_d`` above theta_d,
    else 0; x is 1 for inputs that fired, else as `ramp_voltage`. Source: as `vdsp`, its port.
    """
    fired = latencies <= time
    x = np.where(fired, 1.0, ramp_voltage(latencies, time, steps, ramp, silent_ramp))
    v_p, v_d = x * scale_p * theta_p, (v_ref - x) * scale_d * theta_d
    gain = np.where(v_p < theta_p, np.exp(-alpha_p * (v_p - theta_p)) - 1, 0.0)
    loss = np.where(v_d > theta_d, np.exp(alpha_d * (v_d - theta_d)) - 1, 0.0)
    up = gain * np.maximum(1 - w, 0.0) ** gamma_p
    down = loss * np.maximum(w, 0.0) ** gamma_d
    return np.clip(w + np.where(fired, up, -down), w_min, w_max)
