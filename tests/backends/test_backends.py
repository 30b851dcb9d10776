import os
import signal
import socket
import struct
import threading
import time
from contextlib import contextmanager
from importlib import metadata

import pytest
from spikingconvnet.hardware.spalloc import SpallocServer

from spikingconvnet import backends
from spikingconvnet.backends import base, boards, probe
from spikingconvnet.errors import BoardError, BoardUnreachable, DependencyError, UsageError


@contextmanager
def answering(answer):
    """Run a UDP server on loopback; `answer` takes a request and gives a reply or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    request, sender = server.recvfrom(1024)
                except TimeoutError:
                    continue
                reply = answer(request)
                if reply is not None:
                    server.sendto(reply, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


def monitor(name=b"SC&MP/SpiNNaker", size=(8, 8), code=0x80):
    """Answer as a board does: the version to VER, the dimensions to READ."""

    def answer(request):
        header = bytes([0, 0, 0x07, 0xFF, request[5], request[4]]) + request[8:10] + request[6:8]
        command, sequence = struct.unpack_from("<HH", request, 10)
        head = header + struct.pack("<HH", code, sequence)
        if command == 0:
            return head + struct.pack("<3I", 0, 0xFFFF0100, 0) + name + b"\0004.0.0\0"
        return head + bytes(size)

    return answer


@pytest.fixture
def impatient(monkeypatch):
    """Spare tests the waiting for answers that do not come."""
    monkeypatch.setattr(probe, "ANSWER_S", 0.1)


@pytest.mark.parametrize(
    ("name", "kind", "origin"),
    [
        ("virtual", backends.VirtualBackend, "virtual machine (no data)"),
        ("software", backends.SoftwareBackend, "software board (SpiNN-5, ideal timing)"),
        ("board.example", boards.HostBackend, "board board.example"),
        ("127.0.0.2", boards.HostBackend, "board 127.0.0.2"),
        ("spalloc:server:22245", boards.SpallocBackend, "spalloc server:22245"),
    ],
)
def test_a_name_gives_a_backend_that_says_what_it_is(tmp_path, name, kind, origin):
    backend = backends.load(name, version=5, folder=tmp_path)
    assert type(backend) is kind and backend.origin == origin
    assert backend.has_data == (name != "virtual")


@pytest.mark.parametrize("name", ["", "a b", "127.0.0.1", "spalloc:", "http://host", "foo:bar"])
def test_names_that_are_no_board(tmp_path, name):
    with pytest.raises(UsageError, match="--board"):
        backends.load(name, folder=tmp_path)


def test_an_unknown_version(tmp_path):
    with pytest.raises(UsageError, match=r"--board-version: 4 \(valid: 3, 5\)"):
        backends.load("virtual", version=4, folder=tmp_path)


def test_the_simulator_is_there_only_while_the_backend_runs(tmp_path):
    backend = backends.load("virtual", folder=tmp_path)
    with pytest.raises(BoardError, match="used before it was started"):
        _ = backend.sim


def test_a_board_is_identified():
    with answering(monitor(size=(12, 24))) as port:
        assert probe.identify("127.0.0.1", port) == probe.Identity("SC&MP/SpiNNaker", 24, 12)


def test_a_name_that_does_not_resolve():
    with pytest.raises(BoardUnreachable, match=r"board no\.such\.invalid: name does not resolve"):
        probe.identify("no.such.invalid")


def test_a_computer_without_a_board():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
    with pytest.raises(BoardUnreachable, match="a computer is there, but nothing listens"):
        probe.identify("127.0.0.1", port)


def test_a_board_management_processor_is_not_a_board():
    with (
        answering(monitor(name=b"BC&MP/Spin5-BMP")) as port,
        pytest.raises(BoardUnreachable, match=r"answers as 'BC&MP/Spin5-BMP' \(must be SC&MP\)"),
    ):
        probe.identify("127.0.0.1", port)


@pytest.mark.parametrize("answer", [lambda _: None, lambda _: b"x", monitor(code=0x85)])
def test_no_sensible_answer_means_a_board_that_may_need_booting(impatient, answer):
    with answering(answer) as port:
        assert probe.identify("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("size", "version", "hint"),
    [((2, 2), 5, "try --board-version 3"), ((8, 8), 3, "try --board-version 5")],
)
def test_the_wrong_version(tmp_path, monkeypatch, size, version, hint):
    monkeypatch.setattr(probe, "identify", lambda _: probe.Identity("SC&MP", *size))
    backend = backends.load("host", version=version, folder=tmp_path)
    with pytest.raises(BoardUnreachable, match=hint), backend:
        pass


def test_a_silent_board_is_named_as_such(tmp_path, monkeypatch):
    from spinnman.exceptions import SpinnmanBootException, SpinnmanIOException

    monkeypatch.setattr(probe, "identify", lambda _: None)
    for failure in (SpinnmanBootException(), SpinnmanIOException("gone")):
        with (
            pytest.raises(BoardUnreachable, match=r"board host: silent .* check its power"),
            backends.load("host", version=5, folder=tmp_path),
        ):
            raise failure


def test_a_board_that_stops_answering(tmp_path, monkeypatch):
    from spinnman.exceptions import (
        SpinnmanGenericProcessException,
        SpinnmanIOException,
        SpinnmanTimeoutException,
    )

    monkeypatch.setattr(probe, "identify", lambda _: probe.Identity("SC&MP", 8, 8))
    late = SpinnmanTimeoutException("CMD_WRITE", 1.0)
    wrapped = SpinnmanGenericProcessException(late, None, 0, 0, 1, "")
    for failure, words in (
        (SpinnmanIOException("gone"), "IO Error: gone"),
        (wrapped, "Operation CMD_WRITE timed out after 1.0 seconds"),
    ):
        with (
            pytest.raises(BoardUnreachable) as told,
            backends.load("host", version=5, folder=tmp_path),
        ):
            raise failure
        assert str(told.value) == (
            f"board host: stopped answering ({words}); power-cycle it and try again"
        )


@pytest.mark.parametrize("server", ["127.0.0.1:{port}", "http://127.0.0.1:{port}/x"])
def test_a_spalloc_server_that_is_not_there(tmp_path, server):
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
    name = f"spalloc:{server.format(port=port)}"
    with (
        pytest.raises(BoardUnreachable, match=f"no server answers at 127.0.0.1, TCP port {port}"),
        backends.load(name, folder=tmp_path),
    ):
        pass


def test_spalloc_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SPALLOC_USER", "me")
    with SpallocServer() as server:
        port = server.port
        old = backends.load(f"spalloc:127.0.0.1:{port}", folder=tmp_path).start(None)
        new = backends.load(f"spalloc:http://127.0.0.1:{port}", folder=tmp_path).start(None)
    assert old["spalloc_server"] == "127.0.0.1" and old["spalloc_port"] == str(port)
    assert old["spalloc_user"] == "me" and old["version"] == "5"
    assert new["spalloc_server"] == f"http://127.0.0.1:{port}"


def test_the_interrupt_key_stays_with_the_program(virtual_backend):
    before = signal.getsignal(signal.SIGINT)
    sim = virtual_backend.sim
    sim.setup(1.0)
    sim.Population(2, sim.IF_curr_exp())
    sim.run(5.0)
    assert signal.getsignal(signal.SIGINT) is before
    sim.end()


def test_reports_go_to_a_scratch_folder_that_is_removed(tmp_path):
    with base._scratch_folder(tmp_path) as folder:
        assert folder.is_dir() and str(os.getpid()) in folder.name
    assert not folder.exists()


def test_scratch_folders_of_dead_processes_are_removed(tmp_path):
    dead, living = tmp_path / "spikingconvnet-4194305-a", tmp_path / "spikingconvnet-1-b"
    dead.mkdir()
    living.mkdir()
    base._remove_leftovers(tmp_path)
    assert not dead.exists() and living.exists()


def test_a_backend_ends_the_simulator_of_a_run_that_failed(tmp_path):
    from spynnaker.pyNN.data import SpynnakerDataView

    with (
        pytest.raises(ZeroDivisionError),
        backends.load("virtual", folder=tmp_path) as backend,
    ):
        backend.sim.setup(1.0)
        raise ZeroDivisionError
    assert not SpynnakerDataView.is_setup()


def test_a_board_that_is_killed_is_one_error_and_soon(tmp_path):
    """The main thread waits for something else meanwhile, as the toolchain would."""
    started = time.monotonic()
    with (
        pytest.raises(BoardError, match="the software board has ended"),
        backends.load("software", version=3, folder=tmp_path) as backend,
    ):
        os.kill(backend.board.pid, signal.SIGKILL)
        threading.Event().wait(60)
    assert time.monotonic() - started < 30


def test_a_board_is_served_to_other_programs(tmp_path):
    with backends.serve(version=3, log=tmp_path / "log") as served:
        assert f"machine_name = {served.board.address}" in served.configuration
        assert "version = 3" in served.configuration
        assert "IF_curr_exp_stdp_mad_pair_additive" in served.binaries.values()
        identity = probe.identify(served.board.address)
    assert identity is not None and (identity.width, identity.height) == (2, 2)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"boards": 2}, UsageError, r"boards: 2 \(must be"),
        ({"address": "127.0.0.1"}, UsageError, r"address: '127.0.0.1' \(must be"),
        ({"dead": "/no/such/file"}, UsageError, "/no/such/file: No such file"),
    ],
)
def test_a_board_that_cannot_be_served_is_an_error_of_ours(options, kind, message):
    with pytest.raises(kind, match=message), backends.serve(**options):
        raise AssertionError


@pytest.mark.parametrize("name", ["virtual", "software"])
def test_a_foreign_toolchain_is_told_before_anything_starts(name, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _name: "1!6.0.1")
    message = r"sPyNNaker: version 1!6.0.1 \(must be 7.4: pip install 'sPyNNaker == 1!7.4.\*'\)"
    with (
        pytest.raises(DependencyError, match=message) as caught,
        backends.load(name, version=3, folder=tmp_path),
    ):
        raise AssertionError
    assert caught.value.exit_code == 2
