"""The boot ROM, packet by packet, and a board that sPyNNaker has to boot."""

from __future__ import annotations

import random
import socket
import struct
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from spikingconvnet.hardware.client import SoftwareBoard, ask_version
from spikingconvnet.hardware.constants import BOOT_PORT
from spikingconvnet.hardware.emulator.boot import BootRom, firmware

VERSION_4 = b"SC&MP/SpiNNaker\0004.0.0\0"


def spinnman_image():
    """Find the firmware that SpiNNMan ships, without importing it."""
    folder = Path(find_spec("spinnman").origin).parent / "messages" / "spinnaker_boot"
    return (folder / "boot_data" / "scamp.boot").read_bytes()


def packet(operation, first=0, third=0, data=b"", protocol=1):
    words = struct.unpack(f"<{len(data) // 4}I", data)
    return struct.pack(f">H4I{len(words)}I", protocol, operation, first, 0, third, *words)


def packets(image):
    """Give the packets that boot an image: the start, the blocks, the end."""
    blocks = [image[i : i + 1024] for i in range(0, len(image), 1024)]
    start = packet(1, third=len(blocks) - 1)
    return start, [packet(3, 255 << 8 | i, data=b) for i, b in enumerate(blocks)], packet(5, 1)


def some_image(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [4, 1024, 1028, 5000, 32 * 1024])
def test_an_image_arrives_as_it_was(size):
    image = some_image(size)
    start, blocks, end = packets(image)
    rom = BootRom()
    assert [rom.handle(p) for p in (start, *blocks)] == [None] * (1 + len(blocks))
    assert rom.handle(end) == image


def test_blocks_may_come_twice_and_in_any_order():
    image = some_image(5000)
    start, blocks, end = packets(image)
    rom = BootRom()
    for p in (start, *reversed(blocks), blocks[2]):
        assert rom.handle(p) is None
    assert rom.handle(end) == image


@pytest.mark.parametrize("lost", range(7))
def test_without_any_one_packet_nothing_boots(lost):
    start, blocks, end = packets(some_image(5000))
    sent = [start, *blocks, end]
    assert len(sent) == 7
    rom = BootRom()
    assert [rom.handle(p) for i, p in enumerate(sent) if i != lost] == [None] * 6


def test_a_new_start_forgets_the_blocks():
    start, blocks, end = packets(some_image(3000))
    rom = BootRom()
    for p in (start, *blocks, start, *blocks[1:]):
        rom.handle(p)
    assert rom.handle(end) is None
    rom.handle(blocks[0])
    assert rom.handle(end) == some_image(3000)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\0" * 17,
        packet(3, 255 << 8 | 0, data=bytes(1020)),  # short, and not the last
        packet(3, 255 << 8 | 2, data=bytes(1028)),  # too long
        packet(3, 255 << 8 | 2) + b"abc",  # no whole words
        packet(3, 255 << 8 | 3, data=bytes(4)),  # behind the end
        packet(1, third=32),  # more than the ROM can hold
        packet(1, protocol=2),
        packet(5, 0),
        packet(0x41),
        packet(99),
    ],
)
def test_what_makes_no_sense_changes_nothing(wrong):
    image = some_image(3000)
    start, blocks, end = packets(image)
    rom = BootRom()
    for p in (start, *blocks, wrong):
        assert rom.handle(p) is None
    assert rom.handle(end) == image


def test_name_and_version_are_found_in_the_image():
    image = spinnman_image()
    assert firmware(image) == VERSION_4
    older = image.replace(VERSION_4, b"SC&MP/SpiNNaker\0003.4.2\0")
    assert firmware(older) == b"SC&MP/SpiNNaker\0003.4.2\0"
    assert firmware(some_image(3000)) is None
    assert firmware(b"SC&MP/SpiNNaker\0" + b"4" * 40) is None


def send(board, sent):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for p in sent:
            sock.sendto(p, (board.address, BOOT_PORT))


def wait_for_version(board):
    for _ in range(20):
        answer = ask_version(board.address, 0.5)
        if answer is not None:
            return answer
        time.sleep(0.05)
    return None


def test_a_board_is_silent_until_it_is_booted_with_a_monitor():
    start, blocks, end = packets(spinnman_image().replace(b"\0004.0.0\0", b"\0003.4.2\0"))
    with SoftwareBoard(version=3, unbooted=True) as board:
        board.check()
        assert ask_version(board.address, 0.6) is None
        send(board, [start, *blocks[:-1], end])  # one block lost
        send(board, packets(some_image(3000))[1])
        send(board, [start, *packets(some_image(30 * 1024))[1], end])  # no monitor in it
        assert ask_version(board.address, 0.6) is None
        send(board, [start, *blocks, end])
        answer = wait_for_version(board)
        assert answer is not None and answer.endswith(b"SC&MP/SpiNNaker\0003.4.2\0")
        send(board, [*packets(some_image(3000))[1], b"x"])  # it is up: nothing to do with it
        assert ask_version(board.address, 5.0) is not None


def test_a_booted_board_does_not_listen_on_the_boot_port(board_process):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((board_process.address, BOOT_PORT))
        sock.settimeout(5)
        sock.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(1)


def test_spynnaker_boots_a_board_and_runs_a_network(board_process, spynnaker_on):
    def run(board):
        with spynnaker_on(board) as sim:
            cells = sim.Population(5, sim.IF_curr_exp(i_offset=1.0, tau_refrac=2.0))
            cells.record("spikes")
            sim.run(80)
            trains = cells.get_data().segments[0].spiketrains
            return [[float(t) for t in train.magnitude] for train in trains]

    with SoftwareBoard(version=3, unbooted=True) as board:
        assert ask_version(board.address, 0.6) is None
        spikes = run(board)
        assert ask_version(board.address, 5.0) is not None
    assert all(len(train) > 1 for train in spikes)
    assert spikes == run(board_process)
