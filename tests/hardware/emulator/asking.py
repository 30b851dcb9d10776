"""A software board without sockets, asked as a host asks it."""

from __future__ import annotations

import struct

from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.constants import Command, Result
from spikingconvnet.hardware.emulator.board import make_board
from spikingconvnet.hardware.packets import (
    Scp,
    Sdp,
    decode_datagram,
    encode_datagram,
    encode_scp,
)

HOST = ("127.0.0.1", 40000)
FREE = c.SDRAM + 0x01000000
"""An address in the middle of the heap, which nothing uses here."""
LOAD_AREA = c.SDRAM + c.SDRAM_SIZE - c.SDRAM_SYSTEM_SIZE


def application(image):
    """Make an APLX image of some words of code."""
    code = struct.pack(f"<{len(image)}I", *image)
    return struct.pack("<8I", 2, 0, 32, len(code), 4, 0, 0, 0) + code


WAIT_FOR_EVER = application([0xEE070F90, 0xEAFFFFFD])
"""mcr p15, 0, r0, c7, c0, 4 (wait for interrupt), and back to it."""


def write_image(ask, image, **where):
    for start in range(0, len(image), 256):
        part = image[start : start + 256]
        ask.ok(Command.WRITE, LOAD_AREA + start, len(part), 0, part, **where)


def states(ask, chip=0):
    return list(ask.ok(Command.INFO, chip=chip)[12:30])


class Asker:
    """Asks a board and takes the answers off it."""

    def __init__(self) -> None:
        self.board = make_board(3, "127.53.1.2")

    def send(self, data: bytes, *, chip=0, port_cpu=0, flags=0x87, tag=0xFF, sender=HOST):
        message = Sdp(flags, tag, port_cpu, 0xFF, chip, 0, data)
        self.board.handle(encode_datagram(message), sender)
        return [(decode_datagram(data), target) for data, target, _ in self.board.take_outgoing()]

    def late_answers(self):
        """Give code, sequence number and data of the answers that came meanwhile."""
        datagrams = [decode_datagram(data).data for data, _, _ in self.board.take_outgoing()]
        return [(*struct.unpack_from("<HH", data), data[4:]) for data in datagrams]

    def __call__(self, command, arg1=0, arg2=0, arg3=0, payload=b"", sequence=0x1234, **where):
        """Ask; give the return code and the data of the one answer."""
        scp = Scp(int(command), sequence, arg1, arg2, arg3, payload)
        answers = self.send(encode_scp(scp), **where)
        assert len(answers) == 1
        answer, target = answers[0]
        assert target == where.get("sender", HOST)
        assert answer.dest_port == 0xFF and answer.flags & 0x80 == 0
        code, echoed = struct.unpack_from("<HH", answer.data)
        assert echoed == sequence
        return code, answer.data[4:]

    def ok(self, *arguments, **named):
        code, data = self(*arguments, **named)
        assert code == Result.OK
        return data

    def word(self, *arguments, **named):
        (value,) = struct.unpack("<I", self.ok(*arguments, **named))
        return value
