"""Where boards and chips are: in the rack, in the machine, on their board, and in their job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..emulator.layout import XY
from .jobs import Job, Jobs
from .machine import Machine
from .requests import Refused, whole


class Places:
    """Finds boards and chips of a machine, and the jobs that have them."""

    def __init__(self, machine: Machine, jobs: Jobs) -> None:
        self._machine = machine
        self._jobs = jobs

    def find(self, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Tell all places of what the keywords describe, or None if there is no such thing."""
        way = self._WAYS.get(frozenset(kwargs))
        if way is None:
            valid = "; ".join(sorted(", ".join(sorted(names)) for names in self._WAYS))
            raise Refused(f"where_is: {', '.join(kwargs) or 'nothing'} (valid: {valid})")
        name = kwargs.get("machine", self._machine.name)
        numbers = {key: whole(key, value) for key, value in kwargs.items() if key != "machine"}
        chip = way(self, **numbers) if name == self._machine.name else None
        return chip and self._place(chip)

    def _of_logical(self, x: int, y: int, z: int) -> XY | None:
        known = self._machine.physical((x, y, z)) is not None
        return self._machine.ethernet((x, y, z)) if known else None

    def _of_physical(self, cabinet: int, frame: int, board: int) -> XY | None:
        found = self._machine.logical((cabinet, frame, board))
        return found and self._machine.ethernet(found)

    def _of_chip(self, chip_x: int, chip_y: int) -> XY:
        return self._machine.chip(chip_x, chip_y)

    def _of_job(self, job_id: int, chip_x: int, chip_y: int) -> XY | None:
        job = self._jobs.live.get(job_id)
        if job is None or job.boards is None or job.allocation is None:
            return None
        if (chip_x, chip_y) not in job.boards.layout.cores:
            return None
        x, y = self._machine.ethernet(job.allocation.origin)
        return self._machine.chip(x + chip_x, y + chip_y)

    _WAYS: Final[dict[frozenset[str], Callable[..., XY | None]]] = {
        frozenset({"machine", "x", "y", "z"}): _of_logical,
        frozenset({"machine", "cabinet", "frame", "board"}): _of_physical,
        frozenset({"machine", "chip_x", "chip_y"}): _of_chip,
        frozenset({"job_id", "chip_x", "chip_y"}): _of_job,
    }

    def _place(self, chip: XY) -> dict[str, Any] | None:
        machine = self._machine
        board = machine.board_of(chip)
        physical = machine.physical(board)
        if physical is None:
            return None
        job = next((job for job in self._jobs.live.values() if board in (job.places or ())), None)
        return {
            "machine": machine.name,
            "logical": board,
            "physical": physical,
            "chip": chip,
            "board_chip": self._offset(chip, machine.ethernet(board)),
            "job_id": job and job.id,
            "job_chip": job and self._job_chip(job, chip),
        }

    def _job_chip(self, job: Job, chip: XY) -> XY:
        """Give the place of a machine's chip among the chips of its job."""
        assert job.allocation is not None and job.boards is not None
        x, y = self._offset(chip, self._machine.ethernet(job.allocation.origin))
        # At a ragged edge, a chip of the job is where the whole machine has another's.
        width, height = self._machine.size
        places = ((x + i, y + j) for i in (0, width) for j in (0, height))
        return next(place for place in places if place in job.boards.layout.cores)

    def _offset(self, chip: XY, origin: XY) -> XY:
        return self._machine.chip(chip[0] - origin[0], chip[1] - origin[1])
