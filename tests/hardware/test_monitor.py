"""The monitor's commands, asked as a host asks them, without sockets."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from asking import FREE, HOST, LOAD_AREA, WAIT_FOR_EVER, Asker, application, states, write_image
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.constants import Command, CoreState, Result, Signal
from spikingconvnet.hardware.emulator.board import make_board
from spikingconvnet.hardware.emulator.chip import vcpu
from spikingconvnet.hardware.emulator.monitor import COMMANDS
from spikingconvnet.hardware.packets import (
    Scp,
    encode_scp,
)


def shipped(name):
    """Find a binary of the installed sPyNNaker without importing it."""
    return Path(find_spec("spynnaker").origin).parent / "pyNN" / "model_binaries" / name


@pytest.fixture
def ask():
    return Asker()


# --- who answers, and what is refused before any command ---------------------------------------


@pytest.mark.parametrize("chip", [0x0000, 0x0001, 0x0100, 0x0101])
def test_version_names_the_chip(ask, chip):
    data = ask.ok(Command.VER, chip=chip)
    where, version, _ = struct.unpack_from("<3I", data)
    assert where == chip << 16
    assert version == 0xFFFF0100
    assert data[12:] == b"SC&MP/SpiNNaker\x004.0.0\x00"


def test_the_root_has_a_second_address(ask):
    where, *_ = struct.unpack_from("<3I", ask.ok(Command.VER, chip=0xFFFF))
    assert where == 0


def test_an_idle_core_answers_for_itself(ask):
    data = ask.ok(Command.VER, port_cpu=3, chip=0x0101)
    assert struct.unpack_from("<I", data)[0] == 0x0101 << 16 | 3 << 8 | 3
    assert data[12:] == b"SARK/SpiNNaker\x004.0.0\x00"
    ask.ok(Command.WRITE, FREE, 4, 2, b"abcd", port_cpu=3)
    assert ask.ok(Command.READ, FREE, 4, 2, port_cpu=3) == b"abcd"
    assert ask(Command.INFO, port_cpu=3)[0] == Result.COMMAND
    assert ask(Command.READ, 0x10000000, 4, 2, port_cpu=3)[0] == Result.ARGUMENT
    assert ask.send(b"x" * 20, port_cpu=1 << 5 | 3) == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ({"chip": 0x0200}, Result.ROUTE),
        ({"chip": 0xFF00}, Result.ROUTE),
        ({"port_cpu": 18}, Result.CPU),
        ({"port_cpu": 31}, Result.CPU),
        ({"port_cpu": 1 << 5}, Result.PORT),
        ({"port_cpu": 7 << 5}, Result.PORT),
    ],
)
def test_where_there_is_nobody(ask, where, code):
    assert ask(Command.VER, **where) == (code, b"")


def test_a_17_core_chip_has_no_core_17():
    asker = Asker()
    asker.board = make_board(5)
    assert asker(Command.VER, chip=0x0101, port_cpu=17)[0] == Result.CPU
    assert asker(Command.VER, chip=0x0101, port_cpu=16)[0] == Result.OK


@pytest.mark.parametrize("length", [0, 4, 15])
def test_a_command_without_its_arguments(ask, length):
    answers = ask.send(b"\x02" + bytes(length - 1 if length else 0))
    assert len(answers) == 1
    assert struct.unpack_from("<H", answers[0][0].data)[0] == Result.LENGTH


@pytest.mark.parametrize("number", sorted({1, 4, 6, 14, 30, 33, 64, 255, 65535}))
def test_unknown_commands(ask, number):
    assert number not in COMMANDS
    assert ask(number) == (Result.COMMAND, b"")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_no_answer_where_none_is_expected(ask, command):
    assert ask.send(encode_scp(Scp(command, 0, 0, 0, 0, b"")), flags=0x07) == []


@pytest.mark.parametrize("datagram", [b"", b"\0\0", b"\0" * 9, bytes(283)])
def test_datagrams_that_make_no_sense_are_dropped(ask, datagram):
    ask.board.handle(datagram, HOST)
    assert ask.board.take_outgoing() == []


def test_answers_go_to_the_sender_or_to_the_tag(ask):
    assert ask(Command.VER, sender=("127.0.0.9", 999))[0] == Result.OK
    port, ip = 5555, struct.unpack("<I", bytes((10, 0, 0, 7)))[0]
    ask.ok(Command.IPTAG, 1 << 16 | 2, port, ip)
    answers = ask.send(encode_scp(Scp(Command.VER, 0, 0, 0, 0, b"")), tag=2)
    assert [target for _, target in answers] == [("10.0.0.7", port)]


# --- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [0, 1, 2])
@pytest.mark.parametrize("base", [FREE, FREE + 0x10000000, c.SYSRAM_HEAP + 0x2000])
def test_read_gives_what_write_wrote(ask, unit, base):
    payload = bytes(range(256))
    assert ask.ok(Command.WRITE, base, 256, unit, payload, chip=0x0100) == b""
    assert ask.ok(Command.READ, base, 256, unit, chip=0x0100) == payload
    assert ask.ok(Command.READ, base, 256, unit, chip=0x0000) != payload
    assert ask.ok(Command.READ, base + 4, 8, unit, chip=0x0100) == payload[4:12]


@pytest.mark.parametrize("command", [Command.READ, Command.WRITE])
@pytest.mark.parametrize(
    ("address", "length", "unit"),
    [
        (FREE, 257, 0),
        (FREE, 0xFFFFFFFF, 0),
        (FREE, 4, 3),
        (FREE, 4, 0xFFFFFFFF),
        (0, 4, 2),
        (c.DTCM_BASE, 4, 2),
        (0x90000000, 4, 2),
        (c.SDRAM + c.SDRAM_SIZE - 4, 8, 2),
        (c.SYSRAM + 0x8000, 4, 2),
        (0xFFFFFFFC, 8, 2),
    ],
)
def test_bad_access_is_refused(ask, command, address, length, unit):
    assert ask(command, address, length, unit, bytes(256)) == (Result.ARGUMENT, b"")


def test_write_without_its_data(ask):
    assert ask(Command.WRITE, FREE, 8, 2, b"1234567") == (Result.LENGTH, b"")


def test_fill(ask):
    ask.ok(Command.FILL, FREE, 0x11223344, 18)
    assert ask.ok(Command.READ, FREE, 20, 2) == struct.pack("<I", 0x11223344) * 4 + bytes(4)
    assert ask(Command.FILL, 0x90000000, 1, 16)[0] == Result.ARGUMENT
    assert ask(Command.FILL, FREE, 1, 0xFFFFFFFC)[0] == Result.ARGUMENT
    assert ask(Command.FILL, c.SDRAM + c.SDRAM_SIZE - 8, 1, 16)[0] == Result.ARGUMENT


def test_neighbours_are_read_and_written_over_links(ask):
    ask.ok(Command.LINK_WRITE, FREE, 8, 0, b"eastward")
    assert ask.ok(Command.READ, FREE, 8, 0, chip=0x0100) == b"eastward"
    assert ask.ok(Command.LINK_READ, FREE, 8, 0) == b"eastward"
    assert ask.ok(Command.LINK_READ, FREE, 11, 0)[:8] == b"eastward"
    assert ask(Command.LINK_READ, FREE, 8, 3) == (Result.TIMEOUT, b"")
    assert ask(Command.LINK_WRITE, FREE, 8, 4, bytes(8)) == (Result.TIMEOUT, b"")
    for link in (6, 7, 0xFFFFFFFF):
        assert ask(Command.LINK_READ, FREE, 8, link) == (Result.ARGUMENT, b"")
    assert ask(Command.LINK_READ, 0x90000000, 8, 0) == (Result.ARGUMENT, b"")
    assert ask(Command.LINK_WRITE, FREE, 8, 0, bytes(4)) == (Result.LENGTH, b"")


# --- resources ---------------------------------------------------------------------------------


def alloc(operation, application=30, flags=0):
    return flags << 16 | application << 8 | operation


def test_sdram_is_allocated_tagged_and_freed(ask):
    free, largest = struct.unpack("<2I", ask.ok(Command.ALLOC, alloc(6)))
    assert largest <= free
    address = ask.word(Command.ALLOC, alloc(0), 1000, 7)
    assert c.SDRAM <= address < LOAD_AREA
    assert ask.word(Command.ALLOC, alloc(0), 1000, 7) == 0
    assert ask.word(Command.ALLOC, alloc(0, flags=4), 1000, 7) == address
    assert ask.word(Command.ALLOC, alloc(7), 7) == address
    assert ask.word(Command.ALLOC, alloc(7), 8) == 0
    assert struct.unpack("<2I", ask.ok(Command.ALLOC, alloc(6)))[0] == free - 1008
    ask.ok(Command.ALLOC, alloc(1), address)
    assert ask.word(Command.ALLOC, alloc(7), 7) == 0
    assert ask.word(Command.ALLOC, alloc(0), largest + 4) == 0
    for _ in range(3):
        assert ask.word(Command.ALLOC, alloc(0, 31), 64)
    assert ask.word(Command.ALLOC, alloc(2, 31)) == 3
    assert struct.unpack("<2I", ask.ok(Command.ALLOC, alloc(6))) == (free, largest)


@pytest.mark.parametrize("address", [0, 4, 0x90000000, FREE, c.SDRAM + c.SDRAM_SIZE - 4])
def test_freeing_what_is_not_allocated(ask, address):
    before = ask.ok(Command.ALLOC, alloc(6))
    assert ask(Command.ALLOC, alloc(1), address) == (Result.ARGUMENT, b"")
    assert ask.ok(Command.ALLOC, alloc(6)) == before


@pytest.mark.parametrize("operation", [8, 9, 255])
def test_unknown_allocations(ask, operation):
    assert ask(Command.ALLOC, alloc(operation)) == (Result.ARGUMENT, b"")


def read_route(ask, number):
    return tuple(
        struct.unpack("<I", ask.ok(Command.READ, table + 4 * number, 4, 2))[0]
        for table in (c.ROUTER_ROUTES, c.ROUTER_KEYS, c.ROUTER_MASKS)
    )


def test_routes_are_allocated_loaded_cleared_and_freed(ask):
    first = ask.word(Command.ALLOC, alloc(3), 3)
    assert first == 1
    entries = [(0x41, 0x1000, 0xFFFFF000), (0xFF00003F, 0x2000, 0xFFFFFF00), (1, 3, 0xFFFFFFFF)]
    table = b"".join(
        struct.pack("<HHIII", i, 0, route, key, mask)
        for i, (route, key, mask) in enumerate(entries)
    )
    ask.ok(Command.WRITE, FREE, len(table), 2, table)
    ask.ok(Command.RTR, 3 << 16 | 30 << 8 | 2, FREE, first)
    assert [read_route(ask, first + i) for i in range(3)] == [
        (route & 0xFFFFFF, key, mask) for route, key, mask in entries
    ]
    ask.ok(Command.RTR, 1 << 16 | 1, first + 1)
    assert read_route(ask, first + 1) == (0xFF000000, 0xFFFFFFFF, 0)
    assert read_route(ask, first + 2) == entries[2]
    assert ask.word(Command.ALLOC, alloc(5), 1) == 1
    assert read_route(ask, first) == (0xFF000000, 0xFFFFFFFF, 0)
    ask.ok(Command.RTR, 3 << 16 | 30 << 8 | 2, FREE, 500)
    ask.ok(Command.RTR, 0)
    assert read_route(ask, 500) == (0xFF000000, 0xFFFFFFFF, 0)
    other = ask.word(Command.ALLOC, alloc(3, 31), 1023)
    assert other == 1
    ask.ok(Command.ALLOC, alloc(4, 31), other, 1)
    assert ask.word(Command.ALLOC, alloc(3, 31), 1023) == 1


@pytest.mark.parametrize(
    ("arg1", "arg2", "arg3"),
    [
        (1025 << 16 | 2, FREE, 0),
        (1 << 16 | 2, FREE, 1024),
        (1 << 16 | 2, 0x90000000, 0),
        (1025 << 16 | 1, 0, 0),
        (1 << 16 | 1, 1024, 0),
        (4, 0, 0),
        (255, 0, 0),
    ],
)
def test_routes_beyond_the_table_are_refused(ask, arg1, arg2, arg3):
    assert ask(Command.RTR, arg1, arg2, arg3) == (Result.ARGUMENT, b"")


def test_the_fixed_route_is_set_and_read(ask):
    ask.ok(Command.RTR, 3, 0x00000041, chip=0x0001)
    assert ask.word(Command.RTR, 3, 0x80000000, chip=0x0001) == 0x41
    assert ask.word(Command.RTR, 3, 0x80000000) == 0


def test_information(ask):
    for chip, is_root in ((0x0000, True), (0x0101, False)):
        data = ask.ok(Command.INFO, chip=chip)
        summary, sdram, sysram = struct.unpack_from("<3I", data)
        assert summary & 31 == 18
        assert summary >> 8 & 0x3F == (0x27 if chip == 0 else 0x3C)
        assert summary >> 14 & 0x7FF == 1023
        assert bool(summary >> 25 & 1) == is_root
        assert sdram > 100_000_000 and 10_000 < sysram < 0x6000
        assert data[12:30] == bytes([CoreState.RUNNING] + [CoreState.IDLE] * 17)
        nearest, address, parent = struct.unpack("<H4sH", data[30:])
        assert nearest == 0
        assert address == (bytes((127, 53, 1, 2)) if is_root else bytes(4))
        assert parent == 7 if is_root else 0 <= parent < 6


# --- tags --------------------------------------------------------------------------------------


def iptag(operation, number=0, *, flags=0, timeout=0, port=0):
    return flags << 28 | timeout << 24 | operation << 16 | port << 8 | number


def test_tags_are_made_read_and_cleared(ask):
    ip = struct.unpack("<I", bytes((10, 1, 2, 3)))[0]
    assert ask.word(Command.IPTAG, iptag(1, 0, flags=1), 17000, ip) == 0
    assert ask.word(Command.IPTAG, iptag(1, 5, timeout=4), 17001, 0) == 5
    entries = ask.ok(Command.IPTAG, iptag(2, 0), 6)
    assert len(entries) == 6 * 32
    assert entries[:4] == bytes((10, 1, 2, 3))
    assert struct.unpack_from("<HHH", entries, 10) == (17000, 0, 0x8100)
    assert entries[5 * 32 : 5 * 32 + 4] == bytes((127, 0, 0, 1))
    assert struct.unpack_from("<HHH", entries, 5 * 32 + 10) == (17001, 8, 0x8008)
    assert entries[32 : 5 * 32] == bytes(4 * 32)
    ask.ok(Command.IPTAG, iptag(3, 0))
    assert ask.ok(Command.IPTAG, iptag(2, 0), 1) == bytes(32)
    for expected in (*range(8, 16), 255):
        assert ask.word(Command.IPTAG, iptag(0), 17000, ip) == expected


def test_reverse_tags(ask):
    ask.ok(Command.IPTAG, iptag(1, 3, flags=2, port=0x23), 0x0100 << 16 | 12345, 0)
    assert ask.board.tags[0, 0].reverse_ports() == {12345: 3}
    entry = ask.ok(Command.IPTAG, iptag(2, 3), 1)
    assert struct.unpack_from("<HHB", entry, 20) == (12345, 0x0100, 0x23)


def test_the_time_to_live_of_loans(ask):
    assert ask.ok(Command.IPTAG, iptag(4), 5) == bytes((9, 32, 8, 8))
    assert ask.ok(Command.IPTAG, iptag(4), 16) == bytes((5, 32, 8, 8))
    assert ask.ok(Command.IPTAG, iptag(4), 255) == bytes((5, 32, 8, 8))


@pytest.mark.parametrize(
    ("arg1", "arg2"), [(iptag(5), 0), (iptag(1, 16), 0), (iptag(3, 255), 0), (iptag(2), 9)]
)
def test_bad_tags(ask, arg1, arg2):
    assert ask(Command.IPTAG, arg1, arg2) == (Result.ARGUMENT, b"")


# --- applications ------------------------------------------------------------------------------


NO_CODE = application([0xE7F000F0])
"""An instruction that is undefined, where even its handler is."""


def test_an_application_starts_counts_and_stops(ask):
    write_image(ask, WAIT_FOR_EVER)
    ask.ok(Command.AR, 30 << 24 | 0b0110)
    ask.board.run()
    assert [ask.board.core.core_state(0, i)["state"] for i in (1, 2, 3)] == [
        "waiting",
        "waiting",
        "off",
    ]
    assert states(ask)[:4] == [7, CoreState.INITIALISING, CoreState.INITIALISING, CoreState.IDLE]
    assert ask.board.busy_cores == 2
    assert ask.word(Command.COUNT, 30, CoreState.INITIALISING) == 2
    assert ask.word(Command.COUNT, 31, CoreState.INITIALISING) == 0
    assert ask.word(Command.COUNT, 30, CoreState.IDLE) == 0
    ask.word(Command.ALLOC, alloc(0), 100, 1)
    ask.word(Command.ALLOC, alloc(3), 10)
    ask.ok(Command.SIG, 2, Signal.STOP << 16 | 0xFF << 8 | 30)
    assert states(ask)[1:4] == [CoreState.IDLE] * 3
    assert ask.word(Command.ALLOC, alloc(7), 1) == 0
    assert ask.word(Command.ALLOC, alloc(3, 31), 1023) == 1
    assert ask.board.busy_cores == 0


def test_an_image_goes_from_chip_to_chip(ask):
    write_image(ask, WAIT_FOR_EVER)
    words = struct.unpack(f"<{len(WAIT_FOR_EVER) // 4}I", WAIT_FOR_EVER)
    checksum = sum(words) & 0x1FFFFFFF
    length = len(WAIT_FOR_EVER)
    ask.ok(Command.APP_COPY_RUN, checksum << 3 | 3, length, 30 << 24 | 0b10, chip=0x0100)
    assert ask.ok(Command.READ, LOAD_AREA, length, 0, chip=0x0100) == WAIT_FOR_EVER
    assert ask.word(Command.COUNT, 30, CoreState.INITIALISING) == 1
    code, data = ask(Command.APP_COPY_RUN, (checksum ^ 1) << 3 | 3, length, 30 << 24, chip=0x0100)
    assert (code, data) == (Result.SUM, struct.pack("<I", sum(words) & 0xFFFFFFFF))
    for link, size, target, code in (
        (3, length, 1, Result.ARGUMENT),
        (3, 6, 0b10, Result.ARGUMENT),
        (3, c.SDRAM_LOAD_AREA + 4, 0b10, Result.ARGUMENT),
        (6, length, 0b10, Result.ARGUMENT),
        (0, length, 0b10, Result.TIMEOUT),
    ):
        assert ask(Command.APP_COPY_RUN, link, size, target, chip=0x0100)[0] == code


def test_an_application_starts_from_elsewhere(ask):
    ask.ok(Command.WRITE, FREE, len(WAIT_FOR_EVER), 0, WAIT_FOR_EVER)
    ask.ok(Command.AS, FREE, 31 << 24 | 0b100)
    assert states(ask)[2] == CoreState.INITIALISING
    everywhere = 1 << 31 | 0x3F << 8
    ask.ok(Command.NNP, 0x3F << 16, 5 << 28 | Signal.STOP << 16 | 0xFF << 8 | 31, everywhere)
    assert states(ask)[2] == CoreState.IDLE


@pytest.mark.parametrize(
    ("cores", "chip", "code"),
    [(1, 0, Result.ARGUMENT), (3, 0, Result.ARGUMENT), (1 << 17, 0x0101, Result.OK)],
)
def test_the_monitor_and_missing_cores_cannot_be_started(cores, chip, code):
    asker = Asker()
    asker.board = make_board(5)
    write_image(asker, WAIT_FOR_EVER, chip=chip)
    assert asker(Command.AR, 30 << 24 | cores, chip=chip) == (code, b"")
    assert asker.board.busy_cores == 0


def test_what_is_no_image_is_refused(ask):
    ask.ok(Command.WRITE, LOAD_AREA, 16, 0, b"not an image....")
    assert ask(Command.AR, 30 << 24 | 2)[0] == Result.ARGUMENT
    assert ask(Command.AS, 0x90000000, 30 << 24 | 2)[0] == Result.ARGUMENT


def test_a_core_that_dies_is_reported(ask):
    write_image(ask, NO_CODE)
    ask.ok(Command.AR, 30 << 24 | 0b10)
    for _ in range(5):
        ask.board.run()
    assert states(ask)[1] == CoreState.RUN_TIME_ERROR
    assert ask.board.core.deaths == 1
    # Its mailbox takes one message that it never looks at; for the next there is no room.
    for sequence in (1, 2):
        assert ask.send(encode_scp(Scp(Command.VER, sequence, 0, 0, 0, b"")), port_cpu=1) == []
    ask.board.run()
    assert [(code, sequence) for code, sequence, _ in ask.late_answers()] == [(Result.TIMEOUT, 2)]


def test_signals(ask):
    write_image(ask, WAIT_FOR_EVER)
    ask.ok(Command.AR, 30 << 24 | 0b110)
    ask.board.run()

    def signal(number, mask=0xFF, application=30):
        ask.ok(Command.SIG, 2, int(number) << 16 | mask << 8 | application)

    flags = c.SYSCTL_SET_FLAGS
    signal(Signal.SYNC0)
    assert ask.word(Command.READ, flags, 4, 2) & 0b110 == 0
    signal(Signal.SYNC1)
    assert ask.word(Command.READ, flags, 4, 2) & 0b110 == 0b110
    signal(Signal.PAUSE)
    for core in (1, 2):
        block = vcpu(core)
        assert ask.ok(Command.READ, block + 56, 1, 0) == bytes([c.Mailbox.SIGNAL])
        assert ask.word(Command.READ, block + 48, 4, 2) == Signal.PAUSE
    signal(Signal.POWER_DOWN, application=31)
    assert states(ask)[1] == CoreState.INITIALISING
    signal(Signal.POWER_DOWN)
    assert states(ask)[1:3] == [CoreState.POWERED_DOWN] * 2
    signal(Signal.INIT)
    assert ask(Command.SIG, 1, 0) == (Result.ARGUMENT, b"")


@pytest.mark.parametrize("command", [Command.LED, Command.SYNC])
def test_what_has_no_effect_is_accepted(ask, command):
    assert ask.ok(command, 1, 2, 3) == b""


def test_messages_that_a_running_core_does_not_take_are_refused(ask):
    write_image(ask, WAIT_FOR_EVER)
    ask.ok(Command.AR, 30 << 24 | 0b10)
    ask.board.run()
    for index in range(20):
        assert ask.send(struct.pack("<HH3I", 99, index, 0, 0, 0), port_cpu=1 << 5 | 1) == []
    block = vcpu(1)
    assert ask.ok(Command.READ, block + 56, 1, 0) == bytes([c.Mailbox.MESSAGE])
    buffer = ask.word(Command.READ, block + 48, 4, 2)
    assert ask.ok(Command.READ, buffer + 16, 4, 0) == struct.pack("<HH", 99, 0)
    ask.board.run()
    expected = [(Result.TIMEOUT, index, b"") for index in range(1, 20)]
    assert ask.late_answers() == expected


def test_a_real_application_talks(ask):
    path = shipped("IF_curr_exp.aplx")
    write_image(ask, path.read_bytes())
    # Without its data the program reports a run-time error instead of running.
    ask.ok(Command.AR, 30 << 24 | 0b10)
    for _ in range(20):
        ask.board.run()
    assert states(ask)[1] == CoreState.RUN_TIME_ERROR
