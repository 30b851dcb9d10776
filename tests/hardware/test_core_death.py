"""Cores that die: what the host reads of them, and what becomes of the others.

Scripts of sPyNNaker run as on any board; what is damaged is the memory of the cores, by the means
that a host has: before they start, or just before the signal that lets the simulation begin.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from datagrams import answer, request
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.constants import Command, CoreState, Result
from spikingconvnet.hardware.emulator.board import Board, make_board
from spikingconvnet.hardware.emulator.chip import vcpu

HOST = ("127.0.0.1", 40000)
SOFT_WDOG = c.SYSTEM_VARIABLES + 0x43
LOAD_AREA = c.SDRAM + c.SDRAM_SIZE - c.SDRAM_SYSTEM_SIZE
LOOP = 0xEAFFFFFE  # b .
NOWHERE = 0xD0000000

IRQ_VECTOR, FREE_ITCM = 0x18, 0x7F00
"""Where interrupts go, and room behind the code of the binaries used here."""
PROLOGUE = (
    0xE3A0020D,  # mov r0, #NOWHERE, and 1 to 7 into the others
    *(0xE3A00000 | number << 12 | number for number in range(1, 8)),
    0xE328F206,  # msr cpsr_f, #0x60000000: zero and carry
)
FAULT = FREE_ITCM + 4 * len(PROLOGUE)
PSR = 0x60000092
"""Those flags in interrupt mode, with normal interrupts off."""
FAULTS = {
    "RESET": ("RESET", (0xE1A0E00F, 0xE3A0F000), FAULT + 8),  # mov lr, pc; mov pc, #0
    "UNDEF": ("UNDEF", (0xE7F000F0,), FAULT + 4),
    "SVC": ("SVC", (0xEF000000,), FAULT + 4),
    "PABT": ("PABT", (0xE12FFF10,), NOWHERE + 4),  # bx r0
    "DABT": ("DABT", (0xE5901000,), FAULT + 8),  # ldr r1, [r0]
    "not aligned": ("DABT", (0xE5821000,), FAULT + 8),  # str r1, [r2], where r2 is 2
}
"""A label -> SpiNNMan's name of the error, code that leads to it, and the link register then."""


def words(*values: int) -> bytes:
    """Write words as a core reads them."""
    return struct.pack(f"<{len(values)}I", *values)


def placed(label: str) -> Any:
    """Find the core of a population."""
    from spynnaker.pyNN.data import SpynnakerDataView as View

    return next(p for p in View.iterate_placemements() if p.vertex.label.startswith(label))


def divert(label: str, code: tuple[int, ...]) -> None:
    """Let the next interrupt of a population's core lead to some code."""
    from spynnaker.pyNN.data import SpynnakerDataView as View

    where, write = placed(label), View.get_transceiver().write_memory
    write(where.x, where.y, FREE_ITCM, words(*PROLOGUE, *code), cpu=where.p)
    branch = 0xEA000000 | (FREE_ITCM - IRQ_VECTOR - 8) // 4
    write(where.x, where.y, IRQ_VECTOR, words(branch), cpu=where.p)


@contextlib.contextmanager
def before(step: str, action: Callable[[], None]) -> Iterator[None]:
    """Do something each time before sPyNNaker loads the binaries, or lets them go."""
    from spinn_front_end_common.interface.abstract_spinnaker_base import AbstractSpinnakerBase
    from spinn_front_end_common.interface.interface_functions.application_runner import (
        _ApplicationRunner,
    )

    owner, name = {
        "load": (AbstractSpinnakerBase, "_execute_application_load_executables"),
        "go": (_ApplicationRunner, "_send_sync_signal"),
    }[step]
    original = getattr(owner, name)

    def wrapped(self: Any) -> Any:
        action()
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, wrapped)
        yield


@contextlib.contextmanager
def failing() -> Iterator[list[Any]]:
    """Expect that a run fails because of cores; give their states, as SpiNNMan has read them."""
    from spinnman.exceptions import SpiNNManCoresNotInStateException as Failed

    found: list[Any] = []
    with pytest.raises(Failed) as caught:
        yield found
    found.append(caught.value.failed_core_states())


