"""The IDX format of the MNIST family: big-endian header, then one unsigned byte per value.

Layout: two zero bytes, type 0x08 (unsigned byte), number of axes, a uint32 size per axis, values.
The files are read with NumPy and not with the python-mnist package, whose folder layout is kept:
for 60,000 images that package needs 816 MB where this needs the 47 MB of the file, it does not name
the file that is damaged, and its file names and gzip setting must be given exactly.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from spikingconvnet.errors import DataError

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTE = 8


def _unzip_prefix(data: bytes) -> bytes:
    """Give what a damaged gzip file still holds, up to the damage."""
    stream = zlib.decompressobj(wbits=31)
    whole = bytearray()
    end = len(data) - 8  # then checksum and length: in smaller pieces, not to lose what they judge
    try:
        for start in [*range(0, end, 4096), *range(max(end, 0), len(data))]:
            stop = min(start + 4096, end) if start < end else start + 1
            whole += stream.decompress(data[start:stop])
    except zlib.error:
        pass
    return bytes(whole)


def parse_idx(data: bytes, name: str | Path, axes: int) -> np.ndarray:
    """Read IDX bytes, gzipped or not, into a read-only uint8 array with ``axes`` axes.

    Raises DataError with ``name``, the bytes found and the bytes expected when they are damaged.
    """
    damage = ""
    if data.startswith(_GZIP):
        packed = data
        try:
            data = gzip.decompress(packed)
        except (EOFError, OSError, zlib.error) as error:
            data, damage = _unzip_prefix(packed), f", damaged gzip: {error}"
    offset = 4 + 4 * axes
    if len(data) < offset:
        raise DataError(
            f"{name}: found {len(data)} bytes (expected an IDX header of {offset}{damage})"
        )
    magic = bytes((0, 0, _UNSIGNED_BYTE, axes))
    if data[:4] != magic:
        raise DataError(
            f"{name}: found first bytes {data[:4].hex()} (expected {magic.hex()}: IDX, unsigned "
            f"bytes, axes {axes}{damage})"
        )
    shape = struct.unpack(f">{axes}I", data[4:offset])
    expected = offset + math.prod(shape)
    if len(data) != expected or damage:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{name}: found {len(data):,} bytes (expected {expected:,} for {sizes}{damage})"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=offset).reshape(shape)


def read_idx(path: str | Path, axes: int) -> np.ndarray:
    """Read one IDX file; see `parse_idx`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_idx(data, path, axes)


def idx_bytes(values: np.ndarray) -> bytes:
    """Give the IDX form of a uint8 array of any number of axes."""
    header = bytes((0, 0, _UNSIGNED_BYTE, values.ndim)) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    return header + values.astype(np.uint8, copy=False).tobytes()
