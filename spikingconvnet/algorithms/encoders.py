"""Encoders: images to spikes, plus the difference-of-Gaussians filter that may come before.

images: (n, height, width[, channels]), 0..255. Image i is presented in [i * interval,
(i + 1) * interval); its spikes fall in the first ``on_ms`` of it, at whole milliseconds, later by
``offset_ms``. Source indices are flat neuron indices (map-major, row-major).
The ``*_2018`` functions repeat what the SpikingConvNet program of 2018 (Gronauer, TU Munich) did,
defects included; they serve comparison, and the others are the ones to use.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.algorithms.indexing import flatten_images
from spikingconvnet.algorithms.spike_trains import SpikeTrains, merge
from spikingconvnet.errors import ModelError

INTERVAL_MS = 100  # 2018: one presentation
ON_MS = 50  # 2018: spikes only in the first half of a presentation
THRESHOLD = 80  # 2018: pixels from here on count as ink
FACTOR = 10.0  # 2018: period in ms of a pixel of intensity 255
MAX_SPIKES = 10  # 2018: spikes per pixel and presentation
WINDOW_SUM_SCALE = 2500.0  # 2018: window sum S gives the factor 6 S / 2500 …
WINDOW_SUM_GAIN = 6.0
MAX_FACTOR = 20.0  # … but no more than this


def _intensities(
    images: NDArray[np.generic], interval_ms: float, on_ms: int, offset_ms: int
) -> NDArray[np.float64]:
    if on_ms < 1 or offset_ms < 0 or on_ms + offset_ms > interval_ms:
        raise ModelError(
            f"on_ms: {on_ms} (must be 1..{interval_ms - offset_ms}, "
            f"so that {offset_ms} + on_ms fits in {interval_ms} ms)"
        )
    flat = flatten_images(np.asarray(images)).astype(np.float64)
    if flat.size and not (flat.min() >= 0 and flat.max() <= 255):
        raise ModelError(f"images: {flat.min()}..{flat.max()} (must lie in 0..255)")
    return flat


def _trains(
    image: NDArray[np.int64],
    source: NDArray[np.int64],
    time: ArrayLike,
    size: int,
    interval_ms: float,
) -> SpikeTrains:
    return SpikeTrains(source, np.asarray(time) + image * float(interval_ms), size)


def _factor(images: int, window_sum: ArrayLike | None, factor: float) -> NDArray[np.float64]:
    """Return one period factor per image: `factor`, or 6 S / 2500 up to 20 for window sums S."""
    if window_sum is None:
        return np.full(images, float(factor))
    sums = np.asarray(window_sum, dtype=np.float64)
    if sums.shape != (images,):
        raise ModelError(f"window_sum: shape {sums.shape} (must be one sum per image, ({images},))")
    return np.minimum(MAX_FACTOR, WINDOW_SUM_GAIN * sums / WINDOW_SUM_SCALE)


def _periodic(
    first: NDArray[np.int64], period: NDArray[np.int64], on_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, time) of first + i * period below `on_ms`, i = 0..9, for every row."""
    times = first[:, None] + np.arange(MAX_SPIKES) * period[:, None]
    row, nth = np.nonzero(times < on_ms)
    return row, times[row, nth]


