"""Whether the layers that a board infers with fit on it, known before the toolchain maps them."""

from collections.abc import Sequence

from spikingconvnet.backends.preflight import room
from spikingconvnet.classes.deployed_parts import NEURONS_PER_CORE, SOURCES_PER_CORE
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.classes.model import Stage
from spikingconvnet.errors import UsageError


def cores(stages: Sequence[Stage], sets: int) -> dict[str, int]:
    """Return the cores that sPyNNaker 7.4.1 takes for each layer, so many sets of it at a time."""
    height, width, channels = stages[0].input_shape
    found = {"input": -(-height * width * channels // SOURCES_PER_CORE)}
    return found | {stage.name: sets * _cores_of(stage.neurons) for stage in stages}


def _cores_of(neurons: int) -> int:
    return -(-neurons // NEURONS_PER_CORE)


def refuse(stages: Sequence[Stage], sets: int, version: int) -> None:
    """Raise UsageError, naming the layer and the smallest change that fits, if they do not fit."""
    needs, has = cores(stages, sets), room(version).cores
    used = sum(needs.values())
    if used <= has:
        return
    name = max(needs, key=lambda stage: needs[stage])
    larger = room(5).cores
    options = [f"--board-version 5 has {larger}"] if version == 3 and used <= larger else []
    options += _fewer_kernels(stages, sets, name, has)
    options = options or ["a larger stride, or a smaller image, is needed"]
    raise UsageError(
        f"{name} takes {needs[name]:,} of {used:,} cores of a SpiNN-{version} (must be {has:,} at "
        f"most; {', '.join(options)}); nothing was loaded"
    )


def _fewer_kernels(stages: Sequence[Stage], sets: int, name: str, has: int) -> list[str]:
    """Say how many kernels of the layer, with which its pooling shrinks as well, would fit."""
    names = [stage.name for stage in stages]
    convs = [i for i, stage in enumerate(stages) if isinstance(stage.layer, ConvLayer)]
    if name not in names or not convs:
        return []
    first = max(i for i in convs if i <= names.index(name))
    end = min([i for i in convs if i > first], default=len(stages))
    others = sum(cores(stages, sets).values())
    others -= sum(sets * _cores_of(stage.neurons) for stage in stages[first:end])
    kernels = stages[first].output_shape[2]
    for fewer in range(kernels - 1, 0, -1):
        shrunk = (stage.neurons // kernels * fewer for stage in stages[first:end])
        if others + sum(sets * _cores_of(neurons) for neurons in shrunk) <= has:
            return [f"{stages[first].name} with kernels {fewer} fits"]
    return []
