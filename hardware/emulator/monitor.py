"""The monitor of a chip, at the level of its SCP commands.

`COMMANDS` maps each command to the function that carries it out: it takes the monitor and the
message and returns the data of the answer, or raises `Refused` with the firmware's code. What is
not in the table is refused as an unknown command, as SC&MP 4.0.0 does. Where the firmware would
crash, hang, or work on what its message buffer happens to hold (an address where there is nothing,
data that are missing, an image that is none, a monitor told to reset itself), the command is
refused and changes nothing. Sources: spinnaker_tools `scamp/scamp-cmd.c`, `scamp/scamp-app.c`,
`sark/sark_base.c`.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import constants as c
from ..constants import Command, CoreState, Result, Signal
from ..packets import Scp
from . import access, loader, neighbours, resources, tags
from .access import Refused
from .chip import SYSTEM, Chip

if TYPE_CHECKING:
    from .board import Board

logger = logging.getLogger(__name__)

FIRMWARE = b"SC&MP/SpiNNaker\0004.0.0\0"
_CORE_VERSION_NAME = b"SARK/SpiNNaker\0004.0.0\0"
_WAIT_FLAG_SHIFT = 18
_BY_MULTICAST, _BY_NEIGHBOURS = 0, 2


class Monitor:
    """Carries out commands for one chip; `board` is the rest of the world."""

    def __init__(self, board: Board, chip: Chip) -> None:
        self.board = board
        self.chip = chip
        self.hearer = neighbours.Hearer(self)

    def carry_out(self, message: Scp, sender: tags.Address) -> bytes:
        """Carry out a command from a host at `sender` and return the data of the answer."""
        command = COMMANDS.get(message.command)
        if command is None:
            raise Refused(Result.COMMAND)
        try:
            return command(self, message, sender)
        except ValueError as error:
            raise Refused(Result.ARGUMENT) from error

    # --- memory -----------------------------------------------------------------------------

    def version(self, message: Scp, sender: tags.Address) -> bytes:
        """VER: who answers, how much data a message may carry, and the firmware's name."""
        return _version(self.chip.address, 0, self.board.firmware)

    def read(self, message: Scp, sender: tags.Address) -> bytes:
        """READ: arg1 address, arg2 length, arg3 unit."""
        arguments = (message.arg1, message.arg2, message.arg3)
        return access.read(self.chip.memory, *arguments, message)

    def write(self, message: Scp, sender: tags.Address) -> bytes:
        """WRITE: arg1 address, arg2 length, arg3 unit; the data follow."""
        arguments = (message.arg1, message.arg2, message.arg3)
        access.write(self.chip.memory, *arguments, message.payload)
        return b""

    def fill(self, message: Scp, sender: tags.Address) -> bytes:
        """FILL: arg1 address, arg2 word, arg3 bytes."""
        access.fill(self.chip.memory, message.arg1, message.arg2, message.arg3)
        return b""

    def _neighbour(self, link: int) -> Chip:
        if link > 5:
            raise Refused(Result.ARGUMENT)
        neighbour = self.board.neighbour(self.chip, link)
        if neighbour is None:
            raise Refused(Result.TIMEOUT)
        return neighbour

    def link_read(self, message: Scp, sender: tags.Address) -> bytes:
        """LINK_READ: arg1 address, arg2 length, arg3 link: read words from a neighbour."""
        memory = self._neighbour(message.arg3).memory
        return access.read(memory, message.arg1 & ~3, message.arg2, access.WORD, message)

    def link_write(self, message: Scp, sender: tags.Address) -> bytes:
        """LINK_WRITE: arg1 address, arg2 length, arg3 link: write words to a neighbour."""
        memory = self._neighbour(message.arg3).memory
        access.write(memory, message.arg1 & ~3, message.arg2, access.WORD, message.payload)
        return b""

    # --- applications -------------------------------------------------------------------------

    def start_application(self, message: Scp, sender: tags.Address) -> bytes:
        """AR: start the image in the load area; arg1 application << 24 | wait << 18 | cores."""
        self._start(SYSTEM, message.arg1)
        return b""

    def start_loaded(self, target: int) -> None:
        """Start the image in the load area at the end of a flood fill."""
        try:
            self._start(SYSTEM, target)
        except (Refused, ValueError) as error:
            logger.error("chip %d,%d: flood fill: not started: %s", *self.chip.xy, error)

    def start_application_at(self, message: Scp, sender: tags.Address) -> bytes:
        """AS: as AR, with the image at arg1 and the cores in arg2."""
        self._start(message.arg1, message.arg2)
        return b""

    def copy_and_run(self, message: Scp, sender: tags.Address) -> bytes:
        """APP_COPY_RUN: arg1 checksum << 3 | link, arg2 bytes, arg3 as AR."""
        length, cores = message.arg2, message.arg3
        if cores & 1 or length % 4 or length > c.SDRAM_LOAD_AREA:
            raise Refused(Result.ARGUMENT)
        image = self._neighbour(message.arg1 & 7).memory.read(SYSTEM, length)
        total = sum(struct.unpack(f"<{length // 4}I", image)) & 0xFFFFFFFF
        expected = message.arg1 >> 3
        if expected and total & 0x1FFFFFFF != expected:
            raise Refused(Result.SUM, struct.pack("<I", total))
        self.chip.memory.write(SYSTEM, image)
        self._start(SYSTEM, cores)
        return b""

    def _start(self, image: int, target: int) -> None:
        chip = self.chip
        mask, application = target & 0x3FFFF, target >> 24
        flags = target >> _WAIT_FLAG_SHIFT & 63
        if mask & 1:
            raise Refused(Result.ARGUMENT)
        mask &= (1 << chip.cores) - 1 & ~sum(1 << core for core in chip.dead)
        if not mask:
            return
        data = chip.application_data + 8 * application
        cores, clean, semaphore, lead, used = struct.unpack("<4BI", chip.memory.read(data, 8))
        if cores == 0:
            clean = semaphore = used = 0
            lead = (mask & -mask).bit_length() - 1
        cores = min(cores + mask.bit_count(), 255)
        entry = struct.pack("<4BI", cores, clean, semaphore, lead, used | mask)
        chip.memory.write(data, entry)
        chip.memory.set_u32(c.SYSCTL_SET_FLAGS, mask)
        name = self._name_of(image, application)
        for core in range(1, chip.cores):
            if mask >> core & 1:
                self.board.core.stop(chip.index, core)
                self.board.forget(chip, core)
                loader.load(self.board.core, chip.index, core, chip.memory, image)
                chip.set_state(core, CoreState.INITIALISING, application)
                chip.images[core] = name
                self.board.core.start(chip.index, core, flags << 8 | application)
                if self.board.translations is not None:
                    self.board.translations.started(chip.index, core, name)

    def _name_of(self, image: int, application: int) -> str:
        """Check an image and give its fingerprint."""
        try:
            return loader.fingerprint(self.chip.memory.read, image)
        except ValueError as error:
            where = "chip %d,%d: application %d: no readable binary was loaded: %s"
            logger.error(where, *self.chip.xy, application, error)
            raise Refused(Result.ARGUMENT) from error

    def stop_applications(self, mask: int, application: int) -> None:
        """Switch off the cores of some applications and free what those own."""
        chip = self.chip
        for core in chip.cores_of(mask, application):
            self.board.forget(chip, core)
            chip.make_idle(core)
        for number in range(application, 256):
            if number & mask != application:
                break
            data = chip.application_data + 8 * number
            if chip.memory.u8(data + 1):
                continue
            for heap in (chip.sdram_heap, chip.sysram_heap, chip.system_heap):
                heap.free_application(number)
            chip.free_application_routes(number, clear=True)
            chip.memory.write(data, bytes((0, 1)))

    def signal(self, signal: int, mask: int, application: int) -> None:
        """Signal the cores of some applications."""
        chip = self.chip
        if signal == Signal.STOP:
            self.stop_applications(mask, application)
            return
        cores = sum(1 << core for core in chip.cores_of(mask, application))
        if not cores:
            return
        if signal == Signal.SYNC0:
            chip.memory.set_u32(c.SYSCTL_CLEAR_FLAGS, cores)
            chip.interrupt(cores)
        elif signal == Signal.SYNC1:
            chip.memory.set_u32(c.SYSCTL_SET_FLAGS, cores)
            chip.interrupt(cores)
        elif signal in (Signal.INIT, Signal.POWER_DOWN):
            for core in chip.cores_of(mask, application):
                self.board.forget(chip, core)
                chip.make_idle(core)
                if signal == Signal.POWER_DOWN:
                    chip.set_state(core, CoreState.POWERED_DOWN, 0)
        else:
            chip.send_signal(cores, signal)

    def send_signal(self, message: Scp, sender: tags.Address) -> bytes:
        """SIG: arg1 kind, arg2 signal << 16 | mask << 8 | application, to all chips.

        Kind 0 goes by multicast, from the root only; 2 by neighbour packets; 1 is no more.
        """
        if message.arg1 == _BY_MULTICAST and self.chip.xy == self.board.layout.ethernet:
            self.board.signal(message.arg2)
        elif message.arg1 == _BY_NEIGHBOURS:
            data = (neighbours.SIGNAL_APPLICATIONS << 28) + message.arg2 & 0xFFFFFFFF
            links = neighbours.ALL_LINKS
            key = neighbours.SIG0 << 24 | links << 16
            neighbours.send_ordered(self.board, self.chip, key, data, 1 << 31 | links << 8)
        else:
            raise Refused(Result.ARGUMENT)
        return b""

    def neighbour_packet(self, message: Scp, sender: tags.Address) -> bytes:
        """NNP: arg1 key, arg2 data, arg3 new ID << 31 | links << 8 | repeats."""
        arguments = (message.arg1, message.arg2, message.arg3)
        neighbours.send_ordered(self.board, self.chip, *arguments)
        return b""

    def flood_fill(self, message: Scp, sender: tags.Address) -> bytes:
        """FFD: arg1 links << 24 | ID, arg2 block << 16 | words - 1 << 8, arg3 address, words."""
        words = (message.arg2 >> 8 & 0xFF) + 1
        if words * 4 > min(len(message.payload), c.SDP_DATA):
            raise Refused(Result.LENGTH)
        data = list(struct.unpack_from(f"<{words}I", message.payload))
        order = (message.arg1, message.arg2, message.arg3)
        neighbours.fill_block(self.board, self.chip, order, data)
        return b""

    def count(self, message: Scp, sender: tags.Address) -> bytes:
        """COUNT: cores of application arg1 in state arg2, on the chips of this board."""
        total = 0
        for chip in self.board.counted_by(self.chip):
            for core in range(1, chip.cores):
                mine = chip.applications[core] == message.arg1
                total += mine and chip.state(core) == message.arg2
        return struct.pack("<I", total)

    def remap(self, message: Scp, sender: tags.Address) -> bytes:
        """REMAP: take core arg1 out of use (of its physical number if arg2 bit 0 is set).

        All cores of the chip are restarted. The others keep their places here: the last number
        goes.
        """
        chip = self.chip
        if not 0 < message.arg1 < chip.cores:
            raise Refused(Result.ARGUMENT)
        for core in range(1, chip.cores):
            self.board.forget(chip, core)
        chip.lose_core()
        return b""

    # --- the rest ------------------------------------------------------------------------------

    def accept(self, message: Scp, sender: tags.Address) -> bytes:
        """LED, SYNC: nothing that a program could see comes of them here."""
        return b""


