"""Windowing over time: how shared kernels are trained by neurons that see one window at a time.

Every presentation is one window of one image (of one input map, when depthwise) and lasts
``interval_ms``; presentation n occupies [n * interval, (n + 1) * interval). Presentations are
numbered by image, then map (depthwise only), then window row, then window column.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.indexing import (
    as_int,
    as_pair,
    as_shape,
    flat_index,
    output_grid,
    unflatten,
)
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.errors import ModelError


def offsets(shape: Any, kernel: Any, stride: Any = 1) -> NDArray[np.int64]:
    """Return the (y, x) corner of every window, row-major -> (windows, 2)."""
    rows, columns = output_grid(shape, kernel, stride)
    down, right = as_pair(stride, "stride")
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.column_stack((y * down, x * right))


def patches(images: NDArray[Any], kernel: Any, stride: Any = 1) -> NDArray[Any]:
    """Cut images (n, height, width[, channels]) into windows -> (n, windows, channels, kh, kw)."""
    images = images[..., None] if images.ndim == 3 else images
    kernel_height, kernel_width = as_pair(kernel, "kernel")
    down, right = as_pair(stride, "stride")
    output_grid(images.shape[1:], kernel, stride)
    every = np.lib.stride_tricks.sliding_window_view(
        images, (kernel_height, kernel_width), axis=(1, 2)
    )[:, ::down, ::right]
    return every.reshape(len(images), -1, images.shape[3], kernel_height, kernel_width)


def patch_images(
    images: NDArray[Any], kernel: Any, stride: Any = 1, depthwise: bool = False
) -> NDArray[Any]:
    """Return each presentation as an image of its own -> (presentations, kh, kw, channels).

    Encoding these and encoding whole images are the same operation, so a window is trained with
    the code it will meet at inference.
    """
    cut = patches(images, kernel, stride)
    if depthwise:
        cut = np.moveaxis(cut, 2, 1)[:, :, :, None]
    cut = cut.reshape(-1, *cut.shape[-3:])
    return np.moveaxis(cut, 1, 3)


def presentations(
    shape: Any, kernel: Any, stride: Any = 1, images: int = 1, depthwise: bool = False
) -> int:
    """Return how many presentations `images` images make: images x windows [x maps]."""
    rows, columns = output_grid(shape, kernel, stride)
    maps = as_shape(shape, "shape")[2] if depthwise else 1
    return as_int(images, "images", 0) * rows * columns * maps


def simulated_time(presentations: int, interval_ms: float) -> float:
    """Return the time (ms) that plays every presentation: presentations x interval."""
    return presentations * interval_ms


def window_trains(
    trains: SpikeTrains,
    shape: Any,
    kernel: Any,
    stride: Any,
    images: int,
    interval_ms: float,
    depthwise: bool = False,
    selection: ArrayLike | None = None,
) -> SpikeTrains:
    """Replay the spikes of whole tensors window by window to kh x kw x channels sources.

    trains: spikes of the tensor `shape`, image i in [i * interval, (i + 1) * interval). The source
    of a spike in a window is ``(channel * kh + y) * kw + x`` (channel 0 when depthwise).
    selection: presentation numbers to play, in this order (a number may come more than once);
    all of them, in order, when None. Raises ModelError when sizes do not fit.
    """
    height, width, channels = as_shape(shape, "shape")
    if trains.size != height * width * channels:
        raise ModelError(
            f"trains.size: {trains.size} (must be {height * width * channels}, "
            f"the neurons of tensor {(height, width, channels)})"
        )
    total = presentations(shape, kernel, stride, images, depthwise)
    source, shown, time = _window_spikes(
        trains, (height, width, channels), kernel, stride, images, interval_ms, depthwise
    )
    place, spike = _places(shown, total, selection)
    kernel_height, kernel_width = as_pair(kernel, "kernel")
    sources = kernel_height * kernel_width * (1 if depthwise else channels)
    return SpikeTrains(source[spike], time[spike] + place * float(interval_ms), sources)


def _window_spikes(
    trains: SpikeTrains,
    shape: tuple[int, int, int],
    kernel: Any,
    stride: Any,
    images: int,
    interval_ms: float,
    depthwise: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (source, presentation, time in the interval) for every spike in every window."""
    height, width, channels = shape
    (kernel_height, kernel_width), (down, right) = (
        as_pair(kernel, "kernel"),
        as_pair(stride, "stride"),
    )
    rows, columns = output_grid(shape, kernel, stride)
    image = np.floor(trains.times / interval_ms).astype(np.int64)
    keep = (image >= 0) & (image < images)
    image, time = image[keep], trains.times[keep] - image[keep] * float(interval_ms)
    channel, y, x = unflatten(trains.neurons[keep].astype(np.int64), height, width)
    found = []
    for kernel_y in range(kernel_height):
        row, off_y = np.divmod(y - kernel_y, down)
        in_row = (off_y == 0) & (row >= 0) & (row < rows)
        for kernel_x in range(kernel_width):
            column, off_x = np.divmod(x - kernel_x, right)
            hit = np.flatnonzero(in_row & (off_x == 0) & (column >= 0) & (column < columns))
            source_map = np.zeros_like(hit) if depthwise else channel[hit]
            group = image[hit] * channels + channel[hit] if depthwise else image[hit]
            source = flat_index(source_map, kernel_y, kernel_x, kernel_height, kernel_width)
            shown = flat_index(group, row[hit], column[hit], rows, columns)
            found.append((source, shown, time[hit]))
    source, shown, times = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return source, shown, times


def _places(
    shown: NDArray[np.int64], total: int, selection: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (place in the play order, index into `shown`) for every spike to be played."""
    if selection is None:
        return shown, np.arange(len(shown))
    chosen = np.asarray(selection, dtype=np.int64).reshape(-1)
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < total):
        raise ModelError(f"selection: {chosen.min()}..{chosen.max()} (must lie in 0..{total - 1})")
    order = np.argsort(chosen, kind="stable")
    times_shown = np.bincount(chosen, minlength=total)
    first = np.cumsum(times_shown) - times_shown
    repeats = times_shown[shown]
    spike = np.repeat(np.arange(len(shown)), repeats)
    nth = np.arange(len(spike)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return order[first[shown[spike]] + nth], spike
