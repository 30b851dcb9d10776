"""Every binary that sPyNNaker ships is loaded on the software board and does its work there.

`CASES` and `SYSTEM` say which network runs which binary; `UNREACHABLE` lists those that no network
of sPyNNaker 7.4.1 can run, with the reason. Times are in ms, currents in nA, conductances in uS.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import convolve2d

from spikingconvnet.algorithms.plasticity import pair_stdp

LSB = 2.0**-15
STEPS = 200
DECAY_5 = math.exp(-1 / 5)
CHARGE = 5.0 * (1 - DECAY_5)
LEAK = math.exp(-1 / 20)

DRIVE = [[20.0, 50.0, 80.0, 110.0, 150.0], [25.0, 43.0, 64.0, 95.0, 160.0]]
SECOND = [[22.0, 53.0, 85.0], [27.0]]
PRE = [
    [12.0, 30.0, 61.0, 90.0, 140.0, 190.0],
    [22.0, 48.0, 52.0, 120.0, 191.0],
    [70.0, 110.0, 192.0],
    [58.0, 100.0, 101.0, 193.0],
]
REWARDS = [40.0, 130.0]
CHANGES = [[40.0], [], [60.0], [40.0, 60.0]]
SILENT = 8
"""Of the 16 cells in the grid from which synapses grow, those from here on never fire."""


@dataclass(frozen=True)
class Model:
    """A neuron model: its PyNN name, and weights that make it fire and that do not."""

    name: str
    strong: float
    weak: float
    parameters: dict[str, Any] = field(default_factory=dict)
    second: float = 0.0
    unit: float = 1.0
    """Largest weight that learning may give."""
    record: tuple[str, ...] = ("v",)


MODELS = {
    "IF_curr_exp": Model("IF_curr_exp", 30.0, 1.0),
    "IF_curr_exp_dual": Model("IF_curr_dual_exp", 30.0, 1.0, second=1.5),
    "IF_curr_exp_sEMD": Model("IF_curr_exp_sEMD", 15.0, 1.0, second=1.5),
    "IF_curr_exp_ca2_adaptive": Model("IFCurrExpCa2Adaptive", 30.0, 1.0, {"i_alpha": 2.0}),
    # With its default of tau_syn, 0.5, no input arrives: 1 / tau**2 must stay below 1.
    "IF_curr_alpha": Model("IF_curr_alpha", 60.0, 2.0, {"tau_syn_E": 2.0}),
    "IF_curr_delta": Model("IFCurDelta", 30.0, 4.0),
    "IF_curr_delta_ca2_adaptive": Model("IFCurrDeltaCa2Adaptive", 30.0, 4.0, {"i_alpha": 2.0}),
    "IF_curr_delta_fixed_prob": Model("IFCurrDeltaFixedProb", 2.0, 0.5, {"p_thresh": 0.5}),
    "IF_trunc_delta": Model("IFTruncDelta", 2.0, 0.125),
    "IF_cond_exp": Model("IF_cond_exp", 0.25, 0.02, unit=0.02),
    "IF_cond_exp_stoc": Model("IFCondExpStoc", 0.25, 0.02, unit=0.02),
    "IZK_curr_exp": Model("Izhikevich", 30.0, 1.0),
    "IZK_cond_exp": Model("Izhikevich_cond", 0.5, 0.02, unit=0.02),
    "IZK_cond_exp_dual": Model("Izhikevich_cond_dual", 0.5, 0.02, unit=0.02),
    "stoc_exp": Model("StocExp", 2.0, 0.5, {"bias": -1.0}, record=("v", "prob")),
    "stoc_exp_stable": Model("StocExpStable", 2.0, 0.5, record=("v", "prob")),
    "stoc_sigma": Model("StocSigma", 2.0, 0.5, record=("v", "prob")),
}
CHANCE = ("IF_curr_delta_fixed_prob", "stoc_exp", "stoc_exp_stable", "stoc_sigma")

PAIR, NEAREST = "_stdp_mad_pair_additive", "_stdp_mad_nearest_pair_additive"
RULES = {
    PAIR: (
        *("IF_curr_exp", "IF_cond_exp", "IF_curr_alpha", "IF_curr_delta"),
        *("IF_curr_exp_ca2_adaptive", "IZK_curr_exp", "IZK_cond_exp", "IZK_cond_exp_dual"),
    ),
    NEAREST: ("IF_curr_exp", "IF_cond_exp", "IF_curr_delta"),
    "_stdp_mad_pair_multiplicative": ("IF_curr_exp",),
    "_stdp_mad_nearest_pair_multiplicative": ("IF_curr_exp",),
    "_stdp_mad_vogels_2011_additive": ("IF_curr_exp",),
    "_stdp_mad_pfister_triplet_additive": ("IF_curr_exp",),
    "_stdp_mad_recurrent_dual_fsm_multiplicative": ("IF_curr_exp",),
    "_stdp_mad_recurrent_pre_stochastic_multiplicative": ("IF_curr_exp",),
    "_weight_change": ("IF_curr_exp",),
}
"""Rule -> models with a binary for neurons and synapses on one core."""

GROWTH = ("_structural_random_distance_weight", "_structural_last_neuron_distance_weight")
REWARDED = "_stdp_izhikevich_neuromodulation_pair_additive"
SPLIT_ONLY = (
    *GROWTH,
    *(PAIR + growth for growth in GROWTH),
    NEAREST + GROWTH[0],
    REWARDED,
    *(REWARDED + growth for growth in GROWTH),
    "_stdp_izhikevich_neuromodulation_pair_multiplicative",
    "_stdp_izhikevich_neuromodulation_vogels_2011_additive",
)
COMBINED_ONLY = ("_weight_change", "_stdp_mad_recurrent_pre_stochastic_multiplicative")


@dataclass(frozen=True)
class Case:
    """A neuron model with a synapse dynamics, on one core or on two."""

    model: str
    rule: str = ""
    split: bool = False

    @property
    def binaries(self) -> set[str]:
        """Names of what its cores run."""
        if self.split:
            return {f"{self.model}_neuron", f"synapses{self.rule}"}
        return {self.model + self.rule}


CASES = [
    *(Case(model) for model in MODELS),
    *(Case(model, split=True) for model in MODELS if model not in (*CHANCE, "IF_trunc_delta")),
    *(Case(model, rule) for rule, models in RULES.items() for model in models),
    *(Case("IF_curr_exp", rule, split=True) for rule in RULES if rule not in COMBINED_ONLY),
    *(Case("IF_curr_exp", rule, split=True) for rule in SPLIT_ONLY),
]

COMPRESSORS = {
    "PairOnChipRouterCompression": "simple_pair_compressor",
    "OrderedCoveringOnChipRouterCompression": "simple_unordered_compressor",
}
SYSTEM = {
    "spike_source_poisson",
    "reverse_iptag_multicast_source",
    "neuron_expander",
    "synapse_expander",
    "delay_extension",
    "IF_curr_exp_conv",
    "IF_curr_exp_pool_dense",
    "external_device_lif_control",
    "external_device_lif_control_neuron",
    "robot_motor_control",
    "command_sender_multicast_source",
    "live_packet_gather",
    "chip_power_monitor",
    "extra_monitor_support",
    "data_speed_up_packet_gatherer",
}
"""What `test_system_binaries` runs, with one of the compressors at a time."""

_COMBINED = "sPyNNaker asks for split cores (is_combined_core_capable is False)"
_UNUSED = "no line of sPyNNaker's or SpiNNFrontEndCommon's Python names it"
UNREACHABLE = {
    **{
        model + rule: _COMBINED
        for model, rules in {
            "IF_curr_exp": (
                *GROWTH,
                *(PAIR + growth for growth in GROWTH),
                REWARDED,
                "_stdp_izhikevich_neuromodulation_pair_multiplicative",
                "_stdp_izhikevich_neuromodulation_vogels_2011_additive",
            ),
            "IF_cond_exp": (
                GROWTH[1],
                *(PAIR + growth for growth in GROWTH),
                NEAREST + GROWTH[1],
                REWARDED,
            ),
            "IZK_curr_exp": (
                REWARDED,
                "_stdp_izhikevich_neuromodulation_pair_multiplicative",
            ),
            "IZK_cond_exp": (
                REWARDED,
                "_stdp_izhikevich_neuromodulation_pair_multiplicative",
            ),
        }.items()
        for rule in rules
    },
    "delay_expander": _UNUSED,
    "bit_field_expander": _UNUSED,
}
"""Name -> why no network reaches it. Nor could it run: see the last test."""


def shipped() -> dict[str, Path]:
    """Give the binaries in the installed packages, by name."""
    folders = (
        files("spynnaker.pyNN.model_binaries"),
        files("spinn_front_end_common.common_model_binaries"),
    )
    return {path.stem: path for folder in folders for path in Path(str(folder)).glob("*.aplx")}


def test_each_binary_has_a_network_or_a_reason():
    reached = SYSTEM | set(COMPRESSORS.values())
    for case in CASES:
        reached |= case.binaries
    assert not reached & set(UNREACHABLE)
    assert reached | set(UNREACHABLE) == set(shipped())
    assert len(shipped()) == 100


def dynamics(sim: Any, rule: str, unit: float) -> Any:
    """Give the synapse type that makes sPyNNaker choose the binaries of a rule."""
    extra = sim.extra_models
    learning, _, growth = rule.partition("_structural_")
    parts: list[Any] = []
    if growth:
        # The binary for nearest pairs and random partners was built with the last neuron's code:
        # given RandomSelection, it reads its parameters one word off and dies.
        kind = sim.RandomSelection if growth.startswith("random") else sim.LastNeuronSelection
        if learning == NEAREST:
            kind = type(
                "Mislabelled", (sim.LastNeuronSelection,), {"vertex_executable_suffix": "_random"}
            )
        parts += [
            kind(),
            sim.DistanceDependentFormation(grid=[4, 4], sigma_form_forward=2.0, p_form_forward=1.0),
            sim.RandomByWeightElimination(0.4, prob_elim_depressed=0.5, prob_elim_potentiated=0.2),
        ]
    if learning:
        kind_of, _, dependence = learning.rpartition("_")
        timing = {
            "pair": lambda: sim.SpikePairRule(
                tau_plus=20.0, tau_minus=25.0, A_plus=0.1 * unit, A_minus=0.12 * unit
            ),
            "nearest_pair": lambda: extra.SpikeNearestPairRule(
                tau_plus=20.0, tau_minus=25.0, A_plus=0.1 * unit, A_minus=0.12 * unit
            ),
            "vogels_2011": lambda: extra.Vogels2011Rule(alpha=0.75, tau=20.0, A_plus=0.04),
            "pfister_triplet": lambda: extra.PfisterSpikeTriplet(
                tau_plus=16.8, tau_minus=33.7, tau_x=101.0, tau_y=114.0, A_plus=0.05, A_minus=0.06
            ),
            "recurrent_dual_fsm": lambda: extra.RecurrentRule(
                -2, 2, dual_fsm=True, A_plus=0.2, A_minus=0.2
            ),
            "recurrent_pre_stochastic": lambda: extra.RecurrentRule(
                -2, 2, dual_fsm=False, A_plus=0.2, A_minus=0.2
            ),
        }[kind_of.partition("mad_")[2] or kind_of.partition("neuromodulation_")[2]]()
        if "triplet" in kind_of:
            parts += [
                timing,
                extra.WeightDependenceAdditiveTriplet(w_max=1.0, A3_plus=0.02, A3_minus=0.01),
            ]
        else:
            shape = {
                "additive": sim.AdditiveWeightDependence,
                "multiplicative": sim.MultiplicativeWeightDependence,
            }[dependence]
            parts += [timing, shape(w_min=0.0, w_max=unit)]
    if growth:
        kind = sim.StructuralMechanismSTDP if learning else sim.StructuralMechanismStatic
        return kind(
            *parts,
            initial_weight=0.25,
            initial_delay=2.0,
            s_max=16,
            f_rew=1000,
            seed=11,
            weight=0.5,
            delay=1.0,
        )
    return sim.STDPMechanism(*parts, weight=0.5 * unit, delay=1.0)


def repair_neuromodulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sPyNNaker 7.4.1 make reward connections on the host with NumPy 2.

    The type of a synapse overflows its eight bits, and two sizes have one axis too few.
    """
    from spynnaker.pyNN.models.neuron.synapse_dynamics import SynapseDynamicsNeuromodulation

    original = SynapseDynamicsNeuromodulation.get_plastic_synaptic_data

    def repaired(self: Any, connections: Any, *arguments: Any, **named: Any) -> Any:
        kinds = connections.dtype
        wide = [(n, "i8" if n == "synapse_type" else kinds[n]) for n in kinds.names]
        fixed, plastic, fixed_size, plastic_size = original(
            self, connections.astype(wide), *arguments, **named
        )
        return fixed, plastic, fixed_size.reshape(-1, 1), plastic_size.reshape(-1, 1)

    monkeypatch.setattr(SynapseDynamicsNeuromodulation, "get_plastic_synaptic_data", repaired)


