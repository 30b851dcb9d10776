"""How a board differed from its prediction: table, figure, verdicts with the next step to take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.drift import Drift, drift
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import Deployment
from spikingconvnet.report import Sheet
from spikingconvnet.utilities import metrics


@dataclass(frozen=True, eq=False)
class Outcome:
    """Hold drift by layer, share of equal labels, accuracy of host and board on the same images."""

    images: int
    layers: dict[str, Drift]
    agreement: float
    host_accuracy: float
    board_accuracy: float

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers under their names."""
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
            "board_accuracy": self.board_accuracy,
        }

    def as_text(self, origin: str) -> str:
        """Return a table."""
        head = ("layer", "host", "board", "differing", "images equal", "first difference")
        rows = [head, *(_row(name, found) for name, found in self.layers.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        table = "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return (
            f"spikes on the host engine and on the {origin}, {self.images:,} images\n{table}\n"
            f"labels equal {self.agreement:.2%}; accuracy host {self.host_accuracy:.2%}, board "
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
    for what, advice in _ADVICE.items():
        # sPyNNaker 7.4.1 lets packets end at chips that do not want them, where they count as
        # dropped: when all came that should, nothing is wrong.
        if counts.get(what) and not (equal and what == "dropped"):
            yield f"{what}: {counts[what]:,} {advice}"
    if equal:
        yield f"host equals board: every spike of {outcome.images:,} images, and every label"
    elif not any(counts.get(what) for what in _ADVICE):
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


_ADVICE = {
    "late": "spikes came late (fewer neurons on a core, or slow time down)",
    "dropped": "packets dropped by routers (slow time down; on a real board, turn reinjection on)",
    "lost": "packets lost by full input buffers (fewer neurons on a core, or slow time down)",
    "overruns": "ticks took longer than 1 ms (fewer neurons on a core, or slow time down)",
    "saturated": "sums of weights were too large for their 16 bits (fewer levels, or inputs)",
}


def stray_verdicts(strays: Mapping[str, int]) -> Iterator[str]:
    """Yield one line for each layer that fired when no image was shown."""
    for name, count in strays.items():
        if count:
            yield f"{name}: {count:,} spikes between images (was the clearing source heard?)"


def speed_text(speed: Mapping[str, float], images: int) -> str:
    """Say how fast a run was, and what share sPyNNaker took for itself."""
    total, loading = sum(speed.values()), speed["mapping_and_loading_s"]
    return (
        f"{images / total:.2f} images a second in all, {images / speed['running_s']:.2f} while "
        f"running; {total:.0f} s: building {speed['building_s']:.1f}, sPyNNaker's mapping and "
        f"loading {loading:.1f} ({loading / total:.0%}), running {speed['running_s']:.1f}, reading "
        f"{speed['reading_s']:.1f}"
    )


def figure(sheet: Sheet, outcome: Outcome) -> list[Path]:
    """Draw spikes per image, host against board, and how many differ, for each layer."""
    return sheet.figure("drift", lambda fig: _draw(fig, outcome, sheet.origin), (8.0, 6.0))


def _draw(fig: Any, outcome: Outcome, origin: str) -> None:
    from spikingconvnet.utilities import plots

    axes = fig.subplots(2, len(outcome.layers), squeeze=False)
    for (name, found), above, below in zip(outcome.layers.items(), *axes, strict=True):
        top = max(int(found.expected.max(initial=0)), int(found.seen.max(initial=0)), 1)
        above.plot([0, top], [0, top], color="0.7", linewidth=1)
        above.plot(found.expected, found.seen, ".", markersize=3)
        above.set(xlabel="spikes of an image, host", ylabel="board")
        plots.finish(above, name, origin)
        below.plot(found.differing, linewidth=1)
        below.set(xlabel="image", ylabel="spikes that differ", ylim=(0, None))
        plots.finish(below, f"{name}: {int(found.differing.sum()):,} differ", origin)
    fig.suptitle(f"labels equal {outcome.agreement:.2%}")
