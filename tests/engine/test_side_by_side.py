"""Hold waves side by side to their definitions: encoders, channels picked and joined."""

import numba
import numpy as np
import pytest
from drawn_waves import random_waves

from spikingconvnet.algorithms.waves import join_channels
from spikingconvnet.classes.latency import TWO_DOGS, FilterBank, RankOrder, SideBySide
from spikingconvnet.classes.rules import RewardSTDP
from spikingconvnet.classes.single_spike import Branches, SpikingConv
from spikingconvnet.engine.encode import encode
from spikingconvnet.engine.layers import ConvTrainer, advance
from spikingconvnet.engine.merge import beside, pick_channels
from spikingconvnet.errors import ModelError

BOTH = SideBySide((RankOrder(15), FilterBank(TWO_DOGS, normalise_radius=0)))


def drawn(channels=(2, 1, 4)):
    rng = np.random.default_rng(0)
    return [random_waves(rng, (3, 5, count), 7, 40) for count in channels]


@pytest.mark.parametrize("threads", [1, 2])
def test_beside_joins_channels(threads):
    parts = drawn()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    found, wanted = beside(parts), join_channels(parts)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert found.shape == wanted.shape == (3, 5, 7)
    assert (found.start == wanted.start).all()
    assert (found.latencies() == wanted.latencies()).all()
    assert (found.step == wanted.step).all()


def test_picked_channels_are_those_that_were_joined():
    parts, first = drawn(), 0
    for part in parts:
        picked = pick_channels(beside(parts), first, first + part.shape[2])
        assert picked.shape == part.shape
        assert (picked.unit == part.unit).all()
        assert (picked.step == part.step).all()
        first += part.shape[2]


def test_waves_that_do_not_fit_are_not_joined():
    one, *_ = drawn()
    with pytest.raises(ModelError, match="beside"):
        beside([one, one.select(slice(5))])


def test_encoders_side_by_side_send_what_each_sends():
    images = np.random.default_rng(0).integers(0, 256, (5, 9, 8), np.uint8)
    waves = encode(BOTH, images)
    assert waves.shape == BOTH.output_shape((9, 8)) == (9, 8, 3)
    latencies = [encode(one, images).latencies() for one in BOTH.encoders]
    assert (waves.latencies() == np.concatenate(latencies, axis=3)).all()


def test_a_layer_learns_and_runs_on_its_channels_alone():
    parts = drawn((2, 3))
    layer = SpikingConv(4, 3, 1.5, channels=(2, 5), stop=0.0)
    alone = SpikingConv(4, 3, 1.5, stop=0.0)
    weights = layer.rule.initial_weights(layer.weight_shape((3, 5, 5)), np.random.default_rng(1))
    trainers = [
        ConvTrainer(one, waves, np.arange(40), weights)
        for one, waves in ((layer, beside(parts)), (alone, parts[1]))
    ]
    for trainer in trainers:
        trainer.run()
    assert (trainers[0].weights == trainers[1].weights).all()
    assert (trainers[0].weights != weights).any()
    found = advance(layer, beside(parts), trainers[0].weights)
    assert (found.unit == advance(alone, parts[1], trainers[0].weights).unit).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SideBySide(()), "of \\[\\] steps"),
        (lambda: SideBySide((RankOrder(15), RankOrder(9))), "of \\[15, 9\\] steps"),
        (
            lambda: SideBySide((RankOrder(15), FilterBank(crop=1))).output_shape((9, 9)),
            "of the same size",
        ),
        (lambda: SpikingConv(4, 3, 1.5, channels=(2, 2)), "must not be empty"),
        (lambda: SpikingConv(4, 3, 1.5, channels=(0, 1), reward=RewardSTDP()), "sees all"),
        (
            lambda: Branches((SpikingConv(4, 3, 1.5, channels=(0, 3)),)).output_shape((9, 9, 2)),
            "at most 2, the channels of the input",
        ),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ModelError, match=message):
        make()