def grid_times() -> list[list[float]]:
    """Give the spikes of the grid from which synapses grow."""
    rng = np.random.default_rng(1)
    return [
        sorted({float(t) for t in rng.integers(2, 190, 20)}) if cell < SILENT else []
        for cell in range(16)
    ]


def sources(sim: Any) -> dict[str, Any]:
    """Add the spike sources that all cases share."""
    times = {
        "drive": DRIVE,
        "second": SECOND,
        "pre": PRE,
        "changes": CHANGES,
        "grid": grid_times(),
        "reward": [REWARDS],
        "too late": [[STEPS - 1.0]],
    }
    return {
        name: sim.Population(len(trains), sim.SpikeSourceArray(trains), label=name)
        for name, trains in times.items()
    }


def build(sim: Any, case: Case, source: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Add a case's populations, each with the projection of interest (if there is one).

    Static: cell 0 is made to fire, cell 1 is not. Learning: `drive` makes the cells fire. With
    rewards there are two equal populations, of which the second is rewarded too late.
    """
    model = MODELS[case.model]
    kind = getattr(sim, model.name, None) or getattr(sim.extra_models, model.name)
    grows, rewarded = "structural" in case.rule, "neuromodulation" in case.rule
    size = 20 if case.model in CHANCE else 16 if grows else 2
    result = []
    for reward in ("reward", "too late")[: 1 + rewarded]:
        # Where synapses grow, no other source is heard (see `check_growth`): a current drives.
        drive = {"i_offset": 1.0} if grows else {}
        cells = sim.Population(
            size, kind(**model.parameters, **drive), n_synapse_cores=int(case.split), seed=5
        )
        cells.record(["spikes", *model.record])
        watched = None
        if case.rule == "_weight_change":
            watched = sim.Projection(
                source["pre"],
                cells,
                sim.AllToAllConnector(),
                sim.extra_models.WeightChangeable(weight_min=0.0, weight_max=2.0, weight=0.5),
            )
            sim.Projection(
                source["changes"],
                cells,
                sim.AllToAllConnector(),
                sim.extra_models.WeightChanger(weight_change=0.25, projection=watched),
            )
        elif case.rule:
            watched = sim.Projection(
                source["grid" if grows else "pre"],
                cells,
                sim.OneToOneConnector() if grows else sim.AllToAllConnector(),
                dynamics(sim, case.rule, model.unit),
            )
            if not grows:
                rows = [(i, i, model.strong, 1.0) for i in range(size)]
                sim.Projection(source["drive"], cells, sim.FromListConnector(rows))
        else:
            weights = [model.strong if cell != 1 else model.weak for cell in range(size)]
            rows = [(i % 2, i, weight, 1.0) for i, weight in enumerate(weights)]
            sim.Projection(source["drive"], cells, sim.FromListConnector(rows))
            if model.second:
                rows = [(0, 0, model.strong, 1.0), (1, 1, model.second, 1.0)]
                sim.Projection(
                    source["second"],
                    cells,
                    sim.FromListConnector(rows),
                    receptor_type="excitatory2",
                )
        if rewarded:
            sim.Projection(
                source[reward],
                cells,
                sim.AllToAllConnector(),
                sim.extra_models.Neuromodulation(weight=0.05, tau_c=100.0, tau_d=20.0),
                receptor_type="reward",
            )
        result.append((cells, watched))
    return result


@dataclass
class Seen:
    """What came out of a population: spike times, recorded values (steps, cells), weights.

    `rows` are the source, target, weight and delay of each connection of interest.
    """

    spikes: list[list[float]]
    values: dict[str, np.ndarray]
    rows: list[tuple[int, int, float, float]]
    binaries: set[str]


def look(cells: Any, watched: Any, loaded: dict[Any, set[str]]) -> Seen:
    """Read what a population did."""
    segment = cells.get_data().segments[0]
    rows = watched.get(["weight", "delay"], "list") if watched else []
    return Seen(
        [[float(t) for t in train.magnitude] for train in segment.spiketrains],
        {s.name: np.asarray(s.magnitude) for s in segment.analogsignals},
        [(int(i), int(j), float(w), float(d)) for i, j, w, d in rows],
        loaded[cells._vertex],
    )


def placed() -> dict[Any, set[str]]:
    """Give the names of the binaries that each application vertex got cores for."""
    from spynnaker.pyNN.data import SpynnakerDataView

    result: dict[Any, set[str]] = {}
    for placement in SpynnakerDataView.iterate_placemements():
        name = placement.vertex.get_binary_file_name().removesuffix(".aplx")
        result.setdefault(placement.vertex.app_vertex, set()).add(name)
    return result


def arrivals(times: list[float], weight: float) -> np.ndarray:
    """Give the weight that arrives in each step, 1 ms after the spikes."""
    arrived = np.zeros(STEPS + 1)
    for time in times:
        arrived[int(time) + 1] += weight
    return arrived[:STEPS]


def decaying(arrived: np.ndarray) -> np.ndarray:
    """Give an exponentially decaying input of 5 ms."""
    result, value = np.zeros(STEPS), 0.0
    for step, weight in enumerate(arrived):
        value = value * DECAY_5 + weight * CHARGE
        result[step] = value
    return result


def alpha(arrived: np.ndarray, tau: float = 2.0) -> np.ndarray:
    """Give weight t / tau**2 exp(-t / tau), t from the last arrival on (they are far apart)."""
    result, last, weight = np.zeros(STEPS), 0, 0.0
    for step, now in enumerate(arrived):
        if now:
            last, weight = step, now
        result[step] = weight * (step - last) / tau**2 * math.exp(-(step - last) / tau)
    return result


def gated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give the current of the sEMD: the second input times what the first was when that began."""
    start = int(np.argmax(second >= 0.001))
    return np.where(second >= 0.001, second * first[start], 0.0)


def integrate(current: Callable[[int, float], float]) -> np.ndarray:
    """Give v of a leaky cell (20 ms, 1 nF, -65 mV) at the start of each step."""
    result, v = np.zeros(STEPS), -65.0
    for step in range(STEPS):
        result[step] = v
        end = -65.0 + 20 * current(step, v)
        v = end + (v - end) * LEAK
    return result


def izhikevich(current: Callable[[int, float], float]) -> np.ndarray:
    """Give v of an Izhikevich cell at the start of each step: the midpoint rule for 1 ms.

    The constants are those of the board; v * v makes 4000 of the error of the square's 0.04.
    """
    a, b, square = (round(x / LSB) * LSB for x in (0.02, 0.2, 0.04))
    v, u, result = -70.0, -14.0, np.zeros(STEPS)

    def slope(v: float, u: float, drive: float) -> tuple[float, float]:
        return square * v * v + 5 * v + 140 - u + drive, a * (b * v - u)

    for step in range(STEPS):
        result[step] = v
        drive = current(step, v)
        dv, du = slope(v, u, drive)
        dv, du = slope(v + dv / 2, u + du / 2, drive)
        v, u = v + dv, u + du
    return result


def expected_voltage(name: str) -> tuple[np.ndarray, int]:
    """Compute in float64 the v of cell 1 of a static case, which never fires, and what it may err.

    Errors (LSB): each step rounds the input, a conductance's error counts 63-fold.
    """
    arrived = arrivals(DRIVE[1], MODELS[name].weak)
    second = arrivals(SECOND[1], MODELS[name].second)
    inputs = {
        "IF_curr_exp": (decaying(arrived), 120),
        "IF_curr_exp_ca2_adaptive": (decaying(arrived), 120),
        "IF_curr_exp_dual": (decaying(arrived) + decaying(second), 200),
        "IF_curr_exp_sEMD": (gated(decaying(arrived), decaying(second)), 200),
        "IF_curr_alpha": (alpha(arrived), 200),
        "IF_curr_delta": (arrived, 40),
        "IF_curr_delta_ca2_adaptive": (arrived, 40),
    }
    if name in inputs:
        current, error = inputs[name]
        return integrate(lambda step, v: current[step]), error
    if name == "IF_trunc_delta":
        return np.concatenate(([0.0], np.cumsum(arrived)[:-1])), 0
    current = decaying(arrived)
    if name == "IZK_curr_exp":
        return izhikevich(lambda step, v: current[step]), 300
    # A conductance (E = 0 mV) lets the current g (0 - v) in.
    solve = izhikevich if name.startswith("IZK") else integrate
    return solve(lambda step, v: -v * current[step]), 1000


def triggered(spikes: list[float], arrived: list[float]) -> bool:
    """Tell whether the cell was silent until the first arrival and then fired in time."""
    return bool(spikes) and arrived[0] < spikes[0] + 1 and spikes[0] <= arrived[0] + 4


def check_static(case: Case, seen: Seen) -> None:
    """Check that strong input makes a cell fire and that weak input gives the right voltage."""
    if case.model in CHANCE:
        check_chance(case, seen)
        return
    assert seen.values["v"].shape == (STEPS, 2)
    expected, error = expected_voltage(case.model)
    assert seen.spikes[1] == []
    assert np.abs(seen.values["v"][:, 1] - expected).max() <= error * LSB
    assert np.ptp(expected) > 0.5
    assert triggered(seen.spikes[0], [t + 1 for t in DRIVE[0]]), seen.spikes[0]


def check_chance(case: Case, seen: Seen) -> None:
    """Check that cells fire as often as they should, within four standard deviations."""
    fired = np.zeros((STEPS, 20), bool)
    for cell, times in enumerate(seen.spikes):
        fired[[int(t) for t in times], cell] = True
    if "prob" in seen.values:
        chance = seen.values["prob"]
    else:
        chance = np.zeros((STEPS, 20))
        for cell in {*range(20)} - {1}:
            chance[[int(t) + 1 for t in DRIVE[cell % 2]], cell] = 0.5
        assert not fired[chance == 0].any()
    drawn = fired[chance > 0].sum()
    assert chance.sum() > 20 and 0 < drawn < (chance > 0).sum()
    assert abs(drawn - chance.sum()) <= 4 * math.sqrt((chance * (1 - chance)).sum())


def check_pairs(case: Case, seen: Seen) -> None:
    """Check all weights against the pair rule; each update cuts off up to 1/512 of the unit."""
    unit = MODELS[case.model].unit
    for source, target, weight, _ in seen.rows:
        expected = pair_stdp(
            PRE[source],
            seen.spikes[target],
            0.5 * unit,
            tau_plus=20.0,
            tau_minus=25.0,
            a_plus=0.1 * unit,
            a_minus=0.12 * unit,
            w_min=0.0,
            w_max=unit,
            dependence=case.rule.rpartition("_")[2],
            pairing="nearest" if "nearest" in case.rule else "all",
        )
        assert abs(weight - expected) <= 0.015 * unit, (source, target, weight, expected)


def check_vogels(case: Case, seen: Seen) -> None:
    """Check all weights against the symmetric rule: two traces of 20 ms, alpha 0.75."""
    for source, target, weight, _ in seen.rows:
        last = PRE[source][-1]
        posts = [(t + 1, "post") for t in seen.spikes[target] if t + 1 <= last]
        expected, trace, before = 0.5, {"pre": 0.0, "post": 0.0}, 0.0
        for time, side in sorted(posts + [(t, "pre") for t in PRE[source]]):
            trace = {k: x * math.exp((before - time) / 20) for k, x in trace.items()}
            before = time
            other = trace["post"] - 0.75 if side == "pre" else trace["pre"]
            expected = min(expected + 0.04 * other, 1.0)
            trace[side] += 1
        assert abs(weight - expected) <= 0.015, (source, target, weight, expected)


def check_triplets(case: Case, seen: Seen) -> None:
    """Check all weights against the triplet rule, with the slow traces looked up in 4 ms steps."""

    def decay(elapsed: float, tau: float, step: int = 1) -> float:
        return math.exp(-(elapsed // step * step) / tau)

    for source, target, weight, _ in seen.rows:
        last = PRE[source][-1]
        posts = [(t + 1, "post") for t in seen.spikes[target] if t + 1 <= last]
        w, before = 0.5, {"pre": 0.0, "post": 0.0}
        fast, slow = {"pre": 0.0, "post": 0.0}, {"pre": 0.0, "post": 0.0}
        for time, side in sorted(posts + [(t, "pre") for t in PRE[source]]):
            elapsed = {k: time - t for k, t in before.items()}
            if side == "pre":
                own, tau, tau_slow = 16.8, 33.7, 101.0
            else:
                own, tau, tau_slow = 33.7, 16.8, 114.0
            other = "post" if side == "pre" else "pre"
            if before[side]:
                slow[side] = (slow[side] + 1) * decay(elapsed[side], tau_slow, 4)
            met = fast[other] * decay(elapsed[other], tau)
            if side == "pre":
                w = max(w - met * (0.06 + 0.01 * slow[side]), 0.0)
            elif elapsed[other]:
                w = min(w + met * (0.05 + 0.02 * slow[side]), 1.0)
            fast[side] = fast[side] * decay(elapsed[side], own) + 1
            before[side] = time
        assert abs(weight - w) <= 0.02, (source, target, weight, w)


def check_learning(case: Case, seen: Seen) -> None:
    """Check the weights of a plastic projection."""
    assert len(seen.rows) == 2 * len(PRE)
    weights = np.array([weight for _, _, weight, _ in seen.rows]) / MODELS[case.model].unit
    assert min(map(len, seen.spikes)) >= 4
    assert weights.min() >= 0.0 and weights.max() <= 1.0
    assert np.abs(weights - 0.5).max() > 0.05
    if "pair" in case.rule:
        check_pairs(case, seen)
    elif "vogels" in case.rule:
        check_vogels(case, seen)
    elif "triplet" in case.rule:
        check_triplets(case, seen)


def check_changed_weights(case: Case, seen: Seen) -> None:
    """Check that each spike of the changer added 0.25 to the weights of its cell."""
    got = {(i, j): weight for i, j, weight, _ in seen.rows}
    assert got == {(i, j): 0.5 + 0.25 * len(CHANGES[i]) for i in range(4) for j in range(2)}


def check_growth(case: Case, seen: Seen) -> None:
    """Check that connections were lost and formed, and who the new sources are.

    Other projections to such a population do not count: sPyNNaker's synapse expander marks their
    rows as empty, and the synapse core throws their spikes away. That includes rewards.
    """
    old = {(i, j) for i, j, _, delay in seen.rows if delay == 1}
    new = [(i, j, weight) for i, j, weight, delay in seen.rows if delay == 2]
    assert len(old) + len(new) == len(seen.rows)
    assert old < {(i, i) for i in range(16)}
    assert len(new) >= 16
    assert np.bincount([j for _, j, _, _ in seen.rows]).max() <= 16
    silent = {i for i, _, _ in new if i >= SILENT}
    chooses_any = "_random_" in case.rule and NEAREST not in case.rule
    assert bool(silent) == chooses_any
    weights = {weight for i, _, weight in new if i < SILENT}
    assert {weight for i, _, weight in new if i >= SILENT} <= {0.25}
    assert (weights == {0.25}) == ("_stdp_mad_" not in case.rule)


def rewarded_weight(case: Case, pre: list[float], post: list[float]) -> float:
    """Compute a weight whose rule feeds an eligibility trace c, with a dopamine trace d.

    dw/dt = c d; c decays in 100 ms, looked up in steps of 16 ms, and stays within the limits of
    the weight, 0 and 1 (so that nothing is ever unlearnt); d decays in 20 ms, in steps of 4 ms.
    """
    events = [(t, "pre") for t in pre]
    events += [(t + 1, "post") for t in post] + [(t + 1, "reward") for t in REWARDS]
    vogels, fades = "vogels" in case.rule, 20.0 if "vogels" in case.rule else 25.0
    w, c, d, before, trace = 0.5, 0.0, 0.0, 0.0, {"pre": 0.0, "post": 0.0}
    for time, side in sorted(event for event in events if event[0] <= pre[-1]):
        elapsed, before = time - before, time
        c_left, d_left = math.exp(-(elapsed // 16 * 16) / 100), math.exp(-(elapsed // 4 * 4) / 20)
        w = min(w + c * d * (1 - c_left * d_left) / (1 / 100 + 1 / 20), 1.0)
        c, d = c * c_left, d * d_left
        trace["pre"] *= math.exp(-elapsed / 20)
        trace["post"] *= math.exp(-elapsed / fades)
        if side == "reward":
            d += 0.05
            continue
        if vogels:
            change = 0.04 * (trace["pre"] if side == "post" else trace["post"] - 0.75)
        elif side == "post":
            change = 0.1 * trace["pre"] * (1 - c if "multiplicative" in case.rule else 1)
        else:
            change = -0.12 * trace["post"] * (c if "multiplicative" in case.rule else 1)
        c = min(c + change, 1.0) if vogels else min(max(c + change, 0.0), 1.0)
        trace[side] += 1
    return w


def check_rewarded(case: Case, rewarded: Seen, too_late: Seen) -> None:
    """Check that without a reward nothing is learnt, and with one what is due.

    The board cuts numbers off wherever it can: that costs up to a tenth of what is learnt.
    """
    assert {weight for _, _, weight, _ in too_late.rows} == {0.5}
    assert len(rewarded.rows) == 2 * len(PRE)
    for source, target, weight, _ in rewarded.rows:
        expected = rewarded_weight(case, PRE[source], rewarded.spikes[target])
        learnt, due = weight - 0.5, expected - 0.5
        assert due > 0.04
        assert 0.9 * due - 0.005 <= learnt <= due + 0.005, (source, target, weight, expected)


def check(case: Case, seen: list[Seen]) -> None:
    """Check that a case's binaries are on cores and did their work."""
    for each in seen:
        assert each.binaries == case.binaries
        assert all(np.ptp(values) > 0 for values in each.values.values())
    if "structural" in case.rule:
        for each in seen:
            check_growth(case, each)
    elif "neuromodulation" in case.rule:
        check_rewarded(case, *seen)
    elif case.rule == "_weight_change":
        check_changed_weights(case, *seen)
    elif case.rule:
        check_learning(case, *seen)
    else:
        check_static(case, *seen)


@pytest.mark.long
def test_neuron_and_synapse_binaries(board_factory, spynnaker_on, monkeypatch):
    # One network of 90 populations, on both kinds of core where there are both.
    repair_neuromodulation(monkeypatch)
    with spynnaker_on(board_factory(5)) as sim:
        source = sources(sim)
        built = {case: build(sim, case, source) for case in CASES}
        sim.run(STEPS)
        loaded = placed()
        seen = {
            case: [look(cells, watched, loaded) for cells, watched in parts]
            for case, parts in built.items()
        }
    failures = {}
    for case, parts in seen.items():
        try:
            check(case, parts)
        except AssertionError as error:
            failures[case] = str(error)
    assert failures == {}
    for case in CASES:
        if case.split and Case(case.model, case.rule) in seen:
            (one,), (two,) = seen[Case(case.model, case.rule)], seen[case]
            assert one.spikes == two.spikes, case
            assert one.rows == two.rows, case
            assert np.array_equal(one.values["v"], two.values["v"]), case
    for plain, adapting in (
        ("IF_curr_exp", "IF_curr_exp_ca2_adaptive"),
        ("IF_curr_delta", "IF_curr_delta_ca2_adaptive"),
    ):
        (tireless,), (tired,) = seen[Case(plain)], seen[Case(adapting)]
        assert tired.spikes[0][0] == tireless.spikes[0][0]
        assert len(tired.spikes[0]) < len(tireless.spikes[0])


@pytest.fixture
def loaded_files(monkeypatch):
    """Give the names of the files that were sent to the board and started, as they come."""
    from spinnman.transceiver.base_transceiver import BaseTransceiver

    names: list[str] = []
    original = BaseTransceiver.execute_flood

    def spy(self: Any, cores: Any, executable: Any, application: int, **named: Any) -> Any:
        names.append(Path(executable).stem)
        return original(self, cores, executable, application, **named)

    monkeypatch.setattr(BaseTransceiver, "execute_flood", spy)
    return names


def controlled_device(name: str, key: int) -> Any:
    """Give a device that takes the voltage of a cell as its command, every 5 ms."""
    from spynnaker.pyNN.external_devices_models import AbstractMulticastControllableDevice
    from spynnaker.pyNN.external_devices_models.abstract_multicast_controllable_device import (
        SendType,
    )

    settings = {
        "device_control_partition_id": name,
        "device_control_key": key,
        "device_control_uses_payload": True,
        "device_control_min_value": -50.0,
        "device_control_max_value": Decimal(50),
        "device_control_timesteps_between_sending": 5,
        "device_control_send_type": SendType.SEND_TYPE_ACCUM,
    }
    return type("Device", (AbstractMulticastControllableDevice,), settings)()


@pytest.fixture
def gathered() -> Iterator[Callable[..., dict[str, list[tuple[int, int]]]]]:
    """Give a function that has the packets of some vertices sent to the host.

    It takes {label: (vertex, partitions)} and gives {label: keys and payloads as they come}.
    """
    from spinn_front_end_common.utilities.utility_objs import LivePacketGatherParameters
    from spinnman.messages.eieio import EIEIOType
    from spynnaker.pyNN.connections import EthernetControlConnection
    from spynnaker.pyNN.external_devices import Plugins
    from spynnaker.pyNN.external_devices_models import AbstractEthernetTranslator

    class Collector(AbstractEthernetTranslator):
        def __init__(self) -> None:
            self.got: list[tuple[int, int]] = []

        def translate_control_packet(self, multicast_packet: Any) -> None:
            self.got.append((multicast_packet.key, multicast_packet.payload))

    connections = []

    def gather(vertices: dict[str, tuple[Any, list[str]]]) -> dict[str, list[tuple[int, int]]]:
        collectors = {label: Collector() for label in vertices}
        (first, collector), *others = collectors.items()
        connection = EthernetControlConnection(collector, first, "Gatherer")
        connections.append(connection)
        for label, collector in others:
            connection.add_translator(label, collector)
        host, port = connection.local_ip_address, connection.local_port
        Plugins.add_database_socket_address(host, port, None)
        parameters = LivePacketGatherParameters(
            hostname=host,
            port=port,
            message_type=EIEIOType.KEY_PAYLOAD_32_BIT,
            payload_as_time_stamps=False,
            use_payload_prefix=False,
            label="Gatherer",
        )
        for vertex, partitions in vertices.values():
            Plugins.update_live_packet_gather_tracker(vertex, parameters, partitions)
        return {label: collector.got for label, collector in collectors.items()}

    yield gather
    for connection in connections:
        connection.close()


WALK = [[5.0, 6.0, 7.0], [], [25.0], [26.0, 27.0], [28.0, 29.0, 31.0], []]
"""Spikes for forwards, backwards, right, left, clockwise and anti-clockwise."""


def motor_commands() -> list[tuple[int, int]]:
    """Compute the commands (direction from 1 on, speed) that the motor is sent.

    Every 20 ms the direction with two spikes more than its opposite gets speed 30; every 7 ms the
    speeds are sent again.
    """
    commands, speeds = [], [0] * 6
    for step in range(STEPS):
        if step % 20 == 0:
            counts = [sum(step - 20 <= t < step for t in times) for times in WALK]
            for one, other in ((0, 1), (3, 2), (4, 5)):
                more = counts[one] - counts[other]
                if abs(more) >= 2:
                    ahead, behind = (one, other) if more > 0 else (other, one)
                    speeds[ahead], speeds[behind] = 30, 0
                    commands.append((ahead + 1, 30))
        elif step % 7 == 0:
            for one, other in ((0, 1), (3, 2), (4, 5)):
                ahead = other if speeds[other] > speeds[one] else one
                commands.append((ahead + 1, speeds[ahead]))
    return commands


def grid_population(sim: Any, model: Any, width: int, height: int) -> Any:
    """Add a population of a shape, on one core."""
    from pyNN.space import Grid2D

    return sim.Population(
        width * height, model, structure=Grid2D(width / height), neurons_per_core=(width, height)
    )


def recorded(cells: Any, name: str) -> np.ndarray:
    """Give the values of one name, (steps, cells)."""
    (signal,) = cells.get_data(name).segments[0].analogsignals
    return np.asarray(signal.magnitude)


def counts(cells: Any) -> np.ndarray:
    """Give the number of spikes of each cell."""
    return np.array([len(train) for train in cells.get_data("spikes").segments[0].spiketrains])


@pytest.mark.long
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_system_binaries(board_process, spynnaker_on, loaded_files, gathered, compressor):
    options = {
        "Mapping": {"compressor": compressor, "router_table_compress_as_far_as_possible": True},
        "Reports": {"write_energy_report": True},
    }
    rng = np.random.default_rng(3)
    width, height = 8, 6
    image = rng.random((height, width)) < 0.3
    kernel = np.round(rng.normal(0.0, 1.0, (3, 3)) * 64) / 64
    dense = np.round(rng.normal(0.0, 1.0, (12, 5)) * 64) / 64
    with spynnaker_on(board_process, default=True, options=options) as sim:
        external = sim.external_devices
        poisson = sim.Population(64, sim.SpikeSourcePoisson(rate=100.0), seed=1)
        cells = sim.Population(64, sim.IF_curr_exp(), seed=2)
        cells.initialize(v=sim.RandomDistribution("uniform", low=-70.0, high=-60.0))
        random = sim.Projection(
            poisson,
            cells,
            sim.FixedProbabilityConnector(0.3),
            sim.StaticSynapse(weight=0.75, delay=2.0),
        )
        listed = sim.Population(3, sim.SpikeSourceArray([[5.0], [9.0, 11.0], [30.0]]))
        late = sim.Population(200, sim.IF_curr_exp())
        sim.Projection(
            listed, late, sim.OneToOneConnector(), sim.StaticSynapse(weight=1.0, delay=150.0)
        )
        pixels = [[5.0] if on else [30.0] for on in image.ravel()]
        picture = grid_population(sim, sim.SpikeSourceArray(pixels), width, height)
        map_ = grid_population(sim, sim.IF_curr_exp(v_thresh=1000.0), width - 2, height - 2)
        sim.Projection(picture, map_, sim.ConvolutionConnector(kernel), sim.Convolution())
        head = sim.Population(5, sim.IF_curr_exp(v_thresh=1000.0))
        sim.Projection(picture, head, sim.PoolDenseConnector(dense, pool_shape=2), sim.PoolDense())
        vertices = {}
        for split in (0, 1):
            name = f"volts{split}"
            device = controlled_device(name, 0xF0000000 + 16 * split)
            control = sim.Population(
                1,
                external.ExternalDeviceLifControl([device], False, i_offset=1.0 + split),
                label=name,
                n_synapse_cores=split,
            )
            vertices[name] = (control._vertex, [name])
        # The motor's core takes the low bits of a key as the cell: no bits for the time, then.
        walker = sim.Population(6, sim.SpikeSourceArray(WALK), n_colour_bits=0)
        motor = sim.Population(
            6,
            external.MunichMotorDevice(
                0, speed=30, sample_time=20, update_time=7, delay_time=0, delta_threshold=2
            ),
            label="motor",
        )
        external.activate_live_output_to(walker, motor)
        vertices["motor"] = (motor._vertex, ["MOTOR"])
        retina = external.MunichRetinaDevice(retina_key=5, spinnaker_link_id=0, position="RIGHT")
        sim.Population(None, retina)
        packets = gathered(vertices)
        for population in (poisson, cells, listed):
            population.record("spikes")
        cells.record("v")
        for population in (late, map_, head):
            population.record("gsyn_exc")
        sim.run(STEPS)
        started = {name for name in loaded_files if name != "synapses"}
        power = power_samples()
        connections = random.get(["weight", "delay"], "list")
        results = {
            "poisson": counts(poisson),
            "listed": counts(listed),
            "cells": counts(cells),
            "start": recorded(cells, "v")[0],
            "late": recorded(late, "gsyn_exc"),
            "map": recorded(map_, "gsyn_exc")[6].reshape(height - 2, width - 2),
            "head": recorded(head, "gsyn_exc")[6],
        }
    assert started == SYSTEM | {COMPRESSORS[compressor], "IF_curr_exp"}
    check_random(results, connections)
    # With 200 cells on a core a delay of 150 ms needs another core's help.
    delayed = np.zeros((STEPS, 200))
    for cell, step in ((0, 155), (1, 159), (1, 161), (2, 180)):
        delayed[step:, cell] += CHARGE * DECAY_5 ** np.arange(STEPS - step)
    assert results["listed"].tolist() == [1, 2, 1]
    assert np.abs(results["late"] - delayed).max() <= 16 * LSB
    positive = convolve2d(image, kernel.clip(min=0), mode="valid")
    assert np.abs(results["map"] - positive * CHARGE).max() <= 32 * LSB
    # A pool gives its mean; the pools go column by column.
    pools = image.T.reshape(width // 2, 2, height // 2, 2).sum((1, 3)).ravel() / 4
    assert np.abs(results["head"] - pools @ dense.clip(min=0) * CHARGE).max() <= 64 * LSB
    for split in (0, 1):
        # v(t) = 20 i (1 - exp(-t / 20)), first sent after the first step.
        sent = np.array(packets[f"volts{split}"])
        assert set(sent[:, 0]) == {0xF0000000 + 16 * split}
        steps = np.arange(1, STEPS, 5)
        exact = 20 * (1 + split) * (1 - LEAK**steps)
        assert np.abs(sent[:, 1] * LSB - exact).max() <= 20 * (1 + split) * LSB
    assert [(key & 7, speed) for key, speed in packets["motor"]] == motor_commands()
    assert len(power) == 4
    for core, samples in power:
        # 18 counters, one for a core, of 100 samples each, one every 10 us; the monitor is awake.
        assert len(samples) == STEPS and samples[:, 1:].max() <= 100
        assert (samples[:, 0] == np.arange(1, STEPS + 1) * 100 - 1).all()
        assert (samples[:, 1 + core] == 100).all()


def power_samples() -> list[tuple[int, np.ndarray]]:
    """Give the cores of the power monitors and what they recorded."""
    from spynnaker.pyNN.data import SpynnakerDataView

    buffers = SpynnakerDataView.get_buffer_manager()
    return [
        (p.p, np.frombuffer(buffers.get_recording(p, 0)[0], "<u4").reshape(-1, 19))
        for p in SpynnakerDataView.iterate_placemements()
        if p.vertex.get_binary_file_name() == "chip_power_monitor.aplx"
    ]


def check_random(results: dict[str, np.ndarray], connections: Any) -> None:
    """Check the Poisson source, the connections and the potentials that the board drew itself."""
    mean = 64 * 100.0 * STEPS / 1000
    assert abs(results["poisson"].sum() - mean) <= 4 * math.sqrt(mean)
    assert abs(len(connections) - 64 * 64 * 0.3) <= 4 * math.sqrt(64 * 64 * 0.3 * 0.7)
    assert {(float(w), float(d)) for _, _, w, d in connections} == {(0.75, 2.0)}
    assert results["start"].min() >= -70.0 and results["start"].max() <= -60.0
    assert abs(results["start"].mean() + 65.0) <= 4 * 10 / math.sqrt(12 * 64)
    assert results["start"].std() > 2.0
    assert results["cells"].min() > 0


@pytest.mark.long
def test_command_sender(board_process, spynnaker_on, monkeypatch):
    # The retina is on a link that leads nowhere. It is told two things when the run starts and one
    # when it pauses, each once and five times again; nothing else is sent.
    from spinnman.transceiver.base_transceiver import BaseTransceiver

    original = BaseTransceiver.clear_router_diagnostic_counters
    sent = []

    def count_and_clear(self: Any, *arguments: Any, **named: Any) -> None:
        sent.append(self.get_router_diagnostics(0, 0).n_local_multicast_packets)
        original(self, *arguments, **named)

    monkeypatch.setattr(BaseTransceiver, "clear_router_diagnostic_counters", count_and_clear)
    with spynnaker_on(board_process) as sim:
        retina = sim.external_devices.MunichRetinaDevice(
            retina_key=5, spinnaker_link_id=0, position="RIGHT"
        )
        sim.Population(None, retina)
        sim.run(20)
        names = [name for names in placed().values() for name in names]
    assert names == ["command_sender_multicast_source"]
    assert sent[-1] == 18


@pytest.mark.long
def test_the_others_were_built_for_another_kernel(board_factory, spynnaker_on):
    # They want version 3 of SC&MP (their own library's number, 0x30000, is in register 1) and stop
    # when they find 4, the only one that sPyNNaker 7.4.1 accepts: even with its own check for
    # split cores out of the way, they could not run.
    from spinn_machine import CoreSubset, CoreSubsets
    from spinnman.model.enums import CPUState, RunTimeError

    places = list(itertools.product((0, 1), (0,), range(1, 16)))
    found = {}
    with spynnaker_on(board_factory(5)) as sim:
        sim.get_machine()
        from spynnaker.pyNN.data import SpynnakerDataView as View

        transceiver, application = View.get_transceiver(), View.get_app_id()
        for name, (x, y, core) in zip(UNREACHABLE, places, strict=False):
            cores = CoreSubsets([CoreSubset(x, y, [core])])
            transceiver.execute_flood(cores, str(shipped()[name]), application)
            stopped = frozenset({CPUState.RUN_TIME_EXCEPTION})
            transceiver.wait_for_cores_to_be_in_state(cores, application, stopped, timeout=5)
            info = transceiver.get_cpu_infos(cores).get_cpu_info(x, y, core)
            found[name] = (info.run_time_error, info.registers[1])
    assert found == {name: (RunTimeError.SARK_VERSRION_INCORRECT, 0x30000) for name in UNREACHABLE}


@pytest.mark.long
def test_the_same_binaries_in_other_ways(board_process, spynnaker_on):
    # Poisson spikes through shared memory, inputs shared out to several synapse cores, rates that
    # change, and current sources.
    rng = np.random.default_rng(0)
    trains = [
        [sorted({float(t) for t in rng.integers(1, 190, 12)}) for _ in range(20)] for _ in range(3)
    ]
    rows = [
        (i, j, rng.integers(1, 60) / 64, float(rng.integers(1, 9)))
        for i, j in itertools.product(range(20), range(20))
    ]
    with spynnaker_on(board_process) as sim:
        near = sim.Population(20, sim.SpikeSourcePoisson(rate=50.0), seed=3)
        listener = sim.Population(20, sim.IF_curr_exp(v_thresh=1000.0), n_synapse_cores=1)
        sim.Projection(
            near, listener, sim.OneToOneConnector(), sim.StaticSynapse(weight=0.5, delay=1.0)
        )
        near.record("spikes")
        listener.record("gsyn_exc")
        listed = [sim.Population(20, sim.SpikeSourceArray(times)) for times in trains]
        shared = []
        for synapse_cores in (0, 1, 3):
            cells = sim.Population(20, sim.IF_curr_exp(), n_synapse_cores=synapse_cores)
            for source in listed:
                sim.Projection(source, cells, sim.FromListConnector(rows))
            cells.record(["v", "spikes"])
            shared.append(cells)
        variable = sim.Population(
            50,
            sim.extra_models.SpikeSourcePoissonVariable(
                rates=[20.0, 200.0], starts=[0, 100], durations=[100, 100]
            ),
            seed=1,
        )
        variable.record("spikes")
        driven = sim.Population(3, sim.IF_curr_exp(v_thresh=1000.0))
        for cell, current in enumerate(
            (
                sim.DCSource(amplitude=0.5, start=10.0, stop=60.0),
                sim.ACSource(start=0.0, stop=200.0, amplitude=1.0, frequency=20.0),
                sim.StepCurrentSource(times=[20.0, 50.0], amplitudes=[0.5, -0.5]),
            )
        ):
            driven[cell : cell + 1].inject(current)
        driven.record("v")
        sim.run(STEPS)
        sent = [list(map(float, t)) for t in near.get_data("spikes").segments[0].spiketrains]
        got = recorded(listener, "gsyn_exc")
        one, *others = [recorded(cells, "v") for cells in shared]
        fired = [counts(cells) for cells in shared]
        changing = np.concatenate(variable.get_data("spikes").segments[0].spiketrains)
        voltages = recorded(driven, "v")
    assert sum(map(len, sent)) > 100
    expected = np.stack([decaying(arrivals(times, 0.5)) for times in sent], axis=1)
    assert np.abs(got - expected).max() <= 16 * LSB
    assert fired[0].min() > 0
    for other, spikes in zip(others, fired[1:], strict=True):
        assert np.array_equal(other, one)
        assert np.array_equal(spikes, fired[0])
    for phase, mean in enumerate((100, 1000)):
        count = np.count_nonzero(changing // 100 == phase)
        assert abs(count - mean) <= 4 * math.sqrt(mean)
    currents: list[Callable[[int, float], float]] = [
        lambda step, v: 0.5 * (10 <= step < 60),
        lambda step, v: math.sin(2 * math.pi * 20 * step / 1000),
        lambda step, v: 0.5 * (20 <= step < 50) - 0.5 * (step >= 50),
    ]
    # The sine's own error adds up over the 20 ms of the membrane.
    for cell, (current, error) in enumerate(zip(currents, (40, 500, 40), strict=True)):
        assert np.abs(voltages[:, cell] - integrate(current)).max() <= error * LSB
