"""Keeping pace with the host's clock, for networks that talk to the world.

While a simulation runs, virtual time is not allowed ahead of the host's clock; both start together
with the simulation. A board that is slower falls behind. It makes up for at most MOST_BEHIND_MS: a
pause of the computer is caught up with, at whatever speed the board has, but what goes beyond is
lost for good, so that a board that is too slow answers late by that much and never by more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from .constants import CYCLES_PER_MS

MOST_BEHIND_MS: Final = 100.0
"""Long against a pause that a busy computer makes, short against what a person notices."""
_CYCLES_PER_S: Final = 1000 * CYCLES_PER_MS


class Pace:
    """Where virtual time, in cycles, would be if it passed as the clock (in seconds) does."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._origin = 0.0
        self.lost_ms = 0.0
        """What could not be made up for, since the beginning."""
        self.most_behind_ms = 0.0

    def start(self, cycle: int) -> None:
        """Let the clock stand at a cycle now."""
        self._origin = self._clock() - cycle / _CYCLES_PER_S

    def clock(self) -> float:
        """Read the clock."""
        return self._clock()

    def cycle(self, when: float | None = None) -> int:
        """Give the cycle that belongs to a reading of the clock, by default to the present one."""
        return int(((self._clock() if when is None else when) - self._origin) * _CYCLES_PER_S)

    def follow(self, cycle: int) -> int:
        """Give the cycle to go on to from the one where the board is."""
        behind_ms = (self.cycle() - cycle) / CYCLES_PER_MS
        lost_ms = max(0.0, behind_ms - MOST_BEHIND_MS)
        self.most_behind_ms = max(self.most_behind_ms, behind_ms - lost_ms)
        self.lost_ms += lost_ms
        self._origin += lost_ms / 1000
        return self.cycle()
