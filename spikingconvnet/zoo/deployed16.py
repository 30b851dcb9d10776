"""One layer of 16 binary kernels that a board computes exactly: 13,578 neurons, for a SpiNN-5.

The published part is the layer's learning rule and encoder, of Goupy et al. (2023); what a board
does with it is in `algorithms.board_layers`. The variant, of stride 2, fits a SpiNN-3.
"""

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.rules import VDSP, PairedRule
from spikingconvnet.classes.single_spike import Competition, DenseDecision, Pool, SpikingConv

_SOURCE = "encoder and learning rule of Goupy et al. (2023), in the semantics of a board"
_COMPETITION = Competition(winners=7, per="step", radius=3)

MODEL = HostModel(
    "deployed16",
    _SOURCE,
    RankOrder(15),
    (
        SpikingConv(
            maps=16,
            shape=7,
            padding=3,
            threshold=10.0,
            pool=Pool(6, 3),
            rule=VDSP(),
            competition=_COMPETITION,
            levels=1,
        ),
    ),
    DenseDecision(rule=PairedRule(margin=10.0, decay=0.8), epochs=10, levels=16),
)

VARIANTS = {
    "deployed32": HostModel(
        "deployed32",
        _SOURCE,
        RankOrder(15),
        (
            SpikingConv(
                maps=32,
                shape=7,
                padding=3,
                stride=2,
                threshold=10.0,
                pool=Pool(3, 1),
                rule=VDSP(),
                competition=_COMPETITION,
                levels=1,
            ),
        ),
        DenseDecision(rule=PairedRule(margin=10.0, decay=0.8), epochs=10, levels=8),
    )
}
