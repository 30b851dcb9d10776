"""Physical boards: one with a network address, or one lent by a spalloc server."""

import getpass
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from spikingconvnet.backends import probe
from spikingconvnet.backends.base import Backend
from spikingconvnet.errors import BoardUnreachable, SpikingConvNetError, UsageError

SPALLOC_PORT = 22244
"""TCP port of the older spalloc protocol (its package's default)."""
CONNECT_S = 5.0


class HostBackend(Backend):
    """Use the board at a host name or address, booting it if it is silent."""

    def __init__(self, host: str, *, version: int, folder: Path) -> None:
        if not host or any(mark in host for mark in " /:\\"):
            raise UsageError(
                f"--board: {host!r} (valid: software, virtual, spalloc:SERVER, or the host name "
                "or address of a board)"
            )
        if host == "127.0.0.1":
            raise UsageError(
                "--board: 127.0.0.1 (the toolchain keeps this address for its own tests; a "
                "software board can be served at another, such as 127.0.0.2)"
            )
        super().__init__(version=version, folder=folder)
        self.host = host
        self.booted = False

    @property
    def origin(self) -> str:
        """Name the board."""
        return f"board {self.host}"

    def start(self, stack: ExitStack) -> dict[str, str]:
        """Check who answers, then let the toolchain connect without repeating a failed boot."""
        identity = probe.identify(self.host)
        self.booted = identity is not None
        if identity is not None:
            small = (identity.width, identity.height) == (2, 2)
            if small != (self.version == 3):
                raise BoardUnreachable(
                    f"board {self.host}: {identity.width} x {identity.height} chips, not a board "
                    f"of version {self.version} (try --board-version {3 if small else 5})"
                )
        # Each retry of a silent board takes 39 s, and the default is three of them.
        return {"machine_name": self.host, "version": str(self.version), "spalloc_retry": "0"}

    def translate(self, error: BaseException) -> SpikingConvNetError | None:
        """Say in one sentence what a failed connection means."""
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "SpinnmanBootException" in kinds or (not self.booted and "SpinnmanIOException" in kinds):
            return BoardUnreachable(
                f"board {self.host}: silent (no answer on UDP port {probe.SCP_PORT}, and booting "
                "it failed); check its power, network cable, address and --board-version"
            )
        if kinds & {"SpinnmanIOException", "SpinnmanTimeoutException"}:
            return BoardUnreachable(
                f"board {self.host}: stopped answering ({error}); power-cycle it and try again"
            )
        return None


class SpallocBackend(Backend):
    """Borrow a board from a spalloc server, named by host, host:port or http(s) address."""

    def __init__(self, server: str, *, version: int, folder: Path) -> None:
        if not server:
            raise UsageError("--board: spalloc: (must be spalloc:SERVER, a host or http address)")
        super().__init__(version=version, folder=folder)
        self.server = server

    @property
    def origin(self) -> str:
        """Name the server."""
        return f"spalloc {self.server}"

    def start(self, stack: ExitStack) -> dict[str, str]:
        """Check that the server listens and return how to reach it."""
        web = self.server.startswith(("http://", "https://"))
        try:
            parts = urlsplit(self.server if web else f"//{self.server}")
            default = {"http": 80, "https": 443}.get(parts.scheme, SPALLOC_PORT)
            host, port = parts.hostname or "", parts.port or default
        except ValueError as error:
            raise UsageError(f"--board: spalloc:{self.server} ({error})") from error
        try:
            socket.create_connection((host, port), timeout=CONNECT_S).close()
        except (OSError, UnicodeError) as error:
            raise BoardUnreachable(
                f"spalloc {self.server}: no server answers at {host}, TCP port {port} ({error}); "
                "check the name and your network"
            ) from error
        settings = {"version": str(self.version), "spalloc_retry": "0"}
        if web:
            return settings | {"spalloc_server": self.server}
        user = os.environ.get("SPALLOC_USER") or getpass.getuser()
        return settings | {
            "spalloc_server": host,
            "spalloc_port": str(port),
            "spalloc_user": user,
        }
