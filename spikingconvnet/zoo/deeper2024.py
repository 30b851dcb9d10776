"""Four convolutions by order-based STDP, a decision layer by reward-modulated STDP.

The program declares a threshold of 128 for the fourth and uses 1: deeper2024 has 1,
deeper2024_128 what was declared. No accuracy and no epochs are published.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import Pool, SpikingDecision
from spikingconvnet.zoo.deep2024 import SECOND, SOURCE, THIRD, layer

FIRST = layer(30, 3, 15.0, (5, 3), padding=2, pool=Pool(2), epochs=2)
FOURTH = layer(200, 3, 1.0, (20, 1), padding=2, pool=Pool(3))

MODEL = HostModel(
    "deeper2024",
    f"{SOURCE}: deeper2024",
    FilterBank(),
    (FIRST, SECOND, THIRD, FOURTH),
    SpikingDecision(per_class=10, shape=3, padding=2, epochs=10),
)

VARIANTS = {
    "deeper2024_128": replace(
        MODEL,
        name="deeper2024_128",
        layers=(FIRST, SECOND, THIRD, replace(FOURTH, threshold=128.0)),
    )
}
