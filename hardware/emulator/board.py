"""A whole board: chips that execute, monitors that answer, and the way of every message.

No sockets and no clock: `handle` takes a datagram and the sender's address, `run` lets the chips
work for a while, and both leave what goes out in `take_outgoing`. Where two messages wait for one
core, they keep their order.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import Final

from ..constants import CYCLES_PER_MS, CoreState, Result
from ..packets import (
    HOST_PORT,
    NO_TAG,
    REPLY_EXPECTED,
    Sdp,
    decode_datagram,
    decode_scp,
    decode_sdp,
    encode_datagram,
    encode_result,
    encode_sdp,
)
from . import _core
from .chip import Chip
from .layout import Layout, load_layout
from .monitor import Monitor, Refused, carry_out_for_idle_core
from .tags import REVERSE, STRIP, TEMPORARY, Address, Tags

logger = logging.getLogger(__name__)

ROOT: Final = 0xFFFF
"""Chip address that stands for the root chip."""
_SLICE: Final = 4_000_000
"""Instructions between two looks at the network, about 10 ms."""
_MOST_THREADS: Final = 4


class Board:
    """A SpiNNaker board made of software; results do not depend on the number of threads."""

    def __init__(self, layout: Layout, ip: str = "127.0.0.2", threads: int | None = None) -> None:
        self.layout = layout
        self.ip = bytes(int(part) for part in ip.split("."))
        numbers = {xy: i for i, xy in enumerate(layout.chips)}
        self.core = _core.Board(
            [
                (*xy, layout.cores[xy], tuple(-1 if to is None else numbers[to] for to in around))
                for xy, around in ((xy, layout.neighbours[xy]) for xy in layout.chips)
            ],
            threads or min(_processors(), _MOST_THREADS),
        )
        self.chips = [Chip(self.core, i, xy, layout) for xy, i in numbers.items()]
        self.tags = Tags()
        self._by_address = {chip.address: chip for chip in self.chips}
        self._monitors = {chip.address: Monitor(self, chip) for chip in self.chips}
        self._root = self._by_address[layout.ethernet[0] << 8 | layout.ethernet[1]]
        self._parents = layout.routes_to(layout.ethernet)
        self._waiting: dict[tuple[int, int], deque[Sdp]] = {}
        self._outgoing: list[tuple[bytes, Address, int | None]] = []
        for chip in self.chips:
            chip.boot(layout, self.ip)

    # --- the world around ---------------------------------------------------------------------

    @property
    def time_ms(self) -> float:
        """Virtual time since start, in ms."""
        return float(self.core.now / CYCLES_PER_MS)

    @property
    def busy_cores(self) -> int:
        """Application cores that run a program."""
        return sum(sum(1 for a in chip.applications if a) for chip in self.chips)

    def handle(self, datagram: bytes, sender: Address) -> None:
        """Take a datagram that came to the SCP port; what makes no sense is dropped."""
        try:
            message = decode_datagram(datagram)
        except ValueError as error:
            logger.debug("dropped a datagram of %s: %s", sender, error)
            return
        message.source_chip = self._root.address
        message.source_port = HOST_PORT
        self._route(message, sender)
        self._deliver()

    def handle_reverse(self, data: bytes, sender: Address, port: int) -> None:
        """Take data that came to the port of a reverse tag."""
        number = self.tags.reverse_ports().get(port)
        tag = None if number is None else self.tags.get(number)
        if tag is None or number is None or len(data) > 272:
            return
        tag.host = sender
        chip = self._root.address
        self._route(Sdp(7, number, tag.dest_port, HOST_PORT, tag.dest_chip, chip, data), sender)
        self._deliver()

    def run(self) -> bool:
        """Let the chips work for about 10 ms; False when there is nothing left to do."""
        left = _SLICE
        while True:
            result = self.core.run(left)
            if result == _core.ATTENTION:
                self._attend()
                continue
            delivered = self._deliver()
            if result == _core.ALLOWANCE:
                return True
            if not delivered:
                return False

    def take_outgoing(self) -> list[tuple[bytes, Address, int | None]]:
        """Give the datagrams to send: data, where to, and from which port if not the usual."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # --- for the monitors -----------------------------------------------------------------------

    def neighbour(self, chip: Chip, link: int) -> Chip | None:
        """Give the chip behind a link."""
        there = self.layout.neighbours[chip.xy][link]
        return None if there is None else self._by_address[there[0] << 8 | there[1]]

    def parent_link(self, chip: Chip) -> int:
        """Give the link towards the root chip (7 there)."""
        return self._parents[chip.xy]

    def signal(self, data: int) -> None:
        """Signal applications on all chips: signal << 16 | mask << 8 | application."""
        for monitor in self._monitors.values():
            monitor.signal(data >> 16 & 15, data >> 8 & 0xFF, data & 0xFF)

    def forget(self, chip: Chip, core: int) -> None:
        """Drop the messages that wait for a core."""
        self._waiting.pop((chip.address, core), None)

    # --- the way of a message -------------------------------------------------------------------

    def _route(self, message: Sdp, sender: Address) -> None:
        if message.dest_chip == ROOT:
            message.dest_chip = self._root.address
        chip = self._by_address.get(message.dest_chip)
        if chip is None:
            self._refuse(message, sender, Result.ROUTE)
        elif message.dest_port == HOST_PORT:
            self._send_to_host(message)
        elif message.cpu >= chip.cores:
            self._refuse(message, sender, Result.CPU)
        elif message.cpu == 0:
            self._command(message, sender)
        elif chip.applications[message.cpu] == 0:
            self._answer_for_idle_core(chip, message, sender)
        else:
            if message.flags & REPLY_EXPECTED and message.tag == NO_TAG:
                message.tag = self.tags.lend(sender)
            self._waiting.setdefault((chip.address, message.cpu), deque()).append(message)

    def _command(self, message: Sdp, sender: Address) -> None:
        if message.port != 0:
            self._refuse(message, sender, Result.PORT)
            return
        monitor = self._monitors[message.dest_chip]
        try:
            scp = decode_scp(message.data)
        except ValueError:
            self._refuse(message, sender, Result.LENGTH)
            return
        try:
            self._answer(message, sender, Result.OK, monitor.carry_out(scp, sender))
        except Refused as refused:
            self._answer(message, sender, refused.code, refused.data)

    def _answer_for_idle_core(self, chip: Chip, message: Sdp, sender: Address) -> None:
        if message.port != 0:
            return
        try:
            data = carry_out_for_idle_core(chip, message.cpu, decode_scp(message.data))
            self._answer(message, sender, Result.OK, data)
        except Refused as refused:
            self._answer(message, sender, refused.code, refused.data)
        except ValueError:
            self._refuse(message, sender, Result.ARGUMENT)

    def _refuse(self, message: Sdp, sender: Address, code: Result) -> None:
        self._answer(message, sender, code, b"")

    def _answer(self, message: Sdp, sender: Address, code: int, data: bytes) -> None:
        """Answer a command, if an answer is expected, to the host or the core that sent it."""
        if not message.flags & REPLY_EXPECTED:
            return
        sequence = int.from_bytes(message.data[2:4], "little")
        reply = message.reply(encode_result(code, sequence, data))
        if message.source_port == HOST_PORT and message.tag == NO_TAG:
            self._outgoing.append((encode_datagram(reply), sender, None))
        else:
            self._route(reply, sender)

    def _send_to_host(self, message: Sdp) -> None:
        tag = self.tags.get(message.tag)
        if tag is None:
            return
        data = message.data if tag.flags & STRIP else encode_datagram(message)
        port = tag.rx_port if tag.flags & REVERSE else None
        self._outgoing.append((data, tag.host, port))
        tag.count += 1
        if tag.flags & TEMPORARY:
            self.tags.clear(message.tag)

    def _attend(self) -> None:
        """Take the messages of the cores that have signalled their monitor."""
        for index in self.core.attention():
            for data in self.chips[index].take_from_cores():
                self._route(decode_sdp(data), ("0.0.0.0", 0))

    def _deliver(self) -> bool:
        """Hand waiting messages to cores that can take one; tell whether any was."""
        any_delivered = False
        for (address, core), messages in list(self._waiting.items()):
            chip = self._by_address[address]
            if chip.state(core) in (CoreState.RUN_TIME_ERROR, CoreState.WATCHDOG):
                for message in messages:
                    self._refuse(message, ("0.0.0.0", 0), Result.DEAD)
                messages.clear()
            elif chip.mailbox_is_free(core) and chip.send_to_core(core, encode_sdp(messages[0])):
                messages.popleft()
                any_delivered = True
            if not messages:
                del self._waiting[address, core]
        return any_delivered


def _processors() -> int:
    """Tell how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_board(version: int, ip: str = "127.0.0.2", threads: int | None = None) -> Board:
    """Make a SpiNN-3 or SpiNN-5 that believes its address is `ip`."""
    return Board(load_layout(version), ip, threads)
