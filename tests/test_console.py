"""The board in a terminal: what it says, what it refuses, and how it ends."""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from spikingconvnet import console
from spikingconvnet.backends import toolchain

IDLE = {
    "running": False,
    "paced": False,
    "factor": 0.0,
    "virtual_ms": 0.0,
    "busy_s": 0.0,
    "cores": 0,
    "programs": [],
}
LAYERS = [
    {"application": 17, "image": "m", "name": "", "cores": 48, "failed": 0},
    {"application": 17, "image": "a", "name": "", "cores": 3, "failed": 1},
    {"application": 30, "image": "?", "name": "", "cores": 2, "failed": 0},
]
NAMES = {"a": "IF_curr_exp", "m": "extra_monitor_support"}


def test_time_is_told_with_its_pace():
    assert console.time_so_far(IDLE) == "idle, 0.000 s of virtual time so far"
    ran = IDLE | {"virtual_ms": 12345.6, "busy_s": 2.0}
    assert console.time_so_far(ran) == (
        "idle, 12.346 s of virtual time so far, 6.17 times real time"
    )
    running = ran | {"running": True, "factor": 20.26}
    assert console.time_so_far(running).startswith("running 20.26 times as fast as real time, 12.3")
    assert console.time_so_far(running | {"paced": True}).startswith("running in real time, 12.3")


def test_programs_are_told_by_name_or_application_with_support_last():
    assert console.cores_in_use(IDLE, 808, NAMES) == "no program on its 808 cores"
    assert console.cores_in_use({"cores": 53, "programs": LAYERS}, 808, NAMES) == (
        "53 of 808 cores in use: IF_curr_exp x 3 (1 failed), application 30 x 2, "
        "extra_monitor_support x 48"
    )
    many = [LAYERS[2] | {"application": number} for number in range(1, 10)]
    text = console.cores_in_use({"cores": 18, "programs": many}, 71, {})
    assert text.endswith("application 6 x 2, 3 more")


def test_the_summary_has_a_verdict():
    account = {"overruns": 0, "most_instructions": 50_000, "period_cycles": 200_000}
    ran = {"virtual_ms": 3000.0, "busy_s": 0.5, "instructions": 1e7, "lost_ms": 0.0}
    assert list(console.summary(SimpleNamespace(summary={}, accounts=[]))) == [
        "no virtual time has passed"
    ]
    assert list(console.summary(SimpleNamespace(summary=ran, accounts=[account]))) == [
        "3.000 s of virtual time in 0.50 s of work: 6.00 times real time; 10,000,000 instructions",
        "verdict: real time: no program had more instructions than cycles in a tick (busiest "
        "tick: 25 %)",
    ]
    late = account | {"overruns": 2, "most_instructions": 300_000, "program": "IF", "core": 1}
    late |= {"x": 0, "y": 0}
    ran["lost_ms"] = 250.0
    [_, lost, verdict] = console.summary(SimpleNamespace(summary=ran, accounts=[account, late]))
    assert lost == "it could not keep pace with the clock, and lost 0.250 s"
    assert verdict.startswith("verdict: real time: 1 of 2 programs had more instructions than")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--spin", "4"], "--spin: '4' (valid: 3, 5)"),
        (["--boards", "two"], "--boards: 'two' (must be 1, 3, 6, 12, ..., or triads such as 2x1)"),
        (["--boards", "2"], "boards: 2 (must be 1, 3, 6"),
        (["--spin", "3", "--boards", "3"], "boards: 3 (must be 1 for version 3)"),
        (["--wrap"], "boards: 1 (must be 3, 6, 12"),
        (["--dead", "/no/such.json"], "/no/such.json: No such file or directory (must be a JSON"),
        (["--address", "127.0.0.1"], "address: '127.0.0.1' (must be one such as 127.0.0.2, not"),
        (["--address", "10.254.254.254"], "address: 10.254.254.254, UDP port 17893 (is not an"),
        (["--threads", "0"], "--threads: '0' (must be a whole number of at least 1)"),
        (["--log", "/no/such/log"], "--log: /no/such/log (No such file or directory; must be"),
        (["--fault", "tired"], "fault: 'tired' (must be one of silent"),
        (["--spalloc", "--dead", "x"], "--dead: not with --spalloc (it lends plain SpiNN-5)"),
        (
            ["--translations", "x", "--no-translate"],
            "argument --no-translate: not allowed with argument --translations (see --help)",
        ),
        (["--speed", "3"], "unrecognized arguments: --speed 3 (see --help)"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(command, words, message):
    done = command("board", *words)
    assert done.code == 2 and done.out == "" and done.err.count("\n") == 1
    assert done.err.startswith(f"error: {message}")


def test_options_of_the_board_are_for_the_board_alone(command):
    done = command("--mode", "info", "--no-real-time")
    assert done.code == 0
    done = command("--mode", "info", "--enforce-timing")
    assert (done.code, done.err) == (2, "error: --enforce-timing: not with --mode info\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--no-translate"], {"translate": False}),
        (["--translations=x"], {"translate": "x"}),
    ],
)
def test_translation_can_be_switched_off_or_kept_elsewhere(words, expected):
    parser = argparse.ArgumentParser()
    console.add_options(parser)
    assert console.chosen(parser.parse_args(words), version=3) == {"version": 3} | expected


