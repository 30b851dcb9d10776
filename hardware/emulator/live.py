"""Which programs of the toolchain talk to the host while they run.

A core's first user word points to its data: `magic, version : u32`, then for each region
`pointer, checksum, words : u32`. Source: SpiNNFrontEndCommon `data_specification.h`,
`reverse_iptag_multicast_source.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from .chip import Chip, vcpu

_NAME, _NAME_LETTERS, _USER0 = 72, 15, 112
_MAGIC: Final = 0xAD130AD6
_REGIONS, _REGION_SIZE = 8, 12
_CONFIGURATION: Final = 1
_BUFFER_SIZE: Final = 4 * 7
"""Of the configuration: bytes of spikes that the source brings with it, 0 for one that has none."""


def _always(chip: Chip, core: int) -> bool:
    return True


def _has_no_spikes_of_its_own(chip: Chip, core: int) -> bool:
    """Tell a SpikeInjector from a SpikeSourceArray, which is the same program."""
    data = chip.memory.u32(vcpu(core) + _USER0)
    try:
        if chip.memory.u32(data) != _MAGIC:
            return False
        configuration = chip.memory.u32(data + _REGIONS + _REGION_SIZE * _CONFIGURATION)
        return chip.memory.u32(configuration + _BUFFER_SIZE) == 0
    except ValueError:  # no memory there: another program of this name
        return False


_TALKERS: Final[dict[str, Callable[[Chip, int], bool]]] = {
    "live_packet_gather": _always,
    "reverse_iptag_multicast_source": _has_no_spikes_of_its_own,
}


def talk_to_host(chips: Iterable[Chip]) -> bool:
    """Tell whether spikes may come from the host, or go there, while the chips' programs run."""
    talkers = {name[:_NAME_LETTERS].encode(): test for name, test in _TALKERS.items()}
    for chip in chips:
        for core, application in enumerate(chip.applications):
            if not application:
                continue
            name = chip.memory.read(vcpu(core) + _NAME, _NAME_LETTERS + 1).split(b"\0")[0]
            test = talkers.get(name[:_NAME_LETTERS])
            if test is not None and test(chip, core):
                return True
    return False
