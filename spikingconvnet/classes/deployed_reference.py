"""Run a deployment in double precision, on NEST through PyNN: the same lists, delays and volleys.

A neuron is an IF_curr_delta, which adds what arrives in a step, with the floor that NEST has and
PyNN does not know; for on-chip convolution it has the leak of `board_kernels` and no floor, and the
kernels become lists. What differs from the board is its arithmetic alone: no 16-bit weights, and no
fixed point.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikingconvnet.algorithms import board_kernels, board_layers, spike_trains
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed_network import FIRST_MS, Seen, sorted_out
from spikingconvnet.classes.deployed_parts import (
    CLEAR,
    SOURCE,
    Deployment,
    Kernels,
    Link,
    Part,
    Receptor,
)
from spikingconvnet.classes.network import TIMESTEP_MS, read_spikes

SHIFT_MS = 10.0
"""NEST has no spike at 0, and PyNN sends those of sources through a relay that takes a step."""
NO_LEAK_MS = 1e300
"""A time constant of which a step is nothing, in double precision."""


class ReferenceNetwork:
    """Build a deployment on `sim`, PyNN's module for NEST, show images and read what came."""

    def __init__(self, sim: Any, plan: Deployment) -> None:
        self.sim = sim
        self.plan = plan
        self._parts = {part.name: part for part in plan.parts}

    def run(self, waves: Waves) -> Seen:
        """Show images, given as the waves that the encoder sends, one after the other."""
        images = len(waves)
        longest = max(self.plan.decision.depth + 1.0, 2.0)
        self.sim.setup(
            timestep=TIMESTEP_MS, min_delay=1.0, max_delay=longest, spike_precision="on_grid"
        )
        built = self._populations(waves)
        for link in (*self.plan.links, *as_lists(self.plan)):
            self._project(built[link.pre], built[link.post], link)
        self.sim.run(SHIFT_MS + self.plan.duration_ms(images) + 1.0)
        seen = self._read(built, images)
        self.sim.end()
        return seen

    def _populations(self, waves: Waves) -> dict[str, Any]:
        images, period = len(waves), self.plan.period_ms
        clears = np.arange(images + 1.0) * period
        starts = np.repeat(np.arange(images) * period + FIRST_MS, np.diff(waves.start))
        trains = {
            CLEAR: SpikeTrains(np.zeros(images + 1, np.int32), clears, 1),
            SOURCE: SpikeTrains(waves.unit, (starts + waves.step).astype(float), waves.units),
        }
        return {
            name: self._source(trains[name]) if part.v_reset is None else self._neurons(part)
            for name, part in self._parts.items()
        }

    def _source(self, trains: SpikeTrains) -> Any:
        from pyNN.parameters import Sequence

        shifted = SpikeTrains(trains.neurons, trains.times + SHIFT_MS, trains.size)
        times = [Sequence(each) for each in spike_trains.to_lists(shifted)]
        return self.sim.Population(trains.size, self.sim.SpikeSourceArray(spike_times=times))

    def _neurons(self, part: Part) -> Any:
        # PyNN 0.13 cannot record the potentials of this cell as it is.
        known = {"variable_map": {"v": "V_m"}, "scale_factors": {"v": 1}}
        cell = type("Delta", (self.sim.IF_curr_delta,), known)
        population = self.sim.Population(part.size, cell(**parameters(part)))
        if part.v_thresh is None:
            population.node_collection.set(V_min=part.v_reset)
        population.initialize(v=part.v_reset)
        population.record("v" if part.answers else "spikes")
        return population

    def _project(self, pre: Any, post: Any, link: Link) -> None:
        table = link.connections.as_list()
        if link.receptor == "inhibitory":
            table[:, 2] = -np.abs(table[:, 2])
        connector = self.sim.FromListConnector(table, column_names=["weight", "delay"])
        synapse, receptor = self.sim.StaticSynapse(), link.receptor
        self.sim.Projection(pre, post, connector, synapse, receptor_type=receptor)

    def _read(self, built: dict[str, Any], images: int) -> Seen:
        waves, strays = {}, {}
        for part in self.plan.layers[1:]:
            trains = read_spikes(built[part.name])
            found = SpikeTrains(trains.neurons, np.rint(trains.times) - SHIFT_MS, trains.size)
            waves[part.name], strays[part.name] = sorted_out(found, part, self.plan, images)
        decision = self.plan.decision
        signal = built[decision.name].get_data("v").segments[-1].analogsignals[0]
        # What is recorded at t holds what arrived at t, unlike on a board.
        at = (np.arange(images) + 1) * self.plan.period_ms + decision.depth - 1 + int(SHIFT_MS)
        first = round(float(signal.times[0].rescale("ms")))
        highest = np.asarray(signal.magnitude)[at - first].argmax(axis=1)
        return Seen(waves, np.asarray(self.plan.answers.classes[highest], np.int64), strays)


def parameters(part: Part) -> dict[str, float]:
    """Return the parameters of IF_curr_delta for the neurons of a part."""
    assert part.v_reset is not None
    common = {"v_rest": 0.0, "v_reset": part.v_reset, "tau_refrac": 0.0, "i_offset": 0.0}
    if part.v_thresh is not None:
        return common | {"tau_m": board_kernels.TAU_M_MS, "v_thresh": part.v_thresh}
    return common | {"tau_m": NO_LEAK_MS, "v_thresh": board_layers.THRESHOLD_MV}


# ---- kernels as lists ----------------------------------------------------------------------------


def as_lists(plan: Deployment) -> Iterator[Link]:
    """Yield the connections that on-chip convolution makes, weights in mV."""
    parts = {part.name: part for part in plan.parts}
    for each in plan.kernels:
        found = _connections(each, parts[each.pre], parts[each.post])
        weight = np.abs(found.weight) * board_kernels.MV_PER_NA
        sides: dict[Receptor, Any] = {
            "excitatory": found.weight > 0,
            "inhibitory": found.weight < 0,
        }
        for receptor, on in sides.items():
            if on.any():
                some = Connections(found.pre[on], found.post[on], weight[on], found.delay[on])
                yield Link(each.pre, each.post, receptor, some)


def _connections(each: Kernels, pre: Part, post: Part) -> Connections:
    if each.everywhere:
        return board_layers.links(0, np.arange(post.size), each.kernels[0, 0, 0, 0], each.delay)
    if each.window is not None:
        window, stride, padding = each.window
        found = board_layers.pool_windows(pre.shape, window, stride, padding, post.shape[:2])
        weight = np.full(len(found), each.kernels.max())
        return Connections(found.pre, found.post, weight, found.delay)
    return board_layers.windows(pre.shape, each.kernels, each.stride, each.padding)
