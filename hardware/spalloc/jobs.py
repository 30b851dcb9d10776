"""Jobs of a spalloc server: their states, their boards, and the queue for boards.

    queued -> power -> ready -> power ...     and from anywhere -> destroyed

A job waits until all before it have boards. Its boards are processes of their own; while they are
switched off their addresses stay taken and silent. Everything here belongs to one event loop, but
for `Boards`, whose methods block and run in threads, for one job one at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from ..addresses import bind_all, bind_free
from ..client import SoftwareBoard
from ..emulator.board import addresses_from
from ..emulator.layout import XY, load_layout
from ..errors import HardwareError
from .machine import XYZ, Allocation, Machine, Request

logger = logging.getLogger(__name__)

_MOST_RETIRED: Final = 1000
"""Jobs that are remembered after their end."""


class JobState(IntEnum):
    """States of a job as the protocol counts them (spalloc_client.states)."""

    UNKNOWN = 0
    QUEUED = 1
    POWER = 2
    READY = 3
    DESTROYED = 4


class Boards:
    """The software boards of an allocation, at addresses that do not change.

    When they are switched on or off there is a moment in which nobody holds the addresses; `taken`
    are those of other jobs, which may be in such a moment.
    """

    def __init__(self, allocation: Allocation, booted: bool, taken: set[str]) -> None:
        self.layout = load_layout(5, allocation.size, allocation.wrap)
        ethernets = self.layout.ethernets
        first, self._sockets = bind_free(len(ethernets), taken)
        held = addresses_from(first, len(ethernets))
        self.addresses: dict[XY, str] = dict(zip(ethernets, held, strict=True))
        self._first = first
        self._board = SoftwareBoard(
            version=5,
            boards=allocation.size,
            wrap=allocation.wrap,
            unbooted=not booted,
            address=first,
        )

    def switch(self, power: bool) -> None:
        """Switch on, from anew if it is on already, or off."""
        self.release()
        if power:
            self._board.start()
        else:
            self._sockets = bind_all(self._first, len(self.addresses))

    def release(self) -> None:
        """Switch off and give up the addresses."""
        self._board.stop()
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    def check(self) -> None:
        """Raise BoardDied if the process has ended by itself."""
        if self._board.ended:
            self._board.check()


@dataclass
class Job:
    """What is known of a job that has not been destroyed; times in seconds."""

    id: int
    owner: str
    host: str
    keepalive: float | None
    request: Request
    args: list[Any]
    """The request as it was worded, to be listed."""
    kwargs: dict[str, Any]
    start_time: float = field(default_factory=time.time)
    heard: float = field(default_factory=time.monotonic)
    state: JobState = JobState.QUEUED
    power: bool | None = None
    asked: int = 0
    """How often the power was set."""
    allocation: Allocation | None = None
    boards: Boards | None = None
    worker: asyncio.Task[None] | None = None

    @property
    def places(self) -> list[XYZ] | None:
        """The logical places of the boards."""
        return list(self.allocation.boards) if self.boards and self.allocation else None


class Jobs:
    """All jobs of a machine; `on_change` is called when something happened without a command."""

    def __init__(self, machine: Machine, booted: bool, on_change: Callable[[], None]) -> None:
        self.machine = machine
        self.live: dict[int, Job] = {}
        self.retired: dict[int, str | None] = {}
        """Why the jobs ended."""
        self._booted = booted
        self._taken: set[str] = set()
        """Addresses of the boards of all jobs."""
        self._on_change = on_change
        self._ending = False
        self._next = 1
        self._changed: set[int] = set()
        self._moved = False
        self._workers: set[asyncio.Task[None]] = set()

    def take_changed(self) -> tuple[set[int], bool]:
        """Give the jobs that changed since the last call, and whether boards were lent or freed."""
        changed, moved = self._changed, self._moved
        self._changed, self._moved = set(), False
        return changed, moved

    def create(
        self, owner: str, host: str, keepalive: float | None, request: Request, **wording: Any
    ) -> int:
        """Queue a job; one that the machine could never run is destroyed at once."""
        job = Job(self._next, owner, host, keepalive, request, **wording)
        self._next += 1
        self.live[job.id] = job
        self._changed.add(job.id)
        if self.machine.possible(request):
            self._advance()
        else:
            self.destroy(job.id, "No suitable machines available.")
        return job.id

    def hear(self, job_id: int, host: str) -> Job | None:
        """Note that somebody asked for a job; None if there is none."""
        job = self.live.get(job_id)
        if job is not None:
            job.host, job.heard = host, time.monotonic()
        return job

    def set_power(self, job: Job, power: bool) -> None:
        """Switch a job's boards on (again) or off; nothing happens while it has none."""
        if job.boards is None:
            return
        job.state, job.power = JobState.POWER, power
        job.asked += 1
        self._changed.add(job.id)
        self._employ(job)

    def destroy(self, job_id: int, reason: str | None) -> None:
        """End a job; its boards are free again once they are switched off."""
        job = self.live.pop(job_id, None)
        if job is None:
            return
        if job.state is JobState.QUEUED:
            reason = f"Cancelled: {reason or ''}"
        logger.info("job %d of %s destroyed: %s", job_id, job.owner, reason)
        job.state = JobState.DESTROYED
        self.retired[job_id] = reason
        if len(self.retired) > _MOST_RETIRED:
            del self.retired[next(iter(self.retired))]
        self._changed.add(job_id)
        if job.boards is not None:
            self._employ(job)
        self._advance()

    def look_after(self) -> None:
        """Destroy the jobs that nobody keeps alive, and those whose boards have died."""
        now = time.monotonic()
        for job in list(self.live.values()):
            if job.keepalive is not None and job.heard + job.keepalive < now:
                self.destroy(job.id, "Job timed out.")
            elif job.boards is not None and job.state is JobState.READY:
                try:
                    job.boards.check()
                except HardwareError as error:
                    self.destroy(job.id, str(error))

    async def end(self) -> None:
        """Destroy all jobs and wait for their boards."""
        self._ending = True
        for job in list(self.live.values()):
            self.destroy(job.id, "The server was stopped.")
        await asyncio.gather(*self._workers)

    def _advance(self) -> None:
        """Lend boards to those who wait, in their order."""
        if self._ending:
            return
        for job in [job for job in self.live.values() if job.state is JobState.QUEUED]:
            job.allocation = self.machine.allocate(job.request)
            if job.allocation is None:
                break
            self._moved = True
            try:
                job.boards = Boards(job.allocation, self._booted, self._taken)
            except HardwareError as error:
                self.machine.release(job.allocation)
                self.destroy(job.id, str(error))
                break
            self._taken |= {*job.boards.addresses.values()}
            self.set_power(job, True)

    def _employ(self, job: Job) -> None:
        if job.worker is None:
            job.worker = asyncio.create_task(self._work(job))
            self._workers.add(job.worker)
            job.worker.add_done_callback(self._workers.discard)

    async def _work(self, job: Job) -> None:
        """Do to a job's boards what was last asked for, until nothing is left to do."""
        assert job.boards is not None and job.allocation is not None
        while job.state is JobState.POWER:
            asked = job.asked
            try:
                await asyncio.to_thread(job.boards.switch, bool(job.power))
            except (HardwareError, OSError) as error:
                self.destroy(job.id, f"Machine configuration failed. Error: {error}")
            if job.state is JobState.POWER and asked == job.asked:
                job.state = JobState.READY
                self._changed.add(job.id)
        if job.state is JobState.DESTROYED:
            await asyncio.to_thread(job.boards.release)
            self._taken -= {*job.boards.addresses.values()}
            self.machine.release(job.allocation)
            self._moved = True
            self._advance()
        job.worker = None
        self._on_change()
