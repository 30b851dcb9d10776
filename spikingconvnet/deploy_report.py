"""How a board differed from its prediction: table, figure, verdicts with the next step to take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.drift import Drift, drift
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import Deployment
from spikingconvnet.report import Sheet, fault_verdicts
from spikingconvnet.utilities import metrics


@dataclass(frozen=True, eq=False)
class Outcome:
    """Hold drift by layer, share of equal labels, accuracy of host and board on the same images."""

    images: int
    layers: dict[str, Drift]
    agreement: float
    host_accuracy: float
    board_accuracy: float

    def as_dict(self, other: str = "board") -> dict[str, Any]:
        """Return the numbers under their names; `other` is what was held to the host."""
        layers = {
            name: {
                "expected": int(found.expected.sum()),
                "seen": int(found.seen.sum()),
                "differing": int(found.differing.sum()),
                "images_equal": int((found.differing == 0).sum()),
                "first_difference": found.first,
            }
            for name, found in self.layers.items()
        }
        return {
            "images": self.images,
            "layers": layers,
            "label_agreement": self.agreement,
            "host_accuracy": self.host_accuracy,
            f"{other}_accuracy": self.board_accuracy,
        }

    def as_text(self, origin: str, other: str = "board") -> str:
        """Return a table; `other` is what was held to the host."""
        head = ("layer", "host", other, "differing", "images equal", "first difference")
        rows = [head, *(_row(name, found) for name, found in self.layers.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        table = "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return (
            f"spikes on the host engine and on the {origin}, {self.images:,} images\n{table}\n"
            f"labels equal {self.agreement:.2%}; accuracy host {self.host_accuracy:.2%}, {other} "
            f"{self.board_accuracy:.2%}"
        )


def _row(name: str, found: Drift) -> tuple[str, ...]:
    equal = int((found.differing == 0).sum())
    first = "-" if found.first is None else "step {}, image {}".format(*found.first)
    return (
        name, f"{found.expected.sum():,}", f"{found.seen.sum():,}", f"{found.differing.sum():,}",
        f"{equal:,} of {len(found.differing):,}", first,
    )  # fmt: skip


def compare(
    plan: Deployment,
    expected: Mapping[str, Waves],
    expected_labels: NDArray[np.int64],
    seen: Mapping[str, Waves],
    seen_labels: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> Outcome:
    """Compare all layers and the answers."""
    return Outcome(
        len(labels),
        {name: drift(expected[name], waves) for name, waves in seen.items()},
        float(np.mean(expected_labels == seen_labels)),
        metrics.accuracy(labels, expected_labels),
        metrics.accuracy(labels, seen_labels),
    )


def verdicts(plan: Deployment, outcome: Outcome, counts: Mapping[str, int]) -> Iterator[str]:
    """Yield one line for each sign that a run cannot be trusted, with the next step to take."""
    for name, found in outcome.layers.items():
        if not found.seen.any():
            yield f"{name}: no spike at all in {outcome.images:,} images ({_silence(found)})"
    equal = outcome.agreement == 1 and all(found.equal for found in outcome.layers.values())
    # sPyNNaker 7.4.1 lets packets end at chips that do not want them, where they count as dropped:
    # when all came that should, nothing is wrong.
    wrong = {what: n for what, n in counts.items() if n and not (equal and what == "dropped")}
    yield from fault_verdicts(wrong)
    if equal:
        yield f"host equals board: every spike of {outcome.images:,} images, and every label"
    elif not wrong:
        first = next(
            (name for name, found in outcome.layers.items() if not found.equal), "decision"
        )
        yield (
            f"{first}: differs although nothing was lost or late (run the same on --board "
            "software; if that is equal, the board is at fault)"
        )


def _silence(found: Drift) -> str:
    return (
        "the host predicts spikes: is the layer below active?"
        if found.expected.any()
        else "as the host predicts: lower SpikingConv.threshold"
    )


def weight_verdicts(
    layers: Sequence[Any], weights: Sequence[NDArray[Any]], initial: Sequence[NDArray[Any]]
) -> Iterator[str]:
    """Yield one line for each convolution that learnt nothing, or loses kernels when rounded."""
    for number, (layer, now, before) in enumerate(zip(layers, weights, initial, strict=True), 1):
        if layer.images and np.array_equal(now, before):
            yield (
                f"conv {number}: training changed no weight (lower SpikingConv.threshold, or show "
                "more images)"
            )
        whole = board_layers.counts(now, layer.rule.w_max, layer.levels)
        lost = int((~whole.any(axis=(1, 2, 3))).sum())
        if lost:
            yield (
                f"conv {number}: {lost} of {len(whole)} kernels are 0 in {layer.levels} levels "
                "(train them longer, or give SpikingConv.levels more)"
            )


def stray_verdicts(strays: Mapping[str, int]) -> Iterator[str]:
    """Yield one line for each layer that fired when no image was shown."""
    for name, count in strays.items():
        if count:
            yield f"{name}: {count:,} spikes between images (was the clearing source heard?)"


def speed_text(speed: Mapping[str, float]) -> str:
    """Say how fast the images of a command were, and what share sPyNNaker took for itself."""
    images, loading = speed["images"], speed["mapping_and_loading_s"]
    total = sum(seconds for what, seconds in speed.items() if what.endswith("_s"))
    return (
        f"{images / total:.2f} images a second in all, {images / speed['running_s']:.2f} while "
        f"running; {total:.0f} s: building {speed['building_s']:.1f}, sPyNNaker's mapping and "
        f"loading {loading:.1f} ({loading / total:.0%}), running {speed['running_s']:.1f}, reading "
        f"{speed['reading_s']:.1f}"
    )


def figure(sheet: Sheet, outcome: Outcome, name: str = "drift", other: str = "board") -> list[Path]:
    """Draw spikes per image, host against the other, and how many differ, for each layer."""
    return sheet.figure(name, lambda fig: _draw(fig, outcome, sheet.origin, other), (8.0, 6.0))


def _draw(fig: Any, outcome: Outcome, origin: str, other: str) -> None:
    from spikingconvnet.utilities import plots

    axes = fig.subplots(2, len(outcome.layers), squeeze=False)
    for (name, found), above, below in zip(outcome.layers.items(), *axes, strict=True):
        top = max(int(found.expected.max(initial=0)), int(found.seen.max(initial=0)), 1)
        above.plot([0, top], [0, top], color="0.7", linewidth=1)
        above.plot(found.expected, found.seen, ".", markersize=3)
        above.set(xlabel="spikes of an image, host", ylabel=other)
        plots.finish(above, name, origin)
        below.plot(found.differing, linewidth=1)
        below.set(xlabel="image", ylabel="spikes that differ", ylim=(0, None))
        plots.finish(below, f"{name}: {int(found.differing.sum()):,} differ", origin)
    fig.suptitle(f"labels equal {outcome.agreement:.2%}")
