"""Options of the command line, and the job that they and the parameter file describe."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from spikingconvnet.errors import UsageError

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
DEPLOYING = ("deploy", "compare", "info")
"""Modes that --board makes sense with for a model of the host engine."""
LOOKING = ("predict", "show")
"""Modes that look at one picture."""
BELONGING = {"image": LOOKING, "resize": LOOKING, "invert": LOOKING, "images": DEPLOYING}
"""Options that only some modes take; those of `console` belong to --mode board."""


class _Parser(argparse.ArgumentParser):
    """Report misuse as the other errors are reported: by one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def _program() -> str:
    return "main.py" if sys.argv[0].endswith("main.py") else "spikingconvnet"


def parser(modes: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser of the command line, which takes one of `modes`."""
    made = _Parser(
        prog=_program(),
        description="Train and test a spiking convolutional network on a SpiNNaker board, or on a "
        "board made of software.",
        epilog=TUTORIAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--mode", metavar="MODE", help=f"what to do: {', '.join(modes)}")
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
        prog=f"{_program()} board",
        description="Serve a SpiNNaker board made of software to sPyNNaker scripts, until Ctrl-C.",
        epilog="The same as --mode board, which takes what is left out from parameters.py.",
        allow_abbrev=False,
    )
    console.add_options(made)
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for an option that a mode other than `board` does not take."""
    from spikingconvnet import console

    unfit = [name for name, modes in BELONGING.items() if options.mode not in modes]
    for name in (*console.OPTIONS, *unfit):
        if getattr(options, name) not in (None, False):
            raise UsageError(f"{console.spelling(name)}: not with --mode {options.mode}")


def job(options: argparse.Namespace, default_parameters: Path, say: Callable[[str], None]) -> Any:
    """Return the job of a command: the parameter file, overridden by options."""
    from spikingconvnet import config
    from spikingconvnet.job import Job
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
    return Job(
        settings,
        RunDirectory(folder),
        board,
        version,
        seed,
        settings.backup and not options.no_backup,
        say,
        model,
        picture=None
        if options.image is None
        else pictures.Request(options.image, options.resize, options.invert),
        shown=None if options.images is None else _number("--images", options.images, 0),
        on_board=options.board is not None,
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
    from spikingconvnet.settings import Data

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
