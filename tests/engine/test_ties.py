"""Equal potentials in decision layers: the first map answers, and its first place, row by row.

So does SpykeTorch, whose winner is the largest of the potentials (maps, rows, columns) laid out in
this order. Kernels are coarse multiples of 1/64 here: float32 adds them exactly, and ties abound.
"""

import numpy as np
import pytest
from drawn_waves import random_waves

from spikingconvnet.algorithms import dense_waves as dense
from spikingconvnet.algorithms.decision_learning import reward_stdp
from spikingconvnet.algorithms.shared_learning import Contest, show
from spikingconvnet.classes.rules import RewardSTDP
from spikingconvnet.classes.single_spike import (
    Competition,
    DenseDecision,
    Pool,
    SpikingConv,
    SpikingDecision,
)
from spikingconvnet.engine.decision import decision_trainer
from spikingconvnet.engine.ensembles import JointTrainer

SHAPE, STEPS, CLASSES, IMAGES = (5, 4, 3), 5, 3, 60
# Few values, all exact: after a change a weight is one of nine again.
RULE = RewardSTDP(
    reward=(0.125, -0.125), punishment=(-0.125, 0.125), adaptive=False, batch=7, w_min=0.0,
    w_max=1.0,
)  # fmt: skip


def coarse(rng, shape):
    return rng.integers(1, 3, size=shape) / 4


def winner(potentials, allowed=True):
    """Return (map, row, column) of the first highest potential (rows, columns, maps)."""
    by_map = np.moveaxis(np.where(allowed, potentials, -np.inf), 2, 0)
    return tuple(int(i) for i in np.unravel_index(by_map.argmax(), by_map.shape))


def tied(potentials):
    """Count the places where the highest potential is found."""
    return int(np.sum(potentials == potentials.max()))


def teach(weights, fired, label, padding, classes):
    """Show one image (height, width, channels); change `weights`; return vote and ties."""
    potentials = dense.convolve(fired[None].astype(float), weights, padding=padding)[0]
    m, row, column = winner(potentials)
    if not potentials[row, column, m] > 0:
        return -1, 0
    sides = [(padding[0],) * 2, (padding[1],) * 2, (0, 0)]
    height, width = weights.shape[2:]
    seen = np.pad(fired, sides)[row : row + height, column : column + width]
    change = RULE.reward if classes[m] == label else RULE.punishment
    weights[m] = reward_stdp(weights[m], np.moveaxis(seen, 2, 0), change, w_min=0.0, w_max=1.0)
    return classes[m], tied(potentials)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("convolution", [True, False])
def test_the_first_map_and_its_first_place_win(convolution, seed):
    rng = np.random.default_rng(seed)
    share = 0.4 if convolution else 0.05  # few spikes, few different potentials
    waves = random_waves(rng, SHAPE, STEPS, IMAGES, share)
    labels = rng.integers(CLASSES, size=IMAGES)
    layer = DenseDecision(4, RULE)
    window, padding = SHAPE[:2], (0, 0)
    if convolution:
        window, padding = (2, 3), (1, 0)
        layer = SpikingDecision(4, window, padding, RULE)
    wanted = coarse(rng, (4 * CLASSES, SHAPE[2], *window))
    start = wanted if convolution else np.moveaxis(wanted, 1, 3).reshape(len(wanted), -1)
    trainer = decision_trainer(layer, SHAPE, CLASSES, start.copy(), seed)
    classes, votes, ties = np.repeat(np.arange(CLASSES), 4), [], 0
    for image in np.random.default_rng([seed, 0]).permutation(IMAGES):
        fired = dense.spikes_of(waves, image).any(axis=0)
        vote, places = teach(wanted, fired, labels[image], padding, classes)
        votes.append(vote == labels[image])
        ties += places > 1
    seen = trainer.run_epoch(waves, labels)
    assert ties >= (5 if convolution else 1)
    assert seen.right == pytest.approx(np.mean(votes))
    found = trainer.weights
    if not convolution:
        found = np.moveaxis(found.reshape(-1, *SHAPE), 3, 1)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("seed", range(5))
def test_so_they_do_where_the_convolution_learns_too(seed):
    rng = np.random.default_rng(seed)
    conv = SpikingConv(
        maps=4, shape=3, padding=1, threshold=1.5, inhibition=False, pool=Pool(2, ceil=True),
        competition=Competition(winners=3, radius=1), reward=RULE,
    )  # fmt: skip
    above = SpikingDecision(4, 2, 1, RULE)
    waves, labels = random_waves(rng, SHAPE, STEPS, IMAGES), rng.integers(CLASSES, size=IMAGES)
    kernels = coarse(rng, conv.weight_shape(SHAPE))
    wanted = coarse(rng, (4 * CLASSES, 4, 2, 2))
    trainer = JointTrainer(above, SHAPE, CLASSES, wanted.copy(), seed, conv, kernels.copy())
    classes, votes, ties = np.repeat(np.arange(CLASSES), 4), [], 0
    for image in np.random.default_rng([seed, 0]).permutation(IMAGES):
        spikes = dense.spikes_of(waves, image)
        contest = Contest(conv.conv_shape(SHAPE), 3, False, 1, False)
        won = show(spikes, kernels, 1.5, contest, lambda w, *_: w, False, padding=(1, 1))
        fired = dense.fire(dense.convolve(spikes.cumsum(axis=0), kernels, padding=(1, 1)), 1.5)
        sent = np.pad(fired[-1], ((0, 1), (0, 0), (0, 0))).reshape(3, 2, 2, 2, 4).max(axis=(1, 3))
        vote, places = teach(wanted, sent, labels[image], (1, 1), classes)
        votes.append(vote == labels[image])
        ties += places > 1
        latencies = np.pad(
            dense.first_spikes(spikes), ((1, 1), (1, 1), (0, 0)), constant_values=STEPS
        )
        for time, row, column, m in won if vote >= 0 else ():
            seen = latencies[row : row + 3, column : column + 3] <= time
            change = RULE.reward if votes[-1] else RULE.punishment
            kernels[m] = reward_stdp(
                kernels[m], np.moveaxis(seen, 2, 0), change, w_min=0.0, w_max=1.0
            )
    seen = trainer.run_epoch(waves, labels)
    assert ties >= 5
    assert seen.right == pytest.approx(np.mean(votes))
    assert np.array_equal(trainer.weights, wanted)
    assert np.array_equal(trainer.kernels, kernels)
