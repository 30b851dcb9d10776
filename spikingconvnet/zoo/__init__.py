"""Published networks, each one short file of records.

A module holds one model called MODEL, and may hold variants of it in VARIANTS, a dict by name.
"""

import importlib
import pkgutil
from types import ModuleType

from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.errors import UsageError


def _modules() -> list[ModuleType]:
    found = sorted(item.name for item in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in found]


def _models() -> dict[str, HostModel | FullyConnectedModel]:
    models: dict[str, HostModel | FullyConnectedModel] = {}
    for module in _modules():
        models[module.__name__.rpartition(".")[2]] = module.MODEL
        models.update(getattr(module, "VARIANTS", {}))
    return models


def names() -> tuple[str, ...]:
    """Return the names that `load` takes, variants after the model that they vary."""
    return tuple(_models())


def load(name: str) -> HostModel | FullyConnectedModel:
    """Return a model by name; UsageError for one there is not."""
    models = _models()
    if name not in models:
        raise UsageError(f"model: {name!r} (must be one of {', '.join(models)})")
    return models[name]
