"""A floating-point reference of IF_curr_exp as sPyNNaker integrates it, one step at a time.

Per step of ``dt``, for every neuron: add what arrives now to the two synaptic currents, record v,
integrate the membrane in closed form with the current held constant, test the threshold, then let
the currents decay. The board does the same in s16.15 with 16-bit weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.errors import ModelError

RECEPTORS = ("excitatory", "inhibitory")


def simulate(
    neuron: Mapping[str, float],
    size: int,
    inputs: Sequence[tuple[SpikeTrains, Connections, str]],
    steps: int,
    *,
    recurrent: Sequence[tuple[Connections, str]] = (),
    timestep_ms: float = 1.0,
) -> tuple[SpikeTrains, NDArray[np.float64]]:
    """Return the spikes and v (steps, size), mV, of `size` neurons with static synapses.

    neuron: IF_curr_exp parameters by PyNN name (cm nF, tau_* ms, v_* mV, i_offset nA).
    inputs: (spikes of the source, synapses, "excitatory" or "inhibitory"); recurrent: (synapses
    of the population onto itself, receptor). Weights are magnitudes in nA.
    A spike at t acts at t + delay. With R = tau_m / cm and I the net current,
    ``v <- a - (a - v) exp(-dt / tau_m)``, ``a = v_rest + R I``; a synaptic current gains
    ``w (tau_syn / dt)(1 - exp(-dt / tau_syn))`` per spike and decays by ``exp(-dt / tau_syn)``.
    v is what the board records: its value before the step's update. A neuron that fires holds
    v_reset for ``ceil(tau_refrac / dt)`` further steps.
    """
    arriving = np.zeros((steps, 2, size))
    for spikes, synapses, receptor in inputs:
        sent = np.rint(spikes.times / timestep_ms).astype(np.int64)
        _rows(synapses, spikes.size, size, receptor, timestep_ms).deliver(
            arriving, sent, spikes.neurons.astype(np.int64)
        )
    feedback = [_rows(links, size, size, name, timestep_ms) for links, name in recurrent]
    tau_syn = np.array([neuron["tau_syn_E"], neuron["tau_syn_I"]])[:, None]
    decay = np.exp(-timestep_ms / tau_syn)
    gain = tau_syn / timestep_ms * (1.0 - decay)
    leak = math.exp(-timestep_ms / neuron["tau_m"])
    resistance = neuron["tau_m"] / neuron["cm"]
    hold = math.ceil(neuron["tau_refrac"] / timestep_ms)
    current = np.zeros((2, size))
    v = np.full(size, float(neuron["v_rest"]))
    waiting = np.zeros(size, np.int64)
    recorded = np.empty((steps, size))
    fired_at: list[NDArray[np.int64]] = []
    for step in range(steps):
        current += gain * arriving[step]
        recorded[step] = v
        goal = (current[0] - current[1] + neuron["i_offset"]) * resistance + neuron["v_rest"]
        v = np.where(waiting > 0, v, goal - leak * (goal - v))
        waiting = np.maximum(waiting - 1, 0)
        fired = np.flatnonzero(v >= neuron["v_thresh"])
        v[fired], waiting[fired] = neuron["v_reset"], hold
        fired_at.append(fired)
        for rows in feedback:
            rows.deliver(arriving, np.full(len(fired), step), fired)
        current *= decay
    return _spikes(fired_at, size, timestep_ms), recorded


@dataclass(frozen=True)
class _Rows:
    """Hold synapses by pre neuron: those of neuron i are rows begin[i] to begin[i + 1]."""

    begin: NDArray[np.int64]
    post: NDArray[np.integer[Any]]
    weight: NDArray[np.float64]
    delay_steps: NDArray[np.int64]
    receptor: int

    def deliver(
        self, arriving: NDArray[np.float64], sent: NDArray[np.int64], fired: NDArray[np.int64]
    ) -> None:
        """Add to `arriving` (steps, 2, size) what neurons `fired` send at steps `sent`."""
        fan = self.begin[fired + 1] - self.begin[fired]
        nth = np.arange(int(fan.sum())) - np.repeat(np.cumsum(fan) - fan, fan)
        row = np.repeat(self.begin[fired], fan) + nth
        due = np.repeat(sent, fan) + self.delay_steps[row]
        keep = due < len(arriving)
        row = row[keep]
        np.add.at(arriving, (due[keep], self.receptor, self.post[row]), self.weight[row])


def _rows(synapses: Connections, pre: int, post: int, receptor: str, timestep_ms: float) -> _Rows:
    """Sort synapses by pre neuron; delays are rounded to steps, and one step at least."""
    if receptor not in RECEPTORS:
        raise ModelError(f"receptor: {receptor!r} (must be one of {', '.join(RECEPTORS)})")
    for name, ends, size in (("pre", synapses.pre, pre), ("post", synapses.post, post)):
        if len(ends) and not (ends.min() >= 0 and ends.max() < size):
            raise ModelError(f"{name}: {ends.min()}..{ends.max()} (must lie in 0..{size - 1})")
    order = np.argsort(synapses.pre, kind="stable")
    begin = np.concatenate(([0], np.cumsum(np.bincount(synapses.pre, minlength=pre))))
    delay_steps = np.maximum(1, np.rint(synapses.delay[order] / timestep_ms).astype(np.int64))
    return _Rows(
        begin, synapses.post[order], synapses.weight[order], delay_steps, RECEPTORS.index(receptor)
    )


def _spikes(fired_at: list[NDArray[np.int64]], size: int, timestep_ms: float) -> SpikeTrains:
    """Return the record of who fired at each step."""
    times = np.arange(len(fired_at), dtype=np.float64) * timestep_ms
    neurons = np.concatenate([np.zeros(0, np.int64), *fired_at])
    return SpikeTrains(neurons, np.repeat(times, [len(fired) for fired in fired_at]), size)
