"""Time the host engine on MNIST: python benchmarks/engine.py [--images N] [--only ROW]

Each row is the best of three runs; images a second of wall time, and of processor time (which
other programs on the machine disturb less). Frozen layers below have run before. With PyTorch
installed (pip install '.[bench]') the training rows stand beside `spyketorch_definitions`, the
baseline, timed in the same run on both cores.
"""

import argparse
import importlib.util
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikingconvnet import zoo
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import SpikingDecision
from spikingconvnet.engine import decision
from spikingconvnet.engine.encode import encode
from spikingconvnet.engine.layers import ConvTrainer, advance
from spikingconvnet.engine.network import Network
from spikingconvnet.utilities import datasets

REPEATS = 3
SHAPE = (28, 28)
BASELINE_IMAGES = 200


def model_of(name: str) -> HostModel:
    found = zoo.load(name)
    assert isinstance(found, HostModel)
    return found


def measure(work: Callable[[], Any], images: int) -> tuple[float, float]:
    """Return images a second of wall and of processor time, the best of some runs each."""
    work()
    wall, busy = [], []
    for _ in range(REPEATS):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - clock)
        busy.append(time.process_time() - processor)
    return images / min(wall), images / min(busy)


class Lessons:
    """Hold what the rows share: images, and the waves that enter each layer of a model."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels
        self.waves: dict[tuple[str, int], Waves] = {}
        self.kernels: dict[tuple[str, int], np.ndarray] = {}

    def entering(self, name: str, number: int) -> Waves:
        """Return the waves that enter convolution `number` (the one after the last: read-out)."""
        if (name, number) not in self.waves:
            if number == 1:
                found = encode(model_of(name).encoder, self.images)
            else:
                below = self.entering(name, number - 1)
                place = model_of(name).place(number - 1, SHAPE)
                trainer = self.trainer(name, number - 1)
                trainer.run()
                self.kernels[name, number - 1] = trainer.weights
                found = advance(place.layer, below, trainer.weights)
            self.waves[name, number] = found
        return self.waves[name, number]

    def trainer(self, name: str, number: int) -> ConvTrainer:
        """Return a new trainer that shows all images once."""
        place, waves = model_of(name).place(number, SHAPE), self.entering(name, number)
        shape = place.layer.weight_shape(place.input_shape)
        kernels = place.layer.rule.initial_weights(shape, np.random.default_rng(number))
        return ConvTrainer(place.layer, waves, np.arange(len(waves)), kernels, len(waves))


def training(lessons: Lessons, name: str, number: int) -> tuple[float, float]:
    numba.set_num_threads(1)
    lessons.entering(name, number)
    return measure(lambda: lessons.trainer(name, number).run(), len(lessons.images))


def encoding(lessons: Lessons, name: str, threads: int) -> tuple[float, float]:
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return measure(lambda: encode(model_of(name).encoder, lessons.images), len(lessons.images))


def inference(lessons: Lessons, name: str, threads: int) -> tuple[float, float]:
    """Time encoder and convolutions of a trained network."""
    model = model_of(name)
    last = len(model.layers)
    lessons.entering(name, last + 1)
    kernels = [lessons.kernels[name, number] for number in range(1, last + 1)]
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    network = Network(model, SHAPE, kernels)
    return measure(lambda: network.run(lessons.images), len(lessons.images))


def reward(lessons: Lessons, threads: int) -> tuple[float, float]:
    """Time an epoch of mozafari2018's decision layer."""
    model = model_of("mozafari2018")
    layer = model.readout
    assert isinstance(layer, SpikingDecision)
    waves = lessons.entering("mozafari2018", 3)
    weights = decision.decision_weights(layer, waves.shape, 10, np.random.default_rng(0))
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    trainer = decision.decision_trainer(layer, waves.shape, 10, weights, 0)
    return measure(lambda: trainer.run_epoch(waves, lessons.labels), len(waves))


def baseline(lessons: Lessons) -> list[float]:
    """Return images a second of the first two layers of mozafari2018, written in PyTorch."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import spyketorch_definitions as theirs
    import torch

    torch.set_num_threads(2)
    with torch.no_grad():
        one, two = theirs.layers(BASELINE_IMAGES, np.random.default_rng(1))
        waves = theirs.tensors(encode(model_of("mozafari2018").encoder, lessons.images))
        waves = waves[:BASELINE_IMAGES]
        first = theirs.seconds_of_layer_1(one, waves)
        second = theirs.seconds_of_layer_2(one, two, waves)
    return [len(waves) / first, len(waves) / second]


ROWS: dict[str, Callable[[Lessons], tuple[float, float]]] = {
    "mozafari2018 encoder, 1 thread": lambda held: encoding(held, "mozafari2018", 1),
    "mozafari2018 layer 1, STDP, 1 thread": lambda held: training(held, "mozafari2018", 1),
    "mozafari2018 layer 2, STDP, 1 thread": lambda held: training(held, "mozafari2018", 2),
    "mozafari2018 layer 3, R-STDP, 1 thread": lambda held: reward(held, 1),
    "mozafari2018 layer 3, R-STDP, 2 threads": lambda held: reward(held, 2),
    "mozafari2018 inference, 2 threads": lambda held: inference(held, "mozafari2018", 2),
    "kheradpisheh2018 layer 1, STDP, 1 thread": lambda held: training(held, "kheradpisheh2018", 1),
    "kheradpisheh2018_deep layer 1, STDP, 1 thread": lambda held: training(
        held, "kheradpisheh2018_deep", 1
    ),
    "kheradpisheh2018_deep layer 2, STDP, 1 thread": lambda held: training(
        held, "kheradpisheh2018_deep", 2
    ),
    "goupy2023 layer 1, VDSP, 1 thread": lambda held: training(held, "goupy2023", 1),
    "goupy2023 inference with encoder, 1 thread": lambda held: inference(held, "goupy2023", 1),
    "goupy2023 inference with encoder, 2 threads": lambda held: inference(held, "goupy2023", 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    chosen = parser.parse_args()
    data = datasets.load("mnist")
    labels = data.train_labels[: chosen.images].astype(np.int64)
    lessons = Lessons(data.train_images[: chosen.images], labels)
    command = " ".join(["python", *sys.argv])
    print(
        f"{date.today()}, {platform.machine()}, {numba.config.NUMBA_NUM_THREADS} cores: {command}"
    )
    print("| row | images/s | images/s of processor time |\n|---|---|---|")
    for name, row in ROWS.items():
        if chosen.only in name:
            wall, busy = row(lessons)
            print(f"| {name} | {wall:,.0f} | {busy:,.0f} |", flush=True)
    if importlib.util.find_spec("torch") is None:
        print("no PyTorch here, so no baseline")
        return
    for number, theirs in enumerate(baseline(lessons), 1):
        ours, _ = training(lessons, "mozafari2018", number)
        print(
            f"mozafari2018 layer {number}: baseline {theirs:,.0f} images/s on 2 threads, "
            f"host engine {ours:,.0f} on 1: {ours / theirs:,.0f} x"
        )


if __name__ == "__main__":
    main()
