"""The serial ROM beside an Ethernet chip: who the board is, and which of its parts are known bad.

A Microchip 25AA1024: 128 KiB in pages of 256 bytes. Each selection of the chip takes a command
byte, for some commands three bytes of address, and then gives or takes data. What changes the
contents needs a write enable (WREN) before each time. As it left its makers' programmer:

    0     0x553a0008, 0xf5007fe0      copy 8 words to this address
    8     flags, MAC, IP, gateway, net mask, UDP port, 10 spare bytes
    40    0xaaaaaaaa                  end
    256   number of bad parts, then a word for each; 0xffffffff: none are known

in big-endian words; the record at 8 is `srom_data_t` of spinnaker_tools' `include/sark.h`.
Sources: the 25AA1024 data sheet, `scamp/spinn_srom.c`, `tools/ybug`.
"""

from __future__ import annotations

import struct
from typing import Final

SIZE: Final = 0x20000
_PAGE, _SECTOR = 0x100, 0x8000
_READ, _WRITE, _WRITE_ENABLE, _WRITE_DISABLE = 0x03, 0x02, 0x06, 0x04
_READ_STATUS, _WRITE_STATUS = 0x05, 0x01
_PAGE_ERASE, _SECTOR_ERASE, _CHIP_ERASE = 0x42, 0xD8, 0xC7
_READ_ID, _POWER_DOWN = 0xAB, 0xB9
_SIGNATURE: Final = 0x29
_ENABLED: Final = 2
"""Write-enable latch in the status register."""
_KEPT_STATUS: Final = 0x8C
"""Status bits that WRSR sets: write protection."""
_PRESENT, _PHY_INIT, _HAS_ETHERNET = 0x8000, 0x0008, 0x0001
_ERASED: Final = {_PAGE_ERASE: _PAGE, _SECTOR_ERASE: _SECTOR, _CHIP_ERASE: SIZE}


def board_record(version: int, ip: bytes, port: int) -> bytes:
    """Give the 32 bytes that tell a board who it is; its MAC is made of its IP address."""
    flags = _PRESENT | version << 4 | _PHY_INIT | _HAS_ETHERNET
    mac = b"\x02\x00" + ip
    network = struct.pack("<4s4s4sH", ip, bytes(4), b"\xff\0\0\0", port)
    return (struct.pack("<H", flags) + mac + network).ljust(32, b"\0")


def _swapped(words: bytes) -> bytes:
    return b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))


class SerialRom:
    """The contents and the latches of one chip."""

    def __init__(self, record: bytes) -> None:
        start = struct.pack(">2I", 0x553A0008, 0xF5007FE0) + _swapped(record)
        self._contents = bytearray((start + struct.pack(">I", 0xAAAAAAAA)).ljust(SIZE, b"\xff"))
        self._status = 0
        self._asleep = False

    def enable(self) -> None:
        """Send the command that allows one change."""
        self.select(bytes([_WRITE_ENABLE]), 0)

    def select(self, sent: bytes, answer: int) -> bytes:
        """Select the chip, send it bytes, and take `answer` bytes from it."""
        command, address = sent[:1], int.from_bytes(sent[1:4], "big") % SIZE
        if not command or (self._asleep and command[0] != _READ_ID):
            return bytes(answer)
        number = command[0]
        if number == _READ and len(sent) >= 4:
            skipped = address + len(sent) - 4
            return bytes(self._contents[(skipped + i) % SIZE] for i in range(answer))
        if number == _READ_STATUS:
            return bytes([self._status]) * answer
        if number == _READ_ID:
            self._asleep = False
            return (bytes(max(4 - len(sent), 0)) + bytes([_SIGNATURE]) * answer)[:answer]
        self._change(number, address, sent)
        return bytes(answer)

    def _change(self, number: int, address: int, sent: bytes) -> None:
        if number in (_WRITE_ENABLE, _WRITE_DISABLE):
            self._status = self._status & ~_ENABLED | (number == _WRITE_ENABLE) * _ENABLED
        elif number == _POWER_DOWN:
            self._asleep = True
        elif self._status & _ENABLED:
            self._status &= ~_ENABLED
            if number == _WRITE_STATUS and len(sent) >= 2:
                self._status = sent[1] & _KEPT_STATUS
            elif number == _WRITE:
                for i, byte in enumerate(sent[4:]):  # a page is written round and round
                    self._contents[address & ~(_PAGE - 1) | address + i & _PAGE - 1] = byte
            elif number in _ERASED:
                size = _ERASED[number]
                first = address // size * size
                self._contents[first : first + size] = b"\xff" * size
