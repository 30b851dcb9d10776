"""Every SCP command of SC&MP 4.0.0, what the firmware makes of it, and where it says so.

The rest of what a host asks is in test_monitor.py; here are the commands that older clients use.
"""

from __future__ import annotations

import struct

import pytest
from asking import FREE, LOAD_AREA, WAIT_FOR_EVER, Asker, states, write_image
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.constants import Command, CoreState, Result, Signal
from spikingconvnet.hardware.emulator.board import make_board
from spikingconvnet.hardware.emulator.monitor import COMMANDS

SCAMP, SARK, NN = "scamp/scamp-cmd.c", "sark/sark_base.c", "scamp/scamp-nn.c"
NO_CASE = "scamp/scamp-cmd.c scamp_debug: no case"
FLOOD = 1 << 31 | 0x3F << 8 | 0x18
"""Third argument of NNP: a new ID, all links, repeats and delays."""
OK, ARG, LEN, CMD, TIMEOUT = (
    Result.OK,
    Result.ARGUMENT,
    Result.LENGTH,
    Result.COMMAND,
    Result.TIMEOUT,
)
EAST, WEST = 0, 3

CASES = [
    # command, source, arguments, data, code, answer (None: some)
    (Command.VER, f"{SCAMP} cmd_ver", (0, 0, 0), b"", OK, None),
    (Command.RUN, NO_CASE, (0, 0, 0), b"", CMD, b""),
    (Command.READ, f"{SARK} sark_cmd_read", (FREE, 4, 2), b"", OK, bytes(4)),
    (Command.READ, f"{SARK} sark_cmd_read", (FREE, 257, 2), b"", ARG, b""),
    (Command.READ, f"{SARK} sark_cmd_read", (FREE, 4, 3), b"", ARG, b""),
    (Command.WRITE, f"{SARK} sark_cmd_write", (FREE, 4, 2), b"word", OK, b""),
    (Command.WRITE, f"{SARK} sark_cmd_write", (FREE, 257, 0), bytes(256), ARG, b""),
    (Command.APLX, NO_CASE, (0, 0, 0), b"", CMD, b""),
    (Command.FILL, f"{SARK} sark_cmd_fill", (FREE, 1, 16), b"", OK, b""),
    (Command.COUNT, f"{SCAMP} cmd_count", (0, CoreState.IDLE, 0), b"", OK, b"\x44\0\0\0"),
    (Command.REMAP, f"{SCAMP} cmd_remap", (0, 0, 0), b"", ARG, b""),
    (Command.REMAP, f"{SCAMP} cmd_remap", (0, 1, 0), b"", ARG, b""),
    (Command.REMAP, f"{SCAMP} cmd_remap", (18, 0, 0), b"", ARG, b""),
    (Command.REMAP, f"{SCAMP} cmd_remap", (19, 1, 0), b"", ARG, b""),
    (Command.REMAP, f"{SCAMP} cmd_remap", (7, 0, 0), b"", OK, b""),
    (Command.LINK_READ, f"{SCAMP} cmd_link_read", (FREE, 4, EAST), b"", OK, bytes(4)),
    (Command.LINK_READ, f"{SCAMP} cmd_link_read", (FREE, 4, 6), b"", ARG, b""),
    (Command.LINK_READ, f"{SCAMP} cmd_link_read", (FREE, 257, EAST), b"", ARG, b""),
    (Command.LINK_READ, f"{NN} link_read_word", (FREE, 4, WEST), b"", TIMEOUT, b""),
    (Command.LINK_WRITE, f"{SCAMP} cmd_link_write", (FREE, 4, EAST), b"word", OK, b""),
    (Command.LINK_WRITE, f"{SCAMP} cmd_link_write", (FREE, 4, 6), b"word", ARG, b""),
    (Command.LINK_WRITE, f"{NN} link_write_word", (FREE, 4, WEST), b"word", TIMEOUT, b""),
    (Command.AR, f"{SCAMP} cmd_ar", (30 << 24 | 1, 0, 0), b"", ARG, b""),
    (Command.AR, "scamp/scamp-app.c proc_start_app", (30 << 24, 0, 0), b"", OK, b""),
    (Command.NNP, f"{SCAMP} cmd_nnp", (0x3F << 16, 5 << 28, FLOOD), b"", OK, b""),
    (Command.APP_COPY_RUN, f"{SCAMP} cmd_app_copy_run", (0, 4, 1), b"", ARG, b""),
    (Command.APP_COPY_RUN, f"{SCAMP} cmd_app_copy_run", (6, 4, 0), b"", ARG, b""),
    (Command.APP_COPY_RUN, f"{SCAMP} cmd_app_copy_run", (0, 6, 0), b"", ARG, b""),
    (Command.APP_COPY_RUN, f"{SCAMP} cmd_app_copy_run", (8, 4, 0), b"", Result.SUM, bytes(4)),
    (Command.SIG, f"{SCAMP} cmd_sig", (0, Signal.STOP << 16, 0), b"", OK, b""),
    (Command.SIG, f"{SCAMP} cmd_sig", (1, 0, 0), b"", ARG, b""),
    (Command.SIG, f"{SCAMP} cmd_sig", (2, Signal.STOP << 16, 0), b"", OK, b""),
    (Command.SIG, f"{SCAMP} cmd_sig", (3, 0, 0), b"", ARG, b""),
    (Command.FFD, f"{SCAMP} cmd_ffd", (0x3F << 24, 0, FREE), b"word", OK, b""),
    (Command.AS, f"{SCAMP} cmd_as", (FREE, 30 << 24, 0), b"", OK, b""),
    (Command.LED, "sark/sark_hw.c sark_led_set", (3, 0, 0), b"", OK, b""),
    (Command.IPTAG, f"{SCAMP} cmd_iptag", (5 << 16, 0, 0), b"", ARG, b""),
    (Command.IPTAG, f"{SCAMP} cmd_iptag", (2 << 16 | 16, 1, 0), b"", ARG, b""),
    (Command.IPTAG, f"{SCAMP} cmd_iptag", (2 << 16, 9, 0), b"", ARG, b""),
    (Command.IPTAG, f"{SCAMP} cmd_iptag", (0, 17000, 0), b"", OK, b"\x08\0\0\0"),
    (Command.SROM, "scamp/spinn_srom.c cmd_srom", (0, 0, 0), b"", ARG, b""),
    (Command.ALLOC, f"{SCAMP} cmd_alloc", (8, 0, 0), b"", ARG, b""),
    (Command.RTR, f"{SCAMP} cmd_rtr", (4, 0, 0), b"", ARG, b""),
    (Command.RTR, "sark/sark_hw.c rtr_mc_clear", (1025 << 16 | 1, 0, 0), b"", ARG, b""),
    (Command.RTR, "sark/sark_hw.c rtr_mc_clear", (1 << 16 | 1, 2**32 - 1, 0), b"", OK, b""),
    (Command.RTR, "sark/sark_hw.c rtr_mc_load", (1 << 16 | 2, FREE, 1024), b"", ARG, b""),
    (Command.RSVD, NO_CASE, (0, 0, 0), b"", CMD, b""),
    (Command.INFO, f"{SCAMP} cmd_info", (0, 0, 0), b"", OK, None),
    (Command.SYNC, f"{SCAMP} cmd_sync", (0, 0, 0), b"", OK, b""),
    (Command.TUBE, NO_CASE, (0, 0, 0), b"", CMD, b""),
]
KINDER = [
    # What the firmware would not survive, or would do with what its buffer happens to hold.
    (Command.READ, (0x90000000, 4, 2), b"", ARG),
    (Command.READ, (FREE + 2, 4, 2), b"", ARG),
    (Command.READ, (FREE + 1, 2, 1), b"", ARG),
    (Command.WRITE, (FREE + 1, 4, 2), b"word", ARG),
    (Command.WRITE, (FREE + 3, 4, 1), b"word", ARG),
    (Command.FILL, (FREE + 1, 0, 8), b"", ARG),
    (Command.WRITE, (FREE, 8, 2), b"word", LEN),
    (Command.LINK_WRITE, (FREE, 8, EAST), b"word", LEN),
    (Command.FFD, (0x3F << 24, 0x100, FREE), b"word", LEN),
    (Command.SROM, (0x120 | 4 << 16, 0x02000000, 0), b"", LEN),
    (Command.SROM, (32 | 257 << 16, 0x03000000, 0), b"", ARG),
    (Command.AS, (FREE, 30 << 24 | 1, 0), b"", ARG),
    (Command.AR, (30 << 24 | 2, 0, 0), b"", ARG),
    (Command.ALLOC, (1, FREE, 0), b"", ARG),
]


