import os
import signal
import subprocess
import sys
import time

import pytest

from spikingconvnet import cli
from spikingconvnet.utilities.downloads import FILES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--mode: missing (valid: loaddata, training, testing, info, multi, "),
        (["--mode", "fly"], "--mode: 'fly' (valid: loaddata, training"),
        (["--mode", "info", "--sed", "1"], "unrecognized arguments: --sed 1"),
        (["--mode"], "argument --mode: expected one argument"),
        (["--mode", "training"], "--layer: missing (--mode training needs a layer's number, or"),
        (["--mode", "training", "--layer", "one"], "--layer: 'one' (must be a layer's number, or"),
        (["--mode", "training", "--layer", "-1"], "--layer: '-1' (must be"),
        (["--mode", "multi", "--layer", "svm"], "--layer: 'svm' (must be a layer's number)"),
        (["--mode", "multi"], "--layer: missing (--mode multi needs a layer's number)"),
        (["--mode", "testing", "--layer", "1"], "--layer: '1' (--mode testing takes no layer)"),
        (["--mode", "info", "--seed", "x"], "--seed: 'x' (must be a whole number of at least 0)"),
        (["--mode", "info", "--board-version", "4"], "--board-version: 4 (valid: 3, 5)"),
        (["--mode", "info", "--board", ""], "--board: '' (valid: software, virtual, HOST"),
        (["--mode", "board", "--board", "virtual"], "--mode board: --board virtual (only the"),
        (["--mode", "info", "--parameters", "/no/such.py"], "/no/such.py: no such parameter file"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(command, words, message):
    done = command(*words)
    assert done.code == 2
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1 and done.out == ""


def test_a_run_directory_that_is_a_file_is_misuse(command, tmp_path):
    (tmp_path / "file").touch()
    done = command("--mode", "info", "--run-dir", str(tmp_path / "file"))
    assert (
        done.code == 2 and "--run-dir" in done.err and "(is a file; must be a folder)" in done.err
    )


def test_a_folder_without_data_is_misuse_and_damaged_data_a_failure(command, tmp_path):
    folder = tmp_path / "data"
    data = {"DATA": {"name": "mnist", "folder": str(folder)}}
    missing = command("--mode", "loaddata", **data)
    folder.mkdir()
    empty = command("--mode", "loaddata", **data)
    for name in FILES:
        (folder / name).write_bytes(b"damaged")
    damaged = command("--mode", "loaddata", **data)
    told = (f"{folder}: is no folder", f"{folder}: has none of", f"{folder / FILES[0]}: found 7")
    for done, code, words in zip((missing, empty, damaged), (2, 2, 1), told, strict=True):
        assert done.code == code and done.err.count("\n") == 1 and words in done.err


def test_help_teaches_the_order_of_the_steps(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    steps = ["loaddata", "training --layer 1", "training --layer svm", "--mode testing"]
    places = [text.index(f"{step} ", text.index("Settings lie in")) for step in steps]
    assert places == sorted(places)
    assert "--board spalloc:SERVER" in text


def test_options_override_the_file(command, tmp_path):
    done = command(
        "--mode", "info", "--seed", "77", "--run-dir", str(tmp_path / "other"), "--board", "virtual"
    )
    assert done.code == 0 and done.err == ""
    assert "seed: 77" in done.out and "board: virtual" in done.out
    assert f"run directory: {tmp_path / 'other'}" in done.out


def test_info_shows_the_model_and_what_is_there(command):
    done = command("--mode", "info")
    assert "4 of 3 x 3" in done.out and "6 x 6 x 4" in done.out
    assert "data.npz: not yet" in done.out and "weights_layer_1.npz: not yet" in done.out


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"layer": "conv", "kernels": 2, "shape": 9}], "conv1: ConvLayer.shape: 9x9"),
        (
            [{"layer": "conv", "kernels": 2, "shape": 5}, {"layer": "pool", "shape": 5}],
            "pool1: PoolLayer.shape: 5x5",
        ),
    ],
)
def test_a_model_that_does_not_fit_the_images(command, layers, message):
    for mode in ("info", "loaddata"):
        done = command("--mode", mode, LAYERS=layers)
        assert done.code == 2 and done.err.startswith(f"error: {message}"), done


def test_debug_shows_the_traceback_and_its_absence_hides_it(command):
    loud = command("--mode", "info", "--board-version", "9", "--debug")
    assert loud.code == 2 and "Traceback" in loud.err and loud.err.endswith("(valid: 3, 5)\n")
    assert "Traceback" not in command("--mode", "info", "--board-version", "9").err


def test_an_unexpected_failure_is_one_line_too(command, monkeypatch):
    def broken(_job, _layer):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(cli.MODES, "info", broken)
    done = command("--mode", "info")
    assert done.code == 1
    assert done.err == (
        "error: unexpected failure, ZeroDivisionError: division by zero (--debug shows where)\n"
    )


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_an_interrupt_is_one_line(command, monkeypatch, number, code, word):
    def interrupted(_job, _layer):
        signal.raise_signal(number)
        time.sleep(10)

    monkeypatch.setitem(cli.MODES, "info", interrupted)
    done = command("--mode", "info")
    assert done.code == code
    assert done.err == f"{word}; what was saved before is whole\n"


def test_module_and_script_are_the_same_program(request, tmp_path):
    root = request.config.rootpath
    environment = os.environ | {"PYTHONPATH": str(root)}
    for program in (["main.py"], ["-m", "spikingconvnet"]):
        done = subprocess.run(
            [sys.executable, *program, "--mode", "info", "--run-dir", str(tmp_path)],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and "run directory" in done.stdout, done.stderr
