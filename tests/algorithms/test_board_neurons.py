"""The board's neuron models: in float64 against closed forms, in fixed point against float64."""

import numpy as np
import pytest

from spikingconvnet.algorithms.board_neurons import MODELS, simulate
from spikingconvnet.algorithms.connections import Connections
from spikingconvnet.algorithms.fixed_point import FIXED, REAL, STEP
from spikingconvnet.algorithms.lif import simulate as simulate_lif
from spikingconvnet.algorithms.spike_trains import from_lists
from spikingconvnet.errors import ModelError

STEPS = 120
LEAKY = {
    **{"tau_m": 15.0, "cm": 0.8, "v_rest": -64.0, "v_reset": -67.0, "v_thresh": -50.0},
    **{"tau_refrac": 2.5, "i_offset": 0.25, "tau_syn_E": 4.0, "tau_syn_I": 7.0, "v": -66.0},
}


def impulses(*events, size=1):
    """Give arrivals (steps, size) of weights at steps."""
    arrived = np.zeros((STEPS, size))
    for step, weight in events:
        arrived[step] += weight
    return arrived


def quiet(receptors=("excitatory", "inhibitory")):
    """Give no arrivals."""
    return {name: impulses() for name in receptors}


def after(step):
    """Give the time since a step, and whether it has been."""
    elapsed = np.arange(STEPS) - step
    return np.maximum(elapsed, 0), elapsed >= 0


def exponential(events, tau):
    """Sum up exponential currents, each with its mean over the first step."""
    total = np.zeros(STEPS)
    for step, weight in events:
        elapsed, on = after(step)
        total += on * weight * tau * (1 - np.exp(-1 / tau)) * np.exp(-elapsed / tau)
    return total


def membrane(current, p):
    """Give v of a leaky cell that never fires: a sum over all steps, not a recurrence."""
    leak = np.exp(-1 / p["tau_m"])
    goal = p["v_rest"] + p["tau_m"] / p["cm"] * (current + p["i_offset"])
    return np.array(
        [
            p["v"] * leak**n + sum((1 - leak) * goal[k] * leak ** (n - 1 - k) for k in range(n))
            for n in range(STEPS)
        ]
    )


def test_exponential_currents_in_float64():
    exc, inh = [(5, 0.5), (9, 0.25), (40, 0.5)], [(7, 0.25), (60, 0.5)]
    inputs = {"excitatory": impulses(*exc), "inhibitory": impulses(*inh)}
    got = simulate("IF_curr_exp", LEAKY, inputs, system=REAL)
    current = exponential(exc, 4.0) - exponential(inh, 7.0)
    assert not got.fired.any()
    assert got.gsyn_exc[:, 0] == pytest.approx(exponential(exc, 4.0), abs=1e-12)
    assert got.v[:, 0] == pytest.approx(membrane(current, LEAKY), abs=1e-9)


def test_alpha_current_in_float64():
    # For one spike I = w t / tau**2 exp(-t / tau); a second one starts anew with its own weight.
    inputs = quiet() | {"excitatory": impulses((5, 4.0), (50, 2.0))}
    got = simulate("IF_curr_alpha", LEAKY, inputs, system=REAL)
    elapsed, on = after(5)
    expected = on * 4.0 * elapsed / 16 * np.exp(-elapsed / 4)
    assert got.gsyn_exc[:50, 0] == pytest.approx(expected[:50], abs=1e-12)
    assert got.v[:50, 0] == pytest.approx(membrane(expected, LEAKY)[:50], abs=1e-9)


def test_delta_current_conductance_and_gate_in_float64():
    inputs = quiet() | {"excitatory": impulses((5, 3.0))}
    got = simulate("IFCurDelta", LEAKY, inputs, system=REAL)
    assert got.v[:, 0] == pytest.approx(membrane(impulses((5, 3.0))[:, 0], LEAKY), abs=1e-9)
    p = LEAKY | {"e_rev_E": 0.0, "e_rev_I": -80.0}
    got = simulate("IF_cond_exp", p, quiet() | {"inhibitory": impulses((5, 0.1))}, system=REAL)
    g = exponential([(5, 0.1)], 7.0)
    assert got.v[:, 0] == pytest.approx(membrane(g * (-80.0 - got.v[:, 0]), p), abs=1e-9)
    p = LEAKY | {"tau_syn_E2": 3.0, "scaling_factor": 1.5}
    three = MODELS["IF_curr_exp_sEMD"].receptors
    first, second = exponential([(5, 1.0)], 4.0), exponential([(9, 0.5)], 3.0)
    inputs = quiet(three) | {"excitatory": impulses((5, 1.0)), "excitatory2": impulses((9, 0.5))}
    got = simulate("IF_curr_exp_sEMD", p, inputs, system=REAL)
    gated = np.where(second >= 0.001, second * first[9] * 1.5, 0)
    assert got.gsyn_exc[:, 0] == pytest.approx(gated, abs=1e-4)


