"""A decision layer taught on distorted images through the command line, on the bundled digits."""

import numpy as np
import pytest
from job_folders import arrays

from spikingconvnet import checkpoints, cli

SETTINGS = {
    "data.name": "digits",
    "data.classes": [0, 1, 4],
    "data.train_per_class": 20,
    "data.test_per_class": 10,
    "layers.0.maps": 8,
    "layers.0.shape": 3,
    "layers.0.padding": 1,
    "layers.0.threshold": 3.0,
    "layers.0.pool.shape": 2,
    "layers.0.pool.stride": 2,
    "layers.0.images": 100,
    "readout.epochs": 4,
    "readout.clean_epochs": 2,
    "readout.distortion.degrees": 10,
    "readout.distortion.elastic": 0.4,
    "readout.distortion.smoothness": 2.0,
}


def run(folder, *more, **changes):
    settings = {**SETTINGS, **changes}
    flags = [word for item in settings.items() for word in ("--set", "{}={!r}".format(*item))]
    words = ["--model", "deployed16", "--run-dir", str(folder / "run"), *more, *flags]
    return cli.main(words, default_parameters=folder / "parameters.py")


@pytest.fixture
def started(tmp_path):
    """Load the data and train the convolution."""
    text = "SEED = 4\nBACKUP = False\nFIGURES = {'formats': []}\n"
    (tmp_path / "parameters.py").write_text(text)
    assert run(tmp_path, "--mode", "loaddata") == 0
    assert run(tmp_path, "--mode", "training", "--layer", "1") == 0
    return tmp_path


def test_a_stopped_teaching_ends_with_the_same_read_out(started, capfd, monkeypatch):
    teach = ("--mode", "training", "--layer", "svm")
    assert run(started, *teach) == 0
    whole = arrays(started, "readout.npz")
    assert run(started, *teach, **{"readout.distortion.elastic": 0, "readout.epochs": 5}) == 0
    assert not np.array_equal(
        whole["trained_weights"], arrays(started, "readout.npz")["trained_weights"]
    )
    save = checkpoints.save
    for stop in (1, 2, 3, 6):  # the last in the teaching of the control
        saves = []

        def interrupt(*arguments, saves=saves, stop=stop):
            save(*arguments)
            saves.append(1)
            if len(saves) == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoints, "save", interrupt)
        assert run(started, *teach) == 130
        monkeypatch.setattr(checkpoints, "save", save)
        capfd.readouterr()
        assert run(started, *teach) == 0
        assert f"going on from a checkpoint after epoch {min(stop, 4)}\n" in capfd.readouterr().out
        again = arrays(started, "readout.npz")
        assert again.keys() == whole.keys()
        assert all(np.array_equal(again[name], whole[name]) for name in whole)


def test_it_is_said_and_asked_as_before(started, capfd):
    assert run(started, "--mode", "training", "--layer", "svm") == 0
    assert "spikes an image, input first" in capfd.readouterr().out
    assert run(started, "--mode", "testing") == 0
    assert run(started, "--mode", "info") == 0
    assert (
        "images    in the first 2 of 4 epochs, anew in each: turned by up to 10 degrees, "
        "stretched by 0%, slanted by 0, bent by 0.4 px (smooth over 2 px)\n"
    ) in capfd.readouterr().out
    assert run(started, "--mode", "info", **{"readout.clean_epochs": 4}) == 0
    assert "anew in each" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readout.distortion.degrees": -1}, "Distortion.degrees: -1.0 (must be at least 0)"),
        ({"readout.distortion.scale": 2.0}, "Distortion.scale: 2.0 (must be below 1"),
        ({"readout.distortion": 3}, "is a Distortion; set one of its settings"),
        ({"readout.clean_epochs": 5}, "clean_epochs: 5 (must be at most the epochs, 4)"),
        ({"readout.distortion.angle": 3}, "no such setting (valid: degrees, scale, shear,"),
    ],
)
def test_bad_settings_are_one_message(tmp_path, capfd, change, message):
    (tmp_path / "parameters.py").write_text("")
    assert run(tmp_path, "--mode", "info", **change) == 2
    told = capfd.readouterr().err
    assert (
        told.startswith("error: --set model.readout.") and message in told and told.count("\n") == 1
    )
