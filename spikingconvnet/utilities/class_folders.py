"""Read pictures from sub-folders that are named after their classes.

Either ``train/<class>/*.png`` and ``test/<class>/*.png``, or ``<class>/*.png`` alone: then every
sixth picture of a class, in the order of file names, is for testing. Classes that are all whole
numbers keep them as labels; other names are numbered from 0 in alphabetical order.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikingconvnet.errors import DataError, SpikingConvNetError, UsageError
from spikingconvnet.utilities import pictures

PARTS = ("train", "test")
EVERY = 6
"""One picture of so many is for testing, as MNIST has 10,000 beside 60,000."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class ClassFolders:
    """Hold images (n, height, width) uint8 and labels (n,) int64 of both parts, and class names.

    `names` belong to the labels in ascending order. `notes` say what was done to the files.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def recognised(folder: Path) -> bool:
    """Tell whether a folder has sub-folders with pictures in them, and no IDX data."""
    if not folder.is_dir() or any("ubyte" in entry.name for entry in folder.iterdir()):
        return False
    return any(map(_has_pictures, _sub_folders(folder)))


def _has_pictures(folder: Path) -> bool:
    if folder.name in PARTS and any(map(_pictures, _sub_folders(folder))):
        return True
    return bool(_pictures(folder))


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def read(folder: Path, progress: Progress) -> ClassFolders:
    """Read all pictures; UsageError or DataError that names every file or class at fault."""
    files = _files(folder)
    labels = _labels(folder, sorted({name for _, name in files}))
    total = sum(map(len, files.values()))
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    of: dict[str, list[int]] = {part: [] for part in PARTS}
    sizes: dict[tuple[int, ...], list[Path]] = {}
    changes: Counter[str] = Counter()
    faults: list[str] = []
    done = 0
    for (part, name), paths in files.items():
        for path in paths:
            done += 1
            progress("reading pictures", done, total)
            try:
                picture = pictures.read(path)
            except SpikingConvNetError as error:
                faults.append(str(error))
                continue
            changes.update(picture.notes)
            sizes.setdefault(picture.pixels.shape, []).append(path)
            found[part].append(picture.pixels)
            of[part].append(labels[name])
    if faults:
        raise DataError(f"{folder}: {len(faults)} unreadable: {'; '.join(faults)}")
    _check_sizes(folder, sizes)
    names = tuple(sorted(labels, key=labels.__getitem__))
    notes = tuple(f"{note} in {count:,} pictures" for note, count in sorted(changes.items()))
    (train, test), (train_of, test_of) = (
        [np.stack(found[part]) for part in PARTS],
        [np.array(of[part], np.int64) for part in PARTS],
    )
    return ClassFolders(train, train_of, test, test_of, names, notes)


def _files(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Return the pictures of each part and class, all of them checked to have some."""
    has = [(folder / part).is_dir() and any(_sub_folders(folder / part)) for part in PARTS]
    if any(has) and not all(has):
        lacks = PARTS[has.index(False)]
        raise UsageError(
            f"{folder}: no folder {lacks} with classes in it (must have both "
            f"{' and '.join(PARTS)}, or the classes themselves)"
        )
    if all(has):
        found = {
            (part, sub.name): _pictures(sub)
            for part in PARTS
            for sub in _sub_folders(folder / part)
        }
        needed = 1
    else:
        whole = {sub.name: _pictures(sub) for sub in _sub_folders(folder)}
        found = {
            (part, name): chosen
            for part, pick in zip(PARTS, (False, True), strict=True)
            for name, paths in whole.items()
            for chosen in [
                [path for at, path in enumerate(paths) if _tests(at, len(paths)) == pick]
            ]
        }
        needed = 2
    _check_classes(folder, found, needed)
    return found


def _tests(position: int, count: int) -> bool:
    """Tell whether a picture of a class is for testing; where there are few, the last one is."""
    return position % EVERY == EVERY - 1 or (count < EVERY and position == count - 1)


def _sub_folders(folder: Path) -> Iterator[Path]:
    yield from sorted(filter(_is_shown_folder, folder.iterdir()))


def _pictures(folder: Path) -> list[Path]:
    known = pictures.endings()
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in known and not path.name.startswith(".")
    )


def _check_classes(folder: Path, found: dict[tuple[str, str], list[Path]], needed: int) -> None:
    names = {part: {name for its, name in found if its == part} for part in PARTS}
    every = sorted(names["train"] | names["test"])
    if len(every) < 2:
        raise UsageError(
            f"{folder}: 1 class, {', '.join(every)} (must have two or more, a sub-folder for each)"
        )
    lacking = [
        f"{part + '/' if needed == 1 else ''}{name}"
        for part in PARTS
        for name in every
        if not found.get((part, name))
    ]
    if lacking:
        few = "none" if needed == 1 else "fewer than two"
        raise UsageError(
            f"{folder}: too few pictures in {', '.join(dict.fromkeys(lacking))} (a class must have "
            f"one for training and one for testing; there are {few})"
        )


def _labels(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the label of each class name."""
    if not all(name.isdecimal() for name in names):
        return {name: number for number, name in enumerate(names)}
    labels = {name: int(name) for name in names}
    if len(set(labels.values())) < len(labels):
        raise UsageError(f"{folder}: classes {', '.join(names)} (some are the same number)")
    return labels


def _check_sizes(folder: Path, sizes: dict[tuple[int, ...], list[Path]]) -> None:
    if len(sizes) > 1:
        seen = "; ".join(
            f"{width} x {height} in {len(paths)}, such as {paths[0].relative_to(folder)}"
            for (height, width), paths in sorted(sizes.items(), key=lambda item: -len(item[1]))
        )
        raise UsageError(f"{folder}: pictures of {len(sizes)} sizes (must be one): {seen}")
