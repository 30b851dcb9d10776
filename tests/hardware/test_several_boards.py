"""Several boards in one machine: its geometry, its Ethernet chips, and networks across boards."""

from __future__ import annotations

import socket
import struct

import pytest
from spikingconvnet.hardware import addresses, server
from spikingconvnet.hardware.client import SoftwareBoard, ask_version
from spikingconvnet.hardware.constants import SCP_PORT, Command, Result
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.dead import Dead
from spikingconvnet.hardware.emulator.layout import load_layout
from spikingconvnet.hardware.errors import BadAddress, BadDescription, UnknownBoard
from spikingconvnet.hardware.packets import Scp, Sdp, decode_datagram, encode_datagram, encode_scp

HOST = ("127.0.0.1", 40000)
ETHERNETS = [(0, 0), (4, 8), (8, 4)]


@pytest.fixture(scope="module")
def triad():
    """Give a machine of three boards without sockets."""
    return Board(load_layout(5, boards=3), "127.53.1.254")


def ask(board, command, *arguments, chip, at=None, cpu=0, sender=HOST):
    """Ask; give the return code, the data and the door of the one answer."""
    scp = encode_scp(Scp(int(command), 1, *(*arguments, 0, 0, 0)[:3], b""))
    request = Sdp(0x87, 0xFF, cpu, 0xFF, chip[0] << 8 | chip[1], 0, scp)
    board.handle(encode_datagram(request), sender, at)
    [(data, target, door)] = board.take_outgoing()
    assert target == sender
    answer = decode_datagram(data).data
    return struct.unpack_from("<H", answer)[0], answer[4:], door


