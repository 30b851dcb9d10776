"""The installed sPyNNaker: its version and binaries, and their names on a board."""

from __future__ import annotations

import shutil
import struct
from importlib import metadata
from types import SimpleNamespace

import pytest
from datagrams import answer, request
from spikingconvnet.hardware import toolchain
from spikingconvnet.hardware.constants import SDRAM, Command, Result
from spikingconvnet.hardware.emulator.board import make_board
from spikingconvnet.hardware.emulator.loader import fingerprint
from spikingconvnet.hardware.errors import BadToolchain, HardwareError
from spikingconvnet.hardware.toolchain import check_toolchain


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Put a few of the binaries where a test may damage them."""
    for path in list(toolchain._files())[:3]:
        shutil.copy(path, tmp_path)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(toolchain, "find_spec", lambda name: spec if name == "spynnaker" else None)
    return sorted(tmp_path.glob("*.aplx"))


def test_every_binary_has_a_name_of_its_own():
    names = check_toolchain()
    assert len(names) == len(list(toolchain._files())) > 90
    assert {"IF_curr_exp", "extra_monitor_support"} <= set(names.values())


@pytest.mark.parametrize("version", ["1!6.0.1", "1!7.3.0", "1!7.40.1", "7.5", "8"])
def test_a_foreign_version_is_told(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda _name: version)
    with pytest.raises(BadToolchain) as caught:
        check_toolchain()
    assert str(caught.value) == (
        f"sPyNNaker: version {version} (must be 7.4: pip install 'sPyNNaker == 1!7.4.*')"
    )
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, HardwareError)


def test_a_missing_one_is_told(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(BadToolchain, match=r"sPyNNaker: not installed \(must be 7.4: pip inst"):
        check_toolchain()


def test_whole_binaries_are_accepted_and_none_at_all_are_not(copy):
    assert sorted(check_toolchain().values()) == [path.stem for path in copy]
    for path in copy:
        path.unlink()
    with pytest.raises(BadToolchain, match="no binaries"):
        check_toolchain()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda image: image[:-100], r"APLX entry: \d+ bytes \(only \d+ are there\)"),
        (lambda image: image[:40], r"APLX entry: \d+ bytes \(only 0 are there\)"),
        (lambda image: b"", "APLX table: no start"),
        (lambda image: b"<html>not found</html>" * 9, "APLX entry: operation 1836345404"),
        (
            lambda image: struct.pack("<4I", 2, 0x900000, 64, 4),
            "APLX entry: destination 0x00900000",
        ),
    ],
)
def test_a_damaged_binary_is_told_by_its_path(copy, data, reason):
    copy[1].write_bytes(data(copy[1].read_bytes()))
    with pytest.raises(BadToolchain, match=f"{copy[1]}: {reason}") as caught:
        check_toolchain()
    assert "not a whole binary (pip install --force-reinstall" in str(caught.value)


def test_an_unreadable_binary_is_told_by_its_path(copy):
    copy[0].unlink()
    copy[0].mkdir()
    with pytest.raises(BadToolchain, match=rf"{copy[0]}: Is a directory \(must be readable; pip"):
        check_toolchain()


def test_the_name_depends_on_every_byte_that_is_loaded(copy):
    image = bytearray(copy[0].read_bytes())

    def name():
        return fingerprint(lambda start, length: bytes(image[start : start + length]))

    before = name()
    image[-1] ^= 1
    assert name() != before
    image[-1] ^= 1
    assert name() == before


def test_a_board_tells_which_programs_it_runs(board_factory, spynnaker_on):
    names, board = check_toolchain(), board_factory(3)
    before = board.status()
    with spynnaker_on(board) as sim:
        source = sim.Population(4, sim.SpikeSourcePoisson(rate=100.0))
        cells = sim.Population(4, sim.IF_curr_exp())
        sim.Projection(source, cells, sim.OneToOneConnector(), sim.StaticSynapse(weight=1.0))
        sim.run(25)
        status = board.status()
    found = {names[program["image"]]: program for program in status["programs"]}
    assert {"IF_curr_exp", "spike_source_poisson"} <= set(found)
    assert found["IF_curr_exp"]["cores"] == 1 and found["IF_curr_exp"]["failed"] == 0
    assert found["IF_curr_exp"]["name"] == "IF_curr_exp"
    assert status["cores"] == sum(program["cores"] for program in status["programs"])
    assert status["running"] and status["factor"] > 0
    assert status["virtual_ms"] - before["virtual_ms"] >= 25
    assert status["instructions"] > before["instructions"]
    after = board.status()
    assert (after["cores"], after["running"], after["programs"]) == (0, False, [])


def test_what_is_loaded_and_is_no_binary_is_logged(caplog):
    board = make_board(3)
    board.chips[1].memory.write(SDRAM + 0x1000, b"<html>")
    asked = request(Command.AS, SDRAM + 0x1000, 17 << 24 | 1 << 3, chip=board.chips[1].address)
    board.handle(asked, ("127.0.0.1", 1234))
    [(answered, _, _)] = board.take_outgoing()
    assert answer(answered)[0] == Result.ARGUMENT
    [told] = caplog.messages
    assert told.startswith("chip 0,1: application 17: no readable binary was loaded: APLX entry:")