def healthy(use: Any, board: Any) -> tuple[Any, int]:
    """Run a network; give what it does, and the link register of its core as the host sees it."""
    with use(board) as sim:
        from spynnaker.pyNN.data import SpynnakerDataView as View

        cells = sim.Population(4, sim.IF_curr_exp(i_offset=1.0), label="cells")
        cells.record(["spikes", "v"])
        sim.run(400)
        core = placed("cells")
        block = View.get_transceiver().read_memory(core.x, core.y, vcpu(core.p), c.VCPU_SIZE)
        segment = cells.get_data().segments[0]
        (v,) = segment.analogsignals
        spikes = [train.magnitude.tolist() for train in segment.spiketrains]
    return (spikes, v.magnitude.tolist()), int.from_bytes(block[40:44], "little")


@pytest.fixture(scope="module")
def known_run() -> list[Any]:
    """Keep what the healthy network does, for all tests."""
    return []


@pytest.fixture
def usual(known_run, board_process, spynnaker_on) -> Any:
    """Give what the healthy network does."""
    if not known_run:
        known_run.append(healthy(spynnaker_on, board_process))
    result, link = known_run[0]
    assert link == 0
    return result


def divert_all() -> None:
    """Let each core run into the fault after which its population is called."""
    for name, (_, code, _) in FAULTS.items():
        divert(name, code)


def test_every_fault_is_told_with_its_registers(
    board_process, spynnaker_on, caplog, tmp_path, usual
):
    options = {"Reports": {"default_report_file_path": tmp_path}}
    with spynnaker_on(board_process, options=options) as sim:
        for name in (*FAULTS, "well"):
            sim.Population(2, sim.IF_curr_exp(i_offset=1.0), label=name)
        with before("go", divert_all), failing() as found:
            sim.run(40)
        cores = {name: placed(name) for name in FAULTS}
        well = placed("well")
    (states,) = found
    assert len(states) == len(FAULTS) and not states.is_core(well.x, well.y, well.p)
    for name, (error, _, link) in FAULTS.items():
        place = cores[name]
        info = states.get_cpu_info(place.x, place.y, place.p)
        assert (info.state.name, info.run_time_error.name) == ("RUN_TIME_EXCEPTION", error)
        first = 1 if name == "RESET" else NOWHERE  # SARK puts the code of this error there
        assert list(info.registers) == [first, 1, 2, 3, 4, 5, 6, 7]
        assert (info.processor_state_register, info.link_register) == (PSR, link)
        assert c.DTCM_BASE < info.stack_pointer < c.DTCM_BASE + c.DTCM_SIZE
        at = f"{place.x}:{place.y}:{place.p} (ph: {place.p})"
        assert f"{at} in state RUN_TIME_EXCEPTION:{error}" in caplog.text
        assert f"LR={link}" in caplog.text
        iobuf = f"*/run_1/**/iobuf_for_chip_{place.x}_{place.y}_processor_id_{place.p}.txt"
        (text,) = (path.read_text() for path in (tmp_path / "reports").glob(iobuf))
        assert "Setting the runtime of this model to 40 starting at 0" in text
    assert healthy(spynnaker_on, board_process)[0] == usual


@pytest.mark.parametrize(
    ("offset", "value", "error", "text"),
    [
        (0, 0x12345678, "API", "[ERROR] Magic number is incorrect: 12345678"),
        (4, 7, "API", "[ERROR] Version number is incorrect: 00000007"),
        (8 + 12, NOWHERE, "DABT", "in state RUN_TIME_EXCEPTION:DABT"),
    ],
    ids=["magic number", "version", "address of a region"],
)
def test_damaged_data_is_told(board_process, spynnaker_on, caplog, offset, value, error, text):
    """The binary says what it finds, and dies by RTE_API; or reads where nothing is."""

    def damage() -> None:
        from spynnaker.pyNN.data import SpynnakerDataView as View

        core, transceiver = placed("cells"), View.get_transceiver()
        table = transceiver.get_region_base_address(core.x, core.y, core.p)
        transceiver.write_memory(core.x, core.y, table + offset, words(value))

    with spynnaker_on(board_process) as sim:
        sim.Population(2, sim.IF_curr_exp(), label="cells")
        with before("load", damage), failing() as found:
            sim.run(10)
        core = placed("cells")
    info = found[0].get_cpu_info(core.x, core.y, core.p)
    assert (info.state.name, info.run_time_error.name) == ("RUN_TIME_EXCEPTION", error)
    assert info.processor_state_register & 0x1F == 0x1F  # system mode, where programs run
    assert (19 if error == "API" else NOWHERE) in info.registers
    assert 0 < info.link_register < c.ITCM_SIZE
    assert text in caplog.text


