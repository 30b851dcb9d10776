"""Read picture files as grey images of the kind that data sets hold."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import DataError, UsageError

_WIDE = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of Pillow with 16 bits of grey."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Hold grey values (height, width) uint8, and what was done to the file's to get them."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """Say which picture is meant: a file, or the number of a test image; how it is changed."""

    name: str
    resize: bool = False
    invert: bool = False

    def picture(self, shape: tuple[int, int]) -> Picture:
        """Return the file's picture with the (height, width) of the images that a run has."""
        found = read(self.name)
        pixels, notes = found.pixels, list(found.notes)
        if pixels.shape != shape:
            sizes = f"{_size(pixels.shape)} pixels, {_size(shape)} in the images of this run"
            if not self.resize:
                raise UsageError(f"{self.name}: {sizes} (give --resize to have it scaled)")
            pixels = scaled(pixels, shape)
            notes.append(f"scaled: {sizes}")
        if self.invert:
            pixels = 255 - pixels
        if pixels.min() == pixels.max():
            notes.append(f"all pixels are {pixels.min()}: there is nothing to see")
        return Picture(pixels, tuple(notes))


def _size(shape: Any) -> str:
    return f"{shape[1]} x {shape[0]}"


def scaled(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return grey values at another (height, width), averaged where that is smaller."""
    from PIL import Image

    image = Image.fromarray(pixels).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8)


def endings() -> frozenset[str]:
    """Return the endings of files that can be read, such as .png."""
    from PIL import Image

    readable = {
        ending for ending, kind in Image.registered_extensions().items() if kind in _openers()
    }
    return frozenset(readable)


def _openers() -> Any:
    from PIL import Image

    Image.init()
    return Image.OPEN


def read(path: str | Path) -> Picture:
    """Read a picture file, the first picture where it holds several.

    Colour becomes its luma (ITU-R 601), transparency black, 16 bits of grey 8; a note says so.
    UsageError where there is no picture, DataError for a damaged one.
    """
    with _opened(Path(path)) as image:
        notes = []
        if getattr(image, "n_frames", 1) > 1:
            notes.append(f"the first of {image.n_frames} pictures")
        if image.mode in _WIDE:
            notes.append("16 bits of grey became 8")
            wide = np.asarray(image).astype(np.int64)
            return Picture((wide >> 8).clip(0, 255).astype(np.uint8), tuple(notes))
        if image.mode in ("1", "L"):
            return Picture(np.asarray(image.convert("L")), tuple(notes))
        whole = image.convert("RGBA")
        values = np.asarray(whole)
        if values[..., 3].min() < 255:
            notes.append("transparency became black")
        if np.ptp(values[..., :3].astype(int), axis=2).any():
            notes.append("colour became grey")
        from PIL import Image

        flat = Image.alpha_composite(Image.new("RGBA", whole.size, "black"), whole)
        return Picture(np.asarray(flat.convert("RGB").convert("L")), tuple(notes))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture and decode it; one message for all that can be wrong with the file."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UsageError(f"{path}: {what} (must be a picture, such as a PNG file)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
            with image:
                image.load()
                yield image
    except UnidentifiedImageError as error:
        raise UsageError(f"{path}: no picture of a known format (must be a PNG file)") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: too large a picture ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path}: damaged, or cannot be read ({error})") from error
