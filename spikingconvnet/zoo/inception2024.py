"""As deep2024, with convolutions of three sizes side by side in the third place.

Each branch is trained by itself (layers 3, 4 and 5) and padded with silent units to 7 x 7. No
accuracy is published.
"""

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import Branches, Pool, SpikingDecision
from spikingconvnet.zoo.deep2024 import FIRST, SOURCE, layer

# A pooling of single units adds the silent border.
BRANCHES = tuple(
    layer(100, shape, 50.0, (15, 1), pool=Pool(1, padding=border))
    for shape, border in ((3, 0), (5, 1), (7, 2))
)

MODEL = HostModel(
    "inception2024",
    f"{SOURCE}: inception2024",
    FilterBank(),
    (FIRST, layer(75, 3, 10.0, (8, 1), pool=Pool(2)), Branches(BRANCHES, Pool(3))),
    SpikingDecision(per_class=20, shape=5, padding=2, epochs=10),
)
