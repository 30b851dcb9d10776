"""What each core did in a tick, against what a real core has time for.

On this board work takes no time. A real core runs at 200 MHz and executes at most one instruction
a cycle, so a tick of 1 ms with more than 200,000 instructions would overrun there for certain.
Waiting for memory and branches add to that; they are not counted, so less is no promise. Where
timing is enforced, a tick has overrun if the core did not wait for interrupt in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .chip import Chip, vcpu


@dataclass(frozen=True)
class CoreAccount:
    """One program on one core: its ticks, and what the busiest of them held."""

    x: int
    y: int
    core: int
    program: str
    ticks: int
    overruns: int
    period_cycles: int
    mean_instructions: float
    most_instructions: int
    most_dma_bytes: int
    most_packets: int

    def as_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        return asdict(self)


def take(core: Any, chip: Chip, number: int) -> CoreAccount | None:
    """Read the account of a core's program; None when it has not used its timer."""
    state = core.core_state(chip.index, number)
    if not state["ticks"]:
        return None
    name = chip.memory.read(vcpu(number) + 72, 16).split(b"\0")[0].decode("latin-1")
    return CoreAccount(
        *chip.xy,
        number,
        name,
        state["ticks"],
        state["overruns"],
        state["period_cycles"],
        state["total_instructions"] / state["ticks"],
        state["most_instructions"],
        state["most_dma_bytes"],
        state["most_packets"],
    )
