"""Networks that talk to the host while they run, and the pace at which they do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from spikingconvnet.hardware.addresses import bind_free
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.layout import load_layout
from spikingconvnet.hardware.packets import Sdp, encode_datagram
from spikingconvnet.hardware.server import Server, is_for_program

CELLS = 5


@contextlib.contextmanager
def linked(sim: Any, **labels: Any) -> Iterator[Any]:
    """Give a connection for live spikes."""
    link = sim.external_devices.SpynnakerLiveSpikesConnection(local_port=None, **labels)
    try:
        yield link
    finally:
        link.close()


def injector(sim: Any, link: Any) -> Any:
    """Build a source that fires when the host says so."""
    model = sim.external_devices.SpikeInjector(database_notify_port_num=link.local_port)
    source = sim.Population(CELLS, model, label="in")
    source.record("spikes")
    return source


def times(population: Any) -> list[float]:
    """Give all spike times of a population, in order."""
    trains = population.get_data("spikes").segments[0].spiketrains
    return sorted(float(t) for train in trains for t in train)


def plain(sim: Any) -> Any:
    """Build a network that talks to nobody."""
    cells = sim.Population(CELLS, sim.IF_curr_exp(i_offset=1.0))
    cells.record("spikes")
    return cells


def test_injections_keep_their_distance(board_process, spynnaker_on):
    wanted, sent = 15, []

    def drive(label: str, link: Any) -> None:
        for i in range(wanted):
            sent.append(time.perf_counter())
            link.send_spike("in", i % CELLS)
            time.sleep(0.02)

    with spynnaker_on(board_process) as sim, linked(sim, send_labels=["in"]) as link:
        link.add_start_resume_callback("in", drive)
        source = injector(sim, link)
        sim.run(1000)
        fired = times(source)
    assert len(fired) == wanted
    meant = np.diff(sent) * 1000
    assert meant.min() >= 20
    assert np.median(np.abs(np.diff(fired) - meant)) <= 5
    assert abs(fired[-1] - fired[0] - meant.sum()) <= 50


class Halting(Server):
    """Is held up just after it has said that a simulation begins."""

    halted = False

    def _send(self) -> None:
        super()._send()
        if self._board.core.simulates and not self.halted:
            self.halted = True
            time.sleep(0.1)


def test_spikes_that_come_before_the_first_tick_wait_for_it(spynnaker_on):
    address, sockets = bind_free(1)
    serving = Halting(Board(load_layout(3), address, threads=1), sockets)
    thread = threading.Thread(target=serving.serve)
    thread.start()
    try:
        board = SimpleNamespace(address=address, version=3)
        with spynnaker_on(board) as sim, linked(sim, send_labels=["in"]) as link:
            link.add_start_resume_callback("in", lambda label, link: link.send_spike("in", 0))
            source = injector(sim, link)
            sim.run(200)
            (fired,) = times(source)
    finally:
        serving.stop()
        thread.join()
        serving.close()
    assert serving.halted and 0 <= fired < 200


def test_time_does_not_run_ahead_while_spikes_come_out(board_process, spynnaker_on):
    """The source brings its own spikes: what comes out is paced by being live."""
    heard: list[tuple[float, float]] = []
    volleys = [50.0 * i for i in range(1, 11)]
    with spynnaker_on(board_process) as sim, linked(sim, receive_labels=["out"]) as link:
        link.add_receive_callback(
            "out", lambda label, step, neurons: heard.append((float(step), time.perf_counter()))
        )
        source = sim.Population(1, sim.SpikeSourceArray([volleys]), label="out")
        sim.external_devices.activate_live_output_for(
            source, database_notify_port_num=link.local_port
        )
        sim.run(550)
    assert [step for step, _ in heard] == volleys
    early = [(b[1] - a[1]) * 1000 - (b[0] - a[0]) for a, b in pairwise(heard)]
    assert np.median(early) >= -10


def test_a_loop_through_the_host_is_quick(board_process, spynnaker_on):
    """Each spike that comes out lets the host inject the next, some milliseconds later."""
    injected: list[int] = []
    with (
        spynnaker_on(board_process) as sim,
        linked(sim, send_labels=["in"], receive_labels=["out"]) as link,
    ):

        def inject(neuron: int) -> None:
            injected.append(neuron)
            link.send_spike("in", neuron)

        link.add_start_resume_callback("in", lambda label, connection: inject(0))
        link.add_receive_callback(
            "out", lambda label, step, neurons: inject((int(neurons[-1]) + 1) % CELLS)
        )
        source = injector(sim, link)
        target = sim.Population(CELLS, sim.IF_curr_exp(tau_refrac=10.0), label="out")
        one_spike = sim.StaticSynapse(weight=5.0, delay=1.0)
        sim.Projection(source, target, sim.OneToOneConnector(), one_spike)
        sim.external_devices.activate_live_output_for(
            target, database_notify_port_num=link.local_port
        )
        sim.run(1000)
        fired = times(source)
    assert len(fired) >= 10
    assert injected[: len(fired)] == [i % CELLS for i in range(len(fired))]
    assert np.median(np.diff(fired)) <= 50


@pytest.mark.parametrize(
    ("real_time", "live", "paced"),
    [(None, False, False), (True, False, True), (False, True, False)],
)
def test_who_sets_the_pace(spynnaker_on, real_time, live, paced):
    with (
        SoftwareBoard(version=3, real_time=real_time) as board,
        spynnaker_on(board) as sim,
        linked(sim, send_labels=["in"]) as link,
    ):
        population = injector(sim, link) if live else plain(sim)
        sim.run(200)
        fired = times(population)
    assert bool(fired) is not live
    assert board.summary["virtual_ms"] >= 200
    assert (board.summary["most_behind_ms"] > 0) is paced


def test_pace_changes_no_result(spynnaker_on):
    results = []
    for real_time in (False, True):
        with SoftwareBoard(version=3, real_time=real_time) as board, spynnaker_on(board) as sim:
            source = sim.Population(20, sim.SpikeSourcePoisson(rate=100.0), seed=1)
            cells = sim.Population(20, sim.IF_curr_exp(), n_synapse_cores=1, seed=2)
            some = sim.FixedProbabilityConnector(0.5)
            sim.Projection(source, cells, some, sim.StaticSynapse(weight=1.0, delay=2.0))
            cells.record("spikes")
            sim.run(100)
            results.append(cells.get_data("spikes").segments[0].spiketrains)
    free, held = ([train.magnitude.tolist() for train in trains] for trains in results)
    assert free == held and sum(map(len, free)) > 20


def test_what_comes_for_a_program_is_told_from_commands():
    def datagram(flags: int, port: int, cpu: int) -> bytes:
        message = Sdp(flags, 255, port << 5 | cpu, 0xFF, 0, 0, b"data")
        return encode_datagram(message)

    assert is_for_program(datagram(0x07, 1, 3))
    assert not is_for_program(datagram(0x87, 1, 3))
    assert not is_for_program(datagram(0x07, 0, 0))
    assert not is_for_program(b"short")
