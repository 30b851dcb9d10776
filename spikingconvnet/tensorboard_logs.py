"""Logs that TensorBoard shows: histories, convergence, accuracy and figures of a run directory."""

from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import DependencyError, StorageError, UsageError
from spikingconvnet.job import FIGURES, METRICS, READOUT, Job

FOLDER = "tensorboard"
MODES = ("training", "testing")


def check(mode: str) -> None:
    """Refuse before work begins what could not be written after it."""
    if mode not in MODES:
        raise UsageError(f"--tensorboard: not with --mode {mode} (with {' and '.join(MODES)})")
    _writer_type()


def _writer_type() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise DependencyError(
            "--tensorboard: needs the package tensorboardX (pip install tensorboardX)"
        ) from error
    return SummaryWriter


def write(job: Job) -> None:
    """Write all that there is, in place of what was written before."""
    folder = job.run.file(FOLDER)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    with _writer_type()(str(folder)) as writer:
        _write_training(job, writer)
        _write_results(job, writer)
        for path in sorted(job.run.file(FIGURES).glob("*.png")):
            writer.add_image(path.stem, _pixels(path), dataformats="HWC")
    job.say(f"TensorBoard logs: {folder}")


def _write_training(job: Job, writer: Any) -> None:
    """Write the convergence of each layer by image, and the read-out's answers by epoch."""
    for path in sorted(job.run.path.glob("weights_layer_*.npz")):
        number = path.stem.rpartition("_")[2]
        if not number.isdecimal():
            continue
        try:
            found = job.run.load_weights(int(number))
        except StorageError as error:
            job.say(f"not in the logs: {error}")
            continue
        every = int(found.rule.get("trace_every", 1))
        for place, value in enumerate(found.rule.get("trace", []), start=1):
            writer.add_scalar(f"layer_{number}/convergence", value, place * every)
        writer.add_histogram(f"layer_{number}/weights", found.weights.ravel(), 1)
        writer.add_histogram(f"layer_{number}/weights", found.initial.ravel(), 0)
    if job.run.has(READOUT):
        for name, table in job.run.load_arrays(READOUT).items():
            if name.endswith("_history"):
                for epoch, row in enumerate(np.asarray(table), start=1):
                    for kind, value in zip(("right", "wrong", "silent"), row, strict=True):
                        tag = f"read-out/{name.removesuffix('_history')}_{kind}"
                        writer.add_scalar(tag, value, epoch)


def _write_results(job: Job, writer: Any) -> None:
    if not job.run.has(METRICS):
        return
    found = job.run.load_json(METRICS)
    for name in ("trained", "control", "ann"):
        if name in found:
            writer.add_scalar(f"test/{name}_accuracy", found[name]["accuracy"], 0)
            for kind, value in found[name].get("macro", {}).items():
                writer.add_scalar(f"test/{name}_{kind}", value, 0)


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
