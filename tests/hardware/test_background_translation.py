"""Translation beside a board: when it begins, what it leaves behind, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import Asker, application, write_image
from datagrams import answer, request
from small_programs import constant, program
from spikingconvnet.hardware import client
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.constants import Command, Result
from spikingconvnet.hardware.emulator import loader
from spikingconvnet.hardware.emulator.translator import cache
from spikingconvnet.hardware.emulator.translator.background import ENOUGH, Translations
from spikingconvnet.hardware.emulator.translator.machine import translate

ROOT = Path(client.__file__).resolve().parent.parent
TURNS = ENOUGH // 3 + 1
RESULT_AT = c.SDRAM + 0x01000000
SUM = TURNS * (TURNS + 1) // 2 & 0xFFFFFFFF
LOOP = 0x40 + 4 * (4 + 5 + 4)
"""Where in `hot` the loop begins: behind vectors, log and two constants."""
MOST_S = 120.0
"""How long to wait for what a process of low priority does on a busy computer."""


def hot(extra: int = 0) -> bytes:
    """Make a program that adds up numbers, from `extra` on, in a loop of three instructions."""
    return program(
        [
            *constant(2, TURNS),
            0xE3A03000 | extra,  # mov r3, #extra
            *constant(4, RESULT_AT),
            0xE0833002,  # add r3, r3, r2
            0xE2522001,  # subs r2, r2, #1
            0x1AFFFFFC,  # bne
            0xE5843000,  # str r3, [r4]
        ]
    )


def image(extra: int = 0) -> bytes:
    """Give the program as a host loads it."""
    code = hot(extra)
    return application(struct.unpack(f"<{len(code) // 4}I", code))


def path_of(folder: Path, extra: int = 0) -> Path:
    """Give the file that its translation has."""
    data = image(extra)
    return cache.path_of(folder, loader.fingerprint(lambda at, length: data[at : at + length]))


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + MOST_S
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)


def processes() -> dict[int, int]:
    """Give the parents of all processes that have not ended."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True)
    rows = (line.split() for line in listing.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}


def children(pid: int) -> list[int]:
    return [child for child, parent in processes().items() if parent == pid]


class Host:
    """Talks to a board in another process."""

    def __init__(self, board: SoftwareBoard) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((board.address, c.SCP_PORT))
        self.socket.settimeout(MOST_S)

    def ok(self, command: Command, arg1=0, arg2=0, arg3=0, payload=b"") -> bytes:
        self.socket.send(request(command, arg1, arg2, arg3, payload))
        code, data = answer(self.socket.recv(1024))
        assert code == Result.OK
        return data

    def start(self, extra: int = 0) -> None:
        """Start the program on core 1."""
        write_image(self, image(extra))
        self.ok(Command.WRITE, RESULT_AT, 4, 2, bytes(4))
        self.ok(Command.AR, 30 << 24 | 0b10)

    def run(self, extra: int = 0) -> None:
        """Run the program to its end."""
        self.start(extra)
        wait_for(lambda: any(self.ok(Command.READ, RESULT_AT, 4, 2)), "the result")
        result = self.ok(Command.READ, RESULT_AT, 4, 2)
        assert int.from_bytes(result, "little") == (SUM + extra) & 0xFFFFFFFF


@pytest.fixture
def host():
    """Give `host(board)`, and close what it gave."""
    hosts = []

    def make(board: SoftwareBoard) -> Host:
        hosts.append(Host(board))
        return hosts[-1]

    yield make
    for made in hosts:
        made.socket.close()


def uses_llvm(pid: int) -> bool:
    """Tell whether a process has loaded LLVM."""
    return "llvmlite" in Path(f"/proc/{pid}/maps").read_text()


