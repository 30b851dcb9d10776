import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import indexing
from spikingconvnet.errors import ModelError

sides = st.integers(1, 12)


@settings(deadline=None)
@given(sides, sides, sides)
def test_conv_output_counts_the_windows_that_fit(size, kernel, stride):
    fitting = len(range(0, size - kernel + 1, stride))
    if fitting == 0:
        with pytest.raises(ModelError, match="must be at most the input's size"):
            indexing.conv_output(size, kernel, stride)
    else:
        assert indexing.conv_output(size, kernel, stride) == fitting


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "windows"),
    [(28, 4, 3, 9), (28, 5, 2, 12), (28, 5, 1, 24), (9, 2, 1, 8), (28, 8, 4, 6), (1, 1, 7, 1)],
)
def test_conv_output_of_known_models(size, kernel, stride, windows):
    assert indexing.conv_output(size, kernel, stride) == windows


def test_defect_05_width_uses_the_kernel_width_not_its_height():
    assert indexing.output_grid((10, 20, 1), (3, 5), (2, 3)) == (4, 6)


@settings(deadline=None)
@given(sides, sides, sides)
def test_flat_index_is_map_major_then_row_major(height, width, maps):
    index = np.arange(maps * height * width)
    feature_map, y, x = indexing.unflatten(index, height, width)
    grid = np.stack(np.unravel_index(index, (maps, height, width)))
    assert np.array_equal(grid, np.stack([feature_map, y, x]))
    assert np.array_equal(indexing.flat_index(feature_map, y, x, height, width), index)


def test_flatten_images_puts_every_pixel_at_its_flat_index():
    images = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    flat = indexing.flatten_images(images)
    for n, y, x, c in np.ndindex(images.shape):
        assert flat[n, indexing.flat_index(c, y, x, 3, 5)] == images[n, y, x, c]
    assert np.array_equal(indexing.flatten_images(images[..., 0]), images[..., 0].reshape(2, -1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: indexing.as_int(0, "A.b"), r"A\.b: 0 \(must be at least 1\)"),
        (lambda: indexing.as_int(True, "A.b"), r"A\.b: True \(must be a whole number"),
        (lambda: indexing.as_int(2.0, "A.b"), r"A\.b: 2\.0 \(must be a whole number"),
        (lambda: indexing.as_pair((1, 2, 3), "A.b"), r"A\.b: \(1, 2, 3\) \(must be one whole"),
        (lambda: indexing.as_pair((1, 0), "A.b"), r"A\.b\[1\]: 0 \(must be at least 1\)"),
        (lambda: indexing.as_shape(28, "A.b"), r"A\.b: 28 \(must be \(height, width\)"),
        (lambda: indexing.flatten_images(np.zeros((2, 2))), r"images: 2 axes"),
    ],
)
def test_messages_name_attribute_value_and_what_is_valid(call, message):
    with pytest.raises(ModelError, match=message):
        call()


def test_as_pair_and_as_shape_normalise():
    assert indexing.as_pair(3, "k") == (3, 3)
    assert indexing.as_pair([2, 5], "k") == (2, 5)
    assert indexing.as_shape((7, 9), "s") == (7, 9, 1)
    assert indexing.as_shape(np.array([7, 9, 2]), "s") == (7, 9, 2)
