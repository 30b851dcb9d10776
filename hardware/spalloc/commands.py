"""The commands of the spalloc protocol, as tables; no sockets.

A command is one line, `{"command": NAME, "args": [...], "kwargs": {...}}`; its answer
`{"return": VALUE}` or `{"exception": "why not"}`. Between answers come, to those who asked for
them, `{"jobs_changed": [ID, ...]}` and `{"machines_changed": [NAME, ...]}`. Names, arguments and
keys are those that spalloc_client 7.4.1 uses; after nonsense the connection stays, as at the
servers that laboratories run now.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .jobs import Job, Jobs, JobState
from .machine import XYZ, Machine
from .places import Places
from .requests import Refused, name, number, read_command, read_request, whole

VERSION: Final = "5.0.0"
"""The clients of sPyNNaker 7.4.1 accept 0.1.0 to below 7.0.0 (spalloc_client)."""
_KEEPALIVE_S: Final = 60.0
"""Of a job that names none (spalloc_client.spalloc_config)."""
_COMMANDS: dict[str, Callable[..., Any]] = {}


class Watch:
    """Which jobs, or machines, a client wants to hear of: some, or all."""

    def __init__(self) -> None:
        self._all = False
        self._some: set[Any] = set()

    def add(self, item: Any) -> None:
        """Hear of one; None means all."""
        self._all |= item is None
        self._some |= {item} - {None}

    def remove(self, item: Any) -> None:
        """Hear of one no more; None means none. Of all but one nobody can hear."""
        if item is None:
            self._all = False
            self._some.clear()
        self._some.discard(item)

    def of(self, changed: Iterable[Any]) -> list[Any]:
        """Give those among the changed that the client wants to hear of."""
        return sorted(item for item in changed if self._all or item in self._some)


@dataclass
class Client:
    """Who asks, by address, and what they want to hear of."""

    host: str
    jobs: Watch = field(default_factory=Watch)
    machines: Watch = field(default_factory=Watch)

    def news(self, jobs: Iterable[int], machines: Iterable[str]) -> bytes:
        """Give the lines to send to this client about what changed."""
        found = {"jobs_changed": self.jobs.of(jobs), "machines_changed": self.machines.of(machines)}
        return b"".join(_line({name: items}) for name, items in found.items() if items)


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a method of `Commands` in the table under its own name."""
    _COMMANDS[function.__name__] = function
    return function


