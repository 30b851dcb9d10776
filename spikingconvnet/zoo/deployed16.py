"""One layer of 16 binary kernels that a board computes exactly: 13,578 neurons, for a SpiNN-5.

The published part is the layer's learning rule and encoder, of Goupy et al. (2023); what a board
does with it is in `algorithms.board_layers`. Variants: deployed32, of stride 2, fits a SpiNN-3;
deployed16_svm is read out by a support vector machine; deployed_conv16 goes by the board's own
convolution, without lateral inhibition, and deployed_conv16_inhibited with it.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder
from spikingconvnet.classes.rules import VDSP, PairedRule
from spikingconvnet.classes.single_spike import (
    Competition,
    DenseDecision,
    LinearSVM,
    Pool,
    SpikingConv,
)

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

_LAYER = MODEL.layers[0]
assert isinstance(_LAYER, SpikingConv)
_ON_CHIP = replace(_LAYER, pool=Pool(6, 2, 2))
"""With windows of three strides, as the board's connector pools."""

VARIANTS = {
    "deployed16_svm": replace(MODEL, name="deployed16_svm", readout=LinearSVM(levels=16)),
    "deployed_conv16": replace(
        MODEL,
        name="deployed_conv16",
        layers=(replace(_ON_CHIP, inhibition=False),),
        connector="convolution",
    ),
    "deployed_conv16_inhibited": replace(
        MODEL, name="deployed_conv16_inhibited", layers=(_ON_CHIP,), connector="convolution"
    ),
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
    ),
}
