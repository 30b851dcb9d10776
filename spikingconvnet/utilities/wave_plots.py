"""Figures of networks of the host engine; as in `plots`, each draws on the Axes given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikingconvnet.utilities.plots import (
    INK,
    PALE,
    POST,
    PRE,
    checked,
    finish,
    open_frame,
    tiles,
)

_BINS = 60


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=9, color=INK)
    ax.set_ylabel(y, fontsize=9, color=INK)
    open_frame(ax)


def _legend_beside(ax: Axes) -> None:
    ax.legend(
        fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )


def weight_histogram(
    ax: Axes, weights: Any, initial: Any, title: str = "Weights", origin: str = ""
) -> Axes:
    """Draw how many weights have which value, before and after training."""
    values, before = np.ravel(weights), np.ravel(initial)
    low, high = min(values.min(), before.min()), max(values.max(), before.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for data, colour, name in ((before, PALE, "before"), (values, PRE, "after training")):
        share = np.histogram(data, edges)[0] / len(data)
        ax.stairs(share, edges, color=colour, fill=name == "before", alpha=0.7, label=name)
    _label(ax, "weight", "share of the weights")
    _legend_beside(ax)
    return finish(ax, title, origin)


def convergence(
    ax: Axes,
    trace: Sequence[float],
    every: int,
    stop: float = 0.0,
    title: str = "Convergence",
    origin: str = "",
) -> Axes:
    """Draw the mean of (w - w_min)(w_max - w), looked at every so many images; `stop`: a line."""
    shown = every * np.arange(1, len(trace) + 1)
    ax.plot(shown, trace, color=PRE, lw=1.4)
    if stop:
        ax.axhline(stop, color=POST, lw=0.9, ls=(0, (4, 3)))
        ax.annotate(
            f"stop {stop:g}", (0.99, stop), (0, 3), xycoords=ax.get_yaxis_transform(),
            textcoords="offset points", ha="right", fontsize=7.5, color=POST,
        )  # fmt: skip
    ax.set_ylim(0, None)
    ax.set_xlim(0, max(shown[-1] if len(shown) else 1, 1))
    _label(ax, "images shown", "mean (w - w_min)(w_max - w)")
    return finish(ax, title, origin)


def history(
    ax: Axes,
    shares: Mapping[str, Any],
    title: str = "Training history",
    origin: str = "",
    unit: str = "epoch",
) -> Axes:
    """Draw the shares (epochs, 3) of right, wrong and silent answers of each network, by epoch."""
    styles = {"right": "-", "wrong": (0, (4, 2)), "silent": (0, (1, 1.5))}
    colours = (PRE, PALE, POST)
    for (name, rows), colour in zip(shares.items(), colours, strict=False):
        table = np.asarray(rows, dtype=np.float64)
        epochs = np.arange(1, len(table) + 1)
        for (kind, style), values in zip(styles.items(), table.T, strict=True):
            if values.any():
                ax.plot(
                    epochs, 100 * values, color=colour, ls=style, lw=1.4, marker="o", ms=2.6,
                    label=f"{name}: {kind}",
                )  # fmt: skip
    ax.set_ylim(0, 102)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label(ax, unit, "training images (%)")
    _legend_beside(ax)
    return finish(ax, title, origin)


def spikes_per_layer(
    ax: Axes,
    names: Sequence[str],
    counts: Sequence[float],
    title: str = "Spikes per layer",
    origin: str = "",
) -> Axes:
    """Draw the mean spikes of an image in each layer as bars."""
    whole = f"{title}: {sum(counts):,.4g} in all"
    return bars(ax, names, counts, "spikes per image", whole, origin)


def bars(
    ax: Axes,
    names: Sequence[str],
    counts: Sequence[float],
    unit: str,
    title: str = "",
    origin: str = "",
) -> Axes:
    """Draw one bar for each name, the first on top."""
    places = np.arange(len(names))
    ax.barh(places, counts, color=PRE, alpha=0.75, height=0.62)
    for place, count in zip(places, counts, strict=True):
        ax.annotate(
            f"{count:,.4g}", (count, place), (4, 0), textcoords="offset points", va="center",
            fontsize=8, color=INK,
        )  # fmt: skip
    ax.set_yticks(places, names)
    ax.set_xlim(0, 1.15 * max([*counts, 1e-9]))
    ax.invert_yaxis()
    _label(ax, unit, "")
    ax.tick_params(axis="y", length=0)
    return finish(ax, title, origin)


def predictions(
    ax: Axes,
    images: Any,
    true: Sequence[str],
    predicted: Sequence[str],
    title: str = "Predictions",
    origin: str = "",
) -> Axes:
    """Draw images (n, height, width) with what they were taken for, errors in red."""
    pairs = list(zip(true, predicted, strict=True))
    words = [said if said == truth else f"{said}, is {truth}" for truth, said in pairs]
    wrong = [place for place, (truth, said) in enumerate(pairs) if truth != said]
    right = len(pairs) - len(wrong)
    return tiles(
        ax, images, words, "intensity (0..255)", f"{title}: {right} of {len(pairs)} right", origin,
        wrong, cmap="gray_r", vmin=0, vmax=255,
    )  # fmt: skip


def steps(
    ax: Axes,
    values: Any,
    bar: str,
    signed: bool = False,
    title: str = "",
    origin: str = "",
) -> Axes:
    """Draw one tile per step (steps, height, width), numbered from 0; `signed`: white is 0."""
    shown = checked("steps", values, 3)
    most = float(np.abs(shown).max()) or 1.0
    words = [str(step) for step in range(len(shown))]
    colours, least = ("RdBu_r", -most) if signed else ("magma", 0.0)
    return tiles(ax, shown, words, bar, title, origin, cmap=colours, vmin=least, vmax=most)


def map_by_step(
    ax: Axes, counts: Any, title: str = "Spikes per map and step", origin: str = ""
) -> Axes:
    """Draw spikes (maps, steps) as an image."""
    values = checked("counts", counts, 2)
    most = float(values.max()) or 1.0
    picture = ax.imshow(
        values, aspect="auto", cmap="magma", vmin=0, vmax=most, interpolation="nearest",
        extent=(-0.5, values.shape[1] - 0.5, len(values) + 0.5, 0.5),
    )  # fmt: skip
    bar = ax.figure.colorbar(picture, ax=ax, pad=0.02)
    bar.set_label("spikes", fontsize=8, color=INK)
    bar.ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    bar.ax.tick_params(labelsize=7.5, labelcolor=INK)
    bar.outline.set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    _label(ax, "step", "feature map")
    return finish(ax, title, origin)


def potential(
    ax: Axes,
    traces: Mapping[str, Any],
    threshold: float | None,
    fired: int | None = None,
    title: str = "Membrane potential",
    origin: str = "",
) -> Axes:
    """Draw potentials (steps,) of some units; `fired`: the step in which the first one does."""
    colours = [PRE, "#718096", "#a0aec0", "#cbd5e0"]
    for (name, values), colour in zip(traces.items(), colours, strict=False):
        step = np.arange(len(values))
        ax.step(step, values, where="post", color=colour, lw=1.5, label=name)
    if threshold is not None:
        ax.axhline(threshold, color=POST, lw=0.9, ls=(0, (4, 3)), label=f"threshold {threshold:g}")
    if fired is not None:
        height = float(next(iter(traces.values()))[fired])
        ax.plot([fired], [height], marker="v", color=POST, ms=6, ls="", label="spike")
    _label(ax, "step", "potential")
    _legend_beside(ax)
    return finish(ax, title, origin)


def adaptive_potentials(
    fig: Figure,
    potentials: Any,
    thresholds: Any,
    winner: Any,
    neurons: Sequence[int],
    title: str = "Membrane potential",
    origin: str = "",
) -> Figure:
    """Draw potentials and thresholds (steps, neurons) of some neurons, and when each one wins."""
    panels = fig.subplots(len(neurons), 1, sharex=True, squeeze=False)[:, 0]
    step = np.arange(1, len(winner) + 1)
    for neuron, ax in zip(neurons, panels, strict=True):
        ax.plot(step, potentials[:, neuron], color=PRE, lw=1.0)
        ax.plot(step, thresholds[:, neuron], color=POST, lw=0.9, ls=(0, (4, 3)))
        for won in step[np.asarray(winner) == neuron]:
            ax.axvline(won, color=POST, lw=0.6, alpha=0.6)
        ax.set_ylabel(f"neuron {neuron}", fontsize=8, color=INK)
        open_frame(ax)
        ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
    panels[-1].set_xlabel("step (blue: potential, red: threshold, upright: a win)", fontsize=8.5)
    finish(panels[0], title, origin)
    return fig


def class_scores(
    ax: Axes,
    scores: Any,
    names: Sequence[str],
    measure: str,
    title: str = "Read-out",
    origin: str = "",
) -> Axes:
    """Draw what speaks for each class (steps, classes) as it grows; the winner last is blue."""
    values = checked("scores", scores, 2)
    best = int(values[-1].argmax())
    last = values[-1]
    for place, height in _apart(last, 0.045 * (values.max() - values.min() or 1.0)).items():
        mine = place == best
        ax.plot(values[:, place], color=PRE if mine else PALE, lw=1.8 if mine else 0.8)
        ax.text(
            len(values) - 0.9, height, names[place], va="center", fontsize=8,
            color=PRE if mine else INK, clip_on=False,
        )  # fmt: skip
    _label(ax, "step", measure)
    return finish(ax, title, origin)


def _apart(heights: np.ndarray, room: float) -> dict[int, float]:
    """Return where words at these heights can stand without touching, by place, lowest first."""
    order = np.argsort(heights, kind="stable")
    moved = np.array(heights, dtype=np.float64)[order]
    for at in range(1, len(moved)):
        moved[at] = max(moved[at], moved[at - 1] + room)
    moved -= moved.mean() - heights.mean()
    return {int(place): float(height) for place, height in zip(order, moved, strict=True)}
