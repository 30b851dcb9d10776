"""Layer by layer, or every step through all layers: a network answers the same."""

import numpy as np
import pytest
from drawn_waves import exact_kernels

from spikingconvnet import zoo
from spikingconvnet.algorithms import dense_waves as dense
from spikingconvnet.engine.encode import encode
from spikingconvnet.engine.network import Network

SHAPE = (28, 28)


def pictures(rng, count):
    """Draw grey pictures with a bright stroke across darkness."""
    images = np.zeros((count, *SHAPE), np.uint8)
    for image in images:
        at = rng.integers(4, 20, size=2)
        for _ in range(90):
            at = np.clip(at + rng.integers(-1, 2, size=2), 2, 25)
            image[at[0] : at[0] + 2, at[1] : at[1] + 2] = rng.integers(40, 256, size=(2, 2))
    return images


def one_step(layer, kernels, spikes, held):
    """Let the spikes of one step (height, width, channels) pass; return those that leave."""
    held["potential"] += dense.convolve(spikes[None], kernels, (1, 1), layer.padding)[0]
    best = held["potential"].argmax(axis=2)[..., None] == np.arange(layer.maps)
    fires = best & (held["potential"] > layer.threshold) & ~held["taken"][..., None]
    held["taken"] |= fires.any(axis=2)
    pool = layer.pool
    pooled = dense.pool(fires[None], pool.shape, pool.stride, pool.padding, pool.ceil)[0]
    sent = pooled & ~held["sent"]
    held["sent"] |= sent
    return sent


@pytest.mark.parametrize("name", ["goupy2023", "goupy2023_ttfs"])
def test_step_by_step_and_layer_by_layer_are_the_same(name):
    rng = np.random.default_rng(3)
    model = zoo.load(name)
    (place,) = model.places(SHAPE)
    layer, images = place.layer, pictures(rng, 4)
    kernels = exact_kernels(rng, layer.weight_shape(place.input_shape))
    waves, _ = Network(model, SHAPE, [kernels]).run(images)
    layer_by_layer = waves.latencies()
    entering = encode(model.encoder, images)
    for image in range(len(images)):
        held = {
            "potential": np.zeros(layer.conv_shape(place.input_shape)),
            "taken": np.zeros(layer.conv_shape(place.input_shape)[:2], bool),
            "sent": np.zeros(layer.output_shape(place.input_shape), bool),
        }
        found = np.full(held["sent"].shape, waves.steps)
        for time, spikes in enumerate(dense.spikes_of(entering, image)):
            found[one_step(layer, kernels, spikes, held)] = time
        assert np.array_equal(found, layer_by_layer[image])
        assert np.sum(found < waves.steps) > 20 and len(np.unique(found)) > 4
