"""Figures of a run. Each function draws on the Axes (for panels, the Figure) given and returns it.

Kernels, images and feature maps are tiles of one mosaic on one Axes, so that 64 kernels or 2,000
are drawn alike. A figure that holds nothing else is given the size that suits its tiles.
Every function takes a ``title`` and an ``origin``, the words that say where the result came from.
Nothing is shown and no pyplot state is used: `save` writes the files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import UsageError
from spikingconvnet.utilities.storage import atomic

FORMATS = ("png", "svg")
INK, PALE = "0.25", "0.55"
PRE, POST = "#2b6cb0", "#c53030"
"""Colours of text, of frames, of what comes first or is right, of what comes last or is wrong."""
_TILE_PX = 24  # tiles are enlarged to this, so that gaps can be a fraction of a coarse pixel
_FEWEST_PT = 4.5  # text smaller than this is left out
_TILE_IN = 1.4  # the most a tile measures on paper
_HIGHEST_IN = 8.2
_WIDEST_IN = 5.6  # of a mosaic, without its colour bar
_MOST_PATTERNS = 49
_MOST_TILES = 2000  # of several input channels; more would be a pixel each
_MOST_PANELS = 12


class Trains(Protocol):
    """Be the spikes of a population: neuron and time (ms) of each, and the number of neurons."""

    @property
    def neurons(self) -> np.ndarray: ...  # noqa: D102

    @property
    def times(self) -> np.ndarray: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102


def figure(width: float = 6.4, height: float = 4.4) -> Figure:
    """Make a figure (inches) that lays out its parts by itself."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07))


