"""READ, WRITE and FILL of memory, by the monitor and by an idle core.

A request is an address, a number of bytes and a unit: 0 bytes, 1 half-words, 2 words. An address
that is no multiple of its unit is refused: the firmware's own code would take a data abort there.
A length that is no multiple of the unit moves whole units only; the answer to READ is still as long
as was asked, and ends in what the firmware's message buffer held there: the request. Sources:
spinnaker_tools `sark/sark_base.c`, `sark/sark_alib.s`, `scamp/scamp-cmd.c`.
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
    size = _whole(address, length, unit)
    data = memory.read(address, size)
    if size == length:
        return data
    held = struct.pack("<3I", request.arg1, request.arg2, request.arg3) + request.payload
    return data + held.ljust(c.SDP_DATA, b"\0")[size:length]


def write(memory: Readable, address: int, length: int, unit: int, data: bytes) -> None:
    """Write the first `length` bytes of `data`, which must be there."""
    if length > c.SDP_DATA or unit > WORD:
        raise Refused(Result.ARGUMENT)
    if len(data) < length:
        raise Refused(Result.LENGTH)
    memory.write(address, data[: _whole(address, length, unit)])


def fill(memory: Readable, address: int, word: int, length: int) -> None:
    """Write a word over `length` bytes, whole words only."""
    size = _whole(address, length, WORD)
    if size > _LARGEST_FILL:
        raise Refused(Result.ARGUMENT)
    memory.write(address, struct.pack("<I", word) * (size // 4))


def _whole(address: int, length: int, unit: int) -> int:
    """Give how many bytes of whole units there are; refuse to move any that are not aligned."""
    size = length >> unit << unit
    if size and address & (1 << unit) - 1:
        raise Refused(Result.ARGUMENT)
    return size
