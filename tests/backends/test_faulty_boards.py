"""Boards with something wrong: what SpiNNMan says of them, and what a user of this program reads.

SpiNNMan's waits for a board that never answers, 39 s in all, are cut short.
"""

import contextlib
import types

import pytest
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.errors import UnknownBoard

from spikingconvnet.backends import probe


@pytest.fixture
def impatient(monkeypatch):
    """Make SpiNNMan and the probe give up after a moment; a boot attempt is not repeated."""
    from spinnman.connections.scp_request_pipeline import SCPRequestPipeLine
    from spinnman.connections.udp_packet_connections import boot_connection
    from spinnman.transceiver import base_transceiver

    made = SCPRequestPipeLine.__init__

    def make(self, connection, **options):
        made(self, connection, **options | {"packet_timeout": 0.05})

    no_time = types.SimpleNamespace(sleep=lambda _seconds: None)
    monkeypatch.setattr(SCPRequestPipeLine, "__init__", make)
    monkeypatch.setattr(boot_connection, "time", no_time)
    monkeypatch.setattr(base_transceiver, "time", no_time)
    monkeypatch.setattr(base_transceiver, "INITIAL_FIND_SCAMP_RETRIES_COUNT", 1)
    monkeypatch.setattr(probe, "ANSWER_S", 0.1)


@contextlib.contextmanager
def faulty(fault, log=None):
    with SoftwareBoard(version=3, fault=fault, log=log) as board:
        board.check()
        yield board
        board.check()


BOOT_FAILED = ("SpinnmanBootException", "Scamp boot failed")
TOO_OLD = (
    "SpinnmanIOException",
    r"currently booted with SC&MP \(3, 4, 2\) which is incompatible with this transceiver, "
    r"required version is SC&MP \(4, 0, 0\)",
)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [("silent", *BOOT_FAILED), ("never-boots", *BOOT_FAILED), ("old-firmware", *TOO_OLD)],
)
def test_what_spinnman_says(impatient, tmp_path, fault, kind, words):
    from spinn_utilities.config_holder import set_config
    from spinnman import exceptions
    from spinnman.config_setup import unittest_setup
    from spinnman.transceiver import create_transceiver_from_hostname

    log = tmp_path / "board.log"
    with faulty(fault, log) as board:
        unittest_setup()
        set_config("Machine", "version", "3")
        with pytest.raises(getattr(exceptions, kind), match=words) as caught:
            create_transceiver_from_hostname(board.address)
        assert type(caught.value).__name__ == kind
    assert ("bytes has come; this board never boots" in log.read_text()) == (fault == "never-boots")


SILENT = "silent (no answer on UDP port 17893, and booting it failed); check its power"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("silent", SILENT),
        ("never-boots", SILENT),
        ("old-firmware", "was booted with SC&MP 3.4.2 (must be 4.0.0 or a later 4.x); switch it"),
    ],
)
def test_what_a_user_reads(impatient, command, fault, message):
    assert command("--mode", "loaddata").code == 0
    with faulty(fault) as board:
        words = ("--mode", "training", "--layer", "1", "--board-version", "3")
        done = command(*words, "--board", board.address)
    errors = [line for line in done.err.splitlines() if line.startswith("error")]
    assert done.code == 1
    assert errors and f"board {board.address}: {message}" in errors[0]
    assert len(errors) == 1 and "Traceback" not in done.err


def test_an_old_monitor_tells_its_version_as_a_number():
    answer = b"\0\0\0\0\x00\x01" + (133).to_bytes(2, "little") + bytes(4) + b"SC&MP/SpiNNaker\0"
    assert probe._monitor(answer) == ("SC&MP/SpiNNaker", (1, 33))
    text = b"\0\0\0\0\x00\x01\xff\xff" + bytes(4) + b"SC&MP/SpiNNaker\0004.1.2\0"
    assert probe._monitor(text) == ("SC&MP/SpiNNaker", (4, 1, 2))


def test_an_unknown_fault():
    with pytest.raises(UnknownBoard, match=r"fault: 'smoke' \(must be one of silent, never-boots"):
        SoftwareBoard(version=3, fault="smoke")
