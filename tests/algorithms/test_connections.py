"""Connection lists against naive loops, and against the convolution they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import connections
from spikingconvnet.algorithms.indexing import flatten_images
from spikingconvnet.errors import ModelError

small = st.integers(1, 3)


def naive_convolution(shape, weights, stride, depthwise=False):
    """Loop over everything, in the order: output map, window, input map, kernel pixel."""
    height, width, channels = shape
    kernels, _, kernel_height, kernel_width = weights.shape
    rows = len(range(0, height - kernel_height + 1, stride[0]))
    columns = len(range(0, width - kernel_width + 1, stride[1]))
    found = []
    for out in range(kernels * channels if depthwise else kernels):
        kernel = out // channels if depthwise else out
        inputs = [out % channels] if depthwise else range(channels)
        for y2 in range(rows):
            for x2 in range(columns):
                for d in inputs:
                    for y1 in range(kernel_height):
                        for x1 in range(kernel_width):
                            y, x = y2 * stride[0] + y1, x2 * stride[1] + x1
                            pre = d * height * width + y * width + x
                            post = out * rows * columns + y2 * columns + x2
                            weight = weights[kernel, 0 if depthwise else d, y1, x1]
                            found.append((pre, post, weight, 1.0))
    return np.array(found)


@st.composite
def layers(draw):
    kernel = draw(st.tuples(small, small))
    extra = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    shape = (kernel[0] + extra[0], kernel[1] + extra[1], draw(small))
    return shape, kernel, draw(st.tuples(small, small)), draw(small), draw(st.booleans())


@settings(max_examples=60, deadline=None)
@given(layers(), st.integers(0, 2**31))
def test_convolution_equals_the_naive_loops(layer, seed):
    shape, kernel, stride, kernels, depthwise = layer
    channels = 1 if depthwise else shape[2]
    weights = np.random.default_rng(seed).random((kernels, channels, *kernel))
    made = connections.convolution(shape, weights, stride, depthwise=depthwise).as_list()
    assert np.array_equal(made, naive_convolution(shape, weights, stride, depthwise))


def apply(links, flat, size):
    """Return the summed weights that each post neuron gets from inputs (n, pre)."""
    out = np.zeros((len(flat), size))
    np.add.at(out, (slice(None), links.post), flat[:, links.pre] * links.weight)
    return out


@settings(max_examples=40, deadline=None)
@given(layers(), st.integers(0, 2**31))
def test_convolution_is_the_cross_correlation_of_machine_learning(layer, seed):
    shape, kernel, stride, kernels, depthwise = layer
    rng = np.random.default_rng(seed)
    weights = rng.random((kernels, 1 if depthwise else shape[2], *kernel))
    images = rng.random((2, *shape))
    view = np.lib.stride_tricks.sliding_window_view(images, kernel, axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1]]  # (n, rows, columns, channels, kh, kw)
    if depthwise:
        wanted = np.einsum("nrcdij,kij->nkdrc", view, weights[:, 0])
    else:
        wanted = np.einsum("nrcdij,kdij->nkrc", view, weights)
    wanted = wanted.reshape(2, -1)
    links = connections.convolution(shape, weights, stride, depthwise=depthwise)
    assert np.allclose(apply(links, flatten_images(images), wanted.shape[1]), wanted)


def test_the_shipped_model_of_2018():
    links = connections.convolution((28, 28, 1), np.ones((4, 1, 4, 4)), 3, delay=2.0)
    assert len(links) == 324 * 16
    assert links.post.max() == 323
    assert links.pre.max() == (24 + 3) * 28 + 27
    assert set(links.delay) == {2.0}
    assert links.pre.dtype == links.post.dtype == np.int32


@pytest.mark.parametrize("depthwise", [False, True])
def test_defect_02_every_previous_map_is_read(depthwise):
    weights = np.ones((2, 1 if depthwise else 3, 2, 2))
    links = connections.convolution((4, 5, 3), weights, 1, depthwise=depthwise)
    assert set(links.pre // 20) == {0, 1, 2}
    if depthwise:  # output map k * D + d reads map d alone
        assert np.array_equal(links.post // 12 % 3, links.pre // 20)


def test_defect_05_rows_are_as_long_as_the_input_is_wide():
    links = connections.convolution((3, 7, 1), np.ones((1, 1, 2, 2)), 1)
    first = links.pre[links.post == 0]
    assert first.tolist() == [0, 1, 7, 8]
    assert links.post.max() == 2 * 6 - 1


@settings(max_examples=30, deadline=None)
@given(layers())
def test_pooling_equals_the_naive_loops(layer):
    shape, window, stride, _, _ = layer
    links = connections.pooling(shape, window, stride, 3.0).as_list()
    ones = np.full((1, 1, *window), 3.0)
    assert np.array_equal(links, naive_convolution(shape, ones, stride, depthwise=True))


def test_pooling_strides_by_its_window_when_not_told_otherwise():
    links = connections.pooling((5, 5, 2), 2)
    assert len(links) == 2 * 2 * 2 * 4
    assert len(set(links.pre)) == len(links)


def test_all_to_all_keeps_every_weight_in_its_place():
    weights = np.arange(6.0).reshape(2, 3)
    links = connections.all_to_all(weights, delay=4.0)
    assert np.array_equal(weights[links.pre, links.post], links.weight)
    assert len(set(zip(links.pre, links.post, strict=True))) == 6
    assert set(links.delay) == {4.0}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_lateral_connects_all_but_a_neuron_to_itself(size):
    links = connections.lateral(size, 300.0)
    wanted = [(i, j) for i in range(size) for j in range(size) if i != j]
    assert list(zip(links.pre, links.post, strict=True)) == wanted
    assert np.all(links.weight == 300.0)


@settings(deadline=None)
@given(small, small, st.integers(1, 4))
def test_cross_map_connects_the_same_place_of_other_maps(height, width, maps):
    links = connections.cross_map((height, width, maps), 5.0)
    size = height * width
    wanted = {
        (a * size + place, b * size + place)
        for a in range(maps)
        for b in range(maps)
        for place in range(size)
        if a != b
    }
    assert set(zip(links.pre.tolist(), links.post.tolist(), strict=True)) == wanted
    assert len(links) == len(wanted)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: connections.convolution((5, 5, 2), np.ones((3, 1, 2, 2))),
            r"weights: shape \(3, 1, 2, 2\) \(must be \(kernels, 2, height, width\)\)",
        ),
        (
            lambda: connections.convolution((5, 5, 2), np.ones((3, 2, 2, 2)), depthwise=True),
            r"must be \(kernels, 1, height, width\)",
        ),
        (lambda: connections.convolution((5, 5), np.ones((1, 1, 2, 6))), "at most the input's"),
        (lambda: connections.convolution((5, 5), np.ones((1, 1, 2, 2)), 0), "stride: 0"),
        (lambda: connections.all_to_all(np.ones(3)), r"weights: shape \(3,\)"),
        (lambda: connections.lateral(0, 1.0), "size: 0"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ModelError, match=message):
        call()
