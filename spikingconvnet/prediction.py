"""One picture, one answer: what a trained network says of a file or of a test image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikingconvnet.errors import UsageError
from spikingconvnet.job import Images, Job
from spikingconvnet.utilities.metrics import SILENT

SHOWN_SCORES = 10
"""Classes whose scores are told at most, the highest first."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Hold the picture (height, width) uint8 that was asked for, and its label where it has one."""

    title: str
    pixels: np.ndarray
    label: int | None = None


def chosen(job: Job, images: Images) -> Chosen:
    """Return the picture that --image names: a file, or a test image by its number from 0."""
    request = job.picture
    if request is None:
        raise UsageError("--image: missing (a picture file, or the number of a test image)")
    if request.name.isdecimal() and not Path(request.name).exists():
        number = int(request.name)
        if number >= len(images.test):
            raise UsageError(
                f"--image: {number} (no such file, and test images are 0..{len(images.test) - 1})"
            )
        label = int(images.test_labels[number])
        pixels = 255 - images.test[number] if request.invert else images.test[number]
        return Chosen(f"test image {number}", pixels, label)
    picture = request.picture(images.shape)
    for note in picture.notes:
        job.say(f"{request.name}: {note}")
    return Chosen(request.name, picture.pixels)


def tell(
    job: Job, images: Images, picture: Chosen, label: int, scores: np.ndarray, measure: str
) -> None:
    """Say the class of a picture, the runner-up and by how much, and all scores."""
    for line in _lines(images, picture, label, scores, measure):
        job.say(line)


def _lines(
    images: Images, picture: Chosen, label: int, scores: np.ndarray, measure: str
) -> Iterator[str]:
    truth = "" if picture.label is None else f" (labelled {_name(images, picture.label)})"
    if label == SILENT:
        yield f"{picture.title}{truth}: no answer, the network is silent"
        return
    yield f"{picture.title}{truth}: class {_name(images, label)}"
    ranked = np.argsort(-scores, kind="stable")
    place = images.classes.index(label)
    second = next(int(other) for other in ranked if other != place)
    yield f"runner-up: class {images.names[second]}"
    margin = scores[place] - scores[second]
    yield (
        f"confidence: {measure} {scores[place]:.4g} against {scores[second]:.4g}, margin "
        f"{margin:.4g} (not a probability)"
    )
    shown = ranked[:SHOWN_SCORES]
    yield "scores: " + ", ".join(f"{images.names[one]} {scores[one]:.4g}" for one in shown)


def _name(images: Images, label: int) -> str:
    return images.names[images.classes.index(label)]
