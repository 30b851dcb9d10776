"""Random small waves, layers and kernels, and training by the reference functions."""

from functools import partial

import numpy as np
from hypothesis import assume, currently_in_test_context
from hypothesis import strategies as st

from spikingconvnet.algorithms import shared_learning as reference
from spikingconvnet.algorithms.dense_waves import spikes_of
from spikingconvnet.algorithms.waves import Waves
from spikingconvnet.classes.rules import VDSP, FerroelectricVDSP, OrderSTDP
from spikingconvnet.classes.single_spike import Competition, SpikingConv

PARTS = 64
"""Kernels and thresholds are multiples of 1 / PARTS: float32 adds them exactly, in any order."""
CLOSE = 1e-5
"""What sums of float32 may be off by; closer decisions are not compared."""


def random_waves(rng, shape, steps, images, share=0.4, repeat=False):
    """Draw waves; one image in four is silent."""
    units = int(np.prod(shape))
    parts = []
    for _ in range(images):
        lit = rng.random(units) < (share if rng.random() < 0.75 else 0.0)
        unit = np.flatnonzero(lit)
        if repeat:
            unit = np.concatenate([unit, rng.choice(unit, len(unit))]) if len(unit) else unit
        step = rng.integers(steps, size=len(unit))
        order = np.lexsort((unit, step))
        parts.append((unit[order], step[order]))
    start = np.cumsum([0, *(len(unit) for unit, _ in parts)])
    unit, step = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Waves(shape, steps, start, unit.astype(np.int32), step.astype(np.uint8))


def exact_kernels(rng, shape):
    """Draw kernels that float32 adds exactly."""
    return rng.integers(PARTS + 1, size=shape) / PARTS


@st.composite
def convolutions(draw):
    """Draw an input shape and a convolution that fits on it, without pooling."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    window = tuple(draw(st.integers(1, min(4, shape[i] + 2 * padding[i]))) for i in (0, 1))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    layer = SpikingConv(
        maps=draw(st.integers(1, 18)),
        shape=window,
        threshold=draw(st.integers(0, 3 * PARTS)) / PARTS,
        stride=stride,
        padding=padding,
        stop=0.0,
    )
    return shape, layer


competitions = st.builds(
    Competition,
    winners=st.integers(1, 5),
    per=st.sampled_from(["image", "step"]),
    radius=st.integers(0, 2),
    map_first=st.booleans(),
)


class Decided(reference.Contest):
    """Find winners, and give a case up when rounding could have decided it."""

    def step(self, potentials, firing):
        for place in potentials[firing.any(axis=2)]:
            assume_apart(np.sort(place)[-2:])
        assume_apart(np.sort(potentials[firing]))
        return super().step(potentials, firing)


def assume_apart(values):
    """Give a case up when neighbours of sorted values are close, unless both are exact."""
    exact = np.equal(np.mod(np.asarray(values) * PARTS, 1), 0)
    close = ((np.diff(values) < CLOSE) & ~(exact[1:] & exact[:-1])).any()
    if currently_in_test_context():
        assume(not close)
    assert not close


def rule_of(rule, rate, steps):
    """Return the reference function of a record."""
    bounds = {"w_min": rule.w_min, "w_max": rule.w_max}
    if isinstance(rule, OrderSTDP):
        return partial(
            reference.order_stdp, rate=rate, ratio=rule.ratio, stabiliser=rule.stabiliser, **bounds
        )
    ramp = {"steps": steps, "ramp": rule.ramp, "silent_ramp": rule.silent_ramp}
    if isinstance(rule, VDSP):
        return partial(reference.vdsp, rate=rate, f_dep=rule.f_dep, **ramp, **bounds)
    assert isinstance(rule, FerroelectricVDSP)
    names = (
        *("gamma_p", "gamma_d", "theta_p", "theta_d", "alpha_p", "alpha_d"),
        *("scale_p", "scale_d", "v_ref"),
    )
    device = {name: getattr(rule, name) for name in names}
    return partial(reference.ferroelectric_vdsp, **device, **ramp, **bounds)


def scheduled(rule, image, updates):
    """Return the rate at an image, after so many updates."""
    count = image if rule.double_per == "images" else updates
    doublings = count // rule.double_every if rule.double_every else 0
    return min(rule.rate * 2**doublings, max(rule.top_rate, rule.rate))


def train_by_reference(layer, waves, order, weights):
    """Return the kernels after showing images, and every winner of each image."""
    kernels, winners, rule = np.array(weights), [], layer.rule
    updates = 0
    contest = layer.competition

    def change(image, w, latencies, time):
        nonlocal updates
        changed = rule_of(rule, scheduled(rule, image, updates), waves.steps)(w, latencies, time)
        updates += 1
        return changed

    for shown, image in enumerate(order):
        rows, columns, maps = layer.conv_shape(waves.shape)
        rows, columns = rows + layer.crop[0], columns + layer.crop[1]
        decided = Decided(
            (rows, columns, maps),
            contest.winners,
            contest.per == "step",
            contest.radius,
            contest.map_first,
        )
        found = reference.show(
            spikes_of(waves, image),
            kernels,
            layer.threshold,
            decided,
            partial(change, shown),
            rule.update == "step",
            layer.stride,
            layer.padding,
        )
        winners.append(found)
    return kernels, winners
