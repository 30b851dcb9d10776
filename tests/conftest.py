"""Fixtures shared by all tests: backends, parameter files, and the command line in this process."""

import contextlib
import signal
from dataclasses import dataclass

import pytest
from spikingconvnet.hardware.client import SoftwareBoard

from spikingconvnet import backends, cli
from spikingconvnet.utilities import logs

pytest_plugins = ["spikingconvnet.pytest_plugin"]

# A translator would go on beside the tests that follow; those of both tiers ask for it.
SoftwareBoard.translates = False

DIGITS = {
    "DATA": {"name": "digits", "classes": [0, 1, 2], "train_per_class": 6, "test_per_class": 4},
    "ENCODER": {"code": "latency", "interval_ms": 30, "on_ms": 12},
    "LAYERS": [
        {
            "layer": "conv",
            "kernels": 4,
            "shape": 3,
            "window_ms": 30,
            "train_neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -55.0, "tau_refrac": 60.0},
            "neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -58.0, "tau_refrac": 3.0},
        },
        {"layer": "pool", "shape": 2},
    ],
    "TRAINING": {"windows_per_image": 8},
    "SEED": 3,
    "BACKUP": False,
}


@pytest.fixture(autouse=True)
def _interrupts():
    """Let Ctrl-C arrive: a shell ignores it in the background, sPyNNaker keeps it after a run."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def started(name, folder, version=3):
    """Run a backend with its noise going to a log."""
    with (
        logs.capture(folder / "toolchain.log"),
        backends.load(name, version=version, folder=folder) as backend,
    ):
        yield backend


@pytest.fixture
def virtual_backend(tmp_path):
    """Give the virtual machine."""
    with started("virtual", tmp_path) as backend:
        yield backend


@pytest.fixture
def board_backend(tmp_path):
    """Give a software board of four chips."""
    with started("software", tmp_path) as backend:
        yield backend


@pytest.fixture
def started_boards(monkeypatch):
    """Give the software boards that are started from now on."""
    boards, start = [], SoftwareBoard.start

    def remember(board):
        boards.append(board)
        return start(board)

    monkeypatch.setattr(SoftwareBoard, "start", remember)
    return boards


@dataclass
class Outcome:
    """Hold how a command ended and what the user saw."""

    code: int
    out: str
    err: str


@pytest.fixture
def parameters(tmp_path):
    """Write a parameter file: the small digits job, with some sections replaced."""

    def write(name="parameters.py", **sections):
        path = tmp_path / name
        settings = DIGITS | {"RUN_DIR": str(tmp_path / "run")} | sections
        lines = [f"{key} = {value!r}" for key, value in settings.items() if value is not ...]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def command(parameters, capfd):
    """Run the command line in this process."""

    def run(*words, file=None, **sections):
        path = file or parameters(**sections)
        code = cli.main([*words], default_parameters=path)
        seen = capfd.readouterr()
        return Outcome(code, seen.out, seen.err)

    return run
