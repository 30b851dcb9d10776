"""Three convolutions by order-based STDP, a decision layer by reward-modulated STDP.

No accuracy is published. The program states no epochs either but in an example: 2, 4, 4 and 10.
Its other networks, in the files of 2024 beside this one, start from the same two layers.
"""

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import FilterBank
from spikingconvnet.classes.single_spike import Competition, Pool, SpikingConv, SpikingDecision

SOURCE = "Attar, snn (2024), a public program on SpykeTorch"
EPOCH = 60_000


def layer(
    maps: int,
    shape: int,
    threshold: float,
    winners: tuple[int, int],
    padding: int = 1,
    pool: Pool | None = None,
    epochs: int = 4,
) -> SpikingConv:
    """Return a layer as all networks of this program have them; `winners`: number and radius."""
    number, radius = winners
    return SpikingConv(
        maps=maps,
        shape=shape,
        padding=padding,
        threshold=threshold,
        inhibition=False,
        pool=pool,
        competition=Competition(winners=number, radius=radius),
        images=epochs * EPOCH,
        stop=0.0,
    )


FIRST = layer(30, 5, 15.0, (5, 3), padding=2, pool=Pool(2), epochs=2)
SECOND = layer(150, 3, 10.0, (8, 1), pool=Pool(2))
THIRD = layer(250, 3, 50.0, (15, 1), pool=Pool(3))

MODEL = HostModel(
    "deep2024",
    f"{SOURCE}: deep2024",
    FilterBank(),
    (FIRST, SECOND, THIRD),
    SpikingDecision(per_class=20, shape=5, padding=2, epochs=10),
)
