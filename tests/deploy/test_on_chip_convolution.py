"""Layers that the board's own convolution connects: its wiring, its numbers, and the prediction."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_waves import random_waves
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import STEPS, check_bill, on_chip, predicted

from spikingconvnet.algorithms import board_kernels, board_layers, board_neurons
from spikingconvnet.algorithms.drift import drift
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import Answers, deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.single_spike import DenseDecision, LinearSVM, Pool, SpikingConv
from spikingconvnet.engine import board_semantics
from spikingconvnet.errors import ModelError, UsageError


def test_the_board_does_what_the_host_predicts(board_backend):
    rng = np.random.default_rng(4)
    model, weights, answers = on_chip(rng)
    waves = random_waves(rng, (8, 12, 1), STEPS, 12, share=0.5)
    expected, last = predicted(model, waves, weights)
    offsets = -np.rint(board_semantics.sums(last, answers.weights).mean(axis=0)).astype(int)
    answers = replace(answers, offsets=offsets)
    plan = deployment(model, (8, 12), weights, answers)
    with DeployedNetwork(board_backend.sim, plan) as network:
        seen = network.run(waves)
        assert network.synapses == plan.synapses
    assert min(len(found.unit) for found in expected.values()) > 100
    assert {name: drift(expected[name], found).equal for name, found in seen.waves.items()} == {
        "conv 1": True, "pool 1": True, "conv 2": True
    }  # fmt: skip
    assert not any(seen.strays.values())
    sums = board_semantics.sums(last, answers.weights) + answers.offsets
    assert seen.labels.tolist() == answers.classes[sums.argmax(axis=1)].tolist()
    assert len(set(seen.labels.tolist())) > 1


def test_maps_that_several_cores_share_answer_through_lists(board_backend):
    """Cores hold rectangles of a map, so that their units do not follow each other in the list.

    Of three channels of the input, one never fires; the last image is dark.
    """
    rng = np.random.default_rng(7)
    layer = SpikingConv(maps=2, shape=3, threshold=1.5, padding=1, levels=1)
    readout = LinearSVM(levels=9)
    encoder = SimpleNamespace(steps=STEPS, output_shape=lambda shape: (*shape, 3))
    model = HostModel("wide", "", encoder, (layer,), readout, "convolution")
    weights = [rng.random((2, 3, 3, 3))]
    waves = random_waves(rng, (20, 20, 3), STEPS, 8, share=0.1)
    bright = (waves.unit % 3 != 1) & (np.repeat(np.arange(8), np.diff(waves.start)) < 7)
    start = np.append(0, np.cumsum(bright))[waves.start]
    waves = Waves(waves.shape, STEPS, start, waves.unit[bright], waves.step[bright])
    expected, last = predicted(model, waves, weights)
    whole = rng.integers(-9, 10, (3, 800))
    offsets = -np.rint(board_semantics.sums(last, whole).mean(axis=0)).astype(int)
    plan = deployment(model, (20, 20), weights, Answers(whole, offsets, np.arange(3)))
    assert plan.layers[1].grid == (20, 10)
    with DeployedNetwork(board_backend.sim, plan) as network:
        seen = network.run(waves)
    assert drift(expected["conv 1"], seen.waves["conv 1"]).equal and len(last.unit) > 100
    labels = (board_semantics.sums(last, whole) + offsets).argmax(axis=1)
    assert seen.labels.tolist() == labels.tolist() and len(set(labels.tolist())) == 3


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 30), st.integers(1, 60), st.integers(0, 31), st.integers(0, 2**32 - 1))
def test_one_neuron_counts_units_exactly_in_fixed_point(most, drive, rivals, seed):
    """Three images of a neuron that is cleared before each, and pushed at a random step."""
    rng, steps, images = np.random.default_rng(seed), 15, 3
    numbers = board_kernels.scale("drawn", most, drive, rivals, steps)
    period, first = steps + 2, 2
    shown = rng.multinomial(rng.integers(0, drive + 1, images), np.full(steps, 1 / steps))
    exc, inh = (np.zeros((images * period + 2, 1)) for _ in range(2))
    expected = np.zeros(len(exc), bool)
    for image, counts in enumerate(shown):
        start = image * period
        exc[start, 0] += numbers.flush
        exc[start + 1, 0], inh[start + 1, 0] = numbers.lift, rivals * numbers.push
        exc[start + first : start + first + steps, 0] += counts * numbers.unit
        pushed = int(rng.integers(0, steps + 1))
        inh[start + first + pushed, 0] += rng.integers(0, rivals + 1) * numbers.push
        silenced = inh[start + first + pushed, 0] > 0
        above = np.flatnonzero(np.cumsum(counts) > most)
        expected[start] = True
        if len(above) and not (silenced and pushed <= above[0]):
            expected[start + first + above[0]] = True
    exc[-2, 0] += numbers.flush
    expected[-2] = True
    parameters = board_kernels.neuron(numbers.v_thresh, numbers.v_reset) | {"v": numbers.v_reset}
    course = board_neurons.simulate(
        "IF_curr_exp", parameters, {"excitatory": exc, "inhibitory": inh}
    )
    assert np.array_equal(course.fired[:-1, 0], expected[:-1])


def test_a_kernel_is_turned_and_read_row_by_row():
    weights = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert board_kernels.as_kernel(weights).tolist() == [[6.0, 5.0], [4.0, 3.0], [2.0, 1.0]]


@settings(deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3, 5]), st.integers(0, 6), st.integers(12, 24))
def test_pooling_by_the_connector_sees_the_windows_of_the_definition(stride, k, padding, size):
    """The connector's own arithmetic, as tried on the board, against windows and their number."""
    window, half = stride * k, k // 2
    if padding < half * stride or size + 2 * padding < window:
        return
    (found, _), (pad, _) = board_kernels.pooling(
        "Pool", (window,) * 2, (stride,) * 2, (padding,) * 2
    )
    assert found == k
    centre = (np.arange(size) + pad - half) // stride
    count = (size - k + 1 + 2 * pad) // stride
    assert count == Pool(window, stride, padding).output_shape((size, size, 1))[0]
    start = np.arange(count) * stride - padding
    for y in range(size):
        seen = (start <= y) & (y < start + window)
        assert np.array_equal(np.abs(np.arange(count) - centre[y]) <= half, seen)


