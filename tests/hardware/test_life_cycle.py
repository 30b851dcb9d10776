"""A simulation's life on the board: run, run on, reset, change, stop.

What a network gives must not depend on how its run is cut: every test compares with the same
network run in one piece, with closed forms, or with what the board was before.
"""

from __future__ import annotations

import json
import math
import socket
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from datagrams import answer, request
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.constants import Command

LSB = 2.0**-15
MILLISECONDS = 160


@dataclass
class Network:
    """Four populations on as many cores: noise, learning cells, driven cells, given spikes."""

    sim: Any
    rate: float = 40.0
    drive: float = 0.4
    times: tuple[float, ...] = (5.0, 40.0, 77.0)

    def __post_init__(self) -> None:
        """Build it; every random number of it hangs on a seed of its own."""
        sim = self.sim
        self.noise = sim.Population(20, sim.SpikeSourcePoisson(rate=self.rate), seed=3)
        self.given = sim.Population(2, sim.SpikeSourceArray(list(self.times)))
        self.cells = sim.Population(30, sim.IF_curr_exp(i_offset=0.6, tau_refrac=2.0), seed=4)
        self.driven = sim.Population(10, sim.IF_curr_exp(i_offset=self.drive), seed=5)
        rule = sim.STDPMechanism(
            sim.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.1, A_minus=0.1),
            sim.AdditiveWeightDependence(w_min=0.0, w_max=3.0),
            weight=1.0,
            delay=3.0,
        )
        half = sim.FixedProbabilityConnector(0.5)
        self.plastic = sim.Projection(self.noise, self.cells, half, rule)
        for source, target, weight in (
            (self.given, self.cells, 2.0),
            (self.cells, self.driven, 0.3),
        ):
            fixed = sim.StaticSynapse(weight=weight, delay=2.0)
            sim.Projection(source, target, sim.AllToAllConnector(), fixed)
        self.cells.record(["spikes", "v"])
        self.driven.record(["spikes", "v"])
        self.noise.record("spikes")
        self.given.record("spikes")

    def weights(self) -> list[tuple[float, ...]]:
        """Read the plastic connections: source, target, weight."""
        return sorted(tuple(map(float, row)) for row in self.plastic.get("weight", "list"))

    def results(self) -> dict[str, Any]:
        """Read spikes and v of the last segment."""
        found: dict[str, Any] = {}
        for name in ("noise", "given", "cells", "driven"):
            segment = getattr(self, name).get_data().segments[-1]
            found[name] = [train.magnitude.tolist() for train in segment.spiketrains]
            for values in segment.analogsignals:
                found[f"{name} v"] = values.magnitude.tolist()
        return found


@pytest.fixture(scope="module")
def known_runs() -> dict[Any, Any]:
    """Keep results that several tests compare with."""
    return {}


@pytest.fixture
def run_network(known_runs, board_process, spynnaker_on):
    """Give `run_network(milliseconds, **parameters)`: results and weights of a run in one piece."""

    def run(milliseconds: float, **parameters: Any) -> tuple[dict[str, Any], list]:
        key = (milliseconds, *parameters.items())
        if key not in known_runs:
            with spynnaker_on(board_process) as sim:
                network = Network(sim, **parameters)
                sim.run(milliseconds)
                known_runs[key] = network.results(), network.weights()
        return known_runs[key]

    return run


# --- run on, reset, change, stop -----------------------------------------------------------------


def test_a_run_in_pieces_gives_what_it_gives_in_one(board_process, spynnaker_on, run_network):
    whole, learnt = run_network(MILLISECONDS)
    early, early_weights = run_network(60)
    with spynnaker_on(board_process) as sim:
        network = Network(sim)
        sim.run(60)
        assert network.weights() == early_weights
        assert network.results() == early
        sim.run(1)
        network.plastic.get(["weight", "delay"], "array")
        sim.run(MILLISECONDS - 61)
        assert network.results() == whole
        assert network.weights() == learnt
    assert all(sum(map(len, whole[name])) >= 6 for name in ("noise", "given", "cells", "driven"))
    assert len({row[2] for row in early_weights}) > 10
    assert early_weights != learnt


