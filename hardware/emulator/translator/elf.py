"""Join the sections of an ELF object file into one piece of code that runs wherever it lies.

Only what LLVM emits for code without data is understood: calls and address computations relative to
the instruction, between sections that are laid out here. Source: the ELF-64 object file format, and
the processor supplements for x86-64 and AArch64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SECTION, _SYMBOL, _RELOCATION = (
    struct.Struct("<IIQQQQIIQQ"),
    struct.Struct("<IBBHQQ"),
    struct.Struct("<QQq"),
)
_PROGRAM, _SYMBOLS, _RELOCATIONS = 1, 2, 4
_ALLOCATED = 2
_IGNORED = (".eh_frame", ".note", ".llvm")
X86_PC32, X86_PLT32, ARM_CALL26, ARM_JUMP26 = 2, 4, 283, 282


class CannotLink(ValueError):
    """The object has something in it that is not understood."""


@dataclass
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    place: int = -1


def _sections(data: bytes) -> list[_Section]:
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<3H", data, 0x3A)
    rows = [_SECTION.unpack_from(data, start + i * size) for i in range(count)]
    text = rows[names][4]

    def name(at: int) -> str:
        return data[text + at : data.index(b"\0", text + at)].decode()

    return [
        _Section(name(n), kind, flags, offset, length, link, info, align)
        for n, kind, flags, _, offset, length, link, info, align, _ in rows
    ]


def link(data: bytes) -> tuple[bytes, dict[str, int]]:
    """Give the code and where in it each symbol is; CannotLink if that is not all there is."""
    sections = _sections(data)
    code = bytearray()
    for section in sections:
        if (
            section.kind == _PROGRAM
            and section.flags & _ALLOCATED
            and not section.name.startswith(_IGNORED)
        ):
            code += bytes(-len(code) % max(section.align, 1))
            section.place = len(code)
            code += data[section.offset : section.offset + section.size]
    (table,) = (section for section in sections if section.kind == _SYMBOLS)
    symbols = list(_SYMBOL.iter_unpack(data[table.offset : table.offset + table.size]))
    names = sections[table.link].offset
    places: list[int] = []
    found: dict[str, int] = {}
    for at, _, _, section, value, _ in symbols:
        inside = section < len(sections) and sections[section].place >= 0
        places.append(sections[section].place + value if inside else -1)
        if inside and at:
            found[data[names + at : data.index(b"\0", names + at)].decode()] = places[-1]
    for section in sections:
        if section.kind == _RELOCATIONS and sections[section.info].place >= 0:
            body = data[section.offset : section.offset + section.size]
            for offset, info, addend in _RELOCATION.iter_unpack(body):
                at, target = sections[section.info].place + offset, places[info >> 32]
                if target < 0:
                    raise CannotLink(f"object file: symbol {info >> 32} (not in it)")
                _relocate(code, at, info & 0xFFFFFFFF, target + addend)
    return bytes(code), found


def _relocate(code: bytearray, at: int, kind: int, target: int) -> None:
    (word,) = struct.unpack_from("<I", code, at)
    if kind in (X86_PC32, X86_PLT32):
        word = target - at & 0xFFFFFFFF
    elif kind in (ARM_CALL26, ARM_JUMP26):
        word = word & 0xFC000000 | (target - at) >> 2 & 0x3FFFFFF
    else:
        raise CannotLink(f"object file: relocation {kind} (not one of code alone)")
    struct.pack_into("<I", code, at, word)
