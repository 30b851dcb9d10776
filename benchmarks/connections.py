"""Time the connection lists against naive loops in the same run: python benchmarks/connections.py

The naive loop is what the 2018 program did: one Python step per synapse.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikingconvnet.algorithms import connections

SHAPE, KERNELS, KERNEL = (56, 56, 4), 16, (5, 5)


def naive(weights: np.ndarray) -> list[tuple[int, int, float, float]]:
    height, width, channels = SHAPE
    rows, columns = height - KERNEL[0] + 1, width - KERNEL[1] + 1
    found = []
    for kernel in range(KERNELS):
        for y2 in range(rows):
            for x2 in range(columns):
                post = (kernel * rows + y2) * columns + x2
                for d in range(channels):
                    for y1 in range(KERNEL[0]):
                        for x1 in range(KERNEL[1]):
                            pre = (d * height + y2 + y1) * width + x2 + x1
                            found.append((pre, post, float(weights[kernel, d, y1, x1]), 1.0))
    return found


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the shortest time (s) of several runs, and what the last one gave."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def main() -> None:
    weights = np.random.default_rng(0).random((KERNELS, SHAPE[2], *KERNEL))
    slow, wanted = best(lambda: naive(weights), 1)
    fast, links = best(lambda: connections.convolution(SHAPE, weights), 5)
    listed, made = best(links.as_list, 5)
    assert np.array_equal(made, np.array(wanted)), "the two lists differ"
    millions = len(links) / 1e6
    print(f"{len(links):,} synapses of {SHAPE}, {KERNELS} kernels of {KERNEL}")
    print(f"naive loop   {slow:8.3f} s  {slow / millions:8.4f} s per million")
    print(f"convolution  {fast:8.3f} s  {fast / millions:8.4f} s per million  {slow / fast:6.0f} x")
    both = fast + listed
    print(f"with as_list {both:8.3f} s  {both / millions:8.4f} s per million  {slow / both:6.0f} x")


if __name__ == "__main__":
    main()
