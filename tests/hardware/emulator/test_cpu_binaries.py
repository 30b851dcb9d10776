"""Shipped binaries from reset, in cpu.c and in Unicorn: equal after every taken branch."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import cpu_machine as cpu
import pytest
import unicorn
from unicorn import arm_const

REGISTERS = [
    *(getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(13)),
    arm_const.UC_ARM_REG_SP,
    arm_const.UC_ARM_REG_LR,
    arm_const.UC_ARM_REG_PC,
    arm_const.UC_ARM_REG_CPSR,
]
SDRAM_USED, ITCM_SIZE, DTCM_SIZE = 1 << 20, 0x8000, 0x10000
VCPU, TABLE, REGIONS, HEAP = cpu.SYSRAM + 0x7000, cpu.SDRAM + 0x1000, cpu.SDRAM + 0x2000, 0x60080000


def find(name: str) -> bytes:
    spec = importlib.util.find_spec("spynnaker")  # not the sub-package: that would import it all
    assert spec and spec.origin
    return (Path(spec.origin).parent / "pyNN" / "model_binaries" / name).read_bytes()


def sections(image: bytes) -> list[tuple[int, bytes]]:
    """Return (address, data) of an .aplx table: RCOPY (2) and FILL (3), up to EXEC (4)."""
    found, at = [], 0
    while True:
        command, first, second, third = struct.unpack_from("<4I", image, at)
        if command == 2:
            found.append((first, image[at + second : at + second + third]))
        elif command == 3:
            found.append((first, struct.pack("<I", third) * (second // 4)))
        else:
            return found
        at += 16


def surroundings() -> list[tuple[int, bytes]]:
    """Return what a core expects of its monitor: versions, a table of empty regions, one heap."""
    system, last = cpu.SYSRAM + 0x7F00, HEAP + 0x40000
    regions = b"".join(struct.pack("<3I", REGIONS + 0x1000 * i, 0, 0) for i in range(32))
    return [
        (system + 0x48, struct.pack("<2I", HEAP, HEAP)),
        (system + 0xCC, struct.pack("<2I", VCPU, HEAP)),
        (system + 0xFC, struct.pack("<I", 0x40000)),
        (VCPU + 112, struct.pack("<I", TABLE)),
        (TABLE, struct.pack("<2I", 0xAD130AD6, 0x10000) + regions),
        (HEAP, struct.pack("<6I", HEAP + 16, HEAP + 16, last, 0x3FFE8, last, 0)),
    ]


def oracle(parts: list[tuple[int, bytes]]) -> unicorn.Uc:
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
    engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_946)
    engine.mem_map(0, ITCM_SIZE)
    engine.mem_map(cpu.DTCM, DTCM_SIZE)
    engine.mem_map(cpu.SDRAM, SDRAM_USED)
    engine.mem_map(cpu.SYSRAM, 0x8000)

    def read(_engine: unicorn.Uc, _offset: int, _size: int, _data: None) -> int:
        return 0

    def write(_engine: unicorn.Uc, _offset: int, _size: int, _value: int, _data: None) -> None:
        pass

    for block in (0x10, 0x11, 0x1F, 0x20, 0x21, 0x2F, 0x30, 0x40, 0xE1, 0xE2, 0xF1, 0xF2):
        engine.mmio_map(block << 24, 0x100000, read, None, write, None)
    engine.mmio_map(0xFFFFF000, 0x1000, read, None, write, None)
    for address, data in parts:
        engine.mem_write(address, data)
    engine.reg_write(arm_const.UC_ARM_REG_CPSR, 0xD3)
    return engine


@pytest.mark.parametrize(
    "name",
    ["IF_curr_exp", "spike_source_poisson", "delay_extension", "synapse_expander"],
)
def test_shipped_binary_from_reset(name: str) -> None:
    image = find(f"{name}.aplx")
    parts = [*sections(image), *surroundings()]
    core, theirs = cpu.Machine(), oracle(parts)
    for address, data in parts:
        core.poke(address, data)
    core.reset()
    state, states = core.get(), set()
    result = cpu.BUDGET
    while result == cpu.BUDGET and core.instructions < 20_000:
        pc, thumb, done = state[15], bool(state[16] & cpu.T), core.instructions
        result = core.run(1)
        state, steps = core.get(), core.instructions - done
        if thumb and steps > 1 and core.peek(pc + 2 * steps - 3, 1)[0] >> 3 == 0x1E:
            steps -= 1  # Unicorn counts a BL or BLX pair once
        theirs.emu_start(pc | thumb, 0xFFFFFFFE, count=steps)
        expected = theirs.reg_read_batch(REGISTERS)
        assert [hex(x) for x in state] == [hex(x) for x in expected], hex(pc)
        states.add(state[16] & 0x3F)
    assert states >= {cpu.SVC, cpu.SVC | cpu.T, cpu.SYS, cpu.SYS | cpu.T}
    assert core.instructions > 4000
    assert core.peek(cpu.DTCM, DTCM_SIZE) == bytes(theirs.mem_read(cpu.DTCM, DTCM_SIZE))
    core.close()
