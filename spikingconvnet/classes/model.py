"""The sequential model: an input tensor and layers added one after the other."""

from dataclasses import dataclass
from typing import Any

from spikingconvnet.algorithms.indexing import Shape, as_int, as_pair, as_shape
from spikingconvnet.classes.layers import Classifier, ConvLayer, Input, PoolLayer
from spikingconvnet.errors import ModelError, UsageError


@dataclass(frozen=True)
class Stage:
    """Place one layer in a model: its name, and the tensors it takes and gives."""

    name: str
    layer: ConvLayer | PoolLayer
    input_shape: Shape
    output_shape: Shape

    @property
    def neurons(self) -> int:
        """Return the neurons of the layer at inference."""
        height, width, maps = self.output_shape
        return height * width * maps

    @property
    def synapses(self) -> int:
        """Return the synapses of the layer at inference."""
        return self.layer.synapses(self.input_shape)

    @property
    def parameters(self) -> int:
        """Return the weights that the layer learns."""
        return self.layer.parameters(self.input_shape)


class SpikingConvNet:
    """Describe a network of any depth: `add` layers; shapes are checked as they are added.

    input_shape: (height, width), (height, width, channels) or an Input; seed: of every random
    draw made for this model.
    """

    def __init__(self, input_shape: Any, seed: int = 0) -> None:
        """Store the input tensor and the seed."""
        if isinstance(input_shape, Input):
            input_shape = input_shape.shape
        self.input_shape: Shape = as_shape(input_shape, "SpikingConvNet.input_shape")
        self.seed = as_int(seed, "SpikingConvNet.seed", 0)
        self._stages: list[Stage] = []
        self.classifier: Classifier | None = None

    def add(self, layer: ConvLayer | PoolLayer | Classifier) -> "SpikingConvNet":
        """Append a layer and return the model.

        Raises ModelError when the layer does not fit its input, is of no known type, or comes
        after the classifier.
        """
        if self.classifier is not None:
            raise ModelError(
                f"SpikingConvNet.add: {type(layer).__name__} after Classifier "
                "(the classifier must be the last layer)"
            )
        if isinstance(layer, Classifier):
            if not self._stages:
                raise ModelError(
                    "SpikingConvNet.add: Classifier as first layer (must come after a ConvLayer)"
                )
            self.classifier = layer
        elif isinstance(layer, (ConvLayer, PoolLayer)):
            self._stages.append(self._stage(layer))
        else:
            raise ModelError(
                f"SpikingConvNet.add: {layer!r} (must be a ConvLayer, PoolLayer or Classifier)"
            )
        return self

    def _stage(self, layer: ConvLayer | PoolLayer) -> Stage:
        kind = type(layer)
        number = 1 + sum(type(stage.layer) is kind for stage in self._stages)
        name = f"{'conv' if kind is ConvLayer else 'pool'}{number}"
        before = self.tensors[-1]
        try:
            after = layer.output_shape(before)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from None
        return Stage(name, layer, before, after)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the conv and pool layers with their names and tensors, in order."""
        return tuple(self._stages)

    @property
    def layers(self) -> tuple[ConvLayer | PoolLayer | Classifier, ...]:
        """Return every layer in order, the classifier included."""
        last = () if self.classifier is None else (self.classifier,)
        return (*(stage.layer for stage in self._stages), *last)

    @property
    def tensors(self) -> list[Shape]:
        """Return the tensor shapes: the input's, then one per conv or pool layer."""
        return [self.input_shape, *(stage.output_shape for stage in self._stages)]

    @property
    def conv_layers(self) -> tuple[ConvLayer, ...]:
        """Return the conv layers; layer number n, counted from 1, is item n - 1."""
        return tuple(layer for layer in self.layers if isinstance(layer, ConvLayer))

    def conv_stage(self, number: int) -> Stage:
        """Return conv layer `number`, counted from 1, in its place; UsageError if there is none."""
        stages = [stage for stage in self._stages if isinstance(stage.layer, ConvLayer)]
        if (
            isinstance(number, bool)
            or not isinstance(number, int)
            or not 1 <= number <= len(stages)
        ):
            valid = f"in 1..{len(stages)}" if stages else "absent: the model has no ConvLayer"
            raise UsageError(f"layer: {number!r} (must be {valid})")
        return stages[number - 1]

    def before(self, number: int) -> tuple[Stage, ...]:
        """Return the stages that feed conv layer `number`."""
        return self.stages[: self.stages.index(self.conv_stage(number))]

    @property
    def features(self) -> int:
        """Return how many neurons the read-out sees: those of the last tensor."""
        height, width, maps = self.tensors[-1]
        return height * width * maps

    def describe(self) -> str:
        """Return a table of the layers: kernel, stride, tensor, neurons, synapses, parameters."""
        rows: list[tuple[str, ...]] = [
            ("layer", "kernel", "stride", "tensor", "neurons", "synapses", "parameters")
        ]
        rows.append(
            ("input", "", "", _by(self.input_shape), f"{_size(self.input_shape):,}", "", "")
        )
        rows += [_row(stage) for stage in self._stages]
        sums = [sum(column) for column in zip(*map(_sizes, self._stages), strict=True)] or [0, 0, 0]
        rows.append(("total", "", "", "", *(f"{total:,}" for total in sums)))
        if self.classifier is not None:
            note = f"{self.features:,} features"
            rows.insert(-1, ("classifier", "", "", note, "", "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(_line(row, widths) for row in rows)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)


def _size(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _sizes(stage: Stage) -> tuple[int, int, int]:
    return stage.neurons, stage.synapses, stage.parameters


def _row(stage: Stage) -> tuple[str, ...]:
    kernel = _by(as_pair(stage.layer.shape, "shape"))
    if isinstance(stage.layer, ConvLayer):
        kernel = f"{stage.layer.kernels} of {kernel}" + " depthwise" * stage.layer.depthwise
    sizes = (f"{size:,}" for size in _sizes(stage))
    return (
        stage.name,
        kernel,
        _by(as_pair(stage.layer.stride, "stride")),
        _by(stage.output_shape),
        *sizes,
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    words = [word.ljust(width) for word, width in zip(row[:4], widths, strict=False)]
    numbers = [word.rjust(width) for word, width in zip(row[4:], widths[4:], strict=True)]
    return "  ".join([*words, *numbers]).rstrip()
