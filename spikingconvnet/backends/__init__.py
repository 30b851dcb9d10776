"""Choose where a network runs: software board, real board, spalloc server, virtual machine."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikingconvnet.backends.base import Backend, clear_errors
from spikingconvnet.backends.boards import HostBackend, SpallocBackend
from spikingconvnet.backends.needs import Needs, measure
from spikingconvnet.backends.software import SoftwareBackend
from spikingconvnet.backends.toolchain import OVERRUN_S, as_text
from spikingconvnet.backends.virtual import VirtualBackend
from spikingconvnet.errors import UsageError
from spikingconvnet.hardware.constants import SPALLOC_PORT

__all__ = [
    "VERSIONS",
    "Backend",
    "Needs",
    "Served",
    "clear_errors",
    "lend",
    "load",
    "measure",
    "serve",
]

VERSIONS = {3: "SpiNN-3", 5: "SpiNN-5"}
"""Board versions that the toolchain knows and the software board has data files for."""


def load(name: str, *, version: int = 5, folder: Path) -> Backend:
    """Return the backend called `name`, which is not started before it is entered.

    `name` is ``software``, ``virtual``, ``spalloc:SERVER`` or the host name or address of a
    board; `folder` receives the logs. Raises UsageError on an empty name or unknown version.
    """
    if version not in VERSIONS:
        raise UsageError(f"--board-version: {version} (valid: {', '.join(map(str, VERSIONS))})")
    kind, _, rest = name.partition(":")
    if kind == "spalloc":
        return SpallocBackend(rest, version=version, folder=folder)
    if name == "virtual":
        return VirtualBackend(version=version, folder=folder)
    if name == "software":
        return SoftwareBackend(version=version, folder=folder)
    return HostBackend(name, version=version, folder=folder)


@dataclass(frozen=True)
class Served:
    """Hold a running board for other programs, and what they and their user need to know.

    `configuration` is the text of a sPyNNaker configuration file, `binaries` are the names of the
    installed binaries by the fingerprints that the board tells.
    """

    board: Any
    configuration: str
    binaries: Mapping[str, str]


@contextmanager
def lend(**options: Any) -> Iterator[Any]:
    """Run a spalloc server; `options` are those of `SpallocServer`. Errors are as of `serve`."""
    from spikingconvnet.hardware.spalloc import SpallocServer
    from spikingconvnet.hardware.toolchain import check_toolchain

    with ExitStack() as stack:
        with clear_errors():
            check_toolchain()
            server = stack.enter_context(SpallocServer(**{"port": SPALLOC_PORT} | options))
        yield server


@contextmanager
def serve(**options: Any) -> Iterator[Served]:
    """Run a software board for other programs; `options` are those of `SoftwareBoard`.

    Raises UsageError for a board that there cannot be, DependencyError when there is no sPyNNaker
    for it, BoardError when it does not start.
    """
    from spikingconvnet.hardware.client import SoftwareBoard
    from spikingconvnet.hardware.toolchain import check_toolchain

    with ExitStack() as stack:
        with clear_errors():
            binaries = check_toolchain()
            board = stack.enter_context(SoftwareBoard(**options))
        machine = {
            "machine_name": board.address,
            "version": board.version,
            "post_simulation_overrun_before_error": OVERRUN_S,
        }
        yield Served(board, as_text({"Machine": machine}), binaries)
