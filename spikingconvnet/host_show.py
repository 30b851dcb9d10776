"""What happens in a host model, layer by layer and step by step, while it sees one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet import host_readouts
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import SpikingConv
from spikingconvnet.engine.layers import advance
from spikingconvnet.engine.network import Network
from spikingconvnet.host_lesson import Lesson
from spikingconvnet.prediction import Chosen
from spikingconvnet.report import Sheet

OTHERS = 3
"""Maps whose potentials are drawn beside the one that fires first."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Hold what one layer sent: `spikes` (steps, height, width, maps) counts."""

    name: str
    title: str
    spikes: NDArray[np.int64]

    @property
    def so_far(self) -> NDArray[np.int64]:
        """Return the spikes up to each step, of all maps together (steps, height, width)."""
        return np.asarray(self.spikes.sum(axis=3).cumsum(axis=0))


def draw(
    sheet: Sheet,
    held: Lesson,
    picture: Chosen,
    weights: Sequence[NDArray[np.float64]],
    part: Mapping[str, Any] | None,
) -> list[Path]:
    """Draw all layers and, with the arrays of a read-out, its answer; write an animation."""
    network = Network(held.model, held.shape, weights)
    stages = list(network.stages(picture.pixels[None]))
    layers = _layers(held, stages, weights)
    files = _input_figures(sheet, held, picture, layers[0])
    for seen in layers[1:]:
        files += _layer_figures(sheet, seen)
    for number, stage in enumerate(held.model.layers):
        if isinstance(stage, SpikingConv):
            kernels = weights[_first_of(held, number)]
            files += _potential(sheet, number + 1, stage, stages[number], kernels, layers)
    leads, measure = None, ""
    if part is not None:
        found = host_readouts.ask(held, up_to_each_step(stages[-1]), part)
        # Potentials of all classes grow with every spike: their differences are what counts.
        leads = found.scores - found.scores.mean(axis=1, keepdims=True)
        measure = f"{found.measure}, less the mean"
        files += _lead_figure(sheet, held, leads, measure)
    return [*files, _animation(sheet, held, picture, layers, leads)]


def _first_of(held: Lesson, stage: int) -> int:
    return next(place.number - 1 for place in held.model.places(held.shape) if place.stage == stage)


def spikes_of(waves: Waves) -> NDArray[np.int64]:
    """Return the spikes (steps, height, width, channels) of the only image of some waves."""
    counts = np.zeros((waves.steps, waves.units), np.int64)
    np.add.at(counts, (waves.step, waves.unit), 1)
    return counts.reshape(waves.steps, *waves.shape)


def up_to_each_step(waves: Waves) -> Waves:
    """Return as many images as there are steps: image t holds the spikes up to step t."""
    ends = np.searchsorted(waves.step, np.arange(waves.steps), side="right")
    start = np.concatenate([[0], np.cumsum(ends)]).astype(np.int64)
    taken = np.concatenate([np.arange(end) for end in ends])
    return Waves(waves.shape, waves.steps, start, waves.unit[taken], waves.step[taken])


def _layers(
    held: Lesson, stages: Sequence[Waves], weights: Sequence[NDArray[np.float64]]
) -> list[Seen]:
    """Return what each layer sent; convolutions that pool also before that."""
    seen = [Seen("input", "Encoded image", spikes_of(stages[0]))]
    for number, (stage, before, after) in enumerate(
        zip(held.model.layers, stages, stages[1:], strict=False)
    ):
        name = f"stage_{number + 1}"
        pooled = "Pooled layer" if stage.pool is not None else "Layer"
        if isinstance(stage, SpikingConv) and stage.pool is not None:
            inner = advance(replace(stage, pool=None), before, weights[_first_of(held, number)])
            seen.append(Seen(name, f"Layer {number + 1}", spikes_of(inner)))
            name += "_pooled"
        seen.append(Seen(name, f"{pooled} {number + 1}", spikes_of(after)))
    return seen


def _on_less_off(held: Lesson, seen: Seen) -> NDArray[np.int64]:
    """Return input spikes (steps, height, width), those of off-centre cells counted negative."""
    if not isinstance(held.model.encoder, FilterBank):
        return np.asarray(seen.spikes.sum(axis=3))
    signs = [
        1 if one.sigma_centre < one.sigma_surround else -1 for one in held.model.encoder.filters
    ]
    return np.asarray(seen.spikes @ np.array(signs))


def _input_figures(sheet: Sheet, held: Lesson, picture: Chosen, seen: Seen) -> list[Path]:
    from spikingconvnet.utilities import plots, wave_plots

    files = sheet.axes(
        "show_picture",
        lambda ax: plots.input_patterns(
            ax, picture.pixels[None], title=picture.title[-40:], origin=sheet.origin
        ),
        (4.0, 4.0),
    )
    signed = isinstance(held.model.encoder, FilterBank)
    bar = "spikes of on-centre less off-centre cells" if signed else "spikes"
    return files + sheet.axes(
        "show_input_steps",
        lambda ax: wave_plots.steps(
            ax, _on_less_off(held, seen), bar, signed, "The encoded image, step by step",
            sheet.origin,
        ),
        (6.4, 5.0),
    )  # fmt: skip