def test_after_a_reset_a_network_does_as_a_new_one(board_process, spynnaker_on, run_network):
    """Parameters of cells that learn are left alone: sPyNNaker 7.4 does not write them anew."""
    first, learnt = run_network(MILLISECONDS)
    changes = {"rate": 70.0, "drive": 0.8, "times": (11.0, 50.0)}
    second, learnt_then = run_network(MILLISECONDS, **changes)
    with spynnaker_on(board_process) as sim:
        network = Network(sim)
        sim.run(70)
        sim.reset()
        sim.run(MILLISECONDS)
        assert (network.results(), network.weights()) == (first, learnt)
        sim.reset()
        network.noise.set(rate=changes["rate"])
        network.driven.set(i_offset=changes["drive"])
        network.given.set(spike_times=list(changes["times"]))
        sim.run(MILLISECONDS)
        assert (network.results(), network.weights()) == (second, learnt_then)
        assert len(network.cells.get_data().segments) == 3
    for name in ("noise", "given", "cells", "driven"):
        assert first[name] != second[name]


def test_parameters_and_state_change_between_runs(board_process, spynnaker_on):
    """v follows v_inf + (v - v_inf) exp(-1/tau) from what was set, to 20 LSB (0.0006 mV)."""
    expected, v = [], -65.0

    def follow(steps: int, end: float, tau: float) -> None:
        nonlocal v
        for _ in range(steps):
            expected.append(v)
            v = end + (v - end) * math.exp(-1 / tau)

    with spynnaker_on(board_process) as sim:
        cells = sim.Population(3, sim.IF_curr_exp(i_offset=0.5))
        cells.record("v")
        sim.run(30)
        follow(30, -55.0, 20.0)
        cells.set(i_offset=0.2, v_thresh=-40.0)
        sim.run(30)
        follow(30, -61.0, 20.0)
        assert list(cells.get("i_offset")) == pytest.approx([0.2] * 3, abs=LSB)
        cells.set(tau_m=10.0)
        cells.set_state(v=-70.0)
        v = -70.0
        sim.run(30)
        follow(30, -63.0, 10.0)
        (got,) = cells.get_data().segments[0].analogsignals
    assert np.abs(np.asarray(got.magnitude) - np.array(expected)[:, None]).max() <= 20 * LSB


def test_recordings_and_cells_are_added_after_a_reset(board_process, spynnaker_on):
    """Without noise: sPyNNaker 7.4 cannot map a SpikeSourcePoisson a second time."""
    results = []
    for late in (False, True):
        with spynnaker_on(board_process) as sim:
            source = sim.Population(2, sim.SpikeSourceArray([[4.0, 9.0], [15.0]]))
            cells = sim.Population(3, sim.IF_curr_exp(i_offset=0.6), seed=1)
            each = sim.StaticSynapse(weight=2.0, delay=1.0)
            sim.Projection(source, cells, sim.AllToAllConnector(), each)
            cells.record("v")
            if late:
                sim.run(20)
                sim.reset()
            cells.record(["spikes", "gsyn_exc"])
            more = sim.Population(4, sim.IF_cond_exp(), seed=2)
            conductance = sim.StaticSynapse(weight=0.1, delay=2.0)
            sim.Projection(cells, more, sim.AllToAllConnector(), conductance)
            more.record("v")
            sim.run(40)
            last = [population.get_data().segments[-1] for population in (cells, more)]
            spikes = [train.magnitude.tolist() for train in last[0].spiketrains]
            signals = {s.name: s.magnitude.tolist() for s in last[0].analogsignals}
            (v,) = last[1].analogsignals
            results.append((spikes, signals, v.magnitude.tolist()))
    assert sum(map(len, results[0][0])) >= 3 and set(results[0][1]) == {"v", "gsyn_exc"}
    assert results[0] == results[1]


@pytest.fixture
def stops(monkeypatch, board_process) -> list[int]:
    """Let a simulation without end be stopped after 50 ms.

    Note the first and the last step at which a core has stopped.
    """
    from spinn_front_end_common.interface.interface_functions.application_runner import (
        _ApplicationRunner,
    )
    from spinn_front_end_common.utilities.scp.get_current_time_process import (
        GetCurrentTimeProcess,
    )

    found: list[int] = []
    go, get = _ApplicationRunner._send_sync_signal, GetCurrentTimeProcess.get_latest_runtime

    def clock() -> int:
        counted = ask(board_process, 0, Command.READ, c.SYSTEM_VARIABLES + 0x10, 4)
        return int.from_bytes(counted, "little")

    def stop(end: int) -> None:
        from spynnaker.pyNN import external_devices

        while clock() < end:
            time.sleep(0.01)
        external_devices.request_stop()

    def started(self: Any) -> None:
        if not found:
            threading.Thread(target=stop, args=[clock() + 50]).start()
        go(self)

    def note(self: Any, *arguments: Any) -> int:
        latest = get(self, *arguments)
        found.extend((self._GetCurrentTimeProcess__earliest_time, latest))
        return latest

    monkeypatch.setattr(_ApplicationRunner, "_send_sync_signal", started)
    monkeypatch.setattr(GetCurrentTimeProcess, "get_latest_runtime", note)
    return found


