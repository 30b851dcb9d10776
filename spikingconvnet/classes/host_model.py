"""A published network as one record: encoder, single-spike layers, read-out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.classes.rules import check_choice
from spikingconvnet.classes.single_spike import (
    Branches,
    Readout,
    SpikingConv,
    SpikingDecision,
    Stage,
)
from spikingconvnet.errors import ModelError, UsageError


class WaveEncoder(Protocol):
    """Say what an encoder record must tell: steps of a wave and the shape of what it sends."""

    @property
    def steps(self) -> int:
        """Return the number of steps in a wave."""

    def output_shape(self, image_shape: Pair) -> Shape:
        """Return (height, width, channels) for images (height, width)."""


class Place(NamedTuple):
    """Name a convolution by its place: `stage` counts from 0, `branch` within that stage."""

    number: int
    stage: int
    branch: int
    layer: SpikingConv
    input_shape: Shape


@dataclass(frozen=True)
class HostModel:
    """Describe a network that the host engine trains layer by layer.

    `source` says where it was published. Convolutions are numbered from 1 in the order of training:
    stage by stage, branch by branch. connector: how kernels get on a board, as lists of connections
    or by its on-chip convolution.
    """

    name: str
    source: str
    encoder: WaveEncoder
    layers: tuple[Stage, ...]
    readout: Readout
    connector: Literal["list", "convolution"] = "list"

    def __post_init__(self) -> None:
        """Check that a convolution with a reward stands right before a layer that gives it one."""
        check_choice(self.name, "connector", self.connector, ("list", "convolution"))
        for index, stage in enumerate(self.layers):
            branches = stage.layers if isinstance(stage, Branches) else (stage,)
            if any(layer.reward is not None for layer in branches) and (
                index + 1 < len(self.layers)
                or isinstance(stage, Branches)
                or not isinstance(self.readout, SpikingDecision)
            ):
                raise ModelError(
                    f"{self.name}, stage {index + 1}: SpikingConv.reward (must be None except in "
                    "the last stage, by itself, before a SpikingDecision)"
                )

    @property
    def joint(self) -> SpikingConv | None:
        """Return the last convolution if it is taught together with the read-out."""
        last = self.layers[-1] if self.layers else None
        return last if isinstance(last, SpikingConv) and last.reward is not None else None

    def tensors(self, image_shape: Pair) -> list[Shape]:
        """Return the shape that the encoder sends, then one per stage; ModelError when unfit."""
        shapes = [self.encoder.output_shape(image_shape)]
        for index, stage in enumerate(self.layers):
            try:
                shapes.append(stage.output_shape(shapes[-1]))
            except ModelError as error:
                raise ModelError(f"{self.name}, stage {index + 1}: {error}") from None
        return shapes

    def places(self, image_shape: Pair) -> Iterator[Place]:
        """Go through the convolutions in the order of training."""
        number = 0
        for index, (stage, shape) in enumerate(
            zip(self.layers, self.tensors(image_shape), strict=False)
        ):
            branches = stage.layers if isinstance(stage, Branches) else (stage,)
            for branch, layer in enumerate(branches):
                number += 1
                yield Place(number, index, branch, layer, shape)

    def place(self, number: int, image_shape: Pair) -> Place:
        """Return convolution `number`, counted from 1; UsageError if there is none."""
        found = {place.number: place for place in self.places(image_shape)}
        if number not in found:
            raise UsageError(f"layer: {number!r} (must be in 1..{len(found)} for {self.name})")
        return found[number]
