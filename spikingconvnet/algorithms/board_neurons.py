"""The board's neuron models, step by step, in its fixed point or in float64.

Per step: what arrives is added to the synapses; v and the summed synaptic inputs are recorded; the
membrane moves; the threshold is looked at; the synapses decay. In `FIXED` each number is what a
core holds; in `REAL` the same equations have exact exponentials: for the leaky models they are the
closed form of a membrane whose input is constant during a step.
Sources: sPyNNaker 7.4.1, neural_modelling/src/neuron: implementations/neuron_impl_standard.h,
models/neuron_model_{lif,if_trunc,izh}*, synapse_types/*, input_types/*,
additional_inputs/additional_input_ca2_adaptive*, and the behaviour of its binaries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.fixed_point import FIXED, Fixed, Numbers, Real
from spikingconvnet.errors import ModelError

System = Fixed | Real
Parameters = Mapping[str, Numbers]
Inputs = dict[str, Numbers]

TIME_CONSTANTS = {
    "excitatory": "tau_syn_E",
    "excitatory2": "tau_syn_E2",
    "inhibitory": "tau_syn_I",
}

INITIAL_INPUTS = {
    "excitatory": "isyn_exc",
    "excitatory2": "isyn_exc2",
    "inhibitory": "isyn_inh",
}


def _initial(p: Parameters, receptors: list[str]) -> Inputs:
    return {name: p.get(INITIAL_INPUTS[name], 0 * p["dt"]) for name in receptors}


class _Exponential:
    """I <- I exp(-dt / tau); a spike adds w (tau / dt)(1 - exp(-dt / tau))."""

    def __init__(self, system: System, p: Parameters, receptors: list[str]) -> None:
        self.system = system
        self.current = _initial(p, receptors)
        self.decay, self.gain = {}, {}
        for name in receptors:
            tau = p[TIME_CONSTANTS[name]]
            self.decay[name] = system.decay(system.over(p["dt"], tau))
            self.gain[name] = system.mean_decay(self.decay[name], system.over(tau, p["dt"]))

    def add(self, name: str, weights: Numbers) -> None:
        self.current[name] = self.current[name] + self.system.decayed(weights, self.gain[name])

    def inputs(self) -> Inputs:
        return dict(self.current)

    def shape(self) -> None:
        for name, current in self.current.items():
            self.current[name] = self.system.decayed(current, self.decay[name])


class _Gated(_Exponential):
    """The sEMD: the second input times what the first was when the second began."""

    def __init__(self, system: System, p: Parameters, receptors: list[str]) -> None:
        super().__init__(system, p, receptors)
        # gcc cuts the constant 0.001 off.
        self.least, self.factor = system.number(32 / 2**15), p["scaling_factor"]
        self.gate, self.before = 0 * p["dt"], 0 * p["dt"]

    def inputs(self) -> Inputs:
        first, second = self.current["excitatory"], self.current["excitatory2"]
        begins = (second >= self.least) & (self.gate == 0) & (self.before == 0)
        self.gate = np.where(begins, first, np.where(second < self.least, 0, self.gate))
        self.before = second
        gated = self.system.times(self.gate, self.system.times(second, self.factor))
        return {"excitatory2": gated, "inhibitory": self.current["inhibitory"]}


class _Alpha:
    """I = L E: E decays, L grows by w dt / tau**2 a step; w is the last weight that arrived.

    For one spike this is w t / tau**2 exp(-t / tau). A spike adds 1 to E and rescales L.
    """

    def __init__(self, system: System, p: Parameters, receptors: list[str]) -> None:
        self.system, self.one = system, system.number(1.0)
        zero = 0 * p["dt"]
        self.linear, self.fading, self.weight = ({n: zero for n in receptors} for _ in range(3))
        self.decay, self.slope = {}, {}
        for name in receptors:
            tau = p[TIME_CONSTANTS[name]]
            self.decay[name] = system.decay(system.over(p["dt"], tau))
            self.slope[name] = system.over(p["dt"], system.times(tau, tau))

    def add(self, name: str, weights: Numbers) -> None:
        system, came = self.system, weights > 0
        fading = system.decayed(self.fading[name], self.decay[name]) + self.one
        grown = self.linear[name] + system.times(weights, self.slope[name])
        linear = system.times(grown, self.one - system.over(self.one, fading))
        self.weight[name] = np.where(came, weights, self.weight[name])
        self.fading[name] = np.where(came, fading, self.fading[name])
        self.linear[name] = np.where(came, linear, self.linear[name])

    def inputs(self) -> Inputs:
        return {n: self.system.times(self.linear[n], self.fading[n]) for n in self.linear}

    def shape(self) -> None:
        for name, linear in self.linear.items():
            grown = self.system.times(self.weight[name], self.slope[name])
            self.linear[name] = linear + grown
            self.fading[name] = self.system.decayed(self.fading[name], self.decay[name])


class _Delta:
    """The whole weight is the input of one step."""

    def __init__(self, system: System, p: Parameters, receptors: list[str]) -> None:
        self.zero = 0 * p["dt"]
        self.current = _initial(p, receptors)

    def add(self, name: str, weights: Numbers) -> None:
        self.current[name] = self.current[name] + weights

    def inputs(self) -> Inputs:
        return dict(self.current)

    def shape(self) -> None:
        self.current = {name: self.zero for name in self.current}


class _Leaky:
    """v <- a - (a - v) exp(-dt / tau_m), a = v_rest + I tau_m / cm; silent for tau_refrac."""

    def __init__(self, system: System, p: Parameters) -> None:
        self.system, self.p, self.v = system, p, p["v"]
        self.resistance = system.over(p["tau_m"], p["cm"])
        self.hold = system.ceiling(system.over(p["tau_refrac"], p["dt"]))
        self.waiting = 0 * self.hold
        self.prepare()

    def prepare(self) -> None:
        self.leak = self.system.exp(-self.system.over(self.p["dt"], self.p["tau_m"]))

    def moved(self, current: Numbers) -> Numbers:
        goal = self.system.times(current, self.resistance) + self.p["v_rest"]
        return goal - self.system.times(self.leak, goal - self.v)

    def update(self, current: Numbers) -> NDArray[np.bool_]:
        """Move v; tell who reached the threshold."""
        self.v = np.where(self.waiting > 0, self.v, self.moved(current))
        self.waiting = np.maximum(self.waiting - 1, 0)
        return self.v >= self.p["v_thresh"]

    def fire(self, fired: NDArray[np.bool_]) -> None:
        self.v = np.where(fired, self.p["v_reset"], self.v)
        self.waiting = np.where(fired, self.hold, self.waiting)


class _Truncated(_Leaky):
    """v <- max(v + I tau_m / cm, v_reset): no leak. The threshold is the time step (1 ms: 1 mV).

    sPyNNaker 7.4.1 writes one parameter that this binary was not built to read (the time step of
    its input), which therefore stands where v_thresh is read, and v_thresh where the first inputs
    are. With v_thresh = 1 and steps of 1 ms nobody notices.
    """

    def prepare(self) -> None:
        self.p = {**self.p, "v_thresh": self.p["dt"]}

    def moved(self, current: Numbers) -> Numbers:
        v = self.system.times(current, self.resistance) + self.v
        return np.maximum(v, self.p["v_reset"])


class _Izhikevich:
    """dv = q v**2 + 5 v + 140 - u + I, du = a (b v - u), by the midpoint rule; fires at 30 mV.

    q is 1311 / 2**15, a little above 0.04. The step after a spike is 1.85 times as long.
    """

    def __init__(self, system: System, p: Parameters) -> None:
        self.system, self.p, self.v, self.u = system, p, p["v"], p["u"]
        self.square, self.five, self.constant, self.threshold = (
            system.number(x) for x in (1311 / 2**15, 5.0, 140.0, 30.0)
        )
        self.usual = p["dt"]
        # gcc cuts the constant 1.85 off, and takes h (b v - u) a as (a h) (b v - u).
        self.long = system.times(p["dt"], system.number(60620 / 2**15))
        self.next = self.usual

    def update(self, current: Numbers) -> NDArray[np.bool_]:
        """Move v and u; tell who reached the threshold."""
        times, h, v, u = self.system.times, self.next, self.v, self.u
        a, b = self.p["a"], self.p["b"]
        rest = self.constant + current - u
        slope = rest + times(self.five + times(self.square, v), v)
        middle = v + self.half(times(h, slope))
        beta = self.half(times(times(a, h), times(b, v) - u))
        self.v = v + times(h, rest - beta + times(self.five + times(self.square, middle), middle))
        self.u = u + times(times(a, h), times(b, middle) - u - beta)
        self.next = self.usual
        return self.v >= self.threshold

    def half(self, a: Numbers) -> Numbers:
        return self.system.times(a, self.system.number(0.5))

    def fire(self, fired: NDArray[np.bool_]) -> None:
        self.v = np.where(fired, self.p["c"], self.v)
        self.u = np.where(fired, self.u + self.p["d"], self.u)
        self.next = np.where(fired, self.long, self.usual)


@dataclass(frozen=True)
class Parts:
    """Name what a neuron model is made of."""

    synapse: Callable[[System, Parameters, list[str]], Any]
    membrane: Callable[[System, Parameters], Any]
    conductance: bool = False
    """Inputs are conductances: the current is g (e_rev - v)."""
    adapts: bool = False
    """A current decays with tau_ca2, grows by i_alpha a spike, and inhibits."""
    receptors: tuple[str, ...] = ("excitatory", "inhibitory")
    draws: bool = False
    """Whether to fire is drawn: `fired` must be given."""


_THREE = ("excitatory", "excitatory2", "inhibitory")
MODELS = {
    "IF_curr_exp": Parts(_Exponential, _Leaky),
    "IF_curr_dual_exp": Parts(_Exponential, _Leaky, receptors=_THREE),
    "IF_curr_exp_sEMD": Parts(_Gated, _Leaky, receptors=_THREE),
    "IFCurrExpCa2Adaptive": Parts(_Exponential, _Leaky, adapts=True),
    "IF_curr_alpha": Parts(_Alpha, _Leaky),
    "IFCurDelta": Parts(_Delta, _Leaky),
    "IFCurrDeltaCa2Adaptive": Parts(_Delta, _Leaky, adapts=True),
    "IFTruncDelta": Parts(_Delta, _Truncated),
    "IF_cond_exp": Parts(_Exponential, _Leaky, conductance=True),
    "Izhikevich": Parts(_Exponential, _Izhikevich),
    "Izhikevich_cond": Parts(_Exponential, _Izhikevich, conductance=True),
    "Izhikevich_cond_dual": Parts(_Exponential, _Izhikevich, conductance=True, receptors=_THREE),
    "IFCurrDeltaFixedProb": Parts(_Delta, _Leaky, draws=True),
    "IFCondExpStoc": Parts(_Exponential, _Leaky, conductance=True, draws=True),
}
"""Model by its name in sPyNNaker -> its parts."""


@dataclass(frozen=True)
class Course:
    """Hold what neurons did: values (steps, size) as recorded, in mV and nA or uS; who fired."""

    v: NDArray[np.float64]
    gsyn_exc: NDArray[np.float64]
    gsyn_inh: NDArray[np.float64]
    fired: NDArray[np.bool_]
    reached: NDArray[np.float64]
    """v when the threshold was looked at."""


def simulate(
    model: str,
    parameters: Mapping[str, ArrayLike],
    arriving: Mapping[str, NDArray[np.float64]],
    *,
    timestep_ms: float = 1.0,
    system: System = FIXED,
    fired: NDArray[np.bool_] | None = None,
) -> Course:
    """Return the course of neurons of a deterministic model.

    model: a key of `MODELS`. parameters: by PyNN name, with the initial v (and u), numbers or
    (size,). arriving: receptor -> summed weights (steps, size), nA or uS, that act in each step,
    in multiples of what the board's weights resolve. `fired` (steps, size) says who fires, instead
    of the thresholds: to compare with a run whose spikes rounding may shift. Raises ModelError for
    an unknown model and for what is missing. Compared with the board at steps of 1 ms.
    """
    parts = _parts(model, arriving, fired)
    steps, size = next(iter(arriving.values())).shape
    p = _Given({k: system.number(np.broadcast_to(x, size)) for k, x in parameters.items()})
    p["dt"] = system.number(np.full(size, timestep_ms))
    synapse, membrane = parts.synapse(system, p, list(parts.receptors)), parts.membrane(system, p)
    adaptation = _Adaptation(system, p) if parts.adapts else None
    scale = system.conductance if parts.conductance else 1
    weights = {name: system.number(arriving[name] * scale) for name in parts.receptors}
    record, spikes = np.zeros((4, steps, size)), np.zeros((steps, size), bool)
    for step in range(steps):
        for name in parts.receptors:
            synapse.add(name, weights[name][step])
        inputs = synapse.inputs()
        if parts.conductance:
            inputs = {name: system.unscaled(x) for name, x in inputs.items()}
        record[:3, step] = [system.value(x) for x in (membrane.v, *_sides(inputs))]
        if parts.conductance:
            inputs = _currents(system, p, inputs, membrane.v)
        exc, inh = _sides(inputs)
        current = exc - inh + p["i_offset"]
        reached = membrane.update(current - adaptation.current() if adaptation else current)
        record[3, step] = system.value(membrane.v)
        spikes[step] = reached if fired is None else fired[step]
        membrane.fire(spikes[step])
        if adaptation:
            adaptation.fire(spikes[step])
        synapse.shape()
    return Course(record[0], record[1], record[2], spikes, record[3])


class _Given(dict[str, Numbers]):
    """Parameters; one that is not there is a ModelError."""

    def __missing__(self, name: str) -> Numbers:
        raise ModelError(f"parameters: no {name!r} (must have one: {', '.join(self)} are there)")


def _parts(
    model: str, arriving: Mapping[str, NDArray[np.float64]], fired: NDArray[np.bool_] | None
) -> Parts:
    """Return what a model is made of; check what it is given."""
    parts = MODELS.get(model)
    if parts is None:
        raise ModelError(f"model: {model!r} (must be one of {', '.join(MODELS)})")
    if set(arriving) != set(parts.receptors):
        raise ModelError(
            f"arriving: {', '.join(arriving)} ({model} must have {', '.join(parts.receptors)})"
        )
    if parts.draws and fired is None:
        raise ModelError(f"fired: None (must say who fired: {model} draws it)")
    return parts


def _sides(inputs: Inputs) -> tuple[Numbers, Numbers]:
    """Return the sums over excitatory and over inhibitory receptors."""
    excitatory = [x for name, x in inputs.items() if name != "inhibitory"]
    return sum(excitatory[1:], start=excitatory[0]), inputs["inhibitory"]


def _currents(system: System, p: Parameters, inputs: Inputs, v: Numbers) -> Inputs:
    """Return g (e_rev - v); the inhibitory current counts outwards."""
    result = {}
    for name, g in inputs.items():
        inhibits = name == "inhibitory"
        drive = p["e_rev_I" if inhibits else "e_rev_E"] - v
        result[name] = system.times(-g if inhibits else g, drive)
    return result


class _Adaptation:
    """I_ca <- I_ca exp(-dt / tau_ca2); a spike adds i_alpha."""

    def __init__(self, system: System, p: Parameters) -> None:
        self.system, self.calcium, self.alpha = system, 0 * p["dt"], p["i_alpha"]
        self.decay = system.exp(-system.over(p["dt"], p["tau_ca2"]))

    def current(self) -> Numbers:
        """Decay; return the current, which inhibits."""
        self.calcium = self.system.times(self.calcium, self.decay)
        return self.calcium

    def fire(self, fired: NDArray[np.bool_]) -> None:
        self.calcium = np.where(fired, self.calcium + self.alpha, self.calcium)
