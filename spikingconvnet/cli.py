"""The command line: one function per mode, exit codes, and the only place that prints."""

import argparse
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from spikingconvnet import options
from spikingconvnet.errors import SpikingConvNetError, UsageError

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and after a request to end, as shells give them (128 + signal)."""


class Terminated(KeyboardInterrupt):
    """Stand for a request to end (SIGTERM)."""


def main(argv: Sequence[str] | None = None, *, default_parameters: Path | None = None) -> int:
    """Run one command and return its exit code."""
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        with _termination():
            _run(sys.argv[1:] if argv is None else argv, default_parameters)
        return 0
    except KeyboardInterrupt as interrupt:
        ended = isinstance(interrupt, Terminated)
        word, code = ("terminated", TERMINATED) if ended else ("interrupted", INTERRUPTED)
        return _fail(f"{word}; what was saved before is whole", debug, code)
    except SpikingConvNetError as error:
        return _fail(str(error), debug, error.exit_code)
    except BrokenPipeError:
        return 1
    except Exception as error:
        logging.getLogger(__name__).debug("unexpected failure", exc_info=True)
        what = f"{type(error).__name__}: {error}"
        return _fail(f"unexpected failure, {what} (--debug shows where)", debug, 1)


def _run(argv: Sequence[str], default_parameters: Path | None) -> None:
    from spikingconvnet.utilities import journal

    if argv[:1] == ["board"]:
        _serve(options.board_parser().parse_args(argv[1:]))
        return
    chosen = options.parser(MODES).parse_args(argv)
    mode = _chosen_mode(chosen)
    job = options.job(chosen, default_parameters or Path("parameters.py"), _say)
    if mode is board:
        board(job, chosen.layer, chosen)
        return
    options.check(chosen)
    if chosen.tensorboard:
        from spikingconvnet import tensorboard_logs

        tensorboard_logs.check(chosen.mode)
    started = time.perf_counter()
    mode(job, chosen.layer)
    if chosen.mode in RECORDED:
        journal.record(job.run, argv, time.perf_counter() - started)
    if chosen.tensorboard:
        from spikingconvnet import tensorboard_logs

        tensorboard_logs.write(job)


def _fail(message: str, debug: bool, code: int) -> int:
    """Print one message, or the traceback it stands for, and return the exit code."""
    if debug:
        traceback.print_exc()
    print(
        f"error: {message}" if code not in (INTERRUPTED, TERMINATED) else message, file=sys.stderr
    )
    return code


@contextmanager
def _termination() -> Iterator[None]:
    """Let SIGTERM end a command as cleanly as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: the host program decides about signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    """Print for the user, also while the toolchain's noise goes to the log."""
    from spikingconvnet.utilities import logs

    print(line, file=logs.terminal().stdout, flush=True)


def _workflow(job: Any) -> Any:
    """Return the steps of the place that a job's network is trained in."""
    if job.model is None:
        from spikingconvnet import workflow

        return workflow
    from spikingconvnet.classes.fully_connected import FullyConnectedModel

    if isinstance(job.model, FullyConnectedModel):
        from spikingconvnet import fully_connected_workflow

        return fully_connected_workflow
    from spikingconvnet import host_workflow

    return host_workflow


# ---- modes ---------------------------------------------------------------------------------------


def loaddata(job: Any, layer: str | None) -> None:
    """Draw images."""
    from spikingconvnet import workflow

    _no_layer("loaddata", layer)
    workflow.load_data(job)


def training(job: Any, layer: str | None) -> None:
    """Train a layer or the read-out."""
    if layer == "svm":
        _workflow(job).fit_readout(job)
        return
    from spikingconvnet import board_training

    steps = board_training if job.model is None else _workflow(job)
    steps.train_layer(job, _layer_number("training", layer, "a layer's number, or svm"))


def testing(job: Any, layer: str | None) -> None:
    """Test the network."""
    _no_layer("testing", layer)
    _workflow(job).test(job)


def info(job: Any, layer: str | None) -> None:
    """Show settings, model and state."""
    _no_layer("info", layer)
    _workflow(job).describe(job)
    if job.model is not None and job.on_board:
        from spikingconvnet import deploy as steps

        steps.info(job)


def multi(job: Any, layer: str | None) -> None:
    """Train copies of a layer in parallel."""
    from spikingconvnet import board_training

    number = _layer_number("multi", layer, "a layer's number")
    if job.model is not None:
        raise UsageError(f"--mode multi: {job.model.name} (copies are trained on a board only)")
    board_training.train_copies(job, number)


def deploy(job: Any, layer: str | None) -> None:
    """Run a trained network on a board."""
    from spikingconvnet import deploy as steps

    _no_layer("deploy", layer)
    steps.deploy(job)


def compare(job: Any, layer: str | None) -> None:
    """Compare what a board did with what the host predicts."""
    from spikingconvnet import deploy as steps

    _no_layer("compare", layer)
    steps.compare(job)


def predict(job: Any, layer: str | None) -> None:
    """Tell the class of one picture."""
    _no_layer("predict", layer)
    _picture_workflow(job).predict(job)


def show(job: Any, layer: str | None) -> None:
    """Draw what happens while the network sees one picture."""
    _no_layer("show", layer)
    _picture_workflow(job).show(job)


def _picture_workflow(job: Any) -> Any:
    if job.model is not None:
        return _workflow(job)
    from spikingconvnet import board_prediction

    return board_prediction


def report(job: Any, layer: str | None) -> None:
    """Gather a run's figures and numbers into one page."""
    from spikingconvnet import html_report

    _no_layer("report", layer)
    job.say(f"report: {html_report.write(job)}")


def board(job: Any, layer: str | None, chosen: argparse.Namespace) -> None:
    """Serve a software board."""
    _no_layer("board", layer)
    if job.board != "software":
        raise UsageError(f"--mode board: --board {job.board} (only the software board is served)")
    job.run.path.mkdir(parents=True, exist_ok=True)
    _serve(chosen, job.version, job.run.file("board.log"))


def _serve(chosen: argparse.Namespace, version: int = 5, log: Path | None = None) -> None:
    from spikingconvnet import console

    if chosen.spalloc:
        console.lend(console.lent(chosen), _say)
    else:
        console.serve(console.chosen(chosen, version, log), _say)


MODES: dict[str, Callable[..., None]] = {
    "loaddata": loaddata,
    "training": training,
    "testing": testing,
    "info": info,
    "multi": multi,
    "deploy": deploy,
    "compare": compare,
    "board": board,
    "predict": predict,
    "show": show,
    "report": report,
}
RECORDED = ("loaddata", "training", "multi", "testing", "deploy")
"""Modes whose commands are remembered in the run directory."""


def _chosen_mode(chosen: argparse.Namespace) -> Callable[..., None]:
    valid = ", ".join(MODES)
    if chosen.mode is None:
        raise UsageError(f"--mode: missing (valid: {valid}; --help teaches the order)")
    if chosen.mode not in MODES:
        raise UsageError(f"--mode: {chosen.mode!r} (valid: {valid})")
    return MODES[chosen.mode]


def _no_layer(mode: str, layer: str | None) -> None:
    if layer is not None:
        raise UsageError(f"--layer: {layer!r} (--mode {mode} takes no layer)")


def _layer_number(mode: str, layer: str | None, valid: str) -> int:
    if layer is None:
        raise UsageError(f"--layer: missing (--mode {mode} needs {valid})")
    if not layer.isdecimal():
        raise UsageError(f"--layer: {layer!r} (must be {valid})")
    return int(layer)
