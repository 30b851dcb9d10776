"""What Unicorn makes of a network: recorded segments of its cores, executed again.

Unicorn is no board, so a network cannot run in it. A board in this process records what the first
core of each program does, up to SEGMENTS stretches from one wait-for-interrupt to the next; Unicorn
executes them with the same interrupts and answers of peripherals, and must come to the same
registers. Only its own time is counted, not that of the answers, and not the first half of the
segments, in which it translates most of the code.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/hardware/emulator"))

import networks
import segments
from oracle import Oracle
from recording import recorded, recording_board

from spikingconvnet.backends import toolchain

SEGMENTS = 400


class Replayed(NamedTuple):
    """What was counted: instructions, and the seconds that it took."""

    instructions: int
    seconds: float


def record(network: networks.Network, folder: Path) -> None:
    """Run a network on a SpiNN-5 that records."""
    config = {
        "Machine": {"enable_advanced_monitor_support": False, "enable_reinjection": False},
        "Reports": {"default_report_file_path": folder},
    }
    with (
        recording_board(folder, 5, SEGMENTS) as board,
        toolchain.spynnaker_on(board, folder, config) as sim,
    ):
        network(sim)


def unicorn(folder: Path) -> Replayed:
    """Execute what has been recorded, one program after another.

    Counted is the second half of the segments, without those that do not end by waiting: Unicorn
    is asked for their end at every visit of their last address.
    """
    instructions, seconds = 0, 0.0
    for path, image, met in recorded(folder):
        oracle = Oracle()
        oracle.put(0, image)
        for number, segment in enumerate(met):
            before = oracle.seconds
            wrong: Any = oracle.replay(segment) or oracle.complaints
            assert not wrong, f"{path.name}, segment {number}: {wrong}"
            if number >= len(met) // 2 and segment.result == segments.WAITING:
                instructions += segment.after["instructions"] - segment.before["instructions"]
                seconds += oracle.seconds - before
    return Replayed(instructions, seconds)
