"""The baseline of the engine's benchmarks: SpykeTorch's definitions, written anew in PyTorch.

Mozafari et al., Frontiers in Neuroscience 13 (2019) 625, doi:10.3389/fnins.2019.00625. One image
at a time, as that library works: a wave is a tensor (steps, maps, height, width) of 0 and 1 in
which who has fired stays 1, and a layer's potentials at all steps come from one convolution.

    python benchmarks/spyketorch_definitions.py --images 300 --threads 2

prints how fast the first two layers of mozafari2018 are trained here, and by the host engine. The
kernels end alike with --double only: that library ranks winners by the potential plus steps times
the highest one, and float32 rounds the differences between winners away.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spikingconvnet import zoo
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.single_spike import SpikingConv
from spikingconvnet.engine.encode import encode
from spikingconvnet.engine.layers import ConvTrainer, advance
from spikingconvnet.utilities import datasets


def tensors(waves: Waves, kind: torch.dtype = torch.float32) -> list[Tensor]:
    """Return one cumulative wave (steps, maps, height, width) for each image."""
    time_of = torch.arange(waves.steps).reshape(-1, 1, 1, 1)
    latencies = torch.from_numpy(waves.latencies()).permute(0, 3, 1, 2)
    return [(time_of >= image).to(kind) for image in latencies]


def fire(potentials: Tensor, threshold: float) -> Tensor:
    """Return the potentials above the threshold; others become 0."""
    return functional.threshold(potentials, threshold, 0.0)


def first(potentials: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of active steps of each unit, and its potential at the first of them."""
    active = potentials.sign().sum(dim=0)
    at = (len(potentials) - active).clamp(max=len(potentials) - 1).long()
    return active, potentials.gather(0, at.unsqueeze(0))[0]


def pointwise_inhibition(potentials: Tensor) -> Tensor:
    """Keep, at each place, the map that fires first; of several the one with most potential."""
    active, value = first(potentials)
    score = value + active * (potentials.max() * len(potentials) + 1)
    top, winner = score.max(dim=0, keepdim=True)
    kept = torch.zeros_like(score).scatter_(0, winner, top.sign())
    return potentials * kept


def k_winners(potentials: Tensor, count: int, radius: int) -> list[tuple[int, int, int]]:
    """Return up to `count` (map, row, column), the earliest first, then the most potential.

    A winner takes its map out, and a square of all maps around it.
    """
    active, value = first(potentials)
    total = active * (value + potentials.max() * len(potentials))
    _, rows, columns = total.shape
    winners = []
    while len(winners) < count:
        top, at = total.view(-1).max(dim=0)
        if top.item() == 0:
            break
        m, place = divmod(int(at), rows * columns)
        row, column = divmod(place, columns)
        winners.append((m, row, column))
        total[m] = 0
        total[
            :,
            max(row - radius, 0) : row + radius + 1,
            max(column - radius, 0) : column + radius + 1,
        ] = 0
    return winners


@dataclass
class Layer:
    """Hold a convolution and its training settings; `kernels` (maps, channels, kh, kw)."""

    kernels: Tensor
    declared: SpikingConv
    rates: np.ndarray  # one per image
    shown: int = 0

    def potentials(self, wave: Tensor) -> Tensor:
        """Return the potentials above the threshold at every step."""
        summed = functional.conv2d(wave, self.kernels, padding=self.declared.padding)  # type: ignore[arg-type]
        return fire(summed, self.declared.threshold)

    def forward(self, wave: Tensor) -> Tensor:
        """Return the pooled spikes of the frozen layer."""
        potentials = self.potentials(wave)
        if self.declared.inhibition:
            potentials = pointwise_inhibition(potentials)
        spikes = potentials.sign()
        pool = self.declared.pool
        return spikes if pool is None else functional.max_pool2d(spikes, pool.shape, pool.stride)  # type: ignore[arg-type]

    def train(self, wave: Tensor) -> None:
        """Show one image: the winners' kernels change after it."""
        potentials = pointwise_inhibition(self.potentials(wave))
        competition = self.declared.competition
        winners = k_winners(potentials, competition.winners, competition.radius)
        down, right = self.declared.padding  # type: ignore[misc]
        before = functional.pad(wave.sum(dim=0), (right, right, down, down))
        after = potentials.sign().sum(dim=0)
        rate = float(self.rates[self.shown])
        ratio = self.declared.rule.ratio  # type: ignore[union-attr]
        height, width = self.kernels.shape[2:]
        for m, row, column in winners:
            seen = before[:, row : row + height, column : column + width]
            w = self.kernels[m]
            change = torch.where(seen >= after[m, row, column], rate, ratio * rate)
            self.kernels[m] = (w + change * w * (1 - w)).clamp_(0, 1)
        self.shown += 1


