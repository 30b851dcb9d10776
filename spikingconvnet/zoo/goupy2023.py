"""One layer learned by voltage-dependent plasticity, read out by a linear SVM.

Published: 98.56 % on MNIST, mean w (1 - w) below 0.01 after some 700 images, 562 spikes an image.
goupy2023_ttfs differs in the encoder: latencies follow the intensity itself, not its rank.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import RankOrder, TimeToFirstSpike
from spikingconvnet.classes.rules import VDSP
from spikingconvnet.classes.single_spike import Competition, LinearSVM, Pool, SpikingConv

MODEL = HostModel(
    "goupy2023",
    "Goupy et al., Neuromorphic Computing and Engineering 3 (2023) 014001",
    RankOrder(15),
    (
        SpikingConv(
            maps=70,
            shape=7,
            padding=3,
            threshold=10.0,
            pool=Pool(3),
            rule=VDSP(),
            competition=Competition(winners=7, per="step", radius=3),
        ),
    ),
    LinearSVM(C=0.005),
)
VARIANTS = {
    "goupy2023_ttfs": replace(MODEL, name="goupy2023_ttfs", encoder=TimeToFirstSpike(15)),
}
