"""NEST, where it is installed: a deployment in double precision, beside a board's fixed point.

It runs in a process of its own: NEST's threads and those of the host engine do not get on (a
segmentation fault at set-up, NEST 3.10 and Numba 0.68), and it writes to the terminal by itself.
"""

import importlib.util
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed_network import Seen
from spikingconvnet.classes.deployed_parts import Deployment
from spikingconvnet.errors import BoardError

NAME, LOG = "double-precision simulator NEST", "nest.log"
MISSING = (
    "floating-point reference: NEST is not installed (pip install 'spikingconvnet[nest]' adds it "
    "to this comparison)"
)


def installed() -> bool:
    """Tell whether NEST is there, without importing it."""
    return importlib.util.find_spec("nest") is not None


def run(plan: Deployment, waves: Waves, log: Path) -> Seen:
    """Return what NEST makes of a deployment that is shown some waves; its words go to `log`.

    Raises BoardError when it fails.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_run, plan, waves, str(log)).result()
    except BrokenProcessPool as error:
        raise BoardError(f"{NAME}: ended without a result (see {log})") from error
    except Exception as error:
        raise BoardError(f"{NAME}: failed, {type(error).__name__}: {error} (see {log})") from error


def _run(plan: Deployment, waves: Waves, log: str) -> Seen:
    """Do it in the process that was made for it."""
    with open(log, "ab") as words:
        for stream in (1, 2):
            os.dup2(words.fileno(), stream)
    import pyNN.nest as sim

    from spikingconvnet.classes.deployed_reference import ReferenceNetwork

    return ReferenceNetwork(sim, plan).run(waves)
