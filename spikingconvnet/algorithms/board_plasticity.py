"""What the board's STDP does to its 16-bit weights, in its own integers, for many synapses at once.

A synapse is touched when its pre neuron fires at t ("deferred"). The post spikes that reached it
since the last pre spike come first, in order; a post spike at s arrives at s + delay (the delay is
dendritic), and one that arrives at t counts as earlier. Then comes the pre spike itself, if the
post neuron has ever fired. Weights are kept in steps of 2**-15 in between, in their 16 bits after.

Traces and decays are in steps of 2**-11, decays looked up in a table (`decay_table`), every product
is cut off. A post neuron's last 15 spikes are remembered. A delay field holds as many bits as the
longest delay minus one needs, so that a longest delay of 2, 4, 8, ... steps counts as 0.

Sources: sPyNNaker 7.4.1, neural_modelling/src/neuron/plasticity/stdp: post_events.h, maths.h,
stdp_typedefs.h, synapse_dynamics_stdp_mad_impl.c, timing_dependence/timing_{pair,nearest_pair,
vogels_2011,pfister_triplet}_impl.h, weight_dependence/weight_{additive_one_term,
additive_two_term,multiplicative}_impl.h; its Python code for the tables; its binaries' behaviour.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.fixed_point import FIXED
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.errors import ModelError

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TRACE_BITS = 11
TRACE_ONE = 1 << TRACE_BITS
REMEMBERED = 15
"""Post spikes that a neuron's history holds (MAX_POST_SYNAPTIC_EVENTS, less a placeholder)."""
_SPAN = 1 << 32
"""Time steps are fewer: the board counts them in 32 bits."""
_NEVER = 2 * _SPAN


@dataclass(frozen=True)
class PairRule:
    """Change w by A_plus exp(-dt / tau_plus) for dt > 0, by -A_minus exp(dt / tau_minus) else.

    dt = t_post + delay - t_pre. "additive": A in nA (uS), w kept in [w_min, w_max];
    "multiplicative": A_plus times w_max - w, A_minus times w - w_min. `nearest`: a post spike pairs
    with the last pre spike unless another post spike came in between; a pre spike with the last
    post spike.
    """

    tau_plus: float
    tau_minus: float
    a_plus: float
    a_minus: float
    w_min: float = 0.0
    w_max: float = 1.0
    multiplicative: bool = False
    nearest: bool = False


@dataclass(frozen=True)
class VogelsRule:
    """Change w by A_plus exp(-|dt| / tau) for every pair, and by -A_plus alpha for a pre spike.

    w is kept below w_max, but not above w_min; below 0 its 16 bits wrap.
    """

    tau: float
    alpha: float
    a_plus: float
    w_min: float = 0.0
    w_max: float = 1.0


@dataclass(frozen=True)
class TripletRule:
    """Pfister and Gerstner's triplets: pairs, weighted by A2 + A3 times a slow trace.

    The slow traces (tau_x of pre, tau_y of post spikes) are taken before the spike, and looked up
    in steps of 4. sPyNNaker multiplies the four amplitudes by w_max.
    """

    tau_plus: float
    tau_minus: float
    tau_x: float
    tau_y: float
    a_plus: float
    a_minus: float
    a3_plus: float
    a3_minus: float
    w_min: float = 0.0
    w_max: float = 1.0


Rule = PairRule | VogelsRule | TripletRule


def decay_table(tau: float, timestep_ms: float = 1.0, shift: int = 0) -> Integers:
    """Return exp(-i 2**shift dt / tau) in steps of 2**-11, cut off; a time past its end gives 0."""
    rate = timestep_ms / float(tau)
    size, odd = divmod(np.log(TRACE_ONE) / rate / (1 << shift), 2)
    steps = np.arange((int(size) + (odd > 0)) * 2) << shift
    return np.floor(np.exp(steps * -rate) * TRACE_ONE).astype(np.int64)


def _looked_up(table: Integers, elapsed: Integers, shift: int = 0) -> Integers:
    index = np.maximum(elapsed, 0) >> shift
    return np.where(index < len(table), table[np.minimum(index, len(table) - 1)], 0)