def test_a_hot_program_is_translated_beside_the_board_and_for_the_next_one(tmp_path, host):
    folder, logs = tmp_path / "translations", [tmp_path / "first.log", tmp_path / "second.log"]
    path = path_of(folder)
    with SoftwareBoard(3, log=logs[0], translate=folder) as board:
        host(board).run()
        wait_for(lambda: children(board.pid) or path.exists(), "a translator")
        wait_for(path.exists, "a translation")
        assert cache.read(path) is not None  # at once: it has not been there in parts
        wait_for(lambda: "is translated" in logs[0].read_text(), "its use")
        assert not children(board.pid) and not uses_llvm(board.pid)
    assert list(folder.iterdir()) == [path]
    made = path.stat().st_mtime_ns
    with SoftwareBoard(3, log=logs[1], translate=folder) as board:
        host(board).run()
        assert logs[1].read_text().count("is translated") == 1
        assert not children(board.pid) and not uses_llvm(board.pid)
    assert path.stat().st_mtime_ns == made


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_no_translator_outlives_its_board(tmp_path, host, how):
    """One that is held up while its board ends has not gone on when it is let go."""
    with SoftwareBoard(3, translate=tmp_path) as board:
        host(board).run()
        wait_for(lambda: children(board.pid), "a translator")
        (translator,) = children(board.pid)
        os.kill(translator, signal.SIGSTOP)
        assert not list(tmp_path.glob("*.translated"))
        if how == "killed":
            os.kill(board.pid, signal.SIGKILL)
    assert translator in processes()
    os.kill(translator, signal.SIGCONT)
    wait_for(lambda: translator not in processes(), "the end of the translator")
    assert not list(tmp_path.iterdir())


def test_a_board_that_is_not_to_translate_does_not(tmp_path, host, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = tmp_path / "board.log"
    with SoftwareBoard(3, log=log, translate=False) as board:
        host(board).run()
        host(board).run()
        assert not children(board.pid)
    assert "translat" not in log.read_text()
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_takes_no_files_is_told_once(tmp_path, host):
    (tmp_path / "file").write_text("not a folder")
    log = tmp_path / "board.log"
    with SoftwareBoard(3, log=log, translate=tmp_path / "file" / "translations") as board:
        for extra in (0, 1):
            host(board).run(extra)
            time.sleep(0.3)  # it looks every 0.25 s
        assert not children(board.pid)
    (line,) = [line for line in log.read_text().splitlines() if "WARNING" in line]
    assert "no more code is translated: " in line and str(tmp_path / "file") in line


# --- without sockets ------------------------------------------------------------------------------


class Programs:
    """A board of this process that translates."""

    def __init__(self, folder: Path) -> None:
        self.ask = Asker()
        self.board = self.ask.board
        self.board.translations = Translations(self.board.core, folder)

    def run(self) -> None:
        """Run the program to its end."""
        write_image(self.ask, image())
        self.ask.ok(Command.WRITE, RESULT_AT, 4, 2, bytes(4))
        self.ask.ok(Command.AR, 30 << 24 | 0b10)
        while self.board.run():
            pass
        result = self.ask.ok(Command.READ, RESULT_AT, 4, 2)
        assert int.from_bytes(result, "little") == SUM

    @property
    def translated(self) -> bool:
        """Whether the loop was executed without a look at its instructions one by one."""
        head, inside = LOOP // 4, LOOP // 4 + 1
        profile = self.board.core.profile(0, 1)
        assert profile[head]
        return not profile[inside]

    def run_until_translated(self, caplog: pytest.LogCaptureFixture) -> None:
        """Run the program and have it translated."""
        caplog.set_level(logging.INFO)
        self.run()
        assert not self.translated
        wait_for(lambda: self.board.run() or "is translated" in caplog.text, "a translation")


def test_translated_code_is_what_is_executed(tmp_path, caplog):
    first = Programs(tmp_path)
    first.run_until_translated(caplog)
    for programs in (first, Programs(tmp_path)):
        programs.run()
        assert programs.translated


def damaged(path: Path) -> None:
    path.write_bytes(b"SNCT" + bytes(5000))


def foreign(path: Path) -> None:
    cache.write(path, translate(hot(1).ljust(c.ITCM_SIZE, b"\0"), [LOOP]))


@pytest.mark.parametrize("put", [damaged, foreign])
def test_a_file_that_cannot_be_used_is_replaced(tmp_path, caplog, put):
    path = path_of(tmp_path)
    put(path)
    programs = Programs(tmp_path)
    programs.run_until_translated(caplog)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert str(path) in record.getMessage() and "not used" in record.getMessage()
    programs.run()
    assert programs.translated
    Programs(tmp_path).run()  # finds nothing to complain of
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_misuse_of_the_translator_is_told(tmp_path):
    command = [sys.executable, "-m", Translations.__module__.rpartition(".")[0]]
    for words in ([], [str(tmp_path / "none.aplx")], [__file__]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert (words or ["FILE.aplx"])[0] in done.stderr.splitlines()[-1]
