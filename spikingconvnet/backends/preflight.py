"""What a deployment will need of a board, told, and refused if too much, before anything is loaded.

Cores are exact for sPyNNaker 7.4.1. SDRAM follows its layout of synapses and recordings and errs by
some per cent; the test that maps networks holds it to that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.board_layers import RING_BITS, ring_resolution
from spikingconvnet.backends import dtcm
from spikingconvnet.classes.deployed_parts import (
    CLEAR,
    NEURONS_PER_CORE,
    SOURCE,
    Deployment,
    Link,
    Part,
    pieces,
)
from spikingconvnet.errors import UsageError

WORD = 4
HEADER_WORDS = 3
"""Of a row of synapses (sPyNNaker's synapse_row.h)."""
CORE_BYTES, NEURON_BYTES, GRID_NEURON_BYTES = 1500, 425, 530
"""Of a core, of each of its neurons, and of those that on-chip convolution connects, beside
synapses (measured on what sPyNNaker 7.4.1 maps)."""
DELAY_BITS = 14
"""Neurons, receptors and steps that share the ring buffers (sPyNNaker's synapses.c)."""
IDLE_CHIP_W, ACTIVE_CORE_W, PACKET_J = 0.35, 0.034, 1e-9
"""Of a SpiNNaker chip at rest, a core at work, a packet in a router (SpiNNMachine 7.4.1)."""


@dataclass(frozen=True)
class Room:
    """Tell what a board has: chips, cores for programs, bytes of SDRAM on a chip."""

    version: int
    chips: int
    cores: int
    sdram: int


@dataclass(frozen=True)
class Bill:
    """Tell what a deployment needs; cores_by_part names layers; shares are of all weights."""

    neurons: int
    synapses: int
    cores: int
    chips: int
    boards: int
    sdram_bytes: int
    largest_core_bytes: int
    dtcm_by_part: dict[str, int]
    fan_in: dict[str, int]
    cores_by_part: dict[str, int]
    rounded_to_zero: float
    saturated: float
    extended_delays: int
    run_ms: int
    energy_j: float

    def as_text(self) -> str:
        """Return one line per need."""
        fan_in = ", ".join(f"{name} {count:,}" for name, count in self.fan_in.items())
        cores = ", ".join(f"{name} {count:,}" for name, count in self.cores_by_part.items())
        fast = ", ".join(f"{name} {n / 2**10:.1f}" for name, n in self.dtcm_by_part.items())
        fullest = max(self.dtcm_by_part.values()) / 2**10
        return "\n".join(
            (
                f"  neurons     {self.neurons:>12,}",
                f"  synapses    {self.synapses:>12,}",
                f"  cores       {self.cores:>12,}  ({cores})",
                f"  chips       {self.chips:>12,}  boards {self.boards:,}",
                f"  SDRAM       {self.sdram_bytes / 2**20:>12,.1f}  MiB, at most "
                f"{self.largest_core_bytes / 2**20:,.2f} MiB for a core",
                f"  DTCM        {fullest:>12.1f}  KiB at most for a core, of "
                f"{dtcm.BYTES // 2**10}  ({fast})",
                f"  fan-in      {max(self.fan_in.values()):>12,}  ({fan_in})",
                f"  weights     {self.rounded_to_zero:>12.2%}  rounded to zero, "
                f"{self.saturated:.2%} above what 16 bits hold",
                f"  delays      {self.extended_delays:>12,}  projections that need an extra core",
                f"  run time    {self.run_ms / 1000:>12,.1f}  s in real time on a board",
                f"  energy      {self.energy_j:>12,.1f}  J (estimate from published constants: "
                "chips at rest and cores at work, not metered)",
            )
        )


def room(version: int, boards: int = 1) -> Room:
    """Return what a machine has for programs, beside sPyNNaker's own monitors."""
    from spikingconvnet.hardware.emulator.layout import load_layout

    layout = load_layout(version, boards)
    # The monitor, one more core of each chip that speeds up the link, and one of each board.
    cores = sum(count - 2 for count in layout.cores.values()) - len(layout.ethernets)
    return Room(version, len(layout.cores), cores, layout.sdram)


def bill(plan: Deployment, images: int, version: int) -> Bill:
    """Return what showing so many images needs on boards of a version."""
    parts = {part.name: part for part in plan.parts}
    run_ms = plan.duration_ms(images)
    cores = {part.name: _cores(part) for part in plan.parts}
    memory = {part.name: np.full(cores[part.name], _own(part, run_ms)) for part in plan.parts}
    for link in plan.links:
        _add_rows(memory[link.post], link, parts[link.pre], parts[link.post])
    has, used = room(version), sum(cores.values())
    chips = -(-used * has.chips // has.cores)
    largest = max(int(each.max()) for each in memory.values())
    return Bill(
        neurons=plan.neurons,
        synapses=plan.synapses,
        cores=used,
        chips=chips,
        boards=-(-used // has.cores),
        sdram_bytes=int(sum(each.sum() for each in memory.values())),
        largest_core_bytes=largest,
        dtcm_by_part=dtcm.largest(plan),
        fan_in=_fan_in(plan, parts),
        cores_by_part=cores,
        **_weights(plan, parts),
        extended_delays=sum(_extended(link, parts[link.post]) for link in plan.links),
        run_ms=run_ms,
        energy_j=run_ms / 1000 * (chips * IDLE_CHIP_W + used * ACTIVE_CORE_W),
    )


def quantised(needs: Bill) -> dict[str, int]:
    """Return how many weights become 0 in the board's 16 bits, or are larger than these hold."""
    shares = {"zeroed": needs.rounded_to_zero, "clipped": needs.saturated}
    return {what: round(share * needs.synapses) for what, share in shares.items()}


def refuse(plan: Deployment, needs: Bill, version: int) -> None:
    """Raise UsageError, naming the layer and the smallest change that fits, if it does not fit."""
    problem = next(_problems(plan, needs, room(version)), None)
    if problem:
        raise UsageError(f"{plan.name} on SpiNN-{version}: {problem}; nothing was loaded")


def _problems(plan: Deployment, needs: Bill, has: Room) -> Iterator[str]:
    if needs.cores > has.cores:
        name = max(needs.cores_by_part, key=lambda part: needs.cores_by_part[part])
        yield (
            f"{name} takes {needs.cores_by_part[name]:,} of {needs.cores:,} cores (must be "
            f"{has.cores:,} at most; {_smaller(plan, needs, has, name)})"
        )
    if needs.sdram_bytes > has.sdram * has.chips:
        yield (
            f"{needs.sdram_bytes / 2**20:,.0f} MiB of SDRAM (must be "
            f"{has.sdram * has.chips / 2**20:,.0f} at most; fewer --images fit)"
        )
    for name, count in needs.dtcm_by_part.items():
        if count > dtcm.BYTES:
            yield (
                f"{name}: {count / 2**10:,.1f} KiB of fast memory for a core (must be "
                f"{dtcm.BYTES // 2**10} at most; fewer units, maps or inputs of the layer fit)"
            )


def _smaller(plan: Deployment, needs: Bill, has: Room, name: str) -> str:
    """Say what would fit: a larger board, or fewer maps in the layer that takes most."""
    options = []
    if has.version == 3 and needs.cores <= room(5).cores:
        options.append(f"--board-version 5 has {room(5).cores:,}")
    by_name = {part.name: part for part in plan.parts}
    number, chain = name.partition(" ")[2], [by_name[name]]
    chain += [part for part in plan.parts if part.name in (f"pool {number}", f"conv {number}")]
    chain = list({part.name: part for part in chain}.values())
    others = needs.cores - sum(needs.cores_by_part[part.name] for part in chain)
    for maps in range(chain[0].shape[2] - 1, 0, -1):
        if others + sum(_with_maps(part, maps) for part in chain) <= has.cores:
            options.append(f"layers.{int(number) - 1}.maps={maps} fits")
            break
    return ", ".join(options) or "a larger stride, or a smaller image, is needed"


def _with_maps(part: Part, maps: int) -> int:
    positions = part.shape[0] * part.shape[1]
    if part.grid:
        return maps * -(-positions // part.per_core)
    if part.piece is None:
        return -(-positions * maps // NEURONS_PER_CORE)
    return -(-positions // max(NEURONS_PER_CORE // maps, 1))


def _cores(part: Part) -> int:
    return sum(-(-size // part.per_core) for size in part.sizes)


def _add_rows(memory: NDArray[np.int64], link: Link, pre: Part, post: Part) -> None:
    """Add the rows of synapses of a link to the memory of the cores of its target."""
    cores = -(-np.array(post.sizes) // NEURONS_PER_CORE)
    firsts = np.cumsum(cores) - cores
    for one, other, found in pieces(link, pre, post):
        rows, count, first = pre.sizes[one], int(cores[other]), int(firsts[other])
        core = found.post // NEURONS_PER_CORE
        longest = np.bincount(found.pre * count + core, minlength=rows * count).max()
        memory[first : first + count] += rows * (HEADER_WORDS + int(longest)) * WORD


def _own(part: Part, run_ms: int) -> int:
    """Return the memory of a core beside synapses; it records a bit or a word for each neuron."""
    if part.name in (SOURCE, CLEAR):
        return 0
    neurons = min(max(part.sizes), part.per_core)
    words = neurons if part.answers else -(-neurons // 32)
    each = GRID_NEURON_BYTES if part.grid else NEURON_BYTES
    return CORE_BYTES + neurons * each + run_ms * (words + 1) * WORD


def _fan_in(plan: Deployment, parts: dict[str, Part]) -> dict[str, int]:
    totals = {name: np.zeros(part.size, np.int64) for name, part in parts.items()}
    for link in plan.links:
        totals[link.post] += np.bincount(link.connections.post, minlength=parts[link.post].size)
    for each in plan.kernels:
        totals[each.post] += -(-each.synapses // parts[each.post].size)
    return {name: int(total.max()) for name, total in totals.items() if total.any()}


def _weights(plan: Deployment, parts: dict[str, Part]) -> dict[str, float]:
    zero = full = 0
    for link in plan.links:
        step = ring_resolution(parts[link.post].most[link.receptor == "inhibitory"])
        steps = np.rint(link.connections.weight / step)
        zero += int(np.sum((steps == 0) & (link.connections.weight > 0)))
        full += int(np.sum(steps >= 2**RING_BITS))
    total = max(plan.synapses, 1)
    return {"rounded_to_zero": zero / total, "saturated": full / total}


def _extended(link: Link, post: Part) -> bool:
    """Tell whether a link has delays of more steps than the ring buffers of its target hold."""
    neurons = min(max(post.sizes), post.per_core)
    bits = int(np.ceil(np.log2(max(neurons, 2)))) + 1  # two receptors
    return bool(link.connections.delay.max(initial=0) > 2 ** (DELAY_BITS - bits))
