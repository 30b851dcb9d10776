"""Read which parts of a board are dead, and how much memory is left of it.

They are described by a JSON file. All its items are optional:

    {"chips": [[x, y], ...], "cores": [[x, y, core], ...], "links": [[x, y, link], ...],
     "sdram": bytes}

Cores are numbered as programs see them, with the monitor as 0; links are 0 to 5 for E, NE, N, W,
SW and S, and a dead one is dead in both directions; `sdram` is what applications may have on each
chip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import BadDescription

_LISTS: Final = {"chips": "[x, y]", "cores": "[x, y, core]", "links": "[x, y, link]"}


@dataclass(frozen=True)
class Dead:
    """The dead parts of a board; `source` names the file for messages."""

    source: str = "dead parts"
    chips: tuple[tuple[int, int], ...] = ()
    cores: tuple[tuple[int, int, int], ...] = ()
    links: tuple[tuple[int, int, int], ...] = ()
    sdram: int | None = None

    def refuse(self, item: str, found: object, valid: str) -> BadDescription:
        """Make the error for an item."""
        return BadDescription(f"{self.source}: {item}: {json.dumps(found)} ({valid})")


def read_dead(path: str | Path) -> Dead:
    """Read a file of dead parts; BadDescription when it cannot be read as one."""
    source = str(path)
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadDescription(f"{source}: {error.strerror} (must be a JSON file)") from error
    except ValueError as error:
        raise BadDescription(f"{source}: {error} (must be a JSON file)") from error
    names = ", ".join((*_LISTS, "sdram"))
    if not isinstance(found, dict):
        raise BadDescription(f"{source}: a {type(found).__name__} (must be an object of {names})")
    for name in found:
        if name not in _LISTS and name != "sdram":
            raise BadDescription(f"{source}: {name} (must be one of {names})")
    sdram = found.get("sdram")
    if sdram is not None and type(sdram) is not int:
        raise Dead(source).refuse("sdram", sdram, "must be a number of bytes")
    lists = {name: _entries(source, name, found.get(name, [])) for name in _LISTS}
    return Dead(source, sdram=sdram, **lists)


def _entries(source: str, name: str, found: object) -> Any:
    """Make tuples of one list of the file."""
    form = _LISTS[name]
    if not isinstance(found, list):
        raise Dead(source).refuse(name, found, f"must be a list of {form}")
    for item in found:
        whole = isinstance(item, list) and all(type(number) is int for number in item)
        if not whole or len(item) != len(form.split(",")):
            raise Dead(source).refuse(name, item, f"must be {form}, whole numbers")
    return tuple(tuple(item) for item in found)
