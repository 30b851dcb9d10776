"""The boot ROM: takes the image of the firmware, before there is a monitor to talk to.

A packet is the protocol's version (1) as u16, then an operation and three arguments as u32, then
up to 256 words of data, all of it big-endian:

    1, 0, 0, blocks - 1                start: an image of up to 32 blocks follows
    3, 255 << 8 | block, 0, 0, data    one block; only the last may be short
    5, 1, 0, 0                         run the image

Nothing is ever answered. Source: spinnaker_tools `tools/SpiNN/Boot.pm`.
"""

from __future__ import annotations

import logging
import struct
from typing import Final

logger = logging.getLogger(__name__)

_HEADER: Final = struct.Struct(">H4I")
_PROTOCOL: Final = 1
_START, _BLOCK, _CONTROL, _RUN = 1, 3, 5, 1
_BLOCK_SIZE: Final = 1024
_MOST_BLOCKS: Final = 32
_NAME: Final = b"SC&MP/SpiNNaker\0"
_VERSION_SIZE: Final = 16


class BootRom:
    """Collects an image; packets may be repeated and come in any order between start and run."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytes] = {}
        self._count = 0

    def handle(self, packet: bytes) -> bytes | None:
        """Take a packet; give the image when all of it has come and is to be run."""
        if len(packet) < _HEADER.size:
            return None
        protocol, operation, first, _, third = _HEADER.unpack_from(packet)
        data = packet[_HEADER.size :]
        if protocol != _PROTOCOL:
            return None
        if operation == _START and third < _MOST_BLOCKS:
            self._blocks, self._count = {}, third + 1
        elif operation == _BLOCK:
            self._take(first & 0xFF, data)
        elif operation == _CONTROL and first == _RUN and 0 < self._count == len(self._blocks):
            return b"".join(self._blocks[number] for number in range(self._count))
        return None

    def _take(self, number: int, data: bytes) -> None:
        last = number == self._count - 1
        size_is_right = 0 < len(data) <= _BLOCK_SIZE if last else len(data) == _BLOCK_SIZE
        if number < self._count and size_is_right and len(data) % 4 == 0:
            words = len(data) // 4
            self._blocks[number] = struct.pack(f"<{words}I", *struct.unpack(f">{words}I", data))


class SilentRom(BootRom):
    """Hears nothing: the ROM of a board without power."""

    def handle(self, packet: bytes) -> bytes | None:
        """Let a packet vanish."""
        return None


class StuckRom(BootRom):
    """Takes an image and does not run it."""

    def handle(self, packet: bytes) -> bytes | None:
        """Take a packet; never give the image."""
        image = super().handle(packet)
        if image is not None:
            logger.warning("an image of %d bytes has come; this board never boots", len(image))
        return None


OLD_FIRMWARE: Final = b"SC&MP/SpiNNaker\0003.4.2\0"
"""What a board says that was booted by the tools before sPyNNaker 7."""
BROKEN_ROMS: Final[dict[str, type[BootRom]]] = {"silent": SilentRom, "never-boots": StuckRom}
FAULTS: Final = (*BROKEN_ROMS, "old-firmware")
"""Names of what can be wrong with a board from the start."""


def firmware(image: bytes) -> bytes | None:
    """Find name and version of the monitor in an image, as VER tells them; None without one."""
    start = image.find(_NAME)
    end = image.find(b"\0", start + len(_NAME), start + len(_NAME) + _VERSION_SIZE)
    return None if start < 0 or end < 0 else image[start : end + 1]
