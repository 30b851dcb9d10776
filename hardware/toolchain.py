"""The sPyNNaker that scripts on this computer use: is it one that the board is made for?

Nothing of it is imported: its version is read from the packaging, its binaries as files.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from .emulator.loader import fingerprint
from .errors import BadToolchain

SERIES: Final = "7.4"
"""Of sPyNNaker: what the binaries and the host expect of a board changes between series."""
_PACKAGES: Final = ("spinn_front_end_common", "spynnaker")
"""Those that ship binaries."""


def check_toolchain() -> dict[str, str]:
    """Make sure that sPyNNaker is there, of the right series, with binaries that can be read.

    Gives the names of the binaries by their `loader.fingerprint`; raises BadToolchain.
    """
    try:
        version = metadata.version("sPyNNaker")
    except metadata.PackageNotFoundError as error:
        raise BadToolchain(f"sPyNNaker: not installed ({_remedy()})") from error
    if version.rpartition("!")[2].split(".")[:2] != SERIES.split("."):
        raise BadToolchain(f"sPyNNaker: version {version} ({_remedy()})")
    names = {_fingerprint_of(path): path.stem for path in _files()}
    if not names:
        raise BadToolchain(f"sPyNNaker: no binaries (*.aplx) in its packages ({_again()})")
    return names


def _files() -> Iterator[Path]:
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from sorted(Path(folder).rglob("*.aplx"))


def _fingerprint_of(path: Path) -> str:
    try:
        image = path.read_bytes()
        return fingerprint(lambda start, length: image[start : start + length])
    except OSError as error:
        raise BadToolchain(f"{path}: {error.strerror} (must be readable; {_again()})") from error
    except ValueError as error:
        raise BadToolchain(f"{path}: {error}: not a whole binary ({_again()})") from error


def _remedy() -> str:
    return f"must be {SERIES}: pip install 'sPyNNaker == 1!{SERIES}.*'"


def _again() -> str:
    return "pip install --force-reinstall sPyNNaker SpiNNFrontEndCommon"
