"""What a board did with a deployment: saved batch by batch, so that one that is stopped goes on.

Each batch is one file, whole or not at all. As a batch begins and ends in silence, what is kept and
what is shown later make the same result as one run over all images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikingconvnet import checkpoints
from spikingconvnet.algorithms.waves import Waves, join_images
from spikingconvnet.classes.deployed import Deployment
from spikingconvnet.classes.deployed_network import Seen
from spikingconvnet.errors import StorageError
from spikingconvnet.job import Job

PATTERN = "checkpoint_deploy_*.npz"
EVERY = 500
"""Images of a batch, unless CHECKPOINT_EVERY is less; a batch costs about a second of its own."""


@dataclass
class Kept:
    """Hold the batches that are done of a deployment of so many images: what was seen, faults."""

    job: Job
    plan: Deployment
    images: int
    seen: list[Seen] = field(default_factory=list)
    counts: list[Mapping[str, int]] = field(default_factory=list)
    _wanted: str = ""

    @property
    def every(self) -> int:
        """Return the images of a batch."""
        return min(EVERY, self.job.config.checkpoint_every)

    @property
    def done(self) -> int:
        """Return the number of images that are done."""
        return sum(len(batch.labels) for batch in self.seen)

    def load(self, identity: str, origin: str) -> None:
        """Take what an earlier command has kept of the same deployment, and remove all else."""
        self._wanted = checkpoints.identity(
            identity, self.plan.parts, self.images, self.every, origin
        )
        while self.done < self.images and checkpoints.resumed(
            self.job, self._name(), self._wanted, self._restore
        ):
            pass
        if self.done:
            self.job.say(f"deploying: going on from a checkpoint at image {self.done:,}")
        else:
            self.remove()

    def _name(self) -> str:
        return PATTERN.replace("*", f"{len(self.seen):05d}")

    def _restore(self, state: dict[str, Any]) -> None:
        seen = seen_in(self.plan, state)
        if len(seen.labels) != min(self.every, self.images - self.done):
            raise StorageError(f"{len(seen.labels)} images")
        counts = {str(k): int(v) for k, v in zip(state["faults"], state["counts"], strict=True)}
        self.seen.append(seen)
        self.counts.append(counts)

    def add(self, seen: Seen, counts: Mapping[str, int]) -> None:
        """Save a batch that was run."""
        state = arrays_of(seen) | {"faults": list(counts), "counts": list(counts.values())}
        checkpoints.save(self.job, self._name(), self._wanted, state)
        self.seen.append(seen)
        self.counts.append(counts)

    def whole(self) -> tuple[Seen, dict[str, int]]:
        """Return what was seen of all images, and the sums of faults."""
        counts = {what: sum(each[what] for each in self.counts) for what in self.counts[0]}
        return joined(self.seen), counts

    def remove(self) -> None:
        """Remove the files of all batches, which are of no more use."""
        checkpoints.remove(self.job, *(p.name for p in self.job.run.path.glob(PATTERN)))

    def progress(self) -> tuple[int, int]:
        """Return how many images are done, and of how many."""
        return self.done, self.images


def arrays_of(seen: Seen) -> dict[str, Any]:
    """Return what was seen as arrays by name."""
    arrays: dict[str, Any] = {"labels": seen.labels}
    for name, waves in seen.waves.items():
        key = name.replace(" ", "_")
        arrays |= {
            f"{key}_start": waves.start,
            f"{key}_unit": waves.unit,
            f"{key}_step": waves.step,
            f"{key}_strays": seen.strays.get(name, 0),
        }
    return arrays


def seen_in(plan: Deployment, arrays: Mapping[str, Any]) -> Seen:
    """Return what `arrays_of` gave arrays for. KeyError if one is missing."""
    waves, strays = {}, {}
    for part in plan.layers[1:]:
        key = part.name.replace(" ", "_")
        each = (arrays[f"{key}_{name}"] for name in ("start", "unit", "step"))
        waves[part.name] = Waves(part.shape, plan.steps, *each)
        strays[part.name] = int(arrays.get(f"{key}_strays", 0))
    return Seen(waves, np.asarray(arrays["labels"]), strays)


def joined(parts: Sequence[Seen]) -> Seen:
    """Return what was seen of several batches, one after the other."""
    return Seen(
        {name: join_images([part.waves[name] for part in parts]) for name in parts[0].waves},
        np.concatenate([part.labels for part in parts]),
        {name: sum(part.strays[name] for part in parts) for name in parts[0].strays},
    )
