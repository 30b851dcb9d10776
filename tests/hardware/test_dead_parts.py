"""Boards of which parts are dead: descriptions, what the monitors say, and a network on one."""

from __future__ import annotations

import json
import struct

import pytest
from spikingconvnet.hardware import constants as c
from spikingconvnet.hardware import server
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.constants import Command, CoreState, Result
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.dead import Dead, read_dead
from spikingconvnet.hardware.emulator.layout import load_layout
from spikingconvnet.hardware.errors import BadDescription, HardwareError
from spikingconvnet.hardware.packets import Scp, Sdp, decode_datagram, encode_datagram, encode_scp

HOST = ("127.0.0.1", 40000)
SDRAM = 40 << 20
PARTS = {
    "chips": [[1, 1], [4, 4]],
    "cores": [[0, 0, 1], [0, 0, 2], [0, 1, 3], [1, 0, 17]],
    "links": [[0, 0, 0], [2, 2, 2]],
    "sdram": SDRAM,
}


@pytest.fixture
def parts(tmp_path):
    """Give a function that writes a file of dead parts."""

    def write(content):
        path = tmp_path / "dead.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def ask(board, command, arg1=0, *, chip, core=0):
    scp = encode_scp(Scp(int(command), 1, arg1, 0, 0, b""))
    board.handle(encode_datagram(Sdp(0x87, 0xFF, core, 0xFF, chip[0] << 8 | chip[1], 0, scp)), HOST)
    [(data, _, _)] = board.take_outgoing()
    answer = decode_datagram(data).data
    return struct.unpack_from("<H", answer)[0], answer[4:]


def test_dead_parts_vanish_from_the_layout(parts):
    whole = load_layout(5)
    layout = whole.without(read_dead(parts(PARTS)))
    assert set(whole.chips) - set(layout.chips) == {(1, 1), (4, 4)}
    assert set(layout.neighbours) == set(layout.chips)
    gone = {
        (here, link)
        for here in layout.chips
        for link in range(6)
        if whole.neighbours[here][link] != layout.neighbours[here][link]
    }
    expected = {((0, 0), 0), ((1, 0), 3), ((2, 2), 2), ((2, 3), 5)}
    for dead in ((1, 1), (4, 4)):
        for link, there in enumerate(whole.neighbours[dead]):
            expected.add((there, (link + 3) % 6))
    assert gone == expected
    assert all(layout.neighbours[here][link] is None for here, link in gone)
    assert layout.sdram == SDRAM
    assert layout.name == "SpiNN-5, reduced"


def test_a_link_of_a_board_that_wraps_dies_alone():
    layout = load_layout(3).without(Dead(links=((0, 0, 2),)))
    assert layout.neighbours[0, 0] == ((1, 0), (1, 1), None, None, None, (0, 1))
    assert layout.neighbours[0, 1][5] is None
    assert layout.neighbours[0, 1][2] == (0, 0)


def test_chips_that_are_cut_off_are_gone():
    layout = load_layout(5).without(Dead(chips=((0, 2), (1, 3)), cores=((0, 3, 4),)))
    assert (0, 3) in layout.chips  # through (1, 4)
    layout = load_layout(5).without(Dead(chips=((0, 2), (1, 3), (1, 4)), cores=((0, 3, 4),)))
    assert (0, 3) not in layout.chips
    assert layout.dead_cores == frozenset()
    assert len(layout.chips) == 44


def test_the_monitors_know_what_is_dead():
    dead = Dead(chips=((1, 1),), cores=((0, 1, 3),), links=((0, 0, 0),), sdram=SDRAM)
    board = Board(load_layout(3).without(dead))
    code, data = ask(board, Command.INFO, chip=(0, 1))
    assert code == Result.OK
    summary, sdram = struct.unpack_from("<2I", data)
    assert sdram == SDRAM
    assert summary >> 8 & 63 == 0b100110
    states = list(data[12:30])
    assert states == [CoreState.RUNNING] + [
        CoreState.DEAD if core == 3 else CoreState.IDLE for core in range(1, 18)
    ]
    assert ask(board, Command.VER, chip=(1, 1))[0] == Result.ROUTE
    assert ask(board, Command.VER, chip=(0, 1), core=3)[0] == Result.TIMEOUT
    assert ask(board, Command.VER, chip=(0, 1), core=4)[0] == Result.OK
    ways = {}
    for x in (0, 1):
        column = board.chips[0].memory.u32(c.ROUTER_P2P + 4 * (x << 8 >> 3))
        ways.update({(x, y): column >> 3 * y & 7 for y in (0, 1)})
    assert ways[0, 0] == c.P2P_SELF and ways[1, 1] == c.P2P_NONE
    assert ways[0, 1] in (2, 5) and ways[1, 0] in (4, 5)


