"""What cores did in real networks, done again in Unicorn and in translated code: all is equal.

All is: every register of every mode, status registers, each use of a peripheral with its place in
the order and in the count of instructions, and the memory that was changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cpu_machine
import pytest
import segments
from oracle import Oracle
from recording import recorded, recording_board
from spikingconvnet.hardware.emulator.translator import cache
from spikingconvnet.hardware.emulator.translator.machine import translate

SEGMENTS = 150
PLASTIC = "IF_curr_exp_stdp_mad_pair_additive"


def plastic(sim: Any) -> None:
    """Learn from noise."""
    sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 64)
    source = sim.Population(60, sim.SpikeSourcePoisson(rate=60.0), seed=1)
    cells = sim.Population(60, sim.IF_curr_exp(tau_refrac=2.0), seed=2)
    rule = sim.STDPMechanism(
        sim.SpikePairRule(), sim.AdditiveWeightDependence(w_max=6.0), weight=3.0, delay=3.0
    )
    sim.Projection(source, cells, sim.FixedProbabilityConnector(0.4), rule)
    cells.record(["spikes", "v"])
    sim.run(100)


def convolution(sim: Any) -> None:
    """Convolve a moving bar, and inhibit by fixed connections."""
    source = sim.Population(64, sim.SpikeSourceArray([[1 + i % 40] for i in range(64)]))
    cells = sim.Population(36, sim.IF_curr_exp(), seed=2)
    pairs = [
        (8 * (y + dy) + x + dx, 6 * y + x, 2.0 - dx, 1.0 + dy)
        for y in range(6)
        for x in range(6)
        for dy in range(3)
        for dx in range(3)
    ]
    sim.Projection(source, cells, sim.FromListConnector(pairs))
    sim.Projection(
        cells,
        cells,
        sim.AllToAllConnector(),
        sim.StaticSynapse(weight=-0.5, delay=1.0),
        receptor_type="inhibitory",
    )
    cells.record("spikes")
    sim.run(60)


@pytest.fixture(scope="module")
def folders() -> dict[str, Path]:
    """Hold what has been recorded."""
    return {}


@pytest.fixture(params=[plastic, convolution], ids=lambda network: network.__name__)
def recording(
    request: pytest.FixtureRequest,
    folders: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    spynnaker_on: Callable[..., Any],
) -> Path:
    """Run a network on a board of this process, and give the folder of what was recorded."""
    name = request.param.__name__
    if name not in folders:
        folders[name] = tmp_path_factory.mktemp(name)
        board = recording_board(folders[name], 3, SEGMENTS)
        with board as here, spynnaker_on(here) as sim:
            request.param(sim)
    return folders[name]


def test_unicorn_does_the_same(recording: Path) -> None:
    results: Counter[int] = Counter()
    interrupts = instructions = 0
    for path, image, met in recorded(recording):
        oracle = Oracle()
        oracle.put(0, image)
        for number, segment in enumerate(met):
            where = f"{path.name}: segment {number}"
            assert not oracle.replay(segment), where
            assert not oracle.complaints, where
            assert not oracle.differs(segment), where
            results[segment.result] += 1
            interrupts += len(segment.interrupted)
            instructions += segment.after["instructions"] - segment.before["instructions"]
    assert results[segments.WAITING] > SEGMENTS
    assert interrupts > SEGMENTS
    assert instructions > 300_000


def check(met: list[segments.Segment], image: bytes, translation: cache.Translation | None) -> None:
    """Do segments again in a core of this process."""
    core = cpu_machine.Machine()
    core.reset()
    core.poke(0, image)
    if translation is not None:
        core.use(translation)
    for number, segment in enumerate(met):
        result, state, complaints = core.replay(segment)
        assert not complaints, number
        assert (result, state) == (segment.result, segment.after), number
        for address, page in segment.pages_after.items():
            assert core.peek(address, len(page)) == page, (number, hex(address))
    assert core.translated == (translation is not None)
    core.close()


def test_the_interpreter_does_the_same(recording: Path) -> None:
    for _, image, met in recorded(recording):
        check(met, image, None)


def check_translated(folder: Path, path: Path) -> None:
    (record,) = [one for one in recorded(path) if (cache.path_of(folder, one[0].stem)).exists()]
    check(record[2], record[1], cache.read(cache.path_of(folder, record[0].stem)))


@pytest.mark.parametrize("recording", [plastic], indirect=True)
def test_translated_learning_does_the_same(
    recording: Path, translations: Callable[..., Path]
) -> None:
    check_translated(translations(PLASTIC), recording)


@pytest.mark.long
@pytest.mark.parametrize("recording", [plastic, convolution], indirect=True)
def test_all_translated_code_does_the_same(recording: Path) -> None:
    for _, image, met in recorded(recording):
        check(met, image, translate(image))
