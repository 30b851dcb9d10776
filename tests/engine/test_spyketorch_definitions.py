"""Hold the engine to SpykeTorch's definitions, written here anew and apart from our references.

Mozafari et al., Frontiers in Neuroscience 13 (2019) 625, doi:10.3389/fnins.2019.00625. Waves are
(steps, maps, height, width), cumulative: who has fired stays 1, so the sum over steps tells how
early. float64; kernels are random, so potentials of different maps are never equal.
"""

import numpy as np
import pytest

from spikingconvnet.algorithms import dense_waves, shared_learning
from spikingconvnet.algorithms.waves import from_latencies
from spikingconvnet.classes.rules import OrderSTDP
from spikingconvnet.classes.single_spike import Competition, Pool, SpikingConv
from spikingconvnet.engine.layers import ConvTrainer, advance

STEPS = 8


def wave_of(latencies):
    """Return the cumulative wave of first spikes (height, width, maps)."""
    time = np.arange(STEPS)[:, None, None, None]
    return (time >= np.moveaxis(latencies, 2, 0)).astype(float)


def convolution(wave, kernels, padding):
    side = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(wave, side), kernels.shape[2:], axis=(2, 3)
    )
    return np.einsum("tcyxij,mcij->tmyx", windows, kernels)


def fire(potentials, threshold):
    """Return spikes and potentials; those not above the threshold become 0."""
    potentials = np.where(potentials > threshold, potentials, 0.0)
    return np.sign(potentials), potentials


def at_first_spike(potentials, spikes):
    """Return each unit's number of active steps, and its potential at the first of them."""
    active = spikes.sum(axis=0).astype(int)
    first = np.clip(STEPS - active, 0, STEPS - 1)
    return active, np.take_along_axis(potentials, first[None], axis=0)[0] * (active > 0)


def pointwise_inhibition(potentials):
    """Keep, at each place, the map that fires first, of several the one with most potential."""
    active, value = at_first_spike(potentials, np.sign(potentials))
    # Larger than any potential, so that one step counts for more than any of them.
    score = active * (1 + STEPS * potentials.max()) + value
    kept = score == score.max(axis=0)
    return potentials * (kept & (score > 0))


def k_winners(potentials, spikes, count, radius):
    """Return (map, row, column) of up to `count` winners, earliest first, then most potential."""
    active, value = at_first_spike(potentials, spikes)
    total = active * (value + STEPS * potentials.max())
    winners = []
    while len(winners) < count and total.max() > 0:
        m, row, column = (int(i) for i in np.unravel_index(total.argmax(), total.shape))
        winners.append((m, row, column))
        total[m] = 0
        rows = slice(max(row - radius, 0), row + radius + 1)
        total[:, rows, max(column - radius, 0) : column + radius + 1] = 0
    return winners


def stdp(wave, spikes, winners, kernels, padding, potentiation, depression, stabiliser):
    """Change each winner's kernel: an input no later than it grows, every other one shrinks."""
    side = [(0, 0), (padding, padding), (padding, padding)]
    before = np.pad(wave.sum(axis=0), side)
    after = spikes.sum(axis=0)
    _, _, height, width = kernels.shape
    for m, row, column in winners:
        seen = before[:, row : row + height, column : column + width]
        change = np.where(seen >= after[m, row, column], potentiation, depression)
        if stabiliser:
            change = change * kernels[m] * (1 - kernels[m])
        kernels[m] = np.clip(kernels[m] + change, 0, 1)


def max_pooling(wave, side):
    windows = np.lib.stride_tricks.sliding_window_view(wave, (side, side), axis=(2, 3))
    return windows[:, :, ::side, ::side].max(axis=(4, 5))


def drawn(seed):
    """Draw an image, kernels and the size of things."""
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(6, 10, size=2), rng.integers(1, 4))
    latencies = rng.integers(2 * STEPS, size=shape)
    kernels = np.clip(rng.normal(0.6, 0.2, (7, shape[2], 3, 3)), 0, 1)
    return latencies, kernels, float(rng.uniform(1.0, 5.0))


def first_spikes(wave):
    """Return (height, width, maps) steps, STEPS for silence."""
    return np.moveaxis(STEPS - wave.sum(axis=0).astype(int), 0, 2)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("inhibition", [False, True])
def test_firing_inhibition_and_pooling(seed, inhibition):
    latencies, kernels, threshold = drawn(seed)
    _, potentials = fire(convolution(wave_of(latencies), kernels, 1), threshold)
    if inhibition:
        potentials = pointwise_inhibition(potentials)
    wanted = first_spikes(max_pooling(np.sign(potentials), 2))
    layer = SpikingConv(7, 3, threshold, padding=1, inhibition=inhibition, pool=Pool(2))
    found = advance(layer, from_latencies(latencies[None], STEPS), kernels)
    assert np.array_equal(found.latencies()[0], wanted)
    assert (wanted < STEPS).any()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("count", "radius"), [(1, 0), (3, 2), (5, 1), (7, 0)])
@pytest.mark.parametrize("stabiliser", [False, True])
def test_winners_and_one_step_of_stdp(seed, count, radius, stabiliser):
    latencies, kernels, threshold = drawn(seed)
    wave = wave_of(latencies)
    _, potentials = fire(convolution(wave, kernels, 1), threshold)
    potentials = pointwise_inhibition(potentials)
    spikes = np.sign(potentials)
    winners = k_winners(potentials, spikes, count, radius)
    wanted = kernels.copy()
    stdp(wave, spikes, winners, wanted, 1, 0.004, -0.003, stabiliser)
    rule = OrderSTDP(rate=0.004, ratio=-0.75, stabiliser=stabiliser)
    competition = Competition(winners=count, radius=radius)
    layer = SpikingConv(7, 3, threshold, padding=1, rule=rule, competition=competition, stop=0.0)
    trainer = ConvTrainer(layer, from_latencies(latencies[None], STEPS), np.array([0]), kernels)
    assert trainer.run().updates == len(winners) > 0
    np.testing.assert_allclose(trainer.weights, wanted, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_our_references_say_the_same(seed):
    latencies, kernels, threshold = drawn(seed)
    _, potentials = fire(convolution(wave_of(latencies), kernels, 1), threshold)
    potentials = pointwise_inhibition(potentials)
    spikes = dense_waves.spikes_of(from_latencies(latencies[None], STEPS), 0)
    ours = dense_waves.convolve(spikes.cumsum(axis=0), kernels, padding=(1, 1))
    fired = dense_waves.inhibit(ours, threshold)
    assert np.array_equal(dense_waves.first_spikes(fired), first_spikes(np.sign(potentials)))
    contest = shared_learning.Contest(fired.shape[1:], 4, False, 2, False)
    found = shared_learning.show(
        spikes, kernels.copy(), threshold, contest, lambda w, *_: w, False, padding=(1, 1)
    )
    winners = k_winners(potentials, np.sign(potentials), 4, 2)
    assert [(m, row, column) for _, row, column, m in found] == winners
