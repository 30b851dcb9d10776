"""The spalloc server: its protocol, the life of jobs, its users' tools, sPyNNaker through it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from spikingconvnet.hardware import client as client_module
from spikingconvnet.hardware.client import SoftwareBoard, ask_version
from spikingconvnet.hardware.errors import HardwareError
from spikingconvnet.hardware.spalloc import SpallocServer
from spikingconvnet.hardware.spalloc import server as sockets

from spikingconvnet import backends
from spikingconvnet.backends import boards as boards_module
from spikingconvnet.errors import BoardUnreachable, UsageError

QUEUED, POWER, READY, DESTROYED = 1, 2, 3, 4
ROOT = Path(client_module.__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
TRIAD = [[0, 0, 0], [0, 0, 1], [0, 0, 2]]


@pytest.fixture
def server():
    """Give a server of four triads."""
    with SpallocServer(boards=12, booted=True) as running:
        yield running


def connect(server):
    """Give a client of the toolchain's own."""
    from spalloc_client import ProtocolClient

    return ProtocolClient(server.address, server.port, timeout=10.0)


@pytest.fixture
def spalloc(server):
    with connect(server) as client:
        yield client


def create(client, *args, **kwargs):
    return client.create_job(10.0, *args, owner="me", **kwargs)


def wait_for(client, job_id, state):
    """Wait until a job is in a state; give the states seen on the way."""
    client.notify_job(job_id, timeout=10.0)
    seen = []
    while not seen or seen[-1] != state:
        now = client.get_job_state(job_id, timeout=10.0)
        seen.append(now["state"])
        if seen[-1] != state:
            assert seen[-1] != DESTROYED, now["reason"]
            client.wait_for_notification(20.0)
    client.no_notify_job(job_id, timeout=10.0)
    return seen


def addresses(client, job_id):
    return [a for _, a in client.get_job_machine_info(job_id, timeout=10.0)["connections"]]


def gone(address):
    """Tell whether nobody listens there any more, waiting a little for it."""
    for _ in range(100):
        try:
            ask_version(address, 0.2)
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


# --- the protocol -------------------------------------------------------------------------------


def say(server, *lines):
    """Send lines, one after the other; give what comes back."""
    with socket.create_connection((server.address, server.port), timeout=10) as sock:
        stream = sock.makefile("rwb")
        answers = []
        for line in lines:
            stream.write(line + b"\n")
            stream.flush()
            answers.append(json.loads(stream.readline()))
        return answers


def asking(name, *args, **kwargs):
    return json.dumps({"command": name, "args": args, "kwargs": kwargs}).encode()


REFUSED = {
    b"nonsense": "not JSON",
    b"\xff\xfe": "not JSON",
    b"[" * 5000: "not JSON",
    b"[]": "list (must be an object with a command)",
    b"{}": "command: None (must be a str)",
    b'{"command": 5}': "command: 5 (must be a str)",
    b'{"command": "version", "args": {}}': "args: {} (must be a list)",
    b'{"command": "version", "kwargs": []}': "kwargs: [] (must be a dict)",
    asking("login"): "unknown command: login (valid: create_job, ",
    asking("answer"): "unknown command: answer",
    asking("version", 1): "version: too many positional arguments",
    asking("get_job_state"): "get_job_state: missing a required argument: 'job_id'",
    asking("get_job_state", "1"): "job_id: '1' (must be a whole number)",
    asking("get_job_state", True): "job_id: True (must be a whole number)",
    asking("get_job_state", [1]): "job_id: [1] (must be a whole number)",
    asking("job_keepalive", 1, client=2): "job_keepalive: got an unexpected keyword argument",
    asking("create_job"): "owner must be specified for all jobs",
    asking("create_job", 1, 2, 3, 4, owner="me"): "create_job: 4 numbers (must be 0 to 3)",
    asking("create_job", 1.5, owner="me"): "create_job: 1.5 (must be a whole number)",
    asking("create_job", owner="me", colour="red"): "create_job: colour (valid: machine, ",
    asking("create_job", owner="me", keepalive=-1): "keepalive: -1 (must be a number, 0 to",
    asking("create_job", owner="me", keepalive="x"): "keepalive: 'x' (must be a number, 0 to",
    asking("create_job", owner="me", keepalive=float("nan")): "keepalive: nan (must be a number",
    asking("create_job", owner="me", keepalive=float("inf")): "keepalive: inf (must be a number",
    asking("create_job", owner="me", min_ratio=-0.5): "min_ratio: -0.5 (must be a number",
    asking("create_job", owner="me", tags="default"): "tags: 'default' (must be a list of names)",
    asking("create_job", owner="me", tags=[1]): "tags: [1] (must be a list of names)",
    asking("create_job", owner="me", machine=3): "machine: 3 (must be a name)",
    asking("create_job", owner="me", require_torus=1): "require_torus: 1 (must be true or false)",
    asking("create_job", owner="me", machine="m", tags=["a"]): "only one of them can be given",
    asking("where_is"): "where_is: nothing (valid: board, cabinet, frame, machine; ",
    asking("where_is", machine="software", x=1): "where_is: machine, x (valid: ",
    asking("where_is", machine="software", chip_x=1, chip_y="2"): "chip_y: '2' (must be a whole",
    asking("notify_machine", 3): "machine_name: 3 (must be a name)",
}


