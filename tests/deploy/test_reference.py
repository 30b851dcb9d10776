"""A deployment in double precision: on a simulator of this file, and on NEST where it is there."""

from types import SimpleNamespace

import numpy as np
import pytest
import quantities as pq
from drawn_waves import random_waves
from small_networks import STEPS, listed, on_chip, predicted

from spikingconvnet.algorithms.drift import drift
from spikingconvnet.backends import reference
from spikingconvnet.classes.deployed import deployment
from spikingconvnet.classes.deployed_reference import ReferenceNetwork
from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.engine import board_semantics
from spikingconvnet.errors import BoardError


class Ideal:
    """As much of PyNN as the reference asks for: IF_curr_delta with a floor, steps of 1 ms."""

    IF_curr_delta = type("IF_curr_delta", (SimpleNamespace,), {})
    StaticSynapse = SpikeSourceArray = SimpleNamespace

    def setup(self, **_options):
        self.populations, self.projections = [], []

    def FromListConnector(self, table, column_names):
        assert list(column_names) == ["weight", "delay"]
        return table

    def Population(self, size, cell):
        made = SimpleNamespace(size=size, cell=cell, v=np.zeros(size), fired=[], values=[])
        made.low = -np.inf
        made.node_collection = SimpleNamespace(set=lambda V_min: setattr(made, "low", V_min))
        made.initialize = lambda v: made.v.__setitem__(slice(None), v)
        made.record = lambda what: None
        made.get_data = lambda what: SimpleNamespace(segments=[self.data(made)])
        self.populations.append(made)
        return made

    def Projection(self, pre, post, table, synapse, receptor_type):
        assert (table[:, 2] < 0).all() == (receptor_type == "inhibitory")
        self.projections.append((pre, post, table))

    def data(self, population):
        trains = [
            SimpleNamespace(magnitude=np.flatnonzero(on).astype(float))
            for on in np.array(population.fired).T
        ]
        signal = SimpleNamespace(times=[0 * pq.ms], magnitude=np.array(population.values))
        return SimpleNamespace(spiketrains=trains, analogsignals=[signal])

    def run(self, duration):
        end = int(duration)
        coming = {id(each): np.zeros((end + 20, each.size)) for each in self.populations}
        for t in range(end):
            for each in self.populations:
                each.fired.append(self.step(each, t, coming[id(each)][t]))
                each.values.append(each.v.copy())
            for pre, post, (*table,) in self.projections:
                for one, other, weight, delay in table:
                    if pre.fired[t][int(one)]:
                        coming[id(post)][t + int(delay), int(other)] += weight

    def step(self, each, t, arriving):
        if hasattr(each.cell, "spike_times"):
            return np.array([t in times.value for times in each.cell.spike_times])
        kept = np.exp(-1 / each.cell.tau_m)
        each.v = np.maximum(each.v * kept + arriving, each.low)
        fired = each.v >= each.cell.v_thresh
        each.v[fired] = each.cell.v_reset
        return fired

    def end(self):
        self.ended = True


def case(kind, images):
    rng = np.random.default_rng(4)
    shape = (6, 7) if kind == "list" else (8, 12)
    model, weights, answers = listed(rng, LinearSVM(levels=9)) if kind == "list" else on_chip(rng)
    waves = random_waves(rng, (*shape, 1), STEPS, images, share=0.5)
    expected, last = predicted(model, waves, weights)
    labels = answers.classes[
        (board_semantics.sums(last, answers.weights) + answers.offsets).argmax(axis=1)
    ]
    return deployment(model, shape, weights, answers), waves, expected, labels


@pytest.mark.parametrize("kind", ["list", "convolution"])
def test_double_precision_does_what_the_host_predicts(kind):
    plan, waves, expected, labels = case(kind, 2)
    seen = ReferenceNetwork(Ideal(), plan).run(waves)
    assert {name: drift(expected[name], found).equal for name, found in seen.waves.items()} == (
        dict.fromkeys(expected, True)
    )
    assert not any(seen.strays.values()) and seen.labels.tolist() == labels.tolist()


def test_nest_does_it_or_a_line_says_how_to_get_it(tmp_path):
    plan, waves, expected, labels = case("convolution", 3)
    if reference.installed():
        seen = reference.run(plan, waves, tmp_path / "nest.log")
        assert all(drift(expected[name], found).equal for name, found in seen.waves.items())
        assert seen.labels.tolist() == labels.tolist()
    else:
        assert "pip install 'spikingconvnet[nest]'" in reference.MISSING
        with pytest.raises(BoardError, match=r"simulator NEST: failed.*nest.log"):
            reference.run(plan, waves, tmp_path / "nest.log")
