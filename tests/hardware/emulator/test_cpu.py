"""The core (cpu.c) by definition: exceptions, modes, interrupts, memory rules, counting."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import cpu_machine as cpu
import pytest

CODE, HOLD, WAIT = 0x400, cpu.HOLD, 0xEE070F90
IRQ_OFF, FIQ_OFF = 0x80, 0x40
# STR, LDR, STM, LDM, STRD, LDRD, SWP with base r1
ACCESSES = (0xE5810000, 0xE5910000, 0xE8A10009, 0xE8B10009, 0xE1C120F0, 0xE1C120D0, 0xE1010093)
UNDEFINED_AT, SWI_AT, PREFETCH_AT, DATA_AT, IRQ_AT, FIQ_AT = 0x04, 0x08, 0x0C, 0x10, 0x18, 0x1C


@pytest.fixture
def core() -> Iterator[Any]:
    machine = cpu.Machine()
    machine.words(0, *[HOLD] * 8)
    machine.reset(cpsr=cpu.SYS, pc=CODE)
    yield machine
    machine.close()


def run_arm(core: Any, *code: int, cpsr: int = cpu.SYS, **registers: int) -> list[int]:
    """Run the words and then hold; return r0-r15 and CPSR."""
    core.words(CODE, *code, HOLD)
    core.update(cpsr=cpsr, **registers, r15=CODE)
    assert core.run(len(code)) == cpu.BUDGET
    return core.get()


# ---- exceptions and modes ----


@pytest.mark.parametrize(
    ("code", "vector", "mode", "link"),
    [
        (0xEF123456, SWI_AT, cpu.SVC, 4),
        (0xE7F000F0, UNDEFINED_AT, cpu.UND, 4),
        (0xEE000110, UNDEFINED_AT, cpu.UND, 4),  # another coprocessor
        (0xF57FF05F, UNDEFINED_AT, cpu.UND, 4),  # later than v5
        (0xE6BF0F31, UNDEFINED_AT, cpu.UND, 4),
        (0xE1200070, PREFETCH_AT, cpu.ABT, 4),
        (0xE5910000, DATA_AT, cpu.ABT, 8),
        (0xE5A10004, DATA_AT, cpu.ABT, 8),
        (0xE8B1000D, DATA_AT, cpu.ABT, 8),
        (0xE8A1000D, DATA_AT, cpu.ABT, 8),
        (0xE1C120D0, DATA_AT, cpu.ABT, 8),
        (0xE1010092, DATA_AT, cpu.ABT, 8),
        (0xE591F000, DATA_AT, cpu.ABT, 8),
    ],
)
def test_exception_of_an_arm_instruction(
    core: Any, code: int, vector: int, mode: int, link: int
) -> None:
    at = cpu.DEVICE + (4 if code == 0xE5A10004 else 0)
    core.react(at=at, value=7, abort=1)
    before = cpu.SYS | cpu.N | cpu.Q | cpu.C
    state = run_arm(core, code, cpsr=before, r0=5, r1=cpu.DEVICE, r2=6, r13=0x1234, r14=0x5678)
    assert state[15] == vector
    assert state[14] == CODE + link
    assert state[16] == cpu.N | cpu.Q | cpu.C | IRQ_OFF | mode
    assert state[:3] == [5, cpu.DEVICE, 6]  # nothing loaded, base not moved
    core.words(vector, 0xE14F0000, 0xE10F3000, 0xE321F0DF, HOLD)  # SPSR, CPSR, back to system
    core.run(1)
    state = core.get()
    assert state[0] == before
    assert state[13:15] == [0x1234, 0x5678]
    if vector != SWI_AT:
        assert core.faults() == (at if vector == DATA_AT else CODE, code)


@pytest.mark.parametrize(
    ("code", "vector", "mode", "link"),
    [
        (0xDF21, SWI_AT, cpu.SVC, 2),
        (0xDE00, UNDEFINED_AT, cpu.UND, 2),
        (0xB100, UNDEFINED_AT, cpu.UND, 2),
        (0xBE00, PREFETCH_AT, cpu.ABT, 4),
        (0x6808, DATA_AT, cpu.ABT, 8),
    ],
)
def test_exception_of_a_thumb_instruction(
    core: Any, code: int, vector: int, mode: int, link: int
) -> None:
    core.react(at=cpu.DEVICE, abort=1)
    core.halves(CODE, 0x46C0, code)
    core.update(cpsr=cpu.SYS | cpu.T | cpu.Z, r1=cpu.DEVICE, r15=CODE)
    core.run(3)
    state = core.get()
    assert state[14:] == [CODE + 2 + link, vector, cpu.Z | IRQ_OFF | mode]
    back = {2: 0xE1B0F00E, 4: 0xE25EF004, 8: 0xE25EF008}[link]  # MOVS, SUBS pc: restores SPSR
    core.words(vector, back)
    core.halves(CODE, 0x46C0, cpu.HOLD_THUMB, cpu.HOLD_THUMB)
    core.run(1)
    state = core.get()
    assert state[15] == CODE + 2 + (link if link == 2 else 0)
    assert state[16] == cpu.SYS | cpu.T | cpu.Z


def test_code_outside_memory_aborts(core: Any) -> None:
    for target in (0x8000, 0x00410000, 0x20000000):
        state = run_arm(core, 0xE12FFF10, 0xE1A00000, r0=target)
        assert state[14:] == [target + 4, PREFETCH_AT, cpu.ABT | IRQ_OFF]
        assert core.faults()[0] == target


def test_running_off_the_end_of_itcm_aborts(core: Any) -> None:
    core.words(0x7FFC, 0xE1A00000)
    core.update(cpsr=cpu.SYS, r15=0x7FFC)
    core.run(2)
    assert core.get()[14:16] == [0x8004, PREFETCH_AT]


@pytest.mark.parametrize("mode", [cpu.ABT, cpu.UND])
@pytest.mark.parametrize(
    ("code", "result"),
    [
        (0xE7F000F0, cpu.UNDEFINED),
        (0xE5910000, cpu.DATA_ABORT),
        (0xE12FFF12, cpu.PREFETCH_ABORT),
    ],
)
def test_fault_in_a_fault_handler_ends_the_run(
    core: Any, mode: int, code: int, result: int
) -> None:
    core.react(at=cpu.DEVICE, abort=1)
    core.words(CODE, code, HOLD)
    core.update(cpsr=mode, r1=cpu.DEVICE, r2=0x30000000, r14=1, r15=CODE)
    assert core.run(10) == result
    state = core.get()
    assert state[15] == (0x30000000 if result == cpu.PREFETCH_ABORT else CODE)
    assert state[14] == 1


def test_registers_are_banked(core: Any) -> None:
    """Each mode has r13, r14 and SPSR of its own, FIQ r8-r12 as well; SYS and USR share."""
    modes = (cpu.SYS, cpu.FIQ, cpu.IRQ, cpu.SVC, cpu.ABT, cpu.UND)
    for i, mode in enumerate(modes):
        core.update(cpsr=mode, **{f"r{r}": 0x100 * i + r for r in range(8, 15)})
        if mode != cpu.SYS:
            run_arm(core, 0xE169F000, cpsr=mode, r0=0x60000010 + i)  # MSR SPSR_fc, r0
    for i, mode in enumerate(modes):
        state = run_arm(core, 0xE14F0000, cpsr=mode)  # MRS r0, SPSR
        assert state[13:15] == [0x100 * i + 13, 0x100 * i + 14]
        # r8-r12 outside FIQ were last written in UND
        assert state[8:13] == [0x100 * (1 if mode == cpu.FIQ else 5) + r for r in range(8, 13)]
        if mode != cpu.SYS:
            assert state[0] == 0x60000010 + i
    assert run_arm(core, cpsr=cpu.USR)[13:15] == [13, 14]


def test_msr_writes_modes_and_masks(core: Any) -> None:
    core.update(cpsr=cpu.IRQ, r13=0x1111)
    state = run_arm(core, 0xE121F000, cpsr=cpu.SVC | cpu.C, r0=0xF00000D2, r13=0x2222)
    assert state[13] == 0x1111
    assert state[16] == cpu.C | 0xD2  # control field only
    state = run_arm(core, 0xE128F000, cpsr=cpu.SVC, r0=0xFFFFFFFF)
    assert state[16] == 0xF8000000 | cpu.SVC
    state = run_arm(core, 0xE129F000, cpsr=cpu.USR, r0=0x800000D3)
    assert state[16] == cpu.N | cpu.USR  # no privilege
    state = run_arm(core, 0xE321F0F3, cpsr=cpu.SYS)
    assert state[16] == 0xD3  # MSR does not change the Thumb bit


def test_block_transfers_of_user_registers(core: Any) -> None:
    core.update(cpsr=cpu.SYS, r8=8, r13=13, r14=14)
    core.update(cpsr=cpu.FIQ, r8=80, r13=130, r14=140)
    run_arm(core, 0xE8C06100, cpsr=cpu.FIQ, r0=cpu.DTCM)  # STM r0, {r8, sp, lr}^
    assert [core.word(cpu.DTCM + 4 * i) for i in range(3)] == [8, 13, 14]
    core.words(cpu.DTCM, 1, 2, 3)
    state = run_arm(core, 0xE8D06100, cpsr=cpu.FIQ, r0=cpu.DTCM)  # LDM r0, {r8, sp, lr}^
    assert (state[8], state[13], state[14]) == (80, 130, 140)
    core.update(cpsr=cpu.SYS)
    state = core.get()
    assert (state[8], state[13], state[14]) == (1, 2, 3)


@pytest.mark.parametrize("thumb", [0, 1])
def test_ldm_with_r15_and_s_returns_from_an_exception(core: Any, thumb: int) -> None:
    core.words(cpu.DTCM, 0x77, 0x600 | 2 * thumb)
    core.words(0x600, 0xE7FEE7FE if thumb else HOLD)
    back = cpu.SYS | cpu.V | thumb * cpu.T
    run_arm(core, 0xE169F000, cpsr=cpu.IRQ, r0=back)
    state = run_arm(core, 0xE8FD8001, cpsr=cpu.IRQ | IRQ_OFF, r13=cpu.DTCM)
    assert (state[0], state[15], state[16]) == (0x77, 0x600 | 2 * thumb, back)
    core.update(cpsr=cpu.IRQ)
    assert core.get()[13] == cpu.DTCM + 8


# ---- interrupts ----


@pytest.mark.parametrize("thumb", [0, 1])
@pytest.mark.parametrize(("line", "vector", "mode"), [("irq", IRQ_AT, 0x92), ("fiq", FIQ_AT, 0xD1)])
def test_interrupt_at_entry_and_return(
    core: Any, thumb: int, line: str, vector: int, mode: int
) -> None:
    if thumb:
        core.halves(CODE, 0x3001, cpu.HOLD_THUMB)
    else:
        core.words(CODE, 0xE2800001, HOLD)
    core.words(vector, 0xE25EF004)  # SUBS pc, lr, #4
    before = cpu.SYS | cpu.Z | cpu.C | thumb * cpu.T
    core.update(cpsr=before, r8=88, r13=13, r15=CODE)
    core.lines(**{line: 1})
    assert core.run(0) == cpu.BUDGET
    state = core.get()
    assert state[14:] == [CODE + 4, vector, cpu.Z | cpu.C | mode]
    assert core.instructions == 0
    assert state[8] == (0 if line == "fiq" else 88)
    core.lines()
    core.run(1)
    state = core.get()
    assert (state[8], state[13], state[15], state[16]) == (88, 13, CODE, before)


def test_masks_hold_interrupts_back_and_fiq_goes_first(core: Any) -> None:
    core.words(CODE, HOLD)
    core.lines(irq=1, fiq=1)
    for masks, expected in (
        (IRQ_OFF | FIQ_OFF, CODE),
        (FIQ_OFF, IRQ_AT),
        (IRQ_OFF, FIQ_AT),
        (0, FIQ_AT),
    ):
        core.update(cpsr=cpu.SYS | masks, r15=CODE)
        core.run(0)
        assert core.get()[15] == expected


def test_interrupt_is_taken_right_after_the_mask_is_cleared(core: Any) -> None:
    core.lines(irq=1)
    state = run_arm(core, 0xE2800001, 0xE321F01F, 0xE2800001, cpsr=cpu.SYS | IRQ_OFF, r0=0)
    assert (state[0], state[14], state[15]) == (1, CODE + 12, IRQ_AT)


def test_interrupt_is_taken_right_after_an_exception_return(core: Any) -> None:
    core.words(0x600, 0xE2800001, HOLD)
    run_arm(core, 0xE169F000, cpsr=cpu.SVC, r0=cpu.SYS)
    core.lines(irq=1)
    state = run_arm(core, 0xE1B0F00E, cpsr=cpu.SVC | IRQ_OFF, r0=0, r14=0x600)
    assert (state[0], state[14], state[15]) == (0, 0x604, IRQ_AT)


@pytest.mark.parametrize("code", ACCESSES)
def test_interrupt_raised_by_an_access_follows_it(core: Any, code: int) -> None:
    core.react(at=cpu.DEVICE, irq=1)
    state = run_arm(core, 0xE1A00000, code, 0xE2844001, r1=cpu.DEVICE, r4=0)
    assert (state[4], state[14], state[15]) == (0, CODE + 12, IRQ_AT)


@pytest.mark.parametrize("code", [0xE591F000, 0xE8918000, 0xE8918004])
def test_interrupt_raised_by_the_load_of_r15_follows_the_jump(core: Any, code: int) -> None:
    core.react(at=cpu.DEVICE, value=0x701, irq=1)
    core.halves(0x700, 0x3001, cpu.HOLD_THUMB)
    state = run_arm(core, code, r0=0, r1=cpu.DEVICE)
    assert (state[0], state[14], state[15]) == (0, 0x704, IRQ_AT)
    core.lines()
    core.words(IRQ_AT, 0xE25EF004)
    core.run(2)
    assert core.get()[15] == 0x702
    assert core.get()[16] & cpu.T


def test_wait_for_interrupt_returns_always(core: Any) -> None:
    core.words(CODE, 0xE3A00001, WAIT, 0xE3A00002, WAIT)
    core.update(cpsr=cpu.SYS | IRQ_OFF, r15=CODE)
    core.lines(irq=1)
    assert core.run(100) == cpu.WAITING
    assert (core.get()[0], core.get()[15], core.instructions) == (1, CODE + 8, 2)
    assert core.run(100) == cpu.WAITING
    assert (core.get()[0], core.get()[15], core.instructions) == (2, CODE + 16, 4)


# ---- counting ----


def test_budget_is_compared_at_taken_branches(core: Any) -> None:
    core.words(CODE, 0xE2800001, 0xE2800001, 0xE2800001, 0xEAFFFFFB)
    core.update(cpsr=cpu.SYS, r0=0, r15=CODE)
    assert core.run(5) == cpu.BUDGET
    assert (core.instructions, core.get()[0], core.get()[15]) == (8, 6, CODE)
    assert core.run(0) == cpu.BUDGET
    assert core.instructions == 8
    core.run(4_000_000)
    assert core.instructions == 4_000_008


def test_stop_returns_after_the_instruction(core: Any) -> None:
    core.words(CODE, 0xE2800001, 0xE5A10004, 0xE2800001, HOLD)
    core.react(at=cpu.DEVICE + 4, stop=1)
    core.update(cpsr=cpu.SYS, r0=0, r1=cpu.DEVICE, r15=CODE)
    assert core.run(100) == cpu.STOPPED
    state = core.get()
    assert (state[0], state[1], state[15], core.instructions) == (1, cpu.DEVICE + 4, CODE + 8, 2)
    assert core.run(2) == cpu.BUDGET
    assert core.get()[0] == 2
    core.lines(stop=1)
    assert core.run(100) == cpu.STOPPED


@pytest.mark.parametrize("code", ACCESSES)
def test_callbacks_see_instructions_flags_and_pc(core: Any, code: int) -> None:
    core.words(CODE, 0xE3A00003, 0xE2500001, 0x1AFFFFFD, code, HOLD)
    core.update(cpsr=cpu.SYS, r1=cpu.DEVICE, r15=CODE)
    core.run(8)
    assert core.access()[1][2:] == [4, 7, cpu.Z | cpu.C | cpu.SYS, CODE + 12]


def test_thumb_pairs_count_two_and_conditions_count_one(core: Any) -> None:
    core.halves(CODE, 0xF000, 0xF800 | 6)  # BL to CODE + 16
    core.halves(CODE + 16, 0x4770)
    core.halves(CODE + 4, 0xD0FC, cpu.HOLD_THUMB)  # BEQ, not taken
    core.update(cpsr=cpu.SYS | cpu.T, r15=CODE)
    core.run(5)
    assert (core.get()[14], core.get()[15], core.instructions) == (CODE + 5, CODE + 6, 5)
    core.words(CODE, 0x02800001, 0x12800001, HOLD)
    core.update(cpsr=cpu.SYS | cpu.Z, r0=0, r15=CODE)
    core.run(3)
    assert (core.get()[0], core.instructions) == (1, 8)


# ---- memory ----


def test_unaligned_words_rotate(core: Any) -> None:
    core.words(cpu.DTCM, 0x44332211, 0x88776655)
    for low, expected in ((0, 0x44332211), (1, 0x11443322), (2, 0x22114433), (3, 0x33221144)):
        assert run_arm(core, 0xE5910000, r1=cpu.DTCM + low)[0] == expected
        core.words(0x700, 0x44332211)
        assert run_arm(core, 0xE5910000, r1=0x700 + low)[0] == expected
        core.react(at=1, value=0x44332211)
        assert run_arm(core, 0xE5910000, r1=cpu.DEVICE + low)[0] == expected
        assert core.access()[1][0] == cpu.DEVICE
        state = run_arm(core, 0xE1010092, r1=cpu.DTCM + 4 + low, r2=0x88776655)
        assert state[0] == (0x88776655 >> 8 * low | 0x88776655 << (32 - 8 * low)) & 0xFFFFFFFF
    run_arm(core, 0xE5810000, r0=0xA5A5A5A5, r1=cpu.DTCM + 3)
    assert core.word(cpu.DTCM) == 0xA5A5A5A5
    assert core.word(cpu.DTCM + 4) == 0x88776655


def test_blocks_ignore_the_low_bits(core: Any) -> None:
    core.words(cpu.DTCM, 1, 2, 3)
    state = run_arm(core, 0xE8B1000D, r1=cpu.DTCM + 3)
    assert (state[0], state[2], state[3], state[1]) == (1, 2, 3, cpu.DTCM + 15)
    run_arm(core, 0xE8A1000D, r0=7, r1=cpu.DTCM + 2, r2=8, r3=9)
    assert [core.word(cpu.DTCM + 4 * i) for i in range(3)] == [7, 8, 9]


@pytest.mark.parametrize("edge", [cpu.DTCM + 0x10000, cpu.SDRAM + 0x8000000, 0x8000])
def test_blocks_across_the_edge_of_a_memory(core: Any, edge: int) -> None:
    core.react(at=1, value=0x99)
    core.words(edge - 4, 0x11)
    assert run_arm(core, 0xE8910005, r1=edge - 4)[:3] == [0x11, edge - 4, 0x99]
    assert core.access() == (1, [edge, 0x99, 4, 0, cpu.SYS, CODE])
    run_arm(core, 0xE8810005, r0=5, r1=edge - 4, r2=6)
    assert core.word(edge - 4) == 5
    assert core.access()[1][:2] == [edge, 6]


@pytest.mark.parametrize(
    ("store", "size"),
    [(0xE5810000, 4), (0xE1C100B0, 2), (0xE5C10000, 1)],
)
def test_peripherals_see_size_and_value(core: Any, store: int, size: int) -> None:
    run_arm(core, store, r0=0x89ABCDEF, r1=cpu.DEVICE + 4)
    expected = 0x89ABCDEF & (1 << 8 * size) - 1
    assert core.access()[1][:3] == [cpu.DEVICE + 4, expected, size]


def test_signed_loads_from_a_peripheral(core: Any) -> None:
    core.react(at=1, value=0xFFF0)
    assert run_arm(core, 0xE1D100F0, r1=cpu.DEVICE)[0] == 0xFFFFFFF0
    core.react(at=1, value=0x80)
    assert run_arm(core, 0xE1D100D0, r1=cpu.DEVICE + 1)[0] == 0xFFFFFF80
    assert core.access()[1][:3] == [cpu.DEVICE + 1, 0x80, 1]


def test_memories_and_their_aliases(core: Any) -> None:
    for first, second in (
        (cpu.SDRAM, 0x70000000),
        (0x67FFFFFC, 0x77FFFFFC),
        (cpu.SYSRAM, 0xF5000000),
    ):
        run_arm(core, 0xE5810000, r0=0x1357, r1=first)
        assert run_arm(core, 0xE5910000, r0=0, r1=second)[0] == 0x1357
    for outside in (0x8000, 0x3FFFFC, 0x410000, 0x68000000, 0x5FFFFFFC, 0x80000000, 0xE5008000):
        core.react(at=1, value=outside ^ 0xFF)
        assert run_arm(core, 0xE5910000, r1=outside)[0] == outside ^ 0xFF


def test_r15_is_stored_as_pc_plus_12(core: Any) -> None:
    run_arm(core, 0xE581F000, 0xE9A18001, r1=cpu.DTCM, r0=3)  # STR; STMIB with r0
    assert core.word(cpu.DTCM) == CODE + 12
    assert core.word(cpu.DTCM + 4) == 3
    assert core.word(cpu.DTCM + 8) == CODE + 16


def test_r15_as_an_operand(core: Any) -> None:
    for code, expected in (
        (0xE1A0000F, CODE + 8),
        (0xE28F0F41, CODE + 8 + 0x104),
        (0xE24F0004, CODE + 4),
        (0xE1A0021F, CODE + 12),  # shifted by a register: MOV r0, pc, LSL r2
        (0xE08F0001, CODE + 8 + 0x10),
        (0xE06F0001, (0x10 - CODE - 8) & 0xFFFFFFFF),
    ):
        assert run_arm(core, code, r1=0x10, r2=0)[0] == expected, hex(code)


def test_jump_table(core: Any) -> None:
    """`addls pc, pc, r0, lsl #2` under a condition."""
    core.words(CODE, 0xE3500002, 0x908FF100, HOLD, HOLD, HOLD, HOLD)
    for value, expected in ((0, 12), (1, 16), (2, 20), (3, 8)):
        core.update(cpsr=cpu.SYS, r0=value, r15=CODE)
        core.run(2)
        assert core.get()[15] == CODE + expected


def test_loads_of_r15_switch_state_and_arithmetic_does_not(core: Any) -> None:
    core.words(cpu.DTCM, 0x701)
    core.words(0x700, 0xE7FEE7FE)
    assert run_arm(core, 0xE591F000, r1=cpu.DTCM)[15:] == [0x700, cpu.SYS | cpu.T]
    assert run_arm(core, 0xE8918000, r1=cpu.DTCM)[15:] == [0x700, cpu.SYS | cpu.T]
    core.words(0x700, HOLD)
    assert run_arm(core, 0xE1A0F001, r1=0x701)[15:] == [0x700, cpu.SYS]


def test_ldm_keeps_a_loaded_base_and_thumb_ldmia_does_too(core: Any) -> None:
    core.words(cpu.DTCM, 1, 2)
    assert run_arm(core, 0xE8B10003, r1=cpu.DTCM)[:2] == [1, 2]
    core.halves(CODE, 0xC903, cpu.HOLD_THUMB)
    core.update(cpsr=cpu.SYS | cpu.T, r1=cpu.DTCM, r15=CODE)
    core.run(1)
    assert core.get()[:2] == [1, 2]


def test_code_that_changes_itself(core: Any) -> None:
    """Stores of each size into ITCM take effect on the next instruction, in both states."""
    core.words(CODE, 0xE3A00001, 0xE3A00001, HOLD)
    core.update(cpsr=cpu.SYS, r15=CODE)
    core.run(3)
    assert core.get()[0] == 1
    patch = {0xE5821000: 0xE3A00022, 0xE5C21000: 0x33, 0xE1C210B0: 0x44, 0xE8820002: 0xE3A00055}
    for store, value in patch.items():
        core.words(CODE, store)
        core.update(cpsr=cpu.SYS, r1=value, r2=CODE + 4, r15=CODE)
        core.run(3)
        assert core.get()[0] == value & 0xFF
    core.halves(CODE, 0x8011, 0xF000, 0xF802, cpu.HOLD_THUMB)  # STRH; BL, patched
    core.halves(CODE + 10, cpu.HOLD_THUMB, cpu.HOLD_THUMB, cpu.HOLD_THUMB)
    for half, target in ((0xF802, 10), (0xF803, 12), (0xF804, 14)):
        core.update(cpsr=cpu.SYS | cpu.T, r1=half, r2=CODE + 4, r15=CODE)
        core.run(4)
        assert core.get()[15] == CODE + target


def test_code_outside_itcm_runs(core: Any) -> None:
    """The same loop in ITCM, DTCM and SDRAM: equal registers and counts, ARM and Thumb."""
    results = set()
    for place in (0x1000, cpu.DTCM + 0x1000, cpu.SDRAM + 0x1000, cpu.SYSRAM + 0x1000):
        # r0 = 10; loop: r1 += r0; literal; bl add; subs; bne; blx Thumb part; hold
        core.words(place, 0xE3A0000A, 0xE0811000, 0xE59F2010, 0xEB000005, 0xE2500001, 0x1AFFFFFA)
        core.words(place + 24, 0xFA000004, HOLD, 0x12345678, 0, 0xE0833002, 0xE12FFF1E)
        # Thumb: push lr; r4 = literal; bl to the next but one; hold; pop pc
        core.halves(place + 48, 0xB500, 0x4C02, 0xF000, 0xF801, 0xE7FE, 0xBD00)
        core.words(place + 60, 0xCAFEF00D)
        core.update(cpsr=cpu.SYS, r1=0, r3=0, r4=0, r13=cpu.DTCM + 0x800, r15=place)
        begin = core.instructions
        assert core.run(80) == cpu.BUDGET
        state = core.get()
        results.add((*state[:5], state[15] - place, core.instructions - begin, state[16]))
    assert len(results) == 1
    ((r0, r1, r2, r3, r4, where, _count, _cpsr),) = results
    assert (r0, r1, r2) == (0, 55, 0x12345678)
    assert r3 == 10 * 0x12345678 & 0xFFFFFFFF
    assert (r4, where) == (0xCAFEF00D, 28)


# ---- instructions Unicorn is no witness for ----


@pytest.mark.parametrize(
    ("code", "r1", "r2", "r3", "result", "q"),
    [
        (0xE1020051, 0x7FFFFFFF, 1, 0, 0x7FFFFFFF, 1),  # QADD r0, r1, r2
        (0xE1020051, 0x80000000, 0xFFFFFFFF, 0, 0x80000000, 1),
        (0xE1020051, 5, 6, 0, 11, 0),
        (0xE1220051, 0x80000000, 1, 0, 0x80000000, 1),  # QSUB
        (0xE1420051, 1, 0x40000000, 0, 0x7FFFFFFF, 1),  # QDADD: doubling saturates
        (0xE1420051, 0xFFFFFFFF, 0x40000000, 0, 0x7FFFFFFE, 1),
        (0xE1620051, 0, 0xC0000000, 0, 0x7FFFFFFF, 1),  # QDSUB: the difference saturates
        (0xE1003281, 0x7FFF, 0x7FFF, 0x7FFFFFFF, 0xBFFF0000, 1),  # SMLABB wraps, sets Q
        (0xE1003281, 2, 3, 4, 10, 0),
        (0xE12032C1, 0x40000000, 0x4000 << 16, 0x7FFFFFFF, 0x8FFFFFFF, 1),  # SMLAWT
        (0xE12002A1, 0x80000000, 0x8000, 0, 0x40000000, 0),  # SMULWB
    ],
)
def test_saturation(core: Any, code: int, r1: int, r2: int, r3: int, result: int, q: int) -> None:
    state = run_arm(core, code, r1=r1, r2=r2, r3=r3)
    assert (state[0], state[16]) == (result, cpu.SYS | q * cpu.Q)
    assert run_arm(core, 0xE1A00000, cpsr=cpu.SYS | cpu.Q)[16] == cpu.SYS | cpu.Q  # stays


def test_coprocessor_15(core: Any) -> None:
    assert run_arm(core, 0xEE100F10)[0] & 0xFF0FFFF0 == 0x41059680  # ARM, v5TE, 968
    assert run_arm(core, 0xEE110F10, r0=5)[0] == 0  # control register
    assert run_arm(core, 0xEE010F10, 0xEE110F10, r0=5)[0] == 4  # written; there is no MMU


def test_preload_does_nothing(core: Any) -> None:
    state = run_arm(core, 0xF5D1F000, 0xF7D1F002, r1=cpu.DEVICE, r2=4)
    assert state[15] == CODE + 8
    assert core.access()[0] == 0


def test_two_cores_share_nothing(core: Any) -> None:
    other = cpu.Machine()
    rng = random.Random(2)
    code = [0xE2800000 | rng.randrange(256) for _ in range(50)]
    for machine, offset in ((core, 0), (other, 1)):
        machine.reset(cpsr=cpu.SYS, pc=CODE)
        machine.words(CODE, *(word ^ offset for word in code), HOLD)
    assert core.run(50) == other.run(50) == cpu.BUDGET
    assert core.get()[0] == sum(word & 0xFF for word in code)
    assert other.get()[0] == sum((word ^ 1) & 0xFF for word in code)
    other.close()
