"""The sockets of a spalloc server, and its command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import logging
import signal
import socket
import sys
import threading
from types import TracebackType
from typing import Final, cast

from ..constants import SPALLOC_PORT, SPALLOC_SOFTWARE
from ..errors import BadAddress, HardwareError
from .commands import Client, Commands
from .jobs import Jobs
from .machine import Machine

logger = logging.getLogger(__name__)

MACHINE: Final = "software"
TAGS: Final = ("default", SPALLOC_SOFTWARE)
"""The first is what clients ask for that do not mind."""
_BOARDS: Final = 12
_LONGEST: Final = 1 << 16
"""Bytes in a line; commands have a few hundred."""
_MOST_UNREAD: Final = 1 << 20
"""Bytes of news, beyond as many in the kernel, that a client may leave unread."""
_PART_S: Final = 1.0
"""For clients to read what was sent to them, at the end."""
_LOOK_S: Final = 0.25
"""Between two looks for jobs that nobody keeps alive."""


class SpallocServer:
    """A spalloc server in a thread of this process, for as long as the context lasts.

    It lends SpiNN-5 of a machine of `boards`, in any number: single ones, or triads. They are
    left unbooted, as real ones are, unless they shall be `booted`: SpiNNMan takes nine seconds for
    that. `port` 0 is a free one. Raises BadAddress when the port cannot be had, UnknownBoard
    for an impossible number of boards.
    """

    def __init__(
        self,
        boards: int = _BOARDS,
        port: int = 0,
        address: str = "127.0.0.1",
        booted: bool = False,
    ) -> None:
        self._machine = Machine(boards, MACHINE, TAGS)
        self._jobs = Jobs(self._machine, booted, self._spread_news)
        self._commands = Commands(self._machine, self._jobs)
        self.address = address
        self.port = port
        self._clients: dict[asyncio.StreamWriter, Client] = {}
        self._talks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def start(self) -> SpallocServer:
        """Listen; returns at once."""
        try:
            self._socket = socket.create_server((self.address, self.port))
        except (OSError, OverflowError) as error:
            where = f"{self.address}, TCP port {self.port}"
            reason = getattr(error, "strerror", None) or error
            raise BadAddress(f"spalloc server: {where}: cannot listen ({reason})") from error
        self.port = self._socket.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="spalloc", daemon=True
        )
        self._thread.start()
        ready.wait()
        return self

    def stop(self) -> None:
        """Destroy all jobs and end; safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join()

    def __enter__(self) -> SpallocServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def configuration(self) -> str:
        """Give the [Machine] section of `spynnaker.cfg` that leads here."""
        lines = {
            "spalloc_server": self.address,
            "spalloc_port": self.port,
            "spalloc_user": getpass.getuser(),
            "version": 5,
        }
        return "\n".join(["[Machine]", *(f"{name} = {value}" for name, value in lines.items())])

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, sock=self._socket, limit=_LONGEST)
        ready.set()
        while not self._over.is_set():
            self._jobs.look_after()
            self._spread_news()
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), _LOOK_S)
        server.close()
        await self._jobs.end()
        await self._part()

    async def _part(self) -> None:
        """Close all connections when what was sent has been read, or after a while."""
        talks = [*self._talks]
        for writer in self._clients:
            writer.close()
        if talks:
            await asyncio.wait(talks, timeout=_PART_S)
        for writer in self._clients:
            writer.transport.abort()
        await asyncio.gather(*talks)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes."""
        peer = writer.get_extra_info("peername") or ("gone",)
        client = self._clients[writer] = Client(peer[0])
        talk = cast("asyncio.Task[None]", asyncio.current_task())
        self._talks.add(talk)
        try:
            kernel = writer.get_extra_info("socket")
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_UNREAD)
            while line := await reader.readline():
                writer.write(self._commands.answer(client, line))
                self._spread_news()
                await writer.drain()
        except ValueError:  # of readline
            writer.write(b'{"exception": "line: more than %d bytes"}\n' % _LONGEST)
        except OSError as error:
            logger.info("%s: %s", client.host, error)
        finally:
            del self._clients[writer]
            self._talks.discard(talk)
            writer.close()

    def _spread_news(self) -> None:
        """Tell the clients who want to know what has changed."""
        jobs, moved = self._jobs.take_changed()
        for writer, client in self._clients.items():
            if writer.is_closing():
                continue
            writer.write(client.news(jobs, [self._machine.name] if moved else []))
            if writer.transport.get_write_buffer_size() > _MOST_UNREAD:
                logger.warning("%s: does not read what it is sent", client.host)
                writer.transport.abort()


def main(arguments: list[str] | None = None) -> int:
    """Serve; 0 after a normal end, 2 when it could not start."""
    parser = argparse.ArgumentParser(prog="spalloc", description="Lend software boards.")
    parser.add_argument("--boards", type=int, default=_BOARDS, help="SpiNN-5 to lend")
    parser.add_argument("--port", type=int, default=SPALLOC_PORT, help="TCP port; 0: a free one")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--booted", action="store_true", help="lend boards that are booted")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        server = SpallocServer(options.boards, options.port, options.address, options.booted)
        with server:
            print(server.configuration(), flush=True)
            over.wait()
    except HardwareError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