def test_nonsense_is_refused_and_the_connection_stays(server):
    *answers, last = say(server, *REFUSED, asking("version"))
    for (line, reason), answer in zip(REFUSED.items(), answers, strict=True):
        assert list(answer) == ["exception"], line
        assert reason in answer["exception"], line
    assert last == {"return": "5.0.0"}


NOBODY = {"job_id": None, "job_chip": None, "machine": "software"}
ANSWERS = [
    (asking("version"), "5.0.0"),
    (
        asking("list_machines"),
        [
            {
                "name": "software",
                "tags": ["default", "software"],
                "width": 2,
                "height": 2,
                "dead_boards": [],
                "dead_links": [],
            }
        ],
    ),
    (asking("list_jobs"), []),
    (asking("get_board_position", "software", 1, 0, 2), [0, 0, 5]),
    (asking("get_board_position", "software", 2, 0, 2), None),
    (asking("get_board_position", machine_name="other", x=1, y=0, z=2), None),
    (asking("get_board_at_position", machine_name="software", x=0, y=0, z=5), [1, 0, 2]),
    (asking("get_board_at_position", "software", 0, 1, 5), None),
    (
        asking("where_is", machine="software", x=1, y=0, z=2),
        {"logical": [1, 0, 2], "physical": [0, 0, 5], "chip": [16, 8], "board_chip": [0, 0]}
        | NOBODY,
    ),
    (
        asking("where_is", machine="software", cabinet=0, frame=0, board=4),
        {"logical": [1, 0, 1], "physical": [0, 0, 4], "chip": [20, 4], "board_chip": [0, 0]}
        | NOBODY,
    ),
    (
        asking("where_is", machine="software", chip_x=25, chip_y=-1),
        {"logical": [1, 1, 1], "physical": [0, 0, 10], "chip": [1, 23], "board_chip": [5, 7]}
        | NOBODY,
    ),
    (asking("where_is", machine="other", chip_x=1, chip_y=1), None),
    (asking("where_is", machine="software", x=0, y=0, z=3), None),
    (asking("where_is", job_id=1, chip_x=0, chip_y=0), None),
    *((asking(name, 77), None) for name in ("job_keepalive", "power_on_job_boards", "destroy_job")),
    (
        asking("get_job_state", 77),
        {"state": 0}
        | dict.fromkeys(("power", "keepalive", "reason", "start_time", "keepalivehost")),
    ),
    (
        asking("get_job_machine_info", 77),
        dict.fromkeys(("width", "height", "connections", "machine_name", "boards")),
    ),
]


def test_questions_and_answers(server):
    answers = say(server, *(line for line, _ in ANSWERS))
    for (line, expected), answer in zip(ANSWERS, answers, strict=True):
        assert answer == {"return": expected}, line


def test_a_line_without_an_end_is_cut_off(server):
    with socket.create_connection((server.address, server.port), timeout=10) as sock:
        sock.sendall(b"x" * 100_000)
        stream = sock.makefile("rb")
        assert b"line: more than 65536 bytes" in stream.readline()
        assert stream.readline() == b""
    assert say(server, asking("version")) == [{"return": "5.0.0"}]