def test_synapses_are_those_of_a_list():
    rng = np.random.default_rng(0)
    kernels = rng.integers(0, 3, (2, 3, 3, 5))
    found = board_layers.windows((7, 9, 3), kernels, (1, 1), (1, 2))
    assert board_kernels.synapses(kernels, (7, 9, 3), (7, 9), (1, 1), (1, 2)) == len(found)


def test_a_core_takes_a_rectangle_that_divides_the_map():
    assert board_kernels.core_grid((28, 28), 256) == (14, 14)
    assert board_kernels.core_grid((9, 9), 256) == (9, 9)
    assert board_kernels.core_grid((29, 31), 256) == (1, 31)


def test_the_bill_is_what_spynnaker_maps(tmp_path):
    rng = np.random.default_rng(4)
    model, weights, answers = on_chip(rng)
    plan = deployment(model, (8, 12), weights, answers)
    check_bill(plan, random_waves(rng, (8, 12, 1), STEPS, 10), tmp_path)


CASES = {
    "stride": SpikingConv(2, 3, 1.0, stride=2, levels=1),
    "must be odd": SpikingConv(2, 4, 1.0, levels=1),
    "crop": SpikingConv(2, 3, 1.0, crop=1, levels=1),
    "window 6 at stride 3": SpikingConv(2, 3, 1.0, levels=1, pool=Pool(6, 3)),
    "must be at least 2": SpikingConv(2, 3, 1.0, levels=1, pool=Pool(6, 2)),
}


@pytest.mark.parametrize("words", CASES)
def test_what_on_chip_convolution_cannot_compute_is_refused(words):
    layers = (CASES[words],)
    model = HostModel("odd", "", RankOrder(STEPS), layers, DenseDecision(levels=4), "convolution")
    with pytest.raises(UsageError, match=words):
        deployment(model, (12, 12), [np.ones((2, 1, 3, 3))], Answers(*(np.ones((3, 1), int),) * 3))


def test_numbers_beyond_the_board_are_refused_by_the_name_of_the_layer():
    with pytest.raises(ModelError, match=r"conv 1: leak and rounding"):
        board_kernels.scale("conv 1", 100, 200, 0, 15)
    with pytest.raises(ModelError, match="connector: 'lists'"):
        HostModel("odd", "", RankOrder(STEPS), (), DenseDecision(levels=4), "lists")
