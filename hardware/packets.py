"""SDP and SCP messages as bytes on the wire.

A datagram to or from a board is two bytes of padding and an SDP message:

    flags, tag, destination port|cpu, source port|cpu : u8 each
    destination chip, source chip                     : u16 each, x << 8 | y
    data                                              : up to 16 + 256 bytes

An SCP message is an SDP message whose data begin with

    command or return code, sequence number : u16 each
    three arguments                         : u32 each

All numbers are little-endian. Source: spinnaker_tools `include/sark.h`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_HEADER: Final = struct.Struct("<BBBBHH")
_SCP: Final = struct.Struct("<HH3I")
HEADER_SIZE: Final = _HEADER.size
MAX_DATA: Final = 16 + 256

REPLY_EXPECTED: Final = 0x80
NO_TAG: Final = 0xFF
HOST_PORT: Final = 0xFF
"""Port and cpu byte that stands for "out over Ethernet"."""


@dataclass(slots=True)
class Sdp:
    """One SDP message; ports carry the port in bits 7:5 and the cpu in bits 4:0."""

    flags: int
    tag: int
    dest_port: int
    source_port: int
    dest_chip: int
    source_chip: int
    data: bytes

    @property
    def cpu(self) -> int:
        """The destination core."""
        return self.dest_port & 31

    @property
    def port(self) -> int:
        """The destination port, 0 to 7."""
        return self.dest_port >> 5

    def reply(self, data: bytes) -> Sdp:
        """Make the answer: addresses swapped, no further reply expected."""
        return Sdp(
            self.flags & ~REPLY_EXPECTED,
            self.tag,
            self.source_port,
            self.dest_port,
            self.source_chip,
            self.dest_chip,
            data,
        )


@dataclass(slots=True)
class Scp:
    """The data of an SDP message read as a command."""

    command: int
    sequence: int
    arg1: int
    arg2: int
    arg3: int
    payload: bytes


def decode_sdp(data: bytes) -> Sdp:
    """Read an SDP message without padding; ValueError when it is too short or too long."""
    if not HEADER_SIZE <= len(data) <= HEADER_SIZE + MAX_DATA:
        raise ValueError(f"SDP message: {len(data)} bytes (must be 8 to {HEADER_SIZE + MAX_DATA})")
    flags, tag, dest_port, source_port, dest_chip, source_chip = _HEADER.unpack_from(data)
    rest = data[HEADER_SIZE:]
    return Sdp(flags, tag, dest_port, source_port, dest_chip, source_chip, rest)


def encode_sdp(message: Sdp) -> bytes:
    """Write an SDP message without padding."""
    header = _HEADER.pack(
        message.flags,
        message.tag,
        message.dest_port,
        message.source_port,
        message.dest_chip,
        message.source_chip,
    )
    return header + message.data


def decode_datagram(datagram: bytes) -> Sdp:
    """Read a datagram as it comes over UDP."""
    return decode_sdp(datagram[2:])


def encode_datagram(message: Sdp) -> bytes:
    """Write a datagram as it goes over UDP."""
    return b"\0\0" + encode_sdp(message)


def decode_scp(data: bytes) -> Scp:
    """Read a command; missing arguments (a short message) raise ValueError."""
    if len(data) < _SCP.size:
        raise ValueError(f"SCP message: {len(data)} bytes (must be at least {_SCP.size})")
    command, sequence, arg1, arg2, arg3 = _SCP.unpack_from(data)
    return Scp(command, sequence, arg1, arg2, arg3, data[_SCP.size :])


def encode_scp(message: Scp) -> bytes:
    """Write a command."""
    header = _SCP.pack(message.command, message.sequence, message.arg1, message.arg2, message.arg3)
    return header + message.payload


def encode_result(code: int, sequence: int, payload: bytes = b"") -> bytes:
    """Write an answer: the return code, the sequence number and what was asked for."""
    return struct.pack("<HH", code, sequence) + payload
