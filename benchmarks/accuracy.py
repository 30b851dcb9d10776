"""Train and test the networks: python benchmarks/accuracy.py [--quick] [--only ROW] [--seeds 3]

Each row trains on the whole training file and scores the test file once, by several seeds; the
controls (untrained kernels; trained ones whose weights are shuffled) have a read-out of their own
and one seed. Every run is a process of its own, so that its peak memory can be told. Prints a
Markdown table and writes all numbers to --output (JSON), the rows done so far after each.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikingconvnet import zoo
from spikingconvnet.classes.fully_connected import FullyConnectedModel
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import LinearSVM
from spikingconvnet.engine import decision, features, winner_take_all
from spikingconvnet.engine.layers import ConvTrainer
from spikingconvnet.engine.network import Network
from spikingconvnet.engine.presentation import Presentation
from spikingconvnet.utilities import datasets

SEEDS = 3
QUICK = 10_000, 2_000
"""Training and test images with --quick."""
PART = 5000
"""Images whose spikes are counted together."""
CONTROLS = ("untrained", "shuffled")


class Row(NamedTuple):
    """Name what is trained on what, and the test accuracy to reach and to aim for, percent."""

    model: str
    dataset: str
    reach: float
    aim: float


class Images(NamedTuple):
    """Hold the training images, their labels, and the test images."""

    train: np.ndarray
    labels: np.ndarray
    test: np.ndarray


ROWS = {
    "goupy2023": Row("goupy2023", "mnist", 98.6, 98.8),
    "goupy2023_ttfs": Row("goupy2023_ttfs", "mnist", 98.6, 98.8),
    "wide": Row("wide", "mnist", 99.0, 99.2),
    "joined": Row("joined", "mnist", 99.4, 99.5),
    "mozafari2018": Row("mozafari2018_fast", "mnist", 95.0, 97.2),
    "fully_connected": Row("fully_connected", "mnist", 90.0, 95.0),
    "fashion": Row("joined", "fashion-mnist", 88.0, 91.0),
    "fashion_svm": Row("joined_svm", "fashion-mnist", 88.0, 91.0),
}


@dataclass(frozen=True)
class Result:
    """Hold what one run gave: test accuracy (percent), wall and processor time, peak memory."""

    accuracy: float
    seconds: float
    processor_seconds: float
    gib: float


def kernels(model: HostModel, images: np.ndarray, seed: int, kind: str) -> list[np.ndarray]:
    """Return the kernels of all convolutions: "trained", "untrained" or "shuffled"."""
    shape = (images.shape[1], images.shape[2])
    found: list[np.ndarray] = []
    stage_of: list[int] = []
    for place in model.places(shape):
        rng = np.random.default_rng([seed, place.number])
        weights = place.layer.rule.initial_weights(place.layer.weight_shape(place.input_shape), rng)
        if kind != "untrained" and place.layer.images:
            turns = -(-place.layer.images // len(images))
            order = np.concatenate([rng.permutation(len(images)) for _ in range(turns)])
            shown, order = np.unique(order[: place.layer.images], return_inverse=True)
            below = [w for w, stage in zip(found, stage_of, strict=True) if stage < place.stage]
            waves, _ = Network(model, shape, below).run(images[shown], place.stage)
            trainer = ConvTrainer(place.layer, waves, order, weights)
            trainer.run()
            weights = trainer.weights
        found.append(weights)
        stage_of.append(place.stage)
    if kind == "shuffled":
        rng = np.random.default_rng([seed, 0])
        found = [rng.permuted(w.reshape(len(w), -1), axis=1).reshape(w.shape) for w in found]
    return found


def answers(shown: Presentation, labels: np.ndarray, test: np.ndarray) -> Any:
    """Teach the read-out; return its answers to the test images."""
    settings, network = shown.readout, shown.network
    rng = np.random.default_rng([shown.seed, 1000])
    if isinstance(settings, LinearSVM):
        readout = features.fit_svm(shown.plain(), labels, settings, rng)
        return readout.predict(features.table(network.run(test)[0], settings.features))
    classes = int(labels.max()) + 1
    weights = decision.decision_weights(settings, shown.shape, classes, rng)
    trainer = decision.decision_trainer(settings, shown.shape, classes, weights, shown.seed)
    for epoch in range(settings.epochs):
        trainer.run_epoch(shown.waves(epoch), labels)
    return trainer.predict(network.run(test)[0])


def convolutional(model: HostModel, data: Images, seed: int, kind: str) -> np.ndarray:
    """Return what a network with a read-out answers to the test images."""
    shape = data.train.shape[1:]
    network = Network(model, shape, kernels(model, data.train, seed, kind))
    shown = Presentation(network, data.train, model.readout, seed)
    return np.asarray(answers(shown, data.labels, data.test))


def fully_connected(model: FullyConnectedModel, data: Images, seed: int, kind: str) -> np.ndarray:
    """Return what neurons answer that vote as they fired at the training images."""
    rng = np.random.default_rng([seed, 1])
    pixels = data.train[0].size
    network = winner_take_all.WinnerTakeAll(model.encoder, model.layer, pixels, rng)
    gaps = winner_take_all.spike_gaps(model.encoder, data.train)
    if kind != "untrained":
        for _ in range(model.layer.epochs):
            network.train(gaps, rng.permutation(len(gaps)))
    if kind == "shuffled":
        shuffled = rng.permuted(network.weights, axis=1)
        network.restore({**network.state(), "weights": shuffled})

    def spikes(gaps: np.ndarray) -> Any:
        parts = range(0, len(gaps), PART)
        return vstack([csr_matrix(network.respond(gaps[at : at + PART])) for at in parts], "csr")

    classes = int(data.labels.max()) + 1
    votes = winner_take_all.shares_of_neurons(spikes(gaps), data.labels, classes)
    counts = spikes(winner_take_all.spike_gaps(model.encoder, data.test))
    return winner_take_all.class_scores(counts, votes, True).argmax(axis=1)


def run(row: Row, seed: int, kind: str, quick: bool) -> Result:
    """Train and test once, in a process of its own."""
    held = datasets.load(row.dataset)
    model: Any = zoo.load(row.model)
    train, test = QUICK if quick else (len(held.train_images), len(held.test_images))
    labels = held.train_labels[:train].astype(np.int64)
    data = Images(held.train_images[:train], labels, held.test_images[:test])
    clock, busy = time.perf_counter(), time.process_time()
    answer = fully_connected if isinstance(model, FullyConnectedModel) else convolutional
    found = answer(model, data, seed, kind)
    seconds, processor = time.perf_counter() - clock, time.process_time() - busy
    right = 100 * float(np.mean(found == held.test_labels[:test]))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Result(right, seconds, processor, gib)


def in_own_process(*arguments: Any) -> Result:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(run, *arguments).result()


def save(path: Path, record: dict[str, Any]) -> None:
    """Write under another name and move, so that a stop in between loses nothing."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def line(name: str, row: Row, results: dict[str, list[Result]]) -> str:
    trained = results["trained"]
    scores = [one.accuracy for one in trained]
    spread = f" ± {np.std(scores, ddof=1):.2f}" if len(scores) > 1 else ""
    controls = [
        f"{np.mean([one.accuracy for one in results[kind]]):.2f}" if results.get(kind) else ""
        for kind in CONTROLS
    ]
    return (
        f"| {name} | {row.dataset} | {np.mean(scores):.2f}{spread} | {' | '.join(controls)} | "
        f"{row.reach:g} / {row.aim:g} | {np.mean([one.seconds for one in trained]):,.0f} "
        f"({np.mean([one.processor_seconds for one in trained]):,.0f}) | "
        f"{max(one.gib for one in trained):.1f} |"
    )


def jobs(seeds: int, controls: bool) -> Sequence[tuple[str, int]]:
    wanted = [("trained", seed) for seed in range(seeds)]
    return [*wanted, *((kind, 0) for kind in CONTROLS if controls)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 training, 2,000 test images")
    parser.add_argument("--only", action="append", choices=sorted(ROWS), help="repeatable")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--no-controls", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("accuracy.json"))
    chosen = parser.parse_args()
    command = " ".join(["python", *sys.argv])
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    record: dict[str, Any] = {"date": str(date.today()), "machine": machine, "command": command}
    print(f"{record['date']}, {machine}: `{command}`\n")
    print(
        "| row | images | test % | untrained | shuffled | reach / aim | s (processor) | GiB |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name in chosen.only or ROWS:
        results: dict[str, list[Result]] = {}
        for kind, seed in jobs(chosen.seeds, not chosen.no_controls):
            result = in_own_process(ROWS[name], seed, kind, chosen.quick)
            results.setdefault(kind, []).append(result)
            record[name] = {k: [asdict(one) for one in held] for k, held in results.items()}
            save(chosen.output, record)
        print(line(name, ROWS[name], results), flush=True)


if __name__ == "__main__":
    main()
