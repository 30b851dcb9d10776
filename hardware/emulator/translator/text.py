"""Write LLVM's assembly language, one function at a time."""

from __future__ import annotations

from collections.abc import Iterable

RESULT = "{ i64, i64 }"
"""What translated functions return: cpu_native_result_t."""
LIKELY, UNLIKELY = ", !prof !0", ", !prof !1"


class Function:
    """The text of one function: instructions are appended to the block begun last."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names = 0

    def name(self) -> str:
        """Give a name that is not in use."""
        self._names += 1
        return f"%t{self._names}"

    def label(self) -> str:
        """Give the name of a block that is not in use."""
        self._names += 1
        return f"L{self._names}"

    def begin(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")

    def do(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        """Append an instruction, and give the name of its result."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def op(self, operation: str, a: str, b: str | int, kind: str = "i32") -> str:
        """Append an instruction with two operands."""
        return self.let(f"{operation} {kind} {a}, {b}")

    def test(self, relation: str, a: str, b: str | int, kind: str = "i32") -> str:
        """Append a comparison."""
        return self.let(f"icmp {relation} {kind} {a}, {b}")

    def select(self, condition: str, a: str | int, b: str | int, kind: str = "i32") -> str:
        """Append a choice."""
        return self.let(f"select i1 {condition}, {kind} {a}, {kind} {b}")

    def convert(self, how: str, value: str, source: str, target: str) -> str:
        """Append a conversion: zext, sext or trunc."""
        return self.let(f"{how} {source} {value} to {target}")

    def jump(self, label: str) -> None:
        """End the block."""
        self.do(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str, weight: str = "") -> None:
        """End the block two ways."""
        self.do(f"br i1 {condition}, label %{yes}, label %{no}{weight}")

    def phi(self, kind: str, sources: Iterable[tuple[str, str]]) -> str:
        """Append a value that depends on the block before."""
        return self.let(f"phi {kind} " + ", ".join(f"[ {v}, %{b} ]" for v, b in sources))

    def load(self, kind: str, pointer: str, note: str = "") -> str:
        """Append a load."""
        return self.let(f"load {kind}, ptr {pointer}{note}")

    def store(self, kind: str, value: str | int, pointer: str, note: str = "") -> None:
        """Append a store."""
        self.do(f"store {kind} {value}, ptr {pointer}{note}")

    def offset(self, pointer: str, distance: str | int, kind: str = "i64") -> str:
        """Append the address that many bytes further on."""
        return self.let(f"getelementptr i8, ptr {pointer}, {kind} {distance}")

    def leave_with(self, left: str, code: str | int) -> None:
        """Return both parts of a result."""
        first = self.let(f"insertvalue {RESULT} undef, i64 {left}, 0")
        self.do(f"ret {RESULT} {self.let(f'insertvalue {RESULT} {first}, i64 {code}, 1')}")
