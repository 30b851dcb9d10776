"""A board whose work takes time: clocks, packets and transfers, and networks that are too much."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Any

import pytest
from small_programs import (
    CPU,
    DMA,
    ENABLE,
    INTERRUPT,
    LOG,
    MULTICAST,
    ONE_SHOT,
    SCRATCH,
    TAKE_IRQ,
    TIMER,
    TIMER1,
    VIC,
    begin_service,
    constant,
    end_service,
    log,
    logged,
    on_interrupt,
    program,
    run,
    settle,
    start,
    write,
)
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.layout import read_layout

from spikingconvnet import report

COMMS, ROUTER = 0x10000000, 0xE1000000
DUMP = 16
NO_OPERATION = 0xE1A00000
"""mov r0, r0"""
LOAD = 0xE5902000
"""ldr r2, [r0]"""
STORE = 0xE5802000
"""str r2, [r0]"""
KEYS = [0x100, 0x101, 0x102]


@pytest.fixture
def chain():
    """Eight chips in a row: E and W links only; booted."""
    return Board(
        read_layout(
            {
                "name": "chain",
                "version": 0,
                "width": 8,
                "height": 1,
                "wraps": False,
                "ethernet": [0, 0],
                "dead_links": [],
                "chips": [[x, 0, 18] for x in range(8)],
            }
        ),
        enforce_timing=True,
    )


def run_timer():
    """Let the timer count down from the top, without interrupt."""
    return [*write(TIMER, 0xFFFFFFFF), *write(TIMER + 8, ENABLE)]


def idle_for(cycles):
    """Turn in a loop of four cycles: subs r2, r2, #1; bne."""
    return [*constant(2, cycles // 4), 0xE2522001, 0x1AFFFFFD]


def cycles_of(board, code):
    """Count the cycles of some code, less those of none at all."""
    before, after = run(board, [*run_timer(), *log(TIMER + 4), *code, *log(TIMER + 4)], count=2)
    return before - after - len([*log(TIMER + 4)])


# --- one core -----------------------------------------------------------------------------------


def test_an_instruction_takes_a_cycle(chain):
    assert [cycles_of(chain, [NO_OPERATION] * n) for n in (0, 1, 100)] == [0, 1, 100]


def test_a_load_from_sdram_waits(chain):
    address = constant(0, SCRATCH)
    fast = cycles_of(chain, [*constant(0, LOG + 0x800), LOAD])
    assert cycles_of(chain, [*address, LOAD]) == fast + 20
    assert cycles_of(chain, [*address, STORE]) == fast


def test_a_taken_branch_takes_three_cycles(chain):
    skip, stay = 0xEAFFFFFF, 0x0AFFFFFF
    """b and beq to the next instruction; Z is clear after a reset."""
    assert cycles_of(chain, [skip]) == 3
    assert cycles_of(chain, [stay]) == 1


def test_multiplications_and_block_transfers_take_longer(chain):
    mul, mulls, ldm = 0xE0020190, 0xE0832190, 0xE890003C
    """mul r2, r0, r1; umull r2, r3, r0, r1; ldmia r0, {r2-r5}"""
    assert cycles_of(chain, [mul]) == 2
    assert cycles_of(chain, [mulls]) == 3
    assert cycles_of(chain, [*constant(0, LOG + 0x800), ldm]) == 4 + 4
    assert cycles_of(chain, [*constant(0, SCRATCH), ldm]) == 4 + 4 + 20


def test_a_transfer_is_under_way_for_a_while(chain):
    """1,000 bytes: 20 cycles of waiting and 200 of transfer."""
    code = [
        *write(DMA + 4, SCRATCH),
        *write(DMA + 8, LOG + 0x800),
        *write(DMA + 12, 1000),
        *log(DMA + 0x14),
        *([NO_OPERATION] * 180),
        *log(DMA + 0x14),
        *([NO_OPERATION] * 30),
        *log(DMA + 0x14),
    ]
    busy, done = 1, 1 << 10
    core = 1 << 24
    assert run(chain, code, count=3) == [core | busy, core | busy, core | done]


def test_transfers_of_a_chip_share_its_memory(chain):
    """Two cores that begin together: the second waits for the first."""
    waited = []
    handler = [*begin_service(), *log(TIMER + 4), *write(DMA + 16, 8), *end_service()]
    code = [
        *on_interrupt(12, 0xD),
        *write(DMA + 0x18, 1 << 10),
        *run_timer(),
        *write(DMA + 4, SCRATCH),
        *write(DMA + 8, LOG + 0x800),
        *write(DMA + 12, 1000),
        TAKE_IRQ,
    ]
    for core in (1, 2):
        start(chain, 0, core, program(code, handler))
    settle(chain)
    for core in (1, 2):
        _, count = logged(chain, 0, core, 2)
        waited.append(0xFFFFFFFF - count)
    assert 220 <= waited[0] <= 300
    assert waited[1] == waited[0] + 200


def test_a_tick_comes_late_to_a_core_that_is_busy(chain):
    """The handler is in the way of the next tick, and of nothing else."""
    tick = 10_000
    handler = [
        *begin_service(),
        *write(TIMER + 12, 0),
        *log(TIMER + 0x24),
        *idle_for(20_000),
        *end_service(),
    ]
    code = [
        *on_interrupt(TIMER1, 0xD),
        *write(TIMER + 0x20, 0xFFFFFFFF),
        *write(TIMER + 0x28, ENABLE),
        *write(TIMER, tick),
        *write(TIMER + 8, ENABLE | INTERRUPT | 0x40),
        TAKE_IRQ,
    ]
    start(chain, 0, 1, program(code, handler))
    while chain.core.now < 200_000:
        chain.core.run(100_000)
    state = chain.core.core_state(0, 1)
    _, first, _, second, _, third = first_logged(chain, 1, 6)
    assert 20_000 <= first - second <= 20_300
    assert second - third == first - second
    assert state["ticks"] >= 18 and state["overruns"] >= state["ticks"] - 2


def first_logged(board, core, count):
    """Give the beginning of a log."""
    data = board.core.read_core(0, core, LOG, 4 * count)
    return [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(count)]


# --- packets ------------------------------------------------------------------------------------


def route(board, chip, entry, key, links=0, cores=()):
    """Add an entry to the routing table of a chip."""
    word = links | sum(1 << 6 + core for core in cores)
    board.chips[chip].set_route(entry, key, 0xFFFFFFFF, word, 30)


def send(key):
    return write(COMMS + 8, key)


def test_packets_take_time_for_each_hop(chain):
    """Cores that start together all count the time until a packet of the first chip comes."""
    for x in range(8):
        route(chain, x, 0, KEYS[0], links=1 if x < 7 else 0, cores=[2])
        handler = [*begin_service(), *log(TIMER + 4), *log(COMMS + 0x14), *end_service()]
        code = [*on_interrupt(MULTICAST, 0xD), *run_timer(), TAKE_IRQ]
        start(chain, x, 2, program(code, handler))
    start(chain, 0, 1, program([*([NO_OPERATION] * 500), *send(KEYS[0])]))
    settle(chain)
    arrived = []
    for x in range(8):
        _, count, key = logged(chain, x, 2, 3)
        assert key == KEYS[0]
        arrived.append(0xFFFFFFFF - count)
    later = [b - a for a, b in pairwise(arrived)]
    assert later[3:] == [40 + 32] * 4  # a router, and 40 bits at 250 Mbit/s
    assert arrived == sorted(arrived) and arrived[0] > 500


def one_after_another(board, reader):
    """Let core 1 send three packets to core 2, which runs `reader`."""
    route(board, 0, 0, 0x100, cores=[2])
    route(board, 0, 1, 0x101, cores=[2])
    route(board, 0, 2, 0x102, cores=[2])
    start(board, 0, 2, reader)
    start(board, 0, 1, program([word for key in KEYS for word in send(key)]))


def dropped(board):
    """Read the router's counter of multicast packets that were dropped."""
    return int.from_bytes(board.core.read(0, ROUTER + 0x320, 4), "little")


LOOKS = 10
LATE_READER = program(
    [
        *on_interrupt(TIMER1, 0xD),
        *write(TIMER, 20_000),
        *write(TIMER + 8, ENABLE | INTERRUPT | ONE_SHOT),
        TAKE_IRQ,
    ],
    [
        *begin_service(),
        *write(TIMER + 12, 0),
        *write(VIC + 0x14, 1 << TIMER1),
        *[word for _ in range(LOOKS) for word in [*log(COMMS + 0x14), *idle_for(600)]],
        *end_service(),
    ],
)
"""Looks for packets 100 microseconds later, and from then on every three."""


def test_a_packet_that_nobody_takes_is_dropped(chain):
    """One is in the register; the next two wait for the router's patience, one after the other."""
    one_after_another(chain, LATE_READER)
    settle(chain)
    _, *keys = logged(chain, 0, 2, 1 + LOOKS)
    assert keys == [KEYS[0]] + [0] * (LOOKS - 1)
    assert dropped(chain) == 2


def test_a_patient_router_drops_nothing(chain):
    chain.core.write(0, ROUTER, (0xFFFF0001).to_bytes(4, "little"))
    one_after_another(chain, LATE_READER)
    settle(chain)
    assert logged(chain, 0, 2, 1 + LOOKS)[1:] == KEYS + [0] * (LOOKS - len(KEYS))
    assert dropped(chain) == 0


def test_what_was_dropped_can_be_sent_again(chain):
    """As the toolchain's reinjector does: each packet arrives, and arrives once."""
    send_again = [
        *begin_service(),
        *constant(0, ROUTER + 0x1C),
        LOAD,
        *log(ROUTER + 0x28),
        *write(COMMS + 0x18, 7 << 24),
        *constant(0, COMMS + 8),
        STORE,
        *end_service(),
    ]
    chain.core.write(0, ROUTER, (0x00400001 | 4).to_bytes(4, "little"))
    start(chain, 0, 3, program([*on_interrupt(DUMP, 0xD), TAKE_IRQ], send_again))
    one_after_another(chain, LATE_READER)
    settle(chain)
    _, *keys = logged(chain, 0, 2, 1 + LOOKS)
    assert sorted(key for key in keys if key) == KEYS
    assert dropped(chain) > 2
    _, status = first_logged(chain, 3, 2)
    assert status == 1 << 31 | 1 << 6 + 2


def test_an_interrupt_wakes_another_core(chain):
    handler = [*begin_service(), *write(0xF200000C, 0x5EC00000 | 1 << 2), *end_service()]
    start(chain, 0, 2, program([*on_interrupt(CPU, 0xD), TAKE_IRQ], handler))
    start(chain, 0, 1, program(write(0xF2000008, 0x5EC00000 | 1 << 2)))
    settle(chain)
    assert logged(chain, 0, 2, 1) == [0xD]


# --- networks -----------------------------------------------------------------------------------

PROVENANCE = {
    "write_provenance": True,
    "read_placements_provenance_data": True,
    "keep_data_database": True,
}


def counted(description: str) -> float:
    """Add up a provenance item of all cores."""
    from spinn_front_end_common.utilities.base_database import BaseDatabase

    query = "SELECT sum(the_value) FROM core_provenance_view WHERE description = ?"
    with sqlite3.connect(BaseDatabase.default_database_file()) as record:
        return float(record.execute(query, [description]).fetchone()[0] or 0)


def light(sim: Any) -> Any:
    """Build a network of several cores with time to spare."""
    sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 20)
    source = sim.Population(60, sim.SpikeSourcePoisson(rate=60.0), seed=1)
    cells = sim.Population(60, sim.IF_curr_exp(tau_refrac=2.0), seed=2)
    some = sim.FixedProbabilityConnector(0.4)
    sim.Projection(source, cells, some, sim.StaticSynapse(weight=3.0, delay=3.0))
    few = sim.FixedProbabilityConnector(0.1)
    inhibition = sim.StaticSynapse(weight=-0.5, delay=1.0)
    sim.Projection(cells, cells, few, inhibition, receptor_type="inhibitory")
    return cells


def fine(sim: Any) -> Any:
    """Build a network whose one core of neurons needs 30,000 instructions a step."""
    source = sim.Population(1, sim.SpikeSourceArray([[0.5 * i for i in range(1, 7)]]))
    cells = sim.Population(250, sim.IF_curr_exp(i_offset=1.0))
    sim.Projection(source, cells, sim.AllToAllConnector(), sim.StaticSynapse(weight=1.0))
    return cells


def crowded(sim: Any) -> Any:
    """Build a network whose one core of neurons gets 40 spikes a step, to 128 synapses each."""
    sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 255)
    source = sim.Population(400, sim.SpikeSourcePoisson(rate=100.0), seed=1)
    cells = sim.Population(255, sim.IF_curr_exp(tau_refrac=2.0), seed=2)
    some = sim.FixedProbabilityConnector(0.5)
    sim.Projection(source, cells, some, sim.StaticSynapse(weight=0.1, delay=1.0))
    return cells