def test_nothing_brings_a_dead_core_back():
    board = Board(load_layout(3).without(Dead(cores=((0, 0, 1),))))
    chip = board.chips[0]
    c_start = 1 << 1 | 20 << 24
    chip.memory.set_u32(0x67800000, 4)  # an image that starts at once, if it were let
    for command, arg in ((Command.AR, c_start), (Command.SIG, 0), (Command.SIG, 0)):
        ask(board, command, arg, chip=(0, 0))
        assert chip.state(1) == CoreState.DEAD
    board.signal(2 << 16 | 0 << 8 | 0)
    assert chip.state(1) == CoreState.DEAD
    assert chip.state(2) == CoreState.IDLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "Expecting value: line 1 column 2 (char 1) (must be a JSON file)"),
        ([], "a list (must be an object of chips, cores, links, sdram)"),
        ({"chip": []}, "chip (must be one of chips, cores, links, sdram)"),
        ({"chips": 3}, "chips: 3 (must be a list of [x, y])"),
        ({"chips": [[1]]}, "chips: [1] (must be [x, y], whole numbers)"),
        ({"chips": [[1, True]]}, "chips: [1, true] (must be [x, y], whole numbers)"),
        ({"links": [1]}, "links: 1 (must be [x, y, link], whole numbers)"),
        ({"sdram": "1M"}, 'sdram: "1M" (must be a number of bytes)'),
        ({"chips": [[2, 0]]}, "chips: [2, 0] (must be on a chip of the SpiNN-3)"),
        ({"cores": [[0, 3, 1]]}, "cores: [0, 3, 1] (must be on a chip of the SpiNN-3)"),
        ({"chips": [[0, 0]]}, "chips: [0, 0] (must not be an Ethernet chip)"),
        (
            {"cores": [[0, 1, 0]]},
            "cores: [0, 1, 0] (the core must be 1 to 17 here; 0 is the monitor)",
        ),
        (
            {"cores": [[0, 1, 18]]},
            "cores: [0, 1, 18] (the core must be 1 to 17 here; 0 is the monitor)",
        ),
        ({"links": [[0, 0, 3]]}, "links: [0, 0, 3] (the link must be one of 0, 1, 2, 5 here)"),
        ({"sdram": 0}, f"sdram: 0 (must be 4 to {c.SDRAM_USABLE}, a multiple of 4)"),
        (
            {"sdram": c.SDRAM_SIZE},
            f"sdram: {c.SDRAM_SIZE} (must be 4 to {c.SDRAM_USABLE}, a multiple of 4)",
        ),
    ],
)
def test_a_bad_file_is_told_by_name_item_and_what_is_valid(parts, content, message, capsys):
    path = parts(content)
    with pytest.raises(BadDescription) as caught:
        SoftwareBoard(version=3, dead=path)
    assert str(caught.value) == f"{path}: {message}"
    assert isinstance(caught.value, HardwareError) and isinstance(caught.value, ValueError)
    assert server.main(["--version=3", f"--dead={path}"]) == 2
    assert capsys.readouterr().out == f"failed {path}: {message}\n"


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.json"
    with pytest.raises(
        BadDescription, match=r"none\.json: No such file .* \(must be a JSON file\)"
    ):
        read_dead(path)


def run_network(use, board):
    """Run a few populations on many cores; give spikes, machine and the cores that were used."""
    with use(board) as sim:
        from spynnaker.pyNN.data import SpynnakerDataView

        sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 4)
        source = sim.Population(8, sim.SpikeSourceArray([[1.0 + i, 11.0 + i] for i in range(8)]))
        cells = sim.Population(96, sim.IF_curr_exp(i_offset=0.6, tau_refrac=2.0))
        rows = [(i % 8, i, 1.5 + i / 16, 1 + i % 5) for i in range(96)]
        sim.Projection(source, cells, sim.FromListConnector(rows))
        again = [(i, (7 * i + 3) % 96, 1.0, 1 + i % 7) for i in range(96)]
        sim.Projection(cells, cells, sim.FromListConnector(again))
        cells.record("spikes")
        sim.run(60)
        spikes = [
            [float(t) for t in train.magnitude]
            for train in cells.get_data().segments[0].spiketrains
        ]
        machine = SpynnakerDataView.get_machine()
        used = {(p.x, p.y, p.p) for p in SpynnakerDataView.iterate_placemements()}
    return spikes, machine, used


def test_a_network_avoids_the_dead_parts(board_factory, spynnaker_on, parts):
    with SoftwareBoard(version=5, dead=parts(PARTS)) as board:
        board.check()
        spikes, machine, used = run_network(spynnaker_on, board)
    assert board.origin == "software board (SpiNN-5, reduced, ideal timing)"
    assert machine.n_chips == 46
    for x, y in PARTS["chips"]:
        assert not machine.is_chip_at(x, y)
    for x, y, core in PARTS["cores"]:
        assert core not in machine[x, y].placable_processors_ids
        assert (x, y, core) not in used
    for x, y, link in PARTS["links"]:
        assert not machine.is_link_at(x, y, link)
    assert all(chip.sdram <= SDRAM for chip in machine.chips)
    assert {(x, y) for x, y, _ in used}.isdisjoint(map(tuple, PARTS["chips"]))
    assert len({(x, y) for x, y, _ in used}) > 1
    whole, _, used_of_whole = run_network(spynnaker_on, board_factory(5))
    assert used_of_whole & {tuple(core) for core in PARTS["cores"]}
    assert sum(map(len, spikes)) > 96
    assert spikes == whole