def _layer_figures(sheet: Sheet, seen: Seen) -> list[Path]:
    from spikingconvnet.utilities import plots, wave_plots

    origin = sheet.origin
    files = sheet.axes(
        f"show_{seen.name}_steps",
        lambda ax: wave_plots.steps(
            ax, seen.spikes.sum(axis=3), "spikes of all maps", False,
            f"{seen.title}: output, step by step", origin,
        ),
        (6.4, 5.0),
    )  # fmt: skip
    files += sheet.axes(
        f"show_{seen.name}_total",
        lambda ax: plots.activity_maps(
            ax, np.moveaxis(seen.spikes.sum(axis=0), 2, 0), f"{seen.title}: spikes of each map",
            origin,
        ),
        (7.2, 6.0),
    )  # fmt: skip
    return files + sheet.axes(
        f"show_{seen.name}_maps",
        lambda ax: wave_plots.map_by_step(
            ax, seen.spikes.sum(axis=(1, 2)).T, f"{seen.title}: spikes per map and step", origin
        ),
        (6.0, 4.8),
    )


def potentials(
    layer: SpikingConv, waves: Waves, kernels: NDArray[np.float64], row: int, column: int
) -> NDArray[np.float64]:
    """Return the potentials (steps, maps) at one position: sums of the weights of spikes so far."""
    down, right = layer.stride  # type: ignore[misc]
    (top, left), (cut_down, cut_right) = layer.padding, layer.crop  # type: ignore[misc]
    height, width = kernels.shape[2:]
    padded = np.pad(spikes_of(waves), ((0, 0), (top, top), (left, left), (0, 0)))
    y, x = (row + cut_down) * down, (column + cut_right) * right
    window = padded[:, y : y + height, x : x + width].cumsum(axis=0)
    return np.einsum("tyxc,mcyx->tm", window, kernels)


def _potential(
    sheet: Sheet,
    number: int,
    layer: SpikingConv,
    entering: Waves,
    kernels: NDArray[np.float64],
    layers: Sequence[Seen],
) -> list[Path]:
    """Draw the potentials where a layer fires first."""
    from spikingconvnet.utilities import wave_plots

    spikes = next(seen for seen in layers if seen.name == f"stage_{number}").spikes
    if not spikes.any():
        return []
    step, row, column, fired = (int(place) for place in np.argwhere(spikes)[0])
    values = potentials(layer, entering, kernels, row, column)
    others = [one for one in np.argsort(-values[step]) if one != fired][:OTHERS]
    threshold = layer.inference_threshold
    return sheet.axes(
        f"show_stage_{number}_potential",
        lambda ax: wave_plots.potential(
            ax, {f"map {one + 1}": values[:, one] for one in [fired, *others]}, threshold, step,
            f"Layer {number}: potentials at row {row}, column {column}", sheet.origin,
        ),
        (6.0, 4.0),
    )  # fmt: skip


def _lead_figure(
    sheet: Sheet, held: Lesson, leads: NDArray[np.float64], measure: str
) -> list[Path]:
    from spikingconvnet.utilities import wave_plots

    return sheet.axes(
        "show_readout",
        lambda ax: wave_plots.class_scores(
            ax, leads, held.images.names, measure, "Read-out, step by step", sheet.origin
        ),
        (6.0, 4.0),
    )  # fmt: skip


def _animation(
    sheet: Sheet,
    held: Lesson,
    picture: Chosen,
    layers: Sequence[Seen],
    leads: NDArray[np.float64] | None,
) -> Path:
    """Write all layers, filling with spikes as the steps go by."""
    from spikingconvnet.utilities import animation

    steps = len(layers[0].spikes)
    still = np.repeat(picture.pixels[None].astype(np.float64), steps, axis=0)
    panels = [animation.Panel("Picture", still, colours="gray_r")]
    signed = isinstance(held.model.encoder, FilterBank)
    sent = _on_less_off(held, layers[0]).cumsum(axis=0)
    panels.append(animation.Panel("Encoded: on less off" if signed else "Encoded", sent, signed))
    panels += [animation.Panel(seen.title, seen.so_far) for seen in layers[1:]]
    bars = None
    if leads is not None:
        bars = animation.Bars("Read-out", leads, held.images.names)
    title = f"{held.model.name}: {picture.title[-40:]}"
    frames = animation.render(panels, bars, range(steps), title, sheet.origin)
    return animation.save(sheet.folder / "show_animation.gif", frames)
