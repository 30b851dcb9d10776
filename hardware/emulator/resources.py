"""What a monitor has to give: memory, routes, tags, the serial ROM, and word of how much there is.

Functions of `monitor.COMMANDS`; sources as there.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .. import constants as c
from ..constants import Result
from ..packets import Scp
from . import tags
from .access import Refused
from .chip import Chip
from .layout import p2p_address

if TYPE_CHECKING:
    from .monitor import Monitor

_ROM_WRITE, _ROM_ENABLE = 0x100, 0x80


def allocate(monitor: Monitor, message: Scp, sender: tags.Address) -> bytes:
    """ALLOC: arg1 flags << 16 | application << 8 | operation."""
    chip = monitor.chip
    operation, application = message.arg1 & 0xFF, message.arg1 >> 8 & 0xFF
    size, extra = message.arg2, message.arg3
    if operation == 0:
        again = bool(message.arg1 >> 16 & 4)
        value = chip.sdram_heap.allocate(size, application, extra, again)
        _mark_used(chip, application)
    elif operation == 1:
        chip.sdram_heap.free(size)
        return b""
    elif operation == 2:
        value = chip.sdram_heap.free_application(application)
    elif operation == 3:
        value = chip.allocate_routes(size, application)
        _mark_used(chip, application)
    elif operation == 4:
        chip.free_routes(size, bool(extra))
        return b""
    elif operation == 5:
        value = chip.free_application_routes(application, bool(size))
    elif operation == 6:
        return struct.pack("<2I", chip.sdram_heap.free_bytes, chip.sdram_heap.largest())
    elif operation == 7:
        value = chip.sdram_heap.tagged(application, size & 0xFF)
    else:
        raise Refused(Result.ARGUMENT)
    return struct.pack("<I", value)


def _mark_used(chip: Chip, application: int) -> None:
    chip.memory.set_u8(chip.application_data + 8 * application + 1, 0)


def route(monitor: Monitor, message: Scp, sender: tags.Address) -> bytes:
    """RTR: arg1 count << 16 | application << 8 | operation."""
    chip = monitor.chip
    operation, application = message.arg1 & 0xFF, message.arg1 >> 8 & 0xFF
    count = message.arg1 >> 16
    if operation == 0:
        chip.clear_routes(1, c.ROUTER_ENTRIES - 1)
        chip.free_all_routes()
    elif operation == 1:
        if message.arg2 + count & 0xFFFFFFFF > c.ROUTER_ENTRIES:
            raise Refused(Result.ARGUMENT)
        if message.arg2 < c.ROUTER_ENTRIES:
            chip.clear_routes(message.arg2, count)
    elif operation == 2:
        _load_routes(chip, message.arg2, count, message.arg3, application)
    elif operation == 3:
        if message.arg2 >> 31:
            return struct.pack("<I", chip.fixed_route())
        chip.set_fixed_route(message.arg2)
    else:
        raise Refused(Result.ARGUMENT)
    return b""


def _load_routes(chip: Chip, table: int, count: int, offset: int, application: int) -> None:
    count = count or chip.memory.u16(table + 2)
    if count > c.ROUTER_ENTRIES:
        raise Refused(Result.ARGUMENT)
    entries = chip.memory.read(table, 16 * count)
    for following, _, route, key, mask in struct.iter_unpack("<HHIII", entries):
        number = following + offset & 0xFFFFFFFF
        if number >= c.ROUTER_ENTRIES:
            raise Refused(Result.ARGUMENT)
        owner = application + (route >> 24) & 0xFF
        chip.set_route(number, key, mask, route & 0xFFFFFF, owner)


def information(monitor: Monitor, message: Scp, sender: tags.Address) -> bytes:
    """INFO: cores, links, free resources, states, Ethernet and the way to the root."""
    chip, layout = monitor.chip, monitor.board.layout
    ethernet = layout.ethernet_of(chip.xy)
    is_ethernet = chip.xy == ethernet
    summary = chip.cores | chip.links << 8 | chip.largest_free_routes() << 14 | is_ethernet << 25
    states = bytes(chip.state(i) if i < chip.cores else 0 for i in range(c.CORES_PER_CHIP))
    address = monitor.board.ip(chip.xy)
    free = (chip.sdram_heap.largest(), chip.sysram_heap.largest())
    ends = struct.pack("<H4sH", p2p_address(ethernet), address, monitor.board.parent_link(chip))
    return struct.pack("<3I", summary, *free) + states + ends


def ip_tag(monitor: Monitor, message: Scp, sender: tags.Address) -> bytes:
    """IPTAG: arg1 flags << 28 | timeout << 24 | operation << 16 | port << 8 | tag."""
    table = monitor.board.tags_of(monitor.chip)
    operation, number = message.arg1 >> 16 & 0xFF, message.arg1 & 0xFF
    if operation > 4 or number >= tags.FIXED + tags.POOL:
        raise Refused(Result.ARGUMENT)
    if operation in (0, 1):
        chosen = table.new() if operation == 0 else number
        if chosen is None:
            return struct.pack("<I", 255)
        table.set(chosen, _tag_of(message, sender))
        return struct.pack("<I", chosen)
    if operation == 2:
        count = message.arg2 * tags.ENTRY_SIZE & 0xFFFFFFFF
        if count > c.SDP_DATA:
            raise Refused(Result.ARGUMENT)
        return b"".join(table.entry(number + i) for i in range(count // tags.ENTRY_SIZE))
    if operation == 3:
        table.clear(number)
        return b""
    before = table.transient_timeout
    if message.arg2 < 16:
        table.transient_timeout = message.arg2
    return bytes((before, tags.ENTRY_SIZE, tags.POOL, tags.FIXED))


def serial_rom(monitor: Monitor, message: Scp, sender: tags.Address) -> bytes:
    """SROM: arg1 length << 16 | write << 8 | WREN first << 7 | bits of arg2 to send first.

    A chip without the ROM reads zeros.
    """
    bits, length = message.arg1 & 63, message.arg1 >> 16
    sent = (message.arg2 << 32).to_bytes(8, "big")[: bits // 8]
    if not bits or length > c.SDP_DATA:
        raise Refused(Result.ARGUMENT)
    writes = message.arg1 & _ROM_WRITE
    if writes and len(message.payload) < length:
        raise Refused(Result.LENGTH)
    rom = monitor.board.roms.get(monitor.chip.xy)
    if rom is None:
        return b"" if writes else bytes(length)
    if message.arg1 & _ROM_ENABLE:
        rom.enable()
    if writes:
        rom.select(sent + message.payload[:length], 0)
        return b""
    return rom.select(sent, length)


def _tag_of(message: Scp, sender: tags.Address) -> tags.Tag:
    flags = message.arg1 >> 20 & 0x0F00
    timeout = 1 << (message.arg1 >> 24 & 15) >> 1
    port = message.arg2 & 0xFFFF
    tag = tags.Tag(
        flags=flags | timeout | tags.VALID,
        timeout=timeout,
        dest_chip=message.arg2 >> 16,
        dest_port=message.arg1 >> 8 & 0xFF,
    )
    ip = ".".join(str(byte) for byte in struct.pack("<I", message.arg3))
    if flags & tags.REVERSE:
        tag.rx_port = port
        tag.host = (ip, 0)
    else:
        use_sender = flags & tags.USE_SENDER
        tag.host = (ip if message.arg3 else sender[0], sender[1] if use_sender else port)
    return tag
