"""Bulk data between host and board, by requests and by sPyNNaker's programs on the chips."""

from __future__ import annotations

import random

import pytest
from asking import Asker
from spikingconvnet.hardware.constants import Command
from spikingconvnet.hardware.emulator import _core
from spikingconvnet.hardware.packets import Sdp, encode_sdp

SIZES = [4, 255, 256, 257, 70_001]
CHIP = (1, 1)


def test_data_go_in_and_out(board_process, spynnaker_on):
    """Every way in is read back by every way out, to a chip without a network of its own."""
    with spynnaker_on(board_process, default=True) as sim:
        from spinn_front_end_common.data import FecDataView
        from spinn_front_end_common.utility_models import StreamingContextManager

        sim.Population(1, sim.IF_curr_exp())
        sim.run(1)
        transceiver = FecDataView.get_transceiver()
        gatherer = FecDataView.get_gatherer_by_xy(0, 0)
        monitor = FecDataView.get_monitor_by_xy(*CHIP)
        place = FecDataView.get_placement_of_vertex(monitor)
        address = transceiver.malloc_sdram(*CHIP, 80_000, 30)

        def out_by_programs(size):
            whole = (size + 3) & ~3
            return gatherer.get_data(monitor, place, address, whole)[:size]

        with StreamingContextManager([gatherer]):
            for seed, size in enumerate(SIZES):
                for write in (gatherer.send_data_into_spinnaker, transceiver.write_memory):
                    data = random.Random(seed).randbytes(size + (-size % 4))
                    write(*CHIP, address, data)
                    assert transceiver.read_memory(*CHIP, address, size) == data[:size]
                    assert out_by_programs(size) == data[:size]


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_data_go_in_and_out_at_any_address(board_process, offset):
    from spinnman.connections.udp_packet_connections import SCAMPConnection
    from spinnman.processes import FixedConnectionSelector, ReadMemoryProcess, WriteMemoryProcess

    data = random.Random(offset).randbytes(300_003)
    place, address = (1, 0, 0), 0x61000000 + offset
    with SCAMPConnection(chip_x=0, chip_y=0, remote_host=board_process.address) as connection:
        board = FixedConnectionSelector(connection)
        sender = WriteMemoryProcess(board)
        sender.write_memory_from_bytearray(place, address, data, 0, len(data))
        assert ReadMemoryProcess(board).read_memory(place, address, len(data)) == data


class Talker:
    """Stands in for the chips: one of their cores sends `count` messages to a tag, then rests."""

    executed = now = 0

    def __init__(self, count):
        self.left = count

    def run(self, instructions):
        self.left -= 1
        return _core.ATTENTION if self.left >= 0 else _core.IDLE

    def attention(self):
        return [0]


def test_what_goes_out_is_sent_while_more_is_made():
    """A host's socket holds some hundred datagrams: 60,000 at once would be lost."""
    ask = Asker()
    ask.ok(Command.IPTAG, 1 << 16 | 2, 5555, 0)
    ask.board.core = Talker(1000)
    message = encode_sdp(Sdp(7, 2, 0xFF, 1, 0, 0, bytes(272)))
    ask.board.chips[0].take_from_cores = lambda: [message]
    sent = []
    while ask.board.run():
        sent.append(len(ask.board.take_outgoing()))
    sent.append(len(ask.board.take_outgoing()))
    assert sum(sent) == 1000
    assert max(sent) < 100
