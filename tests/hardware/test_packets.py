"""SDP and SCP messages as bytes, both ways."""

from __future__ import annotations

import pytest
from spikingconvnet.hardware.packets import (
    HEADER_SIZE,
    MAX_DATA,
    Scp,
    Sdp,
    decode_datagram,
    decode_scp,
    decode_sdp,
    encode_datagram,
    encode_result,
    encode_scp,
    encode_sdp,
)

SDP_MESSAGES = [
    (Sdp(0, 0, 0, 0, 0, 0, b""), "0000000000000000"),
    (Sdp(0x87, 0xFF, 0x25, 0xE1, 0x0102, 0x0304, b"\x01\x02"), "87ff25e1020104030102"),
    (Sdp(0x07, 1, 0x3F, 0xFF, 0xFFFF, 0x0700, b"abc"), "07013fffffff0007616263"),
    (Sdp(1, 2, 3, 4, 5, 6, bytes(MAX_DATA)), "0102030405000600" + "00" * MAX_DATA),
]

SCP_MESSAGES = [
    (Scp(0, 0, 0, 0, 0, b""), "00000000" + "00" * 12),
    (
        Scp(2, 0x1234, 0x60000000, 256, 2, b""),
        "0200" + "3412" + "00000060" + "00010000" + "02000000",
    ),
    (
        Scp(3, 1, 0xE5007F00, 4, 0xFFFFFFFF, b"\xaa\xbb\xcc\xdd"),
        "0300" + "0100" + "007f00e5" + "04000000" + "ffffffff" + "aabbccdd",
    ),
]


@pytest.mark.parametrize(("message", "text"), SDP_MESSAGES)
def test_sdp_both_ways(message, text):
    assert encode_sdp(message) == bytes.fromhex(text)
    assert decode_sdp(bytes.fromhex(text)) == message
    assert encode_datagram(message) == bytes.fromhex("0000" + text)
    assert decode_datagram(bytes.fromhex("0000" + text)) == message
    assert decode_datagram(bytes.fromhex("abcd" + text)) == message


@pytest.mark.parametrize(("message", "text"), SCP_MESSAGES)
def test_scp_both_ways(message, text):
    assert encode_scp(message) == bytes.fromhex(text)
    assert decode_scp(bytes.fromhex(text)) == message


@pytest.mark.parametrize("length", [0, 1, 7, HEADER_SIZE + MAX_DATA + 1, 5000])
def test_sdp_of_a_wrong_length_is_refused(length):
    with pytest.raises(ValueError, match=rf"SDP message: {length} bytes \(must be 8 to 280\)"):
        decode_sdp(bytes(length))


@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_datagrams_that_are_too_short_are_refused(length):
    with pytest.raises(ValueError, match="SDP message"):
        decode_datagram(bytes(length))


@pytest.mark.parametrize("length", [0, 4, 15])
def test_scp_without_all_arguments_is_refused(length):
    with pytest.raises(ValueError, match=rf"SCP message: {length} bytes \(must be at least 16\)"):
        decode_scp(bytes(length))


def test_ports_and_cores_share_a_byte():
    message = Sdp(0x87, 0xFF, 5 << 5 | 17, 0xFF, 0x0001, 0, b"x")
    assert (message.port, message.cpu) == (5, 17)


def test_a_reply_goes_back_and_expects_none():
    message = Sdp(0x87, 3, 0x21, 0xFF, 0x0102, 0x0304, b"question")
    assert message.reply(b"answer") == Sdp(0x07, 3, 0xFF, 0x21, 0x0304, 0x0102, b"answer")


@pytest.mark.parametrize(
    ("code", "sequence", "payload", "text"),
    [(0x80, 0, b"", "80000000"), (0x84, 0xBEEF, b"\x01\x02", "8400efbe0102")],
)
def test_results(code, sequence, payload, text):
    assert encode_result(code, sequence, payload) == bytes.fromhex(text)
