import dataclasses

import numpy as np
import pytest

from spikingconvnet.algorithms import encoders, windows
from spikingconvnet.algorithms.spike_trains import counts
from spikingconvnet.classes.encoders import (
    DOG_2018,
    DifferenceOfGaussians,
    LatencyEncoder,
    PoissonEncoder,
    RateEncoder,
    RegularEncoder,
)
from spikingconvnet.errors import ModelError

RECORDS = [
    RateEncoder(),
    RateEncoder(legacy=True),
    RegularEncoder(),
    PoissonEncoder(),
    LatencyEncoder(),
]


def rng():
    return np.random.default_rng(5)


def images():
    return rng().integers(0, 256, (6, 7, 9)).astype(np.uint8)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_encodes_one_image_per_interval(record):
    record = dataclasses.replace(record, interval_ms=60, on_ms=30, offset_ms=2)
    spikes = record.encode(images(), rng())
    assert spikes.size == 63
    assert set((spikes.times // 60).astype(int)) == set(range(6))
    assert (spikes.times % 60).min() >= 2 and (spikes.times % 60).max() <= 32
    assert spikes == record.encode(images(), rng())


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (RateEncoder(factor=5.0, threshold=20), encoders.rate),
        (RateEncoder(factor=5.0, threshold=20, legacy=True), encoders.rate_2018),
    ],
)
def test_legacy_names_the_literal_2018_code(record, code):
    wanted = code(images(), rng(), factor=5.0, threshold=20, offset_ms=1)
    assert record.encode(images(), rng()) == wanted


def test_a_window_sum_changes_the_code_only_when_given():
    sums = np.full(6, 1000.0)
    plain = RateEncoder().encode(images(), rng())
    assert RateEncoder().encode(images(), rng(), window_sum=sums) == encoders.rate(
        images(), rng(), window_sum=sums
    )
    assert RateEncoder().encode(images(), rng(), window_sum=None) == plain
    assert len(RateEncoder().encode(images(), rng(), window_sum=sums)) > len(plain)


def test_defect_08_one_record_serves_windows_and_images():
    record, picture = LatencyEncoder(), images()
    pieces = windows.patch_images(picture, 3, 2)
    whole = windows.window_trains(record.encode(picture, rng()), (7, 9), 3, 2, 6, 100)
    assert whole == record.encode(pieces, rng())


def test_defect_08_no_record_lets_dark_pixels_fire_unless_legacy_is_asked_for():
    dark = np.zeros((3, 4, 4), np.uint8)
    assert [len(record.encode(dark, rng())) for record in RECORDS] == [0, 48, 0, 0, 0]


def test_defaults_are_those_of_2018():
    record = RateEncoder()
    assert (record.interval_ms, record.on_ms, record.threshold, record.factor) == (100, 50, 80, 10)
    assert not record.legacy


def test_a_filter_says_how_many_channels_it_makes():
    for polarity, channels in (("on", 1), ("off", 1), ("both", 2)):
        record = DifferenceOfGaussians(polarity=polarity)
        assert record.channels() == record.apply(images()).shape[3] == channels
        assert record.channels(3) == 3 * channels


def test_the_filter_of_2018_is_a_record():
    made = DOG_2018.apply(images()).astype(int)
    wanted = encoders.difference_of_gaussians_2018(images()).astype(int)
    assert made.any()
    assert np.array_equal(made, wanted)


def test_filtered_images_can_be_encoded():
    filtered = DifferenceOfGaussians().apply(images())
    spikes = LatencyEncoder(threshold=1).encode(filtered, rng())
    assert spikes.size == 2 * 63
    assert counts(spikes, 100, 6).sum() == np.count_nonzero(filtered)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RateEncoder(interval_ms=0), r"RateEncoder\.interval_ms: 0 \(must be at least 1\)"),
        (lambda: RateEncoder(on_ms=0), r"RateEncoder\.on_ms: 0 \(must be at least 1\)"),
        (lambda: RateEncoder(on_ms=100), r"RateEncoder\.on_ms: 100 \(must be at most .* 99\)"),
        (lambda: RateEncoder(offset_ms=-1), r"RateEncoder\.offset_ms: -1 \(must be at least 0\)"),
        (lambda: RateEncoder(factor=0), r"RateEncoder\.factor: 0 \(must be above 0\)"),
        (lambda: LatencyEncoder(threshold=-1), r"LatencyEncoder\.threshold: -1 \(must be at least"),
        (
            lambda: LatencyEncoder(threshold=256),
            r"LatencyEncoder\.threshold: 256 \(must be at most",
        ),
        (
            lambda: RegularEncoder(max_spikes=51),
            r"RegularEncoder\.max_spikes: 51 \(must be at most",
        ),
        (lambda: PoissonEncoder(max_rate_hz=0), r"PoissonEncoder\.max_rate_hz: 0 \(must be above"),
        (lambda: PoissonEncoder(max_rate_hz=1e4), r"PoissonEncoder\.max_rate_hz: 10000\.0 \(must"),
        (
            lambda: DifferenceOfGaussians(sigma_centre=0),
            r"DifferenceOfGaussians\.sigma_centre: 0 \(must be above 0\)",
        ),
        (
            lambda: DifferenceOfGaussians(polarity="up"),
            r"DifferenceOfGaussians\.polarity: 'up' \(must be",
        ),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()
