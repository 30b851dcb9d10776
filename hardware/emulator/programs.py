"""Which programs are on the cores of a machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..constants import CoreState
from .chip import Chip, vcpu

_FAILED = (CoreState.RUN_TIME_ERROR, CoreState.WATCHDOG)


@dataclass(frozen=True)
class Program:
    """One program and the cores it is on.

    `image` is its `loader.fingerprint`, `name` what it calls itself (cut after 15 letters by the
    kernel), and `failed` counts the cores that it died on.
    """

    application: int
    image: str
    name: str
    cores: int
    failed: int


def programs_on(chips: Iterable[Chip]) -> list[Program]:
    """List the programs on some chips, the one on most cores first."""
    cores: Counter[tuple[int, str]] = Counter()
    failed: Counter[tuple[int, str]] = Counter()
    names: dict[tuple[int, str], str] = {}
    for chip in chips:
        for core, application in enumerate(chip.applications):
            if not application:
                continue
            key = (application, chip.images[core])
            cores[key] += 1
            failed[key] += chip.state(core) in _FAILED
            names[key] = names.get(key) or _own_name(chip, core)
    return [
        Program(application, image, names[application, image], count, failed[application, image])
        for (application, image), count in cores.most_common()
    ]


def _own_name(chip: Chip, core: int) -> str:
    """Read what a program has written into its core's block."""
    return chip.memory.read(vcpu(core) + 72, 16).split(b"\0")[0].decode("latin-1")
