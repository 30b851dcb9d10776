"""The codes: the corrected ones, and the 2018 ones with their measured spike counts."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import encoders
from spikingconvnet.algorithms.spike_trains import counts
from spikingconvnet.errors import ModelError


def rng():
    return np.random.default_rng(20180309)


def flat_images(intensity, n=200, side=10):
    return np.full((n, side, side), intensity, np.uint8)


def mean_count(code, intensity, **options):
    images = flat_images(intensity)
    return len(code(images, rng(), **options)) / images.size


CODES = [
    lambda images, **o: encoders.rate(images, rng(), **o),
    lambda images, **o: encoders.rate_2018(images, rng(), **{"offset_ms": 1, **o}),
    lambda images, **o: encoders.poisson(images, rng(), **o),
    encoders.regular,
    encoders.latency,
]


# What was measured on the 2018 program: mean spikes per pixel and presentation.
@pytest.mark.parametrize(("intensity", "mean"), [(80, 1.6), (128, 2.6), (200, 4.2), (255, 4.9)])
def test_2018_rate_code_gives_the_measured_counts(intensity, mean):
    assert mean_count(encoders.rate_2018, intensity) == pytest.approx(mean, abs=0.06)


@pytest.mark.parametrize(
    ("window_sum", "intensity", "low", "high", "mean"),
    [
        (416, 255, 10, 10, 10.0),
        (416, 80, 10, 10, 10.0),
        (1000, 255, 10, 10, 10.0),
        (1000, 80, 8, 9, None),
        (2000, 255, 10, 10, 10.0),
        (2000, 80, 4, 5, None),
        (4080, 255, 5, 6, 5.5),
        (8334, 255, 2, 3, 2.5),
        (99999, 255, 2, 3, 2.5),
    ],
)
def test_2018_rate_code_gives_the_measured_counts_of_windows(
    window_sum, intensity, low, high, mean
):
    images = flat_images(intensity)
    spikes = encoders.rate_2018(images, rng(), window_sum=np.full(len(images), window_sum))
    found = counts(spikes, 100, len(images))
    assert (found.min(), found.max()) == (low, high)
    if mean is not None:
        assert found.mean() == pytest.approx(mean, abs=0.05)


def test_2018_rate_code_lets_every_dark_pixel_fire_once():
    spikes = encoders.rate_2018(flat_images(0), rng())
    assert np.all(counts(spikes, 100, 200) == 1)
    assert (spikes.times % 100).min() == 0 and (spikes.times % 100).max() == 50
    histogram = np.bincount((spikes.times % 100).astype(int), minlength=51)
    assert histogram.min() > 0.75 * histogram.mean()  # uniform over 51 values


def test_2018_rate_code_fires_once_when_the_period_is_too_long():
    spikes = encoders.rate_2018(flat_images(100), rng(), factor=20)  # 255 / 100 * 20 = 51 ms
    assert np.all(counts(spikes, 100, 200) == 1)


def test_2018_rate_code_bursts_at_once_in_faint_windows():
    images = flat_images(90, n=3, side=2)
    spikes = encoders.rate_2018(images, rng(), window_sum=[360, 360, 360])
    assert set(spikes.times) == {0.0, 100.0, 200.0}
    assert len(spikes) == 3 * 4 * 10


@pytest.mark.parametrize("intensity", [0, 1, 79])
@pytest.mark.parametrize("code", [encoders.rate, lambda images, _: encoders.regular(images)])
def test_defect_08_dark_pixels_are_silent(code, intensity):
    assert len(code(flat_images(intensity), rng())) == 0


@pytest.mark.parametrize("window_sum", [0, 1, 416, 1000])
def test_defect_08_faint_windows_do_not_burst_at_once(window_sum):
    images = flat_images(255, n=50)
    spikes = encoders.rate(images, rng(), window_sum=np.full(50, window_sum))
    together = np.unique(np.stack([spikes.times, spikes.neurons]), axis=1)
    assert together.shape[1] == len(spikes)  # no source fires twice at one time
    assert np.bincount(spikes.times.astype(int)).max() < 0.5 * 100  # nor do all at one time
    assert counts(spikes, 100, 50).max() <= encoders.MAX_SPIKES


def test_defect_08_windows_and_whole_images_have_the_same_code():
    """Without a window sum the rate of a pixel does not depend on what is around it."""
    pixel = flat_images(200, n=4000, side=1)
    among_dark = np.zeros((4000, 3, 3), np.uint8)
    among_dark[:, 1, 1] = 200
    alone = np.bincount(counts(encoders.rate(pixel, rng()), 100, 4000)[:, 0])
    around = np.bincount(counts(encoders.rate(among_dark, rng()), 100, 4000)[:, 4])
    assert alone.tolist() == around.tolist()


@pytest.mark.parametrize("intensity", [80, 128, 200, 255])
def test_rate_code_is_regular_with_a_period_inverse_to_intensity(intensity):
    period = int(255 / intensity * 10)
    spikes = encoders.rate(flat_images(intensity, n=50), rng())
    assert mean_count(encoders.rate, intensity) == pytest.approx(50 / period, rel=0.02)
    first = spikes.times[spikes.neurons == 0]
    gaps = np.diff(first)
    assert set(gaps[gaps < 50]) <= {float(period)}
    assert set((spikes.times % 100).astype(int)) == set(range(1, 51))


def test_regular_code_spaces_its_spikes_evenly():
    images = np.array([[[255, 128, 80, 79]]], np.uint8)
    spikes = encoders.regular(images)
    assert counts(spikes, 100, 1).tolist() == [[10, 5, 3, 0]]
    assert spikes.times[spikes.neurons == 0].tolist() == [3 + 5 * k for k in range(10)]
    assert spikes.times[spikes.neurons == 1].tolist() == [6 + 10 * k for k in range(5)]


@pytest.mark.parametrize(("intensity", "max_rate_hz"), [(255, 100.0), (51, 500.0), (128, 1000.0)])
def test_poisson_code_has_the_rate_asked_for(intensity, max_rate_hz):
    mean = mean_count(encoders.poisson, intensity, max_rate_hz=max_rate_hz)
    wanted = intensity / 255 * max_rate_hz * 0.050
    assert mean == pytest.approx(wanted, abs=5 * np.sqrt(wanted / 20000))


def test_latency_code_of_2018():
    images = np.array([[[255, 254, 200, 80, 79, 0]]], np.uint8)
    spikes = encoders.latency(images, offset_ms=0)
    pairs = dict(zip(spikes.neurons.tolist(), spikes.times.tolist(), strict=True))
    assert pairs == {0: 0.0, 1: 0.0, 2: 10.0, 3: 33.0}


def test_defect_07_latency_code_works_on_whole_images_and_windows():
    images = rng().integers(0, 256, (3, 9, 11)).astype(np.uint8)
    spikes = encoders.latency(images)
    assert len(spikes) == np.count_nonzero(images >= 80)
    assert (spikes.times % 100).max() <= 34


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_defect_06_any_image_shape_and_depth_is_encoded(n, height, width, channels):
    images = np.full((n, height, width, channels), 255, np.uint8)
    for code in CODES[:2] + CODES[3:]:
        spikes = code(images)
        assert spikes.size == height * width * channels
        assert np.all(counts(spikes, 100, n) > 0)


@pytest.mark.parametrize("code", CODES)
def test_spikes_are_whole_milliseconds_inside_the_part_of_the_interval_that_is_on(code):
    images = rng().integers(0, 256, (20, 8, 8)).astype(np.uint8)
    spikes = code(images, interval_ms=40, on_ms=25, offset_ms=3)
    inside = spikes.times % 40
    assert np.array_equal(inside, np.rint(inside))
    last = 28 if code is CODES[1] else 27  # the 2018 code includes its upper end
    assert inside.min() >= 3 and inside.max() <= last
    assert set((spikes.times // 40).astype(int)) == set(range(20))


@pytest.mark.parametrize("code", CODES)
def test_every_source_is_its_own_pixel(code):
    images = np.zeros((1, 3, 4, 2), np.uint8)
    images[0, 2, 1, 1] = 255
    spikes = code(images)
    found = np.bincount(spikes.neurons, minlength=24)
    assert found.argmax() == (1 * 3 + 2) * 4 + 1


@pytest.mark.parametrize("code", [encoders.rate, encoders.rate_2018, encoders.poisson])
def test_one_seed_gives_one_result(code):
    images = rng().integers(0, 256, (5, 6, 6)).astype(np.uint8)
    assert code(images, rng()) == code(images, rng())
    assert code(images, rng()) != code(images, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_ms": 0}, r"on_ms: 0 \(must be 1\.\.99"),
        ({"on_ms": 100}, r"on_ms: 100 \(must be 1\.\.99"),
        ({"window_sum": [1.0]}, r"window_sum: shape \(1,\)"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        encoders.rate(flat_images(255, n=2), rng(), **options)


def test_images_out_of_range_are_refused():
    with pytest.raises(ModelError, match=r"images: 0\.0\.\.300\.0 \(must lie in 0\.\.255\)"):
        encoders.latency(np.array([[[0, 300]]]))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.1, 2.0])
def test_gaussian_blur_equals_scipy(sigma):
    images = rng().random((2, 13, 9, 2)) * 255
    wanted = scipy.ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="reflect")
    assert np.allclose(encoders.gaussian_blur(images, sigma), wanted)


def test_dog_of_2018():
    images = np.zeros((2, 15, 15), np.uint8)
    images[0, 5:10, 5:10] = 255
    image = images[0].astype(float)
    response = 100 * (
        scipy.ndimage.gaussian_filter(image, 1.1) - scipy.ndimage.gaussian_filter(image, 1.0)
    )
    response[response < 0] = 0
    wanted = (response / response.max() * 255).astype(int)
    made = encoders.difference_of_gaussians_2018(images)
    assert np.abs(made[0, ..., 0].astype(int) - wanted).max() <= 1
    assert made[0].max() == 255
    assert not made[1].any()  # an empty image stays empty


def test_on_and_off_responses_share_one_scale_and_never_meet():
    images = rng().integers(0, 256, (3, 12, 10, 2)).astype(np.uint8)
    both = encoders.difference_of_gaussians(images, polarity="both")
    assert both.shape == (3, 12, 10, 4) and both.dtype == np.uint8
    assert both.reshape(3, -1).max(axis=1).tolist() == [255] * 3
    assert not np.any((both[..., :2] > 0) & (both[..., 2:] > 0))


def test_dog_is_on_at_the_centre_of_a_dot_and_off_around_it():
    image = np.zeros((1, 21, 21), np.uint8)
    image[0, 10, 10] = 255
    on, off = np.moveaxis(encoders.difference_of_gaussians(image, polarity="both")[0], 2, 0)
    assert on[10, 10] == 255 and off[10, 10] == 0
    assert on[10, 13] == 0 and off[10, 13] > 0


def test_a_plain_image_has_no_edges():
    assert not encoders.difference_of_gaussians(flat_images(200, n=1), polarity="both").any()


def test_an_unknown_polarity_is_refused():
    with pytest.raises(ModelError, match="polarity: 'up'"):
        encoders.difference_of_gaussians(flat_images(0), polarity="up")
