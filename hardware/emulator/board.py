"""A whole machine: chips that execute, monitors that answer, and the way of every message.

No sockets and no clock: `handle` takes a datagram and the sender's address, `run` lets the chips
work for a while, and both leave what goes out in `take_outgoing`. What belongs to a host comes and
goes at an Ethernet chip, of which each board has one. Where two messages wait for one
core, they keep their order.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections import deque
from typing import Final

from ..constants import CYCLES_PER_MS, SCP_PORT, Result
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
from .access import Refused
from .account import CoreAccount, take
from .chip import Chip
from .layout import XY, Layout, load_layout, p2p_address
from .live import talk_to_host
from .monitor import FIRMWARE, Monitor, carry_out_for_idle_core
from .neighbours import Hearer
from .serial_rom import SerialRom, board_record
from .tags import FIXED, POOL, REVERSE, STRIP, TEMPORARY, Address, Tags
from .translator.background import Translations

logger = logging.getLogger(__name__)

ROOT: Final = 0xFFFF
"""Chip address that stands for the root chip."""
SLICE: Final = 4_000_000
"""Instructions between two looks at the network, about 10 ms."""
_BURST: Final = 32
"""Datagrams that are sent before the chips go on: a host's socket holds some hundreds."""
_MOST_THREADS: Final = 4
_CHECKSUM, _NO_ROUTE = 0x40, 0x20
"""Flags of a message: it carries a checksum, which nobody checks; it stays at this chip."""
_PATIENCE: Final = CYCLES_PER_MS
"""How long a message waits for a core to take the one before (`shm_send_msg` in the firmware)."""


Door = tuple[XY, int]
"""Where a datagram comes in or goes out: an Ethernet chip and a UDP port."""


