"""Spiking convolutional networks, trained layer by layer and run on SpiNNaker through PyNN.

Importing this package needs NumPy alone: public names are loaded on first use, and the simulators,
scikit-learn and matplotlib are imported where they are used.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path

__version__ = "0.1.0"

_CLASSES = {
    "Classifier": "layers",
    "ConvLayer": "layers",
    "DifferenceOfGaussians": "encoders",
    "IFCurrExp": "neurons",
    "Input": "layers",
    "LatencyEncoder": "encoders",
    "PairSTDP": "learning",
    "PoissonEncoder": "encoders",
    "PoolLayer": "layers",
    "RateEncoder": "encoders",
    "RegularEncoder": "encoders",
    "SpikingConvNet": "model",
}
_HOMES = {name: f"classes.{module}" for name, module in _CLASSES.items()}
_HOMES["Connections"] = "algorithms.connections"
_HOMES["SpikeTrains"] = "algorithms.spike_trains"
_HOMES["SpikingConvNetError"] = "errors"

__all__ = ["__version__", *sorted(_HOMES)]


def _extend_path() -> None:
    """Let ``spikingconvnet.hardware`` resolve to the checkout's ``hardware/`` folder.

    An installed package has its own ``hardware`` sub-folder, and is left as it is.
    """
    here = _Path(__file__).resolve().parent
    if not (here / "hardware").is_dir() and (here.parent / "hardware" / "__init__.py").is_file():
        __path__.append(str(here.parent))


_extend_path()


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOMES})
