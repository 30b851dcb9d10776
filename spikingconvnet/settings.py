"""Records of what a parameter file says, section by section; values out of range are refused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikingconvnet.classes.encoders import (
    DifferenceOfGaussians,
    LatencyEncoder,
    PoissonEncoder,
    RateEncoder,
    RegularEncoder,
)
from spikingconvnet.classes.layers import Classifier, ConvLayer, PoolLayer
from spikingconvnet.classes.model import SpikingConvNet
from spikingconvnet.errors import ConfigError

DATA_SETS = ("mnist", "fashion-mnist", "digits")
FORMATS = ("png", "svg")


def _require(record: Any, name: str, valid: bool, wanted: str) -> None:
    """Raise ConfigError about one attribute of a record unless it is valid."""
    if not valid:
        value = getattr(record, name)
        raise ConfigError(f"{type(record).__name__}.{name}: {value!r} ({wanted})")


@dataclass(frozen=True)
class Data:
    """Say which images are used: data set, classes, images per class (None: all).

    train_ratio: share of the training images that is kept; augment: three copies of those are
    added, turned and flipped (see `datasets.augmented`).
    """

    name: str = "mnist"
    folder: str | None = None
    classes: tuple[int, ...] | None = None
    train_per_class: int | None = 100
    test_per_class: int | None = 100
    train_ratio: float = 1.0
    augment: bool = False

    def __post_init__(self) -> None:
        _require(self, "name", self.name in DATA_SETS, f"must be one of {', '.join(DATA_SETS)}")
        classes = self.classes
        valid = classes is None or (len(classes) > 1 and len(set(classes)) == len(classes))
        _require(self, "classes", valid, "must be two or more different labels, or None for all")
        for name in ("train_per_class", "test_per_class"):
            count = getattr(self, name)
            _require(self, name, count is None or count >= 1, "must be at least 1, or None for all")
        _require(self, "train_ratio", 0 < self.train_ratio <= 1, "must be above 0 and at most 1")


@dataclass(frozen=True)
class Training:
    """Say which windows are shown while a layer learns, and how copies share the work.

    Of each image at most `windows_per_image` windows with at least `min_spikes` input spikes are
    drawn, all where it is None. `images` limits the training images (None: all of them). `copies`
    and `rounds` belong to --mode multi. `sample_ms` is the time between recorded potentials (0:
    none).
    """

    images: int | None = None
    windows_per_image: int | None = 10
    min_spikes: int = 1
    copies: int = 4
    rounds: int = 4
    sample_ms: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "windows_per_image"):
            value = getattr(self, name)
            _require(self, name, value is None or value >= 1, "must be at least 1, or None for all")
        for name in ("copies", "rounds"):
            _require(self, name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("min_spikes", "sample_ms"):
            _require(self, name, getattr(self, name) >= 0, "must be at least 0")


@dataclass(frozen=True)
class Inference:
    """Say how images are shown to the rebuilt network: how many in one run."""

    images_per_run: int = 500

    def __post_init__(self) -> None:
        _require(self, "images_per_run", self.images_per_run >= 1, "must be at least 1")


@dataclass(frozen=True)
class Figures:
    """Say which files figures are written to; none at all without formats."""

    formats: tuple[str, ...] = ("png",)

    def __post_init__(self) -> None:
        valid = set(self.formats) <= set(FORMATS)
        _require(self, "formats", valid, f"must be some of {', '.join(FORMATS)}, or empty for none")


@dataclass(frozen=True)
class Board:
    """Say where the network runs: software, virtual, spalloc:SERVER or a board's host name."""

    name: str = "software"
    version: int = 5

    def __post_init__(self) -> None:
        _require(self, "name", bool(self.name.strip()), "must name a board")
        _require(self, "version", self.version in (3, 5), "must be 3 or 5")


Encoder = RateEncoder | RegularEncoder | PoissonEncoder | LatencyEncoder
Layer = ConvLayer | PoolLayer


@dataclass(frozen=True)
class Config:
    """Hold everything that parameters.py says; `text` is the file as it was read."""

    path: Path
    text: str = field(repr=False)
    data: Data
    encoder: Encoder
    filter: DifferenceOfGaussians | None
    layers: tuple[Layer, ...]
    classifier: Classifier
    training: Training
    inference: Inference
    figures: Figures
    board: Board
    seed: int
    run_dir: Path
    backup: bool
    csv: bool
    model_name: str | None
    overrides: dict[str, Any]
    checkpoint_every: int

    def model(self, image_shape: tuple[int, int]) -> SpikingConvNet:
        """Return the model for images of a (height, width), every layer checked to fit."""
        channels = 1 if self.filter is None else self.filter.channels()
        model = SpikingConvNet((*image_shape, channels), seed=self.seed)
        for layer in self.layers:
            model.add(layer)
        return model.add(self.classifier)
