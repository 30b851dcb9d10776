"""Time the software board against real time: python benchmarks/board.py [--only ROW] [--repeat N]

A real SpiNNaker board runs at real time by design, so that is the baseline: a factor of 40 means
that a second on the board takes 25 ms here. Only the board's own work is counted (MIPS: million ARM
instructions a second, all cores together); sPyNNaker's mapping and loading, which are the same for
every board, are shown beside it. Each figure stands beside the one to reach and the one to aim at.

Unicorn executes segments recorded from the same network (replay.py). Its factor is what two
processors would give that did nothing but execute the network's instructions at that pace.

Other work on the computer slows the board down: judge by a quiet one.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import networks
import replay

from spikingconvnet.backends.software import SoftwareBackend
from spikingconvnet.utilities import logs, storage

NETWORKS: dict[str, networks.Network] = {
    "poisson": networks.poisson(1000),
    "poisson, 10 s": networks.poisson(10_000),
    "training-4": networks.training(4, 4, 1),
    "training-32": networks.training(32, 5, 3),
    "convolution": networks.convolution,
    "balanced-2000": networks.balanced(2000, 50, 500),
    "balanced-4000": networks.balanced(4000, 64, 500),
}
TIERS: dict[str, dict[str, Any]] = {
    "interpreter": {"translate": False},
    "translated": {"translate": True},
}
"""The ways in which a board can execute, and the arguments of SoftwareBoard that choose them."""
PROGRAMS = (
    *(
        f"spynnaker/pyNN/model_binaries/{name}.aplx"
        for name in ("IF_curr_exp", "IF_curr_exp_stdp_mad_pair_additive", "spike_source_poisson")
    ),
    "spynnaker/pyNN/model_binaries/synapse_expander.aplx",
    "spinn_front_end_common/common_model_binaries/reverse_iptag_multicast_source.aplx",
    "spinn_front_end_common/common_model_binaries/extra_monitor_support.aplx",
)
"""What the networks run: translated before anything is timed, unless that has been done."""
REPLAYING = 2
"""Processors for Unicorn: the board uses two as well."""
MONITORS = ("enable_advanced_monitor_support", "enable_reinjection")
"""The settings of sPyNNaker that load its monitors."""


class Backend(SoftwareBackend):
    """A software board that executes in one of the ways, with or without sPyNNaker's monitors."""

    def __init__(self, tier: str, *, monitors: bool, folder: Path) -> None:
        super().__init__(version=5, folder=folder)
        self._tier, self._monitors = tier, monitors

    @cached_property
    def board(self) -> Any:
        from spikingconvnet.hardware.client import SoftwareBoard

        log = self.folder / "board.log"
        return SoftwareBoard(version=self.version, log=log, **TIERS[self._tier])

    def start(self, stack: Any) -> dict[str, str]:
        return super().start(stack) | dict.fromkeys(MONITORS, str(self._monitors))


@dataclass(frozen=True)
class Task:
    """A network to run."""

    network: str
    monitors: bool = True


@dataclass(frozen=True)
class Measured:
    """What a run took; `peak_mb` is that of the board's process, 0 where it cannot be told."""

    virtual_s: float
    board_s: float
    cpu_s: float
    whole_s: float
    instructions: float
    peak_mb: float
    rate_hz: float | None

    @property
    def factor(self) -> float:
        """How many times faster than real time."""
        return self.virtual_s / self.board_s


@dataclass(frozen=True)
class Row:
    """A line of the table: what it says of the runs of its tasks, and what that should be."""

    title: str
    tasks: tuple[Task, ...]
    figure: Callable[..., float]
    reach: float
    aim: float
    unit: str = "x"

    def verdict(self, figure: float) -> str:
        """Say what a figure achieves; of factors a larger one is better."""
        sign = 1 if self.aim > self.reach else -1
        if sign * figure >= sign * self.aim:
            return "aim"
        return "reach" if sign * figure >= sign * self.reach else "missed"


def factor(run: Measured) -> float:
    return run.factor


def peak(run: Measured) -> float:
    return run.peak_mb


def slowdown(with_monitors: Measured, without: Measured) -> float:
    return with_monitors.board_s / without.board_s


def _fast(title: str, network: str, reach: float, aim: float) -> Row:
    return Row(title, (Task(network),), factor, reach, aim)


ROWS = {
    "poisson": _fast("128 Poisson -> 128 IF_curr_exp, 1 s", "poisson", 20, 40),
    "training-4": _fast("training 16 -> 4, 20 s", "training-4", 60, 150),
    "training-32": _fast("training 75 -> 32, 20 s", "training-32", 60, 150),
    "convolution": _fast("convolution 784 -> 2,304, 1 s", "convolution", 4, 10),
    "balanced-2000": _fast("2,000 neurons, 40 cores, 0.5 s", "balanced-2000", 0.6, 1.2),
    "balanced-4000": _fast("4,000 neurons, 63 cores, 0.5 s", "balanced-4000", 0.15, 0.5),
    "memory": Row(
        "peak memory, 63 cores", (Task("balanced-4000"),), peak, reach=300, aim=150, unit="MB"
    ),
    "monitors": Row(
        "with monitors / without, 10 s",
        (Task("poisson, 10 s"), Task("poisson, 10 s", monitors=False)),
        slowdown,
        reach=1.3,
        aim=1.05,
        unit="times",
    ),
}

if not Path("/proc/self/status").exists():
    del ROWS["memory"]


