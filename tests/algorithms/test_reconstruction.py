"""Features projected to the input must be what they are defined to be, unit by unit."""

import numpy as np
import pytest

from spikingconvnet.algorithms import reconstruction as project

RNG = np.random.default_rng(4)


def potential(image, weights, stride, padding, row, column):
    """Return the potentials (maps,) of one unit of a convolution over image (h, w, channels)."""
    padded = np.pad(image, ((padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    y, x = row * stride[0], column * stride[1]
    window = padded[y : y + weights.shape[2], x : x + weights.shape[3]]
    return np.einsum("yxc,mcyx->m", window, weights)


def response(features, image, row, column):
    """Return the sum of an image times what each unit in a place stands for."""
    margin = 40
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    y = margin + row * features.step[0] + features.origin[0]
    x = margin + column * features.step[1] + features.origin[1]
    _, height, width, _ = features.values.shape
    window = padded[y : y + height, x : x + width]
    return np.einsum("yxc,myxc->m", window, features.values)


@pytest.mark.parametrize(
    ("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2)), ((1, 3), (2, 0))]
)
def test_two_linear_layers_answer_to_an_image_as_their_features_do(stride, padding):
    image = RNG.normal(size=(14, 13, 2))
    first, second = RNG.normal(size=(3, 2, 3, 2)), RNG.normal(size=(4, 3, 2, 3))
    below = project.through_convolution(project.of_input(2), first, stride, padding)
    features = project.through_convolution(below, second, (1, 1), (0, 0))
    hidden = np.array(
        [
            [potential(image, first, stride, padding, row, column) for column in range(4)]
            for row in range(4)
        ]
    )
    for row, column in ((0, 0), (1, 1), (2, 0)):
        wanted = potential(hidden, second, (1, 1), (0, 0), row, column)
        assert np.allclose(response(features, image, row, column), wanted)


def test_a_pooled_unit_stands_for_the_middle_of_its_window():
    below = project.through_convolution(project.of_input(1), np.ones((2, 1, 3, 3)), (1, 1), (0, 0))
    pooled = project.through_pooling(below, (3, 3), (2, 2), (0, 0))
    assert (pooled.step, pooled.origin) == ((2, 2), (1, 1))
    assert project.cropped(pooled, (1, 0)).origin == (3, 1)
    assert project.through_pooling(below, (2, 2), (2, 2), (1, 1)).origin == (-1, -1)


def test_branches_of_different_windows_are_laid_over_each_other():
    parts = [
        project.through_convolution(
            project.of_input(1), np.full((1, 1, size, size), size, float), (1, 1), (size // 2,) * 2
        )
        for size in (3, 5)
    ]
    joined = project.beside(parts)
    assert joined.values.shape == (2, 5, 5, 1) and joined.origin == (-2, -2)
    assert joined.values[0, 1:4, 1:4].min() == 3 and joined.values[0].sum() == 27


def test_channels_are_drawn_as_their_filters():
    features = project.through_convolution(
        project.of_input(2), np.array([[[[1.0]], [[-2.0]]]]), (1, 1), (0, 0)
    )
    small, large = np.full((1, 1), 10.0), np.arange(9.0).reshape(3, 3)
    picture = project.in_pixels(features, [small, large])
    assert np.allclose(picture[0], -2 * large + np.pad(small, 1))
    assert np.array_equal(project.in_pixels(features, []), [[[1.0]]])
