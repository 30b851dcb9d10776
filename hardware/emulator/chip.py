"""One chip as its monitor keeps it: system variables, core blocks, heaps, routing entries.

`boot` leaves memory as the firmware leaves it, so that both the host and the binaries find what
they expect. Field offsets are those of `sv_t`, `vcpu_t` and `rtr_entry_t` in spinnaker_tools'
`include/sark.h`.
"""

from __future__ import annotations

import struct
from typing import Any

from .. import constants as c
from .layout import XY, Layout, p2p_address
from .memory import Heap, Memory

SYSTEM = c.SDRAM + c.SDRAM_SIZE - c.SDRAM_SYSTEM_SIZE
MESSAGE_SIZE = 292
MESSAGE_BUFFERS = 7
_SHM_FREE, _SHM_COUNT = c.SYSTEM_VARIABLES + 0x68, c.SYSTEM_VARIABLES + 0x6C
_ROUTER_FREE = c.SYSTEM_VARIABLES + 0xE0
_MAILBOX_FLAGS = c.SYSTEM_VARIABLES + 0xEC
_FIXED_ROUTE_COPY = c.SYSTEM_VARIABLES + 0xF4
_IOBUF_SIZE = 16384
_ENTRY = struct.Struct("<HHIII")
_UNUSED = 0xFF000000
_DIAGNOSTIC_FILTERS = (
    # local and non-local packets by type (multicast, point to point, neighbour, fixed route) ...
    *(0x01FE7CF1, 0x01FEBCF1, 0x01FE7CF2, 0x01FEBCF2),
    *(0x01FE7CF4, 0x01FEBCF4, 0x01FE7CF8, 0x01FEBCF8),
    # ... dropped packets by type, and four for the user
    *(0x0001FCF1, 0x0001FCF2, 0x0001FCF4, 0x0001FCF8, 0, 0, 0, 0),
)


def vcpu(core: int) -> int:
    """Give the address of a core's block."""
    return c.VCPU + c.VCPU_SIZE * core


