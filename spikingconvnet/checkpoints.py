"""Go on from a checkpoint of the same step, and from no other."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from spikingconvnet.errors import BoardError, DataError, SpikingConvNetError, StorageError
from spikingconvnet.job import Job

# What `restore` functions raise on arrays that are there and readable but not theirs.
_DAMAGE = (StorageError, DataError, KeyError, IndexError, TypeError, ValueError)


def identity(*parts: Any) -> str:
    """Return a short name of all that decides how a training goes: records, numbers, arrays."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr((part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()[:16]


def resumed(job: Job, name: str, wanted: str, restore: Callable[[dict[str, Any]], None]) -> bool:
    """Hand a saved state to `restore` and return True, if there is one of the `wanted` identity.

    Raises StorageError that says what to do when it is damaged.
    """
    if not job.run.has(name):
        return False
    path = job.run.file(name)
    try:
        state = job.run.load_arrays(name, ("identity",))
        if str(state["identity"]) != wanted:
            job.say(f"{path}: of other settings or data, not used")
            return False
        restore(state)
    except _DAMAGE as error:
        what = str(error).removeprefix(f"{path}: ")
        raise StorageError(
            f"{path}: damaged checkpoint, {what} (delete it to train this step from the start; "
            "finished steps are not touched)"
        ) from error
    return True


def save(job: Job, name: str, wanted: str, state: dict[str, Any]) -> None:
    """Save a state under its identity."""
    job.run.save_arrays(name, **{**state, "identity": wanted})


@contextmanager
def told(job: Job, what: str, progress: Callable[[], tuple[int, int]]) -> Iterator[None]:
    """Say what is kept of a step that is stopped or loses its board, and how it goes on.

    `progress` gives how many of `what` are saved, and of how many.
    """
    try:
        yield
    except BoardError as error:
        raise type(error)(f"{error}; {_fate(what, *progress())}") from error
    except SpikingConvNetError:
        raise
    except BaseException as error:
        if progress()[0] or isinstance(error, KeyboardInterrupt):
            job.say(_fate(what, *progress()))
        raise


def _fate(what: str, done: int, total: int) -> str:
    if not done:
        return f"no {what} are done yet; the same command starts again"
    return f"{done:,} of {total:,} {what} are done and kept; the same command goes on after them"


def remove(job: Job, *names: str) -> None:
    """Remove checkpoints that are of no more use."""
    for name in names:
        job.run.file(name).unlink(missing_ok=True)
