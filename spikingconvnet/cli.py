"""The command line: one function per mode, exit codes, and the only place that prints."""

import argparse
import dataclasses
import logging
import signal
import sys
import time
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
  5  --mode report                 gather all that there is in one page, report.html

  --mode predict --image FILE      the class of one picture (--resize, --invert)
  --mode show --image FILE|N       draw what happens in the network while it sees a picture
  --mode deploy --model NAME       run a trained network of the zoo on the board (--images N) and
                                   compare spikes and answers with the host's (--mode compare)
  --mode multi --layer N           like 2, with several copies of the layer on one board
  --mode info                      show settings, model and what the run directory holds
  board, or --mode board           serve a software board to any other sPyNNaker script

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
    add("--model", metavar="NAME", help="a network of the zoo, for the host engine")
    add("--set", metavar="PATH=VALUE", action="append", default=[], help="change a model's setting")
    add("--seed", metavar="S", help="of every random draw")
    add("--run-dir", metavar="DIR", help="where results go")
    add("--parameters", metavar="FILE", help="the parameter file (default: parameters.py)")
    add("--images", metavar="N", help="with deploy: test images that are shown (default: 1000)")
    add("--image", metavar="FILE|N", help="with predict and show: a picture, or test image N")
    add("--resize", action="store_true", help="scale that picture to the size of the run's images")
    add("--invert", action="store_true", help="turn light and dark of that picture round")
    add("--tensorboard", action="store_true", help="also write logs that TensorBoard shows")
    add("--no-backup", action="store_true", help="do not copy results to generated_backups/")
    add("--debug", action="store_true", help="show the traceback of an error")
    from spikingconvnet import console

    console.add_options(made.add_argument_group("with --mode board"))
    return made


def board_parser() -> argparse.ArgumentParser:
    """Return the parser of the sub-command `board`, which needs no parameter file."""
    from spikingconvnet import console

    made = _Parser(
        prog=f"{parser().prog} board",
        description="Serve a SpiNNaker board made of software to sPyNNaker scripts, until Ctrl-C.",
        epilog="The same as --mode board, which takes what is left out from parameters.py.",
        allow_abbrev=False,
    )
    console.add_options(made)
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


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
    from spikingconvnet import console
    from spikingconvnet.utilities import journal

    if argv[:1] == ["board"]:
        _serve(board_parser().parse_args(argv[1:]))
        return
    options = parser().parse_args(argv)
    mode = _chosen_mode(options)
    job = _job(options, default_parameters or Path("parameters.py"))
    if mode is board:
        board(job, options.layer, options)
        return
    unfit = list(console.OPTIONS)
    if options.mode not in LOOKING:
        unfit += ["image", "resize", "invert"]
    if options.mode not in DEPLOYING:
        unfit += ["images"]
    for name in unfit:
        if getattr(options, name) not in (None, False):
            raise UsageError(f"{console.spelling(name)}: not with --mode {options.mode}")
    if options.tensorboard:
        from spikingconvnet import tensorboard_logs

        tensorboard_logs.check(options.mode)
    started = time.perf_counter()
    mode(job, options.layer)
    if options.mode in RECORDED:
        journal.record(job.run, argv, time.perf_counter() - started)
    if options.tensorboard:
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


def _job(options: argparse.Namespace, default_parameters: Path) -> Any:
    """Return the settings of a command: the parameter file, overridden by options."""
    from spikingconvnet import config, workflow
    from spikingconvnet.utilities import pictures
    from spikingconvnet.utilities.storage import RunDirectory

    settings = config.read(options.parameters or default_parameters)
    version = _number("--board-version", options.board_version, settings.board.version)
    if version not in (3, 5):
        raise UsageError(f"--board-version: {version} (valid: 3, 5)")
    board = settings.board.name if options.board is None else options.board
    if not board:
        raise UsageError("--board: '' (valid: software, virtual, HOST, spalloc:SERVER)")
    seed = _number("--seed", options.seed, settings.seed)
    settings, model = _host_model(settings, options)
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
        model,
        None
        if options.image is None
        else pictures.Request(options.image, options.resize, options.invert),
        None if options.images is None else _number("--images", options.images, 0),
        options.board is not None,
    )


def _host_model(settings: Any, options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the settings and the host model that are chosen; (settings, None) without one.

    A model named on the command line comes with all of MNIST and a run directory of its own; one
    that the parameter file names, with what that file says.
    """
    from spikingconvnet import overrides

    name = options.model or settings.model_name
    if name is None:
        if options.set:
            raise UsageError(f"--set: {options.set[0]!r} (only with --model)")
        return settings, None
    if options.board is not None and options.mode not in DEPLOYING:
        raise UsageError(
            f"--board: {options.board!r} (only with --mode {', '.join(DEPLOYING)}: the host engine "
            f"runs {name})"
        )
    from spikingconvnet import zoo
    from spikingconvnet.config import Data

    @dataclasses.dataclass(frozen=True)
    class Chosen:
        data: Data
        model: Any

    data, run_dir = settings.data, settings.run_dir
    if name != settings.model_name:
        data, run_dir = Data(train_per_class=None, test_per_class=None), Path("runs") / name
    chosen = Chosen(data, zoo.load(name))
    given = [(path.split("."), value) for path, value in settings.overrides.items()]
    for names, value in [*given, *map(overrides.parse, options.set)]:
        inside = names if names[0] == "data" else ["model", *names]
        chosen = overrides.replaced(chosen, inside, value)
    settings = dataclasses.replace(settings, data=chosen.data, run_dir=run_dir)
    return settings, chosen.model


def _number(option: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise UsageError(f"{option}: {text!r} (must be a whole number of at least 0)")
    return int(text)


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


def board(job: Any, layer: str | None, options: argparse.Namespace) -> None:
    """Serve a software board."""
    _no_layer("board", layer)
    if job.board != "software":
        raise UsageError(f"--mode board: --board {job.board} (only the software board is served)")
    job.run.path.mkdir(parents=True, exist_ok=True)
    _serve(options, job.version, job.run.file("board.log"))


def _serve(options: argparse.Namespace, version: int = 5, log: Path | None = None) -> None:
    from spikingconvnet import console

    if options.spalloc:
        console.lend(console.lent(options), _say)
    else:
        console.serve(console.chosen(options, version, log), _say)


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
DEPLOYING = ("deploy", "compare", "info")
"""Modes that --board makes sense with for a model of the host engine."""
LOOKING = ("predict", "show")
"""Modes that look at one picture."""


def _chosen_mode(options: argparse.Namespace) -> Callable[..., None]:
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
