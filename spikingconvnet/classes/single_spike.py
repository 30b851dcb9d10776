"""Layers of non-leaky neurons that fire at most once an image, as frozen records.

A neuron's potential is the sum of the weights of all input spikes so far; it fires in the first
step in which that exceeds `threshold`. Steps, not milliseconds; weights have no unit.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from spikingconvnet.algorithms.indexing import Pair, Shape, as_int, as_pair
from spikingconvnet.classes.distortion import Distortion
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.classes.rules import (
    S2STDP,
    VDSP,
    FerroelectricVDSP,
    HitMissSTDP,
    OrderSTDP,
    PairedRule,
    RewardSTDP,
    check_choice,
)
from spikingconvnet.errors import ModelError

MOST_LEVELS = 255
"""Finer weights are lost in the sums of some hundred of them that 16 bits must hold."""

UnsupervisedRule: TypeAlias = OrderSTDP | VDSP | FerroelectricVDSP


def _set(record: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, value)


def _from_zero(value: Any, name: str) -> Pair:
    """Return (vertical, horizontal) from one number or two, each at least 0."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ModelError(f"{name}: {value!r} (must be one whole number or (vertical, horizontal))")
    return as_int(pair[0], f"{name}[0]", 0), as_int(pair[1], f"{name}[1]", 0)


def _check_levels(owner: str, levels: int | None) -> None:
    if levels is not None and as_int(levels, f"{owner}.levels") > MOST_LEVELS:
        raise ModelError(f"{owner}.levels: {levels} (must be at most {MOST_LEVELS})")


