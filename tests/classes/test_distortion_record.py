"""The record of distortions, and where a decision layer shows distorted images."""

import numpy as np
import pytest

from spikingconvnet.classes.distortion import Distortion
from spikingconvnet.classes.single_spike import DenseDecision
from spikingconvnet.errors import ModelError

BENT = Distortion(elastic=1.0)


@pytest.mark.parametrize("name", ["degrees", "scale", "shear", "elastic"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "10", None, True])
def test_what_is_no_strength_is_refused(name, value):
    with pytest.raises(ModelError, match=rf"^Distortion\.{name}: .* \(must be at least 0\)$"):
        Distortion(**{name: value})


def test_other_bad_settings_are_named():
    with pytest.raises(ModelError, match=r"^Distortion\.smoothness: 0 \(must be above 0\)$"):
        Distortion(smoothness=0)
    with pytest.raises(ModelError, match=r"^Distortion\.degrees: 181 \(must be at most 180\)$"):
        Distortion(degrees=181)
    with pytest.raises(ModelError, match=r"^Distortion\.scale: 1\.0 \(must be below 1"):
        Distortion(scale=1.0)
    with pytest.raises(
        ModelError, match=r"^DenseDecision\.distortion: 3 \(must be a Distortion\)$"
    ):
        DenseDecision(distortion=3)
    for wrong, valid in ((-1, "at least 0"), (1.5, ""), (9, r"at most the epochs, 8\)")):
        with pytest.raises(ModelError, match=rf"^DenseDecision\.clean_epochs.*{valid}"):
            DenseDecision(clean_epochs=wrong)


@pytest.mark.parametrize("name", ["degrees", "scale", "shear", "elastic"])
def test_any_strength_changes_images(name):
    assert Distortion(**{name: 0.01}).changes
    assert not Distortion(smoothness=1.0).changes


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (DenseDecision(epochs=5), 0),
        (DenseDecision(epochs=5, clean_epochs=2), 0),
        (DenseDecision(epochs=5, distortion=BENT), 5),
        (DenseDecision(epochs=5, distortion=BENT, clean_epochs=2), 3),
        (DenseDecision(epochs=5, distortion=BENT, clean_epochs=5), 0),
    ],
)
def test_the_first_epochs_are_distorted(layer, count):
    assert layer.distorted_epochs == count


def test_it_is_said_in_words():
    said = str(Distortion(10.0, 0.1, 0.2, np.float64(1.5), 4.0))
    assert said == (
        "turned by up to 10 degrees, stretched by 10%, slanted by 0.2, bent by 1.5 px "
        "(smooth over 4 px)"
    )
