"""What a board's on-chip convolution computes, and the numbers that make IF_curr_exp exact with it.

Only IF_curr_exp has a binary for it. With a `TAU_SYN_MS` so short that nothing of an input is left
after its step, and a `TAU_M_MS` so long that the leak of an image is a small part of a weight, the
membrane is a sum of inputs once more: a nA in a step lifts it by `MV_PER_NA`. It has no floor. An
image is cleared by a volley that lets every neuron fire, from however far below, and thus sets it
to v_reset; one step later the next volley lifts all of them to the start.
Source of the wiring: the binary IF_curr_exp_conv of sPyNNaker 7.4.1, tried with spikes at every
place; its C source, as published, agrees for odd kernels and a stride of 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.algorithms.indexing import Pair, Shape
from spikingconvnet.errors import ModelError

TAU_M_MS = 2100.0
"""A core takes exp(-1 ms / tau_m) as 1 - 2**-11, exactly, for 2,049 to 2,184 ms."""
LEAK = 2.0**-11
CM_NF = TAU_M_MS / 2048
"""So that tau_m / cm, the resistance, is 2,048 MOhm."""
TAU_SYN_MS = 1 / 16
"""exp(-16) is 0 on a core, and (1 - 0) tau_syn / dt of a weight is its current."""
MV_PER_NA = 1 / 16
"""tau_syn x 2,048 MOhm x LEAK."""
MOST_NA = 511.0
"""Of a step: weight / 16 x 2,048 MOhm stays below the 65,536 mV that s16.15 holds."""
ROUNDING_MV = 2 * 2.0**-15
"""Of a step: the current and the leak are cut off at one unit of s16.15 each."""
SLACK = 0.4
"""Units of weight by which a sum may be off; thresholds lie half a unit from the next sum."""


@dataclass(frozen=True)
class Scale:
    """Hold the numbers of a layer: weights in nA, potentials in mV.

    unit: of weight; push: of inhibition; flush: fires every neuron; lift: brings all back to the
    start, against the inhibition that the flush brings about.
    """

    unit: float
    v_thresh: float
    v_reset: float
    push: float
    flush: float
    lift: float


def scale(name: str, most: int, drive: int, rivals: int, steps: int) -> Scale:
    """Return the numbers for neurons that fire above `most` units and get `drive` at most.

    drive: units that an image can bring; rivals: neurons that silence each other. ModelError,
    naming the layer, when the leak and rounding of `steps` could make up half a unit.
    """
    floor = push = drive + 1
    flush = floor + rivals * push + most + 2
    unit = float(2.0 ** np.floor(np.log2(MOST_NA / (flush + drive))))
    drift = LEAK * ((most + 1) * steps + floor) + ROUNDING_MV * steps / (unit * MV_PER_NA)
    if drift > SLACK:
        raise ModelError(
            f"{name}: leak and rounding may come to {drift:.2g} units of weight in an image (must "
            f"be {SLACK} at most for on-chip convolution: a lower threshold, fewer levels or fewer "
            "steps fit)"
        )
    return Scale(
        unit,
        (most + 0.5) * unit * MV_PER_NA,
        -floor * unit * MV_PER_NA,
        push * unit,
        flush * unit,
        (floor + rivals * push) * unit,
    )


def neuron(v_thresh: float, v_reset: float) -> dict[str, float]:
    """Return the parameters of IF_curr_exp."""
    return {
        "tau_m": TAU_M_MS,
        "cm": CM_NF,
        "tau_syn_E": TAU_SYN_MS,
        "tau_syn_I": TAU_SYN_MS,
        "tau_refrac": 0.0,
        "i_offset": 0.0,
        "v_rest": 0.0,
        "v_reset": v_reset,
        "v_thresh": v_thresh,
    }


# ---- wiring --------------------------------------------------------------------------------------
# The connector takes (columns, rows), but reads the weights row by row, turned by 180 degrees.


def as_kernel(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return what ConvolutionConnector must be given for correlating with `weights` (kh, kw).

    The result has the shape (kw, kh) and, read row by row, the weights from the last to the first.
    """
    return np.array(weights, np.float64)[::-1, ::-1].reshape(weights.shape[::-1])


def everywhere(grid: Pair, weight: float) -> tuple[NDArray[np.float64], Pair]:
    """Return (kernel, padding), columns first, that connect a single neuron to a whole grid."""
    rows, columns = grid
    return np.full((columns + 2, rows + 2), weight), (columns, rows)


def pooling(owner: str, window: Pair, stride: Pair, padding: Pair) -> tuple[Pair, Pair]:
    """Return (kernel size, padding), rows first, of the connector that pools.

    Its stride does not move a kernel: it makes ``(y + padding - k // 2) // stride`` of a row y, and
    then applies the kernel at stride 1. With ones this is a window of k strides. ModelError,
    naming what would fit, for other windows.
    """
    sizes, pads = [], []
    for size, step, pad in zip(window, stride, padding, strict=True):
        k = size // step
        half = k // 2
        inner = pad - half * (step - 1)
        if size % step or k % 2 == 0:
            raise ModelError(
                f"{owner}: window {size} at stride {step} (on-chip convolution pools windows of 1, "
                "3, 5, ... strides)"
            )
        if inner < half:
            raise ModelError(
                f"{owner}: padding {pad} (must be at least {half * step} for on-chip convolution "
                f"with windows of {k} strides of {step})"
            )
        sizes.append(k)
        pads.append(inner)
    return (sizes[0], sizes[1]), (pads[0], pads[1])


def core_grid(grid: Pair, most: int) -> Pair:
    """Return the (rows, columns) of a core: of all that divide a grid, the largest up to `most`."""
    rows, columns = ([n for n in range(1, size + 1) if size % n == 0] for size in grid)
    fits = [(r * c, min(r, c), r, c) for r in rows for c in columns if r * c <= most]
    return max(fits)[2:]


def synapses(kernels: NDArray[Any], shape: Shape, grid: Pair, stride: Pair, padding: Pair) -> int:
    """Return how many connections kernels (maps, channels, kh, kw) that are not 0 make."""
    ways = []
    for axis in (0, 1):
        place = np.arange(grid[axis]) * stride[axis] - padding[axis]
        seen = place + np.arange(kernels.shape[2 + axis])[:, None]
        ways.append(((seen >= 0) & (seen < shape[axis])).sum(axis=1))
    used = (kernels != 0).sum(axis=(0, 1))
    return int((used * np.outer(*ways)).sum())