def _signed(x: Integers) -> Integers:
    """Return the low 16 bits, with their sign."""
    return ((x + 0x8000) & 0xFFFF) - 0x8000


def _product(a: Integers, b: Integers) -> Integers:
    return _signed(a) * _signed(b) >> TRACE_BITS


@dataclass(frozen=True)
class _Moment:
    """Hold what a rule is told of a spike: its time, and the spikes of the other side before it."""

    time: Integers
    trace: Integers
    """Of the spike itself: (2, n), fast and slow."""
    other_time: Integers
    other_trace: Integers
    own_time: Integers
    """Of the spike before it on its own side (post spikes: without the delay)."""


class _Pairs:
    """All pairs, with a trace on each side, or the nearest."""

    def __init__(self, rule: PairRule, timestep_ms: float, scale: float) -> None:
        self.rule = rule
        self.plus = decay_table(rule.tau_plus, timestep_ms)
        self.minus = decay_table(rule.tau_minus, timestep_ms)
        # Multiplicative amplitudes are numbers, the others weights.
        unit = 1.0 if rule.multiplicative else scale
        self.a_plus, self.a_minus = (
            FIXED.number(rule.a_plus * unit),
            FIXED.number(rule.a_minus * unit),
        )
        self.least, self.most = FIXED.number(rule.w_min * scale), FIXED.number(rule.w_max * scale)

    def pre_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers:
        return _grown(self.plus, elapsed, before)

    def post_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers:
        return _grown(self.minus, elapsed, before)

    def on_post(self, w: Integers, at: _Moment) -> Integers:
        elapsed = at.time - at.other_time
        met = _looked_up(self.plus, elapsed)
        if self.rule.nearest:
            met = np.where(at.time - at.own_time < elapsed, 0, met)
        else:
            met = _product(at.other_trace[0], met)
        if self.rule.multiplicative:
            scale = FIXED.times(self.most - w, self.a_plus)
            changed = w + FIXED.times(scale, met << 4)
        else:
            changed = np.minimum(w + FIXED.times(self.a_plus, met << 4), self.most)
        return np.where(elapsed > 0, changed, w)

    def on_pre(self, w: Integers, at: _Moment) -> Integers:
        met = _looked_up(self.minus, at.time - at.other_time)
        if not self.rule.nearest:
            met = _product(at.other_trace[0], met)
        if self.rule.multiplicative:
            return w - FIXED.times(FIXED.times(w - self.least, self.a_minus), met << 4)
        return np.maximum(w - FIXED.times(self.a_minus, met << 4), self.least)


def _grown(table: Integers, elapsed: Integers, before: Integers) -> Integers:
    """Return a trace (2, n) after another spike: its fast part decayed, plus 1."""
    fast = _product(before[0], _looked_up(table, elapsed)) + TRACE_ONE
    return np.stack((_signed(fast), np.zeros_like(fast)))


class _Vogels:
    """Two traces with one time constant."""

    def __init__(self, rule: VogelsRule, timestep_ms: float, scale: float) -> None:
        self.table = decay_table(rule.tau, timestep_ms)
        self.alpha = round(rule.alpha * TRACE_ONE)
        self.a_plus, self.most = FIXED.number(rule.a_plus * scale), FIXED.number(rule.w_max * scale)

    def pre_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers:
        return _grown(self.table, elapsed, before)

    post_trace = pre_trace

    def on_post(self, w: Integers, at: _Moment) -> Integers:
        met = _product(at.other_trace[0], _looked_up(self.table, at.time - at.other_time))
        return np.minimum(w + FIXED.times(self.a_plus, met << 4), self.most)

    def on_pre(self, w: Integers, at: _Moment) -> Integers:
        met = _product(at.other_trace[0], _looked_up(self.table, at.time - at.other_time))
        return np.minimum(w + FIXED.times(self.a_plus, (met - self.alpha) << 4), self.most)


