"""Small networks on the software board against closed forms, references and each other.

Values on the board are s16.15 fixed point: one LSB is 2**-15. Each comparison states how many it
allows. Every network here has run on the board's cores from the binaries that sPyNNaker ships.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from scipy.signal import convolve2d

LSB = 2.0**-15
DECAY_5 = math.exp(-1 / 5)
CHARGE = 5.0 * (1 - DECAY_5)
"""What a weight of 1 adds to an exponential current of 5 ms: its mean over the first step."""


def signal(data: Any, name: str) -> np.ndarray:
    """Give the recorded values of one name, (steps, neurons)."""
    chosen = [s for s in data.analogsignals if s.name == name]
    assert len(chosen) == 1, [s.name for s in data.analogsignals]
    return np.asarray(chosen[0].magnitude)


def trains(data: Any) -> list[list[float]]:
    """Give the spike times of each neuron, in ms."""
    return [[float(t) for t in train.magnitude] for train in data.spiketrains]


def digest(*values: Any) -> str:
    """Give one short text for some arrays and lists."""
    return hashlib.sha256(repr([np.asarray(v).tolist() for v in values]).encode()).hexdigest()


def test_constant_current_follows_the_closed_form(board_process, spynnaker_on):
    # v(t + 1) = v_inf + (v(t) - v_inf) exp(-1/20); rounding of exp and of each step adds up to
    # less than 20 LSB (0.0006 mV) between two resets.
    with spynnaker_on(board_process) as sim:
        cells = sim.Population(5, sim.IF_curr_exp(i_offset=1.0, tau_refrac=2.0))
        cells.record(["v", "spikes"])
        sim.run(100)
        data = cells.get_data().segments[0]
    v, spikes, silent, expected = -65.0, [], 0, []
    for step in range(100):
        expected.append(v)
        if silent:
            silent -= 1
            continue
        v = -45.0 + (v + 45.0) * math.exp(-1 / 20)
        if v >= -50.0:
            v, silent = -65.0, 2
            spikes.append(float(step))
    assert trains(data) == [spikes] * 5
    got = signal(data, "v")
    assert got.shape == (100, 5)
    assert np.abs(got[:2] - np.array(expected)[:2, None]).max() <= 3 * LSB
    assert np.abs(got - np.array(expected)[:, None]).max() <= 20 * LSB


def test_delays_and_weights_from_a_list(board_process, spynnaker_on):
    rows = [(0, 0, 2.0, 1.0), (1, 1, 2.0, 2.0), (2, 2, 1.0, 3.0), (0, 2, 0.5, 3.0)]
    with spynnaker_on(board_process) as sim:
        source = sim.Population(3, sim.SpikeSourceArray([[5.0], [5.0, 12.0], [7.0]]))
        cells = sim.Population(3, sim.IF_curr_exp())
        projection = sim.Projection(source, cells, sim.FromListConnector(rows))
        cells.record(["v", "gsyn_exc", "spikes"])
        source.record("spikes")
        sim.run(30)
        data = cells.get_data().segments[0]
        sent = trains(source.get_data().segments[0])
        connections = sorted(
            tuple(float(x) for x in row) for row in projection.get(["weight", "delay"], "list")
        )
    assert sent == [[5.0], [5.0, 12.0], [7.0]]
    assert connections == sorted(rows)
    assert trains(data) == [[], [], []]
    arrivals = [[(6, 2.0)], [(7, 2.0), (14, 2.0)], [(10, 1.0), (8, 0.5)]]
    current, v = np.zeros((30, 3)), np.full((30, 3), -65.0)
    for neuron, events in enumerate(arrivals):
        for step in range(30):
            before = current[step - 1, neuron] * DECAY_5 if step else 0.0
            arrived = sum(weight for time, weight in events if time == step)
            current[step, neuron] = before + arrived * CHARGE
            if step + 1 < 30:
                end = -65.0 + 20 * current[step, neuron]
                v[step + 1, neuron] = end + (v[step, neuron] - end) * math.exp(-1 / 20)
    assert np.abs(signal(data, "gsyn_exc") - current).max() <= 16 * LSB
    assert np.abs(signal(data, "v") - v).max() <= 60 * LSB


def follow(
    fired: np.ndarray, drive: float, start: np.ndarray, links: dict[str, np.ndarray], silent: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute in float64 what IF_curr_exp cells must do, given when all of them fired.

    fired: (steps, cells) of bool. Links: receptor -> (n, 4) rows of source, target, weight, delay.
    Returns v as it is recorded, (steps, cells), and v before the threshold is looked at, nan
    for the `silent` steps after a spike.
    """
    steps, cells = fired.shape
    buffer = {name: np.zeros((32, cells)) for name in links}
    current = {name: np.zeros(cells) for name in links}
    v, waiting = start.astype(float), np.zeros(cells, int)
    recorded, reached = np.zeros((steps, cells)), np.full((steps, cells), np.nan)
    for step in range(steps):
        recorded[step] = v
        end = np.full(cells, -65.0 + 20 * drive)
        for name, sign in (("excitatory", 1), ("inhibitory", -1)):
            current[name] = current[name] * DECAY_5 + buffer[name][step % 32] * CHARGE
            buffer[name][step % 32] = 0
            end += sign * 20 * current[name]
        active = waiting == 0
        reached[step, active] = (end + (v - end) * math.exp(-1 / 20))[active]
        v = np.where(active, reached[step], v)
        v[fired[step]] = -65.0
        waiting = np.where(fired[step], silent, np.maximum(waiting - 1, 0))
        for name, rows in links.items():
            sent = rows[fired[step, rows[:, 0].astype(int)]]
            slots = (step + sent[:, 3].astype(int)) % 32
            np.add.at(buffer[name], (slots, sent[:, 1].astype(int)), np.abs(sent[:, 2]))
    return recorded, reached


