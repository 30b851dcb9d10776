"""What a core's fast memory (DTCM) must hold: the sections of its binary, and what it allocates.

Nothing in sPyNNaker tells it, so it is added up here from the sizes of the blocks on the heap of
sPyNNaker 7.4.1's binaries. A test holds the sums to the heaps of running cores.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikingconvnet.algorithms import board_kernels
from spikingconvnet.classes.deployed_parts import Deployment, Kernels, Link, Part

BYTES = 2**16
STACK_BYTES = 2**11
"""Kept free for the stack (STACK_SIZE of spinnaker_tools' sark.lnk)."""
BLOCK = 8
"""Head of a block on the heap (block_t of spinnaker_tools' sark_alloc.c)."""
HEAP_HEAD = 16 + 2 * BLOCK


@dataclass(frozen=True)
class _Program:
    """Describe a binary: bytes of data and of zeros in its APLX file, and of a neuron's records."""

    name: str
    sections: int
    state: int
    input: int


LISTS = _Program("IF_trunc_delta", 0xF0 + 0x97C, 24, 8)
KERNELS = _Program("IF_curr_exp_conv", 0xF0 + 0x8D8, 32, 24)
_ALWAYS = (1168, 448, 96, 8, 72, 12, 12, 24, 4, 4, 8, 8, 8, 8)
"""Queues of the event system, tables of recording, provenance and the like."""
_SPIKES, _ROWS = 1040, (1032, 1032)
"""The queue of spikes that came in (256), and two buffers for rows of synapses."""


def largest(plan: Deployment) -> dict[str, int]:
    """Return the bytes that a core of each part with neurons needs at most."""
    parts = {part.name: part for part in plan.parts}
    return {
        name: _core(part, plan, parts) for name, part in parts.items() if part.v_reset is not None
    }


def _core(part: Part, plan: Deployment, parts: dict[str, Part]) -> int:
    program = KERNELS if part.grid else LISTS
    links = [link for link in plan.links if link.post == part.name]
    kernels = [each for each in plan.kernels if each.post == part.name]
    neurons = min(max(part.sizes), part.per_core)
    delays = [int(link.connections.delay.max(initial=1)) for link in links]
    delays += [each.delay for each in kernels]
    blocks = [*_ALWAYS, _SPIKES, *_of_neurons(part, program, neurons)]
    blocks.append(2 * _ring_slots(neurons, max(delays, default=1)))
    blocks += _of_kernels(kernels, part) if part.grid else _of_lists(links, part, parts)
    heap = sum(BLOCK + -(-size // 4) * 4 for size in blocks)
    return program.sections + HEAP_HEAD + heap + STACK_BYTES


def _of_neurons(part: Part, program: _Program, neurons: int) -> Iterator[int]:
    """Yield the blocks that grow with the neurons, and that of what is recorded of them."""
    yield from (4 * neurons, 4 * neurons, program.state * neurons, program.input * neurons)
    yield from [2 * neurons] * 4
    yield 4 * (neurons + 2) if part.answers else 4 * (1 + -(-neurons // 32))


def _ring_slots(neurons: int, longest: int) -> int:
    """Return the sums of weights, of 16 bits, for two receptors and each step of delay."""
    return int(2 * 2 ** np.ceil(np.log2(neurons)) * 2 ** max(1, np.ceil(np.log2(longest))))


def _of_lists(links: list[Link], part: Part, parts: dict[str, Part]) -> Iterator[int]:
    """Yield the table of rows by source, and a bit for each neuron of a source that has one."""
    entries = np.zeros(len(part.sizes), np.int64)
    projections, filters = entries.copy(), entries.copy()
    met: set[tuple[str, int, int]] = set()
    for link in links:
        pre = parts[link.pre]
        one, other = pre.place(link.connections.pre)[0], part.place(link.connections.post)[0]
        for pair in np.unique(one * len(part.sizes) + other).tolist():
            source, target = divmod(pair, len(part.sizes))
            projections[target] += 1
            if (link.pre, source, target) not in met:
                met.add((link.pre, source, target))
                entries[target] += 1
                filters[target] += BLOCK + 4 * -(-pre.sizes[source] // 32)
    most = int(np.argmax(24 * entries + 4 * projections + filters))
    yield from _ROWS
    yield from (20 * int(entries[most]), 4 * int(projections[most]), 4 * int(entries[most]))
    yield int(filters[most])


def _of_kernels(kernels: list[Kernels], part: Part) -> Iterator[int]:
    """Yield the tables of sources and of connectors, and the kernels themselves."""
    sources: set[str] = set()
    extra = projections = weights = 0
    for each in kernels:
        # A kernel of zeros is not sent: a map of the layer below that it does not see.
        seen = max(1, int(each.kernels.any(axis=(2, 3)).sum(axis=1).max()))
        size = each.kernels.shape[2] * each.kernels.shape[3]
        if each.everywhere:
            size = board_kernels.everywhere(part.shape[:2], 1.0)[0].size
        sources.add(each.pre)
        extra += seen - 1
        projections += seen
        weights += seen * 2 * size
    yield from (24 + 40 * (len(sources) + extra), 36 * projections, weights)
