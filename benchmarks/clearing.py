"""Clear membranes between images on the board, in every way: python benchmarks/clearing.py

One small network (bundled digits, a convolution with inhibition, pooling, a decision layer) is
trained by the host and shown on a software board once for each way. Told are the simulated ms from
image to image, spikes that the board has and the host has not or the other way round, labels that
are equal, and accuracies. The decision neurons are always IFTruncDelta, cleared by a volley.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accuracy import kernels

from spikingconvnet import backends, zoo
from spikingconvnet.algorithms import board_layers
from spikingconvnet.algorithms.drift import drift
from spikingconvnet.algorithms.fixed_point import FIXED
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.deployed import deployment
from spikingconvnet.classes.deployed_network import DeployedNetwork
from spikingconvnet.classes.deployed_parts import CLEAR, Answers, Deployment, Link, Part
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import DenseDecision, Pool, SpikingConv
from spikingconvnet.engine import board_semantics, decision
from spikingconvnet.engine.encode import encode
from spikingconvnet.utilities import datasets, logs

SEED = 1


@dataclass(frozen=True, eq=False)
class Paced(Deployment):
    """A deployment with its own time between images, and time that neurons rest."""

    pause_ms: int = 2
    rest_ms: float = 0.0

    @property
    def period_ms(self) -> int:
        """Return the time from the start of an image to that of the next."""
        return self.steps + self.pause_ms


@dataclass(frozen=True)
class Way:
    """A way to clear: what it is, the network that does it, and how that is built."""

    title: str
    connector: str
    change: Callable[[Deployment], Deployment] = lambda plan: plan
    network: Callable[..., DeployedNetwork] = DeployedNetwork


class Leaky(DeployedNetwork):
    """Layers of IF_curr_delta that fire once an image because they rest for all of it."""

    tau_m = 200.0

    def _population(self, part: Part, size: int, number: int) -> Any:
        if part.answers:
            return super()._population(part, size, number)
        one = FIXED.number(1.0)
        kept = FIXED.value(FIXED.exp(-FIXED.over(one, FIXED.number(self.tau_m))))
        cell = self.sim.IF_curr_delta(
            tau_m=self.tau_m, cm=self.tau_m * float(1 - kept),  # so that 1 nA lifts by 1 mV
            v_rest=0.0, v_reset=0.0, v_thresh=part.v_thresh, i_offset=0.0,
            tau_refrac=self.plan.rest_ms,  # type: ignore[attr-defined]
        )  # fmt: skip
        population = self.sim.Population(
            size, cell, label=f"{part.name} {number}", max_expected_summed_weight=list(part.most)
        )
        population.initialize(v=0.0)
        population.record("spikes")
        return population


def leaky(tau_m: float) -> type[Leaky]:
    return type("Leaky", (Leaky,), {"tau_m": tau_m})


def unclamped(plan: Deployment, pause_ms: int) -> Paced:
    """Let layers start at 0, push by no more than is needed, and clear nothing."""
    parts = tuple(_unclamped(part) for part in plan.parts)
    by_name = {part.name: part for part in plan.parts}
    links = []
    for link in plan.links:
        if link.pre == link.post:  # the inhibition
            push = float(-by_name[link.post].v_reset)  # type: ignore[operator]
            weight = np.full(len(link.connections), push)
            links.append(replace(link, connections=replace(link.connections, weight=weight)))
        elif link.pre != CLEAR or by_name[link.post].answers:
            links.append(link)
    return Paced(
        plan.name, parts, tuple(links), plan.answers, plan.steps, pause_ms=pause_ms,
        rest_ms=plan.steps + 1.0,
    )  # fmt: skip


def _unclamped(part: Part) -> Part:
    if part.v_reset is None or part.answers:
        return part
    unit = 1.0 if part.name.startswith("pool") else board_layers.unit_weight(MOST)
    most = 0 if part.name.startswith("pool") else MOST
    return replace(part, v_thresh=(most + 0.5) * unit)


def flushed(plan: Deployment) -> Paced:
    """Let every neuron fire before an image, which follows when all have rested."""
    paced = replace(unclamped(plan, 2), steps=2 * plan.steps)
    links, parts = list(paced.links), list(paced.parts)
    for part in paced.layers[1:]:
        push = -part.v_reset * part.shape[2] + 2  # type: ignore[operator]
        volley = board_layers.links(0, np.arange(part.size), push, part.depth)
        links.append(Link(CLEAR, part.name, "excitatory", volley))
        parts[parts.index(part)] = replace(part, most=(2 * push, part.most[1]))
    answers = parts[-1]
    burst = answers.most[0]
    parts[-1] = replace(answers, most=(burst, answers.most[1] + burst))
    for number, link in enumerate(links):
        if (link.pre, link.post, link.receptor) == (CLEAR, answers.name, "inhibitory"):
            weight = link.connections.weight + burst
            links[number] = replace(link, connections=replace(link.connections, weight=weight))
    return replace(paced, parts=tuple(parts), links=tuple(links))


def waits(tau_m: float, pause_ms: int) -> Way:
    return Way(
        f"IF_curr_delta, tau_m {tau_m:g} ms: {pause_ms} ms of leak",
        "list",
        lambda plan: unclamped(plan, pause_ms),
        leaky(tau_m),
    )


WAYS = (
    Way("IFTruncDelta: inhibitory volley, lift", "list"),
    Way("IF_curr_exp, on-chip convolution: flush, lift", "convolution"),
    Way("IF_curr_delta, tau_m 200 ms: flush, rest", "list", flushed, leaky(200.0)),
    waits(200.0, 1000),
    waits(200.0, 700),
    waits(200.0, 400),
    waits(30.0, 150),
    waits(200.0, 2),
)
MOST = 5
"""Units of weight at which the convolution does not yet fire."""


def model() -> HostModel:
    """Return a small relative of deployed16, of kernels that both connectors take."""
    large = zoo.load("deployed16")
    assert isinstance(large, HostModel) and isinstance(large.layers[0], SpikingConv)
    layer = replace(
        large.layers[0], maps=8, shape=(5, 5), padding=(2, 2), threshold=float(MOST),
        pool=Pool(3, 1, 1), images=2000,
    )  # fmt: skip
    return replace(large, name="small", layers=(layer,))


@dataclass(frozen=True, eq=False)
class Trained:
    """The network and its prediction for the images shown."""

    model: HostModel
    weights: list[np.ndarray]
    answers: Answers
    source: Waves
    expected: dict[str, Waves]
    labels: np.ndarray
    predicted: np.ndarray


def run_host(net: HostModel, weights: list[np.ndarray], images: np.ndarray) -> dict[str, Waves]:
    layer = net.layers[0]
    assert isinstance(layer, SpikingConv)
    conv = board_semantics.convolved(layer, encode(net.encoder, images), weights[0])  # type: ignore[arg-type]
    return {"conv 1": conv, "pool 1": board_semantics.pooled(layer, conv)}


def trained(shown: int) -> Trained:
    data, net = datasets.load("digits"), model()
    weights = kernels(net, data.train_images, SEED, "trained")
    train = run_host(net, weights, data.train_images)["pool 1"]
    layer, labels = net.readout, data.train_labels.astype(np.int64)
    assert isinstance(layer, DenseDecision)
    rng = np.random.default_rng(SEED)
    start = decision.decision_weights(layer, train.shape, 10, rng)
    teacher: Any = decision.decision_trainer(layer, train.shape, 10, start, SEED)
    for _ in range(layer.epochs):
        teacher.run_epoch(train, labels)
    whole = board_layers.counts(teacher.weights, layer.rule.w_max, layer.levels)  # type: ignore[union-attr]
    answers = Answers(whole, np.zeros(len(whole), np.int64), np.arange(10))
    images = data.test_images[:shown]
    expected = run_host(net, weights, images)
    predicted = board_semantics.sums(expected["pool 1"], whole).argmax(axis=1)
    source = encode(net.encoder, images)  # type: ignore[arg-type]
    return Trained(net, weights, answers, source, expected, data.test_labels[:shown], predicted)


def later(waves: Waves, by: int) -> Waves:
    """Return waves with so many silent steps before."""
    step = (waves.step + by).astype(np.uint8)
    return Waves(waves.shape, waves.steps + by, waves.start, waves.unit, step)


def measure(way: Way, net: Trained) -> str:
    named = replace(net.model, connector=way.connector)  # type: ignore[arg-type]
    shape = net.source.shape[:2]
    plan = way.change(deployment(named, shape, net.weights, net.answers))
    late = plan.steps - net.source.steps
    expected = {name: later(waves, late) for name, waves in net.expected.items()}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with (
            logs.capture(place / "toolchain.log"),
            backends.load("software", version=5, folder=place) as backend,
            way.network(backend.sim, plan) as network,
        ):
            seen = network.run(later(net.source, late))
    found = [drift(expected[name], waves) for name, waves in seen.waves.items()]
    apart = sum(int(each.differing.sum()) for each in found)
    total = sum(int(each.expected.sum()) for each in found)
    equal = int(np.sum(sum(each.differing for each in found) == 0))
    agreement = np.mean(seen.labels == net.predicted)
    accuracy = np.mean(seen.labels == net.labels)
    return (
        f"| {way.title} | {plan.period_ms} | {apart:,} of {total:,} | {equal} of "
        f"{len(net.labels)} | {agreement:.1%} | {accuracy:.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="test images shown (default: 200)")
    net = trained(parser.parse_args().images)
    print(f"host: {np.mean(net.predicted == net.labels):.1%} of {len(net.labels)} test images\n")
    print("| neuron: what clears it | ms an image | spikes that differ | images equal | "
          "labels equal | accuracy |\n|---|---|---|---|---|---|")  # fmt: skip
    for way in WAYS:
        print(measure(way, net), flush=True)


if __name__ == "__main__":
    main()
