"""Latency codes and filters as plain NumPy: the definitions the compiled encoders are held to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_order(images: NDArray[Any], steps: int) -> NDArray[np.uint8]:
    """Return ``ceil(rank (steps - 1) / count)`` of pixels (n, height, width), brightest first.

    Pixels of 0 are silent (`steps`); equal ones rank in row-major order.
    """
    flat = images.reshape(len(images), -1)
    latency = np.full(flat.shape, steps, np.uint8)
    for row, values in zip(latency, flat, strict=True):
        lit = np.flatnonzero(values)
        order = lit[np.argsort(-values[lit].astype(np.int64), kind="stable")]
        row[order] = -(-np.arange(len(lit)) * (steps - 1) // max(len(lit), 1))
    return latency.reshape(images.shape)


def time_to_first_spike(images: NDArray[Any], steps: int) -> NDArray[np.uint8]:
    """Return ``floor((1 - I / 255) steps)`` of pixels I; those of 0 are silent (`steps`)."""
    return ((255 - images.astype(np.int64)) * steps // 255).astype(np.uint8)


def dog_kernel(size: int, sigma_centre: float, sigma_surround: float, kind: str) -> Any:
    """Return the kernel (size, size) ``G(sigma_centre) - G(sigma_surround)``.

    ``G(s) = exp(-r^2 / 2 s^2) / (2 pi s^2)``; kind "zero-mean": less its mean, over its maximum.
    """
    at = np.arange(size) - size // 2
    squares = at[:, None] ** 2 + at[None, :] ** 2
    centre, surround = (
        np.exp(-squares / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        for sigma in (sigma_centre, sigma_surround)
    )
    kernel = centre - surround
    if kind == "zero-mean":
        kernel -= kernel.mean()
        kernel /= kernel.max()
    return kernel


def local_mean(responses: NDArray[Any], radius: int) -> NDArray[np.float64]:
    """Return means over (2 radius + 1)^2 places of (n, height, width), zeros outside."""
    side = 2 * radius + 1
    padded = np.pad(responses.astype(np.float64), ((0, 0), (radius,) * 2, (radius,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.asarray(windows.mean(axis=(3, 4)))


def equal_bins(responses: NDArray[Any], steps: int) -> NDArray[np.uint8]:
    """Return latencies of responses (n, ...), all of an image ranked together.

    The largest ``floor(count / steps)`` get step 0, and so on; what is left over after `steps`
    bins, and responses of 0, are silent. With fewer responses than steps, each has its own step.
    """
    flat = responses.reshape(len(responses), -1)
    latency = np.full(flat.shape, steps, np.uint8)
    for row, values in zip(latency, flat, strict=True):
        lit = np.flatnonzero(values)
        order = lit[np.argsort(-values[lit], kind="stable")]
        bins = np.arange(len(lit)) // max(len(lit) // steps, 1)
        row[order] = np.minimum(bins, steps)
    return latency.reshape(responses.shape)


def proportional_bins(responses: NDArray[Any], steps: int) -> NDArray[np.uint8]:
    """Return latencies ``floor(rank steps / count)`` of responses (n, ...); 0: silent."""
    flat = responses.reshape(len(responses), -1)
    latency = np.full(flat.shape, steps, np.uint8)
    for row, values in zip(latency, flat, strict=True):
        lit = np.flatnonzero(values)
        order = lit[np.argsort(-values[lit], kind="stable")]
        row[order] = np.arange(len(lit)) * steps // max(len(lit), 1)
    return latency.reshape(responses.shape)
