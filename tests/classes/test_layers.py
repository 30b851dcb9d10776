import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import connections, windows
from spikingconvnet.classes.layers import (
    Classifier,
    ConvLayer,
    Input,
    PoolLayer,
    conv_layer_2018,
)
from spikingconvnet.classes.learning import STDP_2018, PairSTDP
from spikingconvnet.classes.neurons import NEURONS_2018, IFCurrExp
from spikingconvnet.errors import ModelError

small = st.integers(1, 3)


@settings(deadline=None, max_examples=40)
@given(st.tuples(small, small), st.tuples(small, small), small, small, st.booleans())
def test_sizes_agree_with_the_connection_list(shape, stride, kernels, channels, depthwise):
    layer = ConvLayer(kernels, shape, stride, depthwise)
    tensor = (shape[0] + 3, shape[1] + 4, channels)
    weights = np.ones(layer.weight_shape(tensor))
    links = connections.convolution(tensor, weights, layer.stride, depthwise=depthwise)
    height, width, maps = layer.output_shape(tensor)
    assert maps == (kernels * channels if depthwise else kernels)
    assert height * width * maps == links.post.max() + 1
    assert layer.synapses(tensor) == len(links)
    assert layer.parameters(tensor) == weights.size
    assert layer.sources(tensor) == weights[0].size
    shown = windows.presentations(tensor, layer.shape, layer.stride, 1, depthwise)
    assert shown == height * width * maps // kernels

    pool = PoolLayer(shape, stride)
    links = connections.pooling(tensor, pool.shape, pool.stride)
    assert pool.synapses(tensor) == len(links)
    assert np.prod(pool.output_shape(tensor)) == links.post.max() + 1


def test_one_number_means_a_square():
    assert ConvLayer(4, 4, 3) == ConvLayer(4, (4, 4), (3, 3))
    assert PoolLayer(2) == PoolLayer((2, 2), (2, 2))
    assert PoolLayer((2, 3), 1).stride == (1, 1)


def test_defaults_are_the_first_layer_of_2018():
    layer = ConvLayer(4, 4, 3)
    assert (layer.train_neuron, layer.neuron) == (NEURONS_2018[1].train, NEURONS_2018[1].rebuild)
    assert layer.rule == STDP_2018[1]
    assert (layer.inhibition, layer.window_ms) == (300.0, 100)
    assert layer.output_shape((28, 28, 1)) == (9, 9, 4)


@pytest.mark.parametrize(("number", "constants"), [(1, 1), (2, 2), (3, 3), (4, 3), (9, 3)])
def test_defect_13_layers_of_any_number_have_parameters(number, constants):
    layer = conv_layer_2018(number, 4, 2)
    assert layer.depthwise
    assert layer.rule == STDP_2018[constants]
    assert layer.train_neuron == NEURONS_2018[constants].train
    assert layer.neuron == NEURONS_2018[constants].rebuild


def test_an_input_without_channels_has_one():
    assert Input((28, 20)).shape == (28, 20, 1)
    assert Input([28, 20, 3]).shape == (28, 20, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvLayer(0, 4), r"ConvLayer\.kernels: 0 \(must be at least 1\)"),
        (lambda: ConvLayer(4, (4, 0)), r"ConvLayer\.shape\[1\]: 0 \(must be at least 1\)"),
        (lambda: ConvLayer(4, 4, 0), r"ConvLayer\.stride: 0 \(must be at least 1\)"),
        (lambda: ConvLayer(4, 4, 1.5), r"ConvLayer\.stride: 1\.5 \(must be a whole number"),
        (lambda: ConvLayer(4, 4, depthwise=1), r"ConvLayer\.depthwise: 1 \(must be of type bool"),
        (
            lambda: ConvLayer(4, 4, neuron={}),
            r"ConvLayer\.neuron: \{\} \(must be of type IFCurrExp",
        ),
        (lambda: ConvLayer(4, 4, rule=IFCurrExp()), r"ConvLayer\.rule: .* type PairSTDP\)"),
        (lambda: ConvLayer(4, 4, inhibition=-1), r"ConvLayer\.inhibition: -1 \(must be at least 0"),
        (lambda: ConvLayer(4, 4, window_ms=0), r"ConvLayer\.window_ms: 0 \(must be at least 1\)"),
        (lambda: PoolLayer(0), r"PoolLayer\.shape: 0 \(must be at least 1\)"),
        (lambda: PoolLayer(2, (1, 0)), r"PoolLayer\.stride\[1\]: 0 \(must be at least 1\)"),
        (lambda: PoolLayer(2, weight=0), r"PoolLayer\.weight: 0 \(must be above 0\)"),
        (lambda: PoolLayer(2, neuron=PairSTDP()), r"PoolLayer\.neuron: .* type IFCurrExp\)"),
        (lambda: Classifier(C=0), r"Classifier\.C: 0 \(must be above 0\)"),
        (lambda: Classifier(max_iter=0), r"Classifier\.max_iter: 0 \(must be at least 1\)"),
        (lambda: Input(28), r"Input\.shape: 28 \(must be \(height, width\)"),
        (
            lambda: ConvLayer(4, (3, 9)).output_shape((8, 8, 1)),
            r"ConvLayer\.shape: 3x9 \(its width must be at most the input's 8\)",
        ),
        (
            lambda: PoolLayer((9, 3)).output_shape((8, 8, 1)),
            r"PoolLayer\.shape: 9x3 \(its height must be at most the input's 8\)",
        ),
    ],
)
def test_messages_name_layer_attribute_value_and_what_is_valid(make, message):
    with pytest.raises(ModelError, match=message):
        make()