def rate(
    images: NDArray[np.generic],
    rng: np.random.Generator,
    *,
    interval_ms: float = INTERVAL_MS,
    on_ms: int = ON_MS,
    threshold: float = THRESHOLD,
    factor: float = FACTOR,
    window_sum: ArrayLike | None = None,
    offset_ms: int = 1,
) -> SpikeTrains:
    """Encode intensity I >= threshold as regular spikes of period ``255 / I * factor`` ms.

    The first spike of each pixel falls at random within one period (or within `on_ms`, when that
    is shorter), so equal pixels do not fire together; a pixel below the threshold is silent.
    Periods are whole ms, and no shorter than lets `MAX_SPIKES` fill `on_ms`. With `window_sum`
    (n,), the factor of image i is ``min(20, 6 * window_sum[i] / 2500)``, which makes dim windows
    fire faster: use it only if inference is normalised in the same way.
    """
    flat = _intensities(images, interval_ms, on_ms, offset_ms)
    image, source = np.nonzero(flat >= max(threshold, 1))
    factors = _factor(len(flat), window_sum, factor)
    period = (255.0 / flat[image, source] * factors[image]).astype(np.int64)
    period = np.maximum(period, max(1, -(-on_ms // MAX_SPIKES)))
    first = rng.integers(0, np.minimum(period, on_ms))
    row, time = _periodic(first, period, on_ms)
    return _trains(image[row], source[row], time + offset_ms, flat.shape[1], interval_ms)


def rate_2018(
    images: NDArray[np.generic],
    rng: np.random.Generator,
    *,
    interval_ms: float = INTERVAL_MS,
    on_ms: int = ON_MS,
    threshold: float = THRESHOLD,
    factor: float = FACTOR,
    window_sum: ArrayLike | None = None,
    offset_ms: int = 0,
) -> SpikeTrains:
    """Encode as the 2018 program did, defects included (see `rate` for the corrected code).

    Every pixel below the threshold, black ones too, fires once, uniformly in 0..on_ms. A pixel
    from the threshold on has the period ``P = int(255 / I * f)``; f is truncated to an integer
    when it comes from a window sum, so a faint window (sum below 417) has P = 0 and fires ten
    times at once. P >= on_ms: one spike in 0..on_ms; else ten spikes from a phase in 0..P on.
    """
    flat = _intensities(images, interval_ms, on_ms, offset_ms)
    factors = _factor(len(flat), window_sum, factor)
    factors = factors if window_sum is None else np.floor(factors)
    image, source = np.nonzero(flat >= max(threshold, 1))
    period = (255.0 / flat[image, source] * factors[image]).astype(np.int64)
    regular = period < on_ms
    first = rng.integers(0, period[regular], endpoint=True)
    row, time = _periodic(first, period[regular], on_ms)
    burst = _trains(
        image[regular][row], source[regular][row], time + offset_ms, flat.shape[1], interval_ms
    )
    lone = flat < max(threshold, 1)
    lone[image[~regular], source[~regular]] = True
    image, source = np.nonzero(lone)
    once = rng.integers(0, on_ms, len(image), endpoint=True) + offset_ms
    return merge([burst, _trains(image, source, once, flat.shape[1], interval_ms)])


def regular(
    images: NDArray[np.generic],
    *,
    interval_ms: float = INTERVAL_MS,
    on_ms: int = ON_MS,
    threshold: float = THRESHOLD,
    max_spikes: int = MAX_SPIKES,
    offset_ms: int = 1,
) -> SpikeTrains:
    """Encode intensity as ``round(I / 255 * max_spikes)`` evenly spaced spikes; no random draw.

    Spike k of m is at ``floor((k + 1/2) * on_ms / m)``: equal pixels fire together.
    """
    flat = _intensities(images, interval_ms, on_ms, offset_ms)
    if not 1 <= max_spikes <= on_ms:
        raise ModelError(f"max_spikes: {max_spikes} (must be 1..on_ms = {on_ms})")
    number = np.rint(flat / 255.0 * max_spikes).astype(np.int64) * (flat >= threshold)
    image, source = np.nonzero(number)
    number = number[image, source]
    row = np.repeat(np.arange(len(number)), number)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    time = (2 * nth + 1) * on_ms // (2 * number[row])
    return _trains(image[row], source[row], time + offset_ms, flat.shape[1], interval_ms)


def poisson(
    images: NDArray[np.generic],
    rng: np.random.Generator,
    *,
    max_rate_hz: float = 100.0,
    interval_ms: float = INTERVAL_MS,
    on_ms: int = ON_MS,
    threshold: float = 0,
    offset_ms: int = 1,
) -> SpikeTrains:
    """Encode intensity as a rate ``I / 255 * max_rate_hz``: one Bernoulli draw per pixel and ms."""
    flat = _intensities(images, interval_ms, on_ms, offset_ms)
    if not 0 < max_rate_hz <= 1000:
        raise ModelError(f"max_rate_hz: {max_rate_hz} (must be above 0 and at most 1000)")
    image, source = np.nonzero((flat > 0) & (flat >= threshold))
    chance = flat[image, source] / 255.0 * (max_rate_hz / 1000.0)
    hits = [np.flatnonzero(rng.random(len(chance)) < chance) for _ in range(on_ms)]
    row = np.concatenate(hits)
    time = np.repeat(np.arange(on_ms), [len(hit) for hit in hits]) + offset_ms
    return _trains(image[row], source[row], time, flat.shape[1], interval_ms)


def latency(
    images: NDArray[np.generic],
    *,
    interval_ms: float = INTERVAL_MS,
    on_ms: int = ON_MS,
    threshold: float = THRESHOLD,
    offset_ms: int = 1,
) -> SpikeTrains:
    """Encode intensity I >= threshold as one spike at ``int((1 - I / 255) * (on_ms - 1))`` ms."""
    flat = _intensities(images, interval_ms, on_ms, offset_ms)
    image, source = np.nonzero((flat > 0) & (flat >= threshold))
    time = ((1.0 - flat[image, source] / 255.0) * (on_ms - 1)).astype(np.int64)
    return _trains(image, source, time + offset_ms, flat.shape[1], interval_ms)


def gaussian_blur(
    images: NDArray[np.generic], sigma: float, radius: int | None = None
) -> NDArray[np.float64]:
    """Blur images (n, height, width, …) with a normalised Gaussian of `sigma` pixels.

    The kernel reaches `radius` pixels (4 sigma, rounded, when None); borders are mirrored.
    """
    if not sigma > 0:
        raise ModelError(f"sigma: {sigma} (must be above 0)")
    reach = int(4.0 * sigma + 0.5) if radius is None else radius
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    result = np.asarray(images, dtype=np.float64)
    for axis in (1, 2):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(result.ndim)]
        wide = np.moveaxis(np.pad(result, pad, mode="symmetric"), axis, 0)
        size = result.shape[axis]
        blurred = sum(tap * wide[i : i + size] for i, tap in enumerate(taps))
        result = np.moveaxis(np.asarray(blurred), 0, axis)
    return result


def difference_of_gaussians(
    images: NDArray[np.generic],
    sigma_centre: float = 1.0,
    sigma_surround: float = 2.0,
    polarity: str = "on",
) -> NDArray[np.uint8]:
    """Filter images (n, height, width[, channels]) by blur(centre) - blur(surround), as uint8.

    polarity: "on" keeps the positive part, "off" the negative part, "both" gives 2 x channels
    (all "on" channels, then all "off" ones). Each image is scaled so that its largest response
    is 255; an image with no response stays 0.
    """
    images = images[..., None] if images.ndim == 3 else images
    response = gaussian_blur(images, sigma_centre) - gaussian_blur(images, sigma_surround)
    parts = {"on": (response,), "off": (-response,), "both": (response, -response)}
    if polarity not in parts:
        raise ModelError(f'polarity: {polarity!r} (must be "on", "off" or "both")')
    return _to_uint8(np.concatenate(parts[polarity], axis=3))


def difference_of_gaussians_2018(images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Filter as the 2018 program could: 100 x (blur 1.1 - blur 1.0), negatives 0, largest 255."""
    images = images[..., None] if images.ndim == 3 else images
    return _to_uint8(100.0 * (gaussian_blur(images, 1.1) - gaussian_blur(images, 1.0)))


def _to_uint8(response: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Clip below at 0 and scale each image's largest value to 255 (1e-9 and less counts as 0)."""
    positive = np.where(response > 1e-9, response, 0.0)
    largest = positive.max(axis=(1, 2, 3), initial=0.0, keepdims=True)
    scaled = positive * (255.0 / np.where(largest > 0, largest, 1.0))
    return (scaled + 1e-9).astype(np.uint8)