@pytest.mark.parametrize("triads", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("wraps", [False, True])
def test_chips_links_and_boards_are_those_of_the_machine_model(triads, wraps):
    from spinn_machine import virtual_machine
    from spinn_machine.config_setup import unittest_setup
    from spinn_utilities.config_holder import set_config

    layout = load_layout(5).triads(*triads, wraps=wraps)
    assert (layout.width, layout.height) == tuple(12 * n + (0 if wraps else 4) for n in triads)
    unittest_setup()
    set_config("Machine", "version", "5")
    machine = virtual_machine(layout.width, layout.height)
    assert set(layout.chips) == {(chip.x, chip.y) for chip in machine.chips}
    assert len(layout.chips) == 144 * triads[0] * triads[1]
    assert set(layout.ethernets) == {(e.x, e.y) for e in machine.ethernet_connected_chips}
    assert layout.ethernets[0] == (0, 0)
    for chip in machine.chips:
        here = (chip.x, chip.y)
        assert layout.cores[here] == chip.n_processors
        assert layout.ethernet_of(here) == (chip.nearest_ethernet_x, chip.nearest_ethernet_y)
        links = {link.source_link_id: link for link in chip.router.links}
        for number, there in enumerate(layout.neighbours[here]):
            expected = links.get(number)
            assert there == (expected and (expected.destination_x, expected.destination_y))


def test_boards_come_in_triads_that_make_a_rectangle():
    sizes = {n: load_layout(5, n) for n in (1, 3, 6, 12, 18)}
    assert {n: (layout.width, layout.height) for n, layout in sizes.items()} == {
        1: (8, 8),
        3: (16, 16),
        6: (28, 16),
        12: (28, 28),
        18: (40, 28),
    }
    assert sizes[3].name == "3 x SpiNN-5"
    for wrong in (0, -3, 2, 4, 5, 9, 13):
        with pytest.raises(UnknownBoard, match=rf"boards: {wrong} \(must be 1, 3, 6, 12,"):
            load_layout(5, wrong)
    with pytest.raises(UnknownBoard, match=r"boards: 3 \(must be 1 for version 3\)"):
        load_layout(3, 3)
    with pytest.raises(UnknownBoard, match=r"boards: 1 \(must be 3, 6, 12, 18, .* to wrap around"):
        load_layout(5, 1, wrap=True)
    with pytest.raises(UnknownBoard, match=r"boards: \(21, 1\) \(must be at most 20 triads"):
        load_layout(5, (21, 1))


def test_the_size_may_be_given_in_triads():
    layout = load_layout(5, (1, 2), wrap=True)
    assert (layout.width, layout.height, layout.name) == (12, 24, "6 x SpiNN-5, wrapped")
    assert [server.boards(text) for text in ("3", "1x2")] == [3, (1, 2)]


def test_each_ethernet_chip_has_the_address_behind_the_last(triad):
    wanted = ["127.53.1.254", "127.53.1.255", "127.53.2.0"]
    assert triad.addresses == dict(zip(ETHERNETS, wanted, strict=True))
    for chip in triad.chips:
        code, data, _ = ask(triad, Command.INFO, chip=chip.xy)
        assert code == Result.OK
        (y, x), ip = data[30:32], ".".join(map(str, data[32:36]))
        assert (x, y) == triad.layout.ethernet_of(chip.xy)
        is_ethernet = chip.xy in ETHERNETS
        assert struct.unpack_from("<I", data)[0] >> 25 & 1 == is_ethernet
        assert ip == (triad.addresses[chip.xy] if is_ethernet else "0.0.0.0")


def test_answers_leave_where_the_request_came_in(triad):
    for at in ETHERNETS:
        for chip in ((0, 0), (15, 15), (8, 4)):
            assert ask(triad, Command.VER, chip=chip, at=at)[2] == (at, SCP_PORT)


def test_tags_belong_to_an_ethernet_chip(triad):
    set_tag, port = 1 << 16 | 3, 5000
    for i, at in enumerate(ETHERNETS):
        address = int.from_bytes(bytes((127, 0, 0, 1)), "little")
        assert ask(triad, Command.IPTAG, set_tag, port + i, address, chip=at, at=at)[0] == Result.OK
    for i, (x, y) in enumerate(ETHERNETS):
        # As if a core of that board had sent it.
        triad._route(Sdp(7, 3, 0xFF, 1, x << 8 | y, x << 8 | y, b"spikes"), ("0.0.0.0", 0))
        [(data, target, door)] = triad.take_outgoing()
        assert decode_datagram(data).data == b"spikes"
        assert (target, door) == (("127.0.0.1", port + i), ((x, y), SCP_PORT))


def test_a_reverse_tag_hears_only_at_its_own_ethernet_chip(triad):
    at = (8, 4)
    arg1 = 2 << 28 | 1 << 16 | 1 << 8 | 4  # reverse, set, to core 1, tag 4
    assert ask(triad, Command.IPTAG, arg1, 9 << 24 | 5 << 16 | 12345, chip=at)[0] == Result.OK
    assert [tags.reverse_ports() for tags in triad.tags.values()] == [{}, {}, {12345: 4}]
    triad.handle_reverse(b"x", ("127.0.0.1", 7), 12345, (4, 8))
    assert triad.tags[at].get(4).host != ("127.0.0.1", 7)
    triad.handle_reverse(b"x", ("127.0.0.1", 7), 12345, at)
    assert triad.tags[at].get(4).host == ("127.0.0.1", 7)
    triad.tags[at].clear(4)


def test_an_ethernet_chip_may_not_be_dead_or_cut_off():
    layout = load_layout(5, 3)
    with pytest.raises(BadDescription, match=r"chips: \[4, 8\] \(must not be an Ethernet chip\)"):
        layout.without(Dead(chips=((4, 8),)))
    around = tuple(to for to in layout.neighbours[8, 4] if to)
    with pytest.raises(BadDescription, match=r"\[8, 4\] \(an Ethernet chip is cut off\)"):
        layout.without(Dead(chips=around))
    assert len(layout.without(Dead(chips=((5, 9), (0, 1)))).chips) == 142


def test_taken_addresses_are_passed_over_together():
    taken = "127.53.77.11"
    with addresses.bind(taken, SCP_PORT):
        with pytest.raises(BadAddress, match="is in use"):
            addresses.bind_all("127.53.77.9", 3)
        sockets = addresses.bind_all("127.53.77.8", 3)  # nothing was left bound
    assert [sock.getsockname()[0] for sock in sockets] == [f"127.53.77.{n}" for n in (8, 9, 10)]
    for sock in sockets:
        sock.close()


def run_network(use, board, boards):
    """Run populations kept on certain chips; give spikes, machine, boards used and links used."""
    with use(board) as sim:
        from spynnaker.pyNN.data import SpynnakerDataView

        sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 8)
        source = sim.Population(8, sim.SpikeSourceArray([[1.0 + i, 11.0 + i] for i in range(8)]))
        first = sim.Population(64, sim.IF_curr_exp(i_offset=0.6, tau_refrac=2.0))
        second = sim.Population(64, sim.IF_curr_exp(i_offset=0.5))
        for population, (x, y) in zip((first, second), boards, strict=True):
            population.add_placement_constraint(x, y)
        rows = [(i % 8, i, 1.5 + i / 16, 1 + i % 5) for i in range(64)]
        sim.Projection(source, first, sim.FromListConnector(rows))
        rows = [(i, (7 * i + 3) % 64, 4.0, 1 + i % 7) for i in range(64)]
        sim.Projection(first, second, sim.FromListConnector(rows))
        back = [(i, (5 * i + 1) % 64, 2.0, 2 + i % 4) for i in range(64)]
        sim.Projection(second, first, sim.FromListConnector(back))
        for population in (first, second):
            population.record("spikes")
        sim.run(60)
        spikes = [
            [[float(t) for t in train.magnitude] for train in p.get_data().segments[0].spiketrains]
            for p in (first, second)
        ]
        machine = SpynnakerDataView.get_machine()
        transceiver = SpynnakerDataView.get_transceiver()
        hosts = {c.remote_ip_address for c in transceiver.get_connections()}
        assert hosts == {chip.ip_address for chip in machine.ethernet_connected_chips}
        where = {
            (machine[p.x, p.y].nearest_ethernet_x, machine[p.x, p.y].nearest_ethernet_y)
            for p in SpynnakerDataView.iterate_placemements()
        }
        links = {
            (table.x, table.y): {i for e in table.multicast_routing_entries for i in e.link_ids}
            for table in SpynnakerDataView.get_uncompressed().routing_tables
        }
    return spikes, machine, where, links


