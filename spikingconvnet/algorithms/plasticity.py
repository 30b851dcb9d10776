"""Floating-point references of the plasticity rules, event by event, as the board orders them.

sPyNNaker keeps a post-synaptic history and rewrites a weight only when the pre-synaptic neuron
fires ("deferred"): posts since the last pre spike first, in order, then the pre spike itself. A
post spike reaches the synapse after the dendritic delay. At equal times the post comes first: it
is not potentiated by the coincident pre spike, while the pre spike is depressed by it with dt = 0.

What this leaves out: weights of 16 bits, cut off at every rewriting; decay tables in steps of
2**-11; the history's length (of the post spikes between two pre spikes, the board knows the last
15); and that the board takes the dendritic delay as 0 where it is the longest one of the post
population and 2, 4, 8, … steps (its field in the synaptic word is then 0). Source: sPyNNaker
7.4.1, its Python code and the behaviour of its binaries.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.spike_trains import SpikeTrains, from_lists
from spikingconvnet.errors import ModelError

DEPENDENCES = ("additive", "multiplicative")
PAIRINGS = ("all", "nearest")


def pair_stdp(
    pre: ArrayLike,
    post: ArrayLike,
    weight: float,
    *,
    tau_plus: float,
    tau_minus: float,
    a_plus: float,
    a_minus: float,
    w_min: float,
    w_max: float,
    dependence: str = "additive",
    pairing: str = "all",
    delay: float = 1.0,
    flush: bool = False,
) -> float:
    """Return one synapse's weight (nA) after pre and post spikes at the times given (ms).

    See `pair_stdp_matrix`, of which this is the case of one synapse.
    """
    matrix = pair_stdp_matrix(
        from_lists([pre]),
        from_lists([post]),
        np.array([[weight]]),
        tau_plus=tau_plus,
        tau_minus=tau_minus,
        a_plus=a_plus,
        a_minus=a_minus,
        w_min=w_min,
        w_max=w_max,
        dependence=dependence,
        pairing=pairing,
        delay=delay,
        flush=flush,
    )
    return float(matrix[0, 0])


def pair_stdp_matrix(
    pre: SpikeTrains,
    post: SpikeTrains,
    weights: NDArray[np.float64],
    *,
    tau_plus: float,
    tau_minus: float,
    a_plus: float,
    a_minus: float,
    w_min: float,
    w_max: float,
    dependence: str = "additive",
    pairing: str = "all",
    delay: float = 1.0,
    flush: bool = False,
) -> NDArray[np.float64]:
    """Return the all-to-all weights (pre, post), nA, after the spikes given.

    With dt = t_post + delay - t_pre, a pair changes w by ``+A_plus exp(-dt / tau_plus)`` if dt > 0
    and by ``-A_minus exp(dt / tau_minus)`` if dt <= 0. "additive": A as given, in nA (sPyNNaker
    7.4.1 does not multiply by w_max), clipped into [w_min, w_max]; "multiplicative": A_plus times
    ``w_max - w`` and A_minus times ``w - w_min``. "all": every pair counts; "nearest": each post
    spike pairs with the last pre spike unless another post came in between, and each pre spike
    with the last post spike. As on the board, a "nearest" synapse behaves as if its pre neuron had
    fired at time 0.
    flush: apply the post spikes after a neuron's last pre spike too; the board does not, until
    that neuron fires again.
    """
    _check(pre, post, weights, dependence, pairing)
    if pairing == "all":
        traces: _AllPairs | _NearestPairs = _AllPairs(pre.size, post.size, tau_plus, tau_minus)
    else:
        traces = _NearestPairs(pre.size, post.size, tau_plus, tau_minus, delay)
    last_pre = np.full(pre.size, np.inf if flush else -np.inf)
    if not flush:
        np.maximum.at(last_pre, pre.neurons, pre.times)
    w = np.array(weights, dtype=np.float64)
    arrivals = SpikeTrains(post.neurons, post.times + delay, post.size)
    for time, fired, arrived in _events(pre, arrivals):
        if len(arrived):
            rows = np.flatnonzero(last_pre >= time)
            block = np.ix_(rows, arrived)
            gain = a_plus * traces.potentiation(time, arrived)[rows]
            if dependence == "additive":
                w[block] = np.minimum(w[block] + gain, w_max)
            else:
                w[block] += (w_max - w[block]) * gain
            traces.post(time, arrived)
        if len(fired):
            loss = a_minus * traces.depression(time)
            if dependence == "additive":
                w[fired] = np.maximum(w[fired] - loss, w_min)
            else:
                w[fired] -= (w[fired] - w_min) * loss
            traces.pre(time, fired)
    return w


def _check(
    pre: SpikeTrains, post: SpikeTrains, weights: NDArray[np.float64], dependence: str, pairing: str
) -> None:
    if np.shape(weights) != (pre.size, post.size):
        raise ModelError(
            f"weights: shape {np.shape(weights)} (must be (pre, post), {(pre.size, post.size)})"
        )
    if dependence not in DEPENDENCES:
        raise ModelError(f"dependence: {dependence!r} (must be one of {', '.join(DEPENDENCES)})")
    if pairing not in PAIRINGS:
        raise ModelError(f"pairing: {pairing!r} (must be one of {', '.join(PAIRINGS)})")


def _events(
    pre: SpikeTrains, post: SpikeTrains
) -> list[tuple[float, NDArray[np.integer[Any]], NDArray[np.integer[Any]]]]:
    """Return (time, pre neurons, post neurons) for every moment at which anything happens."""
    moments = np.unique(np.concatenate((pre.times, post.times)))
    sides = []
    for trains in (pre, post):
        cuts = np.searchsorted(trains.times, moments, side="left")[1:]
        sides.append([np.unique(part) for part in np.split(trains.neurons, cuts)])
    return list(zip(moments.tolist(), *sides, strict=False))


class _AllPairs:
    """Keep one decaying trace per neuron: a sum over all of its spikes."""

    def __init__(self, pre: int, post: int, tau_plus: float, tau_minus: float) -> None:
        self.tau_plus, self.tau_minus = tau_plus, tau_minus
        self.pre_trace, self.pre_time = np.zeros(pre), np.zeros(pre)
        self.post_trace, self.post_time = np.zeros(post), np.zeros(post)

    def potentiation(self, time: float, arrived: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        decayed = self.pre_trace * np.exp((self.pre_time - time) / self.tau_plus)
        return np.repeat(decayed[:, None], len(arrived), axis=1)

    def depression(self, time: float) -> NDArray[np.float64]:
        return self.post_trace * np.exp((self.post_time - time) / self.tau_minus)

    def post(self, time: float, arrived: NDArray[np.integer[Any]]) -> None:
        self.post_trace = self.depression(time)
        self.post_time[:] = time
        self.post_trace[arrived] += 1

    def pre(self, time: float, fired: NDArray[np.integer[Any]]) -> None:
        self.pre_trace *= np.exp((self.pre_time - time) / self.tau_plus)
        self.pre_time[:] = time
        self.pre_trace[fired] += 1


class _NearestPairs:
    """Keep each neuron's last spike; the board's pre neurons start with one at time 0."""

    def __init__(
        self, pre: int, post: int, tau_plus: float, tau_minus: float, delay: float
    ) -> None:
        self.tau_plus, self.tau_minus, self.delay = tau_plus, tau_minus, delay
        self.pre_time, self.post_time = np.zeros(pre), np.full(post, -np.inf)

    def potentiation(self, time: float, arrived: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        # The board compares the previous post spike undelayed with the last pre spike.
        alone = (self.post_time[arrived] - self.delay)[None, :] <= self.pre_time[:, None]
        elapsed = time - self.pre_time
        reach = np.where(elapsed > 0, np.exp(-elapsed / self.tau_plus), 0.0)
        return np.where(alone, reach[:, None], 0.0)

    def depression(self, time: float) -> NDArray[np.float64]:
        return np.exp((self.post_time - time) / self.tau_minus)

    def post(self, time: float, arrived: NDArray[np.integer[Any]]) -> None:
        self.post_time[arrived] = time

    def pre(self, time: float, fired: NDArray[np.integer[Any]]) -> None:
        self.pre_time[fired] = time