class _Triplets:
    """A fast and a slow trace on each side."""

    def __init__(self, rule: TripletRule, timestep_ms: float, scale: float) -> None:
        self.plus = decay_table(rule.tau_plus, timestep_ms)
        self.minus = decay_table(rule.tau_minus, timestep_ms)
        self.x = decay_table(rule.tau_x, timestep_ms, shift=2)
        self.y = decay_table(rule.tau_y, timestep_ms, shift=2)
        unit = rule.w_max * scale
        self.gain = [FIXED.number(a * unit) for a in (rule.a_plus, rule.a3_plus)]
        self.loss = [FIXED.number(a * unit) for a in (rule.a_minus, rule.a3_minus)]
        self.least, self.most = FIXED.number(rule.w_min * scale), FIXED.number(rule.w_max * scale)

    def pre_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers:
        return self._both(self.plus, self.x, elapsed, before, first)

    def post_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers:
        return self._both(self.minus, self.y, elapsed, before, first)

    def _both(
        self, fast: Integers, slow: Integers, elapsed: Integers, before: Integers, first: Flags
    ) -> Integers:
        slow_trace = _product(before[1] + TRACE_ONE, _looked_up(slow, elapsed, 2))
        fast_trace = _product(before[0], _looked_up(fast, elapsed)) + TRACE_ONE
        return np.stack((_signed(fast_trace), _signed(np.where(first, 0, slow_trace))))

    def on_post(self, w: Integers, at: _Moment) -> Integers:
        elapsed = at.time - at.other_time
        met = _product(at.other_trace[0], _looked_up(self.plus, elapsed))
        changed = np.minimum(w + _weighted(self.gain, met, at.trace[1]), self.most)
        return np.where(elapsed > 0, changed, w)

    def on_pre(self, w: Integers, at: _Moment) -> Integers:
        met = _product(at.other_trace[0], _looked_up(self.minus, at.time - at.other_time))
        return np.maximum(w - _weighted(self.loss, met, at.trace[1]), self.least)


def _weighted(amplitudes: list[Integers], pair: Integers, slow: Integers) -> Integers:
    """Return A2 pair + A3 pair slow."""
    two, three = amplitudes
    return FIXED.times(two, pair << 4) + FIXED.times(three, _product(pair, slow) << 4)


class _Kind(Protocol):
    """What a rule computes: traces (2, n) after a spike, and s16.15 weights after an event."""

    def pre_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers: ...

    def post_trace(self, elapsed: Integers, before: Integers, first: Flags) -> Integers: ...

    def on_post(self, w: Integers, at: _Moment) -> Integers: ...

    def on_pre(self, w: Integers, at: _Moment) -> Integers: ...


_KINDS: dict[type, Callable[..., _Kind]] = {
    PairRule: _Pairs,
    VogelsRule: _Vogels,
    TripletRule: _Triplets,
}


def board_stdp(
    pre: SpikeTrains,
    post: SpikeTrains,
    synapses: Connections,
    rule: Rule,
    *,
    weight_step: float,
    timestep_ms: float = 1.0,
    conductance: bool = False,
    longest_delay_ms: float | None = None,
) -> NDArray[np.float64]:
    """Return the weight of every synapse, nA (uS), after the spikes given.

    weight_step: what one unit of the 16-bit weights is worth, nA (uS): a power of two, at least
    2**-15 (of a conductance 2**-25). conductance: the post neurons take conductances.
    longest_delay_ms: of all synapses onto the post population; by default of those given.
    """
    scale = 1024.0 if conductance else 1.0
    bits = np.log2(weight_step * scale * 2**15)
    if bits < 0 or bits != int(bits):
        raise ModelError(
            f"weight_step: {weight_step} (must be a power of two, at least {2**-15 / scale})"
        )
    shift = int(bits)
    kind = _KINDS[type(rule)](rule, timestep_ms, scale)
    delay = np.maximum(1, np.rint(synapses.delay / timestep_ms).astype(np.int64))
    longest = delay.max(initial=1)
    if longest_delay_ms is not None:
        longest = max(longest, round(longest_delay_ms / timestep_ms))
    delay &= (1 << max(1, (int(longest) - 1).bit_length())) - 1
    pre_times, pre_traces = _history(pre, timestep_ms, kind.pre_trace)
    sides = _Sides(synapses, delay, *_history(post, timestep_ms, kind.post_trace))
    weights = np.rint(np.abs(synapses.weight) / weight_step).astype(np.int64)
    for k in range(pre_times.shape[1] - 1):
        now, before = pre_times[synapses.pre, k + 1], pre_times[synapses.pre, k]
        rows = np.flatnonzero(now < _NEVER)
        last_trace, trace = (pre_traces[:, synapses.pre[rows], i] for i in (k, k + 1))
        w = weights[rows] << shift
        w = _deferred(kind, sides, rows, w, now[rows], before[rows], trace, last_trace)
        weights[rows] = (w >> shift) & 0xFFFF
    return weights.astype(np.float64) * weight_step


