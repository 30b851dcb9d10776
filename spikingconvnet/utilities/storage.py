"""Files of a run directory: written whole or not at all, checked when read back.

Every file is written under a temporary name next to its final place, forced to disk and renamed
over the old file in one step, so an interrupted command or a full disk leaves the old file
as it was.
"""

import contextlib
import dataclasses
import io
import json
import os
import platform
import secrets
import shutil
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikingconvnet.errors import StorageError

BACKUPS = "generated_backups"
_TEMPORARY = ".part"
_PACKAGES = ("spikingconvnet", "numpy", "sPyNNaker", "PyNN", "scikit-learn", "numba")
# What NumPy and zipfile raise on bytes that are no .npz archive, or a damaged one.
_NPZ_DAMAGE = (
    ValueError,
    EOFError,
    KeyError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
    TypeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _open_new(path: Path) -> BinaryIO:
    return path.open("xb")


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk where the platform lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open ``path`` for binary writing so that it appears complete or stays as it was.

    Folders above it are made. Raises StorageError naming the file when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise StorageError(f"{path}: not a regular file (cannot be replaced)")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _open_new(temporary) as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({_reason(error)})") from error
    _sync_folder(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic(path) as handle:
        handle.write(text.encode())


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such file") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({_reason(error)})") from error


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file; StorageError when it is absent or holds something else."""
    try:
        return _read_bytes(Path(path)).decode()
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: byte {error.start} is not UTF-8 (must be text)") from error


def write_arrays(path: str | Path, **arrays: Any) -> None:
    """Write named arrays as one ``.npz`` file; the same arrays give the same bytes."""
    converted = {name: np.asarray(value) for name, value in arrays.items()}
    for name, array in converted.items():
        if array.dtype.hasobject:
            raise StorageError(f"{path}: {name} holds Python objects (must be numbers or text)")
    # As np.savez does, which would take arrays called `file` or `allow_pickle` for its arguments.
    with atomic(path) as handle, zipfile.ZipFile(handle, "w") as archive:
        for name, array in converted.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_arrays(path: str | Path, required: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` file; StorageError when it is damaged or lacks a name."""
    data = _read_bytes(Path(path))
    try:
        # NumPy would take what is no archive for pickled objects, and offer to load them.
        zipfile.ZipFile(io.BytesIO(data)).close()
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (AttributeError, OSError, *_NPZ_DAMAGE) as error:
        raise StorageError(
            f"{path}: {len(data)} bytes that are no whole .npz file ({error})"
        ) from error
    missing = [name for name in required if name not in arrays]
    if missing:
        raise StorageError(
            f"{path}: holds {', '.join(arrays) or 'nothing'} (must also hold {', '.join(missing)})"
        )
    return arrays


def write_csv(path: str | Path, table: Any, header: str = "") -> None:
    """Write a table of at most two axes as text whose 18 digits give each float64 back exactly."""
    values = np.asarray(table)
    if values.ndim > 2:
        raise StorageError(f"{path}: {values.ndim} axes (a CSV table has at most 2)")
    whole = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
    with atomic(path) as handle:
        np.savetxt(handle, values, fmt="%d" if whole else "%.17e", delimiter=",", header=header)


def read_csv(path: str | Path) -> np.ndarray:
    """Read a table (rows, columns) of float64 from comma-separated text."""
    text = read_text(path)
    try:
        table = np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)
    except ValueError as error:
        raise StorageError(f"{path}: no table of numbers ({error})") from error
    if table.size == 0:
        raise StorageError(f"{path}: empty (must be a table of numbers)")
    return table


def _plain(value: Any) -> Any:
    """Turn what the json module does not know into what it does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _dumps(path: str | Path, value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, default=_plain, allow_nan=False, indent=indent)
    except (TypeError, ValueError) as error:
        raise StorageError(f"{path}: cannot be written as JSON ({error})") from error


def versions() -> dict[str, str]:
    """Name the version of Python and of every installed package that shapes a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def write_json(path: str | Path, record: Any, origin: str) -> None:
    """Write a record (mapping or dataclass) as JSON headed by its origin and the versions used."""
    fields = _plain(record)
    whole = {"origin": origin, "versions": versions(), **fields}
    write_text(path, _dumps(path, whole, indent=2) + "\n")


