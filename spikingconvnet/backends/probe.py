"""Ask a board who it is before the toolchain does, to tell missing, silent and wrong apart."""

import socket
import struct
from dataclasses import dataclass

from spikingconvnet.errors import BoardUnreachable
from spikingconvnet.hardware import packets

SCP_PORT = 17893
"""UDP port of the monitor (spinnaker.h)."""
ANSWER_S, TRIES = 1.0, 3
_REPLY = struct.Struct("<HH")  # return code, sequence number
_VER, _READ, _OK = 0, 2, 0x80
NEEDED = (4, 0, 0)
"""Least version of the monitor, and its only major one (SpiNNMan's base_transceiver.py)."""
_VERSION_IS_TEXT = 0xFFFF  # instead of a version: it follows the monitor's name
_ANY_CHIP = 0xFFFF  # the chip with the network socket, whatever its place
_DIMENSIONS = 0xF5007F02  # sv->p2p_dims: height, width of the machine in chips, one byte each


@dataclass(frozen=True)
class Identity:
    """Hold what a board says of itself: its monitor program and its size in chips."""

    monitor: str
    width: int
    height: int
    version: tuple[int, ...] = NEEDED


def identify(host: str, port: int = SCP_PORT) -> Identity | None:
    """Return who answers at `host`, or None where nothing answers (a board not yet booted).

    Raises BoardUnreachable when the name does not resolve, when a computer without a board
    answers, or when the address belongs to the board management processor.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError) as error:
        raise BoardUnreachable(
            f"board {host}: name does not resolve ({error}); check the spelling, or give the "
            "board's IP address"
        ) from error
    with socket.socket(family, kind) as link:
        link.settimeout(ANSWER_S)
        try:
            link.connect(address)
            version = _ask(link, _VER)
            if version is None:
                return None
            monitor, number = _monitor(version)
            if "SC&MP" not in monitor:
                raise BoardUnreachable(
                    f"board {host}: answers as {monitor!r} (must be SC&MP); this may be the "
                    "address of the board management processor, usually one below the board's"
                )
            size = _ask(link, _READ, _DIMENSIONS, 2)
        except OSError as error:
            if isinstance(error, BoardUnreachable):
                raise
            raise BoardUnreachable(
                f"board {host}: refused ({error.strerror}); a computer is there, but nothing "
                f"listens on UDP port {port}: wrong address, or the board's program has ended"
            ) from error
    height, width = size[:2] if size and len(size) >= 2 else (0, 0)
    return Identity(monitor, width, height, number)


def _monitor(answer: bytes) -> tuple[str, tuple[int, ...]]:
    """Read name and version; an old monitor gives its version as a number, hundredfold."""
    name, _, rest = answer[12:].partition(b"\0")
    numbers = rest.partition(b"\0")[0].split(b".")
    number = int.from_bytes(answer[6:8], "little")
    if number == _VERSION_IS_TEXT and all(part.isdigit() for part in numbers):
        return name.decode("ascii", "replace"), tuple(int(part) for part in numbers)
    return name.decode("ascii", "replace"), divmod(number, 100)


def _ask(link: socket.socket, command: int, *arguments: int) -> bytes | None:
    """Send a request up to `TRIES` times; return what follows the reply's header, or None."""
    padded = (*arguments, 0, 0, 0)[:3]
    for sequence in range(TRIES):
        request = packets.encode_scp(packets.Scp(command, sequence, *padded, b""))
        flags = 0x07 | packets.REPLY_EXPECTED
        link.send(
            packets.encode_datagram(
                packets.Sdp(flags, packets.NO_TAG, 0, packets.HOST_PORT, _ANY_CHIP, 0, request)
            )
        )
        try:
            reply = packets.decode_datagram(link.recv(1024)).data
        except (TimeoutError, ValueError):
            continue
        if len(reply) >= _REPLY.size and _REPLY.unpack_from(reply)[0] == _OK:
            return reply[_REPLY.size :]
    return None
