"""The process that is a software board: sockets in front of an emulated board.

Run as `python -m spikingconvnet.hardware.server --version 5`. It binds the SCP port on a loopback
address (with `--boards`, on as many consecutive ones), prints `ready ADDRESS` and serves until its
standard input closes (with `--watch-stdin`, so that it never outlives the program that started it),
SIGTERM or Ctrl-C; then it prints, as JSON, how much virtual time has passed and how long that took.
It sends only to the addresses that hosts give in their requests and tags.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

from .constants import BOOT_PORT, SCP_PORT
from .emulator.account import CoreAccount
from .emulator.board import Board, Door, addresses_from
from .emulator.boot import BootRom, firmware
from .emulator.dead import read_dead
from .emulator.layout import XY, load_layout
from .errors import HardwareError

logger = logging.getLogger(__name__)

_BUFFER = 1 << 22
_GRACE_S = 2.0
_BATCH = 64
"""Datagrams taken from one socket before the board runs again."""


def bind(address: str, port: int) -> socket.socket:
    """Open a UDP socket; OSError when the address or the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def loopback_addresses() -> Iterator[str]:
    """Give loopback addresses to try, different ones in different processes.

    127.0.0.1 is never among them: SpiNNMan takes that literal for a test stand-in.
    """
    start = os.getpid() * 7919
    for step in range(4096):
        number = (start + step) % (254 * 254)
        yield f"127.53.{number // 254 + 1}.{number % 254 + 1}"


def bind_all(first: str, boards: int) -> list[socket.socket]:
    """Bind the SCP port on as many addresses as there are boards; OSError if one is taken."""
    with contextlib.ExitStack() as stack:
        addresses = addresses_from(first, boards)
        sockets = [stack.enter_context(bind(address, SCP_PORT)) for address in addresses]
        stack.pop_all()
        return sockets


def bind_free(boards: int) -> tuple[str, list[socket.socket]]:
    """Bind the SCP port on free consecutive loopback addresses; give the first of them."""
    for address in loopback_addresses():
        try:
            return address, bind_all(address, boards)
        except OSError:
            continue
    raise HardwareError(f"no free loopback address for UDP port {SCP_PORT} in 127.53.0.0/16")


class Server:
    """Passes datagrams between sockets and a board, and gives the board time to work.

    `sockets` are those of the board's Ethernet chips, in their order. With a socket for `boot`,
    the board hears nothing else until the firmware has come there.
    """

    def __init__(
        self, board: Board, sockets: list[socket.socket], boot: socket.socket | None = None
    ) -> None:
        self._board = board
        self._rom = None if boot is None else BootRom()
        self._sockets: dict[Door, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        for ethernet, sock in zip(board.addresses, sockets, strict=True):
            self._open((ethernet, SCP_PORT), sock)
        if boot is not None:
            self._open((board.layout.ethernet, BOOT_PORT), boot)
        self._stopping = False
        self._deaths = 0
        self.summary = {"virtual_ms": 0.0, "busy_s": 0.0, "cpu_s": 0.0, "instructions": 0.0}

    @property
    def accounts(self) -> list[CoreAccount]:
        """What the programs did that have run so far."""
        return self._board.accounts

    def stop(self, *_: object) -> None:
        """End `serve` soon; a signal handler."""
        self._stopping = True

    def serve(self) -> None:
        """Serve until told to stop."""
        busy = False
        while not self._stopping:
            for key, _ in self._selector.select(0 if busy else 0.2):
                self._receive(key.fileobj, key.data)  # type: ignore[arg-type]
            busy = self._run()
            self._send()
            self._follow_reverse_tags()
            self._report_deaths()

    def _run(self) -> bool:
        wall, cpu, before = time.perf_counter(), time.process_time(), self._board.time_ms
        executed = self._board.core.executed
        busy = self._board.run()
        if self._board.time_ms > before:
            self.summary["busy_s"] += time.perf_counter() - wall
            self.summary["cpu_s"] += time.process_time() - cpu
            self.summary["instructions"] += self._board.core.executed - executed
            self.summary["virtual_ms"] += self._board.time_ms - before
        return busy

    def _open(self, door: Door, sock: socket.socket) -> None:
        self._sockets[door] = sock
        self._selector.register(sock, selectors.EVENT_READ, door)

    def _receive(self, sock: socket.socket, door: Door) -> None:
        ethernet, port = door
        for _ in range(_BATCH):
            try:
                data, sender = sock.recvfrom(65536)
            except (BlockingIOError, ConnectionError):
                return
            if port == BOOT_PORT:
                self._boot(data)
            elif self._rom is not None:
                continue
            elif port == SCP_PORT:
                self._board.handle(data, sender, ethernet)
            else:
                self._board.handle_reverse(data, sender, port, ethernet)

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
        for ethernet in self._board.addresses:
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
        for sock in self._sockets.values():
            sock.close()


def follow(stream: int, stop: Callable[[], None]) -> None:
    """Stop when this file descriptor reaches its end; by force if that does not help."""
    while os.read(stream, 1024):
        pass
    stop()
    time.sleep(_GRACE_S)
    os._exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Serve one board; 0 after a normal end, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="server", description="Serve a software SpiNNaker board.")
    parser.add_argument("--version", type=int, default=5, help="3 (4 chips) or 5 (48 chips)")
    parser.add_argument("--boards", type=int, default=1, help="SpiNN-5 boards in one machine")
    parser.add_argument("--dead", metavar="FILE", help="JSON file of dead parts")
    parser.add_argument("--unbooted", action="store_true", help="wait for the firmware first")
    parser.add_argument("--address", help="first loopback address (default: a free one)")
    parser.add_argument("--threads", type=int, help="host threads (default: up to four)")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when stdin closes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        layout = load_layout(options.version, options.boards)
        if options.dead:
            layout = layout.without(read_dead(options.dead))
        if options.address:
            address, sockets = options.address, bind_all(options.address, options.boards)
        else:
            address, sockets = bind_free(options.boards)
        boot = bind(address, BOOT_PORT) if options.unbooted else None
        server = Server(Board(layout, address, options.threads), sockets, boot)
    except (HardwareError, OSError, ipaddress.AddressValueError) as error:
        print(f"failed {error}", flush=True)
        return 1
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.watch_stdin else server.stop)
    if options.watch_stdin:
        watched = (sys.stdin.fileno(), server.stop)
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
