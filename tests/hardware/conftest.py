"""Software boards for the tests, and sPyNNaker pointed at them."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spikingconvnet.hardware.client import SoftwareBoard

PLAIN = {"enable_advanced_monitor_support": False, "enable_reinjection": False}


def configuration(board: SoftwareBoard, reports: Path, options: dict[str, dict[str, Any]]) -> str:
    """Write a sPyNNaker user configuration for a board.

    A board on a busy computer may be slow: the toolchain waits for it for longer than usual.
    """
    sections: dict[str, dict[str, Any]] = {
        "Machine": {
            "machine_name": board.address,
            "version": board.version,
            "post_simulation_overrun_before_error": 100,
        },
        "Reports": {"default_report_file_path": reports},
    }
    for section, values in options.items():
        sections.setdefault(section, {}).update(values)
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def board_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Any]]:
    """Give a running board of a version; one of each is shared by the whole session."""
    boards: dict[int, SoftwareBoard] = {}
    with contextlib.ExitStack() as stack:

        def make(version: int) -> SoftwareBoard:
            if version not in boards:
                log = tmp_path_factory.mktemp("board") / f"version-{version}.log"
                boards[version] = stack.enter_context(SoftwareBoard(version=version, log=log))
            boards[version].check()
            return boards[version]

        yield make


@pytest.fixture(scope="session")
def board_process(board_factory: Callable[[int], SoftwareBoard]) -> SoftwareBoard:
    """Give a running SpiNN-3."""
    return board_factory(3)


@pytest.fixture(scope="session")
def reports_folder() -> Path:
    """Give a folder, in memory if possible, that outlives the toolchain's own last words."""
    shared_memory = Path("/dev/shm")
    fast = shared_memory if shared_memory.is_dir() and os.access(shared_memory, os.W_OK) else None
    folder = tempfile.mkdtemp(dir=fast, prefix="spikingconvnet-reports-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@pytest.fixture
def spynnaker_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports_folder: Path
) -> Callable[..., contextlib.AbstractContextManager[Any]]:
    """Give `with spynnaker_on(board, default=False, options={}) as sim`: a set-up sPyNNaker.

    Unless `default`, without the extra monitors and reinjection. `options` are further values,
    {section: {name: value}}. The toolchain's progress bars and warnings are swallowed.
    """
    logging.getLogger("spynnaker").setLevel(logging.ERROR)

    @contextlib.contextmanager
    def use(
        board: SoftwareBoard,
        default: bool = False,
        options: dict[str, dict[str, Any]] | None = None,
        timestep: float = 1.0,
    ) -> Iterator[Any]:
        chosen = {} if default else {"Machine": dict(PLAIN)}
        for section, values in (options or {}).items():
            chosen.setdefault(section, {}).update(values)
        (tmp_path / ".spynnaker.cfg").write_text(configuration(board, reports_folder, chosen))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        with contextlib.redirect_stderr(io.StringIO()):
            import spynnaker.pyNN as sim

            sim.setup(timestep)
            try:
                yield sim
            finally:
                sim.end()

    return use
