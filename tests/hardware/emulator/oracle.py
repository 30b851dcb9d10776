"""A core in Unicorn that does again what a recorded segment did (segments.py).

Unicorn knows no interrupt lines and halts at wait-for-interrupt. So it is stopped where the record
says that something happened, and what the processor does then is done here.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable
from typing import Any

import cpu_machine as cpu
import unicorn
from segments import BUDGET, DEFERRED, STOPPED, WAITING, Segment
from unicorn import arm_const as arm

R = [
    *(getattr(arm, f"UC_ARM_REG_R{i}") for i in range(13)),
    arm.UC_ARM_REG_SP,
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
]
CPSR, SPSR = arm.UC_ARM_REG_CPSR, arm.UC_ARM_REG_SPSR
STATUS_BITS = 0xF80000FF
MODES = {"usr": 0x1F, "fiq": 0x11, "irq": 0x12, "svc": 0x13, "abt": 0x17, "und": 0x1B}
SDRAM_SIZE = 0x8000000
DEVICES = (0x10, 0x11, 0x1F, 0x20, 0x21, 0x2F, 0x30, 0x40, 0xE0, 0xE1, 0xE2, 0xF0, 0xF1, 0xF2)
MOST_VISITS = 200_000
"""Of the last address of a segment: it has no more instructions than about that."""
NOWHERE = 0xFFFFFFFE


class Oracle:
    """One core with its chip's memory; peripherals answer as they did."""

    def __init__(self) -> None:
        self.engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        self.engine.ctl_set_cpu_model(arm.UC_CPU_ARM_946)
        self._memory: list[ctypes.Array[ctypes.c_char]] = []
        self.engine.mem_map(0, 0x8000)
        self.engine.mem_map(cpu.DTCM, 0x10000)
        self._map_twice(cpu.SDRAM, SDRAM_SIZE)
        self._map_twice(cpu.SYSRAM, 0x8000)
        for block in DEVICES:
            self._map_device(block << 24, 0x100000)
        self._map_device(0xFFFFF000, 0x1000)
        self.engine.hook_add(unicorn.UC_HOOK_INTR, self._trap)
        self._hooks: dict[int, int] = {}
        self.segment: Segment
        self.complaints: list[str] = []
        self.seconds = 0.0
        """What Unicorn itself took, without the answers of the peripherals."""

    def _map_twice(self, address: int, size: int) -> None:
        memory = (ctypes.c_char * size).from_buffer(mmap.mmap(-1, size))
        self._memory.append(memory)
        for start in (address, address + 0x10000000):
            self.engine.mem_map_ptr(start, size, unicorn.UC_PROT_ALL, ctypes.addressof(memory))

    def _map_device(self, base: int, size: int) -> None:
        def read(_engine: unicorn.Uc, offset: int, width: int, _data: object) -> int:
            return self._untimed(self._access, False, base + offset, 0, width)

        def write(_engine: unicorn.Uc, offset: int, width: int, value: int, _data: object) -> None:
            self._untimed(self._access, True, base + offset, value, width)

        self.engine.mmio_map(base, size, read, None, write, None)

    def _untimed(self, answer: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        answered = answer(*arguments)
        self.seconds -= time.perf_counter() - start
        return answered

    def _access(self, write: bool, address: int, value: int, size: int) -> int:
        if self._next >= len(self.segment.accesses):
            self.complaints.append(f"one access too many: 0x{address:08x}")
            self.engine.emu_stop()
            return 0
        access = self.segment.accesses[self._next]
        self._next += 1
        asked, meant = (write, address, size), (access.write, access.address, access.size)
        if asked != meant or (write and value != access.value):
            self.complaints.append(f"asked for {asked} {value:x}, recorded was {access}")
            self.engine.emu_stop()
        for place, data in access.changed:
            self.engine.mem_write(place, data)
        self._irq, self._fiq, self._stop = access.irq, access.fiq, access.stop
        return access.value

    def _trap(self, _engine: unicorn.Uc, number: int, _data: object) -> None:
        self.complaints.append(f"exception {number}")
        self.engine.emu_stop()

    # --- state --------------------------------------------------------------------------------

    def _mode(self, mode: int) -> None:
        self.engine.reg_write(CPSR, mode | 0xC0)

    def set(self, state: dict[str, int]) -> None:
        """Set all registers, banked ones too."""
        own = state["cpsr"] & 0x1F
        for name, mode in MODES.items():
            if mode == own or (name == "usr" and own == 0x10):
                continue
            self._mode(mode)
            self.engine.reg_write(R[13], state[f"r13_{name}"])
            self.engine.reg_write(R[14], state[f"r14_{name}"])
            if name != "usr":
                self.engine.reg_write(SPSR, state[f"spsr_{name}"])
        for name in ("usr", "fiq"):
            self._mode(MODES[name])
            for i in range(8, 13):
                self.engine.reg_write(R[i], state[f"r{i}_{name}"])
        self.engine.reg_write(CPSR, state["cpsr"])
        for i in range(15):
            self.engine.reg_write(R[i], state[f"r{i}"])
        for name, mode in MODES.items():
            if mode == own and name != "usr":
                self.engine.reg_write(SPSR, state[f"spsr_{name}"])

    def get(self, state: dict[str, int]) -> dict[str, int]:
        """Get all registers that `state` has a say in: those of the other modes from their banks.

        What a bank holds of the current mode means nothing; it is taken from `state`.
        """
        found = {f"r{i}": self.engine.reg_read(R[i]) for i in range(16)}
        found["cpsr"] = self.engine.reg_read(CPSR) & STATUS_BITS
        own = found["cpsr"] & 0x1F
        for name, mode in MODES.items():
            self._mode(mode)
            if name != "usr":
                found[f"spsr_{name}"] = self.engine.reg_read(SPSR) & STATUS_BITS
            is_own = mode == own or (name == "usr" and own == 0x10)
            for i in (13, 14):
                bank = f"r{i}_{name}"
                found[bank] = state[bank] if is_own else self.engine.reg_read(R[i])
            if name in ("usr", "fiq"):
                is_shown = (own == 0x11) == (name == "fiq")
                for i in range(8, 13):
                    bank = f"r{i}_{name}"
                    found[bank] = state[bank] if is_shown else self.engine.reg_read(R[i])
        self.engine.reg_write(CPSR, found["cpsr"])
        return found

    # --- running ------------------------------------------------------------------------------

    def replay(self, segment: Segment) -> dict[str, tuple[int, int]]:
        """Run a segment; give the registers that differ, (here, there), and note complaints."""
        self.segment, self._next, self.complaints = segment, 0, []
        self._visits = 0
        self._irq, self._fiq, self._stop = (segment.before[x] for x in ("irq", "fiq", "stop"))
        for address, page in segment.pages_before.items():
            self.put(address, page)
        self.set(segment.before)
        for link in segment.interrupted:
            self._watch(link - 4)
        waits = segment.result == WAITING
        self._end = segment.after["r15"] - (4 if waits else 0)
        self._watch(self._end)
        pc, self._over = segment.before["r15"], False
        if self._attention():
            pc = self._take(pc)
        while not self._over and not self.complaints:
            self._where: int | None = None
            thumb = self.engine.reg_read(CPSR) >> 5 & 1
            start = time.perf_counter()
            self.engine.emu_start(pc | thumb, NOWHERE)
            self.seconds += time.perf_counter() - start
            if self._where is None:
                self.complaints.append(f"ended at 0x{self.engine.reg_read(R[15]):08x}")
            elif not self._over:
                pc = self._take(self._where)
        here = self.get(segment.after)
        here["r15"] = segment.after["r15"] if self._over else 0
        if self._next < len(segment.accesses) - (segment.result == DEFERRED):
            self.complaints.append(f"{len(segment.accesses) - self._next} accesses left")
        return {
            name: (here[name], segment.after[name])
            for name in here
            if here[name] != segment.after[name]
        }

    def put(self, address: int, data: bytes) -> None:
        self.engine.mem_write(address, data)
        if address < 0x8000:
            self.engine.ctl_remove_cache(address, address + len(data))

    def differs(self, segment: Segment) -> list[int]:
        """Give the pages of memory that are not what they were after the segment."""
        pages = segment.pages_before | segment.pages_after
        return [a for a, page in pages.items() if bytes(self.engine.mem_read(a, 4096)) != page]

    def _watch(self, address: int) -> None:
        if address not in self._hooks:
            self._hooks[address] = self.engine.hook_add(
                unicorn.UC_HOOK_CODE, self._reached_untimed, begin=address, end=address
            )
            self.engine.ctl_flush_tb()  # what has been translated does not stop here

    def _attention(self) -> bool:
        masks = self.engine.reg_read(CPSR)
        return bool((self._fiq and not masks & 0x40) or (self._irq and not masks & 0x80))

    def _reached_untimed(self, _engine: unicorn.Uc, address: int, _size: int, _: object) -> None:
        self._untimed(self._reached, address)

    def _reached(self, address: int) -> None:
        if address == self._end and self._is_end():
            self._over = True
        elif not (address + 4 in self.segment.interrupted and self._attention()):
            return
        self._where = address
        self.engine.emu_stop()

    def _is_end(self) -> bool:
        """Tell whether this visit of the last address is the last one: all is as it was then."""
        left = len(self.segment.accesses) - self._next
        if self.segment.result == WAITING:
            return left == 0
        assert self.segment.result in (BUDGET, STOPPED, DEFERRED)
        if left > (self.segment.result == DEFERRED):
            return False
        self._visits += 1
        if self._visits > MOST_VISITS:
            self.complaints.append("the end was not reached")
            self.engine.emu_stop()
        after = self.segment.after
        same = all(self.engine.reg_read(R[i]) == after[f"r{i}"] for i in range(15))
        return same and not self.differs(self.segment)

    def _take(self, pc: int) -> int:
        """Enter an interrupt; give its vector."""
        old = self.engine.reg_read(CPSR) & STATUS_BITS
        fast = self._fiq and not old & 0x40
        status, vector = (0xD1, 0x1C) if fast else (0x92, 0x18)
        if pc + 4 not in self.segment.interrupted:
            self.complaints.append(f"interrupt at 0x{pc:08x}, where none was taken")
        self.engine.reg_write(CPSR, (old & ~0x3F) | status)
        self.engine.reg_write(SPSR, old)
        self.engine.reg_write(R[14], pc + 4)
        return vector
