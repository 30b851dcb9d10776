"""ARM programs of a few instructions, and how to run them on a board without sockets.

Programs log what they see in the core's data memory, from LOG on.
"""

from __future__ import annotations

import struct

from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.emulator import _core

LOG = c.DTCM_BASE + 0x100
SCRATCH = c.SDRAM + 0x01000000
COMMS, TIMER, VIC, DMA = 0x10000000, 0x11000000, 0x1F000000, 0x30000000
SOFTWARE, TIMER1, READY, DMA_DONE, CPU, MULTICAST, FIXED = 1, 4, 6, 12, 18, 24, 27
PERIODIC, ONE_SHOT = 0x40, 1
INTERRUPT, ENABLE = 0x20, 0x80

# --- an assembler for what is needed here --------------------------------------------------------

WAIT = 0xEE070F90
"""mcr p15, 0, r0, c7, c0, 4"""
TAKE_IRQ, TAKE_FIQ, TAKE_NONE = 0xE321F05F, 0xE321F09F, 0xE321F0DF
"""msr cpsr_c: system mode with these interrupts."""
RETURN = 0xE25EF004
"""subs pc, lr, #4"""


def constant(register, value):
    """Four instructions that load 32 bits: mov, orr, orr, orr."""
    words = [0xE3A00000 | register << 12 | value & 0xFF]
    for byte in (1, 2, 3):
        immediate = (16 - 4 * byte) << 8 | value >> 8 * byte & 0xFF
        words.append(0xE3800000 | register << 16 | register << 12 | immediate)
    return words


def write(address, value):
    """Write a word; uses r0 and r1."""
    return [*constant(0, address), *constant(1, value), 0xE5801000]


def log(address):
    """Read a word and log it; uses r0 and r1. The log goes on at r9."""
    return [*constant(0, address), 0xE5901000, 0xE4891004]


def branch(source, target):
    return 0xEA000000 | (target - source - 8 >> 2) & 0xFFFFFF


def program(main, irq=(), fiq=()):
    """Lay out a program: it ends by waiting for interrupts for ever."""
    start = 0x40
    main = [*constant(9, LOG), *main]
    main += [WAIT, branch(start + 4 * len(main) + 4, start + 4 * len(main))]
    irq_at = start + 4 * len(main)
    fiq_at = irq_at + 4 * len(irq) + 4
    words = [0] * 16
    words[0] = branch(0, start)
    words[6], words[7] = branch(0x18, irq_at), branch(0x1C, fiq_at)
    words += [*main, *irq, RETURN, *fiq, RETURN]
    return struct.pack(f"<{len(words)}I", *words)


def on_interrupt(source, vector, *, slot=0):
    """Give a slot of the interrupt controller to a source, and enable it."""
    return [
        *write(VIC + 0x100 + 4 * slot, vector),
        *write(VIC + 0x200 + 4 * slot, 0x20 | source),
        *write(VIC + 0x10, 1 << source),
    ]


def begin_service():
    return log(VIC + 0x30)


def end_service():
    return write(VIC + 0x30, 0)


# --- running it ---------------------------------------------------------------------------------


def start(board, chip, core, code):
    board.core.write_core(chip, core, 0, code)
    board.core.write_core(chip, core, LOG, bytes(0x1000))
    board.core.start(chip, core, 0)


def settle(board):
    for _ in range(1000):
        if board.core.run(10_000_000) == _core.IDLE:
            return
    raise AssertionError("the board does not come to rest")


def logged(board, chip, core, count):
    data = board.core.read_core(chip, core, LOG, 4 * count + 4)
    *values, after = struct.unpack(f"<{count + 1}I", data)
    assert after == 0
    return values


def run(board, main, irq=(), fiq=(), *, count):
    """Run one program on core 1 of the first chip, and give its log."""
    start(board, 0, 1, program(main, irq, fiq))
    settle(board)
    return logged(board, 0, 1, count)
