"""Other ways to deploy, through the command line: on-chip convolution, support vectors."""

import json

import pytest

DIGITS = {"name": "digits", "train_per_class": 30, "test_per_class": 4}
SMALL = {
    "layers.0.maps": 8,
    "layers.0.shape": (5, 5),
    "layers.0.padding": (2, 2),
    "layers.0.threshold": 5.0,
    "layers.0.images": 300,
    "layers.0.pool.shape": (2, 2),
    "layers.0.pool.stride": (2, 2),
    "layers.0.pool.padding": (0, 0),
}


def trained(command, name, data, overrides, *more):
    given = {
        "MODEL": name,
        "OVERRIDES": overrides,
        "DATA": data,
        "BOARD": {"name": "software", "version": 5},
    }
    steps = (("loaddata",), ("training", "--layer", "1"), ("training", "--layer", "svm"), more)
    for words in steps:
        outcome = command("--mode", *words, **given)
        assert outcome.code == 0, outcome.err
    return outcome, given


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("deployed16_svm", marks=pytest.mark.long),
        pytest.param("deployed_conv16", marks=pytest.mark.long),
        "deployed_conv16_inhibited",
    ],
)
def test_board_equals_host_spike_for_spike(command, tmp_path, name):
    outcome, given = trained(command, name, DIGITS, SMALL, "deploy", "--images", "20")
    assert "host equals board: every spike of 20 images" in outcome.out
    record = json.loads((tmp_path / "run" / "deployed.json").read_text())
    assert record["label_agreement"] == 1 and record["board_accuracy"] >= 0.4
    assert all(layer["seen"] > 100 for layer in record["layers"].values())
    again = command("--mode", "compare", **given)
    assert again.code == 0, again.err
    assert ("NEST is not installed" in again.out) != ("simulator NEST, 20 images" in again.out)
    assert "board     deploys" in command("--mode", "info", **given).out


def test_a_fully_connected_network_is_refused_with_the_reason(command):
    outcome = command("--mode", "deploy", MODEL="fully_connected", DATA=DIGITS)
    assert outcome.code == 2 and "thresholds rise with each spike" in outcome.err


@pytest.mark.long
@pytest.mark.parametrize("name", ["deployed_conv16", "deployed_conv16_inhibited"])
def test_on_chip_convolution_equals_its_prediction_on_200_images(command, tmp_path, name):
    """All of MNIST, 15,690 neurons on a SpiNN-5."""
    mnist = {"name": "mnist", "train_per_class": None}
    outcome, _ = trained(command, name, mnist, {}, "deploy", "--images", "200")
    assert "host equals board: every spike of 200 images" in outcome.out
    record = json.loads((tmp_path / "run" / "deployed.json").read_text())
    assert record["board_accuracy"] >= 0.95