def carry_out_for_idle_core(core: Any, chip: Chip, number: int, message: Scp) -> bytes:
    """Answer for a core that runs the firmware's stub: VER, READ, WRITE and FILL only."""
    memory = access.CoreMemory(core, chip.index, number, chip.memory)
    arguments = (message.arg1, message.arg2, message.arg3)
    if message.command == Command.VER:
        return _version(chip.address, number, _CORE_VERSION_NAME)
    if message.command == Command.READ:
        return access.read(memory, *arguments, message)
    if message.command == Command.WRITE:
        access.write(memory, *arguments, message.payload)
    elif message.command == Command.FILL:
        access.fill(memory, *arguments)
    else:
        raise Refused(Result.COMMAND)
    return b""


def _version(address: int, core: int, name: bytes) -> bytes:
    return struct.pack("<3I", address << 16 | core << 8 | core, 0xFFFF0000 | c.SDP_DATA, 0) + name


Handler = Callable[[Monitor, Scp, tags.Address], bytes]

COMMANDS: dict[int, Handler] = {
    Command.VER: Monitor.version,
    Command.READ: Monitor.read,
    Command.WRITE: Monitor.write,
    Command.FILL: Monitor.fill,
    Command.COUNT: Monitor.count,
    Command.REMAP: Monitor.remap,
    Command.LINK_READ: Monitor.link_read,
    Command.LINK_WRITE: Monitor.link_write,
    Command.AR: Monitor.start_application,
    Command.NNP: Monitor.neighbour_packet,
    Command.APP_COPY_RUN: Monitor.copy_and_run,
    Command.SIG: Monitor.send_signal,
    Command.FFD: Monitor.flood_fill,
    Command.AS: Monitor.start_application_at,
    Command.LED: Monitor.accept,
    Command.IPTAG: resources.ip_tag,
    Command.SROM: resources.serial_rom,
    Command.ALLOC: resources.allocate,
    Command.RTR: resources.route,
    Command.INFO: resources.information,
    Command.SYNC: Monitor.accept,
}
