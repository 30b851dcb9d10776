"""The command line: one function per mode, exit codes, and the only place that prints."""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from spikingconvnet.errors import SpikingConvNetError, UsageError

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and after a request to end, as shells give them (128 + signal)."""

TUTORIAL = """\
Settings lie in parameters.py: data, encoder, layers, learning rule, board. A run is a sequence of
commands that share a run directory; each can be repeated by itself:

  1  --mode loaddata               draw training and test images
  2  --mode training --layer 1     learn the kernels of layer 1 by STDP, on the board
     --mode training --layer 2     ... and of layer 2, on the spikes of layer 1, and so on
  3  --mode training --layer svm   fit the read-out to spike counts of the training images
  4  --mode testing                classify the test images; accuracy, confusion, figures

  --mode multi --layer N           like 2, with several copies of the layer on one board
  --mode info                      show settings, model and what the run directory holds
  --mode board                     serve a software board to any other sPyNNaker script

Where the network runs:

  --board software                 a SpiNNaker board made of software, on this computer (default)
  --board virtual                  map only: print cores, chips, memory and run time; no results
  --board 192.168.240.1            a real board, by address or host name (--board-version 3 or 5)
  --board spalloc:SERVER           a real board lent by a spalloc server

Exit code: 0 done, 1 failure, 2 misuse, 130 interrupted."""


class Terminated(KeyboardInterrupt):
    """Stand for a request to end (SIGTERM)."""


class _Parser(argparse.ArgumentParser):
    """Report misuse as the other errors are reported: by one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = _Parser(
        prog="main.py" if sys.argv[0].endswith("main.py") else "spikingconvnet",
        description="Train and test a spiking convolutional network on a SpiNNaker board, or on a "
        "board made of software.",
        epilog=TUTORIAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--mode", metavar="MODE", help=f"what to do: {', '.join(MODES)}")
    add("--layer", metavar="N|svm", help="the layer to train, counted from 1, or the read-out")
    add("--board", metavar="BOARD", help="software, virtual, HOST or spalloc:SERVER")
    add("--board-version", metavar="3|5", help="3: four chips, 5: forty-eight")
    add("--seed", metavar="S", help="of every random draw")
    add("--run-dir", metavar="DIR", help="where results go")
    add("--parameters", metavar="FILE", help="the parameter file (default: parameters.py)")
    add("--no-backup", action="store_true", help="do not copy results to generated_backups/")
    add("--debug", action="store_true", help="show the traceback of an error")
    return made


def main(argv: Sequence[str] | None = None, *, default_parameters: Path | None = None) -> int:
    """Run one command and return its exit code."""
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        with _termination():
            options = parser().parse_args(argv)
            mode = _chosen_mode(options)
            mode(_job(options, default_parameters or Path("parameters.py")), options.layer)
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


def _job(options: argparse.Namespace, default_parameters: Path) -> Any:
    """Return the settings of a command: the parameter file, overridden by options."""
    from spikingconvnet import config, workflow
    from spikingconvnet.utilities.storage import RunDirectory

    settings = config.read(options.parameters or default_parameters)
    version = _number("--board-version", options.board_version, settings.board.version)
    if version not in (3, 5):
        raise UsageError(f"--board-version: {version} (valid: 3, 5)")
    board = settings.board.name if options.board is None else options.board
    if not board:
        raise UsageError("--board: '' (valid: software, virtual, HOST, spalloc:SERVER)")
    seed = _number("--seed", options.seed, settings.seed)
    folder = settings.run_dir if options.run_dir is None else Path(options.run_dir)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--run-dir: {folder} (is a file; must be a folder)")
    return workflow.Job(
        settings,
        RunDirectory(folder),
        board,
        version,
        seed,
        settings.backup and not options.no_backup,
        _say,
    )


def _number(option: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise UsageError(f"{option}: {text!r} (must be a whole number of at least 0)")
    return int(text)


# ---- modes ---------------------------------------------------------------------------------------


def loaddata(job: Any, layer: str | None) -> None:
    """Draw images."""
    from spikingconvnet import workflow

    _no_layer("loaddata", layer)
    workflow.load_data(job)


def training(job: Any, layer: str | None) -> None:
    """Train a layer or the read-out."""
    from spikingconvnet import workflow

    if layer == "svm":
        workflow.fit_readout(job)
    else:
        workflow.train_layer(job, _layer_number("training", layer, "a layer's number, or svm"))


def testing(job: Any, layer: str | None) -> None:
    """Test the network."""
    from spikingconvnet import workflow

    _no_layer("testing", layer)
    workflow.test(job)


def info(job: Any, layer: str | None) -> None:
    """Show settings, model and state."""
    from spikingconvnet import workflow

    _no_layer("info", layer)
    workflow.describe(job)


def multi(job: Any, layer: str | None) -> None:
    """Train copies of a layer in parallel."""
    from spikingconvnet import workflow

    workflow.train_copies(job, _layer_number("multi", layer, "a layer's number"))


def board(job: Any, layer: str | None) -> None:
    """Serve a software board."""
    from spikingconvnet import workflow

    _no_layer("board", layer)
    if job.board != "software":
        raise UsageError(f"--mode board: --board {job.board} (only the software board is served)")
    workflow.serve_board(job)


MODES: dict[str, Callable[[Any, str | None], None]] = {
    "loaddata": loaddata,
    "training": training,
    "testing": testing,
    "info": info,
    "multi": multi,
    "board": board,
}


def _chosen_mode(options: argparse.Namespace) -> Callable[[Any, str | None], None]:
    valid = ", ".join(MODES)
    if options.mode is None:
        raise UsageError(f"--mode: missing (valid: {valid}; --help teaches the order)")
    if options.mode not in MODES:
        raise UsageError(f"--mode: {options.mode!r} (valid: {valid})")
    return MODES[options.mode]


def _no_layer(mode: str, layer: str | None) -> None:
    if layer is not None:
        raise UsageError(f"--layer: {layer!r} (--mode {mode} takes no layer)")


def _layer_number(mode: str, layer: str | None, valid: str) -> int:
    if layer is None:
        raise UsageError(f"--layer: missing (--mode {mode} needs {valid})")
    if not layer.isdecimal():
        raise UsageError(f"--layer: {layer!r} (must be {valid})")
    return int(layer)
