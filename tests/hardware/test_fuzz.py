"""Datagrams without sense, from several hosts at once: no crash, no hang, no harm to another.

Another client's state is its tags, its blocks of memory and what is in them, its routes, and its
running program. It stays equal unless a datagram is a valid command that addresses it; such
datagrams are left out here (`addresses_the_victim`).
"""

from __future__ import annotations

import random
import socket
import struct
import threading

import pytest
from asking import HOST, WAIT_FOR_EVER, Asker, write_image
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.client import SoftwareBoard, ask_version
from spikingconvnet.hardware.constants import BOOT_PORT, SCP_PORT, Command, CoreState
from spikingconvnet.hardware.emulator.boot import BootRom
from spikingconvnet.hardware.emulator.chip import vcpu
from spikingconvnet.hardware.emulator.monitor import COMMANDS

VICTIM, VICTIM_CHIP, APPLICATION = ("127.0.0.1", 50000), 0x0001, 77
"""Its chip is not the one with the network, which belongs to everybody."""
TAG, REVERSE_TAG, PORT = 3, 4, 12345
OTHERS = [("127.0.0.1", 40001), ("127.0.0.2", 40002), ("10.1.2.3", 65535)]
EXTREMES = [0, 1, 3, 4, 0xFF, 0x100, 0x101, 0xFFFF, 0x10000, 2**31, 2**32 - 4, 2**32 - 1]
PLACES = [c.SDRAM, c.SYSTEM_VARIABLES, c.VCPU, c.ROUTER_ROUTES, c.SYSCTL_SET_IRQ, c.DTCM_BASE, 0]
BOARD_WIDE = {Command.SIG, Command.NNP, Command.FFD}
HARMLESS = {Command.VER, Command.INFO, Command.COUNT, Command.READ, Command.LED, Command.SYNC}


def sense(rng: random.Random) -> bytes:
    """Make a datagram that could be a request."""
    header = (
        rng.choice([0x87, 0x07, 0x87, rng.randrange(256)]),
        rng.choice([0xFF, 0xFF, 0, TAG, rng.randrange(256)]),
        rng.choice([0, 0, 0, 1, 17, 18, rng.randrange(256)]),
        rng.choice([0xFF, rng.randrange(256)]),
        rng.choice([0, 1, 0x100, 0x101, 0xFFFF, rng.randrange(65536)]),
        rng.randrange(65536),
    )
    command = rng.choice([*COMMANDS, *COMMANDS, rng.randrange(65536)])
    choices = [*EXTREMES, *PLACES, rng.randrange(2**32), rng.randrange(2**19)]
    arguments = [rng.choice(choices) for _ in range(3)]
    if command in (Command.READ, Command.WRITE, Command.LINK_READ, Command.LINK_WRITE):
        arguments[1:] = [rng.choice([4, 256, 257, 7]), rng.randrange(7)]
    data = rng.randbytes(rng.choice([0, 4, 255, 256]))
    body = struct.pack("<HH3I", command, rng.randrange(65536), *arguments)
    return struct.pack("<2xBBBBHH", *header) + body + data


