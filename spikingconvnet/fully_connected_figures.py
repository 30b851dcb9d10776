"""Figures of the fully connected network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.window_learning import Trace
from spikingconvnet.prediction import Chosen
from spikingconvnet.report import Sheet

MOST = 100
"""Neurons whose weights are drawn: those that won most often."""
RIVALS = 3
FRAME_STEPS = 10
"""Steps between two frames of the animation."""


def after_training(
    sheet: Sheet,
    weights: NDArray[np.float64],
    initial: NDArray[np.float64],
    winners: NDArray[np.int64],
    shape: tuple[int, int],
) -> list[Path]:
    """Draw the weights of the neurons that won most, and how all weights are spread."""
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import plots, wave_plots

    wins = np.bincount(winners[winners >= 0], minlength=len(weights))
    some = np.argsort(-wins, kind="stable")[:MOST]
    files = sheet.axes(
        "weights_of_neurons",
        lambda ax: plots.tiles(
            ax, weights[some].reshape(-1, *shape), [str(one) for one in some], "weight",
            f"Weights of the {len(some)} neurons that won most", sheet.origin, cmap="viridis",
        ),
        (6.4, 6.0),
    )  # fmt: skip
    return files + sheet.axes(
        "weight_histogram",
        lambda ax: wave_plots.weight_histogram(ax, weights, initial, "Weights", sheet.origin),
        (6.8, 3.6),
    )


def after_readout(
    sheet: Sheet,
    history: NDArray[np.float64],
    of_neurons: NDArray[np.int64],
    names: Sequence[str],
) -> list[Path]:
    """Draw how well winners would have answered while they learned, and what neurons stand for.

    `history` (blocks, 4): images shown, shares of right, wrong and silent answers.
    """
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import wave_plots

    files = sheet.axes(
        "training_history",
        lambda ax: wave_plots.history(
            ax, {"winner": history[:, 1:]}, "Label of the winner while it learned", sheet.origin,
            f"presentations (of {history[-1, 0]:,.0f}, in {len(history)} blocks)",
        ),
        (7.2, 3.8),
    )  # fmt: skip
    counts = [int(np.sum(of_neurons == place)) for place in range(len(names))]
    return files + sheet.axes(
        "neurons_of_classes",
        lambda ax: wave_plots.bars(
            ax, [f"class {name}" for name in names], counts, "neurons", "Neurons of each class",
            sheet.origin,
        ),
        (6.0, 1.2 + 0.3 * len(names)),
    )  # fmt: skip


def show(
    sheet: Sheet,
    picture: Chosen,
    gaps: NDArray[np.int32],
    trace: Trace,
    votes: NDArray[np.float64] | None,
    names: Sequence[str],
) -> list[Path]:
    """Draw rates, potentials and thresholds while one picture is seen; write an animation."""
    from spikingconvnet.utilities import animation, plots, wave_plots

    shape, steps = picture.pixels.shape, len(trace.winner)
    counts = np.where(gaps > 0, steps // np.maximum(gaps, 1), 0).reshape(shape)
    files = sheet.axes(
        "show_input",
        lambda ax: plots.activity_maps(
            ax, counts[None], f"{picture.title[-30:]}: spikes of each pixel", sheet.origin
        ),
        (5.0, 4.0),
    )
    spikes = np.bincount(trace.winner[trace.winner >= 0], minlength=trace.potentials.shape[1])
    order = np.argsort(-(1e6 * spikes + trace.potentials.max(axis=0)), kind="stable")
    some = [int(one) for one in order[: RIVALS + 1]]
    files += sheet.figure(
        "show_potentials",
        lambda fig: wave_plots.adaptive_potentials(
            fig, trace.potentials, trace.thresholds, trace.winner, some,
            "Potentials and thresholds", sheet.origin,
        ),
        (8.0, 1.6 * len(some) + 1.0),
    )  # fmt: skip
    at = np.arange(FRAME_STEPS, steps + 1, FRAME_STEPS)
    fired = trace.winner[:, None] == np.arange(len(trace.weights))
    wins = fired.cumsum(axis=0)[at - 1]
    bars = None if votes is None else animation.Bars("Votes", wins @ votes, tuple(names))
    panels = _panels(picture, gaps, trace, at, wins)
    frames = animation.render(panels, bars, at.tolist(), picture.title[-40:], sheet.origin)
    return [*files, animation.save(sheet.folder / "show_animation.gif", frames)]


def _panels(
    picture: Chosen,
    gaps: NDArray[np.int32],
    trace: Trace,
    at: NDArray[np.int64],
    wins: NDArray[np.int64],
) -> list[Any]:
    """Return what the animation shows after the steps `at`; `wins` (frames, neurons) so far."""
    from spikingconvnet.utilities import animation

    shape, neurons = picture.pixels.shape, wins.shape[1]
    sent = at[:, None] // np.maximum(gaps, 1) * (gaps > 0)
    still = np.repeat(picture.pixels[None].astype(np.float64), len(at), axis=0)
    side = int(np.ceil(np.sqrt(neurons)))
    square = np.zeros((len(at), side * side))
    square[:, :neurons] = wins
    winner = np.zeros((len(at), *shape))
    for frame, step in enumerate(at):
        before = trace.winner[:step][trace.winner[:step] >= 0]
        if before.size:
            winner[frame] = trace.weights[before[-1]].reshape(shape)
    return [
        animation.Panel("Picture", still, colours="gray_r"),
        animation.Panel("Spikes of pixels", sent.reshape(-1, *shape)),
        animation.Panel("Spikes of neurons", square.reshape(-1, side, side)),
        animation.Panel("Weights of the winner", winner, colours="viridis"),
    ]
