"""Waves against plain lists of spikes: selected, joined, made dense, and refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spikingconvnet.algorithms.waves import (
    MAX_STEPS,
    Waves,
    from_latencies,
    join_channels,
    join_images,
)
from spikingconvnet.errors import DataError, ModelError

STEPS = 5
LATENCIES = st.tuples(*[st.integers(1, 4)] * 4).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape, elements=st.integers(0, STEPS + 1))
)


def silenced(latencies):
    return np.minimum(latencies, STEPS)


def in_order(waves):
    """Tell whether spikes ascend in step, then in unit, within each image."""
    for image in range(len(waves)):
        span = slice(waves.start[image], waves.start[image + 1])
        keys = waves.step[span].astype(int) * waves.units + waves.unit[span]
        if np.any(np.diff(keys) <= 0):
            return False
    return True


@settings(max_examples=80, deadline=None)
@given(latencies=LATENCIES)
def test_waves_hold_first_spikes(latencies):
    waves = from_latencies(latencies, STEPS)
    assert len(waves) == len(latencies) and waves.shape == latencies.shape[1:]
    assert len(waves.unit) == np.count_nonzero(latencies < STEPS) and in_order(waves)
    assert np.array_equal(waves.latencies(), silenced(latencies))
    assert np.array_equal(waves.latencies(99) == 99, latencies >= STEPS)
    assert np.array_equal(waves.fired(), latencies < STEPS)
    assert waves.nbytes == 8 * (len(latencies) + 1) + 5 * len(waves.unit)


@settings(max_examples=60, deadline=None)
@given(latencies=LATENCIES, data=st.data())
def test_images_are_selected_in_the_order_given(latencies, data):
    waves = from_latencies(latencies, STEPS)
    chosen = data.draw(st.lists(st.integers(0, len(latencies) - 1), max_size=6))
    taken = waves.select(np.array(chosen, np.int64))
    assert np.array_equal(taken.latencies(), silenced(latencies[chosen]))
    half = waves.select(slice(0, None, 2))
    assert np.array_equal(half.latencies(), silenced(latencies[::2]))


@settings(max_examples=60, deadline=None)
@given(latencies=LATENCIES, data=st.data())
def test_parts_are_joined(latencies, data):
    at = data.draw(st.integers(0, len(latencies)))
    parts = [from_latencies(part, STEPS) for part in (latencies[:at], latencies[at:])]
    assert np.array_equal(join_images(parts).latencies(), silenced(latencies))
    other = latencies[..., ::-1]
    beside = join_channels([from_latencies(part, STEPS) for part in (latencies, other)])
    assert in_order(beside)
    assert np.array_equal(beside.latencies(), silenced(np.concatenate([latencies, other], axis=3)))


def test_of_several_spikes_of_a_unit_the_first_counts():
    waves = Waves(
        (1, 2, 1), 4, np.array([0, 3]), np.array([1, 0, 1], np.int32), np.array([0, 2, 3], np.uint8)
    )
    assert waves.latencies().ravel().tolist() == [2, 0]


WAVES = from_latencies(np.zeros((2, 2, 3, 1), np.uint8), STEPS)
REFUSED = {
    r"Waves\.steps: 256 \(must be at most 255\)": lambda: replace(WAVES, steps=MAX_STEPS + 1),
    r"Waves\.steps: 0 \(must be at least 1\)": lambda: replace(WAVES, steps=0),
    r"Waves\.start: does not end where the spikes end": lambda: replace(
        WAVES, start=WAVES.start[:-1]
    ),
    r"Waves: 11 units for 12 steps": lambda: replace(
        WAVES, unit=WAVES.unit[:-1], start=WAVES.start - [0, 0, 1]
    ),
    r"latencies: 3 axes \(must be \(n, height, width, channels\)\)": lambda: from_latencies(
        np.zeros((2, 3, 1)), STEPS
    ),
    r"join_images: \(2, 3, 1\), 6 steps beside \(2, 3, 1\), 5": lambda: join_images(
        [WAVES, replace(WAVES, steps=6)]
    ),
    r"join_channels: .* 1 images beside .* 2 images": lambda: join_channels(
        [WAVES, WAVES.select([0])]
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_are_no_waves_is_refused(message):
    with pytest.raises((ModelError, DataError), match=message):
        REFUSED[message]()
