"""Read parameters.py into one frozen record (see `settings`), without executing it.

The file may hold assignments of literals and comments only. Every unknown name, wrong type or
value out of range is a ConfigError that names the file, the line and what would be valid.
"""

import ast
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spikingconvnet.classes.encoders import (
    DifferenceOfGaussians,
    LatencyEncoder,
    PoissonEncoder,
    RateEncoder,
    RegularEncoder,
)
from spikingconvnet.classes.layers import Classifier, ConvLayer, PoolLayer
from spikingconvnet.errors import ConfigError, SpikingConvNetError
from spikingconvnet.settings import (
    Board,
    Config,
    Data,
    Figures,
    Inference,
    Layer,
    Training,
)


class Entry:
    """Hold one literal of the file with the lines that its parts stand on."""

    def __init__(self, node: ast.expr) -> None:
        self.line = node.lineno
        self.items: dict[str, Entry] = {}
        self.parts: list[Entry] = []
        if isinstance(node, ast.Dict):
            self.value: Any = self._read_dict(node)
        elif isinstance(node, ast.List | ast.Tuple):
            self.parts = [Entry(part) for part in node.elts]
            self.value = tuple(part.value for part in self.parts)
        else:
            try:
                self.value = ast.literal_eval(node)
            except ValueError as error:
                what = ast.unparse(node)
                raise _At(self.line, f"{what} (must be a number, text, list or dict)") from error

    def _read_dict(self, node: ast.Dict) -> dict[str, Any]:
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                what = "**" if key is None else ast.unparse(key)
                raise _At(node.lineno, f"{what} (a name here must be text in quotes)")
            if key.value in self.items:
                raise _At(key.lineno, f"{key.value!r} is given twice")
            self.items[key.value] = Entry(value)
            self.items[key.value].line = key.lineno
        return {name: entry.value for name, entry in self.items.items()}


class _At(Exception):
    """Carry a complaint and its line until the file's name can be put before it."""

    def __init__(self, line: int, complaint: str) -> None:
        super().__init__(complaint)
        self.line = line


def read(path: str | Path) -> Config:
    """Return what the parameter file says. Raises ConfigError with file and line."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such parameter file (give one with --parameters)") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from error
    try:
        return _config(path, text, _entries(text))
    except _At as complaint:
        raise ConfigError(f"{path}, line {complaint.line}: {complaint}") from complaint.__cause__


def _entries(text: str) -> dict[str, Entry]:
    """Return the assignments of the file by name."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _At(error.lineno or 1, f"not valid Python ({error.msg})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _At(1, f"not valid Python ({error})") from error
    found: dict[str, Entry] = {}
    for number, statement in enumerate(tree.body):
        name = _assigned(statement, first=number == 0)
        if name is None:
            continue
        if name not in SECTIONS:
            raise _At(statement.lineno, f"{name} (must be one of {', '.join(SECTIONS)})")
        if name in found:
            raise _At(statement.lineno, f"{name} is given twice")
        found[name] = Entry(statement.value)  # type: ignore[attr-defined]
    return found


def _assigned(statement: ast.stmt, first: bool) -> str | None:
    """Return the name that a statement gives a value to; None for the docstring."""
    if (
        first
        and isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ):
        return None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            return target.id
    what = ast.unparse(statement).splitlines()[0]
    raise _At(statement.lineno, f"{what} (only NAME = value is valid here; nothing is executed)")


def _config(path: Path, text: str, entries: Mapping[str, Entry]) -> Config:
    values = {
        name: make(entries[name]) if name in entries else default()
        for name, (make, default) in SECTIONS.items()
    }
    values["MODEL_NAME"] = values.pop("MODEL")
    return Config(path, text, **{name.lower(): value for name, value in values.items()})


def _record(kind: Any, entry: Entry, skip: tuple[str, ...] = ()) -> Any:
    """Build a dataclass from a dict of the file, records inside it included."""
    if not isinstance(entry.value, dict):
        raise _At(entry.line, f"{entry.value!r} (must be a dict of settings)")
    hints = typing.get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind) if item.init]
    values = {}
    for name, part in entry.items.items():
        if name in skip:
            continue
        if name not in names:
            valid = ", ".join([*skip, *names])
            raise _At(part.line, f"{name!r} is not a setting of {kind.__name__} (valid: {valid})")
        values[name] = _value(hints[name], part, f"{kind.__name__}.{name}")
    try:
        return kind(**values)
    except SpikingConvNetError as error:
        raise _At(_blamed(entry, str(error)), str(error)) from error
    except (TypeError, ValueError) as error:
        raise _At(entry.line, f"{kind.__name__}: {error}") from error


def _blamed(entry: Entry, message: str) -> int:
    """Return the line of the setting that a message about `Record.setting` speaks of."""
    name = message.partition(":")[0].rpartition(".")[2]
    return entry.items[name].line if name in entry.items else entry.line


