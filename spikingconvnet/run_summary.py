"""What a run directory holds, in words and tables, whichever model it belongs to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.layers import ConvLayer
from spikingconvnet.errors import StorageError
from spikingconvnet.job import (
    DATA,
    DATA_RECORD,
    METRICS,
    NETWORK,
    READOUT_RECORD,
    TIMING,
    Job,
    image_shape,
)
from spikingconvnet.utilities import journal

RESULTS = {
    "trained": "trained",
    "control": "control: untrained",
    "ann": "dense network, back-propagation",
}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Summary:
    """Hold what is known of a run; `layers` starts with the titles of its columns."""

    title: str
    source: str
    facts: list[tuple[str, str]]
    layers: list[Row]
    metrics: dict[str, Any]
    spikes: list[Row]
    programs: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    missing: list[str]


def of(job: Job) -> Summary:
    """Return what there is; damaged files count as missing, and are named."""
    faults: list[str] = []
    data = _record(job, DATA_RECORD, faults)
    found = _record(job, METRICS, faults)
    shape = _shape(job, faults)
    weights = _weights(job, _trained_layers(job, shape), faults)
    title = "the network of parameters.py" if job.model is None else job.model.name
    return Summary(
        title,
        "" if job.model is None else job.model.source,
        list(_facts(job, data, found, weights)),
        _layers(job, shape, weights),
        found,
        _spikes(found),
        _record(job, TIMING, faults).get("programs", []),
        _commands(job),
        [*_missing(job, _trained_layers(job, shape)), *faults],
    )


def _record(job: Job, name: str, faults: list[str]) -> dict[str, Any]:
    if not job.run.has(name):
        return {}
    try:
        return job.run.load_json(name)
    except StorageError as error:
        faults.append(str(error))
        return {}


def _shape(job: Job, faults: list[str]) -> tuple[int, int]:
    """Return (height, width) of the run's images, or of those it would have."""
    try:
        return image_shape(job)
    except StorageError as error:
        faults.append(str(error))
        return (28, 28)


def _weights(job: Job, numbers: Sequence[int], faults: list[str]) -> dict[int, Any]:
    """Return the saved weights of every layer by number."""
    found = {}
    for number in numbers:
        if job.run.has_weights(number):
            try:
                found[number] = job.run.load_weights(number)
            except StorageError as error:
                faults.append(str(error))
    return found


def _trained_layers(job: Job, shape: tuple[int, int]) -> list[int]:
    """Return the numbers of the convolutions that are trained."""
    if job.model is None:
        return list(range(1, len(job.config.model(shape).conv_layers) + 1))
    if isinstance(job.model, HostModel):
        return [place.number for place in job.model.places(shape) if place.layer.images]
    return []


def _facts(
    job: Job, data: Mapping[str, Any], found: Mapping[str, Any], weights: Mapping[int, Any]
) -> Iterator[tuple[str, str]]:
    if data:
        names = ", ".join(map(str, data.get("names", data["classes"])))
        yield "data", str(data["origin"])
        yield "classes", names
        yield (
            "images",
            f"{data['train_images']:,} for training, {data['test_images']:,} for testing",
        )
    yield "seed", str(found.get("seed", data.get("seed", job.seed)))
    origins = [found.get("origin"), *(one.origin for one in weights.values())]
    yield "origin", ", ".join(dict.fromkeys(str(one) for one in origins if one)) or "nothing yet"
    if job.model is not None:
        encoder = job.model.encoder
        yield "encoder", repr(encoder)
        if isinstance(job.model, HostModel):
            yield "read-out", repr(job.model.readout)
    else:
        yield "encoder", repr(job.config.encoder)
        yield "filter", repr(job.config.filter)
    versions = found.get("versions") or data.get("versions") or {}
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())


def _layers(job: Job, shape: tuple[int, int], weights: Mapping[int, Any]) -> list[Row]:
    if job.model is None:
        return _board_layers(job, shape, weights)
    if isinstance(job.model, HostModel):
        return _host_layers(job.model, shape, weights)
    return _dense_layers(job, job.model, shape)


