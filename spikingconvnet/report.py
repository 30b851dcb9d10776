"""Figures and verdicts: what the results of a step look like, and whether they can be right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.algorithms import spike_trains
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.model import Stage
from spikingconvnet.classes.network import Activity, Trained
from spikingconvnet.utilities.metrics import Metrics
from spikingconvnet.utilities.storage import LayerWeights

SHOWN_WINDOWS = 40
"""Presentations shown in a raster."""
SHOWN_MS = 500
"""Length of the potentials shown."""


@dataclass(frozen=True)
class Sheet:
    """Write figures of one origin into one folder, in the formats asked for."""

    folder: Path
    formats: Sequence[str]
    origin: str

    def axes(self, name: str, draw: Callable[[Any], Any], size: tuple[float, float]) -> list[Path]:
        """Save the figure that `draw` makes on one Axes."""
        return self.figure(name, lambda fig: draw(fig.subplots()), size)

    def figure(
        self, name: str, draw: Callable[[Any], Any], size: tuple[float, float]
    ) -> list[Path]:
        """Save the figure that `draw` makes of a whole Figure; nothing without formats."""
        if not self.formats:
            return []
        from spikingconvnet.utilities import plots

        fig = plots.figure(*size)
        draw(fig)
        return plots.save(fig, self.folder / name, self.formats)


def input_figures(sheet: Sheet, images: np.ndarray, labels: Sequence[str]) -> list[Path]:
    """Draw some of the training images."""
    from spikingconvnet.utilities import plots

    return sheet.axes(
        "input_patterns",
        lambda ax: plots.input_patterns(ax, images, labels, origin=sheet.origin),
        (6.4, 6.0),
    )


def weight_figures(sheet: Sheet, number: int, weights: LayerWeights) -> list[Path]:
    """Draw the kernels of a layer and how training changed them."""
    from spikingconvnet.utilities import plots

    kernels = sheet.axes(
        f"kernels_layer_{number}",
        lambda ax: plots.kernels(
            ax, weights.weights, title=f"Kernels of layer {number}", origin=sheet.origin
        ),
        (6.4, 4.8),
    )
    changes = sheet.axes(
        f"weight_changes_layer_{number}",
        lambda ax: plots.weight_changes(
            ax, weights.change, title=f"Weight changes of layer {number}", origin=sheet.origin
        ),
        (6.4, 4.8),
    )
    return [*kernels, *changes]


def training_figures(
    sheet: Sheet,
    number: int,
    layer: ConvLayer,
    windows: SpikeTrains,
    count: int,
    trained: Trained,
) -> list[Path]:
    """Draw what went in and out during the last of `count` windows, and the potentials."""
    from spikingconvnet.utilities import plots

    shown = min(SHOWN_WINDOWS, count)
    start, length = (count - shown) * layer.window_ms, shown * layer.window_ms
    pieces = {
        "inputs": spike_trains.window(windows, start, start + length),
        f"layer {number}": spike_trains.window(trained.spikes, start, start + length),
    }
    files = sheet.figure(
        f"raster_layer_{number}",
        lambda fig: plots.raster(
            fig,
            pieces,
            length,
            layer.window_ms,
            title=f"Training layer {number}: the last {shown} windows",
            origin=sheet.origin,
        ),
        (8.0, 5.0),
    )
    values = trained.voltages.values
    if values.size:
        step = float(np.diff(trained.voltages.times[:2])[0]) if len(values) > 1 else 1.0
        files += sheet.figure(
            f"voltages_layer_{number}",
            lambda fig: plots.voltages(
                fig,
                values[: int(SHOWN_MS / step)],
                threshold=layer.train_neuron.v_thresh,
                step_ms=step,
                lowest=2 * layer.train_neuron.v_rest - layer.train_neuron.v_thresh,
                title=f"Training layer {number}: membrane potentials",
                origin=sheet.origin,
            ),
            (8.0, 6.0),
        )
    return files


def activity_figures(
    sheet: Sheet, stages: Sequence[Stage], activity: Activity, images: int, prefix: str = ""
) -> list[Path]:
    """Draw the mean spike count of every map of every layer."""
    from spikingconvnet.utilities import plots

    files = []
    for stage in stages:
        height, width, maps = stage.output_shape
        trains = activity.spikes[stage.name]
        mean = np.bincount(trains.neurons, minlength=trains.size) / images
        counts = mean.reshape(maps, height, width)
        files += sheet.axes(
            f"{prefix}activity_{stage.name}",
            lambda ax, counts=counts, stage=stage: plots.activity_maps(  # type: ignore[misc]
                ax, counts, title=f"{stage.name}: spikes per feature map", origin=sheet.origin
            ),
            (7.2, 6.0),
        )
    return files


def testing_figures(
    sheet: Sheet,
    stages: Sequence[Stage],
    activity: Activity,
    features: np.ndarray,
    labels: np.ndarray,
    metrics: Metrics,
) -> list[Path]:
    """Draw confusion matrix, spikes per class, potentials and activity of a test."""
    from spikingconvnet.utilities import plots

    files = sheet.axes(
        "confusion_matrix",
        lambda ax: plots.confusion_matrix(
            ax, metrics.confusion, metrics.names, origin=sheet.origin
        ),
        (6.4, 5.6),
    )
    files += sheet.axes(
        "spikes_per_class",
        lambda ax: plots.spikes_per_class(
            ax, features, labels, metrics.classes, origin=sheet.origin
        ),
        (7.2, 4.4),
    )
    files += activity_figures(sheet, stages, activity, len(labels))
    for stage in stages:
        files += potential_figures(sheet, stage, activity)
    return files


def raster_figure(sheet: Sheet, activity: Activity, interval_ms: float) -> list[Path]:
    """Draw all spikes of every layer while one image was shown."""
    from spikingconvnet.utilities import plots

    return sheet.figure(
        "show_raster",
        lambda fig: plots.raster(
            fig, activity.spikes, interval_ms, title="One image", origin=sheet.origin
        ),
        (8.0, 6.0),
    )


def potential_figures(
    sheet: Sheet, stage: Stage, activity: Activity, prefix: str = ""
) -> list[Path]:
    """Draw the potentials of the neurons that were watched."""
    from spikingconvnet.utilities import plots

    watched = activity.voltages.get(stage.name)
    if watched is None or not watched.values.size:
        return []
    spikes = spike_trains.cut(activity.spikes[stage.name], 0, SHOWN_MS)
    return sheet.figure(
        f"{prefix}voltages_{stage.name}",
        lambda fig: plots.voltages(
            fig,
            watched.values[:SHOWN_MS],
            threshold=stage.layer.neuron.v_thresh,
            spikes=spikes,
            title=f"{stage.name}: membrane potentials",
            origin=sheet.origin,
            first=watched.first,
        ),
        (8.0, 6.0),
    )


def timing_verdicts(accounts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line if a real board could not have kept up, by what the software board counted."""
    late = [account for account in accounts if account["overruns"]]
    if late:
        worst = max(late, key=lambda account: account["most_instructions"])
        ticks = sum(account["overruns"] for account in late)
        yield (
            f"real time: {len(late)} of {len(accounts)} programs had more instructions than cycles "
            f"in a tick ({ticks} ticks; most {worst['most_instructions']:,} of "
            f"{worst['period_cycles']:,}, {worst['program']} on core {worst['x']},{worst['y']},"
            f"{worst['core']}): a real board would overrun (put fewer neurons on a core, or slow "
            "time down)"
        )


