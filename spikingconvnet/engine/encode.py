"""Encoders, compiled: the definitions are in `algorithms.latency`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from spikingconvnet.algorithms import latency
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.latency import FilterBank, RankOrder, SideBySide, TimeToFirstSpike
from spikingconvnet.engine.merge import beside
from spikingconvnet.engine.rows import Rows
from spikingconvnet.errors import DataError, UsageError


@njit(cache=True)
def _brightest_first(pixels, order):
    """List pixels above 0, brightest first, equal ones as they come; return how many."""
    begin = np.zeros(257, np.int32)
    for value in pixels:
        begin[255 - value + 1] += 1
    for value in range(256):
        begin[value + 1] += begin[value]
    for i in range(len(pixels)):
        if pixels[i]:
            at = 255 - pixels[i]
            order[begin[at]] = i
            begin[at] += 1
    return begin[254]


@njit(cache=True, parallel=True, nogil=True)
def _pixels_to_spikes(images, steps, by_rank, repeat, out_unit, out_step, counts, blocks):
    for block in prange(blocks):
        order = np.empty(images.shape[1], np.int32)
        for image in range(block, len(images), blocks):
            pixels = images[image]
            lit = _brightest_first(pixels, order)
            count, at = 0, 0
            for time in range(steps):
                while at < lit:
                    pixel = order[at]
                    when = (255 - np.int64(pixels[pixel])) * steps // 255
                    if by_rank:
                        when = (at * (steps - 1) + lit - 1) // lit
                    if when > time:
                        break
                    at += 1
                    out_unit[image, count], out_step[image, count] = pixel, time
                    count += 1
                if repeat:
                    begun = at
                    while count and begun and out_step[image, count - 1] == time:
                        count -= 1
                    for i in range(begun):
                        out_unit[image, count], out_step[image, count] = order[i], time
                        count += 1
            counts[image] = count


def _own(images: NDArray[Any]) -> NDArray[Any]:
    """Return images that can be written to: those that cannot would be compiled for anew."""
    return np.require(images, requirements=("C", "W"))


def _from_pixels(images: NDArray[Any], steps: int, by_rank: bool, repeat: bool) -> Waves:
    flat = images.reshape(len(images), -1)
    rows = Rows(len(flat), flat.shape[1] * (steps if repeat else 1))
    for first, counts in rows.chunks():
        part = _own(flat[first : first + len(counts)])
        _pixels_to_spikes(part, steps, by_rank, repeat, *rows.out, counts, get_num_threads())
    return rows.waves((*images.shape[1:], 1), steps)


@njit(cache=True, fastmath=True)
def _correlate(padded, margin, kernel, out):
    """Write the correlation of a padded image with a kernel of odd side."""
    height, width = out.shape
    shift = margin - kernel.shape[0] // 2
    out[:] = 0
    for ky in range(kernel.shape[0]):
        for kx in range(kernel.shape[1]):
            weight = kernel[ky, kx]
            for y in range(height):
                for x in range(width):
                    out[y, x] += weight * padded[y + ky + shift, x + kx + shift]


@njit(cache=True)
def _divide_by_local_mean(values, radius, sums):
    """Divide by the mean over (2 radius + 1)^2 places, zeros outside."""
    height, width = values.shape
    sums[:] = 0
    for y in range(height):
        row = 0.0
        for x in range(width):
            row += values[y, x]
            sums[y + 1, x + 1] = sums[y, x + 1] + row
    area = (2 * radius + 1) ** 2
    for y in range(height):
        top, bottom = max(y - radius, 0), min(y + radius + 1, height)
        for x in range(width):
            if values[y, x]:
                left, right = max(x - radius, 0), min(x + radius + 1, width)
                total = (
                    sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
                )
                values[y, x] /= total / area + 1e-12


@njit(cache=True)
def _strongest_first(values, offset, stride, units, keys):
    """List places with a response, strongest first; return how many."""
    count = 0
    for i in range(len(values)):
        if values[i] > 0:
            units[count], keys[count] = i * stride + offset, -values[i]
            count += 1
    order = np.argsort(keys[:count], kind="mergesort")
    units[:count] = units[order]
    return count


@njit(cache=True, parallel=True, nogil=True)
def _filter_to_spikes(
    images, kernels, sides, threshold, strict, radius, steps, joint, out_unit, out_step, counts,
    blocks,
):  # fmt: skip
    height, width = images.shape[1:]
    channels, margin = len(kernels), kernels.shape[1] // 2
    for block in prange(blocks):
        padded = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
        plane = np.empty((height, width), np.float32)
        sums = np.empty((height + 1, width + 1), np.float64)
        responses = np.empty((height * width, channels), np.float32)
        units = np.empty(height * width * channels, np.int32)
        keys = np.empty(height * width * channels, np.float32)
        held = np.empty(steps + 1, np.int64)
        for image in range(block, len(images), blocks):
            padded[margin : margin + height, margin : margin + width] = images[image]
            for channel in range(channels):
                side = sides[channel]
                _correlate(padded, margin, kernels[channel, :side, :side], plane)
                for y in range(height):
                    for x in range(width):
                        value = plane[y, x]
                        if value < threshold or (strict and value == threshold):
                            plane[y, x] = 0
                if radius:
                    _divide_by_local_mean(plane, radius, sums)
                for y in range(height):
                    for x in range(width):
                        responses[y * width + x, channel] = plane[y, x]
            if joint:
                count = _strongest_first(responses.ravel(), 0, 1, units, keys)
                size = max(count // steps, 1)
                count = min(count, size * steps)
                for i in range(count):
                    out_unit[image, i], out_step[image, i] = units[i], i // size
                counts[image] = count
                continue
            held[:] = 0
            total = 0
            for channel in range(channels):
                count = _strongest_first(
                    np.ascontiguousarray(responses[:, channel]), channel, channels, units, keys
                )
                for i in range(count):
                    out_unit[image, total + i] = units[i]
                    out_step[image, total + i] = i * steps // count
                    held[i * steps // count + 1] += 1
                total += count
            for time in range(steps):
                held[time + 1] += held[time]
            units[:total] = out_unit[image, :total]
            times = out_step[image, :total].copy()
            for i in range(total):
                time = times[i]
                out_unit[image, held[time]], out_step[image, held[time]] = units[i], time
                held[time] += 1
            counts[image] = total


def _from_filters(encoder: FilterBank, images: NDArray[Any]) -> Waves:
    images = images[:, encoder.crop :, encoder.crop :]
    # One array, whatever the number of filters: each number of arrays would be compiled anew.
    sides = np.array([item.size for item in encoder.filters])
    kernels = np.zeros((len(sides), sides.max(), sides.max()), np.float32)
    for kernel, item in zip(kernels, encoder.filters, strict=True):
        kernel[: item.size, : item.size] = latency.dog_kernel(
            item.size, item.sigma_centre, item.sigma_surround, encoder.kernel
        )
    shape = (*images.shape[1:], len(kernels))
    rows = Rows(len(images), int(np.prod(shape)))
    for first, counts in rows.chunks():
        part = _own(images[first : first + len(counts)])
        _filter_to_spikes(
            part, kernels, sides, np.float32(encoder.threshold), encoder.strict,
            encoder.normalise_radius, encoder.steps, encoder.joint, *rows.out, counts,
            get_num_threads(),
        )  # fmt: skip
    return rows.waves(shape, encoder.steps)


_ENCODERS: dict[type, Callable[[Any, NDArray[Any]], Waves]] = {
    RankOrder: lambda encoder, images: _from_pixels(images, encoder.steps, True, False),
    TimeToFirstSpike: lambda encoder, images: _from_pixels(
        images, encoder.steps, False, encoder.repeat
    ),
    FilterBank: _from_filters,
    SideBySide: lambda encoder, images: beside([encode(one, images) for one in encoder.encoders]),
}


def encode(encoder: Any, images: NDArray[np.uint8]) -> Waves:
    """Return the waves of images (n, height, width) uint8. The number of threads changes nothing.

    Raises DataError for images of another form, UsageError for an encoder that makes no waves.
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"images: {images.dtype} of shape {images.shape} (must be uint8 (n, height, width))"
        )
    if type(encoder) not in _ENCODERS:
        names = ", ".join(kind.__name__ for kind in _ENCODERS)
        raise UsageError(f"encoder: {type(encoder).__name__} (the host engine takes {names})")
    return _ENCODERS[type(encoder)](encoder, images)
