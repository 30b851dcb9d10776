"""Settings changed by their path: --set PATH=VALUE."""

from dataclasses import replace

import pytest

from spikingconvnet import zoo
from spikingconvnet.errors import UsageError
from spikingconvnet.overrides import parse, replaced

MODEL = zoo.load("goupy2023")


def changed(text):
    return replaced(MODEL, *parse(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("layers.0.maps=64", lambda model: model.layers[0].maps == 64),
        (" layers.0.threshold = 12 ", lambda model: model.layers[0].threshold == 12.0),
        ("layers.0.stride=[2, 1]", lambda model: model.layers[0].stride == (2, 1)),
        ("layers.0.rule.silent_ramp=True", lambda model: model.layers[0].rule.silent_ramp),
        ("layers.0.pool.shape=4", lambda model: model.layers[0].pool.shape == (4, 4)),
        ("layers.0.competition.per=image", lambda model: model.layers[0].competition.winners == 7),
        ("readout.features='latency'", lambda model: model.readout.features == "latency"),
        ("layers.0.levels=16", lambda model: model.layers[0].levels == 16),
        ("encoder.steps=30", lambda model: model.encoder.steps == 30),
    ],
)
def test_one_setting_changes(text, found):
    made = changed(text)
    assert found(made) and made != MODEL
    assert zoo.load("goupy2023") == MODEL


def test_a_float_stays_a_float():
    assert isinstance(changed("layers.0.threshold=12").layers[0].threshold, float)


def test_what_is_not_named_stays():
    made = changed("layers.0.maps=64")
    assert replace(made, layers=(replace(made.layers[0], maps=70),)) == MODEL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers", "--set: 'layers' (must be PATH=VALUE, such as layers.0.threshold=12)"),
        ("=3", "--set: '=3' (must be PATH=VALUE"),
        ("layers..maps=3", "--set: 'layers..maps=3' (must be PATH=VALUE"),
        ("layers.1.maps=3", "--set layers.1: no such item (must be in 0..0)"),
        ("layers.-1.maps=3", "--set layers.-1: no such item (must be in 0..0)"),
        ("layers.0.kernels=3", "--set layers.0.kernels: no such setting (valid: maps, shape,"),
        ("layers.0.maps.x=3", "--set layers.0.maps.x: layers.0.maps has no settings inside"),
        ("layers.0.maps=2.5", "--set layers.0.maps=2.5 (must be a whole number)"),
        ("layers.0.maps=0", "--set layers.0.maps=0: SpikingConv.maps: 0 (must be at least 1)"),
        ("layers.0.maps=many", "SpikingConv.maps: 'many' (must be a whole number of at least 1)"),
        ("layers.0.threshold=nan", "SpikingConv.threshold: 'nan' (must be at least 0)"),
        ("layers.0.threshold=1e999", "SpikingConv.threshold: inf (must be"),
        ("layers.0.inhibition=1", "--set layers.0.inhibition=1 (must be of type bool)"),
        ("readout.features=3", "--set readout.features=3 (must be of type str)"),
        ("readout.features=all", "LinearSVM.features: 'all' (must be one of fired, latency)"),
        ("layers.0.rule=VDSP", "--set layers.0.rule: is a VDSP; set one of its settings"),
        ("layers.0.reward=3", "SpikingConv.reward: 3 (must be a"),
        ("layers.0.channels=[1, 1]", "SpikingConv.channels: (1, 1) (must not be empty)"),
        ("layers.0.crop=[1, 2, 3]", "SpikingConv.crop: (1, 2, 3) (must be one whole number or"),
        ("layers.0.levels=256", "SpikingConv.levels: 256 (must be at most 255)"),
        ("encoder.steps=256", "RankOrder.steps: 256 (must be at most 255)"),
    ],
)
def test_what_cannot_be_set_is_one_message(text, message):
    with pytest.raises(UsageError) as caught:
        changed(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)