class Served:
    """The command in a process of its own; `stderr` is the other end of its standard error."""

    def __init__(self, *words, terminal):
        self.stderr, slave = os.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spikingconvnet", *words],
            stdout=subprocess.PIPE,
            stderr=slave,
            text=True,
        )
        os.close(slave)
        self._guard = threading.Timer(60, self.process.kill)
        self._guard.start()
        self.out = self.written = ""
        self.wait_for("Ctrl-C")
        self.address = re.search("machine_name = (.+)", self.out)[1]

    def wait_for(self, words):
        """Read on until it has said something."""
        while words not in self.out:
            line = self.process.stdout.readline()
            assert line, f"{words} never came: {self.out}"
            self.out += line

    def wait_for_error(self, words):
        """Read on from standard error until something is there."""
        while words not in self.written:
            chunk = os.read(self.stderr, 10000).decode()
            assert chunk, f"{words} never came: {self.written}"
            self.written += chunk

    def end(self, number):
        """Signal it and read the rest."""
        self.process.send_signal(number)
        with contextlib.suppress(OSError):  # what a terminal tells at its end
            while chunk := os.read(self.stderr, 10000):
                self.written += chunk.decode()
        os.close(self.stderr)
        with self.process:
            self.out += self.process.stdout.read()
        self._guard.cancel()


def run_something(served, folder):
    plain = {"enable_advanced_monitor_support": False, "enable_reinjection": False}
    board = SimpleNamespace(address=served.address, version=3)
    with toolchain.spynnaker_on(board, folder, {"Machine": plain}) as sim:
        sim.setup(1.0)
        sim.Population(5, sim.IF_curr_exp(i_offset=1.0))
        sim.run(2000)
        served.wait_for_error("IF_curr_exp x 1")


@pytest.mark.parametrize(
    ("words", "number"),
    [(["board", "--spin", "3"], signal.SIGINT), (["--mode", "board"], signal.SIGTERM)],
)
def test_it_serves_tells_changes_and_ends_with_a_summary(words, number, tmp_path, parameters):
    if "--mode" in words:
        path = parameters(BOARD={"name": "software", "version": 3})
        words = [*words, "--parameters", str(path)]
    served = Served(*words, terminal=False)
    assert served.out.startswith("software board (SpiNN-3, ideal timing) at 127.")
    run_something(served, tmp_path)
    served.end(number)
    assert served.process.returncode == 0 and "\x1b" not in served.written
    assert re.search(r"\n2\.0\d\d s of virtual time in .* times real time; ", served.out)
    assert "verdict: real time: no program had more" in served.out


def test_on_a_terminal_it_shows_one_block_and_takes_it_off(tmp_path):
    log = tmp_path / "board.log"
    served = Served("board", "--spin=3", f"--log={log}", terminal=True)
    served.wait_for_error("no program on its 68 cores")
    with log.open("a") as stream:
        stream.write("something to tell\n")
    served.wait_for("something to tell")
    served.end(signal.SIGINT)
    assert served.process.returncode == 0
    block = f"SpiNN-3 at {served.address}", "idle, 0.000 s of", "no program on its 68 cores"
    places = [served.written.index(line) for line in block]
    assert places == sorted(places)
    assert served.written.endswith("\r\x1b[K\x1b[A\x1b[K\x1b[A\x1b[K")
    assert served.out.endswith("no virtual time has passed\n")


def test_boards_are_lent():
    command = [sys.executable, "-m", "spikingconvnet", "board", "--spalloc", "--boards=3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        first = process.stdout.readline()
        if first:
            assert first == "spalloc server at 127.0.0.1, TCP port 22244\n"
            assert any("Ctrl-C" in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
        else:
            assert "TCP port 22244: cannot listen (Address" in process.stderr.read()
    assert process.returncode == (0 if first else 2)
