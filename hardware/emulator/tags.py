"""IP tags: where messages for the host go, and reverse tags: where the host's data go.

Tags 0 to 7 are set by the host, 8 to 15 given to a host that asks for any, and those behind them
lent to requests that wait for an answer from a core (the firmware lends 8 to 15, for some seconds;
here a loan lasts until it is used, or needed for another). An entry on the wire is `ip (4),
mac (6), port, timeout, flags : u16, count : u32, rx port, destination chip : u16, destination
port|cpu : u8`, padded to 32 bytes.
Source: spinnaker_tools `scamp/scamp.h`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

FIXED: Final = 8
POOL: Final = 8
TRANSIENT: Final = range(FIXED + POOL, 255)
VALID, TEMPORARY, USE_SENDER, REVERSE, STRIP = 0x8000, 0x4000, 0x0400, 0x0200, 0x0100
ENTRY_SIZE: Final = 32
Address = tuple[str, int]


@dataclass(slots=True)
class Tag:
    """One tag in use."""

    flags: int = 0
    host: Address = ("0.0.0.0", 0)
    count: int = 0
    timeout: int = 0
    rx_port: int = 0
    dest_chip: int = 0
    dest_port: int = 0

    def encode(self) -> bytes:
        """Write the entry as the host reads it."""
        ip = bytes(int(part) for part in self.host[0].split("."))
        fields = struct.pack(
            "<4s6sHHHIHHB",
            *(ip, bytes(6), self.host[1], self.timeout, self.flags, self.count),
            *(self.rx_port, self.dest_chip, self.dest_port),
        )
        return fields.ljust(ENTRY_SIZE, b"\0")


class Tags:
    """The tags of one Ethernet chip."""

    def __init__(self) -> None:
        self._tags: dict[int, Tag] = {}
        self._last = TRANSIENT.start
        self.transient_timeout = 9
        self.has_changed = False
        """Whether a reverse tag may have come or gone; for who opens their ports to take back."""

    def get(self, number: int) -> Tag | None:
        """Give a tag that is in use."""
        return self._tags.get(number)

    def entry(self, number: int) -> bytes:
        """Give a tag as the host reads it, in use or not."""
        return self._tags.get(number, Tag()).encode()

    def set(self, number: int, tag: Tag) -> None:
        """Set one of the host's tags."""
        self._tags[number] = tag
        self.has_changed = True

    def new(self) -> int | None:
        """Give the number of a free tag for a host that does not care which, or None."""
        return next((n for n in range(FIXED, FIXED + POOL) if n not in self._tags), None)

    def clear(self, number: int) -> None:
        """Forget a tag."""
        tag = self._tags.pop(number, None)
        self.has_changed |= tag is not None and not tag.flags & TEMPORARY

    def lend(self, host: Address) -> int:
        """Lend a tag to a request of this host; the oldest loan ends when all are lent."""
        for step in range(1, len(TRANSIENT) + 1):
            number = TRANSIENT[(self._last - TRANSIENT.start + step) % len(TRANSIENT)]
            if number not in self._tags:
                break
        else:
            number = TRANSIENT[(self._last - TRANSIENT.start + 1) % len(TRANSIENT)]
        self._last = number
        self._tags[number] = Tag(flags=VALID | TEMPORARY, host=host)
        return number

    def reverse_ports(self) -> dict[int, int]:
        """Tell on which UDP ports data are taken, and for which of the tags 0 to 7."""
        found = [(n, self._tags[n]) for n in range(FIXED - 1, -1, -1) if n in self._tags]
        return {tag.rx_port: n for n, tag in found if tag.flags & REVERSE}
