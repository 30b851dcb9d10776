"""Two convolutions by order-based STDP; three decision layers of different sizes vote.

Without a majority the layer of 5 x 5 decides; the program's answer when some layers are silent is
an error, here those that are not decide. No accuracy is published.
"""

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import MajorityVote, Pool
from spikingconvnet.zoo.deep2024 import FIRST, SOURCE, layer

MODEL = HostModel(
    "majority2024",
    f"{SOURCE}: majority2024",
    FilterBank(),
    (FIRST, layer(250, 3, 10.0, (8, 1), pool=Pool(3))),
    MajorityVote(per_class=20, shapes=(3, 5, 7), padding=2, tie=1, epochs=10),
)