class Board:
    """A SpiNNaker machine made of software; results do not depend on the number of threads.

    `ip` is the address of the first Ethernet chip; further ones have the addresses behind it.
    `firmware` is what the monitors say that they are. With `enforce_timing` work takes time.
    """

    def __init__(
        self,
        layout: Layout,
        ip: str = "127.0.0.2",
        threads: int | None = None,
        enforce_timing: bool = False,
    ) -> None:
        self.layout = layout
        self.firmware = FIRMWARE
        self.addresses = dict(
            zip(layout.ethernets, addresses_from(ip, len(layout.ethernets)), strict=True)
        )
        numbers = {xy: i for i, xy in enumerate(layout.chips)}
        self.core = _core.Board(
            [
                (*xy, layout.cores[xy], tuple(-1 if to is None else numbers[to] for to in around))
                for xy, around in ((xy, layout.neighbours[xy]) for xy in layout.chips)
            ],
            threads or min(_processors(), _MOST_THREADS),
            enforce_timing,
        )
        self.chips = [Chip(self.core, i, xy, layout) for xy, i in numbers.items()]
        self.tags = {ethernet: Tags() for ethernet in layout.ethernets}
        self._tags_elsewhere: dict[XY, Tags] = {}
        self.roms = {
            xy: SerialRom(board_record(layout.version, self.ip(xy), SCP_PORT))
            for xy in layout.ethernets
        }
        self._by_address = {chip.address: chip for chip in self.chips}
        self._monitors = {chip.address: Monitor(self, chip) for chip in self.chips}
        self._parents = layout.routes_to(layout.ethernet)
        self.accounts: list[CoreAccount] = []
        """Of all programs that have been stopped, in that order."""
        self.translations: Translations | None = None
        """Where the cores get translated code from, if they do."""
        self._waiting: dict[tuple[int, int], deque[Sdp]] = {}
        self._waiting_since: dict[tuple[int, int], int] = {}
        self._outgoing: list[tuple[bytes, Address, Door]] = []
        for chip in self.chips:
            chip.boot(layout, self.ip(chip.xy))

    # --- the world around ---------------------------------------------------------------------

    @property
    def time_ms(self) -> float:
        """Virtual time since start, in ms."""
        return float(self.core.now / CYCLES_PER_MS)

    @property
    def busy_cores(self) -> int:
        """Application cores that run a program."""
        return sum(sum(1 for a in chip.applications if a) for chip in self.chips)

    def handle(self, datagram: bytes, sender: Address, at: XY | None = None) -> None:
        """Take a datagram that came to the SCP port of the Ethernet chip `at` (default: the first).

        What makes no sense is dropped.
        """
        try:
            message = decode_datagram(datagram)
        except ValueError as error:
            logger.debug("dropped a datagram of %s: %s", sender, error)
            return
        ethernet = at or self.layout.ethernet
        if message.flags & REPLY_EXPECTED and message.tag != NO_TAG:
            known = message.tag < FIXED + POOL and self.tags[ethernet].get(message.tag)
            if not known:
                return
        message.flags &= ~_CHECKSUM
        message.source_chip = p2p_address(ethernet)
        message.source_port = HOST_PORT
        if message.flags & _NO_ROUTE:
            message.dest_chip = message.source_chip
        self._route(message, sender)
        self._deliver()

    def handle_reverse(self, data: bytes, sender: Address, port: int, at: XY | None = None) -> None:
        """Take data that came to the port of a reverse tag of an Ethernet chip, as `handle`."""
        at = at or self.layout.ethernet
        number = self.tags[at].reverse_ports().get(port)
        tag = None if number is None else self.tags[at].get(number)
        if tag is None or number is None or len(data) > 272:
            return
        tag.host = sender
        chip = p2p_address(at)
        self._route(Sdp(7, number, tag.dest_port, HOST_PORT, tag.dest_chip, chip, data), sender)
        self._deliver()

    def run(self, instructions: int = SLICE) -> bool:
        """Let the chips work for a while; False when there is nothing left to do for now.

        They pause when there is much to send. A simulation stops at `core.limit`.
        """
        if self.translations is not None:
            self.translations.look()
        while True:
            result = self.core.run(instructions)
            if result == _core.ATTENTION:
                self._attend()
                if len(self._outgoing) < _BURST:
                    continue
                return True
            delivered = self._deliver()
            if result == _core.ALLOWANCE or (result == _core.LIMIT and not delivered):
                self._give_up(self.core.now - _PATIENCE)
                return bool(result == _core.ALLOWANCE)
            if not delivered and not self._give_up(self.core.now):
                return False

    @property
    def talks_to_host(self) -> bool:
        """Whether spikes may come in, or go out, while the programs run."""
        return any(tags.reverse_ports() for tags in self.tags.values()) or talk_to_host(self.chips)

    def take_outgoing(self) -> list[tuple[bytes, Address, Door]]:
        """Give the datagrams to send: data, where to, and where from."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # --- for the monitors -----------------------------------------------------------------------

    def ip(self, chip: XY) -> bytes:
        """Give the address of an Ethernet chip, zeros for another."""
        return bytes(int(part) for part in self.addresses.get(chip, "0.0.0.0").split("."))

    def tags_of(self, chip: Chip) -> Tags:
        """Give a chip's own tags; only those of an Ethernet chip are of use."""
        tags = self.tags.get(chip.xy)
        return self._tags_elsewhere.setdefault(chip.xy, Tags()) if tags is None else tags

    def neighbour(self, chip: Chip, link: int) -> Chip | None:
        """Give the chip behind a link."""
        there = self.layout.neighbours[chip.xy][link]
        return None if there is None else self._by_address[p2p_address(there)]

    def counted_by(self, chip: Chip) -> list[Chip]:
        """Give the chips whose cores a monitor counts: those of its board, if it is the first.

        Another counts the chips that would be its board's if it were.
        """
        if chip.xy in self.tags:
            return [c for c in self.chips if self.layout.ethernet_of(c.xy) == chip.xy]
        offsets = ((c, c.xy[0] - chip.xy[0], c.xy[1] - chip.xy[1]) for c in self.chips)
        return [c for c, x, y in offsets if 0 <= x < 8 and 0 <= y < 8 and -3 <= x - y <= 4]

    def hearer(self, chip: Chip) -> Hearer:
        """Give what hears the neighbour packets that reach a chip."""
        return self._monitors[chip.address].hearer

    def parent_link(self, chip: Chip) -> int:
        """Give the link towards the root chip (7 there)."""
        return self._parents[chip.xy]

    def signal(self, data: int) -> None:
        """Signal applications on all chips: signal << 16 | mask << 8 | application."""
        for monitor in self._monitors.values():
            monitor.signal(data >> 16 & 15, data >> 8 & 0xFF, data & 0xFF)

    def forget(self, chip: Chip, core: int) -> None:
        """Close the account of a core's program, and drop the messages that wait for it."""
        self._waiting.pop((chip.address, core), None)
        self._waiting_since.pop((chip.address, core), None)
        if self.translations is not None:
            self.translations.stopped(chip.index, core)
        account = take(self.core, chip, core)
        if account is not None:
            self.accounts.append(account)

    # --- the way of a message -------------------------------------------------------------------

    def _route(self, message: Sdp, sender: Address) -> None:
        if message.dest_chip == ROOT:
            message.dest_chip = p2p_address(self.layout.ethernet)
        chip = self._by_address.get(message.dest_chip)
        if chip is None:
            self._refuse(message, sender, Result.ROUTE)
        elif message.dest_port == HOST_PORT:
            self._send_to_host(chip, message)
        elif message.cpu >= chip.cores:
            self._refuse(message, sender, Result.CPU)
        elif message.cpu == 0:
            self._command(message, sender)
        elif message.cpu in chip.dead:
            self._refuse(message, sender, Result.TIMEOUT)
        elif chip.applications[message.cpu] == 0:
            self._answer_for_idle_core(chip, message, sender)
        else:
            if message.flags & REPLY_EXPECTED and message.tag == NO_TAG:
                message.tag = self.tags[self._ethernet_of(message.source_chip)].lend(sender)
            core = (chip.address, message.cpu)
            self._waiting.setdefault(core, deque()).append(message)
            self._waiting_since.setdefault(core, self.core.now)

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
            scp = decode_scp(message.data)
        except ValueError:
            self._refuse(message, sender, Result.LENGTH)
            return
        try:
            data = carry_out_for_idle_core(self.core, chip, message.cpu, scp)
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
            door = (self._ethernet_of(message.source_chip), SCP_PORT)
            self._outgoing.append((encode_datagram(reply), sender, door))
        else:
            self._route(reply, sender)

    def _ethernet_of(self, address: int) -> XY:
        return self.layout.ethernet_of((address >> 8, address & 0xFF))

    def _send_to_host(self, chip: Chip, message: Sdp) -> None:
        tags = self.tags.get(chip.xy)
        tag = None if tags is None else tags.get(message.tag)
        if tags is None or tag is None:
            return
        data = message.data if tag.flags & STRIP else encode_datagram(message)
        port = tag.rx_port if tag.flags & REVERSE else SCP_PORT
        self._outgoing.append((data, tag.host, (self.layout.ethernet_of(chip.xy), port)))
        tag.count += 1
        if tag.flags & TEMPORARY:
            tags.clear(message.tag)

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
            if chip.mailbox_is_free(core) and chip.send_to_core(core, encode_sdp(messages[0])):
                messages.popleft()
                any_delivered = True
                self._waiting_since[address, core] = self.core.now
            if not messages:
                del self._waiting[address, core], self._waiting_since[address, core]
        return any_delivered

    def _give_up(self, time: int) -> bool:
        """Refuse what waits for cores that have taken nothing since a time; tell whether any is."""
        refused = []
        for (address, core), since in list(self._waiting_since.items()):
            if since <= time:
                free = self._by_address[address].mailbox_is_free(core)
                code = Result.BUFFER if free else Result.TIMEOUT
                refused += [(message, code) for message in self._waiting[address, core]]
                del self._waiting[address, core], self._waiting_since[address, core]
        for message, code in refused:
            self._refuse(message, ("0.0.0.0", 0), code)
        return bool(refused)


def addresses_from(first: str, count: int) -> list[str]:
    """Give consecutive IP addresses."""
    return [str(ipaddress.IPv4Address(first) + i) for i in range(count)]


def _processors() -> int:
    """Tell how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_board(version: int, ip: str = "127.0.0.2", threads: int | None = None) -> Board:
    """Make a SpiNN-3 or SpiNN-5 that believes its address is `ip`."""
    return Board(load_layout(version), ip, threads)
