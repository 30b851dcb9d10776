"""Shares of the training images, and copies of them that are turned and flipped."""

import numpy as np
import pytest

from spikingconvnet.utilities import datasets


@pytest.fixture
def drawn():
    """Give 40 digits of each of three classes."""
    digits = datasets.load("digits")
    return datasets.select(digits, (0, 3, 7), 40, 5, np.random.default_rng(1))


@pytest.mark.parametrize(("ratio", "count"), [(1.0, 120), (0.1, 12), (0.104, 12), (0.001, 1)])
def test_a_share_of_the_training_images_is_kept(drawn, ratio, count):
    few = datasets.thinned(drawn, ratio)
    assert len(few.train_images) == len(few.train_labels) == len(few.train_index) == count
    assert np.array_equal(few.train_images, drawn.train_images[:count])
    assert np.array_equal(few.test_images, drawn.test_images)


def test_copies_are_turned_and_flipped_and_keep_their_labels(drawn):
    more = datasets.augmented(drawn, np.random.default_rng(2))
    images, turned, across, down = np.split(more.train_images, 4)
    assert np.array_equal(images, drawn.train_images)
    assert np.array_equal(across[:, :, ::-1], images)
    assert np.array_equal(down[:, ::-1], images)
    assert turned.dtype == np.uint8
    changed = np.abs(turned.astype(int) - images).mean(axis=(1, 2))
    assert np.mean(changed > 1) > 0.9
    for labels, index in zip(
        np.split(more.train_labels, 4), np.split(more.train_index, 4), strict=True
    ):
        assert np.array_equal(labels, drawn.train_labels)
        assert np.array_equal(index, drawn.train_index)
    assert np.array_equal(more.test_images, drawn.test_images)


def test_angles_stay_within_thirty_degrees():
    """A bar from the centre to the right ends where its angle says."""
    bar = np.zeros((300, 41, 41), np.uint8)
    bar[:, 20, 20:] = 255
    labels = np.zeros(len(bar), np.int64)
    one = datasets.Selection((0,), bar, labels, labels, bar[:1], labels[:1], labels[:1], "drawn")
    turned = datasets.augmented(one, np.random.default_rng(3)).train_images[300:600]
    y, x = np.mgrid[-20:21, -20:21]
    angles = np.degrees(
        np.arctan2((turned * y).sum(axis=(1, 2)), (turned * x).sum(axis=(1, 2), dtype=float))
    )
    assert np.abs(angles).max() < 31
    assert angles.min() < -25
    assert angles.max() > 25