@pytest.fixture
def simulate(spynnaker_on, monkeypatch):
    """Run a network on a board of its own: spikes, provenance items and accounts by program."""
    from spinn_front_end_common.utility_models import (
        ReverseIPTagMulticastSourceMachineVertex as Source,
    )

    def simulate(build, enforce, run_ms, *items, threads=None, **setup):
        # Sources start later by a microsecond for every one that this process ever made: in time, a
        # whole step of 0.1 ms (sPyNNaker 7.4.1).
        monkeypatch.setattr(Source, "_n_vertices", 0)
        monkeypatch.setattr(Source, "_n_data_specs", 0)
        board = SoftwareBoard(version=3, enforce_timing=enforce, threads=threads)
        with board, spynnaker_on(board, options={"Reports": PROVENANCE}, **setup) as sim:
            cells = build(sim)
            cells.record("spikes")
            sim.run(run_ms)
            trains = cells.get_data("spikes").segments[0].spiketrains
            spikes = [train.magnitude.tolist() for train in trains]
            values = [counted(item) for item in items]
        assert board.origin.endswith("enforced timing)" if enforce else "ideal timing)")
        return spikes, values, board.accounts

    return simulate


OVERRUNS, LATE = "Timer tick overruns", "Number_of_late_spikes"


def overruns(accounts: list[dict[str, Any]]) -> int:
    return sum(account["overruns"] for account in accounts)


