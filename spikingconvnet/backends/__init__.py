"""Choose where a network runs: software board, real board, spalloc server, virtual machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikingconvnet.backends.base import Backend, configuration
from spikingconvnet.backends.boards import HostBackend, SpallocBackend
from spikingconvnet.backends.needs import Needs, measure
from spikingconvnet.backends.software import SoftwareBackend
from spikingconvnet.backends.virtual import VirtualBackend
from spikingconvnet.errors import UsageError

__all__ = ["VERSIONS", "Backend", "Needs", "load", "measure", "serve"]

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


@contextmanager
def serve(*, version: int, folder: Path) -> Iterator[tuple[Any, str]]:
    """Run a software board for other programs; give it and the configuration they need."""
    with SoftwareBackend(version=version, folder=folder).board as board:
        machine = {"machine_name": board.address, "version": str(board.version)}
        yield board, configuration(machine)
