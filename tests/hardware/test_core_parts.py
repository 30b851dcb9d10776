"""The parts of a chip, driven by ARM programs of a few instructions.

Programs log what they see in the core's data memory, from LOG on.
"""

from __future__ import annotations

import struct

import pytest
from small_programs import (
    COMMS,
    CPU,
    DMA,
    DMA_DONE,
    ENABLE,
    FIXED,
    INTERRUPT,
    LOG,
    MULTICAST,
    ONE_SHOT,
    PERIODIC,
    READY,
    SCRATCH,
    TAKE_FIQ,
    TAKE_IRQ,
    TAKE_NONE,
    TIMER,
    TIMER1,
    VIC,
    begin_service,
    branch,
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
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.emulator import _core
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.layout import read_layout

# --- machines to run it on -----------------------------------------------------------------------


def three_chips(threads=None):
    """Three chips in a row: E and W links only; booted."""
    layout = read_layout(
        {
            "name": "line",
            "version": 0,
            "width": 3,
            "height": 1,
            "wraps": False,
            "ethernet": [0, 0],
            "dead_links": [],
            "chips": [[0, 0, 18], [1, 0, 18], [2, 0, 18]],
        }
    )
    return Board(layout, threads=threads)


@pytest.fixture
def line():
    return three_chips()


# --- timers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prescale", "divisor"), [(0, 1), (1, 16), (2, 256)])
def test_a_one_shot_timer_interrupts_once(line, prescale, divisor):
    main = [
        *on_interrupt(TIMER1, 0x77),
        TAKE_IRQ,
        *write(TIMER, 5000),
        *write(TIMER + 8, ENABLE | INTERRUPT | ONE_SHOT | prescale << 2),
    ]
    irq = [*begin_service(), *log(TIMER + 4), *write(TIMER + 0xC, 1), *end_service()]
    assert run(line, main, irq, count=2) == [0x77, 0]
    assert line.core.now == 5000 * divisor


def count_ticks(ticks, extra=()):
    """Give a handler that stops the timer after some ticks; counts in r8."""
    return [
        *begin_service(),
        *write(TIMER + 0xC, 1),
        *extra,
        0xE2888001,  # add r8, r8, #1
        0xE3580000 | ticks,  # cmp r8, #ticks
        *constant(0, TIMER + 8),
        *constant(1, 0),
        0x05801000,  # streq r1, [r0]
        *end_service(),
    ]


def test_a_periodic_timer_keeps_its_period(line):
    main = [
        *on_interrupt(TIMER1, 0x55),
        *constant(8, 0),
        TAKE_IRQ,
        *write(TIMER, 200_000),
        *write(TIMER + 8, ENABLE | INTERRUPT | PERIODIC),
    ]
    assert run(line, main, count_ticks(5), count=5) == [0x55] * 5
    assert line.time_ms == 5.0
    clock = line.chips[0].memory.u32(c.SYSTEM_VARIABLES + 0x10)
    assert clock == 5


def test_the_background_load_changes_only_the_next_period(line):
    main = [
        *on_interrupt(TIMER1, 0x55),
        *constant(8, 0),
        TAKE_IRQ,
        *write(TIMER, 10_000),
        *write(TIMER + 8, ENABLE | INTERRUPT | PERIODIC),
        *write(TIMER + 0x18, 30_000),
        *log(TIMER),
        *log(TIMER + 0x18),
    ]
    assert run(line, main, count_ticks(3), count=5) == [10_000, 30_000, 0x55, 0x55, 0x55]
    assert line.core.now == 10_000 + 30_000 + 30_000


def test_time_passes_for_one_who_looks_at_the_clock(line):
    main = [
        *write(TIMER, 10_000),
        *write(TIMER + 8, ENABLE | PERIODIC),
        *log(TIMER + 4),
        *log(TIMER + 4),
        *write(TIMER + 8, 0),
        *log(TIMER + 4),
        *log(TIMER + 4),
    ]
    first, second, stopped, still = run(line, main, count=4)
    assert 10_000 > first > second > stopped == still > 9_000


def test_time_stands_still_when_nobody_waits_for_it(line):
    main = [*write(TIMER, 1000), *write(TIMER + 8, ENABLE | PERIODIC)]
    run(line, main, count=0)
    assert line.core.now == 0


@pytest.mark.parametrize("count", [5000, 777])
def test_the_second_timer_is_another(line, count):
    main = [
        *on_interrupt(TIMER1 + 1, 0x22),
        TAKE_IRQ,
        *write(TIMER + 0x20, count),
        *write(TIMER + 0x28, ENABLE | INTERRUPT | ONE_SHOT),
        *log(TIMER),
        *log(TIMER + 0x20),
    ]
    irq = [*begin_service(), *log(TIMER + 0x34), *write(TIMER + 0x2C, 1), *end_service()]
    assert run(line, main, irq, count=4) == [0, count, 0x22, 1]
    assert line.core.now == count


# --- interrupt controller ------------------------------------------------------------------------

# Vectors are the masks of their sources here, so that one handler can clear what it serves.
SERVE = [
    *constant(0, VIC + 0x30),
    0xE5901000,  # ldr r1, [r0]: begin
    0xE4891004,  # log it
    *constant(2, VIC + 0x1C),
    0xE5821000,  # str r1, [r2]: clear the software interrupt
    0xE5801000,  # str r1, [r0]: end
]


def test_the_lowest_slot_is_served_first(line):
    sources = {5: 1 << 2, 0: 1 << 7, 12: 1 << 3, 3: 1 << 1}
    main = [TAKE_NONE]
    for slot, mask in sources.items():
        main += on_interrupt(mask.bit_length() - 1, mask, slot=slot)
    main += [*write(VIC + 0x18, sum(sources.values())), *log(VIC), TAKE_IRQ]
    every = sum(sources.values())
    assert run(line, main, SERVE, count=5) == [every, 1 << 7, 1 << 1, 1 << 2, 1 << 3]


def test_a_source_without_a_slot_has_the_default_vector(line):
    main = [
        *write(VIC + 0x34, 1 << 9),
        *write(VIC + 0x10, 1 << 9),
        *on_interrupt(2, 1 << 2, slot=15),
        *write(VIC + 0x18, 1 << 9 | 1 << 2),
        TAKE_IRQ,
    ]
    assert run(line, main, SERVE, count=2) == [1 << 2, 1 << 9]


def test_a_higher_priority_interrupts_a_lower_one(line):
    # The first to be served raises the one above and the one below it, and then lets interrupts in.
    main = [
        *on_interrupt(1, 1 << 1, slot=1),
        *on_interrupt(2, 1 << 2, slot=2),
        *on_interrupt(3, 1 << 3, slot=3),
        TAKE_IRQ,
        *write(VIC + 0x18, 1 << 2),
    ]
    irq = [
        *constant(0, VIC + 0x30),
        0xE5901000,
        0xE4891004,
        *constant(2, VIC + 0x1C),
        0xE5821000,
        *constant(3, 1 << 2),
        0xE1510003,  # cmp r1, r3
        *constant(3, 1 << 1 | 1 << 3),
        0x05023004,  # streq r3, [r2, #-4]: raise both
        *log(VIC),
        *end_service(),
    ]
    got = run(line, main, irq, count=6)
    # Masked in the handler itself: both are pending while it runs, and follow in order.
    assert got == [1 << 2, 1 << 1 | 1 << 3, 1 << 1, 1 << 3, 1 << 3, 0]


def test_disabled_and_masked_interrupts_do_nothing(line):
    main = [
        TAKE_IRQ,
        *on_interrupt(2, 1 << 2),
        *write(VIC + 0x14, 1 << 2),
        *write(VIC + 0x18, 1 << 2),
        *log(VIC),
        *log(VIC + 8),
        *log(VIC + 0x18),
    ]
    empty_and_not_full = 1 << 11 | 1 << 23
    assert run(line, main, SERVE, count=3) == [0, empty_and_not_full | 1 << 2, 1 << 2]


def test_a_fast_interrupt_takes_its_own_way(line):
    main = [
        *write(VIC + 0x0C, 1 << 3),
        *write(VIC + 0x10, 1 << 3),
        *write(VIC + 0x18, 1 << 3),
        *log(VIC),
        *log(VIC + 4),
        TAKE_FIQ,
    ]
    # r9 is another one in this mode.
    fiq = [*constant(9, LOG + 8), *log(VIC + 4), *write(VIC + 0x1C, 1 << 3)]
    assert run(line, main, fiq=fiq, count=3) == [0, 1 << 3, 1 << 3]


# --- DMA -----------------------------------------------------------------------------------------


def transfer(system, tcm, length, *, out):
    return [
        *write(DMA + 4, system),
        *write(DMA + 8, tcm),
        *write(DMA + 0xC, int(out) << 19 | length),
    ]


def test_transfers_go_both_ways(line):
    data = bytes(range(64))
    line.core.write(0, SCRATCH, data)
    main = [
        *transfer(SCRATCH, c.DTCM_BASE + 0x2000, 64, out=False),
        *transfer(SCRATCH + 0x1000, c.DTCM_BASE + 0x2010, 32, out=True),
        *log(DMA + 4),
        *log(DMA + 8),
        *log(DMA + 0xC),
    ]
    got = run(line, main, count=3)
    assert got == [SCRATCH + 0x1000, c.DTCM_BASE + 0x2010, 1 << 19 | 32]
    assert line.core.read_core(0, 1, c.DTCM_BASE + 0x2000, 64) == data
    assert line.core.read(0, SCRATCH + 0x1000, 32) == data[16:48]
    assert line.core.core_state(0, 1)["dma_bytes"] == 96


def test_each_transfer_interrupts_once(line):
    main = [
        *write(DMA + 0x18, 1 << 10),
        *log(DMA + 0x14),
        *transfer(SCRATCH, c.DTCM_BASE, 4, out=False),
        *transfer(SCRATCH, c.DTCM_BASE, 4, out=False),
        *log(DMA + 0x14),
        *on_interrupt(DMA_DONE, 0x99),
        TAKE_IRQ,
    ]
    irq = [*begin_service(), *write(DMA + 0x10, 8), *end_service()]
    assert run(line, main, irq, count=4) == [1 << 24, 1 << 24 | 1 << 10, 0x99, 0x99]


def test_without_being_asked_a_transfer_interrupts_nobody(line):
    main = [
        *on_interrupt(DMA_DONE, 0x99),
        TAKE_IRQ,
        *transfer(SCRATCH, c.DTCM_BASE, 4, out=False),
    ]
    assert run(line, main, begin_service(), count=0) == []


def test_commands_to_the_controller_are_over_at_once(line):
    # The on-chip router compressor gives commands and waits until their bits have gone.
    main = [
        *transfer(SCRATCH, c.DTCM_BASE, 4, out=False),
        *write(DMA + 0x10, 0x3F),
        *log(DMA + 0x14),
        *write(DMA + 0x10, 0x0D),
        *log(DMA + 0x10),
    ]
    assert run(line, main, count=2) == [1 << 24, 0]


def test_code_that_is_copied_in_is_executed(line):
    # The copy replaces "log 1" behind the transfer by "log 2".
    one, two = constant(1, 1), constant(1, 2)
    line.core.write(0, SCRATCH, struct.pack("<4I", *two))
    before = transfer(SCRATCH, 0, 16, out=False)
    at = 0x40 + 4 * (4 + len(before))
    main = [*transfer(SCRATCH, at, 16, out=False), *one, 0xE4891004]
    assert run(line, main, count=1) == [2]


# --- packets -------------------------------------------------------------------------------------


def send(key, *, payload=None, kind=0):
    words = write(COMMS, kind << 22)
    if payload is not None:
        words += write(COMMS + 4, payload)
    return [*words, *write(COMMS + 8, key)]


LISTEN = [*on_interrupt(MULTICAST, 0), *on_interrupt(FIXED, 0, slot=1), TAKE_IRQ]
RECEIVE = [
    *constant(0, VIC + 0x30),
    0xE5901000,
    *log(COMMS + 0x0C),
    *log(COMMS + 0x10),
    *log(COMMS + 0x14),
    *end_service(),
]


def listen(board, *places):
    for chip, core in places:
        start(board, chip, core, program(LISTEN, RECEIVE))
    settle(board)


def transmit(board, *packets, chip=0, core=17):
    start(board, chip, core, program([word for packet in packets for word in packet]))
    settle(board)


def received(board, chip, core, count):
    values = logged(board, chip, core, 3 * count)
    return list(zip(values[2::3], values[1::3], values[::3], strict=True))


def route(board, chip, entry, key, mask, to):
    board.chips[chip].set_route(entry, key, mask, to, 30)


def core_bit(core):
    return 1 << 6 + core


EAST, WEST = 1 << 0, 1 << 3


def test_packets_go_to_all_cores_of_their_entry(line):
    listen(line, (0, 1), (0, 2), (0, 3))
    route(line, 0, 1, 0x100, 0xFFFFFF00, core_bit(1) | core_bit(3))
    transmit(line, send(0x123), send(0x1FF, payload=0xCAFE))
    expected = [(0x123, 0, 1 << 31), (0x1FF, 0xCAFE, 1 << 31 | 2 << 16)]
    assert received(line, 0, 1, 2) == expected
    assert received(line, 0, 3, 2) == expected
    assert received(line, 0, 2, 0) == []
    assert line.core.core_state(0, 17)["packets_sent"] == 2
    assert line.core.core_state(0, 3)["packets_received"] == 2


def test_the_first_entry_that_matches_wins(line):
    listen(line, (0, 1), (0, 2), (0, 3))
    route(line, 0, 7, 0x100, 0xFFFFFF00, core_bit(2))
    route(line, 0, 3, 0x120, 0xFFFFFFF0, core_bit(1))
    route(line, 0, 9, 0x000, 0x00000000, core_bit(3))
    transmit(line, send(0x12F), send(0x130), send(0x200))
    assert [received(line, 0, core, 1)[0][0] for core in (1, 2, 3)] == [0x12F, 0x130, 0x200]


def test_a_changed_table_counts_at_once(line):
    listen(line, (0, 1), (0, 2))
    route(line, 0, 1, 0x100, 0xFFFFFFFF, core_bit(1))
    transmit(line, send(0x100))
    route(line, 0, 1, 0x100, 0xFFFFFFFF, core_bit(2))
    transmit(line, send(0x100))
    line.chips[0].clear_routes(1, 1)
    transmit(line, send(0x100))
    assert len(received(line, 0, 1, 1)) == len(received(line, 0, 2, 1)) == 1


def test_packets_cross_chips_straight_on_where_nothing_matches(line):
    listen(line, (0, 1), (1, 1), (2, 1))
    route(line, 0, 1, 0x500, 0xFFFFFFFF, EAST)
    route(line, 2, 1, 0x500, 0xFFFFFFFF, core_bit(1) | WEST)
    transmit(line, send(0x500))
    # Back from chip 2 it goes straight on at chip 1, and round for ever at chip 0 and chip 2,
    # until it is too old.
    assert received(line, 1, 1, 0) == []
    data = line.core.read_core(2, 1, LOG, 12)
    assert struct.unpack("<3I", data) == (1 << 31, 0, 0x500)
    assert line.core.core_state(2, 1)["packets_received"] < 1000


def test_what_leaves_the_board_is_gone(line):
    listen(line, (2, 1))
    route(line, 0, 1, 0x500, 0xFFFFFFFF, EAST | WEST | 1 << 2)
    transmit(line, send(0x500))
    assert received(line, 2, 1, 0) == []


def counters(board, chip):
    return struct.unpack("<16I", board.core.read(chip, c.ROUTER + 0x300, 64))


def test_the_router_counts(line):
    listen(line, (1, 1))
    route(line, 0, 1, 0x500, 0xFFFFFFFF, EAST)
    route(line, 1, 1, 0x500, 0xFFFFFFFF, core_bit(1))
    transmit(line, send(0x500), send(0x500, payload=1), send(0x999))
    local, foreign, dumped = 0, 1, 8
    assert [counters(line, 0)[i] for i in (local, foreign, dumped)] == [2, 0, 1]
    assert [counters(line, 1)[i] for i in (local, foreign, dumped)] == [0, 2, 0]
    line.core.write(0, c.ROUTER + 0x2C, struct.pack("<I", 0xFFFFFFFF))
    assert counters(line, 0) == (0,) * 16


def test_the_fixed_route_needs_no_key(line):
    listen(line, (0, 1), (1, 1))
    line.chips[0].set_fixed_route(EAST)
    line.chips[1].set_fixed_route(core_bit(1))
    transmit(line, send(0xABCD, payload=7, kind=3))
    assert received(line, 1, 1, 1) == [(0xABCD, 7, 1 << 31 | 0xC2 << 16)]
    assert received(line, 0, 1, 0) == []


def test_packets_of_the_monitors_go_nowhere(line):
    listen(line, (0, 1))
    route(line, 0, 1, 0, 0, core_bit(1))
    transmit(line, send(0x1, kind=1), send(0x2, kind=2))
    assert received(line, 0, 1, 0) == []


def test_a_flood_arrives_whole_and_in_order(line):
    listen(line, (0, 1))
    route(line, 0, 1, 0, 0, core_bit(1))
    transmit(line, *(send(1000 + i) for i in range(300)))
    assert [key for key, *_ in received(line, 0, 1, 300)] == [1000 + i for i in range(300)]


def test_packets_for_cores_that_are_off_are_dropped(line):
    route(line, 0, 1, 0, 0, core_bit(1))
    transmit(line, send(1))
    listen(line, (0, 1))
    assert received(line, 0, 1, 0) == []


def test_packet_ready_counts_only_as_a_fast_interrupt(line):
    route(line, 0, 1, 0, 0, core_bit(1))
    main = [*on_interrupt(READY, 0x66), TAKE_IRQ, *send(5)]
    assert run(line, main, begin_service(), count=0) == []
    main = [*write(VIC + 0x0C, 1 << READY), *write(VIC + 0x10, 1 << READY), TAKE_FIQ, *send(6)]
    fiq = [*constant(9, LOG), *log(COMMS + 0x14)]
    assert run(line, main, fiq=fiq, count=1) == [6]


# --- system controller ---------------------------------------------------------------------------


def test_locks_are_taken_once(line):
    lock = 0xE2000100 + 4 * 5
    reads = (lock, lock, lock + 0x80, lock + 0x80, lock, lock + 4)
    main = [word for address in reads for word in log(address)]
    assert run(line, main, count=6) == [0, 1 << 31, 1 << 31, 0, 0, 0]


def test_chips_tell_what_they_are(line):
    main = [*log(0xE2000000), *log(0xF2000000), *log(0xE2000034)]
    assert run(line, main, count=3) == [0x59111012, 0x59111012, 0]


def test_cores_interrupt_each_other(line):
    handler = [*begin_service(), *write(c.SYSCTL_CLEAR_IRQ, c.SYSCTL_CODE | 4), *end_service()]
    start(line, 0, 2, program([*on_interrupt(CPU, 0x44), TAKE_IRQ], handler))
    settle(line)
    run(line, write(c.SYSCTL_SET_IRQ, c.SYSCTL_CODE | 4), count=0)
    assert logged(line, 0, 2, 1) == [0x44]


def test_a_core_calls_its_monitor(line):
    start(line, 1, 1, program(write(c.SYSCTL_SET_IRQ, c.SYSCTL_CODE | 1)))
    assert line.core.run(1_000_000) == _core.ATTENTION
    assert line.core.attention() == [1]
    assert line.core.attention() == []
    assert line.core.run(1_000_000) == _core.IDLE


# --- the scheduler -------------------------------------------------------------------------------


def test_a_core_that_never_waits_does_not_stop_the_others(line):
    start(line, 0, 2, struct.pack("<I", branch(0, 0)))
    main = [
        *on_interrupt(TIMER1, 0x55),
        *constant(8, 0),
        TAKE_IRQ,
        *write(TIMER, 200_000),
        *write(TIMER + 8, ENABLE | INTERRUPT | PERIODIC),
    ]
    start(line, 0, 1, program(main, count_ticks(3)))
    for _ in range(100):
        assert line.core.run(10_000_000) == _core.ALLOWANCE
        if line.time_ms > 3:
            break
    assert logged(line, 0, 1, 3) == [0x55] * 3


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("writers", [(1,), (3,), (1, 3)])
def test_what_is_written_to_sdram_in_a_tick_is_read_in_the_next(threads, writers):
    line = three_chips(threads)
    line.core.write(0, SCRATCH, struct.pack("<I", 99))
    main = [
        *on_interrupt(TIMER1, 0x55),
        *constant(8, 0),
        TAKE_IRQ,
        *write(TIMER, 200_000),
        *write(TIMER + 8, ENABLE | INTERRUPT | PERIODIC),
    ]
    here = c.DTCM_BASE + 0x2000
    acknowledge = write(DMA + 0x10, 8)  # what is brought in is there once a register was used
    read = [*transfer(SCRATCH, here, 4, out=False), *acknowledge, *log(here)]
    for core in writers:
        value = 0xE2887000 | 16 * core  # add r7, r8, #16 * core
        put = [value, *constant(0, here), 0xE5807000]  # str r7, [r0]
        put += transfer(SCRATCH, here, 4, out=True)
        start(line, 0, core, program(main, count_ticks(4, put)))
    start(line, 0, 2, program(main, count_ticks(4, read)))
    settle(line)
    last = 16 * max(writers)
    assert logged(line, 0, 2, 8)[1::2] == [99, last, last + 1, last + 2]


def test_a_core_without_a_fault_handler_dies_alone(line):
    start(line, 0, 2, struct.pack("<I", 0xE7F000F0) * 8)
    assert run(line, log(0xE2000000), count=1) == [0x59111012]
    assert line.core.deaths == 1
    assert line.core.core_state(0, 2)["state"] == "dead"
    assert line.chips[0].state(2) == c.CoreState.RUN_TIME_ERROR


@pytest.mark.parametrize(("chip", "core"), [(3, 1), (0, 0), (0, 18), (0, 99)])
def test_cores_that_are_not_there(line, chip, core):
    for call in (line.core.start, line.core.read_core, line.core.write_core):
        rest = {"start": (0,), "read_core": (0, 4), "write_core": (0, b"1234")}[call.__name__]
        with pytest.raises(IndexError):
            call(chip, core, *rest)
