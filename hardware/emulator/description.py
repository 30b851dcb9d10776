"""Check the description of a board, a JSON file in `hardware/boards` (see `layout`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..constants import CORES_PER_CHIP, LINKS
from ..errors import BadDescription

if TYPE_CHECKING:
    from importlib.abc import Traversable

_MOST = 256
"""Chips in either direction: a machine's size is told in bytes."""


def read_description(file: Traversable) -> dict[str, Any]:
    """Read a description; BadDescription when no board can be like that."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadDescription(f"{file}: {error.strerror} (must be a JSON file)") from error
    except ValueError as error:
        raise BadDescription(f"{file}: {error} (must be a JSON file)") from error
    check_description(found, str(file))
    return dict(found)


def check_description(found: Any, source: str = "board description") -> None:
    """Make sure that a description is of a board that there can be; BadDescription if not."""
    if not isinstance(found, dict) or set(found) != set(_FORMS):
        items = sorted(found) if isinstance(found, dict) else found
        raise _refuse(source, "items", items, f"must be an object of {', '.join(_FORMS)}")
    for name, (valid, is_one) in _FORMS.items():
        if not is_one(found[name]):
            raise _refuse(source, name, found[name], valid)
    chips = {(x, y) for x, y, _ in found["chips"]}
    if len(chips) < len(found["chips"]):
        raise _refuse(source, "chips", len(found["chips"]), f"only {len(chips)} differ in place")
    for x, y, cores in found["chips"]:
        if not (0 <= x < found["width"] and 0 <= y < found["height"]):
            valid = f"must lie within {found['width']} x {found['height']} chips"
            raise _refuse(source, "chips", [x, y, cores], valid)
        if not 1 <= cores <= CORES_PER_CHIP:
            valid = f"a chip has 1 to {CORES_PER_CHIP} cores"
            raise _refuse(source, "chips", [x, y, cores], valid)
    if tuple(found["ethernet"]) not in chips:
        raise _refuse(source, "ethernet", found["ethernet"], "must be one of the chips")
    for x, y, link in found["dead_links"]:
        if (x, y) not in chips or not 0 <= link < len(LINKS):
            valid = f"must be [x, y, link] of a chip, links 0 to {len(LINKS) - 1}"
            raise _refuse(source, "dead_links", [x, y, link], valid)


def _refuse(source: str, item: str, found: object, valid: str) -> BadDescription:
    return BadDescription(f"{source}: {item}: {json.dumps(found)} ({valid})")


def _is_number(value: object) -> bool:
    return type(value) is int


def _is_size(value: Any) -> bool:
    return _is_number(value) and 1 <= value < _MOST


def _numbers(count: int) -> Callable[[Any], bool]:
    def are(value: Any) -> bool:
        return isinstance(value, list) and len(value) == count and all(map(_is_number, value))

    return are


def _list_of_three(value: Any) -> bool:
    return isinstance(value, list) and all(map(_numbers(3), value))


_FORMS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "name": ("must be text", lambda value: isinstance(value, str)),
    "version": ("must be a whole number", _is_number),
    "width": (f"must be 1 to {_MOST - 1}", _is_size),
    "height": (f"must be 1 to {_MOST - 1}", _is_size),
    "wraps": ("must be true or false", lambda value: isinstance(value, bool)),
    "ethernet": ("must be [x, y]", _numbers(2)),
    "dead_links": ("must be a list of [x, y, link]", _list_of_three),
    "chips": ("must be a list of [x, y, cores]", _list_of_three),
}