@pytest.fixture
def ask():
    return Asker()


def test_the_table_names_every_command():
    assert {case[0] for case in CASES} == set(Command)
    assert {case[0] for case in CASES if case[4] != CMD} == set(COMMANDS)


@pytest.mark.parametrize(
    ("command", "source", "arguments", "data", "code", "answer"),
    CASES,
    ids=[f"{case[0].name} {case[4].name} ({case[1]})" for case in CASES],
)
def test_what_the_firmware_answers(ask, command, source, arguments, data, code, answer):
    found = ask(command, *arguments, data)
    assert found[0] == code
    assert answer is None or found[1] == answer


@pytest.mark.parametrize(("command", "arguments", "data", "code"), KINDER)
def test_what_the_firmware_would_not_survive(ask, command, arguments, data, code):
    assert ask(command, *arguments, data) == (code, b"")


# --- memory -------------------------------------------------------------------------------------


def test_units_lie_at_their_multiples(ask):
    ask.ok(Command.WRITE, FREE, 8, 0, b"abcdefgh")
    assert ask.ok(Command.READ, FREE + 1, 5, 0) == b"bcdef"
    assert ask.ok(Command.READ, FREE + 2, 4, 1) == b"cdef"
    ask.ok(Command.WRITE, FREE + 2, 2, 1, b"12")
    for command, unit in ((Command.WRITE, 2), (Command.FILL, 8)):
        assert ask(command, FREE + 2, 4, unit, b"WXYZ") == (ARG, b"")
    assert ask.ok(Command.READ, FREE, 8, 0) == b"ab12efgh"


