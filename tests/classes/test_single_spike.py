"""Records of single-spike networks: shapes, and what does not fit together is one message."""

import pytest

from spikingconvnet import zoo
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import DoG, FilterBank, RankOrder, SideBySide, TimeToFirstSpike
from spikingconvnet.classes.rules import OrderSTDP, PairedRule, RewardSTDP
from spikingconvnet.classes.single_spike import (
    Branches,
    DenseDecision,
    LinearSVM,
    Pool,
    SpikingConv,
    SpikingDecision,
)
from spikingconvnet.errors import ModelError, UsageError


def model(*layers, encoder=None, readout=None):
    return HostModel("made", "test", encoder or RankOrder(), layers, readout or LinearSVM())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (SpikingConv(4, 5, 1.0), (8, 6, 4)),
        (SpikingConv(4, (5, 3), 1.0, stride=(2, 3), padding=(1, 0)), (5, 3, 4)),
        (SpikingConv(4, 5, 1.0, padding=2, crop=(1, 2)), (11, 8, 4)),
        (SpikingConv(4, 5, 1.0, pool=Pool(3)), (2, 2, 4)),
        (SpikingConv(4, 5, 1.0, pool=Pool(3, ceil=True)), (3, 2, 4)),
        (SpikingConv(4, 5, 1.0, pool=Pool(3, 2, 1)), (4, 3, 4)),
        (SpikingConv(4, 12, 1.0, padding=(0, 1), channels=(1, 2)), (1, 1, 4)),
        (Branches((SpikingConv(4, 5, 1.0), SpikingConv(3, 5, 2.0)), Pool(2)), (4, 3, 7)),
        (Branches((SpikingConv(4, 5, 1.0), SpikingConv(4, 5, 2.0)), merge="or"), (8, 6, 4)),
    ],
)
def test_shapes_follow_from_the_records(layer, shape):
    assert layer.output_shape((12, 10, 2)) == shape


NET = model(SpikingConv(4, 5, 1.0, pool=Pool(2)), SpikingConv(6, 5, 1.0))
UNFIT = {
    r"made, stage 2: SpikingConv\.shape: 5x5 \(its height must be at most the input's 4": (
        lambda: NET.tensors((12, 28))
    ),
    r"made, stage 1: SpikingConv\.shape: 5x5 \(its width must be at most the input's 3": (
        lambda: NET.tensors((12, 3))
    ),
    r"made, stage 1: SpikingConv\.channels: \(0, 2\) \(the last must be at most 1": (
        lambda: model(SpikingConv(4, 5, 1.0, channels=(0, 2))).tensors((9, 9))
    ),
    r"made, stage 1: SpikingConv\.crop: \(5, 0\) \(leaves nothing of 5x5\)": (
        lambda: model(SpikingConv(4, 5, 1.0, crop=(5, 0))).tensors((9, 9))
    ),
    r"made, stage 1: Pool\.shape: 6x6": (
        lambda: model(SpikingConv(4, 5, 1.0, pool=Pool(6))).tensors((9, 9))
    ),
    r"Branches: outputs of 5x5, 3x3 \(must be equal in height and width\)": (
        lambda: model(Branches((SpikingConv(4, 5, 1.0), SpikingConv(4, 7, 1.0)))).tensors((9, 9))
    ),
    r"Branches: \[4, 3\] maps \(must be equal to be merged by or\)": lambda: model(
        Branches((SpikingConv(4, 5, 1.0), SpikingConv(3, 5, 1.0)), merge="or")
    ).tensors((9, 9)),
    r"SideBySide\.encoders: send .* \(must be of the same size\)": lambda: model(
        encoder=SideBySide((FilterBank(), FilterBank(crop=1)))
    ).tensors((9, 9)),
    r"FilterBank\.crop: 9 \(leaves nothing of 9x9\)": (
        lambda: model(encoder=FilterBank(crop=9)).tensors((9, 9))
    ),
}


@pytest.mark.parametrize("message", UNFIT)
def test_layers_that_do_not_fit_are_named(message):
    with pytest.raises(ModelError, match=message):
        UNFIT[message]()


REWARDED = SpikingConv(4, 3, 1.0, reward=RewardSTDP())
WRONG = {
    r"SpikingConv\.rule: PairedRule.* \(must be a ": lambda: SpikingConv(
        4, 3, 1.0, rule=PairedRule()
    ),
    r"SpikingConv\.pool: 2 \(must be a ": lambda: SpikingConv(4, 3, 1.0, pool=2),
    r"SpikingConv\.reward: OrderSTDP": lambda: SpikingConv(4, 3, 1.0, reward=OrderSTDP()),
    r"SpikingConv\.channels: sees all where": lambda: SpikingConv(
        4, 3, 1.0, channels=(0, 1), reward=RewardSTDP()
    ),
    r"SpikingConv\.threshold: nan": lambda: SpikingConv(4, 3, float("nan")),
    r"SpikingConv\.test_threshold: -1": lambda: SpikingConv(4, 3, 1.0, test_threshold=-1),
    r"made, stage 1: SpikingConv\.reward \(must be None except in the last stage": (
        lambda: model(REWARDED, SpikingConv(4, 3, 1.0))
    ),
    r"made, stage 1: SpikingConv\.reward": lambda: model(REWARDED, readout=LinearSVM()),
    r"made, stage 1: SpikingConv\.reward \(": lambda: model(
        Branches((REWARDED, REWARDED)), readout=SpikingDecision(1, 2)
    ),
    r"DenseDecision\.levels: only of the paired rule": lambda: DenseDecision(
        rule=RewardSTDP(), levels=4
    ),
    r"SideBySide\.encoders: of \[15, 10\] steps": lambda: SideBySide(
        (RankOrder(15), TimeToFirstSpike(10))
    ),
    r"SideBySide\.encoders: of \[\] steps": lambda: SideBySide(()),
    r"FilterBank\.filters: \(\) \(must be one DoG or more\)": lambda: FilterBank(()),
    r"DoG\.size: 4 \(must be odd\)": lambda: DoG(4, 1.0, 2.0),
    r"RankOrder\.steps: 0 \(must be at least 1\)": lambda: RankOrder(0),
}


@pytest.mark.parametrize("message", WRONG)
def test_records_refuse_what_cannot_be(message):
    with pytest.raises(ModelError, match=message):
        WRONG[message]()


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"layer: 3 \(must be in 1\.\.2 for made\)"):
        NET.place(3, (28, 28))
    assert NET.place(2, (28, 28)).input_shape == (12, 12, 4)


@pytest.mark.parametrize("name", zoo.names())
def test_every_published_network_fits_its_images(name):
    found = zoo.load(name)
    if isinstance(found, HostModel):
        shapes = found.tensors((28, 28))
        assert len(shapes) == len(found.layers) + 1 and min(map(min, shapes)) > 0
