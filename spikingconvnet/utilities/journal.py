"""Remember the commands that made a run directory, so that they can be given again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from spikingconvnet.errors import StorageError
from spikingconvnet.utilities.storage import RunDirectory

COMMANDS = "commands.json"


def record(
    run: RunDirectory, words: Sequence[str], seconds: float, now: datetime | None = None
) -> None:
    """Add a command that ended well, when it did and how long it took."""
    entry = {
        "words": list(words),
        "ended": (now or datetime.now()).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
    }
    run.save_json(COMMANDS, {"commands": [*recorded(run), entry]}, "command line")


def recorded(run: RunDirectory) -> list[dict[str, Any]]:
    """Give all commands in order; none where the file is absent or damaged."""
    try:
        found = run.load_json(COMMANDS, ("commands",))["commands"]
    except StorageError:
        return []
    return [one for one in found if isinstance(one, dict) and "words" in one]
