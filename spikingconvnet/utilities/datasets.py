"""Digit and clothing images: read from a folder or the cache, fetched when absent, drawn by class.

Sets: ``mnist`` and ``fashion-mnist`` (60,000 + 10,000 images of 28 x 28) and ``digits``
(1,297 + 500 images of 8 x 8 that come with scikit-learn). A folder may hold pictures of any size
and kind instead, in sub-folders named after their classes (see `class_folders`).
"""

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikingconvnet.errors import DataError, DependencyError, UsageError
from spikingconvnet.utilities import class_folders, downloads
from spikingconvnet.utilities.downloads import FILES, PUBLISHED, Progress, Published
from spikingconvnet.utilities.idx import idx_bytes, read_idx

log = logging.getLogger(__name__)

NAMES = (*PUBLISHED, "digits")
CACHE_VARIABLE = "SPIKINGCONVNET_CACHE"
_DIGITS_TRAIN = 1297


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold images (n, height, width) uint8, 0..255, with labels (n,), in a train and a test part.

    ``source`` says where they came from, ``notes`` what was done to them. ``names`` are those of
    the classes, in ascending order of labels; empty where they are called by their labels.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[int, ...]:
        """Give every label that occurs, ascending."""
        return tuple(np.union1d(self.train_labels, self.test_labels).tolist())


