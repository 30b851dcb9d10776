"""Distort images at random: turned, stretched, sheared, and bent by smooth random fields."""

import numpy as np
from numpy.typing import NDArray

BATCH = 2000
"""Images distorted together; what is drawn depends on it, so it is no setting."""

Field = NDArray[np.float32]


def affine_maps(
    count: int, degrees: float, scale: float, shear: float, rng: np.random.Generator
) -> Field:
    """Draw (count, 2, 2) matrices that lead from a place in the new image to one in the old.

    Each is ``rotation(a) @ [[1, k], [0, 1]] @ diag(1 / s)`` on (down, right), with a in
    +-`degrees`, k in +-`shear` and both of s in 1 +- `scale`, all uniform.
    """
    angle = np.deg2rad(rng.uniform(-degrees, degrees, count))
    down, right = (1 + rng.uniform(-scale, scale, (count, 2))).T
    slant = rng.uniform(-shear, shear, count)
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [[cos / down, (cos * slant - sin) / right], [sin / down, (sin * slant + cos) / right]]
    return np.moveaxis(np.array(rows, np.float32), 2, 0)


def smooth_fields(
    count: int, shape: tuple[int, int], smoothness: float, rng: np.random.Generator
) -> Field:
    """Draw (count, 2, height, width) fields of normal noise smoothed by a Gaussian.

    `smoothness`: its standard deviation in pixels; every value has a standard deviation of 1.
    Source of the idea: Simard, Steinkraus and Platt, ICDAR 2003.
    """
    noise = rng.standard_normal((count, 2, *shape), dtype=np.float32)
    down, across = (_smoothing(side, smoothness) for side in shape)
    return np.asarray(down @ noise @ across.T)


def _smoothing(side: int, sigma: float) -> Field:
    """Return the (side, side) matrix of a Gaussian whose rows have a norm of 1."""
    distance = np.subtract.outer(np.arange(side), np.arange(side))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def sampled(images: NDArray[np.uint8], down: Field, right: Field) -> NDArray[np.uint8]:
    """Return images (n, height, width) read at places given in pixels, each as the images.

    Between pixels values are interpolated bilinearly and rounded; outside they are 0.
    """
    count, height, width = images.shape
    # A frame of zeros: one pixel to fade out to, and one for the neighbours of the outermost place.
    framed = np.zeros((count, height + 3, width + 3), np.float32)
    framed[:, 1:-2, 1:-2] = images
    down, right = np.clip(down + 1, 0, height + 1), np.clip(right + 1, 0, width + 1)
    y, x = down.astype(np.int64), right.astype(np.int64)
    first = (np.arange(count)[:, None, None] * (height + 3) + y) * (width + 3) + x
    flat, below = framed.reshape(-1), first + width + 3
    fy, fx = down - y, right - x
    upper = flat[first] * (1 - fx) + flat[first + 1] * fx
    lower = flat[below] * (1 - fx) + flat[below + 1] * fx
    return np.rint(upper * (1 - fy) + lower * fy).astype(np.uint8)


def distorted(
    images: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    degrees: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    elastic: float = 0.0,
    smoothness: float = 5.0,
) -> NDArray[np.uint8]:
    """Return one distorted copy of each image (n, height, width), each by draws of its own.

    A pixel is read where ``centre + M (place - centre) + elastic * field`` lies in the old image,
    with M of `affine_maps` and field of `smooth_fields`: `elastic` is the standard deviation of the
    displacements, in pixels. All zero: the same images.
    """
    copies = np.empty_like(images)
    height, width = images.shape[1:]
    centre = np.array([(height - 1) / 2, (width - 1) / 2], np.float32)[:, None, None]
    grid = np.mgrid[:height, :width].astype(np.float32) - centre
    for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH]
        maps = affine_maps(len(part), degrees, scale, shear, rng)
        places = np.einsum("nij,jyx->niyx", maps, grid) + centre
        if elastic:
            fields = smooth_fields(len(part), (height, width), smoothness, rng)
            places += np.float32(elastic) * fields
        copies[first : first + len(part)] = sampled(part, places[:, 0], places[:, 1])
    return copies