def all_pairs(pre: list[float], post: list[float], weight: float, delay: float) -> float:
    """Give the weight after additive all-pairs STDP, applied until the last pre-synaptic spike.

    All of the delay is dendritic. sPyNNaker 7.4 does not multiply the amplitudes by w_max, and
    counts a post-synaptic spike that arrives together with a pre-synaptic one as earlier.
    """
    for before in pre:
        for after in post:
            apart = after + delay - before
            if after + delay > pre[-1]:
                continue
            if apart > 0:
                weight += 0.1 * math.exp(-apart / 20)
            else:
                weight -= 0.12 * math.exp(apart / 25)
    return weight


def test_pair_stdp_follows_the_all_pairs_rule(board_process, spynnaker_on):
    # Every update is cut to the resolution of the weight, 1/2048 here.
    pre = [[10.0, 30.0, 55.0, 400.0], [22.0, 48.0, 400.0], [70.0, 400.0], [58.0, 400.0]]

    def run() -> tuple[list[float], list[float], np.ndarray]:
        with spynnaker_on(board_process) as sim:
            source = sim.Population(4, sim.SpikeSourceArray(pre))
            cell = sim.Population(1, sim.IF_curr_exp(i_offset=1.0))
            rule = sim.STDPMechanism(
                sim.SpikePairRule(tau_plus=20.0, tau_minus=25.0, A_plus=0.1, A_minus=0.12),
                sim.AdditiveWeightDependence(w_min=0.0, w_max=2.0),
                weight=0.5,
                delay=1.0,
            )
            plastic = sim.Projection(source, cell, sim.AllToAllConnector(), rule)
            cell.record(["spikes", "v"])
            sim.run(450)
            weights = plastic.get("weight", "list")
            data = cell.get_data().segments[0]
            return [float(row[2]) for row in weights], trains(data)[0], signal(data, "v")

    weights, fired, v = run()
    again = run()
    assert 10 <= len(fired) <= 30
    expected = [all_pairs(times, fired, 0.5, 1.0) for times in pre]
    assert len(set(expected)) == 4
    assert np.abs(np.array(weights) - expected).max() < 3 / 1024
    assert digest(weights, fired, v) == digest(*again)