def test_a_light_network_gives_what_an_ideal_board_gives(simulate):
    ideal, _, _ = simulate(light, False, 200)
    results = [simulate(light, True, 200, LATE, threads=threads) for threads in (1, 2)]
    assert sum(map(len, ideal)) > 1000
    assert [spikes for spikes, _, _ in results] == [ideal, ideal]
    assert results[0] == results[1]
    assert results[0][1] == [0.0] and overruns(results[0][2]) == 0


def test_neurons_that_need_longer_than_a_step(simulate):
    """The verdict on an ideal board tells what an enforced one then shows."""
    slow = {"timestep": 0.1, "time_scale_factor": 1}
    ideal, (none,), accounts = simulate(fine, False, 50, OVERRUNS, **slow)
    assert none == 0 and overruns(accounts) > 400
    assert "would overrun" in next(report.timing_verdicts(accounts))
    spikes, (ticks,), accounts = simulate(fine, True, 50, OVERRUNS, **slow)
    assert ticks > 400 and overruns(accounts) > 400
    assert spikes != ideal
    relaxed, (none,), accounts = simulate(
        fine, True, 50, OVERRUNS, timestep=0.1, time_scale_factor=10
    )
    assert none == 0 and overruns(accounts) == 0
    assert relaxed == ideal


def test_more_spikes_than_a_core_can_take(simulate):
    ideal, (none,), accounts = simulate(crowded, False, 100, LATE)
    assert none == 0 and overruns(accounts) > 0
    results = [simulate(crowded, True, 100, LATE, threads=threads) for threads in (1, 2)]
    assert results[0] == results[1]
    spikes, (late,), accounts = results[0]
    assert late > 10 and overruns(accounts) > 50
    assert sum(map(len, spikes)) < 0.95 * sum(map(len, ideal))
    relaxed, (none,), accounts = simulate(crowded, True, 100, LATE, time_scale_factor=10)
    assert none == 0 and overruns(accounts) == 0
    assert relaxed == ideal
