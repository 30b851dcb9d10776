"""Pictures that move: panels side by side, one frame per step, as a GIF."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from spikingconvnet.utilities.plots import INK, PALE, PRE, figure
from spikingconvnet.utilities.storage import atomic

FRAME_MS, LAST_MS = 400, 2500
"""How long a frame and the last one are shown."""
_PANEL_IN = 1.75
_ACROSS = 4


@dataclass(frozen=True, eq=False)
class Panel:
    """Hold images (steps, height, width) of one part, drawn in a map of colours from 0 on.

    `signed`: blue below 0, red above.
    """

    title: str
    frames: np.ndarray
    signed: bool = False
    colours: str = "magma"


@dataclass(frozen=True, eq=False)
class Bars:
    """Hold what speaks for each class (steps, classes), and the names of the classes."""

    title: str
    scores: np.ndarray
    names: tuple[str, ...]


def render(
    panels: Sequence[Panel], bars: Bars | None, steps: Sequence[int], title: str, origin: str
) -> list[np.ndarray]:
    """Draw one frame for each of the `steps` as RGB images (height, width, 3) uint8."""
    count = len(panels) + (bars is not None)
    across = min(count, _ACROSS)
    rows = -(-count // across)
    fig = figure(_PANEL_IN * across + 0.3, (_PANEL_IN + 0.3) * rows + 0.55)
    canvas = FigureCanvasAgg(fig)
    axes = list(fig.subplots(rows, across, squeeze=False).flat)
    for ax in axes[count:]:
        ax.set_visible(False)
    updates = [_image(ax, panel) for ax, panel in zip(axes, panels, strict=False)]
    if bars is not None:
        updates.append(_bars(axes[len(panels)], bars))
    fig.supxlabel(origin, x=0.99, ha="right", fontsize=7, color=PALE)
    frames = []
    for frame, step in enumerate(steps):
        for update in updates:
            update(frame)
        words = f"{title}, step {step} of {steps[-1]}"
        fig.suptitle(words, fontsize=10, color=INK, x=0.02, ha="left")
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return frames


def _image(ax: Any, panel: Panel) -> Any:
    most = float(np.abs(panel.frames).max()) or 1.0
    look = ("RdBu_r", -most) if panel.signed else (panel.colours, 0.0)
    shown = ax.imshow(
        panel.frames[0], cmap=look[0], vmin=look[1], vmax=most, interpolation="nearest"
    )
    ax.set_title(panel.title, fontsize=8, color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(PALE)
    return lambda step: shown.set_data(panel.frames[step])


def _bars(ax: Any, bars: Bars) -> Any:
    drawn = ax.barh(range(len(bars.names)), bars.scores[0], color=PALE)
    low, high = float(bars.scores.min()), float(bars.scores.max())
    ax.set_xlim(min(low, 0.0), high if high > min(low, 0.0) else 1.0)
    ax.set_yticks(range(len(bars.names)), bars.names)
    ax.invert_yaxis()
    ax.tick_params(labelsize=6.5, color=PALE, labelcolor=INK)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.set_title(bars.title, fontsize=8, color=INK)

    def update(step: int) -> None:
        best = int(bars.scores[step].argmax())
        answered = bool(bars.scores[step].any())
        for place, bar in enumerate(drawn):
            bar.set_width(bars.scores[step, place])
            bar.set_color(PRE if answered and place == best else PALE)

    return update


def save(path: str | Path, frames: Sequence[np.ndarray]) -> Path:
    """Write frames (height, width, 3) uint8 as a GIF that repeats."""
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    with atomic(path) as handle:
        pictures[0].save(
            handle, format="GIF", save_all=True, append_images=pictures[1:], duration=durations,
            loop=0,
        )  # fmt: skip
    return Path(path)
