"""Progress bars on the real standard error, and none at all where that is not a terminal."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TextIO, TypeVar

from spikingconvnet.utilities import logs

Item = TypeVar("Item")
_WIDTH, _USUAL_COLUMNS = 28, 80
_PERIOD_S = 0.1


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Bar:
    """Draw one line that fills from 0 to ``total`` (0: unknown) and vanishes when closed.

    Nothing is written where ``stream`` (default: the real standard error) is not a terminal.
    """

    def __init__(self, label: str, total: int = 0, stream: TextIO | None = None) -> None:
        self.label, self.total, self.done = label, total, 0
        self._stream = stream or logs.terminal().stderr
        self._alive = self._stream.isatty()
        self._start = time.monotonic()
        self._drawn = float("-inf")

    def __enter__(self) -> "Bar":
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """Add ``count`` to what is done."""
        self.done += count
        if time.monotonic() - self._drawn >= _PERIOD_S or self.done == self.total:
            self._draw()

    def close(self) -> None:
        """Take the line off the terminal."""
        if self._alive:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._alive = False

    def text(self) -> str:
        """Give the line as it would be drawn now."""
        elapsed = time.monotonic() - self._start
        if not self.total:
            return f"{self.label} {self.done or ''} {_clock(elapsed)}".replace("  ", " ")
        share = min(self.done / self.total, 1.0)
        filled = "#" * int(share * _WIDTH)
        left = f", {_clock(elapsed / share - elapsed)} left" if 0 < share < 1 else ""
        return (
            f"{self.label} [{filled:-<{_WIDTH}}] {self.done:,}/{self.total:,} "
            f"{_clock(elapsed)}{left}"
        )

    def _draw(self) -> None:
        if self._alive:
            self._stream.write(f"\r{self.text()}\x1b[K")
            self._stream.flush()
            self._drawn = time.monotonic()


class Block:
    """Draw some lines, and others in their place later, until closed.

    Nothing is written where ``stream`` (default: the real standard error) is not a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or logs.terminal().stderr
        self.alive = self._stream.isatty()
        self._drawn = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines instead of the last ones, cut to the width of the terminal."""
        if self.alive:
            width = _width(self._stream) - 1
            self._stream.write(self._erase() + "\n".join(line[:width] for line in lines))
            self._stream.flush()
            self._drawn = len(lines)

    def close(self) -> None:
        """Take the lines off the terminal."""
        if self._drawn:
            self._stream.write(self._erase())
            self._stream.flush()
            self._drawn = 0

    def _erase(self) -> str:
        return "\r\x1b[K" + "\x1b[A\x1b[K" * (self._drawn - 1)


def _width(stream: TextIO) -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


class StepBars:
    """Be a callback (label, done, total) that shows one bar per label.

    `datasets.load` calls it while it downloads: ``with StepBars() as bars: load(..., bars)``.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Bar | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` (0: unknown) units of the step ``label`` are done."""
        if self._bar is None or self._bar.label != label:
            self.close()
            self._bar = Bar(label, total, self._stream).__enter__()
        self._bar.total = total
        self._bar.update(done - self._bar.done)

    def __enter__(self) -> "StepBars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the last bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress(
    items: Iterable[Item] | int,
    label: str,
    total: int | None = None,
    stream: TextIO | None = None,
) -> Iterator[Item]:
    """Yield each item (or 0 .. items - 1 for a number) while a bar shows how far it got."""
    source: Iterable[Item] = range(items) if isinstance(items, int) else items  # type: ignore[assignment]
    if total is None:
        total = len(source) if isinstance(source, Sized) else 0
    with Bar(label, total, stream) as bar:
        for item in source:
            yield item
            bar.update()