def test_what_is_no_whole_unit_is_not_moved(ask):
    ask.ok(Command.WRITE, FREE, 8, 0, b"abcdefgh")
    ask.ok(Command.WRITE, FREE, 7, 2, b"1234567")
    ask.ok(Command.WRITE, FREE + 4, 3, 1, b"xyz")
    assert ask.ok(Command.READ, FREE, 8, 0) == b"1234xygh"
    # The answer ends in what the message held: its second argument.
    assert ask.ok(Command.READ, FREE, 6, 2) == b"1234" + struct.pack("<I", 6)[:2]


def test_an_idle_core_reads_writes_and_fills_its_own_memory(ask):
    for address in (0x100, c.DTCM_BASE + 0x80):
        ask.ok(Command.WRITE, address, 4, 2, b"mine", port_cpu=3)
        assert ask.ok(Command.READ, address, 4, 2, port_cpu=3) == b"mine"
        assert ask.ok(Command.READ, address, 4, 2, port_cpu=4) == bytes(4)
        ask.ok(Command.FILL, address, 0x01010101, 8, port_cpu=3)
        assert ask.ok(Command.READ, address, 8, 2, port_cpu=3) == b"\x01" * 8
    assert ask(Command.READ, c.DTCM_BASE + c.DTCM_SIZE - 4, 8, 2, port_cpu=3)[0] == ARG
    assert ask(Command.READ, 0x8000, 4, 2, port_cpu=3)[0] == ARG


# --- the serial ROM -------------------------------------------------------------------------------


def rom_read(ask, address, length, **where):
    return ask.ok(Command.SROM, length << 16 | 32, 0x03000000 | address, **where)


def rom_write(ask, address, data, enable=0x80):
    ask.ok(Command.SROM, len(data) << 16 | 0x140 | enable | 32, 0x02000000 | address, 0, data)


def test_the_serial_rom_tells_who_the_board_is(ask):
    head, to = struct.unpack(">2I", rom_read(ask, 0, 8))
    assert (head, to) == (0x553A0008, 0xF5007FE0)
    words = rom_read(ask, 8, 32)
    record = b"".join(words[i : i + 4][::-1] for i in range(0, 32, 4))
    flags, mac, ip, _, mask, port = struct.unpack_from("<H6s4s4s4sH", record)
    assert flags == 0x8000 | 3 << 4 | 9
    assert mac == bytes((2, 0, 127, 53, 1, 2))
    assert (ip, mask, port) == (bytes((127, 53, 1, 2)), b"\xff\0\0\0", c.SCP_PORT)
    assert rom_read(ask, 40, 4) == b"\xaa" * 4
    assert rom_read(ask, 256, 4) == b"\xff" * 4
    assert rom_read(ask, 0, 8, chip=0x0101) == bytes(8)