def _value(hint: Any, entry: Entry, what: str) -> Any:
    """Return the value of a setting after checking it against the type it is declared with."""
    for kind in _alternatives(hint):
        if dataclasses.is_dataclass(kind) and isinstance(entry.value, dict):
            return _record(kind, entry)
        if _matches(entry.value, kind):
            return float(entry.value) if kind is float else entry.value
    raise _At(entry.line, f"{what}: {entry.value!r} (must be {_spelled(hint)})")


def _alternatives(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from _alternatives(part)
    else:
        yield hint


def _matches(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[1:] == (...,):
            return all(_matches(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_matches, value, arguments))
    if kind is None or kind is type(None):
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)


def _spelled(hint: Any) -> str:
    """Return a type as a person would say it."""
    words = []
    for kind in _alternatives(hint):
        if kind is None or kind is type(None):
            words.append("None")
        elif typing.get_origin(kind) is typing.Literal:
            words += [repr(value) for value in typing.get_args(kind)]
        elif typing.get_origin(kind) is tuple:
            arguments = typing.get_args(kind)
            size = "" if arguments[1:] == (...,) else f"{len(arguments)} "
            words.append(f"a list of {size}{_PLURAL.get(arguments[0], 'values')}")
        elif dataclasses.is_dataclass(kind):
            words.append("a dict of settings")
        else:
            words.append(_SINGULAR.get(kind, getattr(kind, "__name__", str(kind))))
    return " or ".join(dict.fromkeys(words))


_SINGULAR = {
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    bool: "True or False",
}
_PLURAL = {int: "whole numbers", float: "numbers", str: "texts"}

ENCODERS: dict[str, Any] = {
    "latency": LatencyEncoder,
    "rate": RateEncoder,
    "regular": RegularEncoder,
    "poisson": PoissonEncoder,
}
LAYERS: dict[str, Any] = {"conv": ConvLayer, "pool": PoolLayer}


def _chosen(entry: Entry, key: str, table: Mapping[str, Any]) -> Any:
    """Build the record of `table` that the setting `key` of a dict names."""
    valid = ", ".join(repr(name) for name in table)
    if not isinstance(entry.value, dict) or key not in entry.items:
        raise _At(entry.line, f"{key!r} is missing (must be one of {valid})")
    name = entry.items[key]
    if name.value not in table:
        raise _At(name.line, f"{key}: {name.value!r} (must be one of {valid})")
    return _record(table[name.value], entry, skip=(key,))


def _layers(entry: Entry) -> tuple[Layer, ...]:
    if not isinstance(entry.value, tuple):
        raise _At(entry.line, f"LAYERS: {entry.value!r} (must be a list of dicts)")
    layers = tuple(_chosen(part, "layer", LAYERS) for part in entry.parts)
    if not any(isinstance(layer, ConvLayer) for layer in layers):
        raise _At(entry.line, "LAYERS: no convolution (must hold at least one 'layer': 'conv')")
    return layers


def _filter(entry: Entry) -> DifferenceOfGaussians | None:
    return None if entry.value is None else _record(DifferenceOfGaussians, entry)


def _plain(hint: Any, what: str) -> Any:
    return lambda entry: _value(hint, entry, what)


def _seed(entry: Entry) -> int:
    seed: int = _value(int, entry, "SEED")
    if seed < 0:
        raise _At(entry.line, f"SEED: {seed} (must be at least 0)")
    return seed


def _count(name: str) -> Any:
    """Return a reader of a whole number of at least 1."""

    def read_count(entry: Entry) -> int:
        count: int = _value(int, entry, name)
        if count < 1:
            raise _At(entry.line, f"{name}: {count} (must be at least 1)")
        return count

    return read_count


def _run_dir(entry: Entry) -> Path:
    text: str = _value(str, entry, "RUN_DIR")
    if not text.strip():
        raise _At(entry.line, "RUN_DIR: '' (must name a folder)")
    return Path(text)


def _of(kind: Any) -> tuple[Any, Any]:
    return (lambda entry: _record(kind, entry)), kind


SECTIONS: dict[str, tuple[Any, Any]] = {
    "DATA": _of(Data),
    "ENCODER": (lambda entry: _chosen(entry, "code", ENCODERS), LatencyEncoder),
    "FILTER": (_filter, lambda: None),
    "LAYERS": (_layers, lambda: (ConvLayer(kernels=4, shape=(4, 4), stride=3),)),
    "CLASSIFIER": _of(Classifier),
    "TRAINING": _of(Training),
    "INFERENCE": _of(Inference),
    "FIGURES": _of(Figures),
    "BOARD": _of(Board),
    "SEED": (_seed, lambda: 1),
    "RUN_DIR": (_run_dir, lambda: Path("runs/default")),
    "BACKUP": (_plain(bool, "BACKUP"), lambda: True),
    "CSV": (_plain(bool, "CSV"), lambda: False),
    "MODEL": (_plain(str | None, "MODEL"), lambda: None),
    "OVERRIDES": (_plain(dict, "OVERRIDES"), dict),
    "CHECKPOINT_EVERY": (_count("CHECKPOINT_EVERY"), lambda: 5000),
}
"""Every name that parameters.py may give, how it is read, and what it is when left out."""
