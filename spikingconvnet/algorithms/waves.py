"""Spike waves: who fired at which step, for many images at once.

An image is a wave of at most `steps` steps. Units are numbered as NumPy numbers the elements of a
(height, width, channels) array: ``unit = (y * width + x) * channels + channel``, channels last, as
images are. The board's flat neuron index (`indexing`) is map-major.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Shape, as_int, as_shape
from spikingconvnet.errors import DataError, ModelError

MAX_STEPS = 255
"""Steps are kept in one byte; 255 itself stands for silence in dense latencies."""


@dataclass(frozen=True, eq=False)
class Waves:
    """Hold the spikes of n images in order of time.

    Those of image i are ``unit[start[i] : start[i + 1]]`` (int32) at ``step[...]`` (uint8, below
    `steps`, ascending within an image). `shape`: (height, width, channels); `start`: int64 (n + 1).
    """

    shape: Shape
    steps: int
    start: NDArray[np.int64]
    unit: NDArray[np.int32]
    step: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        object.__setattr__(self, "shape", as_shape(self.shape, "Waves.shape"))
        if not 1 <= as_int(self.steps, "Waves.steps") <= MAX_STEPS:
            raise ModelError(f"Waves.steps: {self.steps} (must be at most {MAX_STEPS})")
        if len(self.start) == 0 or self.start[0] != 0 or self.start[-1] != len(self.unit):
            raise DataError("Waves.start: does not end where the spikes end")
        if len(self.unit) != len(self.step):
            raise DataError(f"Waves: {len(self.unit)} units for {len(self.step)} steps")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.start) - 1

    @property
    def units(self) -> int:
        """Return the number of units."""
        height, width, channels = self.shape
        return height * width * channels

    @property
    def nbytes(self) -> int:
        """Return the memory taken, bytes."""
        return self.start.nbytes + self.unit.nbytes + self.step.nbytes

    def select(self, images: Any) -> "Waves":
        """Return the waves of some images, by index, in the order given."""
        images = np.arange(len(self))[images]
        counts = np.diff(self.start)[images]
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        take = np.repeat(self.start[images] - start[:-1], counts) + np.arange(start[-1])
        return Waves(self.shape, self.steps, start, self.unit[take], self.step[take])

    def latencies(self, silent: int | None = None) -> NDArray[np.uint8]:
        """Return first spikes (n, height, width, channels); `silent` (default `steps`) for none."""
        dense = np.full((len(self), self.units), self.steps if silent is None else silent, np.uint8)
        image = np.repeat(np.arange(len(self)), np.diff(self.start))
        # Backwards, so that the earliest of several spikes of one unit is written last. NumPy may
        # turn views of negative stride round again, copies it cannot.
        unit, step = self.unit[::-1].copy(), self.step[::-1].copy()
        dense[image[::-1].copy(), unit] = step
        return dense.reshape(len(self), *self.shape)

    def fired(self) -> NDArray[np.bool_]:
        """Return who fired at all: (n, height, width, channels)."""
        return self.latencies(MAX_STEPS) != MAX_STEPS


def from_latencies(latencies: NDArray[Any], steps: int) -> Waves:
    """Return the waves of first spikes (n, height, width, channels); `steps` or more: silent."""
    if latencies.ndim != 4:
        raise ModelError(f"latencies: {latencies.ndim} axes (must be (n, height, width, channels))")
    flat = latencies.reshape(len(latencies), math.prod(latencies.shape[1:]))
    image, unit = np.nonzero((flat >= 0) & (flat < steps))
    step = flat[image, unit].astype(np.uint8)
    order = np.lexsort((unit, step, image))
    start = np.zeros(len(flat) + 1, np.int64)
    np.cumsum(np.bincount(image, minlength=len(flat)), out=start[1:])
    height, width, channels = latencies.shape[1:]
    shape = (height, width, channels)
    return Waves(shape, steps, start, unit[order].astype(np.int32), step[order])


def join_images(parts: Sequence[Waves]) -> Waves:
    """Return waves of the same units one after the other."""
    first = parts[0]
    for part in parts:
        if (part.shape, part.steps) != (first.shape, first.steps):
            raise ModelError(
                f"join_images: {part.shape}, {part.steps} steps beside {first.shape}, {first.steps}"
            )
    ends = np.concatenate([[0], np.cumsum([part.start[-1] for part in parts])])
    starts = [part.start[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return Waves(
        first.shape,
        first.steps,
        np.concatenate([*starts, ends[-1:]]).astype(np.int64),
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.step for part in parts]),
    )


def join_channels(parts: Sequence[Waves]) -> Waves:
    """Return waves of the same images whose channels stand beside each other, in order."""
    first = parts[0]
    height, width, _ = first.shape
    for part in parts:
        if (part.shape[:2], part.steps, len(part)) != ((height, width), first.steps, len(first)):
            raise ModelError(
                f"join_channels: {part.shape}, {part.steps} steps, {len(part)} images beside "
                f"{first.shape}, {first.steps} steps, {len(first)} images"
            )
    channels = sum(part.shape[2] for part in parts)
    image, unit, offset = [], [], 0
    for part in parts:
        position, channel = np.divmod(part.unit, part.shape[2])
        unit.append(position * channels + channel + offset)
        image.append(np.repeat(np.arange(len(part)), np.diff(part.start)))
        offset += part.shape[2]
    images, units = np.concatenate(image), np.concatenate(unit)
    steps = np.concatenate([part.step for part in parts])
    order = np.lexsort((units, steps, images))
    start = np.sum([part.start for part in parts], axis=0)
    return Waves(
        (height, width, channels), first.steps, start, units[order].astype(np.int32), steps[order]
    )