def training_verdicts(
    number: int, layer: ConvLayer, fired: np.ndarray, trained: LayerWeights
) -> Iterator[str]:
    """Yield one line per sign that training a layer went wrong, with the next step to take.

    `fired` (kernels,): spikes of each neuron while it learnt.
    """
    name = f"layer {number}"
    if not fired.any():
        yield (
            f"{name}: no neuron fired, so nothing was learnt (lower train_neuron v_thresh, raise "
            "rule w_init_mean, or show more windows)"
        )
    elif not fired.all():
        yield (
            f"{name}: {int((fired == 0).sum())} of {layer.kernels} kernels never fired (show more "
            "windows, or give train_neuron a longer tau_refrac so that winners step back)"
        )
    if fired.any() and not trained.change.any():
        yield f"{name}: training changed no weight (raise rule A_plus and A_minus)"
    rule, weights = layer.rule, trained.weights
    near = 0.01 * (rule.w_max - rule.w_min)
    for bound, place in ((rule.w_max, "greatest"), (rule.w_min, "least")):
        if np.all(np.abs(weights - bound) <= near):
            yield (
                f"{name}: every weight is at its {place} value {bound:g} nA (change the balance of "
                "rule A_plus and A_minus)"
            )


ADVICE = {
    "late": "spikes came late (fewer neurons on a core, or slow time down)",
    "dropped": "packets dropped by routers (slow time down; on a real board, turn reinjection on)",
    "lost": "packets lost by full input buffers (fewer neurons on a core, or slow time down)",
    "overruns": "ticks took longer than 1 ms (fewer neurons on a core, or slow time down)",
    "saturated": "sums of weights were too large for their 16 bits (fewer levels, or inputs)",
    "zeroed": "weights are 0 in the 16 bits of the board (larger ones, or fewer inputs at a time)",
    "clipped": "weights are larger than 16 bits hold (smaller ones, or fewer levels)",
}
"""What each fault of a board means, and the next step to take."""


def fault_verdicts(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each fault that was counted on the board."""
    yield from (f"{what}: {counts[what]:,} {ADVICE[what]}" for what in ADVICE if counts.get(what))


def activity_verdicts(stages: Sequence[Stage], activity: Activity, images: int) -> Iterator[str]:
    """Yield one line per layer that is silent or nearly so."""
    for stage in stages:
        count = len(activity.spikes[stage.name])
        if count == 0:
            yield (
                f"{stage.name}: no spike at all in {images:,} images (lower its neuron v_thresh; "
                "is the layer below active?)"
            )
        elif count < images:
            yield f"{stage.name}: {count / images:.2f} spikes per image (lower its neuron v_thresh)"


def testing_verdicts(metrics: Mapping[str, Metrics]) -> Iterator[str]:
    """Yield one line per reason to distrust a test."""
    trained, control = metrics["trained"], metrics["control"]
    chance = 1 / len(trained.classes)
    if trained.accuracy <= 1.5 * chance:
        yield f"accuracy {trained.accuracy:.1%} is about chance ({chance:.1%})"
    if trained.accuracy < control.accuracy:
        yield (
            f"untrained kernels do better ({control.accuracy:.1%} against {trained.accuracy:.1%}): "
            "learning did not help here"
        )