def test_the_serial_rom_is_written_by_pages_and_erased(ask):
    rom_write(ask, 0x1000, bytes(range(200)))
    assert rom_read(ask, 0x1000, 200) == bytes(range(200))
    rom_write(ask, 0x1000, b"lost", enable=0)
    assert rom_read(ask, 0x1000, 4) == bytes(range(4))
    rom_write(ask, 0x20FE, b"wrap")
    assert rom_read(ask, 0x20FE, 2) + rom_read(ask, 0x2000, 2) == b"wrap"
    ask.ok(Command.SROM, 0xC0 | 32, 0x42001000)
    assert rom_read(ask, 0x1000, 4) == b"\xff" * 4
    assert rom_read(ask, 0x20FE, 2) == b"wr"
    ask.ok(Command.SROM, 0xC8, 0xC7000000)
    assert rom_read(ask, 0, 256) == b"\xff" * 256
    assert rom_read(ask, 0x1FFFE, 4) == b"\xff" * 4


def test_the_serial_rom_has_a_status_and_a_name(ask):
    status = (1 << 16 | 8, 0x05000000)
    assert ask.ok(Command.SROM, *status) == b"\0"
    ask.ok(Command.SROM, 8, 0x06000000)
    assert ask.ok(Command.SROM, *status) == b"\x02"
    ask.ok(Command.SROM, 8, 0x04000000)
    assert ask.ok(Command.SROM, *status) == b"\0"
    ask.ok(Command.SROM, 8, 0xB9000000)
    assert rom_read(ask, 0, 4) == bytes(4)
    assert ask.ok(Command.SROM, 4 << 16 | 8, 0xAB000000) == b"\0\0\0\x29"
    assert rom_read(ask, 0, 2) == b"\x55\x3a"
    ask.ok(Command.SROM, 1 << 16 | 0x1C8, 0x01000000, 0, b"\x8e")
    assert ask.ok(Command.SROM, *status) == b"\x8c"


# --- cores and counts -----------------------------------------------------------------------------


def test_a_core_is_taken_out_of_use(ask):
    write_image(ask, WAIT_FOR_EVER)
    ask.ok(Command.AR, 30 << 24 | 0b110)
    ask.ok(Command.REMAP, 5, 1)
    summary = struct.unpack_from("<I", ask.ok(Command.INFO))[0]
    assert summary & 31 == 17
    assert states(ask) == [CoreState.RUNNING] + [CoreState.IDLE] * 16 + [CoreState.DEAD]
    maps = ask.ok(Command.READ, c.SYSTEM_VARIABLES + 0x94, 40, 0)
    assert maps == 2 * (bytes(range(17)) + b"\xff" * 3)
    assert ask(Command.VER, port_cpu=17)[0] == Result.CPU
    assert ask(Command.REMAP, 17)[0] == ARG
    assert ask.board.busy_cores == 0
    assert ask.ok(Command.COUNT, 0, CoreState.IDLE) == struct.pack("<I", 16 + 3 * 17)


def test_each_board_counts_its_own_cores():
    asker = Asker()
    asker.board = make_board(5)
    idle = sum(chip.cores - 1 for chip in asker.board.chips)
    assert asker.word(Command.COUNT, 0, CoreState.IDLE) == idle
    corner = [chip for chip in asker.board.chips if chip.xy in ((7, 7), (6, 7), (7, 6), (6, 6))]
    asked = asker.word(Command.COUNT, 0, CoreState.IDLE, chip=0x0606)
    assert asked == sum(chip.cores - 1 for chip in corner)


def test_only_the_root_signals_by_multicast(ask):
    assert ask(Command.SIG, 0, Signal.STOP << 16 | 0xFF << 8 | 30, chip=0x0101) == (ARG, b"")
    write_image(ask, WAIT_FOR_EVER)
    ask.ok(Command.AR, 30 << 24 | 0b10)
    ask.ok(Command.SIG, 0, Signal.STOP << 16 | 0xFF << 8 | 30)
    assert states(ask)[1] == CoreState.IDLE


# --- tags and flags -------------------------------------------------------------------------------


