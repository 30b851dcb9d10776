"""One command to a board and its answer, as the bytes that travel."""

from __future__ import annotations

from spikingconvnet.hardware.packets import (
    HOST_PORT,
    NO_TAG,
    REPLY_EXPECTED,
    Scp,
    Sdp,
    decode_datagram,
    encode_datagram,
    encode_scp,
)


def request(
    command: int,
    arg1: int = 0,
    arg2: int = 0,
    arg3: int = 0,
    payload: bytes = b"",
    *,
    chip: int = 0,
    core: int = 0,
) -> bytes:
    """Return the datagram that asks a core."""
    scp = encode_scp(Scp(int(command), 1, arg1, arg2, arg3, payload))
    return encode_datagram(Sdp(REPLY_EXPECTED, NO_TAG, core, HOST_PORT, chip, 0, scp))


def answer(datagram: bytes) -> tuple[int, bytes]:
    """Return the code of an answer, and what follows its sequence number."""
    data = decode_datagram(datagram).data
    return int.from_bytes(data[:2], "little"), data[4:]
