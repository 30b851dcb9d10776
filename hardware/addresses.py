"""UDP sockets on loopback addresses, one for each board."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from .constants import SCP_PORT
from .emulator.board import addresses_from
from .errors import BadAddress

_BUFFER = 1 << 22
_REASONS = {
    errno.EADDRINUSE: "is in use, perhaps by another board",
    errno.EADDRNOTAVAIL: "is not an address of this computer; macOS: sudo ifconfig lo0 alias",
    errno.EACCES: "is not permitted to this user",
    errno.EPERM: "is not permitted to this user",
}


def bind(address: str, port: int) -> socket.socket:
    """Open a UDP socket; OSError when the address or the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def loopback_addresses() -> Iterator[str]:
    """Give loopback addresses to try, different ones in different processes.

    127.0.0.1 is never among them: SpiNNMan takes that literal for a test stand-in.
    """
    start = os.getpid() * 7919
    for step in range(4096):
        number = (start + step) % (254 * 254)
        yield f"127.53.{number // 254 + 1}.{number % 254 + 1}"


def bind_all(first: str, boards: int, port: int = SCP_PORT) -> list[socket.socket]:
    """Bind a port on as many addresses as there are boards; BadAddress if one is not to be had."""
    try:
        addresses = addresses_from(first, boards)
    except ipaddress.AddressValueError:
        addresses = []
    if first in ("", "0.0.0.0", "127.0.0.1") or not addresses:
        raise BadAddress(f"address: {first!r} (must be one such as 127.0.0.2, not 127.0.0.1)")
    with contextlib.ExitStack() as stack:
        sockets = []
        for address in addresses:
            try:
                sockets.append(stack.enter_context(bind(address, port)))
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, error.strerror)
                raise BadAddress(f"address: {address}, UDP port {port} ({reason})") from error
        stack.pop_all()
        return sockets


def bind_free(
    boards: int, avoid: AbstractSet[str] = frozenset()
) -> tuple[str, list[socket.socket]]:
    """Bind the SCP port on free consecutive loopback addresses; give the first of them."""
    last = None
    for address in loopback_addresses():
        if not avoid.isdisjoint(addresses_from(address, boards)):
            continue
        try:
            return address, bind_all(address, boards)
        except BadAddress as error:
            last = error
    raise BadAddress(f"no free loopback address in 127.53.0.0/16; the last one tried: {last}")