def test_threshold_refraction_and_adaptation():
    p = LEAKY | {"i_offset": 2.0, "tau_ca2": 30.0, "i_alpha": 0.5}
    plain = simulate("IF_curr_exp", p, quiet())
    tired = simulate("IFCurrExpCa2Adaptive", p, quiet())
    times = np.flatnonzero(plain.fired[:, 0])
    assert len(times) >= 5 and len(set(np.diff(times))) <= 2
    for time in times[:-1]:
        # Held for ceil(2.5) steps more.
        assert (plain.v[time + 1 : time + 5, 0] == -67.0).all() and plain.v[time + 5, 0] > -67.0
    assert tired.fired.argmax() == times[0] and 1 < tired.fired.sum() < plain.fired.sum()
    fewer = simulate("IF_curr_exp", p, quiet(), fired=np.zeros((STEPS, 1), bool))
    assert not fewer.fired.any() and fewer.v.max() > -50.0


def test_truncated_cells_sum_up_and_take_the_step_for_their_threshold():
    p = {"tau_m": 1.0, "cm": 1.0, "v_reset": 0.0, "v_thresh": 5.0, "tau_refrac": 1.0}
    p |= {"i_offset": 0.0, "v": 0.0}
    inputs = {
        "excitatory": impulses((3, 0.5), (6, 0.25), (9, 0.25)),
        "inhibitory": impulses((4, 9)),
    }
    got = simulate("IFTruncDelta", p, inputs)
    assert got.v[:, 0].tolist()[:11] == [0, 0, 0, 0, 0.5, 0, 0, 0.25, 0.25, 0.25, 0.5]
    inputs["excitatory"] *= 4
    assert np.flatnonzero(simulate("IFTruncDelta", p, inputs).fired[:, 0]).tolist() == [3, 6, 9]


@pytest.mark.parametrize("seed", range(3))
def test_fixed_point_stays_near_float64_and_near_the_other_reference(seed):
    rng = np.random.default_rng(seed)
    size = 6
    weights = rng.integers(1, 200, (2, size)) / 128
    trains = [
        [sorted({float(t) for t in rng.integers(0, 110, 8)}) for _ in range(size)] for _ in range(2)
    ]
    inputs, links = {}, []
    for name, row, times in zip(("excitatory", "inhibitory"), weights, trains, strict=True):
        inputs[name] = np.zeros((STEPS, size))
        for cell, train in enumerate(times):
            for time in train:
                inputs[name][int(time) + 2, cell] += row[cell]
        index = np.arange(size, dtype=np.int32)
        synapses = Connections(index, index, row, np.full(size, 2.0))
        links.append((from_lists(times), synapses, name))
    p = {key: value for key, value in LEAKY.items() if key != "v"}
    _, v = simulate_lif(p, size, links, STEPS)
    real = simulate("IF_curr_exp", p | {"v": -64.0}, inputs, system=REAL)
    assert real.v == pytest.approx(v, abs=1e-9)
    fixed = simulate("IF_curr_exp", p | {"v": -64.0}, inputs, system=FIXED, fired=real.fired)
    # Each product errs by one unit at most; R = 18.75, and the membrane sums up 15 steps.
    assert 0 < np.abs(fixed.v - real.v).max() <= 1000 * STEP


def test_izhikevich_follows_its_equation_in_small_steps():
    # The midpoint rule's error is of third order: a tenth of the step, less than a hundredth.
    p = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 6.0, "i_offset": 3.0, "v": -68.0, "u": -13.0}
    p |= {"tau_syn_E": 5.0, "tau_syn_I": 5.0}

    def run(step):
        inputs = {n: np.zeros((round(8 / step) + 1, 1)) for n in ("excitatory", "inhibitory")}
        return simulate("Izhikevich", p, inputs, timestep_ms=step, system=REAL).v[-1, 0]

    coarse, fine, exact = run(1.0), run(0.1), run(0.01)
    assert abs(coarse - exact) < 0.2 and abs(fine - exact) < abs(coarse - exact) / 50


def test_what_cannot_be_simulated():
    with pytest.raises(ModelError, match=r"model: 'HH_cond_exp' \(must be one of IF_curr_exp"):
        simulate("HH_cond_exp", LEAKY, quiet())
    with pytest.raises(ModelError, match=r"arriving: excitatory \(IF_curr_exp must have exc"):
        simulate("IF_curr_exp", LEAKY, quiet(["excitatory"]))
    with pytest.raises(ModelError, match=r"parameters: no 'tau_ca2' \(must have one"):
        simulate("IFCurrDeltaCa2Adaptive", LEAKY | {"i_alpha": 0.1}, quiet())
    with pytest.raises(ModelError, match=r"fired: None \(must say who fired: IFCondExpStoc"):
        simulate("IFCondExpStoc", LEAKY, quiet())
