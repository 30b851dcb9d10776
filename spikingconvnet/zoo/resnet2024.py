"""As deep2024, with a way around the third convolution: random 1 x 1 kernels, never trained.

The program merges both by "or" in training and by "add" in evaluation, then lets a unit send in
its first step only; here a merge is the same in both, and a spike lasts. All weights of the way
around are positive and one spike is enough: its maps fire all together, wherever the second layer
fired, so that "or" leaves nothing of the third. Branches are pooled before they meet, which for
"or" is the same as behind.

resnet2024      "add": a spike of each way counts
resnet2024_or   the first spike counts
resnet2024_and  a unit fires once both ways have

No accuracy is published.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import Branches, Pool, SpikingConv, SpikingDecision
from spikingconvnet.zoo.deep2024 import FIRST, SECOND, SOURCE, THIRD

AROUND = SpikingConv(maps=250, shape=1, threshold=0.0, inhibition=False, pool=Pool(3), images=0)
BOTH = Branches((THIRD, AROUND), merge="add")

MODEL = HostModel(
    "resnet2024",
    f"{SOURCE}: resnet2024",
    FilterBank(),
    (FIRST, SECOND, BOTH),
    SpikingDecision(per_class=20, shape=4, padding=2, epochs=10),
)

VARIANTS = {
    f"resnet2024_{merge}": replace(
        MODEL,
        name=f"resnet2024_{merge}",
        layers=(FIRST, SECOND, replace(BOTH, merge=merge)),
    )
    for merge in ("or", "and")
}
