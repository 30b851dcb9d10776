"""One fully connected layer of leaky neurons with adaptive thresholds, winner take all.

The original reported 73 to 78 % of MNIST's test images. Ours departs from it where that helps: the
threshold of a neuron keeps a little of every win (homeostasis), weights start low and random
instead of all equal, so that neurons become averages of many images and not copies of single ones,
and a neuron bears the label at whose images it fires most. VARIANTS holds the original.
"""

from spikingconvnet.classes.fully_connected import (
    FullyConnected,
    FullyConnectedModel,
    ReceptiveRate,
    WindowRule,
)

MODEL = FullyConnectedModel(
    "fully_connected",
    "after Simple-SNN, Osnabrueck 2022",
    ReceptiveRate(),
    FullyConnected(
        neurons=1600,
        rule=WindowRule(rate=0.02, w_init_mean=0.3, w_init_sd=0.1),
        epochs=1,
        homeostasis=0.1,
    ),
)
VARIANTS = {
    "simple_snn2022": FullyConnectedModel(
        "simple_snn2022",
        "Simple-SNN, Osnabrueck 2022, its defect included",
        ReceptiveRate(),
        FullyConnected(neurons=800, epochs=3, legacy=True),
        label="last",
        ann_epochs=0,
    )
}
