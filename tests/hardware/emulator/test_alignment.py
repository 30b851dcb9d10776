"""Words and half-words that are not aligned: a data abort or not, interpreted and translated alike.

By the ARM Architecture Reference Manual (DDI 0100, pages of the instructions) and the ARM9E-S
Technical Reference Manual (DDI 0165, data aborts): nothing is transferred, the base register is
restored, the link register of abort mode is the instruction's address + 8 in both states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cpu_machine as cpu
import pytest
from spikingconvnet.hardware.emulator.translator.instructions import record_number
from spikingconvnet.hardware.emulator.translator.machine import translate

SWITCH = 0x100
"""Where the program is that writes r0 to the control register."""
FIRST, APART, SIZE = 0x400, 0x20, 0x8000
DATA_AT, ABORT, ALIGNED = 0x10, 0x80 | cpu.ABT, 2
PLACES = {
    "itcm": 0x7800,
    "dtcm": cpu.DTCM + 0x200,
    "sdram": cpu.SDRAM + 0x4000,
    "sysram": cpu.SYSRAM + 0x300,
    "device": cpu.DEVICE,
}
PATTERN = bytes(range(1, 129))
HERE = 64
"""What accesses find 64 bytes before and behind them, and how far in they are."""


@dataclass(frozen=True)
class Access:
    """An instruction that transfers units of `size` bytes, the first `offset` from its base."""

    name: str
    code: int
    size: int
    offset: int = 0
    base: int = 1
    thumb: bool = False
    interpreted: bool = False

    @property
    def address(self) -> int:
        """Where in the image it is; bit 0 in Thumb state."""
        return FIRST + APART * CASES.index(self) + self.thumb

    @property
    def rotates(self) -> bool:
        """Whether it loads a single word into r4."""
        name = self.name.partition(" ")[0]
        return name == "swp" or (name == "ldr" and "pc" not in self.name)


def arm(name: str, code: int, size: int, offset: int = 0, **more: Any) -> Access:
    return Access(name, code, size, offset, **more)


def thumb(name: str, code: int, size: int, offset: int = 0, base: int = 1) -> Access:
    return Access(f"{name} (Thumb)", code, size, offset, base, thumb=True)


CASES = (  # r2 is 8; r4 to r6 and lr are transferred
    arm("ldr", 0xE5914000, 4),
    arm("ldr up", 0xE5914004, 4, 4),
    arm("ldr pre", 0xE5B14004, 4, 4),
    arm("ldr post", 0xE4914004, 4),
    arm("ldr register", 0xE7914002, 4, 8),
    arm("ldr register down", 0xE7314002, 4, -8),
    arm("ldr stack", 0xE59D4004, 4, 4, base=13),
    arm("ldr pc", 0xE591F000, 4),
    arm("ldrh", 0xE1D140B0, 2),
    arm("ldrh pre", 0xE1F140B2, 2, 2),
    arm("ldrsh post", 0xE0D140F2, 2),
    arm("ldrb", 0xE5D14000, 1),
    arm("ldrsb", 0xE1D140D0, 1),
    arm("str", 0xE5814000, 4),
    arm("str pre", 0xE5A14004, 4, 4),
    arm("str post", 0xE4814004, 4),
    arm("str register", 0xE7814002, 4, 8),
    arm("str stack", 0xE58D4004, 4, 4, base=13),
    arm("strh", 0xE1C140B0, 2),
    arm("strh post", 0xE0C140B2, 2),
    arm("strb", 0xE5C14000, 1),
    arm("ldrd", 0xE1C140D0, 4),
    arm("ldrd pre", 0xE1E140D8, 4, 8),
    arm("strd", 0xE1C140F0, 4),
    arm("strd post", 0xE0C140F8, 4),
    arm("swp", 0xE1014095, 4, interpreted=True),
    arm("swpb", 0xE1414095, 1, interpreted=True),
    arm("ldmia!", 0xE8B10070, 4),
    arm("ldmdb", 0xE9110070, 4, -12),
    arm("ldmib with its base", 0xE9910052, 4, 4),
    arm("ldm pc", 0xE8918010, 4),
    arm("ldm return pc", 0xE8D18010, 4),
    arm("ldm user", 0xE8D10070, 4, interpreted=True),
    arm("stmia", 0xE8810070, 4),
    arm("stmdb!", 0xE9210070, 4, -12),
    arm("stm user", 0xE8C10070, 4, interpreted=True),
    arm("push", 0xE92D4070, 4, -16, base=13),
    arm("pop", 0xE8BD4070, 4, base=13),
    arm("pop pc", 0xE8BD8070, 4, base=13),
    thumb("ldr", 0x684C, 4, 4),
    thumb("ldr register", 0x588C, 4, 8),
    thumb("ldr stack", 0x9C01, 4, 4, base=13),
    thumb("ldrh", 0x884C, 2, 2),
    thumb("ldrsh register", 0x5E8C, 2, 8),
    thumb("ldrb", 0x784C, 1, 1),
    thumb("str", 0x604C, 4, 4),
    thumb("str register", 0x508C, 4, 8),
    thumb("str stack", 0x9401, 4, 4, base=13),
    thumb("strh", 0x804C, 2, 2),
    thumb("ldmia", 0xC970, 4),
    thumb("stmia", 0xC170, 4),
    thumb("push", 0xB570, 4, -16, base=13),
    thumb("pop", 0xBC70, 4, base=13),
    thumb("pop pc", 0xBD70, 4, base=13),
)
TRAPPED = [(case, low) for case in CASES for low in (1, 2, 3) if low % case.size]


def image() -> bytes:
    """Lay out the vectors, the program that switches, and the instructions; each holds after it."""
    memory = bytearray(SIZE)

    def put(address: int, *words: int, size: int = 4) -> None:
        data = b"".join(word.to_bytes(size, "little") for word in words)
        memory[address : address + len(data)] = data

    put(0, *[cpu.HOLD] * 8)
    put(SWITCH, 0xEE010F10, cpu.HOLD)  # mcr p15, 0, r0, c1, c0, 0
    for case in CASES:
        hold = cpu.HOLD_THUMB if case.thumb else cpu.HOLD
        put(case.address & ~1, case.code, hold, size=2 if case.thumb else 4)
    return bytes(memory)


@pytest.fixture(scope="module")
def tiers() -> Iterator[dict[str, Any]]:
    """Give a core that interprets and one that has all these instructions translated."""
    made = {"interpreted": cpu.Machine(), "translated": cpu.Machine()}
    for machine in made.values():
        machine.reset()
        machine.poke(0, image())
    translation = translate(image(), [case.address for case in CASES])
    entries = [
        int.from_bytes(translation.entries[i : i + 4], "little")
        for i in range(0, len(translation.entries), 12)
    ]
    for case in CASES:
        assert (record_number(case.address) in entries) != case.interpreted, case.name
    made["translated"].use(translation)
    yield made
    assert made["translated"].translated
    for machine in made.values():
        machine.close()


def switch(machine: Any, on: bool) -> None:
    """Write the control register as SARK does, or with the one bit clear."""
    machine.update(cpsr=cpu.SYS, r0=0x1F7E if on else 0x1F7C, r15=SWITCH)
    assert machine.run(2) == cpu.BUDGET


def outcome(machine: Any, case: Access, place: int, low: int, on: bool) -> dict[str, Any]:
    """Execute an instruction; give what was before it and what has become of it."""
    switch(machine, on)
    if place != cpu.DEVICE:
        machine.poke(place - HERE, PATTERN)
    machine.react(at=1, value=0x00000500)
    registers = {f"r{n}": 0x01010101 * n for n in range(15)} | {"r2": 8}
    registers[f"r{case.base}"] = place + low
    machine.update(cpsr=cpu.SYS | cpu.C, **registers)
    machine.update(cpsr=cpu.SYS | cpu.C | cpu.T * case.thumb, r15=case.address & ~1)
    before, begin, asked = machine.get(), machine.instructions, machine.access()[0]
    assert machine.run(1) == cpu.BUDGET
    return {
        "before": before,
        "after": machine.get(),
        "memory": PATTERN if place == cpu.DEVICE else machine.peek(place - HERE, len(PATTERN)),
        "asked": machine.access()[0] - asked,
        "instructions": machine.instructions - begin,
        "fault": machine.faults(),
    }


def both(tiers: dict[str, Any], *arguments: Any) -> dict[str, Any]:
    """Give the outcome that both tiers have."""
    found = {name: outcome(machine, *arguments) for name, machine in tiers.items()}
    assert found["translated"] == found["interpreted"]
    return found["interpreted"]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_not_aligned_is_a_data_abort(tiers: dict[str, Any], place: str) -> None:
    for case, low in TRAPPED:
        seen = both(tiers, case, PLACES[place], low, True)
        where = f"{case.name} {low}"
        before, after = seen["before"], seen["after"]
        assert after[:13] == before[:13], where
        assert after[14:] == [(case.address & ~1) + 8, DATA_AT, cpu.C | ABORT], where
        assert (seen["memory"], seen["asked"], seen["instructions"]) == (PATTERN, 0, 1), where
        assert seen["fault"] == (PLACES[place] + low + case.offset, case.code), where
        for machine in tiers.values():
            machine.update(cpsr=before[16])
            assert machine.get()[13:15] == before[13:15], where


@pytest.mark.parametrize("place", PLACES)
def test_with_the_bit_clear_the_low_bits_rotate_or_are_ignored(
    tiers: dict[str, Any], place: str
) -> None:
    for case, low in TRAPPED:
        seen = both(tiers, case, PLACES[place], low, False)
        aligned = both(tiers, case, PLACES[place], low & -case.size, False)
        where = f"{case.name} {low}"
        assert (seen["memory"], seen["asked"]) == (aligned["memory"], aligned["asked"]), where
        ours, theirs = seen["after"][4:7], aligned["after"][4:7]
        if case.rotates:
            theirs[0] = (theirs[0] >> 8 * low | theirs[0] << 32 - 8 * low) & 0xFFFFFFFF
        assert ours == theirs, where


@pytest.mark.parametrize("place", PLACES)
def test_the_bit_does_not_touch_what_is_aligned(tiers: dict[str, Any], place: str) -> None:
    for case in CASES:
        for low in range(0, 4, case.size):
            on, off = (both(tiers, case, PLACES[place], low, bit) for bit in (True, False))
            for seen in (on, off):
                del seen["fault"]  # that of an earlier abort
            assert on == off, f"{case.name} {low}"
            assert on["after"][15] != DATA_AT, f"{case.name} {low}"


def test_a_condition_that_does_not_hold_keeps_from_it(tiers: dict[str, Any]) -> None:
    machine = tiers["interpreted"]
    machine.words(0x300, 0x05914000, 0x15914000, cpu.HOLD)  # ldreq, ldrne
    switch(machine, True)
    machine.update(cpsr=cpu.SYS | cpu.C, r1=cpu.DTCM + 2, r15=0x300)
    machine.run(3)
    assert machine.get()[14:16] == [0x304 + 8, DATA_AT]


def test_a_literal_that_is_not_aligned(tiers: dict[str, Any]) -> None:
    machine = tiers["interpreted"]
    machine.words(0x300, 0xE59F0001, cpu.HOLD, 0x44332211)  # ldr r0, [pc, #1]
    for on in (False, True):
        switch(machine, on)
        machine.update(cpsr=cpu.SYS, r0=7, r15=0x300)
        machine.run(1)
        state = machine.get()
        assert (state[0], state[15]) == ((7, DATA_AT) if on else (0x11443322, 0x304))


def test_the_control_register_is_given_back(tiers: dict[str, Any]) -> None:
    machine = tiers["interpreted"]
    machine.words(0x300, 0xEE110F10, cpu.HOLD)  # mrc p15, 0, r0, c1, c0, 0

    def control() -> int:
        machine.update(cpsr=cpu.SYS, r15=0x300)
        machine.run(1)
        return int(machine.get()[0])

    switch(machine, True)
    assert control() == 0x1F7E & 0xB08E  # the bits that there are
    switch(machine, False)
    assert control() == 0x1F7C & 0xB08E
    switch(machine, True)
    machine.reset()
    assert control() == 0
