"""The life cycle that all sPyNNaker backends share: configuration, reports, simulator, clean-up.

sPyNNaker reads up to five configuration files and writes one into the home folder when it finds
none. Here it reads exactly one, private to the run, whatever lies in the home or current folder.
"""

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from spikingconvnet.backends.toolchain import (
    configuration,
    forget_exit_notes,
    own_interrupts,
    private_configuration,
)
from spikingconvnet.errors import BoardError, DependencyError, SpikingConvNetError, UsageError

REPORTS_BYTES = 2**30
"""Free space asked of the memory file system before reports go there."""


class Backend:
    """Own one PyNN simulator and the machine it runs on, from `__enter__` to `__exit__`.

    `sim` is the PyNN module, `origin` says in every result what produced it, and `has_data` is
    False where only mapping is possible.
    """

    has_data = True
    one_board = True
    """The machine is a single board; others grow with the network."""

    def __init__(self, *, version: int, folder: Path) -> None:
        self.version = version
        self.folder = Path(folder)
        self._stack = ExitStack()
        self._sim: ModuleType | None = None

    @property
    def origin(self) -> str:
        """Say what produces the results."""
        raise NotImplementedError

    @property
    def sim(self) -> Any:
        """Return the PyNN module of the running backend."""
        if self._sim is None:
            raise BoardError(f"{self.origin}: used before it was started")
        return self._sim

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """Return, once closed, what each core did in a tick; empty where nobody counts."""
        return []

    def start(self, stack: ExitStack) -> dict[str, str]:
        """Start what the machine needs and return the lines of its [Machine] section."""
        raise NotImplementedError

    def translate(self, error: BaseException) -> SpikingConvNetError | None:
        """Return the clear error that `error` of the toolchain stands for, if there is one."""
        return None

    def closing(self) -> None:
        """Take note that the backend is about to be closed."""

    def __enter__(self) -> "Backend":
        from spikingconvnet.hardware.toolchain import check_toolchain

        with clear_errors():
            check_toolchain()
        try:
            with ExitStack() as stack:
                machine = self.start(stack)
                scratch = stack.enter_context(_scratch_folder(self.folder))
                path = scratch / "spynnaker.cfg"
                path.write_text(configuration(machine, reports=scratch), encoding="utf-8")
                stack.enter_context(private_configuration(path))
                stack.enter_context(own_interrupts())
                self._sim = importlib.import_module("spynnaker.pyNN")
                stack.callback(self._end)
                self._stack = stack.pop_all()
        except KeyboardInterrupt as error:
            clear = self.translate(error)
            if clear is None:
                raise
            raise clear from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing()
        error = _interrupt_behind(error)
        clear = None if error is None else self.translate(error)
        try:
            self._stack.close()
        except Exception as trouble:
            if error is None:
                raise BoardError(f"{self.origin}: cannot be closed ({trouble})") from trouble
        finally:
            self._sim = None
        if clear is not None:
            raise clear from error
        if isinstance(error, KeyboardInterrupt) and kind is SystemExit:
            raise error

    def _end(self) -> None:
        """Give the machine back, also after a run that failed half-way."""
        from spynnaker.pyNN.data import SpynnakerDataView

        if self._sim is not None and SpynnakerDataView.is_setup():
            self._sim.end()


@contextmanager
def clear_errors() -> Iterator[None]:
    """Tell the errors of the software board as this toolkit's: what the user can mend, or not."""
    from spikingconvnet.hardware.errors import HardwareError

    try:
        yield
    except HardwareError as error:
        if isinstance(error, ImportError):
            raise DependencyError(str(error)) from error
        if isinstance(error, ValueError):
            raise UsageError(str(error)) from error
        raise BoardError(str(error)) from error


def _interrupt_behind(error: BaseException | None) -> BaseException | None:
    """Return the interrupt that the toolchain turned into an exit, or the error itself."""
    if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
        return error.__context__
    return error


@contextmanager
def _scratch_folder(fallback: Path) -> Iterator[Path]:
    """Give a folder for reports that is removed at the end, in memory where there is room.

    The toolchain keeps its data base there and waits for the disk at every commit.
    """
    parent = Path("/dev/shm")
    roomy = os.access(parent, os.W_OK) and shutil.disk_usage(parent).free > REPORTS_BYTES
    if roomy:
        _remove_leftovers(parent)
    else:
        parent = fallback
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"spikingconvnet-{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        forget_exit_notes()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Remove the scratch folders of processes that were killed."""
    for folder in parent.glob("spikingconvnet-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
