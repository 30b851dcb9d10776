"""Translations on disk: one file each, named by what they were made from and for.

    "SNCT" | u32 lengths of code, entries, needs, image | blake2b-16 of the rest | those four parts

A file that is damaged, or made by another version or for another processor, is not used. One that
is being written has another name.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import struct
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from .. import _core

logger = logging.getLogger(__name__)

MOST_BYTES = 256 << 20
"""What all files together may take; the oldest go first."""
_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
_SUFFIX, _PART = ".translated", ".part"
_ABANDONED_S = 3600.0
"""Age of a part that nobody will complete."""
_HEAD = struct.Struct("<4s4I16s")
_MAGIC = b"SNCT"


@dataclass(frozen=True)
class Translation:
    """Machine code for an image, and what the board needs to use it: see `csrc/cpu_native.h`."""

    code: bytes
    entries: bytes
    needs: bytes
    image: bytes

    def fits(self, memory: bytes) -> bool:
        """Tell whether all words that it depends on are the same in an ITCM."""
        if not len(memory) == len(self.image) == 32 * len(self.needs):
            return False
        return all(
            self.image[at : at + 4] == memory[at : at + 4]
            for at in range(0, len(memory), 4)
            if self.needs[at // 32] >> at // 4 % 8 & 1
        )


def default_folder() -> Path:
    """Give the user's folder for translations."""
    if sys.platform == "darwin":
        top = Path.home() / "Library" / "Caches"
    else:
        top = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return top / "spikingconvnet" / "translated"


@cache
def version() -> str:
    """Name everything but the image that a translation depends on."""
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(repr((_core.OPERATIONS, _core.LAYOUT)).encode())
    digest.update(repr((platform.machine(), _processor())).encode())
    return digest.hexdigest()


def _processor() -> str:
    """Name what the host's processor can do."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def is_possible() -> bool:
    """Tell whether code can be translated for this machine at all."""
    return platform.machine().lower() in _MACHINES and sys.byteorder == "little"


def path_of(folder: Path, image: str) -> Path:
    """Give the file for an image (its `loader.fingerprint`)."""
    return folder / f"{image}-{version()}{_SUFFIX}"


def read(path: Path) -> Translation | None:
    """Read a translation; None when there is none that can be used."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < _HEAD.size:
        return None
    magic, *lengths, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    if magic != _MAGIC or sum(lengths) != len(body) or _checksum(body) != checksum:
        logger.warning("%s: damaged, not used", path)
        return None
    parts, at = [], 0
    for length in lengths:
        parts.append(body[at : at + length])
        at += length
    return Translation(*parts)


def write(path: Path, translation: Translation) -> None:
    """Write a translation, and make room for it; OSError when that is not possible."""
    parts = astuple(translation)
    body = b"".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = tempfile.NamedTemporaryFile(dir=path.parent, suffix=_PART, delete=False)  # noqa: SIM115
    try:
        with part:
            part.write(_HEAD.pack(_MAGIC, *map(len, parts), _checksum(body)) + body)
        os.replace(part.name, path)
    except OSError:
        os.unlink(part.name)
        raise
    _make_room(path)


def check_folder(folder: Path) -> None:
    """Make a folder if need be, and see whether it takes files; OSError when it does not."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _make_room(newest: Path) -> None:
    """Remove the oldest files but the newest until all take no more than they may."""
    for path in newest.parent.glob("*" + _PART):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
    files = []
    for path in newest.parent.glob("*" + _SUFFIX):
        with contextlib.suppress(OSError):  # another process may have removed it
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total > MOST_BYTES and path != newest:
            path.unlink(missing_ok=True)
            total -= size
