"""Training on a board that is stopped goes on to the weights of a training that was not."""

import os
import shutil
import signal

import numpy as np
import pytest
from job_folders import FIRST_LAYER, arrays, main, run_until_killed

from spikingconvnet import board_training

JOB = """
DATA = {"name": "digits", "classes": [0, 1, 4], "train_per_class": 8, "test_per_class": 2}
ENCODER = {"code": "latency", "interval_ms": 30, "on_ms": 12}
TRAINING = {"windows_per_image": 4, "copies": 2, "rounds": 3, "sample_ms": 1}
FIGURES = {"formats": []}
BOARD = {"version": 3}
SEED = 5
BACKUP = False
"""
JOB += f"LAYERS = [{FIRST_LAYER}]\n"
BATCHES = "CHECKPOINT_EVERY = 30\n"
CHECKPOINT, WEIGHTS = "checkpoint_layer_1.npz", "weights_layer_1.npz"


def train(folder, mode="training"):
    return main(folder, "--mode", mode, "--layer", "1")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "job.py").write_text(JOB + BATCHES)
    assert main(folder, "--mode", "loaddata") == 0
    return folder


@pytest.fixture(scope="module")
def whole(loaded, tmp_path_factory):
    """Give, by mode, all arrays of a training that was not stopped."""
    found = {}
    for mode in ("training", "multi"):
        folder = shutil.copytree(loaded, tmp_path_factory.mktemp("whole") / mode)
        assert train(folder, mode) == 0
        found[mode] = learned(folder)
    return found


@pytest.fixture
def job(loaded, tmp_path):
    return shutil.copytree(loaded, tmp_path / "job")


def learned(folder):
    return {name: array for name, array in arrays(folder, WEIGHTS).items() if name != "versions"}


def same(folder, expected):
    found = learned(folder)
    assert np.ptp(found["weights"]) > 0.1 and found.keys() == expected.keys()
    return all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_killed_training_goes_on_to_the_same_weights(job, whole, capfd):
    words = ["--mode", "training", "--layer", "1", "--run-dir", str(job / "run")]
    saved = job / "run" / CHECKPOINT
    run_until_killed([*words, "--parameters", str(job / "job.py")], saved.exists)
    assert not (job / "run" / WEIGHTS).exists()
    assert train(job) == 0
    assert "training layer 1: going on from a checkpoint at window " in capfd.readouterr().out
    assert same(job, whole["training"]) and not (job / "run" / CHECKPOINT).exists()


@pytest.fixture
def after_two_batches(monkeypatch, started_boards):
    """Do something to the software board once two batches are saved."""
    shown = board_training._shown

    def arm(harm):
        def showing(job, backend, lesson, course, *rest):
            if course.done == 2:
                harm(started_boards[-1].pid)
            return shown(job, backend, lesson, course, *rest)

        monkeypatch.setattr(board_training, "_shown", showing)

    return arm


@pytest.mark.long
def test_a_training_that_loses_its_board_goes_on(job, whole, after_two_batches, capfd):
    after_two_batches(lambda board: os.kill(board, signal.SIGKILL))
    assert train(job) == 1
    message = capfd.readouterr().err
    assert "the software board has ended (killed by signal 9)" in message
    assert "60 of 96 windows are done and kept; the same command goes on after them" in message
    assert message.count("\n") == 1 and not (job / "run" / WEIGHTS).exists()
    after_two_batches(lambda _: None)
    assert train(job) == 0
    assert "going on from a checkpoint at window 60\n" in capfd.readouterr().out
    assert same(job, whole["training"])


@pytest.mark.long
def test_copies_go_on_after_the_last_round(job, whole, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert train(job, "multi") == 130
    assert "64 of 96 windows are done and kept" in capfd.readouterr().out
    after_two_batches(lambda _: None)
    assert train(job, "multi") == 0
    assert same(job, whole["multi"])


@pytest.mark.long
def test_other_settings_start_anew(job, whole, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert main(job, "--mode", "training", "--layer", "1", "--seed", "6") == 130
    after_two_batches(lambda _: None)
    capfd.readouterr()
    assert train(job) == 0
    seen = capfd.readouterr().out
    assert f"{CHECKPOINT}: of other settings or data, not used\n" in seen
    assert "going on" not in seen and same(job, whole["training"])


def test_a_damaged_checkpoint_is_one_message(job, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert train(job) == 130
    path = job / "run" / CHECKPOINT
    state = arrays(job, CHECKPOINT)
    for changed in (
        {"weights": state["weights"][..., :1]},
        {"weights": np.full_like(state["weights"], np.nan)},
        {"done": np.int64(4)},
        {"fired": state["fired"][:1]},
    ):
        np.savez(path, **(state | changed))
        capfd.readouterr()
        assert train(job) == 1
        message = capfd.readouterr().err
        assert f"{path}: damaged checkpoint, " in message and message.count("\n") == 1


def test_batches_are_runs_of_their_own(job, whole):
    """Cut into batches, the same windows teach nearly, but not quite, the same."""
    (job / "job.py").write_text(JOB)
    assert train(job) == 0
    one, several = learned(job)["weights"], whole["training"]["weights"]
    assert not np.array_equal(one, several) and np.abs(one - several).mean() < 0.1


def test_batches_are_cut_between_windows():
    from spikingconvnet.algorithms.spike_trains import SpikeTrains
    from spikingconvnet.classes.layers import ConvLayer

    layer = ConvLayer(2, (1, 2), window_ms=10)
    times = np.arange(0, 70, 5.0)
    shown = SpikeTrains(np.zeros(14, np.int32), times, 2)
    lesson = board_training._Lesson(1, None, layer, np.zeros((2, 1, 1, 2)), shown, 7, 1, 1)
    batches = board_training._batches(lesson, 3)
    assert [batch.windows for batch in batches] == [3, 3, 1]
    assert [len(batch.trains[0]) for batch in batches] == [6, 6, 2]
    assert all(batch.trains[0].times.tolist() == times[: len(batch.trains[0])].tolist()
               for batch in batches)  # fmt: skip
