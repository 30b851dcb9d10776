"""Windowing over time: the presentations, their spikes, and the time they take."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import encoders, windows
from spikingconvnet.algorithms.spike_trains import SpikeTrains, cut, to_lists
from spikingconvnet.errors import ModelError

small = st.integers(1, 3)


@st.composite
def tensors(draw):
    kernel = draw(st.tuples(small, small))
    extra = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    shape = (kernel[0] + extra[0], kernel[1] + extra[1], draw(small))
    return shape, kernel, draw(st.tuples(small, small)), draw(small)


def naive_windows(shape, kernel, stride):
    """List the corners of all windows, row-major."""
    return [
        (y, x)
        for y in range(0, shape[0] - kernel[0] + 1, stride[0])
        for x in range(0, shape[1] - kernel[1] + 1, stride[1])
    ]


@settings(deadline=None)
@given(tensors())
def test_offsets_are_the_corners_of_all_windows(tensor):
    shape, kernel, stride, _ = tensor
    assert windows.offsets(shape, kernel, stride).tolist() == [
        [y, x] for y, x in naive_windows(shape, kernel, stride)
    ]


@settings(max_examples=40, deadline=None)
@given(tensors())
def test_patches_are_the_pixels_of_the_windows(tensor):
    shape, kernel, stride, n = tensor
    images = np.arange(n * np.prod(shape)).reshape(n, *shape)
    made = windows.patches(images, kernel, stride)
    for i, image in enumerate(images):
        for j, (y, x) in enumerate(naive_windows(shape, kernel, stride)):
            cut_out = image[y : y + kernel[0], x : x + kernel[1]]
            assert np.array_equal(made[i, j], np.moveaxis(cut_out, 2, 0))


# Image side, kernel, stride; then the windows the 2018 program counted: (((H - H') // s) + 1)^2.
OLD_COUNTS = [(28, 4, 3, 49), (28, 5, 2, 81), (28, 5, 1, 25), (9, 2, 1, 4), (28, 8, 4, 36)]


@pytest.mark.parametrize(("side", "kernel", "stride", "old"), OLD_COUNTS)
def test_defect_01_simulated_time_is_presentations_times_interval(side, kernel, stride, old):
    per_side = (side - kernel) // stride + 1
    assert ((side - per_side) // stride + 1) ** 2 == old
    shown = windows.presentations((side, side), kernel, stride, images=4)
    assert shown == 4 * per_side**2
    assert windows.simulated_time(shown, 100) == 100 * shown
    if (side, kernel, stride) != (28, 8, 4):  # where the old formula is right by accident
        assert shown != 4 * old


@settings(max_examples=40, deadline=None)
@given(tensors(), st.booleans())
def test_defect_01_every_prepared_spike_is_played(tensor, depthwise):
    """Acceptance: the last presentation's spikes lie in the last interval that is simulated."""
    shape, kernel, stride, n = tensor
    images = np.full((n, *shape), 255, np.uint8)
    whole = encoders.latency(images)
    played = windows.window_trains(whole, shape, kernel, stride, n, 100, depthwise)
    shown = windows.presentations(shape, kernel, stride, n, depthwise)
    end = windows.simulated_time(shown, 100)
    assert end - 100 <= played.times.max() < end
    assert len(played) == shown * played.size  # bright everywhere: all sources, all windows


@settings(max_examples=40, deadline=None)
@given(tensors(), st.booleans(), st.integers(0, 2**31))
def test_window_trains_equal_the_naive_loops(tensor, depthwise, seed):
    shape, kernel, stride, n = tensor
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    spikes = SpikeTrains(rng.integers(0, size, 40), rng.integers(0, n * 20 + 10, 40) * 1.0, size)
    lists = to_lists(spikes)
    wanted, shown = [], 0
    for image in range(n):
        for maps in [[d] for d in range(shape[2])] if depthwise else [range(shape[2])]:
            for y, x in naive_windows(shape, kernel, stride):
                for place, d in enumerate(maps):
                    for ky in range(kernel[0]):
                        for kx in range(kernel[1]):
                            neuron = (d * shape[0] + y + ky) * shape[1] + x + kx
                            source = (place * kernel[0] + ky) * kernel[1] + kx
                            wanted += [
                                (time - image * 20 + shown * 20, source)
                                for time in lists[neuron]
                                if image * 20 <= time < (image + 1) * 20
                            ]
                shown += 1
    made = windows.window_trains(spikes, shape, kernel, stride, n, 20, depthwise)
    assert list(zip(made.times, made.neurons, strict=True)) == sorted(wanted)
    assert shown == windows.presentations(shape, kernel, stride, n, depthwise)


@settings(max_examples=30, deadline=None)
@given(tensors(), st.booleans(), st.integers(0, 2**31))
def test_encoding_windows_equals_cutting_encoded_images(tensor, depthwise, seed):
    shape, kernel, stride, n = tensor
    images = np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)
    pieces = windows.patch_images(images, kernel, stride, depthwise)
    whole = encoders.regular(images)
    cut_out = windows.window_trains(whole, shape, kernel, stride, n, 100, depthwise)
    assert cut_out == encoders.regular(pieces)


def test_defect_02_deep_windows_read_every_previous_map():
    spikes = SpikeTrains(np.arange(12), np.arange(12.0), 12)  # a (2, 2, 3) tensor
    together = windows.window_trains(spikes, (2, 2, 3), 2, 1, 1, 100)
    assert together == spikes
    apart = windows.window_trains(spikes, (2, 2, 3), 2, 1, 1, 100, depthwise=True)
    assert apart.neurons.tolist() == [0, 1, 2, 3] * 3
    assert apart.times.tolist() == [n + 100 * (n // 4) for n in range(12)]


def test_defect_10_the_number_of_images_is_the_callers():
    spikes = SpikeTrains(np.zeros(5, int), np.arange(5) * 100.0, 4)
    played = windows.window_trains(spikes, (2, 2), 2, 1, images=3, interval_ms=100)
    assert played.times.tolist() == [0.0, 100.0, 200.0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 17), max_size=25), st.integers(0, 2**31))
def test_a_selection_plays_presentations_in_its_own_order(selection, seed):
    rng = np.random.default_rng(seed)
    spikes = SpikeTrains(rng.integers(0, 16, 60), rng.integers(0, 200, 60) * 1.0, 16)
    arguments = (spikes, (4, 4), 2, 1, 2, 100)
    everything = windows.window_trains(*arguments)
    chosen = windows.window_trains(*arguments, selection=selection)
    for place, number in enumerate(selection):
        there = cut(chosen, place * 100, (place + 1) * 100)
        source = cut(everything, number * 100, (number + 1) * 100)
        assert np.array_equal(there.neurons, source.neurons)
        assert np.array_equal(there.times - place * 100, source.times - number * 100)
    assert len(chosen) == sum(len(cut(everything, n * 100, n * 100 + 100)) for n in selection)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 3)}, r"trains\.size: 16 \(must be 9"),
        ({"kernel": 5}, "at most the input's size 4"),
        ({"selection": [18]}, r"selection: 18\.\.18 \(must lie in 0\.\.17\)"),
        ({"selection": [-1]}, r"selection: -1"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    spikes = SpikeTrains(np.zeros(1, int), np.zeros(1), 16)
    given_ = {"shape": (4, 4), "kernel": 2, "stride": 1, "images": 2, "interval_ms": 100, **change}
    with pytest.raises(ModelError, match=message):
        windows.window_trains(spikes, **given_)
