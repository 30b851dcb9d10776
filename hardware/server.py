"""The process that is a software board: sockets in front of an emulated board.

Run as `python -m spikingconvnet.hardware.server --version 5`. It binds the SCP port on a loopback
address (with `--boards`, on as many consecutive ones), prints `ready ADDRESS` and serves until its
standard input closes (with `--watch-stdin`, so that it never outlives the program that started it),
SIGTERM or Ctrl-C; then it prints, as JSON, how much virtual time has passed and how long that took.
For every line that comes to a watched standard input it prints `Server.status` as a line of JSON,
and never unasked: a pipe that nobody reads would fill, and the board would wait.
It sends only to the addresses that hosts give in their requests and tags.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .addresses import bind, bind_all, bind_free
from .constants import BOOT_PORT, CYCLES_PER_MS, SCP_PORT
from .emulator.account import CoreAccount
from .emulator.board import SLICE, Board, Door
from .emulator.boot import BROKEN_ROMS, FAULTS, OLD_FIRMWARE, BootRom, firmware
from .emulator.dead import read_dead
from .emulator.layout import XY, load_layout
from .emulator.programs import programs_on
from .emulator.tags import Address
from .emulator.translator.background import Translations
from .emulator.translator.cache import default_folder
from .errors import HardwareError
from .pace import Pace
from .packets import REPLY_EXPECTED, decode_datagram

logger = logging.getLogger(__name__)

_GRACE_S = 2.0
_DOZE_S, _TICK_S = 0.2, 0.001
"""How long to wait for datagrams when nothing is to do, and while time waits for the clock."""
_PACED_SLICE = SLICE // 10
_MOST_AHEAD = 100 * CYCLES_PER_MS
"""The clock starts with the first tick, as programs take no spikes before, but not much later."""
_TOLD_MS = 1000.0
"""A warning is logged each time that so much more of real time has been lost."""
_BATCH = 64
"""Datagrams taken from one socket before the board runs again."""


class Server:
    """Passes datagrams between sockets and a board, and gives the board time to work.

    `sockets` are those of the board's Ethernet chips, in their order. With a socket for `boot`,
    the board hears nothing else until the firmware has come there. A simulation keeps pace with
    the host's clock if `real_time`; by default, if its programs talk to the host. What comes in
    for them then reaches the chips at the virtual time that belongs to its arrival. `fault` is
    one of `emulator.boot.FAULTS`; those of the ROM need the socket for `boot`.
    """

    def __init__(
        self,
        board: Board,
        sockets: list[socket.socket],
        boot: socket.socket | None = None,
        real_time: bool | None = None,
        fault: str | None = None,
    ) -> None:
        self._board = board
        self._real_time = real_time
        self._paced: bool | None = None  # not known before a simulation runs
        self._pace = Pace()
        self._arrived: deque[tuple[float, bytes, Address, Door]] = deque()
        self._rom = None if boot is None else BROKEN_ROMS.get(fault or "", BootRom)()
        if fault == "old-firmware":
            board.firmware = OLD_FIRMWARE
        self._sockets: dict[Door, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        for ethernet, sock in zip(board.addresses, sockets, strict=True):
            self._open((ethernet, SCP_PORT), sock)
        if boot is not None:
            self._open((board.layout.ethernet, BOOT_PORT), boot)
        self._stopping = self._asked = False
        self._woken, self._waker = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._deaths = 0
        self._told = (0.0, 0.0)
        names = ("virtual_ms", "busy_s", "cpu_s", "instructions", "lost_ms", "most_behind_ms")
        self.summary = dict.fromkeys(names, 0.0)

    @property
    def accounts(self) -> list[CoreAccount]:
        """What the programs did that have run so far."""
        return self._board.accounts

    def stop(self, *_: object) -> None:
        """End `serve` soon; a signal handler, and for other threads."""
        self._stopping = True
        self._wake()

    def ask(self) -> None:
        """Let `serve` print the status soon; for another thread."""
        self._asked = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            self._waker.send(b"\0")

    def status(self) -> dict[str, Any]:
        """Tell what the board does.

        `running` (whether time has passed since this was last told), `paced` (whether it keeps pace
        with the clock), `factor` (how many times faster than real time it passed since then, waits
        for the clock not counted), `virtual_ms` in all, which took `busy_s` and `instructions`,
        `cores` in use and `programs` on them, as `emulator.programs.Program`.
        """
        now = (self.summary["virtual_ms"], self.summary["busy_s"])
        passed_ms, busy_s = now[0] - self._told[0], now[1] - self._told[1]
        self._told = now
        return {
            "running": passed_ms > 0,
            "paced": bool(self._paced),
            "factor": passed_ms / 1000 / busy_s if busy_s else 0.0,
            **{name: self.summary[name] for name in ("virtual_ms", "busy_s", "instructions")},
            "cores": self._board.busy_cores,
            "programs": [asdict(program) for program in programs_on(self._board.chips)],
        }

    def serve(self) -> None:
        """Serve until told to stop."""
        busy = False
        while not self._stopping:
            for key, _ in self._selector.select(0 if busy else self._patience_s()):
                if key.fileobj is self._woken:
                    self._woken.recv(_BATCH)
                    continue
                self._receive(key.fileobj, key.data)  # type: ignore[arg-type]
            busy = self._run()
            self._follow_reverse_tags()  # before the answer to who set one
            self._send()
            self._report_deaths()
            if self._asked:
                self._asked = False
                with contextlib.suppress(OSError):  # whoever asked may be gone
                    print(json.dumps(self.status()), flush=True)

    def _run(self) -> bool:
        wall, cpu, before = time.perf_counter(), time.process_time(), self._board.time_ms
        executed = self._board.core.executed
        self._keep_pace()
        busy = self._board.run(_PACED_SLICE if self._paced else SLICE)
        if self._paced is None:
            self._keep_pace()  # before what the host sends when it hears that this has begun
        if self._board.core.simulates or self._board.time_ms > before:
            self.summary["busy_s"] += time.perf_counter() - wall
            self.summary["cpu_s"] += time.process_time() - cpu
            self.summary["instructions"] += self._board.core.executed - executed
            self.summary["virtual_ms"] += self._board.time_ms - before
        return busy or bool(self._arrived)

    def _patience_s(self) -> float:
        if not self._board.core.simulates:
            return _DOZE_S
        return _TICK_S if self._paced else 0

    def _keep_pace(self) -> None:
        """Say how far time may go now, and hand over what has come in by then."""
        core = self._board.core
        if not core.simulates:
            self._paced = None
        elif self._paced is None:
            talks = self._real_time is None and self._board.talks_to_host
            self._paced = self._real_time or talks
            self._pace.start(min(core.all_ticked, core.now + _MOST_AHEAD))
        core.limit = core.now if self._paced is None else None
        if self._paced:
            core.limit = self._pace.follow(core.now)
            self._report_pace()
        while self._arrived:
            due = self._pace.cycle(self._arrived[0][0])
            if self._paced and due > core.now:
                core.limit = due
                return
            self._hand_over(*self._arrived.popleft()[1:])

    def _hand_over(self, data: bytes, sender: Address, door: Door) -> None:
        ethernet, port = door
        if port == SCP_PORT:
            self._board.handle(data, sender, ethernet)
        else:
            self._board.handle_reverse(data, sender, port, ethernet)

    def _report_pace(self) -> None:
        before, lost_ms = self.summary["lost_ms"], self._pace.lost_ms
        if lost_ms // _TOLD_MS > before // _TOLD_MS:
            logger.warning("slower than real time, by %.0f ms so far", lost_ms)
        self.summary.update(lost_ms=lost_ms, most_behind_ms=self._pace.most_behind_ms)

    def _open(self, door: Door, sock: socket.socket) -> None:
        self._sockets[door] = sock
        self._selector.register(sock, selectors.EVENT_READ, door)

    def _receive(self, sock: socket.socket, door: Door) -> None:
        port = door[1]
        for _ in range(_BATCH):
            try:
                data, sender = sock.recvfrom(65536)
            except (BlockingIOError, ConnectionError):
                return
            if port == BOOT_PORT:
                self._boot(data)
            elif self._rom is not None:
                continue
            elif self._paced and (port != SCP_PORT or is_for_program(data)):
                self._arrived.append((self._pace.clock(), data, sender, door))
            else:
                self._hand_over(data, sender, door)

    def _boot(self, packet: bytes) -> None:
        image = self._rom.handle(packet) if self._rom is not None else None
        if image is None:
            return
        name = firmware(image)
        if name is None:
            logger.error("boot: no monitor in an image of %d bytes", len(image))
            return
        self._board.firmware, self._rom = name, None

    def _send(self) -> None:
        for data, target, door in self._board.take_outgoing():
            sock = self._sockets.get(door) or self._sockets[door[0], SCP_PORT]
            try:
                sock.sendto(data, target)
            except OSError as error:
                logger.warning("could not send to %s: %s", target, error)

    def _follow_reverse_tags(self) -> None:
        for ethernet, tags in self._board.tags.items():
            if tags.has_changed:
                tags.has_changed = False
                self._follow_reverse_tags_of(ethernet)

    def _follow_reverse_tags_of(self, ethernet: XY) -> None:
        tags = self._board.tags[ethernet]
        wanted = tags.reverse_ports()
        usual = (SCP_PORT, BOOT_PORT)
        here = {port for at, port in self._sockets if at == ethernet and port not in usual}
        for port in here - set(wanted):
            sock = self._sockets.pop((ethernet, port))
            self._selector.unregister(sock)
            sock.close()
        for port in set(wanted) - here:
            try:
                sock = bind(self._board.addresses[ethernet], port)
            except OSError as error:
                logger.error("reverse tag: UDP port %d: %s", port, error)
                tags.clear(wanted[port])
                continue
            self._open((ethernet, port), sock)

    def _report_deaths(self) -> None:
        deaths = self._board.core.deaths
        if deaths != self._deaths:
            logger.error("%d cores have died of a fault in their fault handler", deaths)
            self._deaths = deaths

    def close(self) -> None:
        """Close all sockets."""
        self._selector.close()
        for sock in (*self._sockets.values(), self._woken, self._waker):
            sock.close()


def is_for_program(datagram: bytes) -> bool:
    """Tell a message for a core that asks for no answer, as live spikes come, from a command."""
    try:
        message = decode_datagram(datagram)
    except ValueError:
        return False
    return message.cpu != 0 and not message.flags & REPLY_EXPECTED


def follow(stream: int, ask: Callable[[], None], stop: Callable[[], None]) -> None:
    """Ask when something comes, and stop at the end of this file; by force if that is ignored."""
    while os.read(stream, 1024):
        ask()
    stop()
    time.sleep(_GRACE_S)
    os._exit(1)


def boards(text: str) -> int | tuple[int, int]:
    """Read an option: a number of boards, or the width and height of a machine in triads."""
    width, by, height = text.partition("x")
    return (int(width), int(height)) if by else int(text)


def main(arguments: list[str] | None = None) -> int:
    """Serve one board; 0 after a normal end, 2 when there can be no such board."""
    parser = argparse.ArgumentParser(prog="server", description="Serve a software SpiNNaker board.")
    parser.add_argument("--version", type=int, default=5, help="3 (4 chips) or 5 (48 chips)")
    parser.add_argument(
        "--boards", type=boards, default=1, help="SpiNN-5 in one machine: 3, 6, ... or 2x1 triads"
    )
    parser.add_argument("--wrap", action="store_true", help="join opposite edges of the machine")
    parser.add_argument("--dead", metavar="FILE", help="JSON file of dead parts")
    parser.add_argument("--unbooted", action="store_true", help="wait for the firmware first")
    parser.add_argument("--fault", choices=FAULTS, help="a board with something wrong")
    parser.add_argument("--address", help="first loopback address (default: a free one)")
    parser.add_argument(
        "--real-time",
        action=argparse.BooleanOptionalAction,
        help="keep pace with the clock (default: if a network talks to the host)",
    )
    parser.add_argument("--enforce-timing", action="store_true", help="let work take time")
    parser.add_argument("--threads", type=int, help="host threads (default: up to four)")
    parser.add_argument("--no-translate", action="store_true", help="interpret all ARM code")
    parser.add_argument("--translations", metavar="FOLDER", help="where translated code is kept")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when stdin closes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        layout = load_layout(options.version, options.boards, options.wrap)
        if options.dead:
            layout = layout.without(read_dead(options.dead))
        if options.address is not None:
            address, sockets = options.address, bind_all(options.address, len(layout.ethernets))
        else:
            address, sockets = bind_free(len(layout.ethernets))
        waits = options.unbooted or options.fault in BROKEN_ROMS
        boot = bind_all(address, 1, BOOT_PORT)[0] if waits else None
        board = Board(layout, address, options.threads, options.enforce_timing)
        if not options.no_translate and not options.enforce_timing:
            folder = Path(options.translations) if options.translations else default_folder()
            board.translations = Translations(board.core, folder)
        server = Server(board, sockets, boot, options.real_time, options.fault)
    except HardwareError as error:
        print(f"failed {error}", flush=True)
        return 2
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.watch_stdin else server.stop)
    if options.watch_stdin:
        watched = (sys.stdin.fileno(), server.ask, server.stop)
        threading.Thread(target=follow, args=watched, daemon=True).start()
    print(f"ready {address}", flush=True)
    try:
        server.serve()
    finally:
        server.close()
    with contextlib.suppress(OSError):  # nobody may be left to read it
        accounts = [account.as_dict() for account in server.accounts]
        print(json.dumps({**server.summary, "accounts": accounts}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
