"""Hold compiled encoders to their NumPy definitions."""

import numba
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spikingconvnet.algorithms import latency
from spikingconvnet.classes.latency import DoG, FilterBank, RankOrder, TimeToFirstSpike
from spikingconvnet.classes.rules import OrderSTDP
from spikingconvnet.engine import encode as module
from spikingconvnet.engine import rows
from spikingconvnet.engine.encode import encode
from spikingconvnet.errors import DataError, UsageError

IMAGES = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    elements=st.sampled_from([0, 0, 1, 7, 127, 128, 254, 255]),
)


@settings(max_examples=60, deadline=None)
@given(images=IMAGES, steps=st.integers(1, 20))
def test_rank_order(images, steps):
    found = encode(RankOrder(steps), images)
    assert np.array_equal(found.latencies()[..., 0], latency.rank_order(images, steps))
    assert len(found.unit) == np.count_nonzero(images)


@settings(max_examples=60, deadline=None)
@given(images=IMAGES, steps=st.integers(1, 20))
def test_time_to_first_spike(images, steps):
    found = encode(TimeToFirstSpike(steps), images)
    wanted = latency.time_to_first_spike(images, steps)
    assert np.array_equal(found.latencies()[..., 0], wanted)
    assert len(found.unit) == np.count_nonzero(wanted < steps)


@settings(max_examples=60, deadline=None)
@given(images=IMAGES, steps=st.integers(1, 20))
def test_time_to_first_spike_goes_on_sending(images, steps):
    found = encode(TimeToFirstSpike(steps, repeat=True), images)
    first = latency.time_to_first_spike(images, steps).reshape(len(images), -1)
    for image in range(len(images)):
        span = slice(found.start[image], found.start[image + 1])
        sent = sorted(zip(found.step[span].tolist(), found.unit[span].tolist(), strict=True))
        wanted = [
            (t, u) for t in range(steps) for u in range(first.shape[1]) if first[image, u] <= t
        ]
        assert sent == wanted
        assert np.all(np.diff(found.step[span].astype(int)) >= 0)


def responses(bank, images):
    """Return (n, height, width, filters): filtered, thresholded, normalised."""
    images = images[:, bank.crop :, bank.crop :].astype(float)
    planes = []
    for item in bank.filters:
        kernel = latency.dog_kernel(item.size, item.sigma_centre, item.sigma_surround, bank.kernel)
        plane = np.array(
            [scipy.ndimage.correlate(image, kernel, mode="constant") for image in images]
        )
        # What rounding could put on the other side of the threshold would not be comparable.
        assert np.abs(plane - bank.threshold).min() > 5e-4
        plane[plane < bank.threshold] = 0
        if bank.normalise_radius:
            plane /= latency.local_mean(plane, bank.normalise_radius) + 1e-12
        planes.append(plane)
    return np.stack(planes, axis=3)


def rank_span(values, binned, steps):
    """Return the first and the last step that each response may get if rounding moves its rank."""
    flat = np.sort(values[values > 0])[::-1]
    above = np.searchsorted(-flat, -values * (1 + 1e-5), side="left")
    until = np.searchsorted(-flat, -values * (1 - 1e-5), side="right") - 1
    span = [np.minimum(binned(rank, max(len(flat), 1)), steps) for rank in (above, until)]
    return tuple(np.where(values > 0, step, steps) for step in span)


BANKS = {
    "six": FilterBank(),
    "six short": FilterBank(steps=4, normalise_radius=2),
    "few": FilterBank(threshold=180.0, normalise_radius=0, steps=40),
    "two": FilterBank(
        (DoG(7, 1.0, 2.0), DoG(7, 2.0, 1.0)), threshold=10.0, normalise_radius=0, steps=10,
        kernel="plain", joint=False, strict=True, crop=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", BANKS)
def test_filter_banks(name, seed):
    bank, rng = BANKS[name], np.random.default_rng(seed)
    images = rng.integers(256, size=(3, 13, 11), dtype=np.uint8)
    images[1] = 0
    images[2] = np.where(rng.random((13, 11)) < 0.3, images[2], 0)
    found = encode(bank, images)
    assert found.shape == bank.output_shape((13, 11))
    steps = found.latencies()
    wanted = responses(bank, images)
    for image in range(3):
        values = wanted[image]
        if bank.joint:
            low, high = rank_span(
                values, lambda rank, n: rank // max(n // bank.steps, 1), bank.steps
            )
        else:
            spans = [
                rank_span(values[..., c], lambda rank, n: rank * bank.steps // n, bank.steps)
                for c in range(values.shape[2])
            ]
            low, high = (np.stack(side, axis=2) for side in zip(*spans, strict=True))
        assert np.all((low <= steps[image]) & (steps[image] <= high))
        planes = [values] if bank.joint else np.moveaxis(values, 2, 0)
        binned = latency.equal_bins if bank.joint else latency.proportional_bins
        defined = [binned(plane[None], bank.steps)[0] for plane in planes]
        defined = defined[0] if bank.joint else np.stack(defined, axis=2)
        assert np.array_equal(defined[low == high], low[low == high])
        # Ranks that may move are rare, or nothing would be checked here.
        assert np.mean(low == high) > 0.97
    assert (steps[1] == bank.steps).all() and (steps[[0, 2]] < bank.steps).any()


@pytest.mark.parametrize("encoder", [RankOrder(), TimeToFirstSpike(repeat=True), *BANKS.values()])
def test_threads_and_chunks_change_nothing(encoder, monkeypatch):
    images = np.random.default_rng(0).integers(256, size=(17, 9, 8), dtype=np.uint8)
    whole = encode(encoder, images)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 20_000)
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            part = encode(encoder, images)
            assert np.array_equal(part.unit, whole.unit)
            assert np.array_equal(part.step, whole.step)
            assert np.array_equal(part.start, whole.start)
    finally:
        numba.set_num_threads(before)


def test_a_bank_is_compiled_once_for_all_sizes_and_images():
    images = np.random.default_rng(0).integers(256, size=(2, 9, 8), dtype=np.uint8)
    kept = np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape)  # not to be written to
    encode(BANKS["six"], images)
    known = len(module._filter_to_spikes.signatures)
    for bank in (*BANKS.values(), FilterBank((DoG(5, 1.0, 2.0),)), FilterBank(crop=1)):
        encode(bank, kept)
    assert len(module._filter_to_spikes.signatures) == known


@pytest.mark.parametrize("images", [np.zeros((2, 3)), np.zeros((2, 3, 3))])
def test_images_of_another_form_are_refused(images):
    with pytest.raises(DataError, match="must be uint8"):
        encode(RankOrder(), images)


def test_what_is_no_encoder_is_refused():
    with pytest.raises(UsageError, match=r"encoder: OrderSTDP \(the host engine takes RankOrder"):
        encode(OrderSTDP(), np.zeros((1, 3, 3), np.uint8))
