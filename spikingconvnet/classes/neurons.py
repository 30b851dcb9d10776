"""Neuron parameters, spelled as PyNN spells them, and the table of the 2018 program."""

import math
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from spikingconvnet.errors import ModelError


def check_number(
    owner: str, name: str, value: Any, *, above: float | None = None, least: float | None = None
) -> None:
    """Raise a ModelError unless `value` is a finite number above or not below a bound."""
    bound = "a finite number"
    bound = f"above {above:g}" if above is not None else bound
    bound = f"at least {least:g}" if least is not None else bound
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    good = number and math.isfinite(value)
    good = good and (above is None or value > above) and (least is None or value >= least)
    if not good:
        raise ModelError(f"{owner}.{name}: {value!r} (must be {bound})")


@dataclass(frozen=True)
class IFCurrExp:
    """Describe PyNN's IF_curr_exp: leaky integration of exponentially decaying currents.

    ``tau_m dv/dt = v_rest - v + (tau_m / cm) I``; a spike at ``v >= v_thresh`` sets v to v_reset
    for tau_refrac. cm in nF, tau_* in ms, v_* in mV, i_offset in nA.
    """

    cm: float = 1.0
    tau_m: float = 20.0
    tau_refrac: float = 0.1
    tau_syn_E: float = 5.0
    tau_syn_I: float = 5.0
    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    i_offset: float = 0.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("cm", "tau_m", "tau_syn_E", "tau_syn_I"):
            check_number("IFCurrExp", name, getattr(self, name), above=0)
        check_number("IFCurrExp", "tau_refrac", self.tau_refrac, least=0)
        for name in ("v_rest", "v_reset", "v_thresh", "i_offset"):
            check_number("IFCurrExp", name, getattr(self, name))
        if not self.v_thresh > max(self.v_rest, self.v_reset):
            raise ModelError(
                f"IFCurrExp.v_thresh: {self.v_thresh} (must be above v_rest {self.v_rest} "
                f"and v_reset {self.v_reset})"
            )

    def as_pynn(self) -> dict[str, float]:
        """Return the parameters by PyNN name, as ``sim.IF_curr_exp(**…)`` takes them."""
        return asdict(self)


@dataclass(frozen=True)
class LayerNeurons:
    """Pair the neuron a layer is trained with and the one it is run with (`rebuild` in 2018)."""

    train: IFCurrExp
    rebuild: IFCurrExp


def _neuron_2018(tau_m: float, v_thresh: float, tau_refrac: float, cm: float) -> IFCurrExp:
    return IFCurrExp(cm=cm, tau_m=tau_m, tau_refrac=tau_refrac, v_thresh=v_thresh)


# Source: the 2018 program's constants for layers 1 to 3. A training neuron that fired stays
# refractory for many windows, so that the others get their turn.
NEURONS_2018 = MappingProxyType(
    {
        1: LayerNeurons(_neuron_2018(10, -5, 2060, 0.5), _neuron_2018(10, -10, 1, 0.5)),
        2: LayerNeurons(_neuron_2018(10, -40, 660, 0.3), _neuron_2018(10, -40, 3, 0.3)),
        3: LayerNeurons(_neuron_2018(5, -35, 200, 0.3), _neuron_2018(5, -50, 5, 0.5)),
    }
)

# Fires one step after any input spike of 20 nA (24 mV in one step), and for each spike once.
POOL_NEURON = IFCurrExp(cm=0.5, tau_m=10.0, tau_refrac=3.0, tau_syn_E=1.0, tau_syn_I=1.0)
