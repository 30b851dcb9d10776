"""Physical boards: one with a network address, or one lent by a spalloc server."""

import getpass
import os
import re
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from spikingconvnet.backends import probe
from spikingconvnet.backends.base import Backend
from spikingconvnet.errors import (
    BoardUnreachable,
    DependencyError,
    SpikingConvNetError,
    UsageError,
)
from spikingconvnet.hardware.constants import SPALLOC_PORT, SPALLOC_SOFTWARE

CONNECT_S = 5.0
_WRAPPED, _MESSAGE = re.compile(r"exception class: (\w+)"), re.compile(r"With message:? (.*\S)")
"""How SpiNNMan tells errors of several cores, or of work that it does for one, in one error."""


def _kinds(error: BaseException) -> tuple[set[str], str]:
    """Return the classes of an error, and of those the toolchain wrapped into it; what it says."""
    text = str(error).strip()
    kinds = {kind.__name__ for kind in type(error).__mro__} | set(_WRAPPED.findall(text))
    said = _MESSAGE.search(text)
    return kinds, said[1] if said else text.partition("\n")[0]


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
            self._check_version(identity.version)
            small = (identity.width, identity.height) == (2, 2)
            if small != (self.version == 3):
                raise BoardUnreachable(
                    f"board {self.host}: {identity.width} x {identity.height} chips, not a board "
                    f"of version {self.version} (try --board-version {3 if small else 5})"
                )
        # Each retry of a silent board takes 39 s, and the default is three of them.
        return {"machine_name": self.host, "version": str(self.version), "spalloc_retry": "0"}

    def _check_version(self, version: tuple[int, ...]) -> None:
        if version[0] != probe.NEEDED[0] or version < probe.NEEDED:
            number, needed = (".".join(map(str, v)) for v in (version, probe.NEEDED))
            raise BoardUnreachable(
                f"board {self.host}: was booted with SC&MP {number} (must be {needed} or a later "
                f"{probe.NEEDED[0]}.x); switch it off and on, and it will be booted anew"
            )

    def translate(self, error: BaseException) -> SpikingConvNetError | None:
        """Say in one sentence what a failed connection means."""
        kinds, reason = _kinds(error)
        if "SpinnmanBootException" in kinds or (not self.booted and "SpinnmanIOException" in kinds):
            return BoardUnreachable(
                f"board {self.host}: silent (no answer on UDP port {probe.SCP_PORT}, and booting "
                "it failed); check its power, network cable, address and --board-version"
            )
        if kinds & {"SpinnmanIOException", "SpinnmanTimeoutException"}:
            return BoardUnreachable(
                f"board {self.host}: stopped answering ({reason}); power-cycle it and try again"
            )
        return None


class SpallocBackend(Backend):
    """Borrow a board from a spalloc server, named by host, host:port or http(s) address."""

    one_board = False

    def __init__(self, server: str, *, version: int, folder: Path) -> None:
        if not server:
            raise UsageError("--board: spalloc: (must be spalloc:SERVER, a host or http address)")
        if version != 5:
            raise UsageError(f"--board-version: {version} (a spalloc server lends version 5)")
        super().__init__(version=version, folder=folder)
        self.server = server
        self.software = False

    @property
    def origin(self) -> str:
        """Name the server, and the kind of its boards if it says that they are software."""
        return f"spalloc {self.server}{' (software boards, ideal timing)' if self.software else ''}"

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
        self.software = self._lends_software(host, port)
        user = os.environ.get("SPALLOC_USER") or getpass.getuser()
        return settings | {
            "spalloc_server": host,
            "spalloc_port": str(port),
            "spalloc_user": user,
        }

    def _lends_software(self, host: str, port: int) -> bool:
        """Ask the server for its machines; tell whether all are made of software boards."""
        try:
            from spalloc_client import (
                ProtocolClient,
                ProtocolError,
                ProtocolTimeoutError,
                SpallocServerException,
            )
        except ImportError as error:
            raise DependencyError(f"spalloc: not installed ({error}); pip install .") from error
        wrong = (OSError, ValueError, ProtocolError, ProtocolTimeoutError, SpallocServerException)
        try:
            with ProtocolClient(host, port, timeout=CONNECT_S) as client:
                machines = client.list_machines(timeout=CONNECT_S)
            software = [SPALLOC_SOFTWARE in machine["tags"] for machine in machines]
        except (*wrong, KeyError, TypeError) as error:
            raise BoardUnreachable(
                f"spalloc {self.server}: what answers at {host}, TCP port {port}, is no spalloc "
                f"server ({error})"
            ) from error
        return bool(software) and all(software)

    def translate(self, error: BaseException) -> SpikingConvNetError | None:
        """Say in one sentence what became of the job."""
        kinds, reason = _kinds(error)
        if "JobDestroyedError" in kinds:
            return BoardUnreachable(f"spalloc {self.server}: lends no board: {error}")
        if kinds & {"ProtocolError", "ProtocolTimeoutError", "SpallocServerException"}:
            return BoardUnreachable(f"spalloc {self.server}: stopped answering ({reason})")
        if kinds & {"SpinnmanIOException", "SpinnmanTimeoutException"}:
            return BoardUnreachable(
                f"spalloc {self.server}: the board stopped answering ({reason}); its job may have "
                "been destroyed"
            )
        return None
