"""What keeps a network from a board: the mechanism that a part needs, the setting to change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spikingconvnet.classes import deployed_kernels
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import TimeToFirstSpike
from spikingconvnet.classes.single_spike import (
    Branches,
    DenseDecision,
    LinearSVM,
    MajorityVote,
    SpikingConv,
)

MECHANISMS = {
    "winner": "the highest of several potentials wins a step: neurons cannot compare theirs (with "
    "`levels`, ties fire together)",
    "weights": "weights are real numbers: a core sums 16 bits (`levels` rounds them)",
    "add": "units fire once for each branch, in any order: not built from stock neurons",
    "beside": "layers side by side: not built from stock neurons",
    "or": "a unit fires with the first of two layers: not built from stock neurons",
    "and": "a unit fires with the later of two layers: not built from stock neurons",
    "channels": "a layer sees some of the channels: not built from stock neurons",
    "sign": "weights may be negative",
    "repeat": "inputs fire more than once",
    "place": "the highest potential of all maps and places answers: not built from stock neurons",
    "votes": "several decision layers vote, and the first breaks ties: nothing neurons do",
    "latency": "the read-out weighs when a unit fired: potentials hold only that it did",
    "adaptive": "thresholds rise with each spike, leaks are linear, losers get a potential set: "
    "no stock neuron has these",
    "connector": "the board's convolution strides, pools and pads otherwise",
}
"""What stock neurons lack, or what has not been built from them, by a word."""


@dataclass(frozen=True)
class Obstacle:
    """Hold a key of MECHANISMS, and the part and setting in question with what would be valid."""

    mechanism: str
    text: str


def obstacles(model: HostModel | FullyConnectedModel) -> tuple[Obstacle, ...]:
    """Return what keeps a model from being deployed, the first part first; nothing: it deploys."""
    if isinstance(model, FullyConnectedModel):
        text = "layer 1: FullyConnected (must be a convolutional network of the zoo)"
        return (Obstacle("adaptive", text),)
    found = [Obstacle(*each) for each in _of_encoder(model.encoder)]
    for number, layer in enumerate(model.layers, 1):
        found += [Obstacle(kind, f"layer {number}: {text}") for kind, text in _of_layer(layer)]
    if model.connector == "convolution":
        found += [Obstacle("connector", text) for text in deployed_kernels.problems(model)]
    return (*found, *(Obstacle(*each) for each in _of_readout(model.readout)))


def reasons(model: HostModel | FullyConnectedModel) -> str:
    """Return the mechanisms in the way, each once, in one line; empty for a model that deploys."""
    kinds = dict.fromkeys(each.mechanism for each in obstacles(model))
    return "; ".join(MECHANISMS[kind] for kind in kinds)


def verdict(model: HostModel | FullyConnectedModel) -> str:
    """Say whether a model deploys, and if not why."""
    why = reasons(model)
    return f"does not deploy: {why}" if why else "deploys (--mode deploy)"


def _of_encoder(encoder: Any) -> Iterator[tuple[str, str]]:
    if isinstance(encoder, TimeToFirstSpike) and encoder.repeat:
        yield (
            "repeat",
            "encoder TimeToFirstSpike.repeat: True (must be False: a unit fires once on a board)",
        )


def _of_layer(layer: SpikingConv | Branches) -> Iterator[tuple[str, str]]:
    if isinstance(layer, Branches):
        yield layer.merge, f"Branches, merged by {layer.merge!r} (must be a SpikingConv)"
        for branch in layer.layers:
            yield from _of_layer(branch)
        return
    if layer.levels is None:
        yield (
            "winner" if layer.inhibition else "weights",
            "SpikingConv.levels: None (must be a number: the host must round its weights and let "
            "ties fire as a board does; 1 for binary kernels)",
        )
    if layer.channels is not None:
        yield "channels", f"SpikingConv.channels: {layer.channels} (must be None)"
    if layer.rule.w_min < 0:
        yield "sign", f"rule.w_min: {layer.rule.w_min:g} (must be at least 0)"


def _of_readout(readout: Any) -> Iterator[tuple[str, str]]:
    name = type(readout).__name__
    if not isinstance(readout, DenseDecision | LinearSVM):
        kind = "votes" if isinstance(readout, MajorityVote) else "place"
        yield kind, f"read-out: {name} (must be a DenseDecision or a LinearSVM)"
        return
    if isinstance(readout, LinearSVM) and readout.features != "fired":
        features = readout.features
        yield "latency", f"read-out LinearSVM.features: {features!r} (must be 'fired')"
    if readout.levels is None:
        yield "weights", f"read-out {name}.levels: None (must be a number, such as 16)"
