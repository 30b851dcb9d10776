"""Translate programs: python -m spikingconvnet.hardware.emulator.translator FILE.aplx ...

Without files, one image: the request comes as JSON on standard input (see `background.py`). That
process may outlive the board that has asked for it, by the seconds that a translation takes: the
next board finds its file.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path

from . import cache
from .machine import translate, translate_file

_MOST_CPU_S = 300


def main(arguments: list[str] | None = None) -> int:
    """Translate; 0 when all files have been written."""
    parser = argparse.ArgumentParser(prog="translator", description="Translate SpiNNaker programs.")
    parser.add_argument("programs", nargs="*", type=Path, metavar="FILE.aplx")
    parser.add_argument("--folder", type=Path, help="where to (default: the user's cache)")
    options = parser.parse_args(arguments)
    for program in options.programs:
        translate_file(program, options.folder or cache.default_folder())
    if not options.programs:
        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
        request = json.load(sys.stdin)
        image = bytes.fromhex(request["image"])
        translation = translate(image, request["executed"], request["changed"])
        cache.write(Path(request["path"]), translation)
    return 0


if __name__ == "__main__":
    sys.exit(main())