def test_poisson_sources_and_random_connections_made_on_chip(board_process, spynnaker_on):
    with spynnaker_on(board_process) as sim:
        source = sim.Population(128, sim.SpikeSourcePoisson(rate=20.0), seed=1)
        cells = sim.Population(128, sim.IF_curr_exp(), seed=2)
        connector = sim.FixedProbabilityConnector(0.2)
        projection = sim.Projection(
            source, cells, connector, sim.StaticSynapse(weight=0.75, delay=2.0)
        )
        source.record("spikes")
        cells.record("spikes")
        sim.run(1000)
        counts = np.array([len(train) for train in trains(source.get_data().segments[0])])
        fired = trains(cells.get_data().segments[0])
        rows = np.array(
            [[float(x) for x in r] for r in projection.get(["weight", "delay"], "list")]
        )
    mean = 128 * 20.0
    assert abs(counts.sum() - mean) <= 4 * math.sqrt(mean)
    # Poisson: the variance over neurons is the mean, with a standard error of about mean / 8.
    assert abs(counts.var() - 20.0) <= 4 * 20.0 / 8
    pairs = 128 * 128
    assert abs(len(rows) - pairs * 0.2) <= 4 * math.sqrt(pairs * 0.2 * 0.8)
    assert len({(row[0], row[1]) for row in rows}) == len(rows)
    assert np.ptp(rows[:, 2]) == 0 and abs(rows[0, 2] - 0.75) <= 2.0**-10
    assert set(rows[:, 3]) == {2.0}
    assert sum(map(len, fired)) > 0


def test_default_configuration_gives_the_same_values_in_bulk(
    board_process, spynnaker_on, monkeypatch
):
    # 20,000 connections go in and 40,000 values of v come out, over the extra monitors.
    from spinn_front_end_common.utility_models import DataSpeedUpPacketGatherMachineVertex as Fast

    used = []
    for name in ("_send_data_via_extra_monitors", "_receive_data"):
        original = getattr(Fast, name)

        def spy(self, *arguments, _name=name, _original=original, **named):  # type: ignore
            used.append(_name)
            return _original(self, *arguments, **named)

        monkeypatch.setattr(Fast, name, spy)
    rng = np.random.default_rng(3)
    rows = [
        (i, j, float(w), float(d))
        for (i, j), w, d in zip(
            np.ndindex(100, 200),
            rng.integers(1, 100, 20000) / 1024,
            rng.integers(1, 16, 20000),
            strict=True,
        )
    ]
    times = [sorted({float(t) for t in rng.integers(1, 190, 5)}) for _ in range(100)]

    def run(default: bool) -> tuple[Any, ...]:
        with spynnaker_on(board_process, default=default) as sim:
            source = sim.Population(100, sim.SpikeSourceArray(times))
            cells = sim.Population(200, sim.IF_curr_exp())
            projection = sim.Projection(source, cells, sim.FromListConnector(rows))
            cells.record(["spikes", "v"])
            sim.run(200)
            data = cells.get_data().segments[0]
            weights = [[float(x) for x in r] for r in projection.get(["weight", "delay"], "list")]
            return trains(data), signal(data, "v"), sorted(weights)

    plain = run(False)
    assert not used
    default = run(True)
    assert set(used) == {"_send_data_via_extra_monitors", "_receive_data"}
    assert sum(map(len, plain[0])) > 0
    assert plain[0] == default[0]
    assert np.array_equal(plain[1], default[1])
    assert plain[2] == default[2]
    assert len(plain[2]) == len(rows)