def layers(
    images: int, rng: np.random.Generator, kind: torch.dtype = torch.float32
) -> Iterator[Layer]:
    """Give the unsupervised layers of mozafari2018 with new kernels, to be shown so many images."""
    for place in zoo.load("mozafari2018").places((28, 28)):
        rule, shape = place.layer.rule, place.layer.weight_shape(place.input_shape)
        # float32 first, as the host engine has them.
        kernels = torch.from_numpy(rule.initial_weights(shape, rng)).float().to(kind)
        yield Layer(kernels, place.layer, rule.rates(images))


def seconds_of_layer_1(layer: Layer, waves: list[Tensor]) -> float:
    """Train the first layer on all waves; return the time taken."""
    started = time.perf_counter()
    for wave in waves:
        layer.train(wave)
    return time.perf_counter() - started


def seconds_of_layer_2(frozen: Layer, layer: Layer, waves: list[Tensor]) -> float:
    """Train the second layer behind the frozen first; return the time taken."""
    started = time.perf_counter()
    for wave in waves:
        layer.train(frozen.forward(wave))
    return time.perf_counter() - started


def engine_seconds(layer: SpikingConv, waves: Waves, kernels: Tensor) -> tuple[float, np.ndarray]:
    """Train a layer by the host engine; return the time taken and the kernels."""
    order = np.arange(len(waves))
    ConvTrainer(layer, waves, order[:1], kernels.double().numpy()).run()
    trainer = ConvTrainer(layer, waves, order, kernels.double().numpy())
    started = time.perf_counter()
    trainer.run()
    return time.perf_counter() - started, trainer.weights


def report(name: str, images: int, theirs: float, ours: float, apart: np.ndarray) -> None:
    print(
        f"{name}: baseline {images / theirs:,.0f} images/s, host engine {images / ours:,.0f}, "
        f"ratio {theirs / ours:,.0f}; {np.mean(apart > 1e-4):.1%} of the weights differ by more "
        f"than 0.0001"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--double", action="store_true", help="let the baseline work in float64")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    count = chosen.images
    images = datasets.load("mnist").train_images[:count]
    encoded = encode(zoo.load("mozafari2018").encoder, images)
    kind = torch.float64 if chosen.double else torch.float32
    waves = tensors(encoded, kind)
    print(f"PyTorch {torch.__version__}, {chosen.threads} threads; engine trains on 1")
    with torch.no_grad():
        one, two = layers(count, np.random.default_rng(1), kind)
        start = one.kernels.clone(), two.kernels.clone()
        theirs = seconds_of_layer_1(one, waves)
        ours, kernels = engine_seconds(one.declared, encoded, start[0])
        report("layer 1", count, theirs, ours, np.abs(kernels - one.kernels.double().numpy()))
        theirs = seconds_of_layer_2(one, two, waves)
        below = advance(one.declared, encoded, one.kernels.double().numpy())
        ours, kernels = engine_seconds(two.declared, below, start[1])
        report("layer 2", count, theirs, ours, np.abs(kernels - two.kernels.double().numpy()))


if __name__ == "__main__":
    main()
