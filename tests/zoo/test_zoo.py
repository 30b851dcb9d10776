"""Every model of the zoo through the command line, on the bundled digits made 28 x 28."""

import json
import re
import shutil

import numpy as np
import pytest

from spikingconvnet import cli, zoo
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.single_spike import MajorityVote, SpikingConv, SpikingDecision
from spikingconvnet.engine.geometry import grid
from spikingconvnet.errors import UsageError
from spikingconvnet.utilities import datasets
from spikingconvnet.utilities.idx import idx_bytes

TENSORS = {
    "goupy2023": [(28, 28, 1), (9, 9, 70)],
    "mozafari2018": [(28, 28, 6), (14, 14, 30), (4, 4, 250)],
    "kheradpisheh2018": [(27, 27, 2), (11, 11, 30), (4, 4, 750)],
    "kheradpisheh2018_small": [(27, 27, 2), (11, 11, 30), (4, 4, 30)],
    "kheradpisheh2018_svm": [(27, 27, 2), (11, 11, 30), (4, 4, 750)],
    "kheradpisheh2018_deep": [(28, 28, 2), (15, 15, 32), (9, 9, 150)],
    "deep2024": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "deepr2024": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "deepr2024_2": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "inception2024": [(28, 28, 6), (14, 14, 30), (7, 7, 75), (2, 2, 300)],
    "majority2024": [(28, 28, 6), (14, 14, 30), (4, 4, 250)],
    "resnet2024": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "resnet2024_or": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "resnet2024_and": [(28, 28, 6), (14, 14, 30), (7, 7, 150), (2, 2, 250)],
    "deeper2024": [(28, 28, 6), (15, 15, 30), (7, 7, 150), (2, 2, 250), (1, 1, 200)],
    "deeper2024_128": [(28, 28, 6), (15, 15, 30), (7, 7, 150), (2, 2, 250), (1, 1, 200)],
}
ANSWERS = {
    "mozafari2018": [(4, 4, 200)],
    "deep2024": [(2, 2, 200)],
    "deepr2024": [(2, 2, 200)],
    "inception2024": [(2, 2, 200)],
    "majority2024": [(6, 6, 200), (4, 4, 200), (2, 2, 200)],
    "resnet2024": [(3, 3, 200)],
    "deeper2024": [(3, 3, 100)],
}
"""Places and maps of the convolutional read-outs of ten classes."""


def test_variants_are_found_by_their_own_names():
    assert set(TENSORS) < set(zoo.names())
    assert len(set(zoo.names())) == len(zoo.names())