def watch() -> None:
    """Turn the watchdog on."""
    from spynnaker.pyNN.data import SpynnakerDataView as View

    for chip in View.get_machine().chips:
        View.get_transceiver().write_memory(chip.x, chip.y, SOFT_WDOG, b"\x02")


def test_the_watchdog_stops_the_core_that_does_not_answer(spynnaker_on, caplog, usual):
    """A core in an endless loop with interrupts off, next to others that work."""
    with SoftwareBoard(version=3) as board:
        with before("go", watch):
            result, link = healthy(spynnaker_on, board)
        assert result == usual
        assert 0 < link < c.ITCM_SIZE  # where the last ping has found it
        with spynnaker_on(board) as sim:
            for label in ("stuck", "well"):
                sim.Population(2, sim.IF_curr_exp(i_offset=1.0), label=label)
            with before("go", lambda: divert("stuck", (LOOP,))), failing() as found:
                sim.run(1000)
            stuck = placed("stuck")
    assert len(found[0]) == 1
    assert found[0].get_cpu_info(stuck.x, stuck.y, stuck.p).state.name == "WATCHDOG"
    assert f"{stuck.x}:{stuck.y}:{stuck.p} in state WATCHDOG" in caplog.text


@pytest.mark.long
def test_without_the_watchdog_a_loop_is_told_as_a_core_that_does_not_end(
    board_process, spynnaker_on, usual
):
    """The firmware, as SpiNNMan boots it, does not watch; the host waits as long as it is told."""
    options = {"Machine": {"post_simulation_overrun_before_error": 2}}
    with spynnaker_on(board_process, options=options) as sim:
        for label in ("stuck", "well"):
            sim.Population(2, sim.IF_curr_exp(i_offset=1.0), label=label)
        with before("go", lambda: divert("stuck", (LOOP,))), failing() as found:
            sim.run(1000)
        stuck = placed("stuck")
    assert len(found[0]) == 1
    assert found[0].get_cpu_info(stuck.x, stuck.y, stuck.p).state.name == "RUNNING"
    assert healthy(spynnaker_on, board_process)[0] == usual


# --- without sPyNNaker ---------------------------------------------------------------------------


def start(board: Board, code: bytes) -> None:
    """Start some code on core 1."""
    memory = board.chips[0].memory
    memory.write(LOAD_AREA, words(2, 0, 32, len(code), 4, 0, 0, 0) + code)
    send(board, Command.AR, 30 << 24 | 0b10)


def send(board: Board, command: Command, arg1: int, core: int = 0) -> list[int]:
    """Send a command; give the codes of the answers."""
    board.handle(request(command, arg1, 4, 2, core=core), HOST)
    return answers(board)


def answers(board: Board) -> list[int]:
    """Take the codes of the answers that wait."""
    return [answer(data)[0] for data, _, _ in board.take_outgoing()]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_loop_without_interrupts_is_found_after_so_many_turns(turns):
    """17 cores have a turn every 170 ms; a loop is let run for 100 ms before time moves."""
    board = make_board(3, "127.53.1.2", threads=1)
    chip = board.chips[0]
    chip.memory.set_u8(SOFT_WDOG, turns)
    start(board, words(LOOP))
    while chip.state(1) != CoreState.WATCHDOG and board.time_ms < 900:
        assert board.run()
    if turns:
        assert 170 * turns <= board.time_ms < 170 * (turns + 1) + 20
        assert board.core.core_state(0, 1)["state"] == "dead" and board.core.deaths == 1
        assert not board.run()
    else:
        assert chip.state(1) == CoreState.INITIALISING and board.core.deaths == 0


@pytest.mark.parametrize(
    "code",
    [words(LOOP), words(0xE7F000F0), words(0xEE070F90, 0xEAFFFFFD)],
    ids=["loops", "is dead", "sleeps without interrupts"],
)
def test_a_message_that_a_core_does_not_take_blocks_the_next(code):
    """As in the firmware: the first lies in the mailbox, the others find it full for 1 ms."""
    board = make_board(3, "127.53.1.2", threads=1)
    start(board, code)
    board.run()
    assert send(board, Command.VER, 0, core=1) == []
    assert board.chips[0].memory.u8(vcpu(1) + 56) == c.Mailbox.MESSAGE
    for _ in range(2):
        assert send(board, Command.VER, 0, core=1) == []
    codes: list[int] = []
    while not codes:
        board.run()
        codes = answers(board)
    assert codes == [Result.TIMEOUT] * 2