def test_who_does_not_read_answers_is_not_served_and_others_are(server, spalloc):
    flood = (asking("list_machines") + b"\n") * 400
    with socket.create_connection((server.address, server.port), timeout=0.5) as deaf:
        with pytest.raises(TimeoutError):
            for _ in range(3000):
                deaf.sendall(flood)
        assert spalloc.version(timeout=10.0) == "5.0.0"


def test_who_does_not_read_news_is_cut_off(monkeypatch):
    monkeypatch.setattr(sockets, "_MOST_UNREAD", 4096)
    with SpallocServer(boards=1) as server, socket.socket() as deaf, connect(server) as spalloc:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((server.address, server.port))
        deaf.sendall(asking("notify_job") + b"\n")
        for _ in range(3000):
            create(spalloc, 2)  # more than there are: destroyed, which is news
        deaf.settimeout(10)
        read = b""
        with deaf.makefile("rb") as stream, contextlib.suppress(ConnectionResetError):
            for line in stream:
                read += line
        assert 0 < len(read) < 3000 * len('{"jobs_changed": [1]}\n')


def test_random_commands_neither_end_the_server_nor_touch_others_jobs(server, spalloc):
    job = create(spalloc, keepalive=None)
    wait_for(spalloc, job, READY)
    rng = random.Random(5)
    names = ["get_job_machine_info", "notify_job", "no_notify_job", "where_is", "create_job", "x"]
    names += ["list_jobs", "no_notify_machine", "get_board_position", "job_keepalive"]
    values = [None, 0, -1, 10**30, 1.5, "", "me", [], {}, True, float("nan"), "\ud800", 99]
    keys = ["machine", "x", "y", "z", "owner", "chip_x", "chip_y", "self", "client", "keepalive"]
    with socket.create_connection((server.address, server.port), timeout=10) as sock:
        stream = sock.makefile("rwb")
        for _ in range(400):
            args = [rng.choice(values) for _ in range(rng.randrange(5))]
            kwargs = {rng.choice(keys): rng.choice(values) for _ in range(rng.randrange(4))}
            if kwargs.get("owner") is not None and "keepalive" not in kwargs:
                kwargs["keepalive"] = 0.0  # what is granted by chance shall not last
            line = asking(rng.choice(names), *args, **kwargs)
            if rng.random() < 0.3:
                line = bytes(rng.choice(line) for _ in line).replace(b"\n", b"")
            stream.write(line + b"\n")
            stream.flush()
            while True:
                answer = json.loads(stream.readline())
                if answer.keys() & {"return", "exception"}:
                    break
    assert spalloc.get_job_state(job, timeout=10.0)["state"] == READY
    assert ask_version(addresses(spalloc, job)[0], 5.0) is not None


# --- the life of a job --------------------------------------------------------------------------


def test_a_job_waits_for_boards_and_gives_them_back():
    with (
        SpallocServer(boards=1, booted=True) as server,
        connect(server) as spalloc,
        connect(server) as watcher,
    ):
        watcher.notify_machine(timeout=10.0)
        first = create(spalloc, keepalive=60.0)
        seen = wait_for(spalloc, first, READY)
        assert seen[-2:] in ([POWER, READY], [READY])
        assert watcher.wait_for_notification(10.0) == {"machines_changed": ["software"]}
        [address] = addresses(spalloc, first)
        assert ask_version(address, 5.0) is not None

        second, third = create(spalloc), create(spalloc)
        states = [spalloc.get_job_state(job, timeout=10.0) for job in (first, second, third)]
        assert [state["state"] for state in states] == [READY, QUEUED, QUEUED]
        assert [state["power"] for state in states] == [True, None, None]
        assert states[0]["keepalive"] == 60.0 and states[0]["keepalivehost"] == "127.0.0.1"
        assert abs(states[0]["start_time"] - time.time()) < 600
        assert spalloc.get_job_machine_info(second, timeout=10.0)["boards"] is None

        spalloc.destroy_job(third, "changed my mind", timeout=10.0)
        spalloc.destroy_job(first, "done", timeout=10.0)
        assert wait_for(spalloc, second, READY)[-1] == READY
        ends = [spalloc.get_job_state(job, timeout=10.0) for job in (first, third)]
        assert [end["state"] for end in ends] == [DESTROYED] * 2
        assert [end["reason"] for end in ends] == ["done", "Cancelled: changed my mind"]
        assert [job["job_id"] for job in spalloc.list_jobs(timeout=10.0)] == [second]
        [address] = addresses(spalloc, second)
    assert gone(address)


