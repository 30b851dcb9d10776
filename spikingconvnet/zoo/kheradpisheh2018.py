"""Two convolutions by order-based STDP on on- and off-centre cells.

The article is quoted with 98.4 % on MNIST, with a linear SVM. The models here are those of two
public programs after it, neither of which states an accuracy:

kheradpisheh2018       s-cnn (samas69420, 2024): winners of each map first, weights change at the
                       step of the win, read-out by reward with a ring of recent hits
kheradpisheh2018_small the same with 30 maps in the second layer instead of 750
kheradpisheh2018_svm   the same with a linear SVM, the article's read-out
kheradpisheh2018_deep  KheradpishehDeep of SpykeTorch (Mozafari et al., 2019): k winners an image,
                       weights change after it, read-out by a linear SVM

The program s-cnn has two commands for training. Both layers here double their rates as `trainconv`
does (whose very first image has half the rate; it shows 2,500 to the first layer) and stop as
`train` does (which never doubles: 0.004 up to a million images). Its read-out punishes inputs that
fired by 0.0005 and rewards silent ones by 0.004, with which one neuron soon answers to everything;
here it is the other way round, as in the rule that it follows. Epochs are not stated.
SpykeTorch lets, while its second layer learns, only the earliest map of each place pass the pooling
below; not so at inference, and not here.
"""

from dataclasses import replace

from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import TWO_DOGS, FilterBank
from spikingconvnet.classes.rules import HitMissSTDP, OrderSTDP
from spikingconvnet.classes.single_spike import (
    Competition,
    DenseDecision,
    LinearSVM,
    Pool,
    SpikingConv,
)

SOURCE = "Kheradpisheh et al., Neural Networks 99 (2018) 56-67"
RULE = OrderSTDP(rate=0.008, double_every=1000, top_rate=0.032, update="step")

FIRST = SpikingConv(
    maps=30,
    shape=5,
    threshold=15.0,
    crop=1,
    pool=Pool(2),
    rule=RULE,
    competition=Competition(winners=30, radius=5, map_first=True),
    images=20_000,
    stop=0.01,
)
SECOND = SpikingConv(
    maps=750,
    shape=5,
    threshold=10.0,
    pool=Pool(2, ceil=True),
    rule=RULE,
    competition=Competition(winners=750, radius=5, map_first=True),
    images=1_000_000,
    stop=0.01,
)

MODEL = HostModel(
    "kheradpisheh2018",
    f"{SOURCE}; as the public program s-cnn (2024) has it",
    FilterBank(
        TWO_DOGS,
        threshold=10.0,
        normalise_radius=0,
        steps=10,
        kernel="plain",
        joint=False,
        strict=True,
        crop=1,
    ),
    (FIRST, SECOND),
    DenseDecision(per_class=1, rule=HitMissSTDP(punishment=(-0.004, 0.0005)), epochs=8),
)

DEEP = HostModel(
    "kheradpisheh2018_deep",
    f"{SOURCE}; as SpykeTorch has it (Mozafari et al., Frontiers in Neuroscience 13 (2019) 625)",
    FilterBank(TWO_DOGS, threshold=50.0),
    (
        SpikingConv(
            maps=32,
            shape=5,
            padding=2,
            threshold=10.0,
            inhibition=False,
            pool=Pool(2, padding=1),
            competition=Competition(winners=5, radius=2),
            images=120_000,
            stop=0.0,
        ),
        SpikingConv(
            maps=150,
            shape=2,
            padding=1,
            threshold=1.0,
            inhibition=False,
            pool=Pool(2, padding=1),
            competition=Competition(winners=8, radius=1),
            images=1_200_000,
            stop=0.0,
        ),
    ),
    LinearSVM(C=2.4, max_iter=1000),
)

VARIANTS = {
    "kheradpisheh2018_small": replace(
        MODEL, name="kheradpisheh2018_small", layers=(FIRST, replace(SECOND, maps=30))
    ),
    "kheradpisheh2018_svm": replace(MODEL, name="kheradpisheh2018_svm", readout=LinearSVM()),
    "kheradpisheh2018_deep": DEEP,
}