def test_a_run_without_end_is_stopped_and_goes_on(board_process, spynnaker_on, run_network, stops):
    """Each core stops at the step after it is told so; until then all do as ever."""
    with spynnaker_on(board_process) as sim:
        network = Network(sim)
        sim.external_devices.run_forever()
        first, last = stops
        stopped = network.results()
        weights = network.weights()
        sim.run(20)
        later = network.results()
    steps = {name: len(stopped[name]) for name in ("cells v", "driven v")}
    assert 40 < first <= min(steps.values()) - 1 <= max(steps.values()) - 1 <= last
    assert {name: len(later[name]) - steps[name] for name in steps} == dict.fromkeys(steps, 20)
    whole, learnt = run_network(last + 1)
    assert until(first, stopped) == until(first, whole)
    assert weights == learnt or first < last


def until(step: int, results: dict[str, Any]) -> dict[str, Any]:
    """Cut results short."""
    return {
        name: values[:step] if name.endswith(" v") else [[t for t in x if t < step] for x in values]
        for name, values in results.items()
    }


def database() -> sqlite3.Connection:
    """Open what has been read back from the machine so far, provenance included."""
    from spinn_front_end_common.utilities.base_database import BaseDatabase

    return sqlite3.connect(BaseDatabase.default_database_file())


@pytest.fixture
def small_board(tmp_path):
    """Give a board with little memory."""
    parts = tmp_path / "parts.json"
    parts.write_text(json.dumps({"sdram": 44_000}))
    with SoftwareBoard(version=3, dead=parts) as board:
        yield board


def test_little_memory_cuts_a_run_and_changes_nothing(small_board, spynnaker_on, run_network):
    options = {"Buffers": {"minimum_auto_time_steps": 20}}
    with spynnaker_on(small_board, options=options) as sim:
        network = Network(sim)
        sim.run(MILLISECONDS)
        found = network.results(), network.weights()
        rows = database().execute("SELECT run_timestep FROM extraction").fetchall()
    assert len(rows) >= 3 and rows[-1] == (MILLISECONDS,)
    assert found == run_network(MILLISECONDS)


# --- many runs -----------------------------------------------------------------------------------


def resources(board: SoftwareBoard) -> list[bytes]:
    """Read of every chip its free memory and routes and message buffers in use, and the tags."""
    found = []
    for chip in (0x0000, 0x0001, 0x0100, 0x0101):
        # Bits 14 to 24 of the first word are the largest block of routes.
        found.append(ask(board, chip, Command.INFO)[:12])
        found.append(ask(board, chip, Command.ALLOC, 6))
        found.append(ask(board, chip, Command.READ, c.SYSTEM_VARIABLES + 0x6C, 2))
        for heap in (c.SYSRAM_HEAP, c.SDRAM_HEAP):
            found.append(ask(board, chip, Command.READ, heap, 16))
    tags = [ask(board, 0, Command.IPTAG, 2 << 16 | tag, 1) for tag in range(16)]
    return [*found, bytes(tag[15] >> 7 for tag in tags)]


def ask(board: SoftwareBoard, chip: int, command: Command, *arguments: int) -> bytes:
    """Send a monitor a command and give what it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.connect((board.address, c.SCP_PORT))
        host.settimeout(10)
        host.send(request(command, *arguments, chip=chip))
        code, data = answer(host.recv(1024))
    assert code == c.Result.OK
    return data


def many_runs(use: Any, runs: int) -> None:
    """Run the same network again and again; but for tags, the board must be as it was when new.

    sPyNNaker leaves the tags that it has set; those of a run must not add to those of another.
    """
    with SoftwareBoard(version=3) as board:
        new = resources(board)
        after, spikes = [], []
        for default in (False, True) * (runs // 2):
            with use(board, default=default) as sim:
                network = Network(sim)
                sim.run(20)
                spikes.append(network.results())
            after.append(resources(board))
    assert spikes == spikes[:1] * runs
    assert [found[:-1] for found in after] == [new[:-1]] * runs
    assert [found[-1] for found in after[1:]] == [after[1][-1]] * (runs - 1)
    assert sum(after[1][-1]) <= 2


def test_four_runs_leave_nothing_behind(spynnaker_on):
    many_runs(spynnaker_on, 4)


@pytest.mark.long
def test_twenty_runs_leave_nothing_behind(spynnaker_on):
    many_runs(spynnaker_on, 20)