def test_those_who_asked_are_told(server, spalloc):
    with connect(server) as all_jobs, connect(server) as no_jobs:
        all_jobs.notify_job(timeout=10.0)
        no_jobs.notify_job(timeout=10.0)
        no_jobs.no_notify_job(timeout=10.0)
        job = create(spalloc, 37)  # more than there are
        assert all_jobs.wait_for_notification(10.0) == {"jobs_changed": [job]}
        state = spalloc.get_job_state(job, timeout=10.0)
        assert state["reason"] == "Cancelled: No suitable machines available."
        assert no_jobs.version(timeout=10.0) == "5.0.0"
        assert no_jobs.wait_for_notification(-1) is None


def test_a_job_that_nobody_keeps_alive_ends_and_others_do_not(server, spalloc):
    kept, forgotten = create(spalloc, keepalive=60.0), create(spalloc, keepalive=1.0)
    [address] = addresses(spalloc, forgotten)
    wait_for(spalloc, kept, READY)
    # To list jobs keeps none alive.
    while any(job["job_id"] == forgotten for job in spalloc.list_jobs(timeout=10.0)):
        time.sleep(0.05)
    state = spalloc.get_job_state(forgotten, timeout=10.0)
    assert (state["state"], state["reason"]) == (DESTROYED, "Job timed out.")
    assert gone(address)
    assert spalloc.get_job_state(kept, timeout=10.0)["state"] == READY
    assert ask_version(addresses(spalloc, kept)[0], 5.0) is not None


def test_power_off_is_silence_and_power_on_a_new_board():
    with SpallocServer(boards=1) as server, connect(server) as spalloc:
        job = create(spalloc)
        wait_for(spalloc, job, READY)
        [address] = addresses(spalloc, job)
        assert ask_version(address, 0.6) is None  # not booted yet
        spalloc.power_off_job_boards(job, timeout=10.0)
        wait_for(spalloc, job, READY)
        assert spalloc.get_job_state(job, timeout=10.0)["power"] is False
        assert ask_version(address, 0.6) is None
        spalloc.power_on_job_boards(job, timeout=10.0)
        spalloc.power_on_job_boards(job, timeout=10.0)
        wait_for(spalloc, job, READY)
        assert spalloc.get_job_state(job, timeout=10.0)["power"] is True
        assert addresses(spalloc, job) == [address]


def test_a_board_that_dies_ends_its_job_and_no_other(server, spalloc, monkeypatch):
    started = []
    start = SoftwareBoard.start
    monkeypatch.setattr(SoftwareBoard, "start", lambda board: started.append(start(board)))
    victim, other = create(spalloc), create(spalloc)
    for job in (victim, other):
        wait_for(spalloc, job, READY)
    [address] = addresses(spalloc, victim)
    [pid] = [board.pid for board in started if board.address == address]
    os.kill(pid, signal.SIGKILL)
    wait_for(spalloc, victim, DESTROYED)
    reason = spalloc.get_job_state(victim, timeout=10.0)["reason"]
    assert "the software board has ended (killed by signal 9)" in reason
    assert spalloc.get_job_state(other, timeout=10.0)["state"] == READY


def test_a_board_that_does_not_start_is_a_reason(spalloc, monkeypatch):
    def fail(_board):
        raise HardwareError("no luck")

    monkeypatch.setattr(SoftwareBoard, "start", fail)
    job = create(spalloc)
    wait_for(spalloc, job, DESTROYED)
    reason = spalloc.get_job_state(job, timeout=10.0)["reason"]
    assert reason == "Machine configuration failed. Error: no luck"
    monkeypatch.undo()
    wait_for(spalloc, create(spalloc, 12), READY)  # all boards are free again


def test_many_jobs_at_once_have_boards_of_their_own():
    with SpallocServer(boards=12, booted=True) as server, connect(server) as spalloc:
        jobs = [create(spalloc) for _ in range(4)] + [create(spalloc, 3)]
        for job in jobs:
            spalloc.power_on_job_boards(job, timeout=10.0)
        for job in jobs:
            wait_for(spalloc, job, READY)
        found = [address for job in jobs for address in addresses(spalloc, job)]
        assert len(set(found)) == 7
        assert all(ask_version(address, 5.0) is not None for address in found)


