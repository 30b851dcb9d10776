"""Learning of decision layers on dense arrays: the definitions the compiled rules are held to.

`weights` (neurons, inputs) change in place, except by `reward_stdp`; `classes` (neurons,) says
which class a neuron stands for.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.shared_learning import room


def reward_stdp(
    w: NDArray[np.float64],
    fired: NDArray[np.bool_],
    change: tuple[float, float],
    *,
    stabiliser: bool = False,
    w_min: float = 0.2,
    w_max: float = 0.8,
) -> NDArray[np.float64]:
    """Return the winner's weights after ``dw = change[0] s`` where the input fired, else change[1].

    `change` is the reward after a right vote, the punishment after a wrong one, each times the
    share of the other in the last batch. ``s = (w - w_min) (w_max - w)`` with `stabiliser`, else 1.
    Mozafari et al., Pattern Recognition 94 (2019) 87-95, doi:10.1016/j.patcog.2019.05.015.
    """
    bound = room(w, w_min, w_max) if stabiliser else 1.0
    return np.clip(w + np.where(fired, *change) * bound, w_min, w_max)


def hit_miss_stdp(
    weights: NDArray[np.float64],
    fired: NDArray[np.bool_],
    label: int,
    classes: NDArray[np.int64],
    ring: NDArray[np.bool_],
    at: int,
    *,
    reward: tuple[float, float] = (0.004, -0.003),
    punishment: tuple[float, float] = (-0.004, 0.0005),
    decay: float = 0.0,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> int:
    """Teach by one image; return the vote: the class of the highest potential, -1 if none is > 0.

    The vote goes into ``ring[at]`` first. After a hit the winner changes by ``share of misses
    reward s``, after a miss by ``share of hits punishment s`` (inputs that fired, silent inputs),
    then by ``-decay w``. Source: `classes.rules.HitMissSTDP`.
    """
    potentials = weights[:, fired].sum(axis=1)
    winner = int(potentials.argmax())
    if not potentials[winner] > 0:
        return -1
    ring[at] = hit = bool(classes[winner] == label)
    share = 1 - ring.mean() if hit else ring.mean()
    w = weights[winner]
    w = w + share * np.where(fired, *(reward if hit else punishment)) * room(w, w_min, w_max)
    weights[winner] = np.clip(w - decay * w, w_min, w_max)
    return int(classes[winner])


def paired_rule(
    weights: NDArray[np.float64],
    fired: NDArray[np.bool_],
    label: int,
    classes: NDArray[np.int64],
    *,
    rate: float,
    margin: float,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> bool:
    """Teach by one image; return whether the highest potential is of the right class alone.

    Unless the best right neuron leads the best wrong one by `margin`, the weights of inputs that
    fired grow by `rate` on the first and shrink on the second. A supervised local rule of this
    project, of the family of the perceptron with a margin.
    """
    potentials = weights[:, fired].sum(axis=1)
    right = classes == label
    best = int(np.where(right, potentials, -np.inf).argmax())
    rival = int(np.where(right, -np.inf, potentials).argmax())
    if potentials[best] - potentials[rival] < margin:
        weights[best, fired] = np.minimum(weights[best, fired] + rate, w_max)
        weights[rival, fired] = np.maximum(weights[rival, fired] - rate, w_min)
    return bool(potentials[best] > potentials[rival])


def class_latencies(
    weights: NDArray[np.float64], x: NDArray[np.float64], classes: NDArray[np.int64], fastest: int
) -> tuple[NDArray[np.float64], list[Any]]:
    """Return the latency of each class and the neurons it was taken from.

    A neuron's latency is ``1 - V / max V`` with ``V = (1 - x) W``, x (inputs,) being latencies in
    [0, 1]; that of a class is the mean of its `fastest` earliest neurons.
    """
    potentials = weights @ (1 - x)
    latencies = 1 - potentials / potentials.max()
    taken = []
    for number in range(classes.max() + 1):
        own = np.flatnonzero(classes == number)
        taken.append(own[np.argsort(latencies[own], kind="stable")[:fastest]])
    return np.array([latencies[own].mean() for own in taken]), taken


def s2_stdp(
    weights: NDArray[np.float64],
    x: NDArray[np.float64],
    label: int,
    classes: NDArray[np.int64],
    *,
    rate: float,
    rate_minus: float,
    gap: float,
    fastest: int,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> int:
    """Teach by one image; return the vote, the class with the lowest latency, -1 if no V is > 0.

    The target of the right class is the mean latency of all classes less `gap`, that of the others
    the mean plus `gap`; ``e = latency - target``. The neurons of `class_latencies` change by
    ``e (1 - x) rate (w_max - w)`` where e > 0, else by ``e (1 - x) rate_minus (w - w_min)``. Goupy
    et al., Frontiers in Neuroscience 18 (2024) 1401690, doi:10.3389/fnins.2024.1401690.
    """
    if not (weights @ (1 - x)).max() > 0:
        return -1
    latencies, taken = class_latencies(weights, x, classes, fastest)
    for number, neurons in enumerate(taken):
        target = latencies.mean() + (-gap if number == label else gap)
        error = latencies[number] - target
        w = weights[neurons]
        bound = rate * (w_max - w) if error > 0 else rate_minus * (w - w_min)
        weights[neurons] = np.clip(w + error * (1 - x) * bound, w_min, w_max)
    return int(latencies.argmin())
