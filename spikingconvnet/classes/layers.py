"""The layers of a sequential model: frozen records that derive their output shape."""

from dataclasses import dataclass, field
from typing import Any

from spikingconvnet.algorithms.indexing import Pair, Shape, as_int, as_pair, as_shape, output_grid
from spikingconvnet.classes.learning import STDP_2018, PairSTDP
from spikingconvnet.classes.neurons import NEURONS_2018, POOL_NEURON, IFCurrExp, check_number
from spikingconvnet.errors import ModelError


def _set(record: object, **values: Any) -> None:
    """Store normalised values in a frozen record that is being built."""
    for name, value in values.items():
        object.__setattr__(record, name, value)


def _check_type(owner: str, name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ModelError(f"{owner}.{name}: {value!r} (must be of type {kind.__name__})")


def _grid(owner: str, input_shape: Shape, kernel: int | Pair, stride: int | Pair | None) -> Pair:
    shape = as_pair(kernel, "shape")
    for axis, size, side in zip(("height", "width"), input_shape, shape, strict=False):
        if side > size:
            raise ModelError(
                f"{owner}.shape: {shape[0]}x{shape[1]} "
                f"(its {axis} must be at most the input's {size})"
            )
    return output_grid(input_shape, shape, stride)


@dataclass(frozen=True)
class Input:
    """Declare the input tensor: (height, width) or (height, width, channels)."""

    shape: Pair | Shape

    def __post_init__(self) -> None:
        """Normalise the shape to (height, width, channels)."""
        _set(self, shape=as_shape(self.shape, "Input.shape"))


@dataclass(frozen=True)
class ConvLayer:
    """Declare a convolution trained by windowing over time and run with shared weights.

    (height, width, channels) -> ((height - kh) // stride + 1, (width - kw) // stride + 1, maps);
    maps = kernels, each summing over all input maps, or kernels x channels when depthwise, each
    kernel applied to each input map alone. shape and stride: one number or (vertical, horizontal).
    train_neuron and neuron: for training and for inference; rule: the learning rule;
    inhibition: nA between the neurons in training (0: none); window_ms: one presentation;
    train_stride: between the windows that may be shown in training (None: stride);
    cross_inhibition: nA at inference between the maps at one position (0: none).
    """

    kernels: int
    shape: int | Pair
    stride: int | Pair = 1
    depthwise: bool = False
    train_neuron: IFCurrExp = field(default_factory=lambda: NEURONS_2018[1].train)
    neuron: IFCurrExp = field(default_factory=lambda: NEURONS_2018[1].rebuild)
    rule: PairSTDP = field(default_factory=PairSTDP)
    inhibition: float = 300.0
    window_ms: int = 100
    train_stride: int | Pair | None = None
    cross_inhibition: float = 0.0

    def __post_init__(self) -> None:
        """Normalise and check every value."""
        stride = as_pair(self.stride, "ConvLayer.stride")
        between = self.train_stride
        _set(
            self,
            kernels=as_int(self.kernels, "ConvLayer.kernels"),
            shape=as_pair(self.shape, "ConvLayer.shape"),
            stride=stride,
            train_stride=stride if between is None else as_pair(between, "ConvLayer.train_stride"),
        )
        _check_type("ConvLayer", "depthwise", self.depthwise, bool)
        _check_type("ConvLayer", "train_neuron", self.train_neuron, IFCurrExp)
        _check_type("ConvLayer", "neuron", self.neuron, IFCurrExp)
        _check_type("ConvLayer", "rule", self.rule, PairSTDP)
        check_number("ConvLayer", "inhibition", self.inhibition, least=0)
        check_number("ConvLayer", "cross_inhibition", self.cross_inhibition, least=0)
        as_int(self.window_ms, "ConvLayer.window_ms")

    def output_shape(self, input_shape: Any) -> Shape:
        """Return (height, width, maps) for an input tensor; ModelError when no window fits."""
        tensor = as_shape(input_shape, "input_shape")
        rows, columns = _grid("ConvLayer", tensor, self.shape, self.stride)
        return rows, columns, self.kernels * (tensor[2] if self.depthwise else 1)

    def weight_shape(self, input_shape: Any) -> tuple[int, int, int, int]:
        """Return (kernels, channels, kh, kw); channels is 1 when depthwise."""
        channels = 1 if self.depthwise else as_shape(input_shape, "input_shape")[2]
        return self.kernels, channels, *as_pair(self.shape, "ConvLayer.shape")

    def sources(self, input_shape: Any) -> int:
        """Return how many sources one training window has: channels x kh x kw."""
        _, channels, height, width = self.weight_shape(input_shape)
        return channels * height * width

    def synapses(self, input_shape: Any) -> int:
        """Return how many synapses the layer has at inference, those between maps included."""
        rows, columns, maps = self.output_shape(input_shape)
        between = maps - 1 if self.cross_inhibition else 0
        return rows * columns * maps * (self.sources(input_shape) + between)

    def parameters(self, input_shape: Any) -> int:
        """Return how many weights are learned."""
        return self.kernels * self.sources(input_shape)


@dataclass(frozen=True)
class PoolLayer:
    """Declare pooling: a neuron passes on the spikes of its window of one map, merged.

    stride is the window's own shape when None. With the default neuron and weight (nA), any spike
    in the window is passed on one step later, and spikes up to tau_refrac after it are dropped.
    """

    shape: int | Pair
    stride: int | Pair | None = None
    neuron: IFCurrExp = POOL_NEURON
    weight: float = 20.0

    def __post_init__(self) -> None:
        """Normalise and check every value."""
        shape = as_pair(self.shape, "PoolLayer.shape")
        stride = shape if self.stride is None else as_pair(self.stride, "PoolLayer.stride")
        _set(self, shape=shape, stride=stride)
        _check_type("PoolLayer", "neuron", self.neuron, IFCurrExp)
        check_number("PoolLayer", "weight", self.weight, above=0)

    def output_shape(self, input_shape: Any) -> Shape:
        """Return (height, width, maps) for an input tensor; ModelError when no window fits."""
        tensor = as_shape(input_shape, "input_shape")
        rows, columns = _grid("PoolLayer", tensor, self.shape, self.stride)
        return rows, columns, tensor[2]

    def synapses(self, input_shape: Any) -> int:
        """Return how many synapses the layer has."""
        rows, columns, maps = self.output_shape(input_shape)
        height, width = as_pair(self.shape, "PoolLayer.shape")
        return rows * columns * maps * height * width

    def parameters(self, input_shape: Any) -> int:
        """Return how many weights are learned: none."""
        return 0


@dataclass(frozen=True)
class Classifier:
    """Declare the read-out: a linear SVM on the last layer's spike counts, on the host.

    C: inverse strength of its L2 penalty (None: chosen by cross-validation on the training images);
    max_iter: of its solver.
    """

    C: float | None = None
    max_iter: int = 1000

    def __post_init__(self) -> None:
        """Check every value."""
        if self.C is not None:
            check_number("Classifier", "C", self.C, above=0)
        _set(self, max_iter=as_int(self.max_iter, "Classifier.max_iter"))


def conv_layer_2018(number: int, kernels: int, shape: Any, stride: Any = 1) -> ConvLayer:
    """Return conv layer `number` (1, 2, …) with the 2018 program's constants; depthwise, as there.

    That program knew layers 1 to 3; later ones get the constants of layer 3.
    """
    known = min(as_int(number, "number"), max(NEURONS_2018))
    return ConvLayer(
        kernels,
        shape,
        stride,
        depthwise=True,
        train_neuron=NEURONS_2018[known].train,
        neuron=NEURONS_2018[known].rebuild,
        rule=STDP_2018[known],
    )
