"""Spike data as one record of two arrays, and the transforms that training and inference need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikingconvnet.errors import ModelError


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """Hold the spikes of a population: who fired and when, sorted by (time, neuron).

    neurons: int32 (n,), in 0..size-1; times: float64 (n,), ms; size: number of neurons.
    Raises ModelError when lengths differ, an index is out of range, or a time is not finite.
    """

    neurons: NDArray[np.integer[Any]]
    times: NDArray[np.float64]
    size: int

    def __post_init__(self) -> None:
        """Check, sort and freeze the arrays."""
        neurons = np.asarray(self.neurons)
        times = np.asarray(self.times, dtype=np.float64)
        if neurons.ndim != 1 or neurons.shape != times.shape:
            raise ModelError(
                f"SpikeTrains.times: shape {times.shape} (must match neurons, shape "
                f"{neurons.shape}, one axis)"
            )
        if len(neurons) and not (int(neurons.min()) >= 0 and int(neurons.max()) < self.size):
            raise ModelError(
                f"SpikeTrains.neurons: {neurons.min()}..{neurons.max()} "
                f"(must lie in 0..{self.size - 1})"
            )
        if not np.isfinite(times).all():
            raise ModelError("SpikeTrains.times: not finite (must be finite, in ms)")
        if not _is_sorted(neurons, times):
            order = np.lexsort((neurons, times))
            neurons, times = neurons[order], times[order]
        object.__setattr__(self, "neurons", _frozen(neurons.astype(np.int32)))
        object.__setattr__(self, "times", _frozen(times))

    def __len__(self) -> int:
        """Return the number of spikes."""
        return len(self.times)

    def __eq__(self, other: object) -> bool:
        """Compare sizes, neurons and times exactly."""
        if not isinstance(other, SpikeTrains):
            return NotImplemented
        return (
            self.size == other.size
            and np.array_equal(self.neurons, other.neurons)
            and np.array_equal(self.times, other.times)
        )

    __hash__ = None  # type: ignore[assignment]


def _is_sorted(neurons: NDArray[Any], times: NDArray[np.float64]) -> bool:
    steps = np.diff(times)
    return bool(np.all((steps > 0) | ((steps == 0) & (np.diff(neurons) >= 0))))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def empty(size: int) -> SpikeTrains:
    """Return the trains of `size` silent neurons."""
    return SpikeTrains(np.zeros(0, np.int32), np.zeros(0), size)


def from_lists(trains: Iterable[ArrayLike]) -> SpikeTrains:
    """Return the record of one sequence of spike times (ms) per neuron."""
    arrays = [np.asarray(train, dtype=np.float64).reshape(-1) for train in trains]
    neurons = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
    return SpikeTrains(neurons, np.concatenate([np.zeros(0), *arrays]), len(arrays))


def to_lists(trains: SpikeTrains) -> list[list[float]]:
    """Return one sorted list of spike times (ms) per neuron, as SpikeSourceArray takes them."""
    order = np.argsort(trains.neurons, kind="stable")
    ends = np.cumsum(np.bincount(trains.neurons, minlength=trains.size))
    split = np.split(trains.times[order], ends[:-1]) if trains.size else []
    return [part.tolist() for part in split]


def counts(
    trains: SpikeTrains, interval_ms: float, intervals: int, start_ms: float = 0.0
) -> NDArray[np.int64]:
    """Count spikes per neuron and interval -> (intervals, size).

    Interval i is ``[start + i * interval, start + (i + 1) * interval)``; spikes outside every
    interval are not counted.
    """
    which, inside = _intervals(trains, interval_ms, intervals, start_ms)
    flat = which[inside] * trains.size + trains.neurons[inside]
    total = np.bincount(flat, minlength=intervals * trains.size)
    return total.reshape(intervals, trains.size).astype(np.int64)


def first_spike_times(
    trains: SpikeTrains, interval_ms: float, intervals: int, start_ms: float = 0.0
) -> NDArray[np.float64]:
    """Return each neuron's first spike in each interval, ms from the interval's start.

    Shape (intervals, size); infinity where a neuron stayed silent.
    """
    which, inside = _intervals(trains, interval_ms, intervals, start_ms)
    first = np.full((intervals, trains.size), np.inf)
    offset = trains.times[inside] - start_ms - which[inside] * interval_ms
    np.minimum.at(first, (which[inside], trains.neurons[inside]), offset)
    return first


def _intervals(
    trains: SpikeTrains, interval_ms: float, intervals: int, start_ms: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if interval_ms <= 0:
        raise ModelError(f"interval_ms: {interval_ms} (must be above 0)")
    which = np.floor((trains.times - start_ms) / interval_ms).astype(np.int64)
    return which, (which >= 0) & (which < intervals)


def shift(trains: SpikeTrains, by_ms: float) -> SpikeTrains:
    """Return the trains with every time moved by `by_ms`."""
    return SpikeTrains(trains.neurons, trains.times + by_ms, trains.size)


def cut(trains: SpikeTrains, start_ms: float, end_ms: float) -> SpikeTrains:
    """Return the spikes in [start, end), their times unchanged."""
    begin, end = np.searchsorted(trains.times, [start_ms, end_ms], side="left")
    return SpikeTrains(trains.neurons[begin:end], trains.times[begin:end], trains.size)


def window(trains: SpikeTrains, start_ms: float, end_ms: float) -> SpikeTrains:
    """Return the spikes in [start, end), timed from `start_ms`."""
    return shift(cut(trains, start_ms, end_ms), -start_ms)


def select(trains: SpikeTrains, neurons: ArrayLike) -> SpikeTrains:
    """Return the trains of the neurons named, renumbered 0, 1, … in the order given."""
    wanted = np.asarray(neurons, dtype=np.int64)
    number = np.full(trains.size, -1, np.int64)
    number[wanted] = np.arange(len(wanted))
    keep = number[trains.neurons] >= 0
    return SpikeTrains(number[trains.neurons[keep]], trains.times[keep], len(wanted))


def merge(parts: Sequence[SpikeTrains]) -> SpikeTrains:
    """Return all spikes of several trains of the same neurons on one clock."""
    sizes = {part.size for part in parts}
    if len(sizes) != 1:
        raise ModelError(f"merge: sizes {sorted(sizes)} (must be one and the same size)")
    neurons = np.concatenate([part.neurons for part in parts])
    return SpikeTrains(neurons, np.concatenate([part.times for part in parts]), sizes.pop())


def concatenate(parts: Sequence[SpikeTrains], duration_ms: float) -> SpikeTrains:
    """Play several trains of the same neurons one after the other, `duration_ms` apart."""
    return merge([shift(part, i * duration_ms) for i, part in enumerate(parts)])
