"""The core under test (cpu.c built with cpu_harness.c into a shared library) behind ctypes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from segments import NAMES, Segment
from spikingconvnet.hardware.emulator.translator.cache import Translation

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "hardware" / "emulator" / "csrc"

DEFER = 3  # cpu->aborted of an access that is put off
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_int)

WAITING, BUDGET, STOPPED, UNDEFINED, DATA_ABORT, PREFETCH_ABORT = range(6)
USR, FIQ, IRQ, SVC, ABT, UND, SYS = 0x10, 0x11, 0x12, 0x13, 0x17, 0x1B, 0x1F
N, Z, C, V, Q, T = 1 << 31, 1 << 30, 1 << 29, 1 << 28, 1 << 27, 1 << 5
DTCM, SDRAM, SYSRAM, DEVICE = 0x400000, 0x60000000, 0xE5000000, 0x10000000
HOLD, HOLD_THUMB = 0xEAFFFFFE, 0xE7FE  # branch to itself


@cache
def library() -> ctypes.CDLL:
    compiler = os.environ.get("CC") or (sysconfig.get_config_var("CC") or "cc").split()[0]
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "cpu.so"
    sources = [
        SOURCES / "cpu.c",
        SOURCES / "cpu_decode.c",
        SOURCES / "cpu_memory.c",
        SOURCES / "cpu_native.c",
        HERE / "cpu_harness.c",
    ]
    command = [compiler, "-std=gnu11", "-O1", "-fPIC", "-shared", f"-I{SOURCES}"]
    subprocess.run([*command, "-o", str(path), *map(str, sources)], check=True)
    loaded = ctypes.CDLL(str(path))
    folder.cleanup()
    loaded.machine_new.restype = ctypes.c_void_p
    loaded.machine_instructions.restype = ctypes.c_uint64
    loaded.machine_access.restype = ctypes.c_uint32
    loaded.machine_translation.restype = ctypes.c_void_p
    return loaded


class Machine:
    """One core with RAM and a stub of a peripheral."""

    def __init__(self) -> None:
        self._library = library()
        self._handle = ctypes.c_void_p(self._library.machine_new())
        self._translation: ctypes.c_void_p | None = None
        self._state = (ctypes.c_uint32 * 17)()

    def close(self) -> None:
        self._library.machine_free(self._handle)
        if self._translation is not None:
            self._library.machine_translation_free(self._translation)

    def reset(self, r0: int = 0, cpsr: int = 0xD3, pc: int = 0) -> None:
        self._library.machine_reset(self._handle, r0, cpsr, pc)

    def run(self, budget: int = 1) -> int:
        return int(self._library.machine_run(self._handle, ctypes.c_uint64(budget)))

    @property
    def instructions(self) -> int:
        return int(self._library.machine_instructions(self._handle))

    def set(self, state: Sequence[int]) -> None:
        """Set r0-r15 and CPSR."""
        self._state[:] = list(state)
        self._library.machine_set(self._handle, self._state)

    def get(self) -> list[int]:
        """Return r0-r15 and CPSR."""
        self._library.machine_get(self._handle, self._state)
        return list(self._state)

    def update(self, **registers: int) -> None:
        """Set registers by name: r0=1, cpsr=0xd3; cpsr swaps banks first."""
        if "cpsr" in registers:
            self._library.machine_cpsr(self._handle, registers.pop("cpsr"))
        state = self.get()
        for name, value in registers.items():
            state[int(name[1:])] = value
        self.set(state)

    def lines(self, irq: int = 0, fiq: int = 0, stop: int = 0) -> None:
        self._library.machine_lines(self._handle, irq, fiq, stop)

    def react(
        self, at: int, value: int = 0, irq: int = 0, fiq: int = 0, stop: int = 0, abort: int = 0
    ) -> None:
        """Reads give `value`; an access to `at` sets the lines and stop, or aborts."""
        self._library.machine_react(self._handle, at, value, irq, fiq, stop, abort)

    def faults(self) -> tuple[int, int]:
        where = (ctypes.c_uint32 * 2)()
        self._library.machine_faults(self._handle, where)
        return where[0], where[1]

    def access(self) -> tuple[int, list[int]]:
        """Return how many accesses the peripheral saw, and the last: address, value, size,
        instructions before it, CPSR, r15."""
        entry = (ctypes.c_uint32 * 6)()
        return int(self._library.machine_access(self._handle, entry)), list(entry)

    def poke(self, address: int, data: bytes) -> None:
        self._library.machine_poke(self._handle, address, data, len(data))

    def peek(self, address: int, length: int) -> bytes:
        data = ctypes.create_string_buffer(length)
        self._library.machine_peek(self._handle, address, data, length)
        return data.raw

    def words(self, address: int, *values: int) -> None:
        self.poke(address, b"".join(value.to_bytes(4, "little") for value in values))

    def halves(self, address: int, *values: int) -> None:
        self.poke(address, b"".join(value.to_bytes(2, "little") for value in values))

    # --- segments (segments.py) and translations ----------------------------------------------

    def replay(self, segment: Segment) -> tuple[int, dict[str, int], list[str]]:
        """Run a recorded segment; give the result, the state, and what it asked for in vain."""
        left = list(reversed(segment.accesses))
        complaints: list[str] = []

        def answer(write: bool, address: int, value: int, size: int) -> int:
            if not left:
                complaints.append(f"one access too many: 0x{address:08x}")
                self._library.machine_aborted(self._handle, DEFER)
                return 0
            access = left.pop()
            now = self.instructions & 0xFFFFFFFF
            asked = (write, address, size, self._library.machine_pc(self._handle), now)
            meant = (access.write, access.address, access.size, access.pc, access.instructions)
            if asked != meant or (write and value != access.value):
                complaints.append(f"asked for {asked} {value:x}, recorded was {access}")
            for place, data in access.changed:
                self.poke(place, data)
            self.lines(access.irq, access.fiq, access.stop)
            self._library.machine_aborted(self._handle, access.aborted)
            return access.value

        read = _READ(lambda _, address, size: answer(False, address, 0, size))
        write = _WRITE(lambda _, address, value, size: answer(True, address, value, size) * 0)
        for address, page in segment.pages_before.items():
            self.poke(address, page)
        words = (ctypes.c_uint32 * len(NAMES))(*segment.before.values())
        self._library.machine_begin(self._handle, words, segment.isolated, read, write)
        result = self.run(segment.budget)
        self._library.machine_end(self._handle, words)
        if left:
            complaints.append(f"{len(left)} accesses left, the next {left[-1]}")
        return result, dict(zip(NAMES, words, strict=True)), complaints

    def use(self, translation: Translation) -> None:
        """Translate what this core runs."""
        code, entries = translation.code, translation.entries
        assert self._translation is None
        self._translation = ctypes.c_void_p(
            self._library.machine_translation(
                code,
                ctypes.c_size_t(len(code)),
                entries,
                len(entries) // 12,
                translation.needs,
                translation.image,
            )
        )
        assert self._library.machine_use(self._handle, self._translation) == 0

    @property
    def translated(self) -> bool:
        """Tell whether translated code is in use."""
        return bool(self._library.machine_translated(self._handle))

    def word(self, address: int) -> int:
        return int.from_bytes(self.peek(address, 4), "little")
