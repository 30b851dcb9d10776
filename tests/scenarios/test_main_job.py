"""The whole job through the command line, on a software board and the bundled 8 x 8 digits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from job_folders import FIRST_LAYER

from spikingconvnet import cli

SECOND_LAYER = """{
    "layer": "conv",
    "kernels": 3,
    "shape": 2,
    "window_ms": 30,
    "inhibition": 10.0,
    "train_neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -58.0, "tau_refrac": 60.0},
    "neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -62.0, "tau_refrac": 3.0},
}"""
JOB = """
DATA = {"name": "digits", "classes": [0, 1, 4], "train_per_class": 30, "test_per_class": 20}
ENCODER = {"code": "latency", "interval_ms": 30, "on_ms": 12}
CLASSIFIER = {"C": 0.05}
TRAINING = {"windows_per_image": 4, "copies": 2, "rounds": 2, "sample_ms": 1}
FIGURES = {"formats": ["png", "svg"]}
CSV = True
BOARD = {"version": 3}
SEED = 5
BACKUP = False
"""
JOB += f"LAYERS = [{FIRST_LAYER}, {SECOND_LAYER}]\n"


def main(folder, *words):
    """Run a command on the job that lies in a folder."""
    return cli.main([*words, "--run-dir", str(folder)], default_parameters=folder / "job.py")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the whole job once."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "job.py").write_text(JOB)
    assert main(folder, "--mode", "loaddata") == 0
    for layer in ("1", "2", "svm"):
        assert main(folder, "--mode", "training", "--layer", layer) == 0
    assert main(folder, "--mode", "testing") == 0
    return folder


@pytest.fixture
def job(finished, tmp_path):
    """Give a copy of the finished job that a test may spoil."""
    return shutil.copytree(finished, tmp_path / "copy")


def arrays(folder, name):
    with np.load(folder / name) as found:
        return dict(found)


def replace(folder, name, **changed):
    whole = arrays(folder, name)
    np.savez(folder / name, **(whole | changed))


def judged(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_results_are_good_and_say_where_they_come_from(finished):
    metrics = judged(finished)
    assert metrics["origin"] == "software board (SpiNN-3, ideal timing)"
    assert metrics["trained"]["accuracy"] > 0.7
    assert metrics["trained"]["images"] == 60
    assert set(metrics["control"]) == set(metrics["trained"])
    assert metrics["seed"] == 5
    assert "control" in (finished / "metrics.txt").read_text()
    for name in ("weights_layer_1.npz", "readout.npz", "predictions.npz"):
        assert str(arrays(finished, name)["origin"]) == metrics["origin"]


def test_learning_changed_the_kernels_within_their_bounds(finished):
    for number, shape in ((1, (4, 1, 3, 3)), (2, (3, 4, 2, 2))):
        found = arrays(finished, f"weights_layer_{number}.npz")
        assert found["weights"].shape == found["initial"].shape == shape
        assert np.abs(found["weights"] - found["initial"]).max() > 0.05
        assert found["weights"].min() >= 0 and found["weights"].max() <= 1
        table = np.loadtxt(finished / f"weights_layer_{number}.csv", delimiter=",")
        assert np.array_equal(table, found["weights"].reshape(shape[0], -1))


def test_every_figure_is_there(finished):
    names = {path.name for path in (finished / "figures").iterdir()}
    for stem in (
        "input_patterns",
        "kernels_layer_1",
        "weight_changes_layer_2",
        "raster_layer_1",
        "voltages_layer_1",
        "voltages_conv2",
        "activity_conv1",
        "activity_conv2",
        "confusion_matrix",
        "spikes_per_class",
    ):
        assert {f"{stem}.png", f"{stem}.svg"} <= names


def test_testing_sees_neither_training_images_nor_labels(job):
    """Without the training images the same labels are predicted; shuffled labels drop to chance."""
    before = arrays(job, "predictions.npz")
    data = arrays(job, "data.npz")
    shuffled = np.random.default_rng(0).permutation(data["test_labels"])
    blank = np.zeros_like(data["train_images"])
    replace(job, "data.npz", train_images=blank, test_labels=shuffled)
    assert main(job, "--mode", "testing") == 0
    after = arrays(job, "predictions.npz")
    assert np.array_equal(after["trained"], before["trained"])
    assert np.array_equal(after["control"], before["control"])
    assert judged(job)["trained"]["accuracy"] < 0.55


def test_the_same_seed_gives_the_same_weights(job):
    before = arrays(job, "weights_layer_1.npz")["weights"]
    assert main(job, "--mode", "training", "--layer", "1") == 0
    assert np.array_equal(arrays(job, "weights_layer_1.npz")["weights"], before)


def test_layers_trained_out_of_order_name_the_command(job, capfd):
    (job / "weights_layer_1.npz").unlink()
    for words in (("training", "--layer", "2"), ("training", "--layer", "svm"), ("testing",)):
        assert main(job, "--mode", *words) == 2
        assert "layer 1 is not trained yet (run --mode training --layer 1 first)" in (
            capfd.readouterr().err
        )


def test_results_of_other_weights_are_not_mixed(job, capfd):
    found = arrays(job, "weights_layer_1.npz")
    replace(job, "weights_layer_1.npz", weights=found["weights"] * 0.5)
    assert main(job, "--mode", "testing") == 2
    assert "trained on other weights of the layers below" in capfd.readouterr().err


def test_a_readout_of_other_weights_is_not_used(job, capfd):
    found = arrays(job, "weights_layer_2.npz")
    replace(job, "weights_layer_2.npz", weights=found["weights"] * 0.5)
    assert main(job, "--mode", "testing") == 2
    message = capfd.readouterr().err
    assert "fitted to other weights" in message and message.count("\n") == 1


def test_testing_before_the_readout(job, capfd):
    (job / "readout.npz").unlink()
    assert main(job, "--mode", "testing") == 2
    assert "(run --mode training --layer svm first)" in capfd.readouterr().err


def test_weights_of_another_model(job, capfd):
    path = job / "job.py"
    path.write_text(path.read_text().replace('"kernels": 4', '"kernels": 5'))
    assert main(job, "--mode", "training", "--layer", "2") == 2
    assert "(4, 1, 3, 3) (the model has (5, 1, 3, 3)" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["weights_layer_1.npz", "readout.npz"])
def test_a_truncated_result_is_one_message(job, capfd, name):
    path = job / name
    path.write_bytes(path.read_bytes()[:-200])
    assert main(job, "--mode", "testing") == 1
    message = capfd.readouterr().err
    assert str(path) in message and message.count("\n") == 1


def test_copies_in_parallel_are_combined(job):
    before = arrays(job, "weights_layer_1.npz")
    assert main(job, "--mode", "multi", "--layer", "1") == 0
    after = arrays(job, "weights_layer_1.npz")
    assert not np.array_equal(after["weights"], before["weights"])
    assert np.array_equal(after["initial"], before["initial"])
    assert json.loads(str(after["rule"]))["copies"] == 2


def test_info_knows_what_was_done(finished, capfd):
    assert main(finished, "--mode", "info") == 0
    text = capfd.readouterr().out
    assert "weights_layer_2.npz: " in text and "accuracy" in text


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.long),
    ],
)
def test_an_interrupted_training_leaves_what_was_saved(job, request, number, code, word):
    text = (job / "job.py").read_text().replace('"windows_per_image": 4', '"windows_per_image": 36')
    (job / "job.py").write_text(text.replace('"window_ms": 30', '"window_ms": 3000'))
    before = (job / "weights_layer_1.npz").read_bytes()
    log = job / "toolchain.log"
    size = log.stat().st_size
    root = str(request.config.rootpath)
    words = ["--mode", "training", "--layer", "1", "--run-dir", str(job)]
    process = subprocess.Popen(
        [sys.executable, "-m", "spikingconvnet", *words, "--parameters", str(job / "job.py")],
        env=os.environ | {"PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "Running simulation" not in log.read_text(errors="replace")[size:]:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == code
    assert message == f"{word}; what was saved before is whole\n"
    assert (job / "weights_layer_1.npz").read_bytes() == before


def test_the_board_mode_serves_until_interrupted(job, request):
    root = str(request.config.rootpath)
    words = ["--mode", "board", "--run-dir", str(job), "--parameters", str(job / "job.py")]
    process = subprocess.Popen(
        [sys.executable, "-m", "spikingconvnet", *words],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    address = first.split()[-1]
    assert first.startswith("software board (SpiNN-3, ideal timing) at 127.")
    # A board in real time is done soon with a few images.
    text = (job / "job.py").read_text().replace("TRAINING = {", 'TRAINING = {"images": 9, ')
    (job / "job.py").write_text(text)
    other = main(job, "--mode", "training", "--layer", "1", "--board", address)
    process.send_signal(signal.SIGINT)
    with process:
        assert f"machine_name = {address}" in process.stdout.read()
    assert process.returncode == 0 and other == 0
    assert str(arrays(job, "weights_layer_1.npz")["origin"]) == f"board {address}"


def test_one_picture_is_classified_on_the_board(job, capfd):
    from PIL import Image

    found = arrays(job, "predictions.npz")
    Image.fromarray(arrays(job, "data.npz")["test_images"][0]).save(job / "digit.png")
    capfd.readouterr()
    assert main(job, "--mode", "predict", "--image", str(job / "digit.png")) == 0
    told = capfd.readouterr().out
    assert f"{job / 'digit.png'}: class {found['trained'][0]}\n" in told
    scores = np.sort(found["trained_scores"][0])[::-1]
    assert f"{scores[0]:.4g} against {scores[1]:.4g}, margin" in told
    assert main(job, "--mode", "show", "--image", "0") == 0
    for name in ("show_raster", "show_activity_conv1", "show_voltages_conv2"):
        assert (job / "figures" / f"{name}.png").is_file()


def test_a_report_of_a_board_gathers_figures_and_timing(job):
    assert main(job, "--mode", "report") == 0
    text = (job / "report.html").read_text()
    assert "<script" not in text and text.count("data:image/png") > 8
    assert "software board (SpiNN-3, ideal timing)" in text and "real time: " in text
    assert f"{judged(job)['trained']['accuracy']:.2%}" in text
    assert "4 of 3 x 3" in text and "pair STDP" in text and "Not there yet" not in text
    assert "--mode training --layer svm" in text
