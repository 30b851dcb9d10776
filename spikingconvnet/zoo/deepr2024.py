"""As deep2024, with the third convolution rewarded too: it and the decision layer learn together.

deepr2024    both learn from each image
deepr2024_2  batches teach one of the two in turn, as the program's second variant is meant
             to; an operator's precedence let its third layer learn in a few batches only

No accuracy is published.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.rules import OrderSTDP, RewardSTDP
from spikingconvnet.classes.single_spike import Competition, SpikingDecision
from spikingconvnet.zoo.deep2024 import FIRST, SECOND, SOURCE, THIRD

REWARDED = replace(
    THIRD,
    rule=OrderSTDP(stabiliser=False),
    competition=Competition(winners=15, radius=0),
    reward=RewardSTDP(
        reward=(0.001, -0.00075), punishment=(-0.001, 0.000125), w_min=0.0, w_max=1.0
    ),
)

MODEL = HostModel(
    "deepr2024",
    f"{SOURCE}: deepr2024",
    FilterBank(),
    (FIRST, SECOND, REWARDED),
    SpikingDecision(per_class=20, shape=5, padding=2, epochs=10),
)

VARIANTS = {
    "deepr2024_2": HostModel(
        "deepr2024_2",
        f"{SOURCE}: deepr2024_2",
        FilterBank(),
        MODEL.layers,
        SpikingDecision(per_class=20, shape=5, padding=2, epochs=10, alternate=True),
    )
}
