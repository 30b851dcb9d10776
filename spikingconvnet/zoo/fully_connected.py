"""One fully connected layer of leaky neurons with adaptive thresholds, winner take all.

The original reported 73 to 78 % of MNIST's test images. Ours departs from it where that helped on
held-back training images:

- a threshold keeps a little of every win (homeostasis), so that all neurons are used;
- weights start low and random instead of all equal, so that neurons become averages of many images
  and not copies of single ones;
- nobody rests, and a winner falls below the losers: within one image several neurons win in turn;
- every spike votes for all classes, as its neuron's spikes at training images were shared among
  them.

VARIANTS holds the original.
"""

from spikingconvnet.classes.fully_connected import (
    AdaptiveLIF,
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
        neurons=3200,
        neuron=AdaptiveLIF(
            v_thresh=-40.0, v_reset=-90.0, v_lost=-70.0, leak=0.2, thresh_up=5.0, tau_refrac=0
        ),
        rule=WindowRule(rate=0.02, window=10, w_init_mean=0.3, w_init_sd=0.1),
        epochs=1,
        homeostasis=0.2,
    ),
    label="share",
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