class Chip:
    """The state that one monitor is responsible for."""

    def __init__(self, core: Any, index: int, xy: XY, layout: Layout) -> None:
        self.core = core
        self.index = index
        self.xy = xy
        self.address = p2p_address(xy)
        self.cores = layout.cores[xy]
        self.links = sum(1 << i for i, to in enumerate(layout.neighbours[xy]) if to is not None)
        self.memory = Memory(core, index)
        self.applications = [0] * c.CORES_PER_CHIP
        self.images = [""] * c.CORES_PER_CHIP
        self.dead = frozenset(core for x, y, core in layout.dead_cores if (x, y) == xy)
        self.sdram_heap = Heap(self.memory, c.SDRAM_HEAP)
        self.sysram_heap = Heap(self.memory, c.SYSRAM_HEAP)
        self.system_heap = Heap(self.memory, SYSTEM + c.SDRAM_LOAD_AREA)
        self.router_copy = self.application_data = 0

    # --- starting up ----------------------------------------------------------------------

    def boot(self, layout: Layout, ip: bytes) -> None:
        """Leave memory and registers as the firmware does after start-up.

        `ip` is the chip's address, zeros when it has no Ethernet connection.
        """
        self.sysram_heap.initialise(c.SYSRAM_HEAP_TOP)
        self.sdram_heap.initialise(SYSTEM - c.SDRAM_USABLE + layout.sdram)
        self.system_heap.initialise(c.SDRAM + c.SDRAM_SIZE)
        hops = self.system_heap.allocate(4 * 65536, 0)
        self.router_copy = self.system_heap.allocate(_ENTRY.size * (c.ROUTER_ENTRIES + 1), 0)
        tags = self.system_heap.allocate(4 * 65536, 0)
        self.application_data = self.system_heap.allocate(8 * 256, 0)
        self.sdram_heap = Heap(self.memory, self.sdram_heap.base, tags)
        self.sysram_heap = Heap(self.memory, self.sysram_heap.base, tags)
        buffers = self.sysram_heap.allocate(MESSAGE_BUFFERS * MESSAGE_SIZE, 0)
        for i in range(MESSAGE_BUFFERS):
            following = buffers + MESSAGE_SIZE * (i + 1) if i + 1 < MESSAGE_BUFFERS else 0
            self.memory.set_u32(buffers + MESSAGE_SIZE * i, following)
        self._set_system_variables(layout, ip, hops, tags, buffers)
        for core in range(1, self.cores):
            self.make_idle(core)
        self.memory.set_u8(vcpu(0) + 46, c.CoreState.RUNNING)
        self._boot_router(layout)

    def _set_system_variables(
        self, layout: Layout, ip: bytes, hops: int, tags: int, buffers: int
    ) -> None:
        root = p2p_address(layout.ethernet)
        nearest = layout.ethernet_of(self.xy)
        identity = bytes(range(self.cores)) + b"\xff" * (20 - self.cores)
        fields: list[tuple[int, str, Any]] = [
            (0x00, "H", self.address),
            (0x02, "H", layout.width << 8 | layout.height),
            (0x04, "H", p2p_address(nearest)),
            (0x06, "B", 1),
            (0x08, "H", p2p_address(nearest)),
            (0x0A, "B", layout.version),
            (0x0B, "B", int(self.xy == nearest)),
            (0x0C, "B", 4),
            (0x0D, "B", 4),
            (0x0E, "B", 0x33),
            (0x24, "H", c.CPU_MHZ),
            (0x26, "H", c.SDRAM_MHZ),
            (0x28, "B", 0x3F),
            (0x2A, "B", 200),
            (0x2E, "H", root),
            (0x30, "I", 1),
            (0x40, "B", int(self.xy == layout.ethernet)),
            (0x41, "B", MESSAGE_BUFFERS),
            (0x48, "I", self.sysram_heap.base),
            (0x4C, "I", self.sdram_heap.base),
            (0x50, "I", _IOBUF_SIZE),
            (0x54, "I", c.SDRAM),
            (0x58, "I", c.SYSTEM_BUFFER_SIZE // 4),
            (0x65, "B", self.links),
            (0x68, "I", buffers),
            (0x94, "20s", identity),
            (0xA8, "20s", identity),
            (0xBC, "B", self.cores),
            (0xBD, "B", self.cores),
            (0xC0, "I", self.sdram_heap.base),
            (0xC4, "I", c.SYSRAM + 0x100),
            (0xC8, "I", SYSTEM),
            (0xCC, "I", c.VCPU),
            (0xD0, "I", self.system_heap.base),
            (0xD4, "I", self.router_copy),
            (0xD8, "I", hops),
            (0xDC, "I", tags),
            (0xE2, "H", len(layout.cores)),
            (0xE4, "I", self.application_data),
            (0xE8, "I", buffers),
            (0xF0, "4s", ip),
            (0xFC, "I", c.SOFTWARE_VERSION),
        ]
        for offset, form, value in fields:
            self.memory.write(c.SYSTEM_VARIABLES + offset, struct.pack("<" + form, value))

    def _boot_router(self, layout: Layout) -> None:
        self.clear_routes(0, c.ROUTER_ENTRIES)
        self.memory.set_u32(self.router_copy + _ENTRY.size * c.ROUTER_ENTRIES + 4, _UNUSED)
        self.free_all_routes()
        self.memory.set_u32(c.ROUTER_DIAGNOSTICS, 0xFFFF0000)
        self.memory.write(c.ROUTER_FILTERS, struct.pack("<16I", *_DIAGNOSTIC_FILTERS))
        self.memory.set_u32(c.ROUTER_DIAGNOSTICS, 0x0000FFFF)
        self.memory.set_u32(c.ROUTER_CONTROL, 0x00400001)
        for target, routes in layout.routes.items():
            route = routes[self.xy]
            entry = p2p_address(target)
            word, shift = c.ROUTER_P2P + 4 * (entry >> 3), 3 * (entry & 7)
            value = self.memory.u32(word) & ~(7 << shift) | route << shift
            self.memory.set_u32(word, value)

    # --- cores ------------------------------------------------------------------------------

    def state(self, core: int) -> int:
        """Tell what a core says of itself."""
        return self.memory.u8(vcpu(core) + 46)

    def set_state(self, core: int, state: c.CoreState, application: int) -> None:
        """Note a core's state and whose it is."""
        self.applications[core] = application
        self.memory.write(vcpu(core) + 46, bytes((state, application)))

    def make_idle(self, core: int) -> None:
        """Switch a core off and let it look like one that runs the firmware's stub, or is dead."""
        self.core.stop(self.index, core)
        self.memory.write(vcpu(core), bytes(c.VCPU_KEPT))
        self.memory.set_u8(vcpu(core) + 45, core)
        self.set_state(core, c.CoreState.DEAD if core in self.dead else c.CoreState.IDLE, 0)

    def lose_core(self) -> None:
        """Switch all cores off, and go on with one less."""
        for core in range(1, self.cores):
            self.make_idle(core)
        self.cores -= 1
        self.applications[self.cores] = 0
        self.memory.write(vcpu(self.cores), bytes(c.VCPU_SIZE))
        identity = bytes(range(self.cores)).ljust(20, b"\xff")
        self.memory.write(c.SYSTEM_VARIABLES + 0x94, 2 * identity)
        self.memory.set_u8(c.SYSTEM_VARIABLES + 0xBC, self.cores)

    def cores_of(self, mask: int, application: int) -> list[int]:
        """Give the cores that belong to some applications; dead ones belong to none."""
        return [
            core
            for core in range(1, self.cores)
            if self.applications[core] & mask == application and core not in self.dead
        ]

    def interrupt(self, cores: int) -> None:
        """Interrupt the cores of a bit mask."""
        self.memory.set_u32(c.SYSCTL_SET_IRQ, c.SYSCTL_CODE | cores)

    # --- messages in shared memory ------------------------------------------------------------

    def mailbox_is_free(self, core: int) -> bool:
        """Tell whether a core has taken the last thing it was sent."""
        return self.memory.u8(vcpu(core) + 56) == c.Mailbox.IDLE

    def send_to_core(self, core: int, message: bytes) -> bool:
        """Hand an SDP message (without padding) to a core; False when there is no buffer."""
        memory = self.memory
        buffer = memory.u32(_SHM_FREE)
        if not buffer:
            return False
        memory.set_u32(_SHM_FREE, memory.u32(buffer))
        memory.set_u16(_SHM_COUNT, memory.u16(_SHM_COUNT) + 1)
        memory.write(buffer + 4, struct.pack("<HH", len(message), 0) + message)
        self._post(core, c.Mailbox.MESSAGE, buffer)
        self.interrupt(1 << core)
        return True

    def _post(self, core: int, command: c.Mailbox, data: int) -> None:
        self.memory.set_u32(vcpu(core) + 48, data)
        self.memory.set_u8(vcpu(core) + 56, command)

    def send_signal(self, cores: int, signal: int) -> None:
        """Put a signal into the mailboxes of the cores of a bit mask."""
        for core in range(1, self.cores):
            if cores >> core & 1:
                self._post(core, c.Mailbox.SIGNAL, signal)
        self.interrupt(cores)

    def take_from_cores(self) -> list[bytes]:
        """Collect the SDP messages (without padding) that the cores have sent."""
        memory, messages = self.memory, []
        flags = memory.u32(_MAILBOX_FLAGS)
        memory.set_u32(_MAILBOX_FLAGS, 0)
        memory.set_u32(c.SYSCTL_CLEAR_IRQ, c.SYSCTL_CODE | 1)
        for core in range(1, self.cores):
            block = vcpu(core)
            if not flags >> core & 1:
                continue
            if memory.u8(block + 57) == c.Mailbox.MESSAGE:
                buffer = memory.u32(block + 52)
                length = min(memory.u16(buffer + 4), MESSAGE_SIZE - 8)
                messages.append(memory.read(buffer + 8, length))
                memory.set_u32(buffer, memory.u32(_SHM_FREE))
                memory.set_u32(_SHM_FREE, buffer)
                memory.set_u16(_SHM_COUNT, memory.u16(_SHM_COUNT) - 1)
            memory.set_u8(block + 57, c.Mailbox.IDLE)
        return messages

    # --- routing entries ----------------------------------------------------------------------

    def _copy_of(self, entry: int) -> int:
        return self.router_copy + _ENTRY.size * entry

    def _set_links(self, entry: int, *, following: int | None = None, free: int) -> None:
        if following is not None:
            self.memory.set_u16(self._copy_of(entry), following)
        self.memory.set_u16(self._copy_of(entry) + 2, free)

    def _links(self, entry: int) -> tuple[int, int]:
        following, free = struct.unpack("<HH", self.memory.read(self._copy_of(entry), 4))
        return following, free

    def set_route(self, entry: int, key: int, mask: int, route: int, application: int) -> None:
        """Write one entry of the multicast table, and its copy in memory."""
        copy = self._copy_of(entry)
        self.memory.set_u16(copy + 2, 0x8000 | application)
        self.memory.write(copy + 4, struct.pack("<3I", route, key, mask))
        self.memory.set_u32(c.ROUTER_ROUTES + 4 * entry, route)
        self.memory.set_u32(c.ROUTER_KEYS + 4 * entry, key)
        self.memory.set_u32(c.ROUTER_MASKS + 4 * entry, mask)

    def clear_routes(self, first: int, count: int) -> None:
        """Empty entries of the multicast table."""
        for entry in range(first, first + count):
            self.memory.write(self._copy_of(entry) + 4, struct.pack("<3I", _UNUSED, 0xFFFFFFFF, 0))
        self.memory.write(c.ROUTER_ROUTES + 4 * first, struct.pack("<I", _UNUSED) * count)
        self.memory.write(c.ROUTER_KEYS + 4 * first, b"\xff\xff\xff\xff" * count)
        self.memory.write(c.ROUTER_MASKS + 4 * first, bytes(4 * count))

    def free_all_routes(self) -> None:
        """Make all entries but the first, which stands for failure, one free block."""
        self.memory.set_u16(_ROUTER_FREE, 1)
        self._set_links(1, following=c.ROUTER_ENTRIES, free=0)
        self._set_links(c.ROUTER_ENTRIES, following=0, free=0)

    def allocate_routes(self, count: int, application: int) -> int:
        """Reserve consecutive entries and give the first, or 0."""
        previous, here = 0, self.memory.u16(_ROUTER_FREE)
        while count > 0 and here:
            following, free = self._links(here)
            end = here + count
            if end <= following:
                if end < following:
                    self._set_links(end, following=following, free=free)
                    following, free = end, end
                self._set_links(here, following=following, free=0x8000 | application)
                self._link_free(previous, free)
                return here
            previous, here = here, free
        return 0

    def _link_free(self, previous: int, entry: int) -> None:
        if previous:
            self._set_links(previous, free=entry)
        else:
            self.memory.set_u16(_ROUTER_FREE, entry)

    def free_routes(self, entry: int, clear: bool) -> None:
        """Give back the block of entries that begins here, if one does."""
        if not 1 <= entry < c.ROUTER_ENTRIES:
            return
        end, owner = self._links(entry)
        if end <= entry or not owner & 0x8000:
            return
        if clear:
            self.clear_routes(entry, end - entry)
        previous, following = 0, self.memory.u16(_ROUTER_FREE)
        while following and following < entry:
            previous, following = following, self._links(following)[1]
        free = following
        if following and end == following:
            end, free = self._links(following)
        self._set_links(entry, following=end, free=free)
        if previous and self._links(previous)[0] == entry:
            self._set_links(previous, following=end, free=free)
        else:
            self._link_free(previous, entry)

    def free_application_routes(self, application: int, clear: bool) -> int:
        """Give back all entries of an application; return how many blocks there were."""
        count, here = 0, 1
        while True:
            following, owner = self._links(here)
            if not following:
                return count
            if owner & 0xE0FF == 0x8000 | application:
                self.free_routes(here, clear)
                count += 1
            here = following

    def largest_free_routes(self) -> int:
        """Give the number of entries in the largest free block."""
        best, here = 0, self.memory.u16(_ROUTER_FREE)
        while here:
            following, free = self._links(here)
            best = max(best, following - here if following else 0)
            here = free
        return best

    def fixed_route(self) -> int:
        """Give the route of fixed-route packets."""
        return self.memory.u32(_FIXED_ROUTE_COPY)

    def set_fixed_route(self, route: int) -> None:
        """Set the route of fixed-route packets."""
        self.memory.set_u32(_FIXED_ROUTE_COPY, route & 0xFFFFFF)
        self.memory.set_u32(c.ROUTER_FIXED_ROUTE, route & 0xFFFFFF)