def test_three_boards_with_and_without_wraps(spalloc):
    triad = create(spalloc, 2)
    wait_for(spalloc, triad, READY)
    info = spalloc.get_job_machine_info(triad, timeout=10.0)
    assert (info["width"], info["height"], info["machine_name"]) == (16, 16, "software")
    assert info["boards"] == TRIAD
    assert [xy for xy, _ in info["connections"]] == [[0, 0], [4, 8], [8, 4]]
    for _, address in info["connections"]:
        assert ask_version(address, 5.0) is not None
    # A chip of the ragged edge, and one beyond it.
    place = spalloc.where_is(triad, 13, 9, timeout=10.0)
    assert (place["logical"], place["board_chip"]) == ([0, 0, 1], [5, 5])
    assert (place["job_id"], place["job_chip"]) == (triad, [13, 9])
    assert spalloc.where_is(triad, 12, 12, timeout=10.0) is None

    with SpallocServer(boards=3, booted=True) as small, connect(small) as client:
        torus = create(client, 3, require_torus=True)
        wait_for(client, torus, READY)
        info = client.get_job_machine_info(torus, timeout=10.0)
        assert (info["width"], info["height"]) == (12, 12)


# --- its users' tools ---------------------------------------------------------------------------


def tool(server, name, *words):
    """Run a command-line tool of the toolchain; give its exit status and what it printed."""
    where = ["--hostname", server.address, "--port", str(server.port)]
    command = [str(TOOLS / name), *where, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_tools_work(server, spalloc):
    job = create(spalloc, 3)
    wait_for(spalloc, job, READY)
    first, *_ = addresses(spalloc, job)
    for *words, expected in [
        ("spalloc-ps", "ready  on          3  software"),
        ("spalloc-job", str(job), f"Hostname: {first}"),
        ("spalloc-job", "-o", "me", "--ethernet-ips", f"0,0,{first}"),
        ("spalloc-machine", "software          12       3     1"),
        ("spalloc-machine", "software", "--detailed", "In-use: 3 of 12"),
        ("spalloc-where-is", "--job-chip", str(job), "9", "5", "Board coordinate: (0, 0, 1)"),
        ("spalloc-job", str(job), "--power-off", ""),
        ("spalloc-job", str(job), "Board power: off"),
        ("spalloc-job", str(job), "--reset", ""),
        ("spalloc-job", str(job), "--destroy", "why", ""),
        ("spalloc-job", str(job), "Reason: why"),
    ]:
        code, printed = tool(server, *words)
        assert code == 0 and expected in printed, printed
    code, printed = tool(server, "spalloc", "--owner", "me", "1", "1", "-c", "echo", "{} {w}x{h}")
    assert code == 0 and " 16x16" in printed and "Ready!" in printed, printed


@contextlib.contextmanager
def program(*options):
    """Run the server as a program of its own."""
    running = subprocess.Popen(
        [sys.executable, "-m", "spikingconvnet.hardware.spalloc", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_the_program_serves_until_it_is_told_to_stop():
    with program("--port=0", "--boards=3", "--booted") as running:
        lines = [running.stdout.readline().strip() for _ in range(5)]
        assert lines[0] == "[Machine]" and lines[4] == "version = 5"
        values = [line.partition(" = ")[2] for line in lines]
        with connect(SimpleNamespace(address=values[1], port=int(values[2]))) as client:
            job = create(client)
            wait_for(client, job, READY)
            [address] = addresses(client, job)
            running.terminate()
            assert running.wait(30) == 0
    assert gone(address)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--boards=0", r"boards: 0 (must be at least 1)"),
        ("--boards=9999", "must be at most 20 triads"),
        ("--port={taken}", "cannot listen"),
        ("--port=70000", "cannot listen"),
        ("--address=192.0.2.1", "cannot listen"),
    ],
)
def test_a_server_that_cannot_be(server, option, message):
    with program(option.format(taken=server.port)) as running:
        printed, said = running.communicate(timeout=30)
        assert (running.returncode, printed) == (2, "")
    assert message in said and len(said.splitlines()) == 1


# --- sPyNNaker ----------------------------------------------------------------------------------


def through(server):
    """Give the [Machine] section that leads to a server, over one for a machine's name."""
    lines = server.configuration().splitlines()[1:]
    return {"Machine": {"machine_name": None} | dict(line.split(" = ") for line in lines)}


def spikes_of(sim, chips):
    """Run two populations kept on two chips; give their spikes."""
    sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 16)
    first = sim.Population(32, sim.IF_curr_exp(i_offset=1.5, tau_refrac=2.0))
    second = sim.Population(32, sim.IF_curr_exp(i_offset=0.5))
    for population, (x, y) in zip((first, second), chips, strict=True):
        population.add_placement_constraint(x, y)
        population.record("spikes")
    rows = [(i, (7 * i + 3) % 32, 2.0 + i / 16, 1 + i % 7) for i in range(32)]
    sim.Projection(first, second, sim.FromListConnector(rows))
    sim.run(50)
    trains = [p.get_data().segments[0].spiketrains for p in (first, second)]
    return [[[float(t) for t in train.magnitude] for train in part] for part in trains]


