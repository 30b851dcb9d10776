"""The life cycle that all sPyNNaker backends share: configuration, reports, simulator, clean-up.

sPyNNaker reads up to five configuration files and writes one into the home folder when it finds
none. Here it reads exactly one, private to the run, whatever lies in the home or current folder.
"""

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from spikingconvnet.errors import BoardError, DependencyError, SpikingConvNetError

REPORTS_BYTES = 2**30
"""Free space asked of the memory file system before reports go there."""


class Backend:
    """Own one PyNN simulator and the machine it runs on, from `__enter__` to `__exit__`.

    `sim` is the PyNN module, `origin` says in every result what produced it, and `has_data` is
    False where only mapping is possible.
    """

    has_data = True

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
        try:
            with ExitStack() as stack:
                machine = self.start(stack)
                scratch = stack.enter_context(_scratch_folder(self.folder))
                path = scratch / "spynnaker.cfg"
                path.write_text(configuration(machine, reports=scratch), encoding="utf-8")
                stack.enter_context(_private_configuration(path))
                stack.enter_context(_own_interrupts())
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


def _interrupt_behind(error: BaseException | None) -> BaseException | None:
    """Return the interrupt that the toolchain turned into an exit, or the error itself."""
    if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
        return error.__context__
    return error


def configuration(machine: dict[str, str], reports: Path | None = None) -> str:
    """Return the text of a sPyNNaker configuration file for the given [Machine] section."""
    sections = {
        "Machine": machine,
        "Logging": {"default": "info"},
    }
    if reports is not None:
        sections["Reports"] = {"default_report_file_path": str(reports), "max_reports_kept": "1"}
    lines: list[str] = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items()), ""]
    return "\n".join(lines)


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
        _forget_exit_notes()
        shutil.rmtree(folder, ignore_errors=True)


def _forget_exit_notes() -> None:
    """Keep the toolchain from writing to its reports, and to the terminal, at exit."""
    from spinn_utilities.data.utils_data_writer import UtilsDataWriter
    from spinn_utilities.log import FormatAdapter

    atexit.unregister(UtilsDataWriter.write_errored_file)
    atexit.unregister(FormatAdapter.atexit_handler)


def _remove_leftovers(parent: Path) -> None:
    """Remove the scratch folders of processes that were killed."""
    for folder in parent.glob("spikingconvnet-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _private_configuration(path: Path) -> Iterator[None]:
    """Let the toolchain read `path` and no other configuration file."""
    try:
        from spinn_utilities import conf_loader, config_holder
    except ImportError as error:
        raise DependencyError(f"sPyNNaker: not installed ({error}); pip install .") from error
    load, find = conf_loader.load_config, config_holder._user_cfg

    def load_one(_local: str | None, user: str | None, defaults: list[str]) -> Any:
        return load(None, user, defaults)

    conf_loader.load_config, config_holder._user_cfg = load_one, lambda: str(path)
    try:
        yield
    finally:
        conf_loader.load_config, config_holder._user_cfg = load, find


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep Ctrl-C with the program: after a run the toolchain would swallow it."""
    from spinn_front_end_common.interface.abstract_spinnaker_base import AbstractSpinnakerBase

    names = [f"_AbstractSpinnakerBase__run_control_c_handler_{state}" for state in ("on", "off")]
    kept = {name: getattr(AbstractSpinnakerBase, name) for name in names}
    hook = sys.excepthook
    for name in names:
        setattr(AbstractSpinnakerBase, name, lambda _self: None)
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(AbstractSpinnakerBase, name, method)
        sys.excepthook = hook
