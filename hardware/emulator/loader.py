"""Load an APLX image into a core, as the boot code of the firmware does.

An image is a table of four-word entries followed by data:

    2, destination, offset from this entry, length   copy
    1, destination, address, length                  copy from an absolute address
    3, destination, length, value                    fill
    4, address, 0, 0                                 start there (always 0)

Copies and fills go in units of 32 and 16 bytes. Source: spinnaker_tools `sark/sark_alib.s`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

from ..constants import DTCM_BASE, DTCM_SIZE, ITCM_SIZE
from .memory import Memory

ACOPY, RCOPY, FILL, EXEC = 1, 2, 3, 4
_MAX_ENTRIES = 64


def _room(destination: int) -> int:
    """Tell how many bytes of core memory there are from an address on."""
    if destination < ITCM_SIZE:
        return ITCM_SIZE - destination
    if DTCM_BASE <= destination < DTCM_BASE + DTCM_SIZE:
        return DTCM_BASE + DTCM_SIZE - destination
    raise ValueError(f"APLX entry: destination 0x{destination:08x} (not in a core's memory)")


def fingerprint(read: Callable[[int, int], bytes], table: int = 0) -> str:
    """Name an image by its table and its data, the same for a file and for its copy in memory.

    `read` takes an address and a length. ValueError when it is not an APLX image.
    """
    digest = hashlib.blake2b(digest_size=8)
    for entry in range(table, table + 16 * _MAX_ENTRIES, 16):
        row = read(entry, 16)
        if len(row) < 16:
            break
        operation, destination, offset, length = struct.unpack("<4I", row)
        digest.update(row)
        if operation == EXEC:
            return digest.hexdigest()
        if operation not in (ACOPY, RCOPY, FILL):
            raise ValueError(f"APLX entry: operation {operation} (must be 1 to 4)")
        if operation == RCOPY:
            length = min(length, _room(destination))
            data = read(entry + offset, length)
            if len(data) < length:
                raise ValueError(f"APLX entry: {length} bytes (only {len(data)} are there)")
            digest.update(data)
    raise ValueError(f"APLX table: no start within {_MAX_ENTRIES} entries")


def load(core: Any, chip: int, number: int, memory: Memory, table: int) -> None:
    """Copy the image at `table` into a core; ValueError when it is not an APLX image."""
    for entry in range(table, table + 16 * _MAX_ENTRIES, 16):
        operation, first, second, third = struct.unpack("<4I", memory.read(entry, 16))
        if operation == EXEC:
            return
        if operation in (ACOPY, RCOPY):
            source = second + (entry if operation == RCOPY else 0)
            length = min(third + 31 & ~31, _room(first))
            core.write_core(chip, number, first, memory.read(source, length))
        elif operation == FILL:
            length = min(second + 15 & ~15, _room(first))
            core.write_core(chip, number, first, struct.pack("<I", third) * (length // 4))
        else:
            raise ValueError(f"APLX entry: operation {operation} (must be 1 to 4)")
    raise ValueError(f"APLX table: no start within {_MAX_ENTRIES} entries")
