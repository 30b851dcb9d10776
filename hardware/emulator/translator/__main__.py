"""Translate programs: python -m spikingconvnet.hardware.emulator.translator FILE.aplx ...

With `--request`, one image: JSON from an open file (see `background.py`). That process ends with
its standard input, that is with the board that has asked for it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
from pathlib import Path

from . import cache
from .machine import translate, translate_file

_MOST_CPU_S = 300


def main(arguments: list[str] | None = None) -> int:
    """Translate; 0 when all files have been written, exit code 2 for what is no program."""
    parser = argparse.ArgumentParser(prog="translator", description="Translate SpiNNaker programs.")
    parser.add_argument("programs", nargs="*", type=Path, metavar="FILE.aplx")
    parser.add_argument("--folder", type=Path, help="where to (default: the user's cache)")
    parser.add_argument("--request", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.request is not None:
        answer(options.request)
    elif not options.programs:
        parser.error("FILE.aplx: none (name at least one)")
    for program in options.programs:
        try:
            translate_file(program, options.folder or cache.default_folder())
        except (OSError, ValueError) as error:
            parser.error(f"{program}: {error}")
    return 0


def answer(descriptor: int) -> None:
    """Do what a board asks for."""
    threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
    with open(descriptor) as file:
        request = json.load(file)
    image = bytes.fromhex(request["image"])
    translation = translate(image, request["executed"], request["changed"])
    cache.write(Path(request["path"]), translation)


def _end_with(stream: int) -> None:
    while os.read(stream, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