def save(fig: Figure, path: str | Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write a figure as ``path`` with each format's ending; give the files.

    The same figure gives the same bytes. UsageError for a format other than png and svg.
    """
    for kind in formats:
        if kind not in FORMATS:
            raise UsageError(f"figure format: {kind!r} (must be one of {', '.join(FORMATS)})")
    whole = Path(path)
    stem = whole.stem if whole.suffix[1:] in FORMATS else whole.name
    paths = []
    for kind in formats:
        target = whole.with_name(f"{stem}.{kind}")
        with matplotlib.rc_context({"svg.hashsalt": "spikingconvnet"}), atomic(target) as handle:
            metadata = {"Date": None} if kind == "svg" else None
            fig.savefig(handle, format=kind, dpi=160, facecolor="white", metadata=metadata)
        paths.append(target)
    return paths


def _sign(fig: Any, origin: str) -> None:
    """Put the origin into the lower right corner."""
    if origin:
        fig.supxlabel(origin, x=0.99, ha="right", fontsize=7, color=PALE)


def finish(ax: Axes, title: str, origin: str) -> Axes:
    """Give an Axes its title, and its figure the words that say where it came from."""
    ax.set_title(title, loc="left", fontsize=11, color=INK)
    ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
    _sign(ax.figure, origin)
    return ax


def open_frame(ax: Axes) -> None:
    """Take the frame away above and to the right."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(PALE)


def _inches(ax: Axes) -> tuple[float, float]:
    """Give the width and height of the page that an Axes is on."""
    box = ax.figure.bbox
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def _is_sole(ax: Axes) -> bool:
    return isinstance(ax.figure, Figure) and ax.figure.axes == [ax]


def _fit(ax: Axes, width: float, height: float, left: float, bottom: float) -> None:
    """Size a figure that holds only this Axes around an image of width by height (inches).

    The margins are set here because matplotlib's own layout does not settle for images with a
    colour bar. Right and above there is room for the bar and the title.
    """
    if isinstance(ax.figure, Figure) and _is_sole(ax):
        page = max(left + width + 1.0, 3.6), bottom + height + 0.4
        ax.figure.set_layout_engine("none")
        ax.figure.set_size_inches(*page)
        ax.set_position((left / page[0], bottom / page[1], width / page[0], height / page[1]))


def _colour_bar(ax: Axes, picture: Any, label: str, width: float) -> None:
    """Put a colour bar beside an image ``width`` inches wide, as high as the image."""
    cax = ax.inset_axes((1 + 0.1 / width, 0, 0.13 / width, 1))
    bar = ax.figure.colorbar(picture, cax=cax)
    bar.set_label(label, fontsize=8, color=INK)
    bar.outline.set_visible(False)
    cax.tick_params(labelsize=7.5, color=PALE, labelcolor=INK)
    cax.yaxis.set_major_locator(MaxNLocator(5))


# ---- mosaics ---------------------------------------------------------------------------------


def _columns(tiles: int, height: int, width: int) -> int:
    """Choose how many tiles stand side by side: about 1.5 times as wide as high, few left over."""
    wanted = float(np.clip(np.sqrt(1.5 * tiles * height / width), 1, tiles))
    near = range(max(1, int(0.7 * wanted)), min(tiles, int(np.ceil(1.3 * wanted))) + 1)
    return min(near, key=lambda columns: (-tiles % columns, abs(columns - wanted)))


def _mosaic(
    ax: Axes,
    tiles: np.ndarray,
    columns: int,
    labels: Sequence[str],
    bar: str,
    margins: tuple[float, float] = (0.12, 0.32),
    **look: Any,
) -> tuple[list[float], list[float]]:
    """Draw tiles (n, height, width) row by row; give the centres of its columns and rows.

    ``margins`` are the inches kept free left and below.
    """
    count, height, width = tiles.shape
    zoom = -(-_TILE_PX // max(height, width))
    tall, wide = height * zoom, width * zoom
    gap = max(2, round(0.1 * min(max(tall, wide), 2 * min(tall, wide))))
    rows, across = -(-count // columns), columns * (wide + gap) - gap
    room = _WIDEST_IN if _is_sole(ax) else 0.75 * _inches(ax)[0] * ax.get_position().width
    mosaic_in = min(room, across * _TILE_IN / max(tall, wide))
    points = 72 * mosaic_in / across  # per pixel of the canvas
    font = float(np.clip(0.3 * wide * points, _FEWEST_PT, 8.0))
    labels = labels if 0.5 * wide * points >= _FEWEST_PT else ()
    above = gap + round(1.25 * font / points) if labels else gap
    first = above - gap if labels else 0
    canvas = np.full((first + rows * (tall + above) - above, across), np.nan)
    corners = []
    for index, tile_values in enumerate(tiles):
        y, x = first + (index // columns) * (tall + above), (index % columns) * (wide + gap)
        canvas[y : y + tall, x : x + wide] = np.kron(tile_values, np.ones((zoom, zoom)))
        corners.append((y, x))
    mosaic_in = min(mosaic_in, _HIGHEST_IN * across / len(canvas))
    _fit(ax, mosaic_in, mosaic_in * len(canvas) / across, *margins)
    picture = ax.imshow(np.ma.masked_invalid(canvas), interpolation="nearest", **look)
    edge: dict[str, Any] = {"fill": False, "clip_on": False, "edgecolor": PALE, "linewidth": 0.4}
    for y, x in corners if count <= 256 else ():
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), wide, tall, **edge))
    word: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": font, "color": INK}
    for (y, x), text in zip(corners, labels, strict=False):
        ax.text(x + wide / 2, y - 1.0, text, **word)
    ax.set_anchor("W")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    _colour_bar(ax, picture, bar, mosaic_in)
    return [x + wide / 2 for _, x in corners[:columns]], [
        y + tall / 2 for y, _ in corners[::columns]
    ]


def _number_axis(ax: Axes, axis: str, centres: Sequence[float], name: str) -> None:
    """Number rows or columns from 1, leaving out numbers where they would touch."""
    step = -(-len(centres) // 24)
    places, words = list(centres)[::step], [str(i + 1) for i in range(0, len(centres), step)]
    if axis == "x":
        ax.set_xticks(places, words)
        ax.set_xlabel(name, fontsize=8, color=INK)
    else:
        ax.set_yticks(places, words)
        ax.set_ylabel(name, fontsize=8, color=INK)
    ax.tick_params(length=0)


def _kernel_mosaic(ax: Axes, weights: np.ndarray, bar: str, **look: Any) -> Axes:
    kernels, channels, height, width = weights.shape
    if channels == 1:
        labels = [str(index + 1) for index in range(kernels)] if kernels > 1 else []
        columns = _columns(kernels, height, width)
        _mosaic(ax, weights[:, 0], columns, labels, bar, **look)
        return ax
    names = ("kernel", "input channel")
    grid = weights
    if kernels > channels:
        grid, names = weights.swapaxes(0, 1), names[::-1]
    columns = grid.shape[1]
    tiles = grid.reshape(-1, height, width)
    across, down = _mosaic(ax, tiles, columns, [], bar, margins=(0.55, 0.72), **look)
    _number_axis(ax, "x", across, names[1])
    _number_axis(ax, "y", down, names[0])
    return ax


def checked(name: str, value: Any, axes: int) -> np.ndarray:
    """Return a value as an array of so many axes, none empty; UsageError otherwise."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != axes or array.size == 0:
        raise UsageError(f"{name}: shape {array.shape} (must have {axes} axes, none of them empty)")
    return array


def kernels(
    ax: Axes,
    weights: Any,
    limits: tuple[float, float] | None = None,
    title: str = "Kernels",
    origin: str = "",
    unit: str = " (nA)",
) -> Axes:
    """Draw weights (kernels, channels, height, width) in nA, one tile per kernel and channel.

    ``limits`` are the ends of the colour scale (default: least and greatest weight). Of many
    kernels with many channels the first are drawn.
    """
    values = checked("weights", weights, 4)
    shown = values[: max(1, _MOST_TILES // values.shape[1])]
    if len(shown) < len(values):
        title = f"{title} ({len(shown)} of {len(values):,})"
        values = shown
    low, high = limits or (values.min(), values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    _kernel_mosaic(ax, values, f"weight{unit}", cmap="viridis", vmin=low, vmax=high)
    return finish(ax, title, origin)


def weight_changes(ax: Axes, change: Any, title: str = "Weight changes", origin: str = "") -> Axes:
    """Draw weights after minus before (kernels, channels, height, width) in nA; white is 0."""
    values = checked("change", change, 4)
    most = float(np.abs(values).max())
    if not most:
        title, most = f"{title} (none)", 1.0
    _kernel_mosaic(ax, values, "change (nA)", cmap="RdBu_r", vmin=-most, vmax=most)
    return finish(ax, title, origin)


def input_patterns(
    ax: Axes,
    images: Any,
    labels: Any = None,
    title: str = "Input patterns",
    origin: str = "",
) -> Axes:
    """Draw images (n, height, width), 0..255, with their labels; at most the first 49."""
    values = checked("images", images, 3)
    shown = values[:_MOST_PATTERNS]
    if len(shown) < len(values):
        title = f"{title} ({len(shown)} of {len(values):,})"
    words = [str(label) for label in labels][: len(shown)] if labels is not None else []
    columns = _columns(*shown.shape)
    _mosaic(ax, shown, columns, words, "intensity (0..255)", cmap="gray_r", vmin=0, vmax=255)
    return finish(ax, title, origin)


def tiles(
    ax: Axes,
    values: Any,
    words: Sequence[str] = (),
    bar: str = "",
    title: str = "",
    origin: str = "",
    wrong: Sequence[int] = (),
    **look: Any,
) -> Axes:
    """Draw values (n, height, width) as tiles with a word above each; those `wrong` in red.

    ``look``: options of imshow, such as cmap, vmin and vmax; ``bar``: what the colours mean.
    """
    shown = checked("tiles", values, 3)
    before = len(ax.texts)
    _mosaic(ax, shown, _columns(*shown.shape), list(words), bar, **look)
    for place in wrong if len(ax.texts) > before else ():
        ax.texts[before + place].set_color(POST)
    return finish(ax, title, origin)


def activity_maps(
    ax: Axes, counts: Any, title: str = "Spikes per feature map", origin: str = ""
) -> Axes:
    """Draw spike counts (maps, height, width) of one image, or their mean over images."""
    values = checked("counts", counts, 3)
    silent = not values.any()
    labels = [str(index + 1) for index in range(len(values))] if 1 < len(values) <= 100 else []
    columns = _columns(*values.shape)
    most = 1.0 if silent else float(values.max())
    _mosaic(ax, values, columns, labels, "spikes per image", cmap="magma", vmin=0, vmax=most)
    return finish(ax, f"{title} (no spikes)" if silent else title, origin)


# ---- spikes and voltages ---------------------------------------------------------------------


def _time_scale(end_ms: float) -> tuple[float, str]:
    return (1000.0, "time (s)") if end_ms > 5000 else (1.0, "time (ms)")


def _draw_spikes(ax: Axes, trains: Trains, colour: str, scale: float, label: str) -> None:
    """Draw one tick per spike, as high as a neuron's room or more where that is little."""
    reach = max(0.4, trains.size / 250)
    ax.vlines(
        np.asarray(trains.times) / scale,
        np.asarray(trains.neurons) - reach,
        np.asarray(trains.neurons) + reach,
        color=colour,
        lw=0.8 if len(trains.times) < 5000 else 0.4,
        rasterized=len(trains.times) > 5000,
    )
    ax.set_ylim(trains.size - 0.5, -0.5)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_ylabel(label, fontsize=8.5, color=INK)
    open_frame(ax)
    ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
    ax.text(
        1.0, 1.01, f"{len(trains.times):,} spikes", transform=ax.transAxes, ha="right", va="bottom",
        fontsize=7.5, color=PALE,
    )  # fmt: skip


def raster(
    fig: Figure,
    trains: Mapping[str, Trains],
    end_ms: float | None = None,
    interval_ms: float | None = None,
    title: str = "Spikes",
    origin: str = "",
) -> Figure:
    """Draw the spikes of populations, one panel each, over one time axis; neuron 0 on top.

    The first of two is drawn as presynaptic (blue), the last as postsynaptic (red). ``interval_ms``
    marks the presentations where there are at most 60.
    """
    if not trains:
        raise UsageError("raster: no population (must be at least 1)")
    latest = max((float(np.max(t.times)) for t in trains.values() if len(t.times)), default=1.0)
    end = end_ms or latest
    scale, unit = _time_scale(end)
    heights = [float(np.clip(np.sqrt(t.size), 2, 12)) for t in trains.values()]
    panels = fig.subplots(len(trains), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for index, (ax, (label, spikes)) in enumerate(zip(panels, trains.items(), strict=True)):
        post = index == len(trains) - 1 and len(trains) > 1
        if interval_ms and end / interval_ms <= 60:
            for edge in np.arange(0, end + interval_ms, interval_ms):
                ax.axvline(edge / scale, color="0.88", lw=0.6, zorder=0)
        _draw_spikes(ax, spikes, POST if post else PRE, scale, label)
    panels[-1].set_xlim(0, end / scale)
    panels[-1].set_xlabel(unit, fontsize=8.5, color=INK)
    finish(panels[0], title, origin)
    return fig


def voltages(
    fig: Figure,
    potentials: Any,
    threshold: float | None = None,
    step_ms: float = 1.0,
    lowest: float | None = None,
    spikes: Trains | None = None,
    title: str = "Membrane potential",
    origin: str = "",
    first: int = 0,
) -> Figure:
    """Draw potentials (steps, neurons) in mV, one panel per neuron, at most the first 12.

    The neurons are numbered from ``first``, also in ``spikes``. The dashed line is ``threshold``
    (mV), a mark above it a spike. ``lowest`` (mV) cuts the axis off where inhibition would flatten
    everything else; the title says so.
    """
    values = checked("potentials", potentials, 2)
    steps, neurons = values.shape
    shown = min(neurons, _MOST_PANELS)
    notes = [f"{shown} of {neurons} neurons"] if shown < neurons else []
    bottom = float(values[:, :shown].min())
    if lowest is not None and bottom < lowest:
        notes.append(f"axis cut at {lowest:g} mV, least is {bottom:,.0f}")
        bottom = lowest
    top = max(float(values[:, :shown].max()), bottom if threshold is None else threshold)
    margin = 0.12 * ((top - bottom) or 1.0)
    scale, unit = _time_scale(steps * step_ms)
    time = np.arange(steps) * step_ms / scale
    if not fig.axes:
        fig.set_size_inches(fig.get_figwidth(), float(np.clip(0.75 * shown + 1.2, 2.8, 10.0)))
    panels = fig.subplots(shown, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for neuron, ax in enumerate(panels):
        ax.plot(time, values[:, neuron], color=PRE, lw=0.9)
        if threshold is not None:
            ax.axhline(threshold, color=POST, lw=0.8, ls=(0, (4, 3)))
        if spikes is not None:
            mine = np.asarray(spikes.times)[np.asarray(spikes.neurons) == first + neuron] / scale
            height = np.full(len(mine), top + 0.5 * margin)
            (marks,) = ax.plot(mine, height, ls="", marker="v", ms=3.5, color=POST, clip_on=False)
            marks.set_in_layout(False)  # unclipped and empty, it would count as lying at the corner
        open_frame(ax)
        ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
        ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.text(
            1.005, 0.5, f"neuron {first + neuron}", transform=ax.transAxes, va="center", fontsize=8,
            color=INK,
        )  # fmt: skip
    panels[0].set_ylim(bottom - margin, top + margin)
    panels[-1].set_xlim(0, max(float(time[-1]), 1e-9))
    panels[-1].set_xlabel(unit, fontsize=8.5, color=INK)
    fig.supylabel("membrane potential (mV)", fontsize=8.5, color=INK)
    if threshold is not None:
        panels[-1].text(
            0.005, threshold, f"threshold {threshold:g} mV", fontsize=7, color=POST, va="bottom",
            transform=panels[-1].get_yaxis_transform(),
        )  # fmt: skip
    finish(panels[0], "\n".join([title, *notes]), origin)
    return fig


# ---- results ---------------------------------------------------------------------------------


def confusion_matrix(
    ax: Axes,
    matrix: Any,
    classes: Sequence[Any],
    title: str = "Confusion matrix",
    origin: str = "",
) -> Axes:
    """Draw counts (true, predicted); colour and percentage are shares of the true class."""
    counts = checked("matrix", matrix, 2)
    size = len(classes)
    if counts.shape != (size, size):
        raise UsageError(f"matrix: {counts.shape} (must be ({size}, {size}), as classes)")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = float(np.clip(0.55 * size, 2.2, 6.0))
    longest = max(len(str(name)) for name in classes)
    _fit(ax, side, side, 0.5 + 0.07 * longest, 0.72 + (0.05 * longest if longest > 3 else 0))
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    room = (side if _is_sole(ax) else 0.7 * min(_inches(ax))) * 72 / size  # points per cell
    font = min(9.0, room / 4.2)
    for row, column in np.ndindex(size, size):
        share, count = shares[row, column], int(counts[row, column])
        if font < _FEWEST_PT or (not count and size > 4):
            continue
        text = f"{100 * share:.0f} %" if room < 30 else f"{100 * share:.0f} %\n{count}"
        ink = "white" if share > 0.55 else INK
        ax.text(column, row, text, ha="center", va="center", fontsize=font, color=ink)
    every = range(0, size, -(-size // 30))
    ax.set_xticks(every, [str(classes[place]) for place in every])
    ax.set_yticks(every, [str(classes[place]) for place in every])
    if longest > 3:
        ax.tick_params(axis="x", rotation=40)
        for tick in ax.get_xticklabels():
            tick.set_horizontalalignment("right")
    ax.set_xlabel("predicted class", fontsize=9, color=INK)
    ax.set_ylabel("true class", fontsize=9, color=INK)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _colour_bar(ax, picture, "share of the true class", side)
    overall = np.trace(counts) / max(counts.sum(), 1)
    return finish(ax, f"{title}: {100 * overall:.1f} % right", origin)


def spikes_per_class(
    ax: Axes,
    counts: Any,
    labels: Any,
    classes: Sequence[int] | None = None,
    title: str = "Spikes per class",
    origin: str = "",
) -> Axes:
    """Draw the spikes per image of each class: a dot per image, a bar for the mean.

    ``counts`` is (images, neurons) or (images,), ``labels`` (images,).
    """
    values = np.asarray(counts, dtype=np.float64)
    totals = values.reshape(len(values), -1).sum(axis=1) if values.size else values.reshape(-1)
    of = np.asarray(labels)
    if totals.shape != of.shape:
        raise UsageError(f"labels: shape {of.shape} (must be ({len(totals)},), one per image)")
    order = np.unique(of).tolist() if classes is None else list(classes)
    for place, label in enumerate(order):
        mine = totals[of == label]
        mean = float(mine.mean()) if mine.size else 0.0
        ax.bar(place, mean, width=0.7, color=PRE, alpha=0.28, zorder=1)
        ax.plot([place - 0.35, place + 0.35], [mean, mean], color=PRE, lw=1.6, zorder=3)
        spread = np.linspace(-0.26, 0.26, mine.size) if mine.size > 1 else np.zeros(mine.size)
        ax.plot(place + spread, mine, ls="", marker="o", ms=2.2, color=PRE, alpha=0.6, mew=0)
        ax.annotate(
            f"{mean:,.4g}", (place, max(mine, default=0.0)), (0, 4), textcoords="offset points",
            ha="center", fontsize=7.5, color=INK,
        )  # fmt: skip
    ax.set_xticks(range(len(order)), [str(c) for c in order])
    ax.set_xlabel("class", fontsize=9, color=INK)
    ax.set_ylabel("spikes per image (number above: mean)", fontsize=9, color=INK)
    ax.set_ylim(0, max(float(totals.max(initial=0.0)) * 1.12, 1.0))
    ax.tick_params(axis="x", length=0)
    open_frame(ax)
    return finish(ax, title, origin)
