"""Descriptions of boards against what sPyNNaker's own machine model says."""

from __future__ import annotations

from collections import deque

import pytest
from spikingconvnet.hardware.constants import LINKS, P2P_NONE, P2P_SELF
from spikingconvnet.hardware.emulator.layout import load_layout, read_layout
from spikingconvnet.hardware.errors import UnknownBoard


def link_mask(layout, chip):
    return sum(1 << link for link, to in enumerate(layout.neighbours[chip]) if to is not None)


def reference_machine(version):
    """Give the machine that sPyNNaker expects of a board version."""
    from spinn_machine import virtual_machine
    from spinn_machine.config_setup import unittest_setup
    from spinn_utilities.config_holder import set_config

    unittest_setup()
    set_config("Machine", "version", str(version))
    return virtual_machine(*((2, 2) if version == 3 else (8, 8)))


@pytest.mark.parametrize("version", [3, 5])
def test_chips_cores_and_links_are_those_of_the_machine_model(version):
    layout, machine = load_layout(version), reference_machine(version)
    assert (layout.width, layout.height) == (machine.width, machine.height)
    assert set(layout.chips) == {(chip.x, chip.y) for chip in machine.chips}
    for chip in machine.chips:
        here = (chip.x, chip.y)
        assert layout.cores[here] == chip.n_processors
        links = {link.source_link_id: link for link in chip.router.links}
        for number, there in enumerate(layout.neighbours[here]):
            expected = links.get(number)
            found = expected and (expected.destination_x, expected.destination_y)
            assert there == found, (here, number)


def test_spin3_has_four_chips_with_the_known_links():
    layout = load_layout(3)
    assert layout.chips == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {chip: link_mask(layout, chip) for chip in layout.chips} == {
        (0, 0): 0x27,
        (0, 1): 0x27,
        (1, 0): 0x3C,
        (1, 1): 0x3C,
    }
    assert sum(layout.cores.values()) == 72


def test_spin5_has_48_chips_and_856_cores():
    layout = load_layout(5)
    assert len(layout.chips) == 48
    assert all(-3 <= x - y <= 4 for x, y in layout.chips)
    assert sum(layout.cores.values()) == 856
    assert sum(count == 17 for count in layout.cores.values()) == 8
    assert link_mask(layout, (3, 3)) == 0x3F


@pytest.mark.parametrize("version", [3, 5])
def test_links_lead_back(version):
    layout = load_layout(version)
    for here, around in layout.neighbours.items():
        for link, there in enumerate(around):
            if there is not None:
                assert layout.neighbours[there][(link + 3) % 6] == here
                step = (there[0] - here[0], there[1] - here[1])
                sizes = (layout.width, layout.height)
                for got, wanted, size in zip(step, LINKS[link], sizes, strict=True):
                    assert (got - wanted) % size == 0 if version == 3 else got == wanted


@pytest.mark.parametrize("version", [3, 5])
def test_routes_are_shortest_ways(version):
    layout = load_layout(version)
    for target in layout.chips:
        distance = {target: 0}
        waiting = deque([target])
        while waiting:
            here = waiting.popleft()
            for there in layout.neighbours[here]:
                if there is not None and there not in distance:
                    distance[there] = distance[here] + 1
                    waiting.append(there)
        routes = layout.routes_to(target)
        assert set(routes) == set(layout.chips)
        assert routes[target] == P2P_SELF
        for chip in layout.chips:
            hops, here = 0, chip
            while here != target:
                following = layout.neighbours[here][routes[here]]
                assert following is not None
                hops, here = hops + 1, following
            assert hops == distance[chip]


def test_a_chip_that_nobody_reaches_has_no_route():
    layout = read_layout(
        {
            "name": "two islands",
            "version": 0,
            "width": 3,
            "height": 1,
            "wraps": False,
            "ethernet": [0, 0],
            "dead_links": [],
            "chips": [[0, 0, 18], [2, 0, 18]],
        }
    )
    assert layout.routes_to((0, 0)) == {(0, 0): P2P_SELF, (2, 0): P2P_NONE}


@pytest.mark.parametrize("version", [0, 2, 4, 48, -1])
def test_an_unknown_version_names_those_there_are(version):
    with pytest.raises(UnknownBoard) as caught:
        load_layout(version)
    assert str(caught.value) == f"board version: {version} (there are descriptions of 3, 5)"
    assert isinstance(caught.value, ValueError)
