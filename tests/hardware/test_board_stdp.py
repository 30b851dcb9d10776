"""The board's weights after random spike trains are those that `board_stdp` computes, in every bit.

One network holds every deterministic rule, several times: with delays of its own and rates that
make some neurons fire more often between two pre spikes than the board can remember.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from spikingconvnet.algorithms.board_plasticity import (
    PairRule,
    Rule,
    TripletRule,
    VogelsRule,
    board_stdp,
)
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.spike_trains import from_lists

STEPS, PRE, POST = 600, 20, 8


@dataclass(frozen=True)
class Case:
    """A rule, the delays that synapses draw from, and the model that learns."""

    rule: str
    delays: tuple[int, ...]
    model: str = "IF_curr_exp"

    @property
    def conductance(self) -> bool:
        """Whether weights are in uS."""
        return "cond" in self.model


# The longest delays of 1 and 4 are the whole range of their field; 7 is not.
CASES = [
    *(Case("pair additive", delays) for delays in ((1,), (1, 2, 3, 4), (1, 3, 7))),
    *(Case("pair multiplicative", delays) for delays in ((1,), (1, 2, 3, 4), (1, 3, 7))),
    *(Case("nearest additive", delays) for delays in ((1,), (1, 3, 8))),
    *(Case("nearest multiplicative", delays) for delays in ((1,), (1, 3, 8))),
    *(Case("vogels", delays) for delays in ((1,), (1, 2))),
    Case("vogels below zero", (1,)),
    *(Case("triplet", delays) for delays in ((1,), (2, 5))),
    Case("pair additive", (1, 6), "IF_cond_exp"),
]


def draw_rule(rng: np.random.Generator, case: Case) -> Rule:
    """Draw the parameters of a rule; amplitudes suit a largest weight of 0.1 to 0.4 nA."""
    u = rng.uniform
    most = float(u(0.1, 0.4)) * (0.05 if case.conductance else 1)
    limits = {"w_min": float(u(0, 0.2)) * most, "w_max": most}
    if case.rule.startswith("vogels"):
        alpha = 60.0 if "below" in case.rule else float(u(0.05, 0.3))
        return VogelsRule(float(u(10, 30)), alpha, float(u(0.02, 0.08)) * most, **limits)
    taus = (float(u(8, 40)), float(u(8, 40)))
    a_plus, a_minus = (float(x) for x in u(0.01, 0.1, 2))
    if case.rule == "triplet":
        slow = (float(u(50, 150)), float(u(50, 150)))
        a3 = (float(x) for x in u(0.001, 0.03, 2))
        return TripletRule(*taus, *slow, a_plus, a_minus, *a3, **limits)
    multiplicative, nearest = "multi" in case.rule, "nearest" in case.rule
    unit = 1.0 if multiplicative else most
    return PairRule(
        *taus,
        a_plus * unit,
        a_minus * unit,
        **limits,
        multiplicative=multiplicative,
        nearest=nearest,
    )


def mechanism(sim: Any, rule: Rule) -> Any:
    """Give a rule as sPyNNaker has it."""
    ex = sim.extra_models
    limits = {"w_min": rule.w_min, "w_max": rule.w_max}
    dependence: Any = sim.AdditiveWeightDependence(**limits)
    timing: Any
    if isinstance(rule, VogelsRule):
        timing = ex.Vogels2011Rule(alpha=rule.alpha, tau=rule.tau, A_plus=rule.a_plus)
    elif isinstance(rule, TripletRule):
        timing = ex.PfisterSpikeTriplet(
            tau_plus=rule.tau_plus,
            tau_minus=rule.tau_minus,
            tau_x=rule.tau_x,
            tau_y=rule.tau_y,
            A_plus=rule.a_plus,
            A_minus=rule.a_minus,
        )
        dependence = ex.WeightDependenceAdditiveTriplet(
            **limits, A3_plus=rule.a3_plus, A3_minus=rule.a3_minus
        )
    else:
        kind = ex.SpikeNearestPairRule if rule.nearest else sim.SpikePairRule
        timing = kind(
            tau_plus=rule.tau_plus,
            tau_minus=rule.tau_minus,
            A_plus=rule.a_plus,
            A_minus=rule.a_minus,
        )
        if rule.multiplicative:
            dependence = sim.MultiplicativeWeightDependence(**limits)
    return sim.STDPMechanism(timing, dependence, weight=0.5 * rule.w_max, delay=1.0)


def random_trains(rng: np.random.Generator, size: int) -> list[list[float]]:
    """Draw trains of 5 to 80 Hz."""
    rates = rng.uniform(5, 80, size)
    return [
        sorted({float(t) for t in rng.integers(1, STEPS - 3, 1 + rng.poisson(rate * STEPS / 1000))})
        for rate in rates
    ]


def draw_synapses(rng: np.random.Generator, case: Case, rule: Rule) -> Connections:
    """Draw an all-to-all list of weights and delays."""
    pre, post = (index.ravel() for index in np.indices((PRE, POST)))
    return Connections(
        pre.astype(np.int32),
        post.astype(np.int32),
        rng.uniform(0.2, 0.8, PRE * POST) * rule.w_max,
        rng.choice(np.array(case.delays, float), PRE * POST),
    )


@dataclass
class Built:
    """One case's part of the network."""

    case: Case
    rule: Rule
    synapses: Connections
    sent: list[list[float]]
    cells: Any
    projection: Any

    def look(self) -> tuple[list[list[float]], np.ndarray, float]:
        """Read the spikes of the cells, the weights, and what one unit of a weight is worth."""
        trains = self.cells.get_data("spikes").segments[0].spiketrains
        spikes = [[float(t) for t in train.magnitude] for train in trains]
        got = {(int(i), int(j)): float(w) for i, j, w in self.projection.get(["weight"], "list")}
        pairs = zip(self.synapses.pre.tolist(), self.synapses.post.tolist(), strict=True)
        vertex = self.cells._vertex
        scale = vertex.get_weight_scales(vertex.get_ring_buffer_shifts())[0]
        return spikes, np.array([got[pair] for pair in pairs]), 1 / float(scale)