@dataclass(frozen=True)
class _Sides:
    """Hold the synapses, and the histories of post neurons: times and traces by number of spike."""

    synapses: Connections
    delay: Integers
    times: Integers
    traces: Integers
    keys: Integers = field(init=False)
    """The times of all neurons in one rising row: neuron _SPAN + time."""

    def __post_init__(self) -> None:
        neurons = np.arange(len(self.times))[:, None] * _SPAN
        object.__setattr__(self, "keys", (neurons + np.minimum(self.times, _SPAN - 1)).ravel())

    def count(self, neuron: NDArray[np.integer[Any]], limit: Integers) -> Integers:
        """Return how many of a neuron's spikes come until a time, the placeholder among them."""
        found = np.searchsorted(self.keys, neuron.astype(np.int64) * _SPAN + limit, side="right")
        return found - neuron * self.times.shape[1]


def _history(
    trains: SpikeTrains, timestep_ms: float, grow: Callable[..., Integers]
) -> tuple[Integers, Integers]:
    """Return times (size, n + 1) in steps and traces (2, size, n + 1) after each spike.

    Column 0 is the placeholder that a core starts with: a spike at 0 that left no trace.
    """
    steps = np.rint(trains.times / timestep_ms).astype(np.int64)
    count = np.bincount(trains.neurons, minlength=trains.size)
    times = np.full((trains.size, count.max(initial=0) + 1), _NEVER)
    times[:, 0] = 0
    order = np.lexsort((steps, trains.neurons))
    nth = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    times[trains.neurons[order], nth + 1] = steps[order]
    traces = np.zeros((2, *times.shape), np.int64)
    for k in range(1, times.shape[1]):
        elapsed = times[:, k] - times[:, k - 1]
        traces[:, :, k] = grow(elapsed, traces[:, :, k - 1], times[:, k - 1] == 0)
    return times, traces


def _deferred(
    kind: _Kind,
    sides: _Sides,
    rows: NDArray[np.integer[Any]],
    w: Integers,
    now: Integers,
    before: Integers,
    trace: Integers,
    last_trace: Integers,
) -> Integers:
    """Return the weights of some synapses after one pre spike of each."""
    neuron, delay = sides.synapses.post[rows], sides.delay[rows]
    oldest = np.maximum(1, sides.count(neuron, now) - REMEMBERED)
    begin, end = np.maximum(before - delay, 0), np.maximum(now - delay, 0)
    upto, stop = sides.count(neuron, begin), sides.count(neuron, end)
    first = np.maximum(upto, oldest)
    # Before the oldest spike that is remembered stands the placeholder.
    last = np.where(upto > oldest, upto - 1, 0)
    for j in range(int((stop - first).max(initial=0))):
        active = first + j < stop
        index = np.where(active, first + j, 0)
        at = _Moment(
            sides.times[neuron, index] + delay,
            sides.traces[:, neuron, index],
            before,
            last_trace,
            sides.times[neuron, last],
        )
        w = np.where(active, kind.on_post(w, at), w)
        last = np.where(active, index, last)
    at = _Moment(
        now,
        trace,
        sides.times[neuron, last] + delay,
        sides.traces[:, neuron, last],
        before,
    )
    return np.where(last > 0, kind.on_pre(w, at), w)
