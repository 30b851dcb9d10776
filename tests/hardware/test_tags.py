"""IP tags: entries on the wire, the host's tags, and those lent to requests."""

from __future__ import annotations

import pytest
from spikingconvnet.hardware.emulator.tags import (
    ENTRY_SIZE,
    FIXED,
    POOL,
    REVERSE,
    STRIP,
    TEMPORARY,
    TRANSIENT,
    VALID,
    Tag,
    Tags,
)

HOST = ("192.168.1.20", 0x4321)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (Tag(), "00" * 32),
        (
            Tag(VALID | STRIP, HOST, 5, 100, 0, 0x0102, 0x23),
            "c0a80114" + "00" * 6 + "2143" + "6400" + "0081" + "05000000" + "0000" + "0201" + "23",
        ),
        (
            Tag(VALID | REVERSE, ("0.0.0.0", 0), 0, 0, 0x3039, 0x0001, 0x41),
            "00000000" + "00" * 6 + "0000" + "0000" + "0082" + "00000000" + "3930" + "0100" + "41",
        ),
    ],
)
def test_entries_on_the_wire(tag, text):
    assert tag.encode() == bytes.fromhex(text).ljust(ENTRY_SIZE, b"\0")


def test_tags_are_set_found_and_cleared():
    tags = Tags()
    assert [tags.new(), tags.get(FIXED)] == [FIXED, None]
    for number in range(FIXED, FIXED + POOL):
        assert tags.new() == number
        tags.set(number, Tag(VALID, HOST))
    assert tags.new() is None
    tags.clear(11)
    tags.clear(11)
    assert tags.new() == 11
    assert tags.entry(11) == bytes(ENTRY_SIZE)
    assert tags.entry(12) == Tag(VALID, HOST).encode()


def test_loans_are_new_numbers_until_all_are_lent():
    tags = Tags()
    lent = [tags.lend(("127.0.0.1", port)) for port in range(len(TRANSIENT))]
    assert sorted(lent) == list(TRANSIENT)
    assert all(tags.get(n).flags == VALID | TEMPORARY for n in lent)
    assert tags.get(lent[7]).host == ("127.0.0.1", 7)
    again = tags.lend(("127.0.0.1", 60000))
    assert again == lent[0]
    assert tags.get(again).host == ("127.0.0.1", 60000)
    assert tags.new() == FIXED


def test_a_returned_loan_is_lent_again_last():
    tags = Tags()
    first = tags.lend(HOST)
    tags.clear(first)
    assert tags.lend(HOST) != first


def test_reverse_tags_tell_their_ports():
    tags = Tags()
    tags.set(1, Tag(VALID | REVERSE, rx_port=12345))
    tags.set(2, Tag(VALID, HOST))
    tags.set(3, Tag(VALID | REVERSE | STRIP, rx_port=12346))
    assert tags.reverse_ports() == {12345: 1, 12346: 3}
    tags.set(FIXED, Tag(VALID | REVERSE, rx_port=12347))
    tags.set(4, Tag(VALID | REVERSE, rx_port=12346))
    assert tags.reverse_ports() == {12345: 1, 12346: 3}
    tags.clear(1)
    assert tags.reverse_ports() == {12346: 3}
