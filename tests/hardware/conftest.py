"""Software boards for the tests, and sPyNNaker pointed at them."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
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

from spikingconvnet.backends import toolchain

PLAIN = {"enable_advanced_monitor_support": False, "enable_reinjection": False}


@pytest.fixture(scope="session")
def board_factory(software_boards: Callable[..., SoftwareBoard]) -> Callable[..., SoftwareBoard]:
    """Give a running board of a version; one of each is shared by the whole session."""
    return software_boards


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


@pytest.fixture(scope="session")
def translations(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Translate programs of sPyNNaker by name; give the folder of all that have been translated."""
    folder = tmp_path_factory.mktemp("translated")

    def translated(*names: str) -> Path:
        from spikingconvnet.hardware.emulator.translator.machine import translate_file

        spec = importlib.util.find_spec("spynnaker")  # not the sub-package: it would import it all
        assert spec and spec.origin
        for name in names:
            binaries = Path(spec.origin).parent / "pyNN" / "model_binaries"
            translate_file(binaries / f"{name}.aplx", folder)
        return folder

    return translated


@pytest.fixture
def spynnaker_on(
    tmp_path: Path, reports_folder: Path
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
        **setup: Any,
    ) -> Iterator[Any]:
        chosen: dict[str, dict[str, Any]] = {
            "Machine": {} if default else dict(PLAIN),
            "Reports": {"default_report_file_path": reports_folder},
        }
        for section, values in (options or {}).items():
            chosen.setdefault(section, {}).update(values)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            toolchain.spynnaker_on(board, tmp_path, chosen) as sim,
        ):
            sim.setup(timestep, **setup)
            yield sim
            sim.end()

    return use