def peak_mb(pid: int) -> float:
    """Read the most memory that a process has had so far, in MB; 0 where no /proc tells it."""
    path = Path(f"/proc/{pid}/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def measure(task: Task, tier: str) -> Measured:
    """Run a network on a new board."""
    with tempfile.TemporaryDirectory() as folder:
        backend = Backend(tier, monitors=task.monitors, folder=Path(folder))
        start = time.perf_counter()
        with logs.capture(Path(folder) / "toolchain.log"), backend:
            rate = NETWORKS[task.network](backend.sim)
            memory = peak_mb(backend.board.pid)
        whole = time.perf_counter() - start
    summary = backend.board.summary
    return Measured(
        virtual_s=summary["virtual_ms"] / 1000,
        board_s=summary["busy_s"],
        cpu_s=summary["cpu_s"],
        whole_s=whole,
        instructions=summary["instructions"],
        peak_mb=memory,
        rate_hz=rate,
    )


def measure_all(tasks: Sequence[Task], tier: str, repeat: int) -> dict[Task, list[Measured]]:
    """Run every task so many times, in turns, so that what disturbs one disturbs all."""
    runs: dict[Task, list[Measured]] = {task: [] for task in tasks}
    for _ in range(repeat):
        for task in tasks:
            runs[task].append(measure(task, tier))
    return runs


def _result(name: str, tier: str, runs_of: Sequence[Sequence[Measured]]) -> dict[str, Any]:
    """Put together what is known of a row; `runs_of` are the runs of each of its tasks."""
    row = ROWS[name]
    figures = [row.figure(*runs) for runs in zip(*runs_of, strict=True)]
    middle = statistics.median(figures)
    return {
        "row": name,
        "tier": tier,
        "unit": row.unit,
        "median": middle,
        "figures": figures,
        "reach": row.reach,
        "aim": row.aim,
        "verdict": row.verdict(middle),
        "runs": [[asdict(run) for run in runs] for runs in runs_of],
    }


def results(names: Sequence[str], repeat: int) -> Iterator[dict[str, Any]]:
    """Measure rows; give each as soon as it is known, with the runs that it comes from."""
    done: dict[tuple[Task, str], list[Measured]] = {}
    for name in names:
        row = ROWS[name]
        for tier in TIERS:
            new = [task for task in row.tasks if (task, tier) not in done]
            for task, runs in measure_all(new, tier, repeat).items():
                done[task, tier] = runs
            runs_of = [done[task, tier] for task in row.tasks]
            yield _result(name, tier, runs_of)
        if row.figure is factor:
            yield replayed(name, done[row.tasks[0], tier])


def replayed(name: str, runs: Sequence[Measured]) -> dict[str, Any]:
    """Let Unicorn execute what cores did in a row's network; `runs` are those on a board."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with logs.capture(Path(folder) / "toolchain.log"):
            replay.record(NETWORKS[ROWS[name].tasks[0].network], Path(folder))
        segments = replay.unicorn(Path(folder))
        whole = time.perf_counter() - start
    pace = REPLAYING * segments.instructions / segments.seconds
    run = replace(runs[0], board_s=runs[0].instructions / pace, whole_s=whole, peak_mb=0.0)
    return _result(name, "Unicorn", [[run]])


HEAD = (
    f"{'network':36} {'tier':12} {'measured':>16} {'reach':>6} {'aim':>6} {'':9} "
    f"{'board s':>8} {'MIPS':>6} {'all s':>6} {'Hz':>4}"
)


def line(result: dict[str, Any]) -> str:
    """Write a result as a line of the table; what follows the verdict is of the first task."""
    figures = result["figures"]
    measured = f"{result['median']:.3g} {result['unit']}"
    if len(figures) > 1:
        measured = f"{min(figures):.3g}-{max(figures):.3g}: {measured}"
    runs = [Measured(**run) for run in result["runs"][0]]
    run = sorted(runs, key=lambda run: run.board_s)[len(runs) // 2]
    rate = "" if run.rate_hz is None else f"{run.rate_hz:.0f}"
    return (
        f"{ROWS[result['row']].title:36} {result['tier']:12} {measured:>16} {result['reach']:6g} "
        f"{result['aim']:6g} {result['verdict']:9} {run.board_s:8.3f} "
        f"{run.instructions / run.board_s / 1e6:6.0f} {run.whole_s:6.1f} {rate:>4}"
    )


def host() -> dict[str, Any]:
    """Say what the figures were measured on."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "processors": os.cpu_count(),
    }


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} (must be a whole number, at least 1)")
    return int(text)


def translate_programs() -> None:
    """Translate what has not been translated; it takes a minute, once."""
    from spikingconvnet.hardware.emulator.translator.cache import default_folder
    from spikingconvnet.hardware.emulator.translator.machine import translate_file

    spec = importlib.util.find_spec("spynnaker")  # not imported: the boards' processes do that
    assert spec and spec.origin
    for program in PROGRAMS:
        translate_file(Path(spec.origin).parent.parent / program, default_folder())


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the software board against real time.")
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"one of: {', '.join(ROWS)}"
    )
    parser.add_argument("--repeat", type=_count, default=1, metavar="N", help="median of N runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    translate_programs()
    print(HEAD)
    table = []
    for result in results(options.only or list(ROWS), options.repeat):
        print(line(result), flush=True)
        table.append(result)
    if options.json:
        storage.write_json(options.json, {"host": host(), "rows": table}, "software board")


if __name__ == "__main__":
    main()
