"""Hold frozen layers to their dense definitions: convolution, firing, inhibition, pooling."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from drawn_waves import PARTS, convolutions, exact_kernels, random_waves
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import dense_waves as dense
from spikingconvnet.algorithms.waves import from_latencies, join_channels, join_images
from spikingconvnet.classes.single_spike import Branches, Pool, SpikingConv
from spikingconvnet.engine import inference, rows
from spikingconvnet.engine.layers import (
    advance,
    advance_branches,
    advance_branches_counted,
    advance_counted,
    pool_grid,
)
from spikingconvnet.errors import DataError, ModelError

SEEDS = st.integers(0, 2**31)


@st.composite
def pools(draw, rows, columns):
    """Draw a pooling that fits over (rows, columns): overlapping, padded, reaching over, or not."""
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    window = tuple(
        draw(st.integers(1, min(3, size + 2 * edge)))
        for size, edge in zip((rows, columns), padding, strict=True)
    )
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Pool(window, stride, padding, draw(st.booleans()))


def expected(layer, waves, weights):
    """Return first spikes (n, rows, columns, maps) behind the pooling, and how many before it."""
    behind, count = [], 0
    threshold = layer.threshold if layer.test_threshold is None else layer.test_threshold
    for image in range(len(waves)):
        so_far = dense.spikes_of(waves, image).cumsum(axis=0)
        potentials = dense.convolve(so_far, weights, layer.stride, layer.padding, layer.crop)
        fired = (dense.inhibit if layer.inhibition else dense.fire)(potentials, threshold)
        count += fired[-1].sum()
        if layer.pool is not None:
            pool = layer.pool
            fired = dense.pool(fired, pool.shape, pool.stride, pool.padding, pool.ceil)
        behind.append(dense.first_spikes(fired))
    return np.array(behind), count


@settings(max_examples=150, deadline=None)
@given(drawn=convolutions(), data=st.data(), seed=SEEDS)
def test_a_frozen_layer_is_its_definition(drawn, data, seed):
    shape, layer = drawn
    rng = np.random.default_rng(seed)
    inner = layer.conv_shape(shape)
    crop = tuple(data.draw(st.integers(0, min(1, size - 1))) for size in inner[:2])
    rows, columns = inner[0] - crop[0], inner[1] - crop[1]
    layer = replace(
        layer,
        crop=crop,
        inhibition=data.draw(st.booleans()),
        pool=data.draw(st.none() | pools(rows, columns)),
        test_threshold=data.draw(st.none() | st.integers(0, PARTS).map(lambda n: n / PARTS)),
    )
    waves = random_waves(rng, shape, steps=5, images=4, repeat=data.draw(st.booleans()))
    weights = exact_kernels(rng, layer.weight_shape(shape))
    found, count = advance_counted(layer, waves, weights)
    latencies, wanted_count = expected(layer, waves, weights)
    assert found.shape == layer.output_shape(shape) == latencies.shape[1:]
    assert np.array_equal(found.latencies(), latencies)
    assert count == wanted_count
    assert len(found.unit) == np.count_nonzero(latencies < waves.steps)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 5)),
    data=st.data(),
    seed=SEEDS,
)
def test_pooling_alone_is_its_definition(shape, data, seed):
    pool = data.draw(pools(*shape[:2]))
    waves = random_waves(np.random.default_rng(seed), shape, steps=5, images=3)
    found = inference.pool_waves(waves, pool_grid(pool, shape))
    for image in range(len(waves)):
        fired = dense.spikes_of(waves, image).cumsum(axis=0) > 0
        pooled = dense.pool(fired, pool.shape, pool.stride, pool.padding, pool.ceil)
        assert np.array_equal(found.latencies()[image], dense.first_spikes(pooled))


def test_a_unit_at_its_threshold_does_not_fire():
    layer = SpikingConv(maps=2, shape=1, threshold=0.5, inhibition=False)
    waves = from_latencies(np.zeros((1, 1, 1, 1)), 2)
    weights = np.array([0.5, 0.515625]).reshape(2, 1, 1, 1)
    assert advance(layer, waves, weights).latencies().ravel().tolist() == [2, 0]


def test_of_equal_maps_the_first_fires():
    waves = from_latencies(np.zeros((1, 1, 1, 1)), 2)
    layer = SpikingConv(maps=3, shape=1, threshold=0.5)
    found = advance(layer, waves, np.array([0.75, 1.0, 1.0]).reshape(3, 1, 1, 1))
    assert found.latencies().ravel().tolist() == [2, 0, 2]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, channels=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_joined_channels_stand_beside_each_other(seed, channels):
    rng = np.random.default_rng(seed)
    parts = [random_waves(rng, (3, 4, count), steps=6, images=3) for count in channels]
    joined = join_channels(parts)
    wanted = np.concatenate([part.latencies() for part in parts], axis=3)
    assert np.array_equal(joined.latencies(), wanted)
    # What a layer takes: steps ascend within an image, units within a step.
    assert np.array_equal(joined.unit, from_latencies(wanted, 6).unit)


def test_waves_that_do_not_fit_are_not_joined():
    rng = np.random.default_rng(0)
    one, other = random_waves(rng, (3, 4, 2), 6, 3), random_waves(rng, (4, 3, 2), 6, 3)
    with pytest.raises(ModelError, match=r"join_channels: \(4, 3, 2\), 6 steps, 3 images beside"):
        join_channels([one, other])
    with pytest.raises(ModelError, match=r"join_images: \(4, 3, 2\), 6 steps beside"):
        join_images([one, other])


def branched(rng):
    """Return two convolutions side by side, their input and their kernels."""
    layers = (
        SpikingConv(maps=3, shape=3, padding=1, threshold=1.0, pool=Pool(2)),
        SpikingConv(maps=5, shape=1, threshold=0.5, inhibition=False, pool=Pool(2)),
    )
    stage = Branches(layers, Pool(2, 1))
    waves = random_waves(rng, (7, 6, 2), steps=6, images=20)
    weights = [exact_kernels(rng, layer.weight_shape(waves.shape)) for layer in layers]
    return stage, waves, weights


def test_branches_are_joined_and_pooled():
    stage, waves, weights = branched(np.random.default_rng(4))
    found, count = advance_branches_counted(stage, waves, weights)
    pairs = zip(stage.layers, weights, strict=True)
    parts = [expected(layer, waves, kernels) for layer, kernels in pairs]
    joined = np.concatenate([latencies for latencies, _ in parts], axis=3)
    fired = np.arange(waves.steps)[:, None, None, None, None] >= joined
    wanted = [
        dense.first_spikes(dense.pool(image, (2, 2), (1, 1))) for image in fired.swapaxes(0, 1)
    ]
    assert np.array_equal(found.latencies(), wanted)
    assert count == sum(before for _, before in parts)
    assert found.shape == stage.output_shape(waves.shape)


def same_spikes(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("start", "unit", "step")
    )


def test_threads_and_chunks_change_nothing(monkeypatch):
    stage, waves, weights = branched(np.random.default_rng(5))
    whole = advance_branches(stage, waves, weights)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 1000)
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            assert same_spikes(advance_branches(stage, waves, weights), whole)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            np.zeros((2, 1, 3, 3)),
            r"weights: of shape \(2, 1, 3, 3\) \(the layer has \(2, 1, 2, 2\)",
        ),
        (np.full((2, 1, 2, 2), np.nan), "weights: not all finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    layer = SpikingConv(maps=2, shape=2, threshold=1.0)
    waves = random_waves(np.random.default_rng(0), (4, 4, 1), 3, 1)
    with pytest.raises(DataError, match=message):
        advance(layer, waves, weights)
