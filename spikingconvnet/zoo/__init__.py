"""Published networks, each one short file of records.

A module holds one HostModel called MODEL, and may hold variants of it in VARIANTS, a dict by name.
"""

import importlib
import pkgutil

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.errors import UsageError


def names() -> tuple[str, ...]:
    """Return the names that `load` takes, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def load(name: str) -> HostModel:
    """Return a model by name; UsageError for one there is not."""
    if name not in names():
        raise UsageError(f"model: {name!r} (must be one of {', '.join(names())})")
    model = importlib.import_module(f"{__name__}.{name}").MODEL
    assert isinstance(model, HostModel)
    return model
