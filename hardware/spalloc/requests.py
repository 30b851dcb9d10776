"""Reading what clients of a spalloc server send; what cannot be read is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from .machine import Request

_MOST: Final = 1e9
"""Largest number that is taken for a number of seconds; 30 years."""


class Refused(ValueError):
    """A command that cannot be carried out, and why."""


def read_command(line: bytes) -> tuple[str, list[Any], dict[str, Any]]:
    """Read a line: the command, its arguments and its keyword arguments."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise Refused(f"{type(message).__name__} (must be an object with a command)")
    fields: dict[str, tuple[type, Any]] = {
        "command": (str, None),
        "args": (list, []),
        "kwargs": (dict, {}),
    }
    for field, (kind, default) in fields.items():
        value = message.setdefault(field, default)
        if not isinstance(value, kind):
            raise Refused(f"{field}: {value!r:.100} (must be a {kind.__name__})")
    return message["command"], message["args"], message["kwargs"]


def read_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
    """Read the arguments of `create_job`: none, boards, width and height, or x, y and z."""
    numbers = tuple(whole("create_job", value) for value in args)
    shapes: dict[int, dict[str, Any]] = {
        0: {},
        1: {"boards": numbers and numbers[0]},
        2: {"triads": numbers},
        3: {"board": numbers},
    }
    if len(args) not in shapes:
        raise Refused(f"create_job: {len(args)} numbers (must be 0 to 3)")
    read: dict[str, Any] = {}
    for key, value in kwargs.items():
        if key not in _RESTRICTIONS:
            raise Refused(f"create_job: {key:.100} (valid: {', '.join(sorted(_RESTRICTIONS))})")
        if value is not None:
            read[key] = _RESTRICTIONS[key](key, value)
    if read.keys() >= {"machine", "tags"}:
        raise Refused("create_job: machine and tags (only one of them can be given)")
    ratio = read.get("min_ratio", 0.0)
    return Request(
        **shapes[len(args)],
        min_ratio=1 / ratio if ratio > 1 else ratio,
        torus=read.get("require_torus", False),
        machine=read.get("machine"),
        tags=read.get("tags", ()),
    )


def whole(what: str, value: Any) -> int:
    """Give a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{what}: {value!r:.100} (must be a whole number)")
    return value


def number(what: str, value: Any) -> float:
    """Give a number of at least 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise Refused(f"{what}: {value!r:.100} (must be a number, 0 to {_MOST:.0f})")
    return float(value)


def name(what: str, value: Any) -> str | None:
    """Give a name, or None."""
    if not isinstance(value, str | None):
        raise Refused(f"{what}: {value!r:.100} (must be a name)")
    return value


def _names(what: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(f"{what}: {value!r:.100} (must be a list of names)")
    return tuple(value)


def _flag(what: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{what}: {value!r:.100} (must be true or false)")
    return value


_RESTRICTIONS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "machine": name,
    "tags": _names,
    "min_ratio": number,
    "require_torus": _flag,
    # Within an allocation nothing is ever dead.
    "max_dead_boards": number,
    "max_dead_links": number,
}
