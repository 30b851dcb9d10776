"""What cannot be deployed is one message with exit code 2 before a board starts."""

import shutil

import numpy as np
import pytest
import small_jobs
from job_folders import main

JOB = small_jobs.text(10, 2, epochs=2)


def train(folder, *more, layers=("1", "svm")):
    for layer in layers:
        assert main(folder, "--mode", "training", "--layer", layer, *more) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "job.py").write_text(JOB)
    assert main(folder, "--mode", "loaddata") == 0
    train(folder)
    return folder


@pytest.fixture
def job(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "job")


@pytest.fixture
def refused(capfd):
    """Deploy a job, and tell what it would need: both must be refused in the same words."""

    def check(folder, words, *more):
        before = {path: path.read_bytes() for path in (folder / "run").glob("*") if path.is_file()}
        for mode in (("deploy", "--images", "10"), ("info", "--board", "software")):
            capfd.readouterr()
            assert main(folder, "--mode", *mode, *more) == 2
            message = capfd.readouterr().err
            assert words in message and message.startswith("error: ")
            assert message.count("\n") == 1
        after = {path: path.read_bytes() for path in (folder / "run").glob("*") if path.is_file()}
        assert after == before
        return message

    return check


@pytest.mark.parametrize("name", ["weights_layer_1.npz", "readout.npz", "data.npz"])
def test_a_run_that_is_not_trained(name, job, refused):
    (job / "run" / name).unlink()
    refused(job, f"{job / 'run' / name}: ")


FOREIGN = {
    "layers.0.threshold=4": "layers.0.threshold was 3.0, is 4",
    "encoder.steps=9": "encoder.steps was 15, is 9",
    "layers.0.inhibition=False": "layers.0.inhibition was True, is False",
    "layers.0.maps=7": "weights of shape (6, 1, 4, 4)",
    "readout.levels=8": "a read-out of other settings",
}


@pytest.mark.parametrize("setting", FOREIGN)
def test_a_run_of_other_settings(setting, job, refused):
    message = refused(job, FOREIGN[setting], "--set", setting)
    assert str(job / "run") in message and "train" in message


def test_a_run_of_another_model(job, refused):
    (job / "job.py").write_text("MODEL = 'deployed32'\nBOARD = {'version': 3}\n")
    refused(job, "the model has (32, 1, 7, 7)")


def test_a_run_of_other_data(job, refused):
    other = ("--set", "data.classes=[0,1,2]")
    assert main(job, "--mode", "loaddata", *other) == 0
    refused(job, "data.classes was [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], is [0, 1, 2]", *other)


def test_images_of_another_shape(job, refused):
    path = job / "run" / "data.npz"
    with np.load(path) as found:
        data = dict(found)
    wider = {
        name: np.pad(data[name], ((0, 0), (0, 0), (0, 3))) for name in data if "images" in name
    }
    np.savez(path, **(data | wider))
    refused(job, "data.shape.1 was 8, is 11")


def test_weights_beyond_the_range_of_the_board(job, refused):
    path = job / "run" / "weights_layer_1.npz"
    with np.load(path) as found:
        weights = dict(found)
    np.savez(path, **(weights | {"weights": weights["weights"] * 1e6}))
    train(job, layers=["svm"])
    refused(job, "conv 1: weights from ")


def test_a_network_larger_than_the_machine(job, refused):
    sizes = ("--set", "layers.0.maps=300", "--set", "readout.levels=3")
    train(job, *sizes)
    message = refused(job, "nothing was loaded", *sizes)
    assert "conv 1 takes 98 of 144 cores" in message and "--board-version 5 has " in message
    assert "layers.0.maps=" in message