@pytest.mark.parametrize(("boards", "chips"), [(1, ((1, 1), (2, 2))), (3, ((7, 9), (9, 5)))])
def test_a_script_does_the_same_through_spalloc_and_by_name(
    server, spalloc, spynnaker_on, boards, chips
):
    other = create(spalloc)
    nowhere = SimpleNamespace(address=None, version=5)
    with spynnaker_on(nowhere, options=through(server), n_boards_required=boards) as sim:
        from spynnaker.pyNN.data import SpynnakerDataView

        lent = spikes_of(sim, chips)
        [mine] = [job for job in spalloc.list_jobs(timeout=10.0) if job["job_id"] != other]
        machine = SpynnakerDataView.get_machine()
        assert (machine.n_chips, len(mine["boards"])) == (48 * boards, boards)
        chips_of = {(c.x, c.y): c.ip_address for c in machine.ethernet_connected_chips}
        info = spalloc.get_job_machine_info(mine["job_id"], timeout=10.0)
        assert chips_of == {tuple(xy): address for xy, address in info["connections"]}
    assert spalloc.get_job_state(mine["job_id"], timeout=10.0)["state"] == DESTROYED
    assert spalloc.get_job_state(other, timeout=10.0)["state"] == READY
    with SoftwareBoard(version=5, boards=boards) as board, spynnaker_on(board) as sim:
        named = spikes_of(sim, chips)
    assert all(sum(map(len, part)) > 32 for part in lent)
    assert lent == named


@pytest.mark.long
def test_a_script_boots_what_it_is_lent(spynnaker_on):
    with SpallocServer(boards=3) as server:
        nowhere = SimpleNamespace(address=None, version=5)
        with spynnaker_on(nowhere, options=through(server), n_boards_required=3) as sim:
            assert sum(map(len, spikes_of(sim, ((7, 9), (9, 5)))[1])) > 32


def test_the_backend_of_that_name_borrows_a_board(server, spalloc, tmp_path):
    name = f"spalloc:{server.address}:{server.port}"
    with backends.load(name, folder=tmp_path) as backend:
        assert backend.origin == f"spalloc {name[8:]} (software boards, ideal timing)"
        backend.sim.setup(1.0)
        cells = backend.sim.Population(4, backend.sim.IF_curr_exp(i_offset=2.0))
        cells.record("spikes")
        backend.sim.run(40)
        assert all(len(train) > 1 for train in cells.get_data().segments[0].spiketrains)
        assert [job["boards"] for job in spalloc.list_jobs(timeout=10.0)] == [[[0, 0, 0]]]
    assert spalloc.list_jobs(timeout=10.0) == []


def test_what_the_backend_says_when_there_is_no_board(server, tmp_path, monkeypatch):
    monkeypatch.setattr(boards_module, "CONNECT_S", 0.5)
    with pytest.raises(UsageError, match=r"--board-version: 3 \(a spalloc server lends version 5"):
        backends.load("spalloc:host", version=3, folder=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with (
            pytest.raises(BoardUnreachable, match=f"TCP port {port}, is no spalloc server"),
            backends.load(f"spalloc:127.0.0.1:{port}", folder=tmp_path),
        ):
            pass
    name = f"spalloc:{server.address}:{server.port}"
    with (
        pytest.raises(BoardUnreachable, match="lends no board: Cancelled: No suitable machines"),
        backends.load(name, folder=tmp_path) as backend,
    ):
        backend.sim.setup(1.0, n_boards_required=99)
        backend.sim.Population(4, backend.sim.IF_curr_exp())
        backend.sim.run(10)
