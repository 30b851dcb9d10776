"""Distorted images against what their parameters promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import distortion
from spikingconvnet.algorithms.distortion import affine_maps, distorted, sampled, smooth_fields

SEEDS = st.integers(0, 2**31)
SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(1, 9))
ALL = {"degrees": 20.0, "scale": 0.2, "shear": 0.2, "elastic": 1.0, "smoothness": 2.0}


def drawn(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=SEEDS, smoothness=st.floats(0.1, 9))
def test_nothing_to_change_gives_the_same_images(shape, seed, smoothness):
    images = drawn(shape, seed)
    found = distorted(images, np.random.default_rng(seed), smoothness=smoothness)
    assert found.dtype == np.uint8 and found is not images
    assert np.array_equal(found, images)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=SEEDS)
def test_the_seed_decides_everything_and_the_images_stay(shape, seed):
    images = drawn(shape, 0)
    before = images.copy()
    one, other = (distorted(images, np.random.default_rng(seed), **ALL) for _ in range(2))
    assert one.shape == images.shape and one.dtype == np.uint8
    assert np.array_equal(one, other) and np.array_equal(images, before)
    assert images.size == 0 or one.max() <= images.max()


def test_each_image_and_each_seed_has_a_distortion_of_its_own():
    images = np.repeat(drawn((1, 12, 12), 1), 6, axis=0)
    found = np.concatenate([distorted(images, np.random.default_rng(n), **ALL) for n in range(3)])
    assert len(np.unique(found.reshape(len(found), -1), axis=0)) == len(found)


def test_images_beyond_a_batch_are_distorted_too(monkeypatch):
    monkeypatch.setattr(distortion, "BATCH", 3)
    images = drawn((7, 9, 8), 2)
    found = distorted(images, np.random.default_rng(3), **ALL)
    assert all((one != image).any() for one, image in zip(found, images, strict=True))
    first = distorted(images[:3], np.random.default_rng(3), **ALL)
    assert np.array_equal(found[:3], first)


@pytest.mark.parametrize(
    ("down", "right"), [(0, 0), (2, -1), (-3, 4), (6, 0), (0, -9), (100, -100)]
)
def test_whole_pixels_are_moved_and_what_comes_in_is_zero(down, right):
    images = drawn((2, 6, 9), 4)
    wanted = np.zeros_like(images)
    for y, x in np.ndindex(6, 9):
        if 0 <= y + down < 6 and 0 <= x + right < 9:
            wanted[:, y, x] = images[:, y + down, x + right]
    y, x = np.mgrid[:6, :9].astype(np.float32)
    found = sampled(images, np.stack([y + down] * 2), np.stack([x + right] * 2))
    assert np.array_equal(found, wanted)


def test_between_pixels_and_over_the_edge_values_are_interpolated():
    images = np.array([[[0, 100], [200, 40]]], np.uint8)
    places = [(0.5, 0.0), (0.0, 0.25), (0.5, 0.5), (-0.5, 1.0), (1.5, 1.0), (1.0, -0.25)]
    wanted = [100, 25, 85, 50, 20, 150]
    for (y, x), value in zip(places, wanted, strict=True):
        down, right = (np.full((1, 1, 1), one, np.float32) for one in (y, x))
        assert sampled(images, down, right)[0, 0, 0] == value


def test_turns_are_uniform_within_their_bounds():
    found = affine_maps(4000, 30.0, 0.0, 0.0, np.random.default_rng(5))
    assert np.allclose(found @ found.transpose(0, 2, 1), np.eye(2), atol=1e-6)
    angles = np.rad2deg(np.arctan2(found[:, 1, 0], found[:, 0, 0]))
    assert np.abs(angles).max() < 30.001
    assert np.allclose(
        np.percentile(angles, (1, 25, 50, 75, 99)), (-29.4, -15, 0, 15, 29.4), atol=2
    )


def test_sizes_and_slants_stay_within_their_bounds():
    sized = affine_maps(4000, 0.0, 0.2, 0.0, np.random.default_rng(6))
    assert not sized[:, 0, 1].any() and not sized[:, 1, 0].any()
    for size in (1 / sized[:, 0, 0], 1 / sized[:, 1, 1]):
        assert size.min() == pytest.approx(0.8, abs=0.002) and size.max() < 1.2001
    assert abs(np.corrcoef(sized[:, 0, 0], sized[:, 1, 1])[0, 1]) < 0.1
    slanted = affine_maps(4000, 0.0, 0.0, 0.3, np.random.default_rng(7))
    assert np.array_equal(slanted[:, 1], np.tile([0, 1], (4000, 1)).astype(np.float32))
    assert np.abs(slanted[:, 0, 1]).max() == pytest.approx(0.3, abs=0.002)


def test_a_bar_is_made_longer_and_turned():
    """Twice as long for a size of 2; turned as the map says, on an image that is not square."""
    bar = np.zeros((300, 21, 41), np.uint8)
    bar[:, 10, 20:30] = 255
    turned = distorted(bar, np.random.default_rng(8), degrees=45.0)
    y, x = np.mgrid[-10:11, -20:21]
    angles = np.degrees(np.arctan2((turned * y).sum((1, 2)), (turned * x).sum((1, 2))))
    assert 40 < angles.max() < 46 and -46 < angles.min() < -40
    lengths = distorted(bar, np.random.default_rng(9), scale=0.5).max(axis=1).astype(bool).sum(1)
    assert 5 <= lengths.min() < 7 and 14 < lengths.max() <= 17


@pytest.mark.parametrize("smoothness", [0.01, 1.0, 5.0])
def test_fields_have_a_unit_deviation_everywhere_and_the_given_smoothness(smoothness):
    fields = smooth_fields(4000, (7, 9), smoothness, np.random.default_rng(10))
    assert fields.shape == (4000, 2, 7, 9) and fields.dtype == np.float32
    assert np.allclose(fields.std(axis=0), 1, atol=0.06) and np.allclose(
        fields.mean(0), 0, atol=0.08
    )
    # Two smoothed values correlate as exp(-d^2 / 4 sigma^2) where the Gaussian is not cut off.
    near = np.mean(fields[:, :, 3, 4] * fields[:, :, 3, 5])
    assert near == pytest.approx(np.exp(-0.25 / smoothness**2), abs=0.06)
    assert abs(np.mean(fields[:, 0] * fields[:, 1])) < 0.05


def test_displacements_have_the_given_deviation():
    """On a ramp a displacement can be read off the value; far from the edge nothing is cut."""
    ramp = np.tile(np.arange(0, 240, 6, dtype=np.uint8), (2000, 40, 1))
    found = distorted(ramp, np.random.default_rng(11), elastic=1.5, smoothness=4.0)
    moved = (found[:, 20, 20].astype(float) - ramp[:, 20, 20]) / 6
    assert moved.std() == pytest.approx(1.5, rel=0.06)
