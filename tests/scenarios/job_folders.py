"""Jobs that lie in a folder, ``job.py`` and results in ``run``: their commands and results."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from spikingconvnet import cli

ROOT = Path(__file__).resolve().parents[2]
FIRST_LAYER = """{
    "layer": "conv",
    "kernels": 4,
    "shape": 3,
    "window_ms": 30,
    "inhibition": 10.0,
    "rule": {"tau_plus": 10.0, "tau_minus": 60.0, "A_plus": 0.05, "A_minus": 0.02},
    "train_neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -56.0, "tau_refrac": 60.0},
    "neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -60.0, "tau_refrac": 3.0},
}"""
"""A layer that learns something from a few digits on a board."""


def main(folder, *words):
    """Run a command on the job that lies in a folder."""
    words = [*words, "--run-dir", str(folder / "run")]
    return cli.main(words, default_parameters=folder / "job.py")


def arrays(folder, name):
    with np.load(folder / "run" / name) as found:
        return dict(found)


def run_until_killed(words, reached, most_s=120):
    """Run a command in a process of its own, and kill it outright once `reached` gives true."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spikingconvnet", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + most_s
    while not reached():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
