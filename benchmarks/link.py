"""Time bulk transfer between a host and the software board: python benchmarks/link.py [MB]

SpiNNMan keeps eight requests of 256 bytes under way and is a Python program itself. How fast it is
against a board that does nothing is the baseline: a bare answerer, which sends back a ready-made
answer to every request and knows no memory. The lower lines move the same data with the programs
that sPyNNaker runs on every chip for that, the data speed-up gatherer and monitors; on the way in,
sPyNNaker itself sleeps after each of its datagrams of up to 280 bytes.
"""

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikingconvnet.hardware.client import SoftwareBoard

from spikingconvnet.backends.toolchain import spynnaker_on

ADDRESS = 0x61000000
CHIP = (1, 1)
BARE = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
sock.bind((sys.argv[1], 17893))
print("ready", flush=True)
head, body = bytes.fromhex("000007ffff00000000008000"), bytes(256)
while True:
    request, sender = sock.recvfrom(2048)
    sock.sendto(head + request[12:14] + (body if request[10] == 2 else b""), sender)
"""
BARE_ADDRESS = "127.54.1.1"


@contextlib.contextmanager
def bare_answerer() -> Iterator[str]:
    """Run the bare answerer in a process of its own."""
    words = [sys.executable, "-c", BARE, BARE_ADDRESS]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        try:
            yield BARE_ADDRESS
        finally:
            process.kill()


def rate(work: Callable[[], Any], size: int) -> float:
    """Return the best of three rates, in MB/s."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return size / 1e6 / min(times)


def by_requests(address: str, data: bytes, check: bool) -> tuple[float, float]:
    """Write and read with SpiNNMan's processes; give both rates."""
    from spinnman.connections.udp_packet_connections import SCAMPConnection
    from spinnman.processes import FixedConnectionSelector, ReadMemoryProcess, WriteMemoryProcess

    with SCAMPConnection(chip_x=0, chip_y=0, remote_host=address) as connection:
        board: Any = FixedConnectionSelector(connection)
        core, size = (0, 0, 0), len(data)

        def write() -> None:
            sender = WriteMemoryProcess(board)
            sender.write_memory_from_bytearray(core, ADDRESS, data, 0, size)

        def read() -> None:
            found = ReadMemoryProcess(board).read_memory(core, ADDRESS, size)
            assert not check or found == data, "what was read is not what was written"

        return rate(write, size), rate(read, size)


def by_programs(board: SoftwareBoard, data: bytes, folder: Path) -> tuple[float, float]:
    """Write and read with sPyNNaker's programs on the chips; give both rates."""
    with spynnaker_on(board, folder) as sim:
        from spinn_front_end_common.data import FecDataView
        from spinn_front_end_common.utility_models import StreamingContextManager

        sim.setup(1.0)
        sim.Population(1, sim.IF_curr_exp())
        sim.run(1.0)
        gatherer, monitor = (
            FecDataView.get_gatherer_by_xy(0, 0),
            FecDataView.get_monitor_by_xy(*CHIP),
        )
        place = FecDataView.get_placement_of_vertex(monitor)
        size = len(data)
        address = FecDataView.get_transceiver().malloc_sdram(*CHIP, size, 30)
        with StreamingContextManager([gatherer]):
            write = rate(lambda: gatherer.send_data_into_spinnaker(*CHIP, address, data), size)
            assert FecDataView.read_memory(*CHIP, address, size) == data, "not what was written"

            def read() -> None:
                found = gatherer.get_data(monitor, place, address, size)
                assert found == data, "what was read is not what was written"

            return write, rate(read, size)


def show(name: str, rates: tuple[float, float], baseline: tuple[float, float]) -> None:
    written, read = rates
    ratios = f"{written / baseline[0]:8.2f} {read / baseline[1]:8.2f}"
    print(f"{name:34} {written:8.2f} {read:8.2f} {ratios}", flush=True)


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 16) << 20
    data = np.random.default_rng(0).bytes(size)
    logging.disable(logging.CRITICAL)
    print(f"{size >> 20} MiB, MB/s {'':21} {'in':>8} {'out':>8} {'x bare':>8} {'x bare':>8}")
    with bare_answerer() as address:
        bare = by_requests(address, data, check=False)
    show("requests, bare answerer", bare, bare)
    with SoftwareBoard(version=3) as board, tempfile.TemporaryDirectory() as folder:
        show("requests, software board", by_requests(board.address, data, check=True), bare)
        with contextlib.redirect_stderr(io.StringIO()):
            rates = by_programs(board, data, Path(folder))
        show("speed-up programs, software board", rates, bare)


if __name__ == "__main__":
    main()