class Commands:
    """Carries out what clients send."""

    def __init__(self, machine: Machine, jobs: Jobs) -> None:
        self._machine = machine
        self._jobs = jobs
        self._places = Places(machine, jobs)

    def answer(self, client: Client, line: bytes) -> bytes:
        """Carry out one line and give the line that answers it; blank ones have no answer."""
        if not line.strip():
            return b""
        try:
            return _line({"return": self._carry_out(client, *read_command(line))})
        except Refused as refused:
            return _line({"exception": str(refused)})

    def _carry_out(self, client: Client, asked: str, args: list, kwargs: dict) -> Any:
        function = _COMMANDS.get(asked)
        if function is None:
            raise Refused(f"unknown command: {asked:.100} (valid: {', '.join(sorted(_COMMANDS))})")
        try:
            call = inspect.signature(function).bind(self, client, *args, **kwargs)
        except TypeError as error:
            raise Refused(f"{asked}: {error}") from error
        return function(*call.args, **call.kwargs)

    # --- jobs -----------------------------------------------------------------------------------

    @command
    def version(self, _client: Client, /) -> str:
        """Tell the version of the protocol."""
        return VERSION

    @command
    def create_job(
        self,
        client: Client,
        /,
        *args: Any,
        owner: Any = None,
        keepalive: Any = _KEEPALIVE_S,
        **kwargs: Any,
    ) -> int:
        """Create a job and give its number."""
        if owner is None:
            raise Refused("owner must be specified for all jobs")
        if keepalive is not None:
            keepalive = number("keepalive", keepalive)
        request = read_request(args, kwargs)
        wording = {"args": list(args), "kwargs": kwargs}
        return self._jobs.create(str(owner), client.host, keepalive, request, **wording)

    @command
    def job_keepalive(self, client: Client, /, job_id: Any) -> None:
        """Keep a job alive, as every command about it does."""
        self._job(client, job_id)

    @command
    def get_job_state(self, client: Client, /, job_id: Any) -> dict[str, Any]:
        """Tell how a job is doing or why it was destroyed."""
        job = self._job(client, job_id)
        known = job_id in self._jobs.retired
        state = job.state if job else JobState.DESTROYED if known else JobState.UNKNOWN
        return {
            "state": int(state),
            "power": job and job.power,
            "keepalive": job and job.keepalive,
            "reason": self._jobs.retired.get(job_id),
            "start_time": job and job.start_time,
            "keepalivehost": job and job.host,
        }

    @command
    def get_job_machine_info(self, client: Client, /, job_id: Any) -> dict[str, Any]:
        """Tell the size in chips and the addresses of a job's machine."""
        job = self._job(client, job_id)
        if job is None or job.boards is None:
            names = ("width", "height", "connections", "machine_name", "boards")
            return dict.fromkeys(names)
        return {
            "width": job.boards.layout.width,
            "height": job.boards.layout.height,
            "connections": list(job.boards.addresses.items()),
            "machine_name": self._machine.name,
            "boards": job.places,
        }

    @command
    def power_on_job_boards(self, client: Client, /, job_id: Any) -> None:
        """Switch a job's boards on, or off and on."""
        self._set_power(client, job_id, True)

    @command
    def power_off_job_boards(self, client: Client, /, job_id: Any) -> None:
        """Switch a job's boards off."""
        self._set_power(client, job_id, False)

    @command
    def destroy_job(self, client: Client, /, job_id: Any, reason: Any = None) -> None:
        """End a job."""
        self._job(client, job_id)
        self._jobs.destroy(job_id, None if reason is None else str(reason))

    @command
    def list_jobs(self, _client: Client, /) -> list[dict[str, Any]]:
        """Tell of all jobs that have not been destroyed, the oldest first."""
        return [
            {
                "job_id": job.id,
                "owner": job.owner,
                "start_time": job.start_time,
                "keepalive": job.keepalive,
                "state": int(job.state),
                "power": job.power,
                "args": job.args,
                "kwargs": job.kwargs,
                "allocated_machine_name": self._machine.name if job.boards else None,
                "boards": job.places,
                "keepalivehost": job.host,
            }
            for job in self._jobs.live.values()
        ]

    def _job(self, client: Client, job_id: Any) -> Job | None:
        return self._jobs.hear(whole("job_id", job_id), client.host)

    def _set_power(self, client: Client, job_id: Any, power: bool) -> None:
        job = self._job(client, job_id)
        if job is not None:
            self._jobs.set_power(job, power)

    # --- notifications --------------------------------------------------------------------------

    @command
    def notify_job(self, client: Client, /, job_id: Any = None) -> None:
        """Tell of changes of a job, or of all."""
        client.jobs.add(job_id if job_id is None else whole("job_id", job_id))

    @command
    def no_notify_job(self, client: Client, /, job_id: Any = None) -> None:
        """Tell no more of a job, or of any."""
        client.jobs.remove(job_id if job_id is None else whole("job_id", job_id))

    @command
    def notify_machine(self, client: Client, /, machine_name: Any = None) -> None:
        """Tell of changes of a machine, or of all."""
        client.machines.add(name("machine_name", machine_name))

    @command
    def no_notify_machine(self, client: Client, /, machine_name: Any = None) -> None:
        """Tell no more of a machine, or of any."""
        client.machines.remove(name("machine_name", machine_name))

    # --- the machine ----------------------------------------------------------------------------

    @command
    def list_machines(self, _client: Client, /) -> list[dict[str, Any]]:
        """Tell of the machine and its size in triads."""
        machine = self._machine
        return [
            {
                "name": machine.name,
                "tags": machine.tags,
                "width": machine.width,
                "height": machine.height,
                "dead_boards": machine.dead,
                "dead_links": [],
            }
        ]

    @command
    def get_board_position(
        self, _client: Client, /, machine_name: Any, x: Any, y: Any, z: Any
    ) -> XYZ | None:
        """Tell the cabinet, frame and board of a logical place."""
        board = whole("x", x), whole("y", y), whole("z", z)
        return self._machine.physical(board) if machine_name == self._machine.name else None

    @command
    def get_board_at_position(
        self, _client: Client, /, machine_name: Any, x: Any, y: Any, z: Any
    ) -> XYZ | None:
        """Tell the logical place of a cabinet x, frame y and board z."""
        board = whole("x", x), whole("y", y), whole("z", z)
        return self._machine.logical(board) if machine_name == self._machine.name else None

    @command
    def where_is(self, _client: Client, /, **kwargs: Any) -> dict[str, Any] | None:
        """Tell all places of a board, or of a chip of the machine or of a job."""
        return self._places.find(kwargs)
