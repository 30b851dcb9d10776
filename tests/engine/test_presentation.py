"""What a read-out is shown: distorted images in the first epochs, then the images as they are."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from spikingconvnet import zoo
from spikingconvnet.classes.distortion import Distortion
from spikingconvnet.classes.rules import HitMissSTDP, PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import DenseDecision, LinearSVM, Pool
from spikingconvnet.engine.decision import decision_trainer, decision_weights
from spikingconvnet.engine.network import Network
from spikingconvnet.engine.presentation import Presentation

SHAPE = (9, 8)
DISTORTION = Distortion(degrees=15.0, scale=0.1, elastic=0.5, smoothness=2.0)
TAUGHT = DenseDecision(rule=PairedRule(margin=5.0), epochs=4, distortion=DISTORTION, clean_epochs=2)


def presentation(readout=TAUGHT, seed=3, upto=None):
    published = zoo.load("goupy2023")
    layer = replace(published.layers[0], maps=6, shape=3, padding=1, threshold=1.5, pool=Pool(2))
    model = replace(published, layers=(layer,))
    rng = np.random.default_rng(0)
    kernels = rng.random((6, 1, 3, 3))
    images = (rng.random((30, *SHAPE)) ** 2 * 255).astype(np.uint8)
    return Presentation(Network(model, SHAPE, [kernels]), images, readout, seed, upto)


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("start", "unit", "step")
    )


def test_first_epochs_are_distorted_anew_and_the_last_show_the_images_themselves():
    shown = presentation()
    waves = [shown.waves(epoch) for epoch in range(4)]
    whole, spikes = shown.network.run(shown.images)
    assert len({len(one.unit) for one in waves[:2]} | {len(whole.unit)}) == 3
    assert same(waves[2], whole) and waves[3] is waves[2] is shown.plain()
    assert np.array_equal(shown.spikes, spikes)
    assert {one.shape for one in waves} == {shown.shape} == {(4, 4, 6)}
    assert shown.images.tobytes() == presentation().images.tobytes()


def test_the_seed_and_the_number_of_the_epoch_decide_what_is_shown():
    forth, back = presentation(), presentation()
    one = [forth.waves(epoch) for epoch in range(4)]
    other = [back.waves(epoch) for epoch in reversed(range(4))][::-1]
    assert all(map(same, one, other))
    assert not same(one[0], presentation(seed=4).waves(0))


@pytest.mark.parametrize(
    "readout", [LinearSVM(), DenseDecision(), replace(TAUGHT, distortion=Distortion())]
)
def test_without_distortion_the_images_run_through_the_network_once(readout, monkeypatch):
    shown = presentation(readout)
    runs = []
    run = Network.run
    monkeypatch.setattr(Network, "run", lambda *more: runs.append(1) or run(*more))
    first = shown.waves(0)
    assert all(shown.waves(epoch) is first for epoch in range(1, 5))
    assert len(runs) == 1 and same(first, run(shown.network, shown.images)[0])


def test_distorted_waves_are_not_kept():
    shown = presentation()
    shown.waves(0)
    assert shown._plain is None


def test_spikes_are_counted_even_if_nothing_was_shown():
    shown = presentation()
    assert np.array_equal(shown.spikes, shown.network.run(shown.images)[1])


def test_an_earlier_stage_can_be_shown():
    shown = presentation(upto=0)
    assert shown.shape == shown.waves(0).shape == (*SHAPE, 1)


def test_progress_is_told():
    shares = []
    presentation().waves(0, shares.append)
    assert shares == [1.0]


def taught(shown, epochs, trainer=None):
    if trainer is None:
        weights = decision_weights(shown.readout, shown.shape, 3, np.random.default_rng(1))
        trainer = decision_trainer(shown.readout, shown.shape, 3, weights, shown.seed)
    labels = np.arange(len(shown.images)) % 3
    for epoch in epochs:
        trainer.run_epoch(shown.waves(epoch), labels)
    return trainer


@pytest.mark.parametrize("rule", [PairedRule(margin=5.0), RewardSTDP(batch=10), HitMissSTDP()])
def test_a_stopped_teaching_goes_on_to_the_same_weights(rule):
    readout = replace(TAUGHT, rule=rule)
    whole = taught(presentation(readout), range(4))
    plain = taught(presentation(replace(readout, distortion=Distortion())), range(4))
    assert not np.array_equal(whole.weights, plain.weights)
    for cut in range(5):
        first = taught(presentation(readout), range(cut))
        again = taught(presentation(readout), ())
        again.restore(first.state())
        taught(presentation(readout), range(cut, 4), again)
        assert np.array_equal(again.weights, whole.weights)
        assert again.history == whole.history


def test_threads_change_nothing():
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            found.append(taught(presentation(), range(4)).weights)
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(*found)
