"""Translated code and the interpreter give the same results, counts and accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spikingconvnet.hardware.client import SoftwareBoard
from spikingconvnet.hardware.emulator.translator import cache

PLASTIC = "IF_curr_exp_stdp_mad_pair_additive"


def spikes_and_v(cells: Any) -> str:
    """Digest what a population recorded."""
    data = cells.get_data().segments[0]
    trains = [train.magnitude.tolist() for train in data.spiketrains]
    assert sum(map(len, trains)) > 20
    (v,) = data.analogsignals
    return hashlib.sha256(repr(trains).encode() + v.magnitude.tobytes()).hexdigest()


def driven(sim: Any, model: Any, projection: dict[str, Any], **cells: Any) -> Any:
    """Let noise and a recurrent projection drive some cells; give the projection and the cells."""
    source = sim.Population(60, sim.SpikeSourcePoisson(rate=60.0), seed=1)
    target = sim.Population(60, model, seed=2, **cells)
    made = sim.Projection(source, target, sim.FixedProbabilityConnector(0.4), **projection)
    sim.Projection(
        target,
        target,
        sim.FixedProbabilityConnector(0.1),
        sim.StaticSynapse(weight=0.01, delay=1.0),
        receptor_type="inhibitory",
    )
    target.record(["spikes", "v"])
    return made, target


def learning(sim: Any) -> Any:
    rule = sim.STDPMechanism(
        sim.SpikePairRule(A_plus=0.1, A_minus=0.1),
        sim.AdditiveWeightDependence(w_max=6.0),
        weight=3.0,
        delay=3.0,
    )
    made, cells = driven(sim, sim.IF_curr_exp(tau_refrac=2.0), {"synapse_type": rule})
    sim.run(150)
    weights = sorted(tuple(map(float, row)) for row in made.get("weight", "list"))
    return spikes_and_v(cells), weights


def static(sim: Any, model: Any, weight: float, **cells: Any) -> Any:
    synapse = sim.StaticSynapse(weight=weight, delay=2.0)
    _, population = driven(sim, model, {"synapse_type": synapse}, **cells)
    sim.run(150)
    return spikes_and_v(population)


def conductances(sim: Any) -> Any:
    return static(sim, sim.IF_cond_exp(), 0.1)


def izhikevich(sim: Any) -> Any:
    return static(sim, sim.Izhikevich(), 8.0)


def currents(sim: Any) -> Any:
    return static(sim, sim.IF_curr_exp(), 2.0)


def split(sim: Any) -> Any:
    return static(sim, sim.IF_curr_exp(), 2.0, n_synapse_cores=2)


def run(
    board: SoftwareBoard, use: Callable[..., Any], network: Callable[..., Any], step: float
) -> tuple[Any, ...]:
    """Run a network; give its results, all accounts, and how many instructions they took."""
    with board, use(board, timestep=step) as sim:
        result = network(sim)
    return result, board.accounts, board.summary["instructions"], board.summary["virtual_ms"]


@pytest.mark.parametrize(
    ("network", "step", "programs"),
    [
        pytest.param(learning, 1.0, (PLASTIC,), id="learning"),
        *(
            pytest.param(*row, id=f"{row[0].__name__}-{row[1]}", marks=pytest.mark.long)
            for row in (
                (learning, 1.0, (PLASTIC, "spike_source_poisson", "synapse_expander")),
                (learning, 0.1, (PLASTIC,)),
                (currents, 0.1, ("IF_curr_exp",)),
                (conductances, 1.0, ("IF_cond_exp",)),
                (izhikevich, 1.0, ("IZK_cond_exp",)),
                (split, 1.0, ("IF_curr_exp_neuron", "synapses")),
            )
        ),
    ],
)
def test_both_tiers_give_the_same(
    network: Callable[..., Any],
    step: float,
    programs: tuple[str, ...],
    translations: Callable[..., Path],
    spynnaker_on: Callable[..., Any],
    tmp_path: Path,
) -> None:
    folder, log = translations(*programs), tmp_path / "board.log"
    interpreted = run(SoftwareBoard(3, translate=False), spynnaker_on, network, step)
    translated = run(SoftwareBoard(3, log=log, translate=folder), spynnaker_on, network, step)
    assert translated == interpreted
    assert log.read_text().count("is translated") >= len(programs)


def test_a_damaged_translation_is_not_used(tmp_path: Path) -> None:
    path = cache.path_of(tmp_path, "0123")
    written = cache.Translation(b"code", b"entries", b"needs", b"image")
    cache.write(path, written)
    assert cache.read(path) == written
    data = bytearray(path.read_bytes())
    for change in (0, 10, len(data) - 1):
        damaged = bytearray(data)
        damaged[change] ^= 1
        path.write_bytes(damaged)
        assert cache.read(path) is None
    path.write_bytes(data[:30])
    assert cache.read(path) is None
    assert cache.read(tmp_path / "none") is None


def test_the_oldest_translations_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 2500)
    for number in range(4):
        path = cache.path_of(tmp_path, str(number))
        cache.write(path, cache.Translation(bytes(1000), b"", b"", b""))
    assert cache.read(path) is not None
    assert len(list(tmp_path.iterdir())) == 2
