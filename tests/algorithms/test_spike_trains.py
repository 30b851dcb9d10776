import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.algorithms import spike_trains as trains_of
from spikingconvnet.algorithms.spike_trains import SpikeTrains
from spikingconvnet.errors import ModelError


@st.composite
def spike_trains(draw, size=None):
    size = draw(st.integers(1, 5)) if size is None else size
    spikes = st.tuples(st.integers(0, size - 1), st.integers(0, 99))
    events = draw(st.lists(spikes, max_size=30))
    neurons = np.array([neuron for neuron, _ in events], dtype=np.int32)
    return SpikeTrains(neurons, np.array([float(time) for _, time in events]), size)


@settings(deadline=None)
@given(spike_trains())
def test_spikes_are_sorted_by_time_then_neuron(trains):
    pairs = list(zip(trains.times, trains.neurons, strict=True))
    assert pairs == sorted(pairs)
    assert trains.neurons.dtype == np.int32 and trains.times.dtype == np.float64


@settings(deadline=None)
@given(spike_trains())
def test_lists_and_back(trains):
    lists = trains_of.to_lists(trains)
    assert len(lists) == trains.size
    assert all(train == sorted(train) for train in lists)
    assert trains_of.from_lists(lists) == trains


def test_lists_of_silent_neurons_are_empty():
    assert trains_of.to_lists(trains_of.empty(3)) == [[], [], []]
    assert trains_of.from_lists([[], [2.0], []]).size == 3
    assert len(trains_of.from_lists([])) == 0


@settings(deadline=None)
@given(spike_trains(), st.integers(1, 40), st.integers(0, 4), st.integers(0, 50))
def test_counts_equal_the_naive_count(trains, interval, intervals, start):
    wanted = np.zeros((intervals, trains.size), int)
    for neuron, time in zip(trains.neurons, trains.times, strict=True):
        for i in range(intervals):
            wanted[i, neuron] += start + i * interval <= time < start + (i + 1) * interval
    assert np.array_equal(trains_of.counts(trains, interval, intervals, start), wanted)


@settings(deadline=None)
@given(spike_trains(), st.integers(1, 40), st.integers(1, 4))
def test_first_spike_times_equal_the_naive_search(trains, interval, intervals):
    wanted = np.full((intervals, trains.size), np.inf)
    for neuron, time in zip(trains.neurons, trains.times, strict=True):
        i = int(time // interval)
        if i < intervals:
            wanted[i, neuron] = min(wanted[i, neuron], time - i * interval)
    assert np.array_equal(trains_of.first_spike_times(trains, interval, intervals), wanted)


@settings(deadline=None)
@given(spike_trains(), st.integers(0, 99), st.integers(0, 99))
def test_cut_and_window_keep_the_half_open_interval(trains, start, end):
    kept = trains_of.cut(trains, start, end)
    assert kept.times.tolist() == [t for t in trains.times if start <= t < end]
    assert trains_of.window(trains, start, end) == trains_of.shift(kept, -start)


@settings(deadline=None)
@given(spike_trains(size=3), spike_trains(size=3))
def test_concatenate_plays_one_after_the_other(first, second):
    both = trains_of.concatenate([first, second], 100)
    assert trains_of.window(both, 0, 100) == first
    assert trains_of.window(both, 100, 200) == second
    assert len(trains_of.merge([first, second])) == len(first) + len(second)


def test_select_renumbers_in_the_order_given():
    trains = trains_of.from_lists([[1.0], [2.0], [3.0]])
    assert trains_of.to_lists(trains_of.select(trains, [2, 0])) == [[3.0], [1.0]]


def test_arrays_cannot_be_written():
    trains = trains_of.from_lists([[1.0]])
    with pytest.raises(ValueError, match="read-only"):
        trains.times[0] = 2.0


def test_making_a_record_leaves_the_callers_array_writable():
    times = np.array([1.0])
    SpikeTrains(np.zeros(1, np.int32), times, 1)
    times[0] = 2.0


@pytest.mark.parametrize(
    ("neurons", "times", "message"),
    [
        ([0, 1], [1.0], r"SpikeTrains\.times: shape \(1,\) \(must match neurons"),
        ([0, 2], [1.0, 2.0], r"SpikeTrains\.neurons: 0\.\.2 \(must lie in 0\.\.1\)"),
        ([-1], [1.0], r"SpikeTrains\.neurons: -1"),
        ([0], [np.nan], r"SpikeTrains\.times: not finite"),
    ],
)
def test_impossible_spikes_are_refused(neurons, times, message):
    with pytest.raises(ModelError, match=message):
        SpikeTrains(np.array(neurons), np.array(times), 2)


def test_merging_different_populations_is_refused():
    with pytest.raises(ModelError, match=r"merge: sizes \[1, 2\]"):
        trains_of.merge([trains_of.empty(1), trains_of.empty(2)])


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ModelError, match=r"interval_ms: 0 \(must be above 0\)"):
        trains_of.counts(trains_of.empty(1), 0, 1)
