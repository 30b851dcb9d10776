import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.classes.layers import Classifier, ConvLayer, Input, PoolLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.errors import ModelError, UsageError


def model_2018():
    return SpikingConvNet((28, 28)).add(ConvLayer(4, 4, 3, depthwise=True))


def test_the_shipped_model_of_2018():
    model = model_2018().add(Classifier())
    assert model.tensors == [(28, 28, 1), (9, 9, 4)]
    assert model.features == 324
    assert model.layers == (ConvLayer(4, 4, 3, depthwise=True), Classifier())


def test_depth_multiplies_in_depthwise_layers_and_not_in_others():
    model = model_2018().add(ConvLayer(4, 2, depthwise=True)).add(ConvLayer(5, 2))
    assert model.tensors[2:] == [(8, 8, 16), (7, 7, 5)]


def test_defect_05_tensors_of_images_and_kernels_that_are_not_square():
    model = SpikingConvNet((30, 20, 2)).add(ConvLayer(3, (5, 2), (4, 3))).add(PoolLayer((3, 2), 1))
    assert model.tensors == [(30, 20, 2), (7, 7, 3), (5, 6, 3)]


def test_defect_09_every_size_is_a_whole_number():
    model = SpikingConvNet((29, 27)).add(ConvLayer(4, 5, 3)).add(PoolLayer(2)).add(Classifier())
    stage = model.conv_stage(1)
    sizes = [*(side for tensor in model.tensors for side in tensor), model.features]
    sizes += [stage.neurons, stage.synapses, stage.parameters]
    assert {type(size) for size in sizes} == {int}


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40))
def test_defect_13_a_model_may_have_any_depth(depth):
    model = SpikingConvNet((depth + 1, depth + 2))
    for _ in range(depth):
        model.add(ConvLayer(2, 2))
    assert len(model.conv_layers) == depth
    assert model.tensors[-1] == (1, 2, 2)
    assert [model.conv_stage(n).name for n in (1, depth)] == ["conv1", f"conv{depth}"]


def test_conv_layers_are_numbered_without_the_pooling_between():
    model = model_2018().add(PoolLayer(2)).add(ConvLayer(6, 2)).add(PoolLayer(2))
    assert [stage.name for stage in model.stages] == ["conv1", "pool1", "conv2", "pool2"]
    assert [layer.kernels for layer in model.conv_layers] == [4, 6]
    stage = model.conv_stage(2)
    assert (stage.input_shape, stage.output_shape) == ((4, 4, 4), (3, 3, 6))
    assert [before.name for before in model.before(2)] == ["conv1", "pool1"]
    assert model.before(1) == ()


def test_input_may_be_a_record():
    assert SpikingConvNet(Input((8, 6))).tensors == [(8, 6, 1)]


def test_describe_is_a_table_with_totals():
    model = model_2018().add(PoolLayer((3, 2), 2)).add(ConvLayer(16, 2)).add(Classifier())
    assert model.describe().splitlines() == [
        "layer       kernel                stride  tensor        neurons  synapses  parameters",
        "input                                     28 x 28 x 1       784",
        "conv1       4 of 4 x 4 depthwise  3 x 3   9 x 9 x 4         324     5,184          64",
        "pool1       3 x 2                 2 x 2   4 x 4 x 4          64       384           0",
        "conv2       16 of 2 x 2           1 x 1   3 x 3 x 16        144     2,304         256",
        "classifier                                144 features",
        "total                                                       532     7,872         320",
    ]


def test_an_empty_model_can_be_described():
    lines = SpikingConvNet((8, 6)).describe().splitlines()
    assert lines[1].split() == ["input", "8", "x", "6", "x", "1", "48"]
    assert lines[2].split() == ["total", "0", "0", "0"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.add(ConvLayer(4, 10)), r"conv2: ConvLayer\.shape: 10x10 \(its height must be"),
        (lambda m: m.add(PoolLayer((2, 10))), r"pool1: PoolLayer\.shape: 2x10 \(its width must be"),
        (lambda m: m.add("conv"), r"SpikingConvNet\.add: 'conv' \(must be a ConvLayer, PoolLayer"),
        (lambda m: m.add(ConvLayer), r"SpikingConvNet\.add: <class .*ConvLayer'> \(must be a Conv"),
        (lambda m: m.add(Classifier()).add(PoolLayer(2)), r"PoolLayer after Classifier"),
        (lambda m: m.add(Classifier()).add(Classifier()), r"Classifier after Classifier"),
        (lambda m: SpikingConvNet((8, 8)).add(Classifier()), r"Classifier as first layer"),
        (lambda m: SpikingConvNet((8, 0)), r"SpikingConvNet\.input_shape\[1\]: 0 \(must be at"),
        (lambda m: SpikingConvNet((8, 8), seed=-1), r"SpikingConvNet\.seed: -1 \(must be at least"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_is_added(call, message):
    with pytest.raises(ModelError, match=message):
        call(model_2018())


def test_a_layer_that_was_refused_leaves_the_model_as_it_was():
    model = model_2018()
    with pytest.raises(ModelError):
        model.add(ConvLayer(4, 10))
    assert model.tensors == [(28, 28, 1), (9, 9, 4)]


@pytest.mark.parametrize("number", [0, 2, -1, "1", True, 1.0])
def test_an_unknown_layer_number_is_a_usage_error(number):
    with pytest.raises(UsageError, match=r"layer: .* \(must be in 1\.\.1\)"):
        model_2018().conv_stage(number)
