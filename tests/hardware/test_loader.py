"""APLX images: what is copied where, and what is no image."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.emulator import loader
from spikingconvnet.hardware.emulator.board import make_board

TABLE = c.SDRAM + 0x1000
END = (4, 0, 0, 0)


@pytest.fixture(scope="module")
def board():
    return make_board(3)


def shipped(name):
    """Find a binary of the installed sPyNNaker without importing it."""
    return Path(find_spec("spynnaker").origin).parent / "pyNN" / "model_binaries" / name


def load(board, *entries, data=b""):
    memory = board.chips[0].memory
    memory.write(TABLE, bytes(0x2000))
    image = b"".join(struct.pack("<4I", *entry) for entry in entries)
    memory.write(TABLE, image + data)
    loader.load(board.core, 0, 1, memory, TABLE)


def core_memory(board, address, length):
    return board.core.read_core(0, 1, address, length)


def test_copies_and_fills(board):
    data = bytes(range(1, 65))
    load(
        board,
        (3, 0, 0x40, 0x55555555),
        (2, 0x10, 4 * 16 - 16, 32),
        (1, c.DTCM_BASE + 0x20, TABLE + 5 * 16 + 32, 32),
        (3, c.DTCM_BASE, 16, 0xDEADBEEF),
        END,
        data=bytes(0) + data,
    )
    # The second entry, at TABLE + 16, copies what lies 48 bytes behind it: the last table entry.
    assert core_memory(board, 0x10, 16) == struct.pack("<4I", *END)
    assert core_memory(board, 0x20, 16) == data[:16]
    assert core_memory(board, 0, 16) == b"\x55" * 16
    assert core_memory(board, 0x30, 16) == b"\x55" * 16
    assert core_memory(board, c.DTCM_BASE, 16) == struct.pack("<I", 0xDEADBEEF) * 4
    assert core_memory(board, c.DTCM_BASE + 0x20, 32) == data[32:]


def test_lengths_are_rounded_up_but_not_beyond_the_memory(board):
    load(board, (3, 0, 0x100, 0), (2, 0x40, 32, 1), END, data=b"\xaa" * 64)
    assert core_memory(board, 0x40, 33) == b"\xaa" * 32 + b"\0"
    end = c.DTCM_BASE + c.DTCM_SIZE
    load(board, (2, end - 16, 48, 64), (3, c.ITCM_SIZE - 8, 64, 7), END, data=b"\xbb" * 64)
    assert core_memory(board, end - 16, 16) == b"\xbb" * 16
    assert core_memory(board, c.ITCM_SIZE - 8, 8) == struct.pack("<2I", 7, 7)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(0, 0, 0, 0)], r"APLX entry: operation 0 \(must be 1 to 4\)"),
        ([(5, 0, 0, 0)], "APLX entry: operation 5"),
        ([(0xFFFFFFFF, 0, 0, 0)], "APLX entry: operation 4294967295"),
        ([(3, 0x8000, 16, 0), END], "APLX entry: destination 0x00008000"),
        ([(2, c.SDRAM, 16, 16), END], "APLX entry: destination 0x60000000"),
        ([(3, c.DTCM_BASE + c.DTCM_SIZE, 16, 0), END], "APLX entry: destination 0x00410000"),
        ([(1, 0, 0x90000000, 64), END], "address: 0x90000000"),
        ([(1, 0, c.SDRAM + c.SDRAM_SIZE - 4, 64), END], "address: 0x67fffffc"),
        ([(3, 0, 16, 0)] * 70, "APLX table: no start within 64 entries"),
    ],
)
def test_what_is_no_image_is_refused(board, entries, message):
    with pytest.raises(ValueError, match=message):
        load(board, *entries)


def test_a_shipped_binary_is_loaded_whole(board):
    path = shipped("IF_curr_exp.aplx")
    image = path.read_bytes()
    memory = board.chips[0].memory
    memory.write(TABLE, image)
    loader.load(board.core, 0, 1, memory, TABLE)
    entries = list(struct.iter_unpack("<4I", image[:64]))
    assert [entry[0] for entry in entries] == [2, 2, 3, 4]
    for index, (operation, destination, offset, length) in enumerate(entries):
        if operation == 2:
            start = 16 * index + offset
            assert core_memory(board, destination, length) == image[start : start + length]