def window_grid(
    owner: str, shape: Shape, window: Any, stride: Any, padding: Any, ceil: bool = False
) -> Pair:
    """Return (rows, columns) ``(size + 2 padding - window) // stride + 1``; `ceil`: rounded up."""
    counts = []
    for axis, name in enumerate(("height", "width")):
        span = shape[axis] + 2 * padding[axis] - window[axis]
        if span < 0:
            raise ModelError(
                f"{owner}.shape: {window[0]}x{window[1]} (its {name} must be at most the input's "
                f"{shape[axis]} and its padding of {padding[axis]} on both sides)"
            )
        counts.append((-(-span // stride[axis]) if ceil else span // stride[axis]) + 1)
    return counts[0], counts[1]


@dataclass(frozen=True)
class Pool:
    """Declare first-spike pooling: a unit fires once, with the first spike of its window.

    stride: the window's own shape when None; padding: silent units on all four sides; ceil: also
    keep a last window that reaches over the edge.
    """

    shape: int | Pair = 2
    stride: int | Pair | None = None
    padding: int | Pair = 0
    ceil: bool = False

    def __post_init__(self) -> None:
        """Normalise and check every value."""
        shape = as_pair(self.shape, "Pool.shape")
        stride = shape if self.stride is None else as_pair(self.stride, "Pool.stride")
        _set(self, shape=shape, stride=stride, padding=_from_zero(self.padding, "Pool.padding"))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, maps); ModelError when no window fits."""
        rows, columns = window_grid("Pool", shape, self.shape, self.stride, self.padding, self.ceil)
        return rows, columns, shape[2]


@dataclass(frozen=True)
class Competition:
    """Declare who learns: units that fire compete step by step, the highest potential first.

    At most `winners` per "image" or per "step", one a map and image, none within `radius` (rows and
    columns) of an earlier one in any map. map_first: each map that fires sends only its best unit,
    and is out for the image whether or not that wins.
    """

    winners: int = 5
    per: Literal["image", "step"] = "image"
    radius: int = 3
    map_first: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        as_int(self.winners, "Competition.winners")
        as_int(self.radius, "Competition.radius", 0)
        check_choice("Competition", "per", self.per, ("image", "step"))


@dataclass(frozen=True)
class SpikingConv:
    """Declare a convolution with shared kernels, and the pooling behind it.

    Output: ``(size + 2 padding - kernel) // stride + 1 - crop`` per axis, then pooled. In training
    only the map with the highest potential fires at a position; inhibition: at inference too.
    images: training presentations at most (0: kernels stay random); stop: training ends when mean
    (w - w_min)(w_max - w) falls below it (0: never). test_threshold: at inference, `threshold` when
    None. reward: while the read-out behind is taught, the winners learn on by this rule from the
    reward of its vote (None: they do not; only in the last stage, before a SpikingDecision).
    levels: at inference the layer does what a board can: weights are rounded to k / levels of
    rule.w_max, k = 0..levels, all maps that exceed the threshold in one step fire together, and
    they silence the others of their position from the next step on (None: as in training; not
    with reward).
    channels: (first, end) of the input's channels that the layer sees (None: all).
    """

    maps: int
    shape: int | Pair
    threshold: float
    stride: int | Pair = 1
    padding: int | Pair = 0
    crop: int | Pair = 0
    inhibition: bool = True
    pool: Pool | None = None
    rule: UnsupervisedRule = field(default_factory=OrderSTDP)
    competition: Competition = field(default_factory=Competition)
    images: int = 6000
    stop: float = 0.01
    test_threshold: float | None = None
    reward: RewardSTDP | None = None
    levels: int | None = None
    channels: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Normalise and check every value."""
        _set(
            self,
            maps=as_int(self.maps, "SpikingConv.maps"),
            shape=as_pair(self.shape, "SpikingConv.shape"),
            stride=as_pair(self.stride, "SpikingConv.stride"),
            padding=_from_zero(self.padding, "SpikingConv.padding"),
            crop=_from_zero(self.crop, "SpikingConv.crop"),
        )
        check_number("SpikingConv", "threshold", self.threshold, least=0)
        if self.test_threshold is not None:
            check_number("SpikingConv", "test_threshold", self.test_threshold, least=0)
        check_number("SpikingConv", "stop", self.stop, least=0)
        as_int(self.images, "SpikingConv.images", 0)
        _check_levels("SpikingConv", self.levels)
        if self.channels is not None:
            first, end = _from_zero(self.channels, "SpikingConv.channels")
            if end <= first:
                raise ModelError(f"SpikingConv.channels: {self.channels} (must not be empty)")
            if self.reward is not None:
                raise ModelError("SpikingConv.channels: sees all where it is taught by reward")
        kinds = {"pool": Pool | None, "rule": UnsupervisedRule, "reward": RewardSTDP | None}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise ModelError(f"SpikingConv.{name}: {getattr(self, name)!r} (must be a {kind})")
        if self.reward is not None and self.levels is not None:
            raise ModelError(
                f"SpikingConv.levels: {self.levels} with SpikingConv.reward (one of them must be "
                "None: rewards follow the answers of the weights as they are trained)"
            )
        if self.reward is not None and self.competition.map_first:
            raise ModelError("SpikingConv.reward: given (must be None with Competition.map_first)")

    @property
    def inference_threshold(self) -> float:
        """Return the threshold of the trained layer."""
        return self.threshold if self.test_threshold is None else self.test_threshold

    def conv_shape(self, shape: Shape) -> Shape:
        """Return (height, width, maps) before pooling; ModelError when no window fits."""
        rows, columns = window_grid("SpikingConv", shape, self.shape, self.stride, self.padding)
        down, right = self.crop  # type: ignore[misc]
        if rows <= down or columns <= right:
            raise ModelError(f"SpikingConv.crop: {self.crop} (leaves nothing of {rows}x{columns})")
        return rows - down, columns - right, self.maps

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, maps) behind the pooling."""
        self.weight_shape(shape)
        inner = self.conv_shape(shape)
        return inner if self.pool is None else self.pool.output_shape(inner)

    def weight_shape(self, shape: Shape) -> tuple[int, int, int, int]:
        """Return (maps, channels, kh, kw); ModelError when the input has not these channels."""
        first, end = (0, shape[2]) if self.channels is None else self.channels
        if end > shape[2]:
            raise ModelError(
                f"SpikingConv.channels: {self.channels} (the last must be at most {shape[2]}, the "
                "channels of the input)"
            )
        return self.maps, end - first, *self.shape  # type: ignore[misc]


@dataclass(frozen=True)
class Branches:
    """Declare layers side by side over the same input; `pool` follows where they meet again.

    merge: "beside" joins their maps in order; the others need as many maps in each and let a unit
    fire with the first of its spikes in all branches ("or"), with the last once all have fired
    ("and"), or with each of them ("add"). All outputs must have the same height and width.
    """

    layers: tuple[SpikingConv, ...]
    pool: Pool | None = None
    merge: Literal["beside", "or", "and", "add"] = "beside"

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice("Branches", "merge", self.merge, ("beside", "or", "and", "add"))
        if self.merge == "add" and self.pool is not None:
            raise ModelError("Branches.pool: units fire once behind it (must be None with 'add')")

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, maps); ModelError when the branches do not fit together."""
        shapes = [layer.output_shape(shape) for layer in self.layers]
        if len({inner[:2] for inner in shapes}) != 1:
            grids = ", ".join(f"{rows}x{columns}" for rows, columns, _ in shapes)
            raise ModelError(f"Branches: outputs of {grids} (must be equal in height and width)")
        maps = [inner[2] for inner in shapes]
        if self.merge != "beside" and len(set(maps)) != 1:
            raise ModelError(f"Branches: {maps} maps (must be equal to be merged by {self.merge})")
        joined = (*shapes[0][:2], sum(maps) if self.merge == "beside" else maps[0])
        return joined if self.pool is None else self.pool.output_shape(joined)


@dataclass(frozen=True)
class SpikingDecision:
    """Declare a convolutional decision layer: the class of the map with the highest potential.

    `per_class` maps for each class (map m belongs to class ``m // per_class``); no threshold: all
    units are compared after the last step; silence has no class (-1). epochs: over all images.
    alternate: where the convolution below learns from the reward too, batches teach one of the two
    in turn, that below first in even epochs; else both learn from each image.
    """

    per_class: int
    shape: int | Pair
    padding: int | Pair = 0
    rule: RewardSTDP = field(default_factory=RewardSTDP)
    epochs: int = 10
    alternate: bool = False

    def __post_init__(self) -> None:
        """Normalise and check every value."""
        _set(
            self,
            per_class=as_int(self.per_class, "SpikingDecision.per_class"),
            shape=as_pair(self.shape, "SpikingDecision.shape"),
            padding=_from_zero(self.padding, "SpikingDecision.padding"),
        )
        as_int(self.epochs, "SpikingDecision.epochs")


@dataclass(frozen=True)
class MajorityVote:
    """Declare convolutional decision layers side by side over the same input, each with one vote.

    One head for each window of `shapes`, all of `per_class` maps for each class and with the same
    padding and rule, each taught on its own vote; adaptive rates follow the common answer. That is
    the class with most votes; where several have as many, the one that head number `tie` (from 0)
    votes for, if it is among them, else that of the first head that does. Silent heads do not vote;
    if all are silent the answer is -1.
    """

    per_class: int
    shapes: tuple[int | Pair, ...]
    padding: int | Pair = 0
    tie: int = 0
    rule: RewardSTDP = field(default_factory=RewardSTDP)
    epochs: int = 10

    def __post_init__(self) -> None:
        """Check every value."""
        as_int(self.epochs, "MajorityVote.epochs")
        if len(self.heads) < 2:
            raise ModelError(f"MajorityVote.shapes: {self.shapes!r} (must be two or more)")
        if not as_int(self.tie, "MajorityVote.tie", 0) < len(self.heads):
            raise ModelError(
                f"MajorityVote.tie: {self.tie} (must be in 0..{len(self.heads) - 1}, a head)"
            )

    @property
    def heads(self) -> tuple[SpikingDecision, ...]:
        """Return the decision layers."""
        return tuple(
            SpikingDecision(self.per_class, shape, self.padding, self.rule, self.epochs)
            for shape in self.shapes
        )


@dataclass(frozen=True)
class DenseDecision:
    """Declare a fully connected decision layer of `per_class` neurons for each class.

    The class is that of the neuron with the highest potential; with S2STDP, that whose earliest
    neurons are earliest on average. levels: when asked, weights taught by the paired rule are
    rounded to k / levels of rule.w_max (None: they are not). The training images are distorted in
    all epochs but the last `clean_epochs`, which show them as they are.
    """

    per_class: int = 1
    rule: RewardSTDP | HitMissSTDP | PairedRule | S2STDP = field(default_factory=PairedRule)
    epochs: int = 8
    levels: int | None = None
    distortion: Distortion = field(default_factory=Distortion)
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        _check_levels("DenseDecision", self.levels)
        if self.levels is not None and not isinstance(self.rule, PairedRule):
            raise ModelError("DenseDecision.levels: only of the paired rule (must be None)")
        as_int(self.per_class, "DenseDecision.per_class")
        as_int(self.epochs, "DenseDecision.epochs")
        if not isinstance(self.distortion, Distortion):
            raise ModelError(
                f"DenseDecision.distortion: {self.distortion!r} (must be a Distortion)"
            )
        if as_int(self.clean_epochs, "DenseDecision.clean_epochs", 0) > self.epochs:
            raise ModelError(
                f"DenseDecision.clean_epochs: {self.clean_epochs} (must be at most the epochs, "
                f"{self.epochs})"
            )

    @property
    def distorted_epochs(self) -> int:
        """Return how many epochs show distorted images: the first ones."""
        return self.epochs - self.clean_epochs if self.distortion.changes else 0


@dataclass(frozen=True)
class LinearSVM:
    """Declare a linear support vector machine on the last layer's features.

    features: "fired" (0 or 1) or "latency" (steps left at the first spike, as a share of all).
    levels: weights and offsets are rounded to k / levels of the largest weight (None: not).
    """

    C: float = 0.005
    features: Literal["fired", "latency"] = "fired"
    max_iter: int = 10000
    levels: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        _check_levels("LinearSVM", self.levels)
        check_number("LinearSVM", "C", self.C, above=0)
        check_choice("LinearSVM", "features", self.features, ("fired", "latency"))
        as_int(self.max_iter, "LinearSVM.max_iter")


Stage: TypeAlias = SpikingConv | Branches
Readout: TypeAlias = LinearSVM | SpikingDecision | MajorityVote | DenseDecision