@pytest.mark.parametrize("default", [False, True])
def test_a_network_across_boards_does_as_on_one(board_factory, spynnaker_on, default):
    def use(board):
        return spynnaker_on(board, default=default)

    with SoftwareBoard(version=5, boards=3) as board:
        assert board.origin == "software board (3 x SpiNN-5, ideal timing)"
        board.check()
        spikes, machine, where, _ = run_network(use, board, ((7, 9), (9, 5)))
    assert (machine.width, machine.height, machine.n_chips) == (16, 16, 144)
    chips = {(chip.x, chip.y): chip.ip_address for chip in machine.ethernet_connected_chips}
    assert list(chips) == ETHERNETS
    assert len(set(chips.values())) == 3 and chips[0, 0] == board.address
    assert where >= {(4, 8), (8, 4)}
    whole, _, _, _ = run_network(use, board_factory(5), ((3, 3), (4, 3)))
    assert all(sum(map(len, part)) > 64 for part in spikes)
    assert spikes == whole


def test_packets_cross_the_wraps(board_factory, spynnaker_on):
    whole, _, _, _ = run_network(spynnaker_on, board_factory(5), ((3, 3), (4, 3)))
    with SoftwareBoard(version=5, boards=3, wrap=True) as board:
        assert board.origin == "software board (3 x SpiNN-5, wrapped, ideal timing)"
        over = ((0, (11, 5), (0, 5)), (2, (5, 11), (5, 0)), (1, (11, 11), (0, 0)))
        for link, here, there in over:
            spikes, machine, _, links = run_network(spynnaker_on, board, (here, there))
            assert (machine.width, machine.height, machine.n_chips) == (12, 12, 144)
            behind = machine[here].router.get_link(link)
            assert (behind.destination_x, behind.destination_y) == there
            assert link in links[here]  # what one sends the other goes over the edge
            assert (link + 3) % 6 in links[there]
            assert spikes == whole


def test_every_board_of_a_running_machine_answers():
    with SoftwareBoard(version=5, boards=3) as board:
        first = int.from_bytes(socket.inet_aton(board.address), "big")
        for number in range(3):
            address = socket.inet_ntoa((first + number).to_bytes(4, "big"))
            assert ask_version(address, 5.0) is not None


def test_a_reverse_tag_opens_its_port_at_its_own_address():
    def listens(address, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((address, port))
            sock.settimeout(0.2)
            for _ in range(2):  # the refusal of the first is heard at the second
                try:
                    sock.send(b"x" * 300)
                    sock.recv(1)
                except ConnectionRefusedError:
                    return False
                except TimeoutError:
                    continue
        return True

    with SoftwareBoard(version=5, boards=3) as board:
        three = addresses.addresses_from(board.address, 3)
        arg1 = 2 << 28 | 1 << 16 | 1 << 8 | 4  # reverse, set, to core 1, tag 4
        scp = encode_scp(Scp(int(Command.IPTAG), 1, arg1, 4 << 24 | 8 << 16 | 12345, 0, b""))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((three[1], SCP_PORT))
            sock.send(encode_datagram(Sdp(0x87, 0xFF, 0, 0xFF, 4 << 8 | 8, 0, scp)))
            assert struct.unpack_from("<H", decode_datagram(sock.recv(512)).data)[0] == Result.OK
        assert [listens(address, 12345) for address in three] == [False, True, False]
