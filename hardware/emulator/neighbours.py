"""Neighbour packets between monitors: flood fill, and what else one chip tells all others.

A packet is a key and a data word, sent over one link. The key holds the command in bits 27:24; each
monitor that hears a packet does what it says and passes it on over its own links. Commands 0 to 3
say in the key over which (bits 23:16), for the others each monitor has its own setting; bit 6 of it
counts links from East, otherwise bit 0 is the link that the packet came from. An ID in bits 7:1
lets a monitor ignore what it has had before. No packet is lost here, so none is repeated, and one
that a monitor has had already ends there: without an ID the firmware would send it round for ever.

Flood fill, as a host orders it by NNP and FFD: FFS (blocks to come), FFCS (cores to start), for
each block FBS (where to), FBD (its words) and FBE (their sum), then FFE (start the image in the
load area). The commands of the boot (P2PC, P2PB, LKSYN, NISYN, BIFF) are ignored: this board is up.
Source: spinnaker_tools `scamp/scamp-nn.c`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .. import constants as c
from .chip import Chip

if TYPE_CHECKING:
    from .board import Board
    from .monitor import Monitor

SIG0, RTRC, LTPC, SIG1, FFS, FFCS, FBS, FBD, FBE, FFE = 0, 1, 2, 4, 6, 7, 12, 13, 14, 15
SIGNAL_APPLICATIONS: Final = 5
"""Operation of SIG0 (data bits 31:28): the rest of the data is a signal, as for SIG."""
ALL_LINKS: Final = 0x3F
_SET_FORWARD, _SET_TIME_PHASE, _SET_IDS = 0, 2, 3
_FORWARD: Final = c.SYSTEM_VARIABLES + 0x28
_LAST_ID: Final = c.SYSTEM_VARIABLES + 0x07
_PHASE_SCALE: Final = c.SYSTEM_VARIABLES + 0x0F
_PHASE_TIMER: Final = c.SYSTEM_VARIABLES + 0x20
_POINTER: Final = c.SYSTEM_VARIABLES + 0x60
_BASES: Final = (c.SYSTEM_VARIABLES, c.SYSRAM, c.SYSCTL)
_IDLE, _BETWEEN_BLOCKS, _IN_BLOCK = range(3)
_ABSOLUTE: Final = 0x40
_WORD: Final = 0xFFFFFFFF


class Hearer:
    """What one monitor makes of the neighbour packets that reach it."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._memory = monitor.chip.memory
        self._links = ALL_LINKS
        self._ids = 0
        self._last_set = 0
        self._state = _IDLE
        self._id = self._blocks_due = self._blocks_done = self._cores = self._last_select = 0
        self._failed = self._selected = False
        self._seen: dict[int, set[int]] = {FBS: set(), FBD: set(), FBE: set()}
        self._block = self._start = self._sum = 0
        self._words: list[int] = []

    def hear(self, key: int, data: int) -> bool:
        """Do what a packet says; tell whether to pass it on."""
        command, number = key >> 24 & 15, key >> 1 & 127
        if command < FFCS and number:
            if self._ids >> number & 1:
                return False
            self._ids = (self._ids | 1 << number) & ~(_WORD << 32 * ((number // 32 + 2) % 4))
        handler = _HANDLERS.get(command)
        return handler is not None and handler(self, key, data)

    def forward(self, key: int, link: int) -> list[int]:
        """Tell over which links a packet that came from `link` goes on."""
        links = self._links if key >> 24 & 4 else key >> 16 & 0xFF
        first = 0 if links & _ABSOLUTE else link
        return [(bit + first) % 6 for bit in range(6) if links >> bit & 1]

    # --- one word for all -----------------------------------------------------------------------

    def _sig0(self, key: int, data: int) -> bool:
        operation = data >> 28
        if operation == _SET_FORWARD:
            self._links = data >> 8 & 0xFF
            self._memory.write(_FORWARD, bytes((self._links, data & 0xFF)))
        elif operation == _SET_TIME_PHASE:
            self._memory.set_u8(_PHASE_SCALE, data & 15)
            self._memory.set_u32(_PHASE_TIMER, 0)
        elif operation == _SET_IDS:
            if data == self._last_set:
                return False
            self._last_set, self._ids = data, (1 << 128) - 1 if data & 1 else 0
        elif operation == SIGNAL_APPLICATIONS:
            self._monitor.signal(data >> 16 & 15, data >> 8 & 0xFF, data & 0xFF)
        return True

    def _router_control(self, key: int, data: int) -> bool:
        fields = {5: 0xFF000000, 4: 0x00FF0000, 3: 0x8000, 2: 0x1F00, 1: 0xC0}
        mask = sum(field for bit, field in fields.items() if data >> bit & 1)
        old = self._memory.u32(c.ROUTER_CONTROL)
        self._memory.set_u32(c.ROUTER_CONTROL, old & ~mask | data & mask)
        return True

    def _time_phase(self, key: int, data: int) -> bool:
        soonest = self._memory.u32(_PHASE_TIMER) + 2 & _WORD
        if soonest > data or (soonest ^ data) >> 31:
            return False
        self._memory.set_u32(_PHASE_TIMER, data - 1)
        return True

    def _sig1(self, key: int, data: int) -> bool:
        """Write a byte, a half-word or a word at an offset from one of four places."""
        if key >> 20 & 15:
            return True
        place, size = key >> 16 & 3, (1, 2, 4, 4)[key >> 18 & 3]
        base = self._memory.u32(_POINTER) if place == 3 else _BASES[place]
        address = base + (key >> 8 & 0xFF) & _WORD
        try:
            self._memory.write(address & -size, struct.pack("<I", data)[:size])
        except ValueError:
            return False
        return True

    # --- flood fill -----------------------------------------------------------------------------

    def _fill_start(self, key: int, data: int) -> bool:
        self._state = _BETWEEN_BLOCKS
        self._id, self._blocks_due, self._blocks_done = key >> 17 & 127, key >> 8 & 0xFF, 0
        self._failed = self._selected = False
        self._cores = self._last_select = 0
        self._seen[FBS].clear()
        self._seen[FBE].clear()
        return True

    def _fill_select(self, key: int, data: int) -> bool:
        cores = key & 0x3FFFF
        if data << 18 | cores <= self._last_select:
            return False
        self._last_select = data << 18 | cores
        self._selected = True
        self._cores |= cores
        return True

    def _expects(self, key: int, state: int) -> bool:
        return self._state == state and key >> 1 & 127 == self._id

    def _is_new(self, command: int, number: int) -> bool:
        new = number not in self._seen[command]
        self._seen[command].add(number)
        return new

    def _block_start(self, key: int, data: int) -> bool:
        block = key >> 16 & 0xFF
        if not self._expects(key, _BETWEEN_BLOCKS) or not self._is_new(FBS, block):
            return False
        self._block, self._start, self._sum = block, data, data
        self._words = [0] * ((key >> 8 & 0xFF) + 1)
        self._seen[FBD].clear()
        self._state = _IN_BLOCK
        return True

    def _block_data(self, key: int, data: int) -> bool:
        number = key >> 8 & 0xFF
        mine = self._expects(key, _IN_BLOCK) and key >> 16 & 0xFF == self._block
        if not mine or not self._is_new(FBD, number):
            return False
        if number < len(self._words):
            self._words[number] = data
        self._sum = self._sum + data & _WORD
        return True

    def _block_end(self, key: int, data: int) -> bool:
        block = key >> 16 & 0xFF
        mine = self._expects(key, _IN_BLOCK) and block == self._block
        if not mine or not self._is_new(FBE, block):
            return False
        self._state = _BETWEEN_BLOCKS
        complete = len(self._seen[FBD]) == len(self._words)
        if not complete or self._sum + data & _WORD:
            self._failed = True
            return True
        try:
            self._memory.write(self._start & ~3, struct.pack(f"<{len(self._words)}I", *self._words))
            self._blocks_done += 1
        except ValueError:
            self._failed = True
        return True

    def _fill_end(self, key: int, data: int) -> bool:
        if not self._expects(key, _BETWEEN_BLOCKS):
            return False
        self._state = _IDLE
        if self._selected and not self._failed and self._blocks_done == self._blocks_due:
            self._monitor.start_loaded(data | self._cores)
        return True


_HANDLERS: Final[dict[int, Callable[[Hearer, int, int], bool]]] = {
    SIG0: Hearer._sig0,
    RTRC: Hearer._router_control,
    LTPC: Hearer._time_phase,
    SIG1: Hearer._sig1,
    FFS: Hearer._fill_start,
    FFCS: Hearer._fill_select,
    FBS: Hearer._block_start,
    FBD: Hearer._block_data,
    FBE: Hearer._block_end,
    FFE: Hearer._fill_end,
}


def send(board: Board, chip: Chip, key: int, data: int, links: int) -> None:
    """Send a packet from a chip over some of its links, and let it find its way."""
    heard: set[Chip] = set()
    waiting: deque[tuple[Chip, int]] = deque()

    def leave(here: Chip, link: int) -> None:
        there = board.neighbour(here, link)
        if there is not None and there not in heard:
            waiting.append((there, (link + 3) % 6))

    for link in range(6):
        if links >> link & 1:
            leave(chip, link)
    while waiting:
        here, link = waiting.popleft()
        if here in heard:
            continue
        heard.add(here)
        hearer = board.hearer(here)
        if hearer.hear(key, data):
            for onward in hearer.forward(key, link):
                leave(here, onward)


def send_ordered(board: Board, chip: Chip, key: int, data: int, how: int) -> None:
    """Send as NNP and FFD order it: links in bits 13:8 of `how`, a new ID when bit 31 is set."""
    if how >> 31:
        last = chip.memory.u8(_LAST_ID)
        last = last + 1 if last < 127 else 1
        chip.memory.set_u8(_LAST_ID, last)
        key |= last << 1
    send(board, chip, key & 0x0FFFFFFF, data, how >> 8 & ALL_LINKS)


def fill_block(board: Board, chip: Chip, order: tuple[int, int, int], words: list[int]) -> None:
    """Send a block of a flood fill: `order` is the arguments of FFD."""
    how, number, block = order[0] >> 16, order[0] & 0xFE, order[1] & 0x00FF0000
    count = (order[1] >> 8 & 0xFF) + 1
    start = order[2]
    send_ordered(board, chip, FBS << 24 | block | count - 1 << 8 | number, start, how)
    for i, word in enumerate(words[:count]):
        send_ordered(board, chip, FBD << 24 | block | i << 8 | number, word, how)
    total = start + sum(words[:count])
    send_ordered(board, chip, FBE << 24 | block | number, -total & _WORD, how)
