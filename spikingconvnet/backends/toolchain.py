"""sPyNNaker in this process: which configuration it reads, and what it must not take or leave."""

import atexit
import importlib
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from spikingconvnet.backends import provenance

log = logging.getLogger(__name__)

OVERRUN_S = 600
"""How much longer than on a real board a run may take; networks of many cores are slower."""
_RUNNER = "spinn_front_end_common.interface.interface_functions.application_runner"

Options = Mapping[str, Mapping[str, Any]]
"""Values of a configuration file, by section and name."""


def configuration(machine: Mapping[str, Any], reports: Path | None = None) -> str:
    """Return the text of a sPyNNaker configuration file for the given [Machine] section."""
    sections: dict[str, Mapping[str, Any]] = {"Machine": machine, "Logging": {"default": "info"}}
    if reports is not None:
        sections["Reports"] = {
            "default_report_file_path": reports, "max_reports_kept": 1, **provenance.READ
        }  # fmt: skip
    return as_text(sections)


def as_text(sections: Options) -> str:
    """Return the text of a configuration file."""
    lines: list[str] = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
    return "\n".join(lines)


@contextmanager
def spynnaker_on(board: Any, folder: Path, options: Options | None = None) -> Iterator[Any]:
    """Let sPyNNaker use a running software board for a block; give its PyNN module, not set up.

    Its configuration, `.spynnaker.cfg`, and its reports go to `folder`; `options` are added. No
    other configuration is read, and a simulation that is still set up is ended, before and after.
    """
    sections: dict[str, dict[str, Any]] = {
        "Machine": {
            "machine_name": board.address,
            "version": board.version,
            "spalloc_retry": 0,
            "post_simulation_overrun_before_error": OVERRUN_S,
        },
        "Reports": {"default_report_file_path": folder, "max_reports_kept": 1},
    }
    for section, values in (options or {}).items():
        sections.setdefault(section, {}).update(values)
    path = folder / ".spynnaker.cfg"
    path.write_text(as_text(sections), encoding="utf-8")
    with ExitStack() as stack:
        stack.enter_context(private_configuration(path))
        stack.enter_context(own_interrupts())
        stack.enter_context(no_waiting())
        sim = importlib.import_module("spynnaker.pyNN")
        end(sim)
        stack.callback(forget_exit_notes)
        stack.callback(end, sim)
        yield sim


def end(sim: Any) -> None:
    """End a simulation that is set up, whatever has become of it and of its board."""
    from spynnaker.pyNN.data import SpynnakerDataView

    if not SpynnakerDataView.is_setup():
        return
    try:
        sim.end()
    except Exception as error:
        log.warning("a simulation could not be ended: %s", error)
        with suppress(Exception):
            getattr(sim, "__simulator")._data_writer.shut_down()


@contextmanager
def private_configuration(path: Path) -> Iterator[None]:
    """Let the toolchain read `path` and no other configuration file."""
    from spinn_utilities import conf_loader, config_holder

    load, find = conf_loader.load_config, config_holder._user_cfg

    def load_one(_local: str | None, user: str | None, defaults: list[str]) -> Any:
        return load(None, user, defaults)

    conf_loader.load_config, config_holder._user_cfg = load_one, lambda: str(path)
    try:
        yield
    finally:
        conf_loader.load_config, config_holder._user_cfg = load, find


@contextmanager
def own_interrupts() -> Iterator[None]:
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


@contextmanager
def no_waiting() -> Iterator[None]:
    """Spare the toolchain its sleep of the simulated time: this board may be long done.

    The toolchain then asks for the cores' state until they are done, for as long as it takes.
    """
    runner: Any = importlib.import_module(_RUNNER)
    sleep = runner.sleep
    runner.sleep = lambda _seconds: None
    try:
        yield
    finally:
        runner.sleep = sleep


def forget_exit_notes() -> None:
    """Keep the toolchain from writing to its reports, and to the terminal, at exit."""
    from spinn_utilities.data.utils_data_writer import UtilsDataWriter
    from spinn_utilities.log import FormatAdapter

    atexit.unregister(UtilsDataWriter.write_errored_file)
    atexit.unregister(FormatAdapter.atexit_handler)
