"""Figures of the steps of host models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms import latency
from spikingconvnet.algorithms import reconstruction as project
from spikingconvnet.classes.host_model import Place
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import Branches, SpikingConv
from spikingconvnet.host_lesson import Lesson
from spikingconvnet.host_readouts import Answers
from spikingconvnet.report import Sheet
from spikingconvnet.utilities.metrics import SILENT, Metrics
from spikingconvnet.utilities.storage import LayerWeights

EXAMPLES = 10
"""Test images in the figure of predictions, drawn at random."""
MOST_FEATURES = 100
"""Reconstructed features in a figure."""


def after_training(
    sheet: Sheet,
    held: Lesson,
    place: Place,
    weights: LayerWeights,
    below: list[NDArray[np.float64]],
) -> list[Path]:
    """Draw kernels, weights and convergence, and in deeper layers what the kernels stand for."""
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import plots, wave_plots

    number, origin = place.number, sheet.origin
    files = sheet.axes(
        f"kernels_layer_{number}",
        lambda ax: plots.kernels(
            ax, weights.weights, title=f"Kernels of layer {number}", origin=origin, unit=""
        ),
        (6.4, 4.8),
    )
    files += sheet.axes(
        f"weight_histogram_layer_{number}",
        lambda ax: wave_plots.weight_histogram(
            ax, weights.weights, weights.initial, f"Weights of layer {number}", origin
        ),
        (6.0, 3.6),
    )
    if weights.rule["trace"]:
        files += sheet.axes(
            f"convergence_layer_{number}",
            lambda ax: wave_plots.convergence(
                ax, weights.rule["trace"], weights.rule["trace_every"], place.layer.stop,
                f"Convergence of layer {number}", origin,
            ),
            (6.0, 3.6),
        )  # fmt: skip
    pictures = reconstructed(held, place, weights.weights, below)
    if place.stage or isinstance(held.model.encoder, FilterBank):
        files += _draw_features(sheet, number, pictures)
    return files


def _draw_features(sheet: Sheet, number: int, pictures: NDArray[np.float64]) -> list[Path]:
    from spikingconvnet.utilities import plots

    shown = pictures[:MOST_FEATURES]
    # Each picture is scaled by itself: units with many strong synapses would hide the others.
    scaled = shown / np.maximum(np.abs(shown).max(axis=(1, 2), keepdims=True), 1e-12)
    rest = f" ({len(shown)} of {len(pictures):,})" if len(shown) < len(pictures) else ""
    words = [str(index + 1) for index in range(len(shown))]
    return sheet.axes(
        f"features_layer_{number}",
        lambda ax: plots.tiles(
            ax, scaled, words, "light (1) or dark (-1), each scaled",
            f"What the kernels of layer {number} stand for{rest}", sheet.origin,
            cmap="gray", vmin=-1, vmax=1,
        ),
        (6.4, 6.0),
    )  # fmt: skip


def reconstructed(
    held: Lesson, place: Place, weights: NDArray[np.float64], below: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return what the kernels of a convolution stand for in the image (maps, height, width)."""
    encoder = held.model.encoder
    features = project.of_input(encoder.output_shape(held.shape)[2])
    used = 0
    for stage in held.model.layers[: place.stage]:
        layers = stage.layers if isinstance(stage, Branches) else (stage,)
        parts = [
            _through(features, layer, kernels)
            for layer, kernels in zip(layers, below[used : used + len(layers)], strict=True)
        ]
        used += len(layers)
        features = _merged(stage, parts)
    features = project.through_convolution(features, weights, *_windows(place.layer))
    filters = []
    if isinstance(encoder, FilterBank):
        filters = [
            latency.dog_kernel(one.size, one.sigma_centre, one.sigma_surround, encoder.kernel)
            for one in encoder.filters
        ]
    return project.in_pixels(features, filters)


def _windows(layer: SpikingConv) -> Any:
    return layer.stride, layer.padding


def _through(
    features: project.Features, layer: SpikingConv, kernels: NDArray[np.float64]
) -> project.Features:
    found = project.through_convolution(features, kernels, *_windows(layer))
    found = project.cropped(found, layer.crop)  # type: ignore[arg-type]
    return _pooled(found, layer.pool)


def _pooled(features: project.Features, pool: Any) -> project.Features:
    if pool is None:
        return features
    return project.through_pooling(features, pool.shape, pool.stride, pool.padding)


def _merged(stage: Any, parts: list[project.Features]) -> project.Features:
    """Return the features behind a stage: joined, or summed map by map."""
    if not isinstance(stage, Branches):
        return parts[0]
    joined = project.beside(parts)
    if stage.merge != "beside":
        maps = len(joined.values) // len(parts)
        summed = joined.values.reshape(len(parts), maps, *joined.values.shape[1:]).sum(axis=0)
        joined = project.Features(summed, joined.step, joined.origin)
    return _pooled(joined, stage.pool)


def after_readout(sheet: Sheet, histories: Mapping[str, Any]) -> list[Path]:
    """Draw the answers of the decision layer while it was taught."""
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import wave_plots

    return sheet.axes(
        "training_history",
        lambda ax: wave_plots.history(
            ax, histories, "Answers while the read-out was taught", sheet.origin
        ),
        (7.2, 3.8),
    )


def layer_names(held: Lesson) -> list[str]:
    """Return what the counts of `Network.run` are of: the input, then each stage."""
    names = ["input"]
    for number, stage in enumerate(held.model.layers, start=1):
        branches = stage.layers if isinstance(stage, Branches) else ()
        names.append(f"stage {number}")
        if any(part.pool is not None for part in (stage, *branches)):
            names.append(f"stage {number}, pooled")
    return names


def after_test(
    sheet: Sheet, held: Lesson, judged: Metrics, answers: Answers, spikes: list[float]
) -> list[Path]:
    """Draw confusion matrix, spikes per layer, and some predictions."""
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import wave_plots

    files = sheet.axes(
        "spikes_per_layer",
        lambda ax: wave_plots.spikes_per_layer(
            ax, layer_names(held), spikes, "Spikes of an image", sheet.origin
        ),
        (6.0, 1.2 + 0.36 * len(spikes)),
    )
    return files + test_figures(sheet, held.images, judged, answers.labels, held.job.rng("data", 2))


def test_figures(
    sheet: Sheet, images: Any, judged: Metrics, labels: NDArray[np.int64], rng: Any
) -> list[Path]:
    """Draw confusion matrix and predictions of random test images."""
    if not sheet.formats:
        return []
    from spikingconvnet.utilities import plots, wave_plots

    files = sheet.axes(
        "confusion_matrix",
        lambda ax: plots.confusion_matrix(ax, judged.confusion, judged.names, origin=sheet.origin),
        (6.4, 5.6),
    )
    some = rng.permutation(len(images.test))[:EXAMPLES]
    named = dict(zip(images.classes, images.names, strict=True)) | {SILENT: "none"}
    return files + sheet.axes(
        "predictions",
        lambda ax: wave_plots.predictions(
            ax, images.test[some], [named[one] for one in images.test_labels[some]],
            [named[one] for one in labels[some]], "Random test images", sheet.origin,
        ),
        (6.4, 4.0),
    )  # fmt: skip