@pytest.fixture
def recurrent():
    """Give a function that runs a balanced net of excitatory and inhibitory cells."""

    def run(sim: Any, cells: int, steps: int) -> dict[str, Any]:
        sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 64)
        parameters = {"i_offset": 0.85, "tau_refrac": 2.0}
        groups = {
            "E": sim.Population(cells * 4 // 5, sim.IF_curr_exp(**parameters), seed=5),
            "I": sim.Population(cells // 5, sim.IF_curr_exp(**parameters), seed=6),
        }
        projections = {}
        for source, weight, receptor in (("E", 0.5, "excitatory"), ("I", -2.5, "inhibitory")):
            for target in groups:
                projections[source, target] = sim.Projection(
                    groups[source],
                    groups[target],
                    sim.FixedProbabilityConnector(0.05),
                    sim.StaticSynapse(weight=weight, delay=2.0),
                    receptor_type=receptor,
                )
        for group in groups.values():
            group.initialize(v=sim.RandomDistribution("uniform", low=-65.0, high=-50.0))
            group.record(["spikes", "v"])
        sim.run(steps)
        data = {name: group.get_data().segments[0] for name, group in groups.items()}
        return {
            "spikes": trains(data["E"]) + trains(data["I"]),
            "v": np.hstack([signal(data["E"], "v"), signal(data["I"], "v")]),
            "links": {
                key: np.array([[float(x) for x in r] for r in p.get(["weight", "delay"], "list")])
                for key, p in projections.items()
            },
            "cores": len(list(sim_placements())),
        }

    return run


def sim_placements() -> list[Any]:
    """Give the placements of the last run."""
    from spynnaker.pyNN.data import SpynnakerDataView

    return list(SpynnakerDataView.iterate_placemements())


def test_recurrent_net_on_several_cores(board_process, spynnaker_on, recurrent):
    # Two runs are bit-identical. In float64, with the connections that the board made itself and
    # the spikes that it sent, v never differs by more than 0.01 mV and every spike is due.
    cells, excitatory, steps = 300, 240, 200
    with spynnaker_on(board_process) as sim:
        result = recurrent(sim, cells, steps)
    with spynnaker_on(board_process) as sim:
        again = recurrent(sim, cells, steps)
    assert digest(*result["spikes"]) == digest(*again["spikes"])
    assert digest(result["v"], *result["links"].values()) == digest(
        again["v"], *again["links"].values()
    )
    assert result["cores"] >= 5
    links = {}
    for receptor, source in (("excitatory", "E"), ("inhibitory", "I")):
        rows = []
        for target in "EI":
            part = result["links"][source, target].copy()
            part[:, 0] += excitatory * (source == "I")
            part[:, 1] += excitatory * (target == "I")
            rows.append(part)
        links[receptor] = np.vstack(rows)
    fired = np.zeros((steps, cells), bool)
    for cell, times in enumerate(result["spikes"]):
        fired[np.array(times, int), cell] = True
    v, reached = follow(fired, 0.85, result["v"][0], links, 2)
    allowed = 0.01
    assert np.abs(result["v"] - v).max() <= allowed
    assert (reached[fired] >= -50.0 - allowed).all()
    assert np.nanmax(np.where(fired, np.nan, reached)) < -50.0 + allowed
    rate = fired[50:].mean(0) * 1000
    assert 2 < rate.mean() < 60
    assert rate[:excitatory].std() > 1


def test_48_chips_give_what_4_chips_give(board_factory, spynnaker_on):
    results = []
    for version in (3, 5):
        with spynnaker_on(board_factory(version)) as sim:
            source = sim.Population(20, sim.SpikeSourcePoisson(rate=50.0), seed=4)
            cells = sim.Population(30, sim.IF_curr_exp(tau_refrac=2.0), seed=5)
            sim.Projection(
                source,
                cells,
                sim.FixedProbabilityConnector(0.5),
                sim.StaticSynapse(weight=1.0, delay=3.0),
            )
            cells.record(["spikes", "v"])
            sim.run(100)
            data = cells.get_data().segments[0]
            results.append((trains(data), signal(data, "v")))
    (small, small_v), (large, large_v) = results
    assert sum(map(len, small)) > 20
    assert small == large
    assert np.array_equal(small_v, large_v)


def test_run_again_and_reset(board_process, spynnaker_on):
    with spynnaker_on(board_process) as sim:
        source = sim.Population(
            4, sim.SpikeSourceArray([[5.0, 25.0], [12.0], [19.0, 20.0], [31.0]])
        )
        cells = sim.Population(4, sim.IF_curr_exp(i_offset=0.8))
        sim.Projection(
            source, cells, sim.OneToOneConnector(), sim.StaticSynapse(weight=3.0, delay=1.0)
        )
        cells.record(["spikes", "v"])
        sim.run(20)
        sim.run(20)
        sim.reset()
        sim.run(40)
        first, second = cells.get_data().segments
    assert signal(first, "v").shape == (40, 4)
    assert sum(map(len, trains(first))) >= 4
    assert trains(first) == trains(second)
    assert np.array_equal(signal(first, "v"), signal(second, "v"))


def test_conductances_pull_towards_their_reversal_potentials(board_process, spynnaker_on):
    # Each step: g decays and gains weight * CHARGE; then v moves for 1 ms under the current that
    # g lets through at the v before. 1 LSB of g makes 63 of v at each step, so v may be off by
    # 400 LSB (0.012 mV).
    with spynnaker_on(board_process) as sim:
        sources = sim.Population(2, sim.SpikeSourceArray([[3.0, 20.0], [10.0]]))
        cells = sim.Population(1, sim.IF_cond_exp(v_thresh=100.0))
        for index, receptor, weight in ((0, "excitatory", 0.05), (1, "inhibitory", 0.1)):
            sim.Projection(
                sources,
                cells,
                sim.FromListConnector([(index, 0, weight, 1.0)]),
                receptor_type=receptor,
            )
        cells.record(["v", "gsyn_exc", "gsyn_inh"])
        sim.run(40)
        data = cells.get_data().segments[0]
    v, g = -65.0, {"excitatory": 0.0, "inhibitory": 0.0}
    arrivals = {"excitatory": {4: 0.05, 21: 0.05}, "inhibitory": {11: 0.1}}
    rows = []
    for step in range(40):
        for name, times in arrivals.items():
            g[name] = g[name] * DECAY_5 + times.get(step, 0.0) * CHARGE
        rows.append((v, g["excitatory"], g["inhibitory"]))
        end = -65.0 + 20 * (g["excitatory"] * (0.0 - v) + g["inhibitory"] * (-70.0 - v))
        v = end + (v - end) * math.exp(-1 / 20)
    expected = np.array(rows)
    got = np.hstack([signal(data, name) for name in ("v", "gsyn_exc", "gsyn_inh")])
    assert expected[:, 0].max() > -55
    assert np.abs(got[:, 1:] - expected[:, 1:]).max() <= 16 * LSB
    assert np.abs(got[:, 0] - expected[:, 0]).max() <= 400 * LSB


def test_izhikevich_spikes_regularly(board_process, spynnaker_on):
    # Until the first spike, the midpoint rule for 1 ms steps in float64, with the constants rounded
    # to s16.15 (which matters: v * v makes 4000 of the error of 0.04).
    square = round(0.04 / LSB) * LSB
    a, b, c, d, drive = 0.02, 0.2, -65.0, 8.0, 10.0
    with spynnaker_on(board_process) as sim:
        cells = sim.Population(2, sim.Izhikevich(a=a, b=b, c=c, d=d, i_offset=[drive, 3.0]))
        cells.initialize(v=-65.0, u=-13.0)
        cells.record(["spikes", "v"])
        sim.run(500)
        data = cells.get_data().segments[0]
    v, u, expected = -65.0, -13.0, []

    def slope(v: float, u: float) -> tuple[float, float]:
        recovery = round(a / LSB) * LSB * (round(b / LSB) * LSB * v - u)
        return square * v * v + 5 * v + 140 - u + drive, recovery

    while v < 30.0:
        expected.append(v)
        dv, du = slope(v, u)
        dv, du = slope(v + dv / 2, u + du / 2)
        v, u = v + dv, u + du
    got, spikes = signal(data, "v"), trains(data)
    assert spikes[0][0] == len(expected) - 1
    assert np.abs(got[: len(expected), 0] - expected).max() <= 600 * LSB
    between = np.diff(spikes[0])
    assert len(between) >= 8 and np.ptp(between[3:]) <= 3 and between[0] < between[-1]
    assert spikes[1] == []


def binaries() -> set[str]:
    """Give the names of the binaries that the last run loaded."""
    return {str(p.vertex.get_binary_file_name()) for p in sim_placements()}


@pytest.mark.parametrize(("delay", "extended"), [(20, False), (200, True)])
def test_long_delays(board_process, spynnaker_on, delay, extended):
    # With 200 cells on a core, the ring buffer holds 32 steps; beyond that, a delay core helps.
    # (Not from a list: sPyNNaker 7.4 loses listed connections of more than two ring buffers.)
    times = [[5], [9, 11], [30]]
    with spynnaker_on(board_process) as sim:
        source = sim.Population(3, sim.SpikeSourceArray([[float(t) for t in ts] for ts in times]))
        cells = sim.Population(200, sim.IF_curr_exp())
        sim.Projection(
            source,
            cells,
            sim.OneToOneConnector(),
            sim.StaticSynapse(weight=1.0, delay=float(delay)),
        )
        cells.record("gsyn_exc")
        sim.run(260)
        got = signal(cells.get_data().segments[0], "gsyn_exc")
        loaded = binaries()
    assert any("delay_extension" in name for name in loaded) == extended
    expected = np.zeros((260, 200))
    for cell, sent in enumerate(times):
        for time in sent:
            arrival = time + delay
            expected[arrival:, cell] += CHARGE * DECAY_5 ** np.arange(260 - arrival)
    assert np.abs(got - expected).max() <= 16 * LSB


def test_convolution_flips_the_kernel(board_process, spynnaker_on):
    # All pixels spike at once: the first values of the currents are those of scipy's convolve2d,
    # with the positive and the negative part of the kernel on a receptor each. sPyNNaker's shapes
    # are (width, height); its neurons go row by row.
    from pyNN.space import Grid2D

    width, height = 12, 8
    rng = np.random.default_rng(7)
    image = rng.random((height, width)) < 0.3
    kernel = np.round(rng.normal(0.0, 1.0, (3, 3)) * 64) / 64
    times = [[5.0] if on else [30.0] for on in image.ravel()]
    with spynnaker_on(board_process) as sim:
        connector = sim.ConvolutionConnector(kernel)
        columns, rows = connector.get_post_shape((width, height))
        assert (columns, rows) == (10, 6)
        sim.set_number_of_neurons_per_core(sim.SpikeSourceArray, (width, height))
        source = sim.Population(
            height * width, sim.SpikeSourceArray(times), structure=Grid2D(width / height)
        )
        cells = sim.Population(
            rows * columns,
            sim.IF_curr_exp(v_thresh=1000.0),
            structure=Grid2D(columns / rows),
            neurons_per_core=(columns, rows),
        )
        sim.Projection(source, cells, connector, sim.Convolution())
        cells.record(["gsyn_exc", "gsyn_inh"])
        sim.run(20)
        data = cells.get_data().segments[0]
    for name, part in (("gsyn_exc", kernel.clip(min=0)), ("gsyn_inh", (-kernel).clip(min=0))):
        got = signal(data, name)
        assert not got[:6].any()
        expected = convolve2d(image, part, mode="valid") * CHARGE
        assert np.abs(got[6].reshape(rows, columns) - expected).max() <= 32 * LSB


def test_router_compressor_on_chip_changes_no_spike(board_process, spynnaker_on):
    # Four cores of sources go the same way: the compressor merges their entries.
    results = []
    for as_far_as_possible in (False, True):
        options = {
            "Mapping": {
                "routing_table_generator": "BasicRoutingTableGenerator",
                "router_table_compress_as_far_as_possible": as_far_as_possible,
            }
        }
        with spynnaker_on(board_process, options=options) as sim:
            sim.set_number_of_neurons_per_core(sim.SpikeSourceArray, 5)
            sim.set_number_of_neurons_per_core(sim.IF_curr_exp, 5)
            times = [[float(3 + i), float(40 - i)] for i in range(20)]
            source = sim.Population(20, sim.SpikeSourceArray(times))
            cells = sim.Population(20, sim.IF_curr_exp())
            rows = [(i, j, 0.1 * (j + 1), 1.0) for i in range(20) for j in range(20)]
            sim.Projection(source, cells, sim.FromListConnector(rows))
            cells.record("spikes")
            sim.run(60)
            spikes = trains(cells.get_data().segments[0])
            from spynnaker.pyNN.data import SpynnakerDataView as View

            tables = {
                (x, y): len(View.get_transceiver().get_multicast_routes(x, y, View.get_app_id()))
                for x, y in {(p.x, p.y) for p in sim_placements()}
            }
            results.append((spikes, tables))
    (spikes, entries), (same, fewer) = results
    assert sum(map(len, spikes)) >= 40
    assert spikes == same
    assert sum(fewer.values()) < sum(entries.values())


def test_injected_spikes_come_back_live(board_process, spynnaker_on):
    # A closed loop: each spike that comes out live makes the host inject the next one, until
    # each of the cells has had three.
    cells, wanted = 5, 15
    injected: list[int] = []
    received: list[tuple[int, int]] = []
    with spynnaker_on(board_process) as sim:
        external = sim.external_devices
        link = external.SpynnakerLiveSpikesConnection(
            receive_labels=["out"], send_labels=["in"], local_port=None
        )

        def inject(neuron: int) -> None:
            injected.append(neuron)
            link.send_spike("in", neuron)

        def answer(label: str, time: int, neurons: list[int]) -> None:
            received.extend((int(time), int(neuron)) for neuron in neurons)
            if len(injected) == wanted:
                external.request_stop()
            else:
                inject((int(neurons[-1]) + 1) % cells)

        try:
            source = sim.Population(
                cells, external.SpikeInjector(database_notify_port_num=link.local_port), label="in"
            )
            # One spike an injection; ready again before the loop has gone through the others.
            target = sim.Population(cells, sim.IF_curr_exp(tau_refrac=10.0), label="out")
            sim.Projection(
                source, target, sim.OneToOneConnector(), sim.StaticSynapse(weight=5.0, delay=1.0)
            )
            external.activate_live_output_for(target, database_notify_port_num=link.local_port)
            link.add_start_resume_callback("in", lambda label, connection: inject(0))
            link.add_receive_callback("out", answer)
            external.run_forever()
        finally:
            link.close()
    assert injected == [i % cells for i in range(wanted)]
    assert [neuron for _, neuron in received[:wanted]] == injected
    times = [time for time, _ in received]
    assert times == sorted(times)


def test_split_synapse_cores_give_what_one_core_gives(board_process, spynnaker_on):
    rng = np.random.default_rng(1)
    times = [sorted({float(t) for t in rng.integers(1, 90, 8)}) for _ in range(20)]
    results = []
    for split in ({}, {"n_synapse_cores": 1}):
        with spynnaker_on(board_process) as sim:
            source = sim.Population(20, sim.SpikeSourceArray(times))
            cells = sim.Population(20, sim.IF_curr_exp(), **split)
            sim.Projection(
                source, cells, sim.AllToAllConnector(), sim.StaticSynapse(weight=0.4, delay=1.0)
            )
            cells.record(["spikes", "v"])
            sim.run(100)
            data = cells.get_data().segments[0]
            results.append((trains(data), signal(data, "v"), binaries()))
    (whole, whole_v, _), (split_spikes, split_v, loaded) = results
    assert any("synapses" in name for name in loaded)
    assert sum(map(len, whole)) > 100
    assert whole == split_spikes
    assert np.array_equal(whole_v, split_v)
