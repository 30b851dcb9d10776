"""The whole workflow on the virtual machine: it maps, and never shows results it cannot have."""

import json

import numpy as np
import pytest

TRAIN = ("--mode", "training", "--board", "virtual", "--layer")


def arrays(folder, name):
    with np.load(folder / "run" / name) as found:
        return dict(found)


@pytest.fixture
def loaded(command):
    """Load the data."""
    done = command("--mode", "loaddata")
    assert done.code == 0 and done.err == ""
    return done


def test_loaddata_says_where_the_images_came_from_and_draws_them(loaded, tmp_path):
    assert "18 training and 12 test images of classes 0, 1, 2" in loaded.out
    record = json.loads((tmp_path / "run" / "data.json").read_text())
    assert record["origin"].startswith("digits from ") and record["seed"] == 3
    assert (tmp_path / "run" / "figures" / "input_patterns.png").stat().st_size > 1000
    data = arrays(tmp_path, "data.npz")
    assert data["train_images"].shape == (18, 8, 8)
    assert np.bincount(data["test_labels"]).tolist() == [4, 4, 4]


def test_loaddata_depends_on_the_seed_alone(loaded, command, tmp_path):
    before = arrays(tmp_path, "data.npz")
    command("--mode", "loaddata")
    again = arrays(tmp_path, "data.npz")
    command("--mode", "loaddata", "--seed", "4")
    other = arrays(tmp_path, "data.npz")
    assert np.array_equal(before["train_index"], again["train_index"])
    assert not np.array_equal(before["train_index"], other["train_index"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "digits", "classes": [0, 11]}, "classes: 11 (digits has 0, 1"),
        ({"name": "digits", "train_per_class": 9999}, "train_per_class: 9999 images of class 0"),
    ],
)
def test_a_class_or_number_of_images_that_does_not_exist(command, data, message):
    done = command("--mode", "loaddata", DATA=data)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("step", ["1", "svm"])
def test_steps_before_the_data_name_the_command_to_run(command, step):
    done = command(*TRAIN, step)
    assert done.code == 2 and "(run --mode loaddata first)" in done.err


@pytest.mark.parametrize("multi", [False, True])
def test_training_maps_and_saves_no_weights(loaded, command, tmp_path, multi):
    words = ("--mode", "multi", "--board", "virtual", "--layer", "1") if multi else (*TRAIN, "1")
    done = command(*words, TRAINING={"windows_per_image": 8, "copies": 2, "rounds": 2})
    assert done.code == 0 and done.err == "", done
    numbers = {line.split()[0]: line.split()[1] for line in done.out.splitlines()[1:]}
    assert numbers["neurons"] == ("8" if multi else "4")
    assert numbers["synapses"] == ("96" if multi else "48")
    assert int(numbers["cores"]) >= 2 and float(numbers["SDRAM"]) > 0
    assert not list((tmp_path / "run").glob("weights*"))


def test_a_deeper_layer_is_mapped_without_inventing_spikes(loaded, command):
    layers = [
        {"layer": "conv", "kernels": 2, "shape": 3, "window_ms": 30},
        {"layer": "conv", "kernels": 5, "shape": 2, "window_ms": 30},
    ]
    done = command(*TRAIN, "2", LAYERS=layers)
    assert done.code == 0 and "training layer 2: would need" in done.out
    assert "synapses            60" in done.out  # 5 kernels of 2 x 2 x 2, and 20 of inhibition


@pytest.mark.parametrize("words", [(*TRAIN, "svm"), ("--mode", "testing", "--board", "virtual")])
def test_what_needs_data_says_so(loaded, command, tmp_path, words):
    done = command(*words)
    assert done.code == 2 and "would need" in done.out
    assert done.err.startswith("error: virtual machine (no data): it maps networks but runs none")
    assert not list((tmp_path / "run").glob("readout*")) + list((tmp_path / "run").glob("metrics*"))


def test_the_toolchain_is_kept_off_the_terminal_and_out_of_the_home(
    loaded, command, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".spynnaker.cfg").write_text("[Machine]\nmachine_name = 192.0.2.1\nversion = 3\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "spynnaker.cfg").write_text("[Nonsense]\nmachine_name = 192.0.2.2\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(elsewhere)
    done = command(*TRAIN, "1")
    assert done.code == 0 and done.err == "" and "INFO" not in done.out
    assert [path.name for path in home.iterdir()] == [".spynnaker.cfg"]
    assert [path.name for path in elsewhere.iterdir()] == ["spynnaker.cfg"]
    assert "virtual" in (tmp_path / "run" / "toolchain.log").read_text()


def test_a_layer_the_model_has_not(loaded, command):
    done = command(*TRAIN, "2")
    assert done.code == 2 and done.err == "error: layer: 2 (must be in 1..1)\n"


@pytest.mark.parametrize("keep", [0, 10, -100])
def test_damaged_data_is_one_message(loaded, command, tmp_path, keep):
    path = tmp_path / "run" / "data.npz"
    path.write_bytes(path.read_bytes()[:keep])
    done = command(*TRAIN, "1")
    assert done.code == 1 and str(path) in done.err and done.err.count("\n") == 1


def test_backups_are_made_unless_refused(command, tmp_path):
    command("--mode", "loaddata", "--no-backup", BACKUP=True)
    assert not (tmp_path / "run" / "generated_backups").exists()
    command("--mode", "loaddata", BACKUP=True)
    (folder,) = (tmp_path / "run" / "generated_backups").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "data.json",
        "data.npz",
        "parameters.py",
    ]
