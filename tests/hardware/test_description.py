"""Descriptions of boards: which there can be, and how the others are refused."""

from __future__ import annotations

import json

import pytest
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.emulator import layout
from spikingconvnet.hardware.emulator.description import check_description
from spikingconvnet.hardware.errors import BadDescription

PAIR = {
    "name": "pair",
    "version": 7,
    "width": 2,
    "height": 1,
    "wraps": False,
    "ethernet": [0, 0],
    "dead_links": [],
    "chips": [[0, 0, 18], [1, 0, 17]],
}
WRONG = [
    ({"name": 3}, "name: 3 (must be text)"),
    ({"version": "5"}, 'version: "5" (must be a whole number)'),
    ({"width": 0}, "width: 0 (must be 1 to 255)"),
    ({"height": True}, "height: true (must be 1 to 255)"),
    ({"wraps": 1}, "wraps: 1 (must be true or false)"),
    ({"ethernet": [1]}, "ethernet: [1] (must be [x, y])"),
    ({"ethernet": [1, 1]}, "ethernet: [1, 1] (must be one of the chips)"),
    ({"chips": [[0, 0]]}, "chips: [[0, 0]] (must be a list of [x, y, cores])"),
    ({"chips": []}, "ethernet: [0, 0] (must be one of the chips)"),
    ({"chips": [[0, 0, 18], [0, 0, 17]]}, "chips: 2 (only 1 differ in place)"),
    ({"chips": [[0, 0, 18], [2, 0, 18]]}, "chips: [2, 0, 18] (must lie within 2 x 1 chips)"),
    ({"chips": [[0, 0, 19]]}, "chips: [0, 0, 19] (a chip has 1 to 18 cores)"),
    ({"dead_links": [[0, 0, 6]]}, "dead_links: [0, 0, 6] (must be [x, y, link] of a chip, links"),
    ({"dead_links": [[5, 0, 0]]}, "dead_links: [5, 0, 0] (must be [x, y, link] of a chip, links"),
    ({"colour": "red"}, 'items: ["chips", "colour", "dead_links", "ethernet", "height"'),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Let the descriptions be those in an empty folder."""
    monkeypatch.setattr(layout.resources, "files", lambda _package: tmp_path)
    return tmp_path


def test_a_good_one_is_a_board(folder):
    (folder / "pair.json").write_text(json.dumps(PAIR))
    assert layout.load_layout(7).cores == {(0, 0): 18, (1, 0): 17}


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_an_impossible_one_is_refused(change, message):
    with pytest.raises(BadDescription) as caught:
        check_description(PAIR | change, "pair.json")
    assert str(caught.value).startswith(f"pair.json: {message}")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"Expecting property name .* \(must be a JSON file\)"),
        ("[]", r"items: \[\] \(must be an object of name, version"),
        (json.dumps(PAIR | {"width": -1}), r"width: -1 \(must be 1 to 255\)"),
    ],
)
def test_a_file_that_is_no_description_is_told_by_its_path(folder, text, message):
    path = folder / "broken.json"
    path.write_text(text)
    with pytest.raises(BadDescription, match=f"{path}: {message}"):
        SoftwareBoard(version=7)


def test_a_chip_without_a_way_to_the_host_is_refused(folder):
    islands = PAIR | {"dead_links": [[0, 0, 0], [1, 0, 3]]}
    (folder / "islands.json").write_text(json.dumps(islands))
    with pytest.raises(BadDescription, match=r"pair: chip \(1, 0\) \(no way from the Ethernet"):
        layout.load_layout(7)