def test_a_request_with_a_tag_that_is_not_set_is_dropped(ask):
    fill = (Command.FILL, FREE, 0x41414141, 4)
    for tag in (0, 15, 16, 254):
        assert ask.send(struct.pack("<HH3I", fill[0], 0, *fill[1:]), tag=tag) == []
    assert ask.ok(Command.READ, FREE, 4, 2) == bytes(4)
    assert ask.send(struct.pack("<HH3I", fill[0], 0, *fill[1:]), tag=3, flags=0x07) == []
    assert ask.ok(Command.READ, FREE, 4, 2) == b"AAAA"


def test_tags_of_a_chip_without_a_network_lead_nowhere(ask):
    ip = struct.unpack("<I", bytes((10, 0, 0, 7)))[0]
    ask.ok(Command.IPTAG, 1 << 16 | 2, 5555, ip, chip=0x0101)
    assert ask.ok(Command.IPTAG, 2 << 16 | 2, 1) == bytes(32)
    assert ask.ok(Command.IPTAG, 2 << 16 | 2, 1, chip=0x0101)[:4] == bytes((10, 0, 0, 7))


def test_a_message_that_is_not_to_be_routed_stays_where_it_came_in(ask):
    answers = ask.send(struct.pack("<HH3I", 0, 7, 0, 0, 0), chip=0x0101, flags=0x87 | 0x20 | 0x40)
    assert len(answers) == 1
    answer = answers[0][0]
    assert answer.flags == 0x27
    assert struct.unpack_from("<HHI", answer.data) == (OK, 7, 0)


# --- neighbour packets ----------------------------------------------------------------------------


