"""Give the cores of a board translated code as it becomes available.

The interpreter runs every program at first. When one has executed ENOUGH instructions and has no
translation in the user's cache, a process of low priority makes one; the board looks for its file
now and then. That process ends with the board, however the board ends: its standard input is a pipe
from the board. What becomes of all this changes how fast the board is, and nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...constants import ITCM_SIZE
from . import cache
from .instructions import record_address

logger = logging.getLogger(__name__)

ENOUGH = 100_000_000
"""Instructions of a program, on all its cores: a quarter of a second of interpretation. Making a
translation takes about ten seconds of one processor."""
_LOOK_EVERY_S = 0.25
_NICE = 19


@dataclass
class _Program:
    """An image that some cores run, as it was before they started."""

    name: str
    data: bytes
    cores: set[tuple[int, int]] = field(default_factory=set)
    number: int | None = None
    """Of its translation in the execution core."""
    hopeless: bool = False


class Translations:
    """The translations that one board uses; `folder` is where they are kept."""

    def __init__(self, core: Any, folder: Path) -> None:
        self._core = core
        self._folder = folder
        self._programs: dict[str, _Program] = {}
        self._on_core: dict[tuple[int, int], _Program] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._made: _Program | None = None
        self._looked = 0.0
        self._works = self._makes = True
        if not cache.is_possible():
            self._give_up("there is no translation for this processor")

    def started(self, chip: int, core: int, image: str) -> None:
        """Note that a core has been started with an image, and translate it if that is known."""
        if not self._works:
            return
        self.stopped(chip, core)
        if image not in self._programs:
            data = self._core.read_core(chip, core, 0, ITCM_SIZE)
            self._programs[image] = _Program(image, data)
            self._find(self._programs[image])
        program = self._programs[image]
        program.cores.add((chip, core))
        self._on_core[chip, core] = program
        self._use(program, chip, core)

    def stopped(self, chip: int, core: int) -> None:
        """Note that a core runs something else from now on, or nothing."""
        program = self._on_core.pop((chip, core), None)
        if program is not None:
            program.cores.discard((chip, core))

    def look(self) -> None:
        """Use what has been translated since, and have something translated if it is worth it."""
        now = time.monotonic()
        if not self._works or now < self._looked + _LOOK_EVERY_S:
            return
        self._looked = now
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._finish()
        wanted = [p for p in self._programs.values() if self._is_wanted(p)]
        if wanted and self._makes:
            self._begin(max(wanted, key=self._executed))

    def _give_up(self, why: str) -> None:
        self._works = False
        logger.info("all code is interpreted: %s", why)

    def _stop_making(self, why: str, level: int = logging.INFO) -> None:
        self._makes = False
        logger.log(level, "no more code is translated: %s", why)

    def _executed(self, program: _Program) -> int:
        return sum(self._core.core_state(*core)["instructions"] for core in program.cores)

    def _is_wanted(self, program: _Program) -> bool:
        if program.hopeless or program.number is not None or not program.cores:
            return False
        return self._executed(program) >= ENOUGH

    def _find(self, program: _Program) -> None:
        path = cache.path_of(self._folder, program.name)
        translation = cache.read(path)
        if translation is None:
            return
        if not translation.fits(program.data):
            logger.warning("%s: of another program, not used", path)
            return
        try:
            program.number = self._core.add_translation(
                translation.code, translation.entries, translation.needs, translation.image
            )
        except OSError as error:
            self._give_up(f"memory for translated code: {error}")
            return
        logger.info("program %s is translated", program.name)

    def _use(self, program: _Program, chip: int, core: int) -> None:
        if program.number is not None:
            self._core.use_translation(chip, core, program.number)

    def _begin(self, program: _Program) -> None:
        if importlib.util.find_spec("llvmlite") is None:
            self._stop_making("llvmlite is not installed")
            return
        executed: set[int] = set()
        changed: set[int] = set()
        for core in program.cores:
            executed.update(n for n, seen in enumerate(self._core.profile(*core)) if seen)
            data = self._core.read_core(*core, 0, ITCM_SIZE)
            changed.update(_differences(program.data, data))
        request = {
            "image": program.data.hex(),
            "executed": [record_address(n) for n in sorted(executed)],
            "changed": sorted(changed),
            "path": str(cache.path_of(self._folder, program.name)),
        }
        try:
            cache.check_folder(self._folder)
            self._process, self._made = _spawn(request), program
        except OSError as error:
            self._stop_making(str(error), logging.WARNING)

    def _finish(self) -> None:
        process, program = self._process, self._made
        self._process = None
        if process is None or program is None:
            return
        process.communicate()
        self._find(program)
        program.hopeless = program.number is None
        if program.hopeless:
            logger.info("a program is interpreted: translator: exit code %d", process.returncode)
        for core in program.cores:
            self._use(program, *core)


def _differences(before: bytes, after: bytes) -> list[int]:
    """Give the addresses of the words that differ."""
    return [i for i in range(0, len(before), 4) if before[i : i + 4] != after[i : i + 4]]


def _spawn(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a translator of low priority, out of reach of a terminal's Ctrl-C."""
    python = ["nice", "-n", str(_NICE), sys.executable, "-m", __package__ or "translator"]
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(request).encode())
        file.seek(0)
        return subprocess.Popen(
            [*python, "--request", str(file.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[file.fileno()],
            start_new_session=True,
        )