@pytest.mark.parametrize("name", TENSORS)
def test_shapes_are_the_published_ones(name):
    model = zoo.load(name)
    assert model.name == name
    assert model.tensors((28, 28)) == TENSORS[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_decision_layers_have_the_published_shape(name):
    model = zoo.load(name)
    readout, shape = model.readout, model.tensors((28, 28))[-1]
    heads = readout.heads if isinstance(readout, MajorityVote) else (readout,)
    assert all(isinstance(head, SpikingDecision) for head in heads)
    places = [grid(shape, head.shape, (1, 1), head.padding) for head in heads]
    found = [
        (place.rows, place.columns, 10 * head.per_class)
        for place, head in zip(places, heads, strict=True)
    ]
    assert found == ANSWERS[name]


def test_an_unknown_model_is_refused_with_all_names():
    with pytest.raises(UsageError, match=r"model: 'deep2025'.*deepr2024_2.*kheradpisheh2018_small"):
        zoo.load("deep2025")


# ---- the command line ----------------------------------------------------------------------------


def small_layer(number, maps, images=400, **changes):
    settings = {"maps": maps, "images": images, "rule.rate": 0.15, **changes}
    return [f"layers.{number}.{name}={value}" for name, value in settings.items()]


FIRST = small_layer(0, 12)
SECOND = small_layer(1, 16, threshold=4)
THIRD = small_layer(2, 20, threshold=3)
DECISION = [
    "readout.per_class=3",
    "readout.epochs=10",
    "readout.rule.batch=30",
    "readout.rule.reward=(0.04, -0.03)",
    "readout.rule.punishment=(-0.04, 0.005)",
]
SMALL = {
    "goupy2023": FIRST,
    "mozafari2018": [*FIRST, *SECOND, *DECISION],
    "kheradpisheh2018": [
        *small_layer(0, 12),
        *small_layer(1, 20, threshold=5),
        "readout.epochs=40",
        "readout.rule.reward=(0.1, -0.075)",
        "readout.rule.punishment=(-0.1, 0.0125)",
    ],
    "kheradpisheh2018_deep": [*FIRST, *SECOND, "readout.C=0.1"],
    "deep2024": [*FIRST, *SECOND, *THIRD, *DECISION],
    "deepr2024": [*FIRST, *SECOND, *THIRD, *DECISION],
    "deepr2024_2": [*FIRST, *SECOND, *THIRD, *DECISION],
    "inception2024": [
        *FIRST,
        *SECOND,
        *(
            setting
            for branch, threshold in enumerate((3, 4, 5))
            for setting in small_layer(f"2.layers.{branch}", 8, threshold=threshold)
        ),
        *DECISION,
    ],
    "majority2024": [*FIRST, *SECOND, *DECISION],
    "resnet2024_and": [
        *FIRST,
        *SECOND,
        *small_layer("2.layers.0", 20, threshold=3),
        "layers.2.layers.1.maps=20",
        *DECISION,
    ],
    "deeper2024": [
        *FIRST,
        *small_layer(1, 16, threshold=8),
        *small_layer(2, 40, threshold=8),
        *small_layer(3, 40, threshold=4),
        *DECISION,
    ],
}
"""Settings that make each network small enough for a test."""

LAYERS = {"inception2024": 5, "resnet2024_and": 4, "deeper2024": 4, "goupy2023": 1}
LAYERS |= dict.fromkeys(["deep2024", "deepr2024", "deepr2024_2"], 3)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Write the digits as files of MNIST's kind, and a parameter file that holds nothing."""
    folder = tmp_path_factory.mktemp("zoo")
    digits = datasets.load("digits")
    for part, kind in (("train", "train"), ("test", "t10k")):
        images, labels = (getattr(digits, f"{part}_{what}") for what in ("images", "labels"))
        large = np.pad(np.kron(images, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
        (folder / f"{kind}-images-idx3-ubyte").write_bytes(idx_bytes(large))
        (folder / f"{kind}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    (folder / "parameters.py").write_text("SEED = 4\nBACKUP = False\nFIGURES = {'formats': []}\n")
    data = ["data.classes=[0, 1, 4]", "data.train_per_class=30", "data.test_per_class=15"]
    assert run(folder, folder / "drawn", "goupy2023", "--mode", "loaddata", data=data) == 0
    return folder


def run(folder, where, name, *words, data=()):
    """Run a command on a small model."""
    settings = [f"data.folder={str(folder)!r}", *data, *SMALL[name]]
    flags = [word for setting in settings for word in ("--set", setting)]
    return cli.main(
        ["--model", name, "--run-dir", str(where), *words, *flags],
        default_parameters=folder / "parameters.py",
    )


def arrays(path):
    with np.load(path) as found:
        return dict(found)


@pytest.mark.parametrize("name", SMALL)
def test_a_model_goes_all_the_way(name, workshop, tmp_path, capfd):
    shutil.copytree(workshop / "drawn", tmp_path / "run")
    layers = [str(number + 1) for number in range(LAYERS.get(name, 2))]
    for layer in [*layers, "svm"]:
        words = ("--mode", "training", "--layer", layer)
        assert run(workshop, tmp_path / "run", name, *words) == 0, capfd.readouterr().err
    for number in layers:
        if (name, number) == ("resnet2024_and", "4"):
            continue
        found = arrays(tmp_path / "run" / f"weights_layer_{number}.npz")
        assert np.abs(found["weights"] - found["initial"]).max() > 0.05
    assert run(workshop, tmp_path / "run", name, "--mode", "testing") == 0
    judged = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert judged["model"] == name
    assert judged["trained"]["images"] == 45
    if name != "deeper2024":  # it keeps one place only, and so little of so few images
        assert judged["trained"]["accuracy"] > 0.5  # chance is a third
    assert len(np.unique(arrays(tmp_path / "run" / "predictions.npz")["trained"])) > 1
    assert min(judged["spikes_per_image"]["trained"]) > 0
    capfd.readouterr()
    assert run(workshop, tmp_path / "run", name, "--mode", "info") == 0
    told = capfd.readouterr().out
    assert told.startswith(f"{name}: ")
    assert all(re.search(rf"layer {number} .*maps of", told) for number in layers)
    assert f"accuracy {100 * judged['trained']['accuracy']:.2f} %" in told


def test_layers_that_stay_random_need_no_training(workshop, tmp_path, capfd):
    shutil.copytree(workshop / "drawn", tmp_path / "run")
    for layer in "1234":
        words = ("--mode", "training", "--layer", layer)
        assert run(workshop, tmp_path / "run", "resnet2024_and", *words) == 0
    assert "layer 4: 0 images; it keeps its random kernels" in capfd.readouterr().out
    assert run(workshop, tmp_path / "run", "resnet2024_and", "--mode", "info") == 0
    assert "threshold 0, random kernels; gives 2 x 2 x 20" in capfd.readouterr().out
    assert not (tmp_path / "run" / "weights_layer_4.npz").exists()


def test_what_joint_training_made_of_a_convolution_is_tested(workshop, tmp_path, capfd):
    shutil.copytree(workshop / "drawn", tmp_path / "run")
    for layer in (*"123", "svm"):
        words = ("--mode", "training", "--layer", layer)
        assert run(workshop, tmp_path / "run", "deepr2024", *words) == 0
    weights = arrays(tmp_path / "run" / "weights_layer_3.npz")["weights"]
    readout = arrays(tmp_path / "run" / "readout.npz")
    assert readout["trained_conv"].shape == weights.shape
    assert np.abs(readout["trained_conv"] - weights).max() > 1e-3
    assert "control_conv" not in readout
    assert run(workshop, tmp_path / "run", "deepr2024", "--mode", "testing") == 0
    before = arrays(tmp_path / "run" / "predictions.npz")
    silent = readout | {"trained_conv": np.zeros_like(weights)}
    np.savez(tmp_path / "run" / "readout.npz", **silent)
    assert run(workshop, tmp_path / "run", "deepr2024", "--mode", "testing") == 0
    after = arrays(tmp_path / "run" / "predictions.npz")
    assert np.all(after["trained"] == -1)
    assert np.array_equal(after["control"], before["control"])


def test_a_reward_where_none_can_be_given_is_refused(workshop, tmp_path, capfd):
    layer = SpikingConv(maps=2, shape=3, threshold=1.0, reward=zoo.load("deepr2024").joint.reward)
    for stages in ((layer, layer), (layer,)):
        model = zoo.load("goupy2023")
        with pytest.raises(Exception, match=r"stage 1: SpikingConv.reward \(must be None except"):
            HostModel("x", "", model.encoder, stages, model.readout)


def test_data_can_be_thinned_and_augmented(workshop, tmp_path, capfd):
    data = ["data.classes=[0, 1, 4]", "data.train_per_class=30", "data.test_per_class=5"]
    for extra, count in ((["data.train_ratio=0.1"], 9), (["data.augment=True"], 360)):
        where = tmp_path / str(count)
        words = ("--mode", "loaddata")
        assert run(workshop, where, "goupy2023", *words, data=[*data, *extra]) == 0
        found = arrays(where / "data.npz")
        assert found["train_images"].shape == (count, 28, 28)
        assert len(found["test_images"]) == 15
    assert run(workshop, where, "goupy2023", *words, data=["data.train_ratio=0"]) == 2
    assert "Data.train_ratio: 0.0 (must be above 0 and at most 1)" in capfd.readouterr().err
