"""Change single settings inside frozen records by their path, as `--set layers.0.maps=64` does."""

import ast
import dataclasses
from typing import Any

from spikingconvnet.errors import SpikingConvNetError, UsageError


def parse(text: str) -> tuple[list[str], Any]:
    """Return the path and the value of ``PATH=VALUE``; a value that is no literal is text."""
    path, equals, value = text.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise UsageError(f"--set: {text!r} (must be PATH=VALUE, such as layers.0.threshold=12)")
    try:
        return names, ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return names, value.strip()


def replaced(record: Any, names: list[str], value: Any, path: str = "") -> Any:
    """Return a record with one setting changed, the records on the way to it built anew.

    Raises UsageError where the path leads nowhere or the value is not valid there.
    """
    if not names:
        return _converted(record, value, path)
    name, rest = names[0], names[1:]
    here = f"{path}.{name}" if path else name
    if isinstance(record, tuple):
        if not name.isdecimal() or int(name) >= len(record):
            raise UsageError(f"--set {here}: no such item (must be in 0..{len(record) - 1})")
        at = int(name)
        return (*record[:at], replaced(record[at], rest, value, here), *record[at + 1 :])
    if not dataclasses.is_dataclass(record):
        raise UsageError(f"--set {here}: {path} has no settings inside")
    valid = [item.name for item in dataclasses.fields(record)]
    if name not in valid:
        raise UsageError(f"--set {here}: no such setting (valid: {', '.join(valid)})")
    try:
        changed = replaced(getattr(record, name), rest, value, here)
        return dataclasses.replace(record, **{name: changed})  # type: ignore[type-var]
    except UsageError:
        raise
    except (SpikingConvNetError, TypeError, ValueError) as error:
        raise UsageError(f"--set {here}={value!r}: {error}") from error


def _converted(before: Any, value: Any, path: str) -> Any:
    """Return a new value of the kind of the old one."""
    value = tuple(value) if isinstance(value, list) else value
    if isinstance(before, bool) or before is None or isinstance(before, str):
        if before is not None and not isinstance(value, type(before)):
            raise UsageError(f"--set {path}={value!r} (must be of type {type(before).__name__})")
        return value
    if isinstance(before, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(before, int) and isinstance(value, float):
        raise UsageError(f"--set {path}={value!r} (must be a whole number)")
    if dataclasses.is_dataclass(before):
        raise UsageError(f"--set {path}: is a {type(before).__name__}; set one of its settings")
    return value
