"""A board in this process that records what its cores do, for segments.py to read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import segments
from spikingconvnet.hardware import addresses, server
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.layout import load_layout


class Recorder:
    """Takes the place of a board's translations: records the first core that runs each program."""

    def __init__(self, board: Board, folder: Path, count: int) -> None:
        self.board, self.folder, self.count = board, folder, count

    def started(self, chip: int, core: int, image: str) -> None:
        path = self.folder / f"{image}.segments"
        if not path.exists():
            memory = self.board.core.read_core(chip, core, 0, 0x8000)
            path.with_suffix(".image").write_bytes(memory)
            self.board.core.record(chip, core, str(path), self.count)

    def stopped(self, chip: int, core: int) -> None:
        pass

    def look(self) -> None:
        pass


@contextlib.contextmanager
def recording_board(folder: Path, version: int, count: int) -> Iterator[SimpleNamespace]:
    """Run a board; `count` segments of each program are in `folder` afterwards."""
    address, sockets = addresses.bind_free(1)
    board = Board(load_layout(version), address, threads=1)
    board.translations = Recorder(board, folder, count)  # type: ignore[assignment]
    serving = server.Server(board, sockets)
    thread = threading.Thread(target=serving.serve)
    thread.start()
    try:
        yield SimpleNamespace(address=address, version=version)
    finally:
        serving.stop()
        thread.join()
        serving.close()


def recorded(folder: Path) -> Iterator[tuple[Path, bytes, list[segments.Segment]]]:
    """Give name, image and segments of each program."""
    for path in sorted(folder.glob("*.segments")):
        yield path, path.with_suffix(".image").read_bytes(), list(segments.read(path))
