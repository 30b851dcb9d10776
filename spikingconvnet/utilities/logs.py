"""What the toolchain prints and logs goes to a file; what the user should read does not.

sPyNNaker and the libraries under it write to Python's streams, to the file descriptors 1 and 2 and
to the root logger. `capture` turns all of these to one file for the length of a block. Code that
has something to tell the user meanwhile writes to `terminal().stdout` or `.stderr`.
The descriptors belong to the process, so all its threads are captured together.
"""

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from spikingconvnet.errors import StorageError

FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


@dataclass(frozen=True)
class Terminal:
    """Hold the two streams that reach the user."""

    stdout: TextIO
    stderr: TextIO


_captured: list[Terminal] = []  # the streams outside the outermost block, once per nested block


def terminal() -> Terminal:
    """Give the streams that reach the user, inside a captured block or outside one."""
    return _captured[0] if _captured else Terminal(sys.stdout, sys.stderr)


def _flush() -> None:
    """Empty Python's and the C library's buffers into the descriptors in force now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


def _descriptor(stream: TextIO) -> int | None:
    """Give the descriptor a stream writes to, or None for one that lives in memory."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return stream.fileno()
    return None


def _is_console(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and (
        handler.stream in (sys.stdout, sys.stderr) or _descriptor(handler.stream) in (1, 2)
    )


@contextlib.contextmanager
def _logging_to(stream: TextIO, level: int) -> Iterator[None]:
    """Let the root logger write to ``stream`` instead of to the console."""
    root = logging.getLogger()
    muted = [handler for handler in root.handlers if _is_console(handler)]
    mine = logging.StreamHandler(stream)
    mine.setFormatter(logging.Formatter(FORMAT))
    old_level = root.level
    for handler in muted:
        root.removeHandler(handler)
    root.addHandler(mine)
    root.setLevel(min(level, old_level) if old_level else level)
    try:
        yield
    finally:
        root.removeHandler(mine)
        for handler in muted:
            root.addHandler(handler)
        root.setLevel(old_level)


@contextlib.contextmanager
def _stream_to(name: str, descriptor: int, log: int) -> Iterator[TextIO]:
    """Turn ``sys.<name>`` and its descriptor to the log; yield a stream to where it went before."""
    original: TextIO = getattr(sys, name)
    direct = _descriptor(original) == descriptor
    saved = os.dup(descriptor)
    try:
        if direct:
            encoding, errors = original.encoding, original.errors
            user: TextIO = os.fdopen(
                os.dup(saved), "w", buffering=1, encoding=encoding, errors=errors
            )
        else:
            user = original
            # Never closed: a logging handler made inside the block may hold on to it.
            setattr(sys, name, open(descriptor, "w", buffering=1, closefd=False))  # noqa: SIM115
        os.dup2(log, descriptor)
        try:
            yield user
        finally:
            _flush()
            os.dup2(saved, descriptor)
            setattr(sys, name, original)
            with contextlib.suppress(OSError, ValueError):
                user.close() if direct else user.flush()
    finally:
        os.close(saved)


@contextlib.contextmanager
def capture(path: str | Path, level: int = logging.INFO) -> Iterator[Terminal]:
    """Send all output of a block to the end of the file ``path``; yield the user's streams.

    Blocks may be nested: the inner one writes to its own file, and `terminal` still reaches the
    user. Everything is put back, and all buffers are emptied, however the block ends.
    Raises StorageError, before anything is changed, when the file cannot be opened.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    except OSError as error:
        raise StorageError(f"{path}: log cannot be opened ({error.strerror})") from error
    with contextlib.ExitStack() as stack:
        stack.callback(_close_quietly, file)
        _flush()
        stack.enter_context(_logging_to(file, level))
        out = stack.enter_context(_stream_to("stdout", 1, file.fileno()))
        err = stack.enter_context(_stream_to("stderr", 2, file.fileno()))
        _captured.append(Terminal(out, err))
        stack.callback(_captured.pop)
        yield terminal()


def _close_quietly(file: TextIO) -> None:
    """Close the log; a disk that filled up must not hide how the block ended."""
    with contextlib.suppress(OSError):
        file.close()