def _board_layers(job: Job, shape: tuple[int, int], weights: Mapping[int, Any]) -> list[Row]:
    model = job.config.model(shape)
    rows: list[Row] = [("layer", "kernels", "stride", "gives", "neurons", "learned by", "state")]
    number = 0
    for stage in model.stages:
        layer, rule, state, kernels = stage.layer, "", "", by(stage.layer.shape)
        if isinstance(layer, ConvLayer):
            number += 1
            rule, state = "pair STDP", _state(weights.get(number))
            kernels = f"{layer.kernels} of {kernels}"
        gives = by(stage.output_shape)
        rows.append((stage.name, kernels, by(layer.stride), gives, stage.neurons, rule, state))
    return rows


def _host_layers(model: HostModel, shape: tuple[int, int], weights: Mapping[int, Any]) -> list[Row]:
    rows: list[Row] = [
        ("layer", "kernels", "stride", "threshold", "pooling", "gives", "learned by", "state")
    ]
    for place in model.places(shape):
        layer = place.layer
        pool = "" if layer.pool is None else f"{by(layer.pool.shape)} by {by(layer.pool.stride)}"
        rows.append(
            (
                f"{place.number}",
                f"{layer.maps} of {by(layer.shape)}",
                by(layer.stride),
                float(layer.threshold),
                pool,
                by(layer.output_shape(place.input_shape)),
                type(layer.rule).__name__ if layer.images else "nothing: random",
                _state(weights.get(place.number)) if layer.images else "",
            )
        )
    return rows


def _dense_layers(job: Job, model: FullyConnectedModel, shape: tuple[int, int]) -> list[Row]:
    layer = model.layer
    return [
        ("layer", "neurons", "inputs", "epochs", "learned by", "state"),
        (
            "1", layer.neurons, shape[0] * shape[1], layer.epochs, "WindowRule",
            "trained" if job.run.has(NETWORK) else "not yet",
        ),
    ]  # fmt: skip


def _state(weights: Any) -> str:
    if weights is None:
        return "not trained"
    rule = weights.rule
    told = [f"{weights.weights.min():.3g} to {weights.weights.max():.3g}"]
    for name, word in (("images", "images"), ("windows", "windows"), ("updates", "updates")):
        if name in rule:
            told.append(f"{rule[name]:,} {word}")
    if "convergence" in rule:
        told.append(f"mean w(1 - w) {rule['convergence']:.4f}")
    return ", ".join(told)


def by(shape: Any) -> str:
    """Return a size as a person writes it."""
    return " x ".join(map(str, shape)) if isinstance(shape, Sequence) else f"{shape} x {shape}"


def _spikes(found: Mapping[str, Any]) -> list[Row]:
    counts = found.get("spikes_per_image")
    if isinstance(counts, Mapping):
        names = found.get("spikes_of") or [f"{place}" for place in range(len(counts["trained"]))]
        return [*zip(names, map(float, counts["trained"]), strict=False)]
    return [] if counts is None else [("1", float(counts))]


def step_of(words: Sequence[str]) -> list[str]:
    """Return the mode and the layer of a command line."""
    found = []
    for option in ("--mode", "--layer"):
        for place, word in enumerate(words):
            if word == option and place + 1 < len(words):
                found.append(words[place + 1])
            elif word.startswith(f"{option}="):
                found.append(word.partition("=")[2])
    return found


def _commands(job: Job) -> list[dict[str, Any]]:
    """Return the commands since the data were loaded last."""
    every = journal.recorded(job.run)
    loads = [place for place, one in enumerate(every) if step_of(one["words"])[:1] == ["loaddata"]]
    return every[loads[-1] if loads else 0 :]


def _missing(job: Job, numbers: Sequence[int]) -> Iterator[str]:
    if not job.run.has(DATA):
        yield "data (--mode loaddata)"
    if isinstance(job.model, FullyConnectedModel) and not job.run.has(NETWORK):
        yield "weights (--mode training --layer 1)"
    for number in numbers:
        if not job.run.has_weights(number):
            yield f"weights of layer {number} (--mode training --layer {number})"
    if not job.run.has(READOUT_RECORD):
        yield "read-out (--mode training --layer svm)"
    if not job.run.has(METRICS):
        yield "test (--mode testing)"
