"""Compile the functions of an image into one piece of machine code without relocations."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterable
from pathlib import Path

import llvmlite.binding as llvm

from ...constants import ITCM_SIZE
from .. import loader
from . import cache
from .cache import Translation
from .elf import link
from .emit import JUMP, LAYOUT, MOST_CALLS, Emitter, function_name
from .instructions import RECORD, THUMB_RECORDS_FROM, Image, record_number
from .regions import INTERPRETED, find_regions
from .text import RESULT, Function

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
"""ELF whatever the host's own format is: only the code in it counts."""
_CALLOUTS = {
    "load": ("i64", ("i32", "i32", "i64")),
    "store": ("i32", ("i32", "i32", "i32", "i64")),
    "load_block": ("i32", ("i32", "i32", "i64", "ptr")),
    "store_block": ("i32", ("i32", "i32", "i64", "ptr")),
    "write_status": ("i32", ("i32", "i32")),
    "read_saved": ("i32", ()),
}
"""What they return and take besides the core; in C `native_` is before their names."""
_PASSES = ("sroa", "simplify_cfg", "always_inliner", "sroa", "instruction_combine", "simplify_cfg")
"""What pays; all of LLVM's level 1 takes half as long again, and its code is hardly faster."""


def _callout(name: str) -> str:
    """Write the way out to a function of the core's object.

    Its calling convention keeps all registers, so that a call costs nothing where it is not made.
    """
    kind, kinds = _CALLOUTS[name]
    parameters = ", ".join(["ptr %cpu", *(f"{k} %p{n}" for n, k in enumerate(kinds))])
    return f"""define internal preserve_mostcc {kind} @{name}({parameters}) #1 {{
  %place = getelementptr i8, ptr %cpu, i64 {LAYOUT["native_" + name]}
  %function = load ptr, ptr %place
  %result = call {kind} %function({parameters})
  ret {kind} %result
}}"""


def _jump() -> str:
    """Write the function that goes on at a computed address: in code that is known, or outside.

    It finds the record of the address as cpu.c does; decoded records that are entries say where.
    """
    f = Function()
    f.begin("start")
    place = f.convert("trunc", "%where", "i64", "i32")
    near, thumb, arm, found, entry, away = (f.label() for _ in range(6))
    shallow = f.op(
        "and", f.test("ult", "%depth", MOST_CALLS), f.test("sgt", "%left", 0, "i64"), "i1"
    )
    f.branch(f.op("and", shallow, f.test("ult", place, ITCM_SIZE), "i1"), near, away)
    f.begin(near)
    f.branch(f.convert("trunc", place, "i32", "i1"), thumb, arm)
    f.begin(thumb)
    half_word = f.op("add", f.op("lshr", place, 1), THUMB_RECORDS_FROM)
    f.jump(found)
    f.begin(arm)
    word = f.op("lshr", place, 2)
    f.jump(found)
    f.begin(found)
    number = f.convert("zext", f.phi("i32", [(half_word, thumb), (word, arm)]), "i32", "i64")
    records = f.load("ptr", f.offset("%cpu", LAYOUT["records"]))
    record = f.offset(records, f.op("mul", number, RECORD.size, "i64"))
    handler = f.load("i32", f.offset("%cpu", LAYOUT["native_handler"]))
    f.branch(f.test("eq", f.load("i32", record), handler), entry, away)
    f.begin(entry)
    code = f.load("ptr", f.offset("%cpu", LAYOUT["native_code"]))
    offset = f.convert("zext", f.load("i32", f.offset(record, 8)), "i32", "i64")
    second = f.load("i32", f.offset(record, 12))
    arguments = f"ptr %cpu, i64 %left, i32 %depth, i32 {second}"
    f.do(f"%result = tail call {RESULT} {f.offset(code, offset)}({arguments})")
    f.do(f"ret {RESULT} %result")
    f.begin(away)
    f.leave_with("%left", f.op("or", "%where", JUMP << 32, "i64"))
    head = f"define internal {RESULT} @jump(ptr %cpu, i64 %left, i32 %depth, i64 %where) #0 {{"
    return "\n".join([head, *f.lines, "}"])


def module_text(functions: Iterable[str]) -> str:
    """Put functions together."""
    return "\n".join(
        [
            *functions,
            _jump(),
            *map(_callout, _CALLOUTS),
            "declare i32 @llvm.ctlz.i32(i32, i1)",
            "declare i32 @llvm.fshr.i32(i32, i32, i32)",
            'attributes #0 = { nounwind noinline noimplicitfloat "no-jump-tables"="true" }',
            'attributes #2 = { nounwind alwaysinline noimplicitfloat "no-jump-tables"="true" }',
            "attributes #1 = { nounwind noinline cold noimplicitfloat }",
            '!0 = !{!"branch_weights", i32 2000, i32 1}',
            '!1 = !{!"branch_weights", i32 1, i32 2000}',
            "!2 = !{}",
        ]
    )


def compile_text(text: str) -> bytes:
    """Give the object file for a module."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(TRIPLES[platform.machine().replace("arm64", "aarch64")])
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), opt=2, reloc="pic", codemodel="small"
    )
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, builder)
    data: bytes = machine.emit_object(module)
    return data


def translate(
    data: bytes, executed: Iterable[int] = (), changed: Iterable[int] = ()
) -> Translation:
    """Translate an ITCM image; `executed` addresses (bit 0: Thumb) are code for certain."""
    image = Image(data, changed)
    regions = find_regions(image, executed)
    roots = frozenset(region.root for region in regions)
    emitters = [Emitter(image, region, roots) for region in regions]
    text = module_text(emitter.function() for emitter in emitters)
    code, symbols = link(compile_text(text))
    entries: dict[int, tuple[int, int]] = {}
    for region in regions:
        offset = symbols[function_name(region.root)]
        for number, address in enumerate(region.entries):
            if image[address].operation not in INTERPRETED:
                entries.setdefault(record_number(address), (offset, number))
    packed = b"".join(struct.pack("<3I", r, *entries[r]) for r in sorted(entries))
    needs = bytearray(ITCM_SIZE // 32)
    for address in set().union(*(emitter.needs for emitter in emitters)):
        needs[address // 32] |= 1 << address // 4 % 8
    return Translation(code, packed, bytes(needs), image.data)


class _OwnMemory:
    """What `loader.load` needs of a core and of the memory with the file."""

    def __init__(self, file: bytes) -> None:
        self.file, self.itcm = file, bytearray(ITCM_SIZE)

    def read(self, address: int, length: int) -> bytes:
        """Read from the file, zeros behind its end."""
        return self.file[address : address + length].ljust(length, b"\0")

    def write_core(self, chip: int, core: int, address: int, data: bytes) -> None:
        """Write to the core's memory."""
        if address < ITCM_SIZE:
            self.itcm[address : address + len(data)] = data


def translate_file(path: Path, folder: Path) -> Path:
    """Translate a program from a file, unless that has been done; give the translation's path."""
    file = path.read_bytes()
    name = loader.fingerprint(lambda address, length: file[address : address + length])
    target = cache.path_of(folder, name)
    if cache.read(target) is None:
        memory = _OwnMemory(file)
        loader.load(memory, 0, 0, memory, 0)  # type: ignore[arg-type]
        cache.write(target, translate(bytes(memory.itcm)))
    return target
