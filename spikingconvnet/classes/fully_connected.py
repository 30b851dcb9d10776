"""The fully connected winner-take-all network: one layer of leaky neurons with adaptive thresholds.

Source of every default: the public program Simple-SNN (Osnabrueck, 2022), as far as its behaviour
is known. Where that program is known to be wrong, `legacy` brings its behaviour back.
"""

from dataclasses import dataclass, field
from typing import Any

from spikingconvnet.algorithms.indexing import as_int
from spikingconvnet.classes.neurons import check_number
from spikingconvnet.errors import ModelError

LABELS = ("last", "most", "share")


@dataclass(frozen=True)
class ReceptiveRate:
    """Send regular spikes at rates of pixels behind a 5 x 5 on-centre receptive field.

    The field weighs a pixel by its Manhattan distance (`field`, 0 to 4; farther than 3 is 4's);
    zeros beyond the border; over 255. Values from the image's least to its greatest become 1 to
    `most` spikes in `steps` steps, one every ``ceil(steps / rate)``; values of 0 or less send none.
    """

    steps: int = 350
    most: int = 50
    field: tuple[float, ...] = (1.0, 0.625, 0.125, -0.125, -0.5)

    def __post_init__(self) -> None:
        """Check every value."""
        as_int(self.steps, "ReceptiveRate.steps")
        if not 1 < as_int(self.most, "ReceptiveRate.most") <= self.steps:
            raise ModelError(f"ReceptiveRate.most: {self.most} (must be in 2..{self.steps})")
        if len(self.field) != 5:
            raise ModelError(f"ReceptiveRate.field: {self.field} (must be five numbers)")


@dataclass(frozen=True)
class AdaptiveLIF:
    """Describe a neuron with linear leak and a threshold that rises with every spike.

    Per step: ``v += sum w s``; above v_rest, v sinks by `leak`, and the threshold, where above
    v_thresh, by `thresh_down`. A winner sets v to v_reset and raises its threshold by `thresh_up`;
    the others go to v_lost; all rest for `tau_refrac` steps.
    """

    v_rest: float = -70.0
    v_thresh: float = -55.0
    v_reset: float = -90.0
    v_lost: float = -100.0
    leak: float = 0.8
    thresh_up: float = 1.0
    thresh_down: float = 0.4
    tau_refrac: int = 15

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("v_rest", "v_thresh", "v_reset", "v_lost"):
            check_number("AdaptiveLIF", name, getattr(self, name))
        for name in ("leak", "thresh_up", "thresh_down"):
            check_number("AdaptiveLIF", name, getattr(self, name), least=0)
        as_int(self.tau_refrac, "AdaptiveLIF.tau_refrac", 0)
        if not self.v_thresh > max(self.v_rest, self.v_reset, self.v_lost):
            raise ModelError(f"AdaptiveLIF.v_thresh: {self.v_thresh} (must be above the others)")


@dataclass(frozen=True)
class WindowRule:
    """Describe STDP of the winner by the spikes in a short window before its own.

    An input that fired d steps before (0 <= d <= `window`): ``w += rate A_plus exp(-d / tau) (w_max
    - w)^mu``, and it is spared for the rest of the image; others: ``w -= rate A_minus exp(-1 / tau)
    (w - w_min)^mu``. Weights start at w_init_mean, with a normal spread of w_init_sd.
    """

    rate: float = 0.01
    A_plus: float = 0.3
    A_minus: float = 0.8
    tau: float = 5.0
    window: int = 5
    mu: float = 0.9
    w_min: float = 1e-5
    w_max: float = 1.0
    w_init_mean: float = 1.0
    w_init_sd: float = 0.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("rate", "tau", "mu"):
            check_number("WindowRule", name, getattr(self, name), above=0)
        for name in ("A_plus", "A_minus", "w_init_sd"):
            check_number("WindowRule", name, getattr(self, name), least=0)
        for name in ("w_min", "w_max", "w_init_mean"):
            check_number("WindowRule", name, getattr(self, name))
        as_int(self.window, "WindowRule.window", 0)
        if not self.w_max > self.w_min:
            raise ModelError(f"WindowRule.w_max: {self.w_max} (must be above {self.w_min})")


@dataclass(frozen=True)
class FullyConnected:
    """Declare the layer: `neurons` that see every pixel, of which one wins at a time.

    epochs: over the training images. homeostasis: added to the threshold of a neuron for every win
    in training, kept for all later images (0: thresholds start anew with each image, as in the
    original). legacy: a resting winner fires on at its stale potential, as in the original.
    """

    neurons: int = 800
    neuron: AdaptiveLIF = field(default_factory=AdaptiveLIF)
    rule: WindowRule = field(default_factory=WindowRule)
    epochs: int = 3
    homeostasis: float = 0.0
    legacy: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("neurons", "epochs"):
            as_int(getattr(self, name), f"FullyConnected.{name}")
        check_number("FullyConnected", "homeostasis", self.homeostasis, least=0)


@dataclass(frozen=True)
class FullyConnectedModel:
    """Describe the whole network: encoder, layer; the label of a neuron is its class.

    label: "last" (the class of the image it won last, as in the original), "most" (the class at
    whose images it fires most) or "share" (as most, but every spike votes for all classes, as the
    neuron's spikes at training images were shared among them). ann_epochs: of a dense network of
    the same size, trained by back-propagation on the same images for comparison (0: none).
    """

    name: str
    source: str
    encoder: ReceptiveRate
    layer: FullyConnected
    label: str = "most"
    ann_epochs: int = 5

    def __post_init__(self) -> None:
        """Check every value."""
        if self.label not in LABELS:
            raise ModelError(
                f"FullyConnectedModel.label: {self.label!r} (must be one of {', '.join(LABELS)})"
            )
        as_int(self.ann_epochs, "FullyConnectedModel.ann_epochs", 0)

    def tensors(self, image_shape: Any) -> list[tuple[int, int, int]]:
        """Return the shapes of input and layer."""
        return [(*image_shape, 1), (1, 1, self.layer.neurons)]
