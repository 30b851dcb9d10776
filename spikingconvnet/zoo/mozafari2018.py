"""Two convolutions by order-based STDP, a decision layer by reward-modulated STDP.

Published: 97.2 % on MNIST after up to 680 epochs of the decision layer. mozafari2018_fast is the
same network; its decision layer learns in 24 epochs at eight times the published rates, which fall
by a tenth in each. Those numbers are ours, chosen on the last 10,000 images of the training file.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.rules import OrderSTDP, RewardSTDP
from spikingconvnet.classes.single_spike import Competition, Pool, SpikingConv, SpikingDecision

MODEL = HostModel(
    "mozafari2018",
    "Mozafari et al., Pattern Recognition 94 (2019) 87-95",
    FilterBank(),
    (
        SpikingConv(
            maps=30,
            shape=5,
            padding=2,
            threshold=15.0,
            inhibition=False,
            pool=Pool(2),
            rule=OrderSTDP(),
            competition=Competition(winners=5, radius=3),
            images=120_000,
            stop=0.0,
        ),
        SpikingConv(
            maps=250,
            shape=3,
            padding=1,
            threshold=10.0,
            inhibition=False,
            pool=Pool(3),
            rule=OrderSTDP(),
            competition=Competition(winners=8, radius=1),
            images=240_000,
            stop=0.0,
        ),
    ),
    SpikingDecision(per_class=20, shape=5, padding=2, rule=RewardSTDP(), epochs=40),
)
VARIANTS = {
    "mozafari2018_fast": replace(
        MODEL,
        name="mozafari2018_fast",
        readout=SpikingDecision(
            per_class=20,
            shape=5,
            padding=2,
            rule=RewardSTDP(reward=(0.032, -0.024), punishment=(-0.032, 0.004), decay=0.9),
            epochs=24,
        ),
    ),
}