def build(sim: Any, case: Case, drive: Any, rng: np.random.Generator) -> Built:
    """Add a case: cells that are driven, and learn from trains of their own."""
    rule, sent = draw_rule(rng, case), random_trains(rng, PRE)
    synapses = draw_synapses(rng, case, rule)
    source = sim.Population(PRE, sim.SpikeSourceArray(sent))
    cells = sim.Population(POST, getattr(sim, case.model)(cm=0.1, tau_refrac=1.0))
    strong = sim.StaticSynapse(weight=0.1 if case.conductance else 4.0, delay=1.0)
    sim.Projection(drive, cells, sim.OneToOneConnector(), strong)
    rows = sim.FromListConnector(synapses.as_list())
    projection = sim.Projection(source, cells, rows, mechanism(sim, rule))
    cells.record("spikes")
    return Built(case, rule, synapses, sent, cells, projection)


def forgets(sent: list[list[float]], fired: list[list[float]]) -> bool:
    """Tell whether a cell fired more than 15 times between two spikes of some source."""
    cuts = [np.searchsorted(f, [0.0, *s]) for f in fired for s in sent]
    return max(int(np.diff(cut).max()) for cut in cuts) > 15


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_every_rule_in_every_bit(board_factory, spynnaker_on, seed):
    rng = np.random.default_rng(seed)
    with spynnaker_on(board_factory(5)) as sim:
        drive = sim.Population(POST, sim.SpikeSourceArray(random_trains(rng, POST)))
        built = [build(sim, case, drive, rng) for case in CASES]
        sim.run(STEPS)
        seen = [each.look() for each in built]
    for each, (fired, weights, step) in zip(built, seen, strict=True):
        expected = board_stdp(
            from_lists(each.sent),
            from_lists(fired),
            each.synapses,
            each.rule,
            weight_step=step,
            conductance=each.case.conductance,
        )
        start = np.rint(each.synapses.weight / step) * step
        assert np.abs(weights - start).mean() > 10 * step, each.case
        assert np.array_equal(weights, expected), each.case
        assert (weights > 2 * each.rule.w_max).any() == (each.case.rule == "vogels below zero")
    assert any(forgets(each.sent, fired) for each, (fired, _, _) in zip(built, seen, strict=True))
