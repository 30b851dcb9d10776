"""The process that is a board: how it starts, what happens when it dies or hangs, how it ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spikingconvnet.hardware import addresses, client, server
from spikingconvnet.hardware.client import SoftwareBoard, ask_version
from spikingconvnet.hardware.constants import SCP_PORT
from spikingconvnet.hardware.errors import BadAddress, BoardDied, UnknownBoard

ROOT = Path(client.__file__).resolve().parent.parent


@pytest.fixture
def board():
    with SoftwareBoard(version=3) as running:
        yield running


def gone(address: str) -> bool:
    """Tell whether nobody listens there any more, waiting a little for it."""
    for _ in range(100):
        try:
            ask_version(address, 0.2)
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


def test_a_board_starts_answers_and_stops(tmp_path):
    log = tmp_path / "board.log"
    board = SoftwareBoard(version=3, log=log)
    assert board.pid is None
    with pytest.raises(BoardDied, match="the software board has not been started"):
        board.check()
    with board as same:
        assert same is board
        board.check()
        assert board.address.startswith("127.") and board.address != "127.0.0.1"
        assert board.origin == "software board (SpiNN-3, ideal timing)"
        answer = ask_version(board.address, 5.0)
        assert answer is not None and b"SC&MP/SpiNNaker" in answer
        address = board.address
    assert board.pid is None
    assert gone(address)
    board.stop()
    with pytest.raises(BoardDied, match="has not been started"):
        board.check()
    assert log.exists()


def test_two_boards_live_next_to_each_other(board):
    with SoftwareBoard(version=5) as other:
        assert other.address != board.address
        assert other.origin == "software board (SpiNN-5, ideal timing)"
        other.check()
        board.check()
    board.check()


def test_a_killed_process_is_noticed(board):
    os.kill(board.pid, signal.SIGKILL)
    board._process.wait(10)
    with pytest.raises(BoardDied) as caught:
        board.check()
    assert str(caught.value) == (
        "the software board has ended (killed by signal 9): it said nothing"
    )
    assert isinstance(caught.value, ConnectionError)


def test_a_process_that_ended_by_itself_is_noticed(board):
    os.kill(board.pid, signal.SIGTERM)
    board._process.wait(10)
    with pytest.raises(BoardDied, match=r"the software board has ended \(exit code 0\)"):
        board.check()


def test_a_hung_process_is_noticed(board, monkeypatch):
    monkeypatch.setattr(client, "_ANSWER_S", 1.0)
    os.kill(board.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BoardDied) as caught:
            board.check()
    finally:
        os.kill(board.pid, signal.SIGCONT)
    assert str(caught.value) == (
        f"the software board at {board.address} does not answer within 1 s"
    )
    board.check()


def test_a_hung_process_is_stopped_by_force(monkeypatch):
    monkeypatch.setattr(client, "_STOP_S", 0.5)
    with SoftwareBoard(version=3) as board:
        address = board.address
        os.kill(board.pid, signal.SIGSTOP)
    assert gone(address)


def test_the_board_does_not_outlive_its_parent():
    script = (
        "import os\n"
        "from spikingconvnet.hardware.client import SoftwareBoard\n"
        "board = SoftwareBoard(version=3).start()\n"
        "print(board.address, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert parent.returncode == -signal.SIGKILL
    assert gone(parent.stdout.strip())


def test_nothing_is_written_at_home(tmp_path, monkeypatch):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with SoftwareBoard(version=3) as board:
        board.check()
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_an_unknown_version_starts_nothing():
    with pytest.raises(UnknownBoard, match=r"board version: 4 \(there are descriptions of 3, 5\)"):
        SoftwareBoard(version=4)


def test_a_process_that_cannot_start_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(client.sys, "executable", str(broken))
    board = SoftwareBoard(version=3)
    with pytest.raises(BoardDied, match="the software board did not start: no such module"):
        board.start()
    assert board.pid is None


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{0}", "{0}, UDP port 17893 (is in use, perhaps by another board)"),
        ("10.254.254.254", "{0}, UDP port 17893 (is not an address of this computer; macOS:"),
        ("127.0.0.1", "'{0}' (must be one such as 127.0.0.2, not 127.0.0.1)"),
        ("localhost", "'{0}' (must be one such as 127.0.0.2, not 127.0.0.1)"),
    ],
)
def test_an_address_that_is_not_to_be_had_is_told(board, capsys, address, message):
    address = address.format(board.address)
    assert server.main(["--version=3", f"--address={address}"]) == 2
    failure = "address: " + message.format(address)
    assert capsys.readouterr().out.startswith(f"failed {failure}")
    with pytest.raises(BadAddress) as caught:
        SoftwareBoard(version=3, address=address).start()
    assert str(caught.value).startswith(failure) and isinstance(caught.value, ValueError)
    board.check()


def test_a_port_without_permission_is_told(monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(addresses, "bind", denied)
    with pytest.raises(BadAddress, match=r"127.0.0.2, UDP port 17893 \(is not permitted to this"):
        addresses.bind_all("127.0.0.2", 1)


def test_the_status_is_told_when_asked(board):
    amounts = dict.fromkeys(["factor", "virtual_ms", "busy_s", "instructions", "cores"], 0)
    assert board.status() == {"running": False, "paced": False, "programs": []} | amounts
    board._process.stdin.write(b"status\n")  # an answer that nobody takes
    time.sleep(0.5)
    assert board.status()["cores"] == 0
    board.stop()
    assert board.summary["virtual_ms"] == 0.0 and board.accounts == []
    with pytest.raises(BoardDied, match="has not been started"):
        board.status()


def test_the_status_of_a_dead_or_hung_board_is_an_error(board, monkeypatch):
    monkeypatch.setattr(client, "_ANSWER_S", 1.0)
    os.kill(board.pid, signal.SIGSTOP)
    with pytest.raises(BoardDied, match="does not tell its status within 1 s"):
        board.status()
    os.kill(board.pid, signal.SIGKILL)
    board._process.wait(10)
    with pytest.raises(BoardDied, match=r"has ended \(killed by signal 9\)"):
        board.status()


def test_a_taken_address_is_passed_over(board, monkeypatch):
    free = next(a for a in addresses.loopback_addresses() if a != board.address)
    monkeypatch.setattr(addresses, "loopback_addresses", lambda: iter([board.address, free]))
    address, [sock] = addresses.bind_free(1)
    with sock:
        assert (address, sock.getsockname()) == (free, (free, SCP_PORT))
        monkeypatch.setattr(addresses, "loopback_addresses", lambda: iter([board.address, free]))
        with pytest.raises(BadAddress, match=r"no free loopback .* 17893 \(is in use, perhaps"):
            addresses.bind_free(1)


def test_noise_on_the_socket_does_no_harm(board):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for length in (0, 1, 9, 300, 8000):
            sock.sendto(b"\x87" * length, (board.address, SCP_PORT))
    board.check()


def test_nobody_there():
    address = next(iter(addresses.loopback_addresses()))
    with pytest.raises(ConnectionRefusedError):
        ask_version(address, 2.0)