@dataclass(frozen=True, eq=False)
class Selection:
    """Hold the images drawn from a data set, shuffled, and where in it each one is.

    ``train_index`` and ``test_index`` are positions in the train and in the test part; ``names``
    belong to ``classes``, one each.
    """

    classes: tuple[int, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    train_index: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    test_index: np.ndarray
    source: str
    names: tuple[str, ...] = ()


def cache_folder(cache: str | Path | None = None) -> Path:
    """Give the folder for fetched data: ``cache``, else $SPIKINGCONVNET_CACHE, else the user's.

    The user's is $XDG_CACHE_HOME/spikingconvnet, by default ~/.cache/spikingconvnet (macOS:
    ~/Library/Caches, Windows: %LOCALAPPDATA%).
    """
    chosen = cache or os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    if not base:
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(base).expanduser() / "spikingconvnet"


def load(
    name: str,
    directory: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read a data set from ``directory`` when given, else from the cache, fetching it if needed.

    ``directory`` holds the four IDX files, gzipped or not, named with a hyphen or a dot before
    ``idx``, or a sub-folder of pictures for each class, whatever ``name`` is. ``progress`` is
    called with (label, done, total or 0): bytes of a download, pictures of a folder. UsageError for
    an unknown name or folders that are no data set, DataError for damaged files or when no way of
    fetching works.
    """
    if name not in NAMES:
        raise UsageError(f"dataset: {name!r} (must be one of {', '.join(NAMES)})")
    if directory is not None and class_folders.recognised(Path(directory).expanduser()):
        return _from_class_folders(Path(directory).expanduser(), progress or (lambda *_: None))
    if name == "digits":
        if directory is not None:
            raise UsageError(f"data folder: {directory} (digits come with scikit-learn: give none)")
        return _digits()
    if directory is not None:
        return _from_folder(name, Path(directory).expanduser())
    return _from_cache(name, cache_folder(cache), progress or (lambda *_: None))


def _assemble(name: str, paths: dict[str, Path], source: str) -> Dataset:
    parts: list[np.ndarray] = []
    for kind in ("train", "t10k"):
        image_file, label_file = (
            paths[f"{kind}-images-idx3-ubyte"],
            paths[f"{kind}-labels-idx1-ubyte"],
        )
        images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
        if len(images) != len(labels):
            raise DataError(
                f"{label_file}: {len(labels)} labels (must be {len(images)}, one per image of "
                f"{image_file.name})"
            )
        parts += [images, labels]
    train_shape, test_shape = parts[0].shape[1:], parts[2].shape[1:]
    if train_shape != test_shape:
        raise DataError(
            f"{paths[FILES[2]]}: images of {test_shape} (must be {train_shape} as in "
            f"{paths[FILES[0]].name})"
        )
    return Dataset(name, parts[0], parts[1], parts[2], parts[3], source)


def _from_folder(name: str, folder: Path) -> Dataset:
    """Read a user's own files; the source says so when they are not the published ones."""
    paths = {file: _find(folder, file) for file in FILES}
    data = _assemble(name, paths, f"folder {folder}")
    arrays = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    published = PUBLISHED[name]
    for file, array in zip(FILES, arrays, strict=True):
        if _md5(idx_bytes(array)) != published.md5[file]:
            return replace(data, source=f"{data.source} (not the published {published.title})")
    return data


def _from_class_folders(folder: Path, progress: Progress) -> Dataset:
    found = class_folders.read(folder, progress)
    return Dataset(
        folder.resolve().name,
        found.train_images,
        found.train_labels,
        found.test_images,
        found.test_labels,
        f"folder {folder}",
        found.names,
        found.notes,
    )


def _find(folder: Path, file: str) -> Path:
    spellings = [file, file.replace("-idx", ".idx")]
    candidates = [folder / f"{spelling}{end}" for end in ("", ".gz") for spelling in spellings]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    what = "has none of" if folder.is_dir() else "is no folder; expected in it one of"
    names = ", ".join(candidate.name for candidate in candidates)
    raise UsageError(f"{folder}: {what} {names}, or a sub-folder of pictures for each class")


def _from_cache(name: str, cache: Path, progress: Progress) -> Dataset:
    published = PUBLISHED[name]
    folder = cache / name
    source = f"cache {folder}"
    if not _is_whole(folder, published):
        source = downloads.fetch(published, folder, progress)
    return _assemble(name, {file: folder / file for file in FILES}, source)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _is_whole(folder: Path, published: Published) -> bool:
    """Tell whether the cache holds all four files with the published checksums."""
    for file in FILES:
        try:
            found = _md5((folder / file).read_bytes())
        except OSError:
            return False
        if found != published.md5[file]:
            log.warning("%s: md5 %s is not the published one; fetched anew", folder / file, found)
            return False
    return True


def _digits() -> Dataset:
    """Give scikit-learn's digits, 0..16 scaled to 0..255: the first 1,297 train, the last 500 test.

    The file is ordered by writer, so the test digits are by other hands than most train digits.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DependencyError("dataset digits: needs the package scikit-learn") from error
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    cut = _DIGITS_TRAIN
    return Dataset(
        "digits", images[:cut], labels[:cut], images[cut:], labels[cut:], "scikit-learn load_digits"
    )


def _draw(
    labels: np.ndarray,
    classes: Sequence[int],
    count: int | None,
    name: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw ``count`` positions of each class without replacement and shuffle them together."""
    drawn = []
    for label in classes:
        available = np.flatnonzero(labels == label)
        wanted = len(available) if count is None else count
        if wanted > len(available):
            raise UsageError(
                f"{name}: {count} images of class {label} (the data set has {len(available)})"
            )
        drawn.append(rng.permutation(available)[:wanted])
    return rng.permutation(np.concatenate(drawn))


def select(
    dataset: Dataset,
    classes: Sequence[int] | None,
    train_per_class: int | None,
    test_per_class: int | None,
    rng: np.random.Generator,
) -> Selection:
    """Draw images of some classes without replacement, train and test from their own parts.

    None stands for all classes or all images. UsageError names an unknown class, or a number that
    is negative or more than there is.
    """
    known = dataset.classes
    wanted = known if classes is None else tuple(int(label) for label in classes)
    for label in wanted:
        if label not in known:
            raise UsageError(f"classes: {label} ({dataset.name} has {', '.join(map(str, known))})")
    if not wanted or len(set(wanted)) != len(wanted):
        raise UsageError(f"classes: {list(wanted)} (must be one or more, each once)")
    for name, count in (("train_per_class", train_per_class), ("test_per_class", test_per_class)):
        if count is not None and count < 0:
            raise UsageError(f"{name}: {count} (must be at least 0)")
    train = _draw(dataset.train_labels, wanted, train_per_class, "train_per_class", rng)
    test = _draw(dataset.test_labels, wanted, test_per_class, "test_per_class", rng)
    return Selection(
        wanted,
        dataset.train_images[train],
        dataset.train_labels[train],
        train,
        dataset.test_images[test],
        dataset.test_labels[test],
        test,
        dataset.source,
        tuple(dataset.names[known.index(label)] for label in wanted) if dataset.names else (),
    )


def thinned(selection: Selection, ratio: float) -> Selection:
    """Keep a share of the training images, at least one; they are shuffled already."""
    kept = slice(max(round(ratio * len(selection.train_images)), 1))
    return replace(
        selection,
        train_images=selection.train_images[kept],
        train_labels=selection.train_labels[kept],
        train_index=selection.train_index[kept],
    )


def augmented(selection: Selection, rng: np.random.Generator) -> Selection:
    """Add three copies of the training images: each turned, and flipped along either axis.

    Angles are drawn from -30 to 30 degrees; what comes in at the edges is black. Labels stay, so
    that a flipped 2 is still a 2, as in the data of the networks of 2024 in `zoo`.
    """
    from scipy import ndimage

    images = selection.train_images
    turned = np.empty_like(images)
    for image, out, angle in zip(images, turned, rng.uniform(-30, 30, len(images)), strict=True):
        ndimage.rotate(image, angle, reshape=False, order=1, output=out)
    return replace(
        selection,
        train_images=np.concatenate([images, turned, images[:, :, ::-1], images[:, ::-1]]),
        train_labels=np.tile(selection.train_labels, 4),
        train_index=np.tile(selection.train_index, 4),
    )