def mutated(rng: random.Random, datagram: bytes) -> bytes:
    """Damage a datagram: flip a bit, cut it, make it longer, repeat a part, or leave it."""
    kind = rng.randrange(6)
    at = rng.randrange(len(datagram))
    if kind == 0:
        flipped = datagram[at] ^ 1 << rng.randrange(8)
        return datagram[:at] + bytes([flipped]) + datagram[at + 1 :]
    if kind == 1:
        return datagram[:at]
    if kind == 2:
        return datagram + rng.randbytes(rng.choice([1, 26, 1200]))
    if kind == 3:
        return datagram[:at] + datagram[at // 2 :]
    return datagram


def nonsense(rng: random.Random) -> bytes:
    if rng.random() < 0.15:
        return rng.randbytes(rng.randrange(400))
    return mutated(rng, sense(rng))


def addresses_the_victim(datagram: bytes) -> bool:
    """Tell whether a valid message or command may change what is the victim's."""
    if not 10 <= len(datagram) <= 282:
        return False
    to, chip = struct.unpack_from("<4xBxH", datagram)
    if to & 31:
        return chip == VICTIM_CHIP
    if len(datagram) < 26:
        return False
    command, arg1, arg3 = struct.unpack_from("<H2xI4xI", datagram, 10)
    if command in BOARD_WIDE:
        return True
    if chip == VICTIM_CHIP:
        is_lock = command == Command.READ and arg1 >> 24 in (0xE2, 0xF2)
        return is_lock or (command in COMMANDS and command not in HARMLESS)
    if command == Command.IPTAG:
        return arg1 & 0xFF in (TAG, REVERSE_TAG)
    return command == Command.LINK_WRITE and arg3 < 6


class Victim:
    """A client with tags, memory, routes and a program."""

    def __init__(self, ask: Asker) -> None:
        self.ask, self.where = ask, {"chip": VICTIM_CHIP, "sender": VICTIM}
        write_image(ask, WAIT_FOR_EVER, **self.where)
        ask.ok(Command.AR, APPLICATION << 24 | 0b110, **self.where)
        ask.board.run()
        self.block = ask.word(Command.ALLOC, APPLICATION << 8, 4096, 9, **self.where)
        ask.ok(Command.WRITE, self.block, 256, 2, bytes(range(256)), **self.where)
        ask.word(Command.ALLOC, APPLICATION << 8 | 3, 10, **self.where)
        ip = struct.unpack("<I", bytes((127, 0, 0, 1)))[0]
        ask.ok(Command.IPTAG, 1 << 16 | TAG, 50001, ip, sender=VICTIM)
        reverse = 2 << 28 | 1 << 16 | 0x21 << 8 | REVERSE_TAG
        ask.ok(Command.IPTAG, reverse, 0x0101 << 16 | PORT, 0, sender=VICTIM)

    def state(self):
        board = self.ask.board
        chip = next(chip for chip in board.chips if chip.address == VICTIM_CHIP)
        places = [(self.block - 8, 4104), (vcpu(1), 256), (chip.router_copy, 16 * 20)]
        places += [(c.SDRAM_HEAP, 16), (c.SYSTEM_VARIABLES, 0x10), (c.ROUTER_ROUTES, 64)]
        own = [
            board.core.read_core(chip.index, core, address, size)
            for core in (1, 2)
            for address, size in ((0, c.ITCM_SIZE), (c.DTCM_BASE, c.DTCM_SIZE))
        ]
        tags = board.tags[0, 0]
        return (
            [tags.entry(TAG), tags.get(REVERSE_TAG).rx_port, tags.get(REVERSE_TAG).dest_chip],
            [chip.memory.read(address, size) for address, size in places],
            own,
            [board.core.core_state(chip.index, core)["state"] for core in (1, 2)],
        )


@pytest.mark.parametrize("seed", range(6))
def test_no_nonsense_stops_a_board_or_harms_another(seed):
    ask, rng = Asker(), random.Random(seed)
    victim = Victim(ask)
    before = victim.state()
    sent = 0
    for step in range(6000):
        datagram = nonsense(rng)
        if addresses_the_victim(datagram):
            continue
        sent += 1
        ask.board.handle(datagram, rng.choice(OTHERS))
        if step % 50 == 0:
            ask.board.run()
    assert VICTIM not in [target for _, target, _ in ask.board.take_outgoing()]
    assert sent > 3000
    after = victim.state()
    # Messages that others address to its tag reach the victim, and are counted.
    before[0][0], after[0][0] = (x[:16] + x[20:] for x in (before[0][0], after[0][0]))
    assert after == before
    assert ask.ok(Command.VER)[12:17] == b"SC&MP"
    assert ask.word(Command.COUNT, APPLICATION, CoreState.INITIALISING) == 2


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_that_may_harm_does_not_stop_a_board(seed):
    ask, rng = Asker(), random.Random(100 + seed)
    Victim(ask)
    for step in range(5000):
        ask.board.handle(nonsense(rng), HOST)
        if step % 50 == 0:
            ask.board.run()
    ask.board.take_outgoing()
    assert ask.ok(Command.VER)[12:17] == b"SC&MP"


def test_nonsense_at_a_reverse_tag_goes_where_the_tag_says():
    ask, rng = Asker(), random.Random(7)
    victim = Victim(ask)
    before = victim.state()
    for _ in range(500):
        data = rng.randbytes(rng.randrange(400))
        ask.board.handle_reverse(data, rng.choice(OTHERS), rng.choice([PORT, PORT + 1, 0]))
    ask.board.run()
    after = victim.state()
    assert after[1:] == before[1:]
    assert after[0][1:] == before[0][1:]
    assert ask.ok(Command.VER)[12:17] == b"SC&MP"


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_does_not_boot_a_board(seed):
    rng, rom = random.Random(seed), BootRom()
    blocks = [
        struct.pack(">H4I", 1, 3, 255 << 8 | number, 0, 0) + rng.randbytes(1024)
        for number in range(3)
    ]
    valid = [struct.pack(">H4I", 1, 1, 0, 0, 3), *blocks, struct.pack(">H4I", 1, 5, 1, 0, 0)]
    for _ in range(3000):
        packet = rng.choice(valid)
        if rng.random() < 0.7:
            packet = mutated(rng, packet)
        image = rom.handle(packet)
        # Three of the four blocks that the start announced are never all of it.
        assert image is None or len(image) <= 3 * 1024


def shower(address: str, port: int, seed: int, count: int) -> None:
    rng = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sent = 0
        while sent < count:
            datagram = nonsense(rng)
            if not addresses_the_victim(datagram):
                sock.sendto(datagram, (address, port))
                sent += 1


def test_several_sockets_at_once():
    with SoftwareBoard(version=3, unbooted=True) as board:
        places = [(BOOT_PORT, 1), (BOOT_PORT, 2), (SCP_PORT, 3)]
        shower_all(board.address, places, 300)
        assert ask_version(board.address, 0.3) is None
        board.check()
    with (
        SoftwareBoard(version=3) as board,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(10)
        client.connect((board.address, SCP_PORT))

        def ask(command, *arguments, data=b"", chip=0):
            header = struct.pack("<2xBBBBHH", 0x87, 0xFF, 0, 0xFF, chip, 0)
            client.send(header + struct.pack("<HH3I", command, 1, *arguments) + data)
            return client.recv(1024)[14:]

        content = random.Random(5).randbytes(256)
        block = struct.unpack("<I", ask(Command.ALLOC, 0x4D00, 4096, 9, chip=1))[0]
        ask(Command.WRITE, block, 256, 2, data=content, chip=1)
        reverse = 2 << 28 | 1 << 16 | 0x21 << 8 | REVERSE_TAG
        ask(Command.IPTAG, reverse, 0x0101 << 16 | PORT, 0)
        tag = ask(Command.IPTAG, 2 << 16 | REVERSE_TAG, 1, 0)
        shower_all(board.address, [(SCP_PORT, 4), (SCP_PORT, 5), (PORT, 6)], 400)
        board.check()
        assert ask(Command.READ, block, 256, 2, chip=1) == content
        assert ask(Command.ALLOC, 0x4D07, 9, 0, chip=1) == struct.pack("<I", block)
        assert ask(Command.IPTAG, 2 << 16 | REVERSE_TAG, 1, 0)[20:] == tag[20:]


def shower_all(address: str, places: list[tuple[int, int]], count: int) -> None:
    """Send nonsense to several ports from several sockets at once."""
    threads = [
        threading.Thread(target=shower, args=(address, port, seed, count)) for port, seed in places
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
