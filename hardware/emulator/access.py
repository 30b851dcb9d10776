"""READ, WRITE and FILL of memory, by the monitor and by an idle core.

A request is an address, a number of bytes and a unit: 0 bytes, 1 half-words, 2 words. As on the
ARM968, an address that is no multiple of its unit is rounded down, and an unaligned word is read
rotated, its low byte first. A length that is no multiple of the unit moves whole units only; the
answer to READ is still as long as was asked, and ends in what the firmware's message buffer held
there: the request. Sources: spinnaker_tools `sark/sark_base.c`, `scamp/scamp-cmd.c`; ARM DDI 0100,
A2.7.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

from .. import constants as c
from ..constants import Result
from ..packets import Scp

WORD: Final = 2
_LARGEST_FILL: Final = c.SDRAM_SIZE


class Refused(Exception):
    """The command cannot be carried out; `code` says why, `data` goes into the answer."""

    def __init__(self, code: Result, data: bytes = b"") -> None:
        super().__init__(code.name)
        self.code = code
        self.data = data


class Readable(Protocol):
    """What can be read and written by address; ValueError where there is nothing."""

    def read(self, address: int, length: int) -> bytes:
        """Read bytes."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        ...


class CoreMemory:
    """What an idle core sees: its own two memories, and what its chip shares."""

    def __init__(self, core: Any, chip: int, number: int, shared: Readable) -> None:
        self._core, self._chip, self._number, self._shared = core, chip, number, shared

    @staticmethod
    def _is_private(address: int) -> bool:
        return address < c.ITCM_SIZE or c.DTCM_BASE <= address < c.DTCM_BASE + c.DTCM_SIZE

    def read(self, address: int, length: int) -> bytes:
        """Read bytes."""
        if not self._is_private(address):
            return self._shared.read(address, length)
        data: bytes = self._core.read_core(self._chip, self._number, address, length)
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        if self._is_private(address):
            self._core.write_core(self._chip, self._number, address, data)
        else:
            self._shared.write(address, data)


def read(memory: Readable, address: int, length: int, unit: int, request: Scp) -> bytes:
    """Read `length` bytes; `request` is what the buffer of the answer held before."""
    if length > c.SDP_DATA or unit > WORD:
        raise Refused(Result.ARGUMENT)
    offset = address & (1 << unit) - 1
    if not offset and not length & (1 << unit) - 1:
        return memory.read(address, length)
    size = length >> unit << unit
    data = memory.read(address - offset, size)
    if offset and unit == WORD:
        data = b"".join(data[i + offset : i + 4] + data[i : i + offset] for i in range(0, size, 4))
    held = struct.pack("<3I", request.arg1, request.arg2, request.arg3) + request.payload
    return data + held.ljust(c.SDP_DATA, b"\0")[size:length]


def write(memory: Readable, address: int, length: int, unit: int, data: bytes) -> None:
    """Write the first `length` bytes of `data`, which must be there."""
    if length > c.SDP_DATA or unit > WORD:
        raise Refused(Result.ARGUMENT)
    if len(data) < length:
        raise Refused(Result.LENGTH)
    memory.write(address >> unit << unit, data[: length >> unit << unit])


def fill(memory: Readable, address: int, word: int, length: int) -> None:
    """Write a word over `length` bytes, whole words only."""
    words = length // 4
    if words * 4 > _LARGEST_FILL:
        raise Refused(Result.ARGUMENT)
    memory.write(address & ~3, struct.pack("<I", word) * words)
