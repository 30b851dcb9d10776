"""A deployment that is stopped, or loses its board, keeps what it has and ends the same."""

import os
import shutil
import signal

import numpy as np
import pytest
import small_jobs
from job_folders import main, run_until_killed
from spikingconvnet.hardware.client import SoftwareBoard

from spikingconvnet.deploy_batches import Kept

IMAGES = 35
JOB = small_jobs.text(20, 4)


def deploy(folder, *more):
    return main(folder, "--mode", "deploy", "--images", str(IMAGES), *more)


def checkpoints(folder):
    return sorted(path.name for path in (folder / "run").glob("checkpoint_*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give a trained job that was deployed in one go."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "job.py").write_text(JOB)
    assert main(folder, "--mode", "loaddata") == 0
    for layer in ("1", "svm"):
        assert main(folder, "--mode", "training", "--layer", layer) == 0
    assert deploy(folder) == 0
    assert checkpoints(folder) == []
    return folder


@pytest.fixture
def job(whole, tmp_path):
    """Give the trained job, not deployed, with batches of ten images."""
    folder = shutil.copytree(whole, tmp_path / "job")
    (folder / "job.py").write_text(f"{JOB}CHECKPOINT_EVERY = 10\n")
    for name in ("deployed.npz", "deployed.json"):
        (folder / "run" / name).unlink()
    return folder


def same(folder, whole):
    """Tell whether a deployment has the results of the one that was not stopped, bit by bit."""
    one, other = ((each / "run" / "deployed.npz").read_bytes() for each in (folder, whole))
    return one == other


@pytest.fixture
def after_two_batches(monkeypatch, started_boards):
    """Do something to the software board once two batches are kept."""
    add = Kept.add

    def arm(harm):
        def kept(batches, *arguments):
            add(batches, *arguments)
            if len(batches.seen) == 2:
                harm(started_boards[-1].pid if started_boards else None)

        monkeypatch.setattr(Kept, "add", kept)

    return arm


HARM = {
    "killed": (lambda board: os.kill(board, signal.SIGKILL), 1, "killed by signal 9"),
    "silent": (lambda board: os.kill(board, signal.SIGSTOP), 1, "does not answer within 5 s"),
    "Ctrl-C": (lambda board: signal.raise_signal(signal.SIGINT), 130, "interrupted"),
}


@pytest.mark.parametrize(
    "what", ["killed", *(pytest.param(one, marks=pytest.mark.long) for one in ("Ctrl-C", "silent"))]
)
def test_a_deployment_that_is_stopped_goes_on(what, job, whole, after_two_batches, capfd):
    harm, code, words = HARM[what]
    after_two_batches(harm)
    assert deploy(job) == code
    seen = capfd.readouterr()
    assert words in seen.err and seen.err.count("\n") == 1
    fate = f"20 of {IMAGES} images are done and kept; the same command goes on after them"
    assert fate in (seen.err if code == 1 else seen.out)
    assert len(checkpoints(job)) == 2 and not (job / "run" / "deployed.npz").exists()
    after_two_batches(lambda board: None)
    assert deploy(job) == 0
    assert "deploying: going on from a checkpoint at image 20\n" in capfd.readouterr().out
    assert same(job, whole) and checkpoints(job) == []


def test_a_deployment_that_is_killed_outright_goes_on(job, whole, capfd):
    words = ["--mode", "deploy", "--images", str(IMAGES), "--run-dir", str(job / "run")]
    run_until_killed([*words, "--parameters", str(job / "job.py")], lambda: checkpoints(job))
    assert deploy(job) == 0
    assert "going on from a checkpoint at image " in capfd.readouterr().out
    assert same(job, whole) and checkpoints(job) == []


@pytest.mark.parametrize(
    "harm", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)]
)
def test_a_board_at_an_address_that_is_gone(harm, job, whole, after_two_batches, capfd):
    with SoftwareBoard(version=3) as board:
        after_two_batches(lambda _: os.kill(board.pid, harm))
        assert deploy(job, "--board", board.address) == 1
        message = capfd.readouterr().err
        assert f"board {board.address}: stopped answering" in message
        assert f"20 of {IMAGES} images are done and kept" in message and message.count("\n") == 1
    after_two_batches(lambda _: None)
    assert deploy(job) == 0
    path = job / "run" / "checkpoint_deploy_00000.npz"
    assert f"{path}: of other settings or data, not used\n" in capfd.readouterr().out
    assert same(job, whole) and checkpoints(job) == []


def test_other_images_start_anew(job, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert deploy(job) == 130
    after_two_batches(lambda _: None)
    capfd.readouterr()
    assert deploy(job, "--images", "15") == 0
    seen = capfd.readouterr().out
    assert seen.count("of other settings or data, not used") == 1 and "going on" not in seen
    with np.load(job / "run" / "deployed.npz") as found:
        assert len(found["labels"]) == 15
    assert checkpoints(job) == []


@pytest.mark.long
def test_a_deployment_that_is_stopped_when_all_is_done(job, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert deploy(job, "--images", "20") == 130
    assert "20 of 20 images are done and kept" in capfd.readouterr().out
    after_two_batches(lambda _: None)
    assert deploy(job, "--images", "20") == 0
    seen = capfd.readouterr().out
    assert "host equals board: every spike of 20 images" in seen and checkpoints(job) == []


def test_a_damaged_batch_is_one_message(job, whole, after_two_batches, capfd):
    after_two_batches(lambda _: signal.raise_signal(signal.SIGINT))
    assert deploy(job) == 130
    after_two_batches(lambda _: None)
    path = job / "run" / checkpoints(job)[1]
    good = path.read_bytes()
    with np.load(path) as found:
        shorter = dict(found) | {"labels": found["labels"][:-1]}
    for spoil in (
        lambda: path.write_bytes(good[:-50]),
        lambda: np.savez(path, **shorter),
    ):
        spoil()
        capfd.readouterr()
        assert deploy(job) == 1
        message = capfd.readouterr().err
        assert f"{path}: damaged checkpoint" in message and message.count("\n") == 1
        assert "the same command" not in message
    path.unlink()
    assert deploy(job) == 0
    assert "going on from a checkpoint at image 10\n" in capfd.readouterr().out
    assert same(job, whole)