def read_json(path: str | Path, required: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object; StorageError when it is damaged, no object, or lacks a name."""
    text = read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: damaged JSON ({error})") from error
    if not isinstance(value, dict):
        raise StorageError(f"{path}: JSON {type(value).__name__} (must be an object)")
    missing = [name for name in required if name not in value]
    if missing:
        raise StorageError(f"{path}: lacks {', '.join(missing)}")
    return value


@dataclasses.dataclass(frozen=True, eq=False)
class LayerWeights:
    """Hold the kernels of one layer, what they were before training, and how they came about.

    ``weights`` and ``initial`` are (kernels, channels, height, width) float64 in nA.
    """

    weights: np.ndarray
    initial: np.ndarray
    rule: Mapping[str, Any]
    origin: str
    seed: int

    @property
    def change(self) -> np.ndarray:
        """Give weights - initial (nA)."""
        return self.weights - self.initial


def _checked_kernels(path: Path, name: str, value: np.ndarray) -> np.ndarray:
    if value.ndim != 4 or not np.issubdtype(value.dtype, np.floating):
        raise StorageError(
            f"{path}: {name} is {value.dtype} of shape {value.shape} "
            "(must be float64 of shape (kernels, channels, height, width))"
        )
    if not np.isfinite(value).all():
        raise StorageError(f"{path}: {name} holds NaN or infinity (must be finite)")
    return value.astype(np.float64, copy=False)


class RunDirectory:
    """Keep every file of one run under one folder, made when the first file is written."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def file(self, name: str | Path) -> Path:
        """Give the path of a file of this run, which need not exist."""
        return self.path / name

    def has(self, name: str | Path) -> bool:
        """Tell whether this run has a file of that name."""
        return self.file(name).is_file()

    def save_arrays(self, name: str, **arrays: Any) -> Path:
        """Write named arrays to the ``.npz`` file ``name``."""
        write_arrays(self.file(name), **arrays)
        return self.file(name)

    def load_arrays(self, name: str, required: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Read the arrays of the ``.npz`` file ``name``."""
        return read_arrays(self.file(name), required)

    def save_json(self, name: str, record: Any, origin: str) -> Path:
        """Write a record as JSON that says its origin and the versions used."""
        write_json(self.file(name), record, origin)
        return self.file(name)

    def load_json(self, name: str, required: Sequence[str] = ()) -> dict[str, Any]:
        """Read a JSON object."""
        return read_json(self.file(name), required)

    def save_csv(self, name: str, table: Any, header: str = "") -> Path:
        """Write a table as text with 18 digits."""
        write_csv(self.file(name), table, header)
        return self.file(name)

    def load_csv(self, name: str) -> np.ndarray:
        """Read a table of float64."""
        return read_csv(self.file(name))

    def save_text(self, name: str, text: str) -> Path:
        """Write a text file."""
        write_text(self.file(name), text)
        return self.file(name)

    def load_text(self, name: str) -> str:
        """Read a text file."""
        return read_text(self.file(name))

    def weights_file(self, layer: int) -> Path:
        """Give the path of the weights of layer ``layer`` (the first is 1)."""
        return self.file(f"weights_layer_{layer}.npz")

    def has_weights(self, layer: int) -> bool:
        """Tell whether layer ``layer`` was trained in this run."""
        return self.weights_file(layer).is_file()

    def save_weights(self, layer: int, trained: LayerWeights, csv: bool = False) -> Path:
        """Write the weights of a layer exactly; with ``csv`` also as one text row per kernel."""
        path = self.weights_file(layer)
        arrays = {
            name: _checked_kernels(path, name, np.asarray(getattr(trained, name)))
            for name in ("weights", "initial")
        }
        write_arrays(
            path,
            **arrays,
            rule=_dumps(path, trained.rule),
            origin=trained.origin,
            seed=trained.seed,
            versions=_dumps(path, versions()),
        )
        if csv:
            shape = "kernels {}, channels {}, height {}, width {}".format(*trained.weights.shape)
            write_csv(
                path.with_suffix(".csv"),
                trained.weights.reshape(len(trained.weights), -1),
                header=f"weights of layer {layer} in nA; {shape}; {trained.origin}",
            )
        return path

    def load_weights(self, layer: int) -> LayerWeights:
        """Read the weights of a layer; StorageError when absent, damaged or of another kind."""
        path = self.weights_file(layer)
        arrays = read_arrays(path, ("weights", "initial", "rule", "origin", "seed"))
        weights = _checked_kernels(path, "weights", arrays["weights"])
        initial = _checked_kernels(path, "initial", arrays["initial"])
        if weights.shape != initial.shape:
            raise StorageError(
                f"{path}: initial has shape {initial.shape} (must be that of weights, "
                f"{weights.shape})"
            )
        try:
            rule = dict(json.loads(str(arrays["rule"])))
            seed = int(arrays["seed"])
        except (ValueError, TypeError) as error:
            raise StorageError(f"{path}: rule or seed is damaged ({error})") from error
        return LayerWeights(weights, initial, rule, str(arrays["origin"]), seed)

    def backup(
        self,
        names: Iterable[str | Path] | None = None,
        extra: Iterable[str | Path] = (),
        now: Callable[[], datetime] = datetime.now,
    ) -> Path:
        """Copy files into ``generated_backups/YY-MM-DD-HH-MM-SS`` and give that folder.

        ``names`` are files or folders of this run (None: all of them), ``extra`` are others, such
        as the parameter file. The folder appears complete or not at all; a second backup within
        one second gets ``-2`` after its name.
        """
        if names is None:
            sources = [entry for entry in sorted(self._entries()) if entry.name != BACKUPS]
        else:
            sources = [self.file(name) for name in names]
        sources += [Path(name) for name in extra]
        stamp = now().strftime("%y-%m-%d-%H-%M-%S")
        temporary = self.file(BACKUPS) / f".{stamp}.{secrets.token_hex(4)}{_TEMPORARY}"
        try:
            temporary.mkdir(parents=True)
            try:
                for source in sources:
                    _copy(source, temporary / source.name)
                return _rename_free(temporary, self.file(BACKUPS) / stamp)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        except (OSError, shutil.Error) as error:
            raise StorageError(f"{self.file(BACKUPS) / stamp}: backup failed ({error})") from error

    def _entries(self) -> Iterator[Path]:
        if self.path.is_dir():
            yield from (e for e in self.path.iterdir() if not e.name.endswith(_TEMPORARY))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _rename_free(temporary: Path, wanted: Path) -> Path:
    """Rename a folder to ``wanted``, or to the first of wanted-2, wanted-3, ... that is free."""
    for attempt in range(1, 1000):
        target = wanted if attempt == 1 else wanted.with_name(f"{wanted.name}-{attempt}")
        if target.exists():
            continue
        try:
            return temporary.rename(target)
        except FileExistsError:
            continue
    raise FileExistsError(f"{wanted}: a thousand backups of one second")
