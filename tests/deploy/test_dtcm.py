"""What is foretold of a core's fast memory, against the heaps of cores that run the binaries."""

import contextlib
import os
import struct
import threading

import numpy as np
import pytest
from drawn_waves import random_waves
from spikingconvnet.hardware.addresses import bind_free
from spikingconvnet.hardware.constants import DTCM_BASE
from spikingconvnet.hardware.emulator.board import Board
from spikingconvnet.hardware.emulator.layout import load_layout
from spikingconvnet.hardware.server import Server

from spikingconvnet import backends
from spikingconvnet.backends import dtcm, preflight
from spikingconvnet.classes.deployed import Answers, deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.single_spike import LinearSVM, Pool, SpikingConv
from spikingconvnet.errors import UsageError
from spikingconvnet.utilities import logs

STEPS = 5


@contextlib.contextmanager
def served(folder):
    """Run a board in a thread of this process, whose memory can be looked into."""
    layout = load_layout(3)
    address, sockets = bind_free(len(layout.ethernets))
    board = Board(layout, address, 1, False)
    server = Server(board, sockets)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with (
            logs.capture(folder / "toolchain.log"),
            backends.load(address, version=3, folder=folder) as backend,
        ):
            yield backend.sim, board
    finally:
        server.stop()
        thread.join()
        server.close()


def sections(path):
    """Return the bytes of data and of zeros that a binary puts into fast memory."""
    table = struct.iter_unpack("<4I", path.read_bytes()[:256])
    total = 0
    for operation, first, second, third in table:
        if operation == 4:
            return total
        if first >= DTCM_BASE:
            total += third if operation == 2 else second
    return None


def taken(board, place):
    """Return the bytes that a running core has taken: sections, heap and stack."""
    base = DTCM_BASE + sections(binary(place))
    chip = list(board.layout.cores).index((place.x, place.y))
    _, first, last, free = struct.unpack("<4I", board.core.read_core(chip, place.p, base, 16))
    return first - DTCM_BASE + last - first + dtcm.BLOCK - free + dtcm.STACK_BYTES


def binary(place):
    from pathlib import Path

    from spynnaker.pyNN import model_binaries

    return Path(model_binaries.__file__).parent / place.vertex.get_binary_file_name()


def drawn(connector):
    """Return a plan with two layers and some spikes for it."""
    rng, maps = np.random.default_rng(4), 30 if connector == "list" else 6
    model = HostModel(
        "drawn",
        "of this test",
        RankOrder(STEPS),
        (
            SpikingConv(maps, 3, 2.0, padding=1, levels=1, pool=Pool(3, 3), inhibition=False),
            SpikingConv(4, 3, 2.0, padding=1, levels=1, inhibition=connector == "list"),
        ),
        LinearSVM(levels=9),
        connector,
    )
    shapes = model.tensors((12, 12))
    weights = [rng.random(model.layers[i].weight_shape(shapes[i])) < 0.5 for i in (0, 1)]
    units = int(np.prod(shapes[-1]))
    answers = Answers(rng.integers(-9, 10, (3, units)), np.zeros(3, int), np.arange(3))
    plan = deployment(model, (12, 12), [each.astype(float) for each in weights], answers)
    return plan, random_waves(rng, (12, 12, 1), STEPS, 2, share=0.3)


@pytest.mark.parametrize("connector", ["list", "convolution"])
def test_the_bill_covers_what_running_cores_have_taken(connector, tmp_path):
    plan, waves = drawn(connector)
    most = dict.fromkeys(dtcm.largest(plan), 0)
    with served(tmp_path) as (sim, board), DeployedNetwork(sim, plan) as net:
        net.build(waves)
        net.simulate(2)
        from spynnaker.pyNN.data import SpynnakerDataView

        programs = {program.name: program for program in (dtcm.LISTS, dtcm.KERNELS)}
        for place in SpynnakerDataView.iterate_placemements():
            name = place.vertex.label.partition(" piece")[0]
            if name in most and place.vertex.app_vertex is not None:
                most[name] = max(most[name], taken(board, place))
                program = programs[os.path.splitext(binary(place).name)[0]]
                assert program.sections == sections(binary(place))
    for name, told in dtcm.largest(plan).items():
        assert most[name] <= told <= 1.06 * most[name], (name, most, told)
        assert told <= dtcm.BYTES


def test_fast_memory_that_does_not_do_is_refused_by_the_name_of_the_layer(monkeypatch):
    plan, _ = drawn("list")
    needs = preflight.bill(plan, 5, 3)
    assert f"{max(needs.dtcm_by_part.values()) / 2**10:.1f}  KiB at most" in needs.as_text()
    preflight.refuse(plan, needs, 3)
    monkeypatch.setattr(dtcm, "BYTES", 2**14)
    with pytest.raises(UsageError, match=r"conv 1: .* KiB of fast memory .*nothing was loaded"):
        preflight.refuse(plan, needs, 3)