def flood_fill(ask, image, target, *, select=None, spoil=None, number=4, **where):
    """Load an image as older clients do: NNP with FFS, then FFCS, FFD for each block, and FFE."""
    blocks = [image[i : i + 256] for i in range(0, len(image), 256)]
    ask.ok(Command.NNP, 6 << 24 | number << 16 | len(blocks) << 8, 0xFFFF, FLOOD, **where)
    if select is not None:
        ask.ok(Command.NNP, 7 << 24 | select, 1, 0x3F << 8, **where)
    for i, block in enumerate(blocks):
        start = 0x90000000 if i == spoil else LOAD_AREA + 256 * i
        order = (0x3F << 24 | 0x18 << 16 | number, i << 16 | (len(block) // 4 - 1) << 8, start)
        ask.ok(Command.FFD, *order, block, **where)
    ask.ok(Command.NNP, 15 << 24 | number, target, FLOOD & ~(1 << 31), **where)


IMAGE = WAIT_FOR_EVER + bytes(700 - len(WAIT_FOR_EVER))


@pytest.mark.parametrize("version", [3, 5])
def test_a_flood_fill_loads_and_starts_on_every_chip(version):
    asker = Asker()
    asker.board = make_board(version)
    flood_fill(asker, IMAGE, 30 << 24, select=0b110)
    chips = len(asker.board.chips)
    assert asker.word(Command.COUNT, 30, CoreState.INITIALISING) == 2 * chips
    for chip in asker.board.chips:
        assert chip.memory.read(LOAD_AREA, len(IMAGE)) == IMAGE
    asker.ok(Command.NNP, 0x3F << 16, 5 << 28 | Signal.STOP << 16 | 0xFF << 8 | 30, FLOOD)
    assert asker.board.busy_cores == 0


def test_a_flood_fill_begins_at_any_chip(ask):
    flood_fill(ask, IMAGE, 30 << 24, select=0b10, chip=0x0101)
    assert ask.word(Command.COUNT, 30, CoreState.INITIALISING) == 4


def test_a_flood_fill_without_a_selection_starts_nothing(ask):
    flood_fill(ask, IMAGE, 30 << 24 | 0b10)
    assert ask.ok(Command.READ, LOAD_AREA, 256, 2, chip=0x0101) == IMAGE[:256]
    assert ask.board.busy_cores == 0


def test_a_flood_fill_with_a_block_lost_starts_nothing(ask):
    flood_fill(ask, IMAGE, 30 << 24, select=0b10, spoil=1)
    assert ask.board.busy_cores == 0
    flood_fill(ask, IMAGE, 30 << 24, select=0b10, number=6)
    assert ask.board.busy_cores == 4


def test_a_flood_fill_of_nonsense_or_for_the_monitor_starts_nothing(ask):
    flood_fill(ask, bytes(256), 30 << 24, select=0b10)
    flood_fill(ask, IMAGE, 30 << 24, select=0b11, number=6)
    assert ask.board.busy_cores == 0


def test_spinnman_messages_flood_fill(ask):
    from spinnman.messages.scp.impl.flood_fill_data import FloodFillData
    from spinnman.messages.scp.impl.flood_fill_end import FloodFillEnd
    from spinnman.messages.scp.impl.flood_fill_start import FloodFillStart

    requests = [FloodFillStart(4, 3)]
    for i in range(3):
        part = IMAGE[256 * i : 256 * (i + 1)]
        requests.append(FloodFillData(4, i, LOAD_AREA + 256 * i, part))
    requests.append(FloodFillEnd(4, 30, [1, 2]))
    for request in requests:
        request.sdp_header.source_port = 7
        request.sdp_header.source_cpu = 31
        request.sdp_header.source_chip_x = request.sdp_header.source_chip_y = 0
        request.sdp_header.tag = 0xFF
        ask.board.handle(b"\0\0" + request.bytestring, ("127.0.0.1", 4000))
    assert [code for code, _, _ in ask.late_answers()] == [OK] * 5
    for chip in ask.board.chips:
        assert chip.memory.read(LOAD_AREA, len(IMAGE)) == IMAGE


@pytest.mark.parametrize(
    ("key", "address", "written"),
    [
        (4 << 24 | 2 << 18 | 0x70 << 8, c.SYSTEM_VARIABLES + 0x70, b"\x44\x33\x22\x11"),
        (4 << 24 | 1 << 18 | 0x70 << 8, c.SYSTEM_VARIABLES + 0x70, b"\x44\x33\0\0"),
        (4 << 24 | 0 << 18 | 0x70 << 8, c.SYSTEM_VARIABLES + 0x70, b"\x44\0\0\0"),
        (4 << 24 | 2 << 18 | 1 << 16 | 0x20 << 8, c.SYSRAM + 0x20, b"\x44\x33\x22\x11"),
        (2 << 24 | 0x3F << 16, c.SYSTEM_VARIABLES + 0x20, b"\x43\x33\x22\x11"),
    ],
)
def test_a_word_for_all_chips(ask, key, address, written):
    ask.ok(Command.NNP, key, 0x11223344, FLOOD)
    for chip in ask.board.chips:
        assert chip.memory.read(address, 4) == written


def test_the_way_of_neighbour_packets_is_set_by_one(ask):
    ask.ok(Command.NNP, 0x3F << 16, 0x3E << 8 | 2, FLOOD)
    assert ask.ok(Command.READ, c.SYSTEM_VARIABLES + 0x28, 2, 0, chip=0x0101) == b"\x3e\x02"
    ask.ok(Command.NNP, 1 << 24 | 0x3F << 16, 0x12340010, FLOOD)
    assert ask.word(Command.READ, c.ROUTER_CONTROL, 4, 2, chip=0x0001) >> 16 == 0x0034


def test_a_packet_goes_only_over_the_links_that_are_named(ask):
    key = 4 << 24 | 2 << 18 | 0x70 << 8
    address = c.SYSTEM_VARIABLES + 0x70
    ask.ok(Command.NNP, 0, 0, 1 << EAST << 8)  # the chip there passes nothing on
    ask.ok(Command.NNP, key, 1, 1 << EAST << 8)
    assert [chip.memory.u32(address) for chip in ask.board.chips] == [0, 0, 1, 0]
    ask.ok(Command.NNP, key, 2, 0)
    assert [chip.memory.u32(address) for chip in ask.board.chips] == [0, 0, 1, 0]


def test_an_id_is_heard_once(ask):
    key, address = 4 << 24 | 2 << 18 | 0x70 << 8 | 5 << 1, c.SYSTEM_VARIABLES + 0x70
    for value in (1, 2):
        ask.ok(Command.NNP, key, value, 0x3F << 8)
        assert [chip.memory.u32(address) for chip in ask.board.chips] == [1] * 4
    ask.ok(Command.NNP, 0x3F << 16, 3 << 28, 0x3F << 8)
    ask.ok(Command.NNP, key, 3, 0x3F << 8)
    assert [chip.memory.u32(address) for chip in ask.board.chips] == [3] * 4
