"""The command line around the host engine, on the bundled 8 x 8 digits."""

import json
import re
import shutil
import struct
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from job_folders import arrays, run_until_killed
from PIL import Image

from spikingconvnet import cli, zoo
from spikingconvnet.classes.rules import VDSP
from spikingconvnet.classes.single_spike import DenseDecision, LinearSVM
from spikingconvnet.utilities import datasets

DATA = {
    "data.name": "digits",
    "data.classes": [0, 1, 4],
    "data.train_per_class": 20,
    "data.test_per_class": 10,
}
CONV = {
    "layers.0.maps": 12,
    "layers.0.shape": 3,
    "layers.0.padding": 1,
    "layers.0.threshold": 3.0,
    "layers.0.pool.shape": 2,
    "layers.0.pool.stride": 2,
    "layers.0.images": 300,
    "layers.0.stop": 0.0,
}
DECISION = {
    **CONV,
    "layers.1.maps": 12,
    "layers.1.images": 300,
    "layers.1.threshold": 2.0,
    "layers.1.pool.shape": 2,
    "layers.1.pool.stride": 2,
    "readout.per_class": 3,
    "readout.shape": 2,
    "readout.padding": 0,
    "readout.epochs": 4,
    "readout.rule.batch": 20,
}
DENSE = {"layer.neurons": 20, "layer.epochs": 3, "label": "share", "ann_epochs": 2}
SETTINGS = {"goupy2023": CONV, "mozafari2018": DECISION, "fully_connected": DENSE}


def words(folder, model, *more, **changes):
    settings = {**DATA, **SETTINGS[model], **changes}
    flags = [word for item in settings.items() for word in ("--set", "{}={!r}".format(*item))]
    return ["--model", model, "--run-dir", str(folder / "run"), *more, *flags]


def run(folder, model, *more, **changes):
    """Run a command in this process."""
    return cli.main(
        words(folder, model, *more, **changes), default_parameters=folder / "parameters.py"
    )


def made(folder, model, *steps, text="", **changes):
    folder.mkdir(exist_ok=True)
    (folder / "parameters.py").write_text(f"SEED = 4\nBACKUP = False\n{text}")
    assert run(folder, model, "--mode", "loaddata", **changes) == 0
    for step in steps:
        assert run(folder, model, "--mode", "training", "--layer", step, **changes) == 0
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train and test a convolution with a linear read-out, once."""
    folder = made(tmp_path_factory.mktemp("goupy") / "job", "goupy2023", "1", "svm")
    assert run(folder, "goupy2023", "--mode", "testing") == 0
    return folder


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """Train two convolutions and a decision layer, once, without figures."""
    text = "FIGURES = {'formats': []}\n"
    return made(tmp_path_factory.mktemp("mozafari") / "job", "mozafari2018", "1", "2", text=text)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """Train and test the fully connected network, once."""
    folder = made(tmp_path_factory.mktemp("dense") / "job", "fully_connected", "1", "svm")
    assert run(folder, "fully_connected", "--mode", "testing") == 0
    return folder


@pytest.fixture
def job(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def change(folder, name, **changed):
    np.savez(folder / "run" / name, **(arrays(folder, name) | changed))


def image_of(folder, number, name="digit.png", edit=lambda pixels: pixels):
    path = folder / name
    Image.fromarray(edit(arrays(folder, "data.npz")["test_images"][number])).save(path)
    return str(path)


def refused(capfd, code, *parts):
    message = capfd.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1, message
    for part in parts:
        assert part in message
    return code


# ---- one picture ---------------------------------------------------------------------------------


def answer(capfd):
    return re.search(r"^[^\n]*: class (\S+)$", capfd.readouterr().out, re.MULTILINE).group(1)


@pytest.mark.parametrize("model", ["goupy2023", "fully_connected"])
def test_a_picture_gets_the_class_it_gets_in_the_test(model, trained, dense, tmp_path, capfd):
    folder = shutil.copytree({"goupy2023": trained}.get(model, dense), tmp_path / "copy")
    found = arrays(folder, "predictions.npz")
    for number in (0, 7):
        path = image_of(folder, number)
        capfd.readouterr()
        assert run(folder, model, "--mode", "predict", "--image", path) == 0
        assert answer(capfd) == str(found["trained"][number])
    assert run(folder, model, "--mode", "predict", "--image", "7") == 0
    out = capfd.readouterr().out
    assert out.startswith(f"test image 7 (labelled {found['labels'][7]}): class")
    assert re.search(r"runner-up: class \d\n", out) and "(not a probability)" in out
    scores = found["trained_scores"][7]
    told = re.search(r"scores: (.*)\n", out).group(1)
    best = np.sort(scores)[-1]
    assert told.split()[1].rstrip(",") == f"{best:.4g}"


def test_a_picture_is_made_to_fit_only_on_demand(job, capfd):
    path = image_of(job, 0, edit=lambda pixels: np.kron(255 - pixels, np.ones((3, 4), np.uint8)))
    predict = ("--mode", "predict", "--image", path)
    capfd.readouterr()
    assert refused_with(job, capfd, 2, *predict) == (
        f"error: {path}: 32 x 24 pixels, 8 x 8 in the images of this run (give --resize to have it "
        "scaled)\n"
    )
    assert run(job, "goupy2023", *predict, "--resize", "--invert") == 0
    out = capfd.readouterr().out
    assert f"{path}: scaled: 32 x 24 pixels, 8 x 8 in" in out
    assert f"class {arrays(job, 'predictions.npz')['trained'][0]}" in out


def refused_with(folder, capfd, code, *more):
    assert run(folder, "goupy2023", *more) == code
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    return message


def test_colour_becomes_grey_and_that_is_said(job, capfd):
    pixels = arrays(job, "data.npz")["test_images"][0]
    colour = np.stack([pixels, pixels, pixels // 2], axis=2)
    Image.fromarray(colour).save(job / "colour.png")
    assert run(job, "goupy2023", "--mode", "predict", "--image", str(job / "colour.png")) == 0
    assert "colour.png: colour became grey" in capfd.readouterr().out


def test_what_is_no_picture_is_one_message(job, capfd):
    whole = image_of(job, 0)
    data = (job / "digit.png").read_bytes()
    (job / "cut.png").write_bytes(data[: len(data) // 2])
    (job / "text.png").write_text("no picture")
    for name, code, message in (
        ("cut.png", 1, "damaged, or cannot be read"),
        ("text.png", 2, "no picture of a known format"),
        ("none.png", 2, "no such file (must be a picture"),
        ("run", 2, "is a folder (must be a picture"),
    ):
        capfd.readouterr()
        found = refused_with(job, capfd, code, "--mode", "predict", "--image", str(job / name))
        assert message in found and str(job / name) in found
    assert "test images are 0..29" in refused_with(
        job, capfd, 2, "--mode", "predict", "--image", "30"
    )
    assert run(job, "goupy2023", "--mode", "predict", "--image", whole) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--mode", "predict"), "--image: missing (a picture file, or the number"),
        (("--mode", "testing", "--image", "1"), "--image: not with --mode testing"),
        (("--mode", "info", "--invert"), "--invert: not with --mode info"),
        (("--mode", "predict", "--layer", "1"), "--layer: '1' (--mode predict takes no layer)"),
        (("--mode", "info", "--tensorboard"), "--tensorboard: not with --mode info (with train"),
        (("--mode", "multi", "--layer", "1"), "--mode multi: goupy2023 (copies are trained on a"),
        (("--mode", "testing", "--board", "virtual"), "--board: 'virtual' (only with --mode"),
    ],
)
def test_options_that_do_not_belong_are_refused(trained, capfd, more, message):
    assert run(trained, "goupy2023", *more) == 2
    found = capfd.readouterr().err
    assert found.startswith(f"error: {message}") and found.count("\n") == 1


def test_prediction_needs_what_it_stands_on(job, capfd):
    predict = ("--mode", "predict", "--image", "0")
    (job / "run" / "readout.npz").unlink()
    capfd.readouterr()
    assert "no read-out yet (run --mode training --layer svm first)" in refused_with(
        job, capfd, 2, *predict
    )
    (job / "run" / "weights_layer_1.npz").unlink()
    assert "layer 1 is not trained yet" in refused_with(job, capfd, 2, *predict)


# ---- figures, report, logs -----------------------------------------------------------------------


def test_every_step_draws_its_figures(trained, dense):
    names = {path.stem for path in (trained / "run" / "figures").glob("*.png")}
    assert names >= {
        "input_patterns", "kernels_layer_1", "weight_histogram_layer_1", "convergence_layer_1",
        "spikes_per_layer", "confusion_matrix", "predictions",
    }  # fmt: skip
    names = {path.stem for path in (dense / "run" / "figures").glob("*.png")}
    assert names >= {"weights_of_neurons", "training_history", "confusion_matrix", "predictions"}


def frames(path):
    with Image.open(path) as image:
        return image.n_frames


def test_a_picture_is_followed_through_all_layers(decided, dense, tmp_path):
    folder = shutil.copytree(decided, tmp_path / "copy")
    (folder / "parameters.py").write_text("SEED = 4\nBACKUP = False\n")
    assert run(folder, "mozafari2018", "--mode", "show", "--image", "2") == 0
    figures = folder / "run" / "figures"
    names = {path.stem for path in figures.glob("show_*.png")}
    for stage in (1, 2):
        parts = {f"stage_{stage}{end}" for end in ("_steps", "_total", "_maps", "_potential")}
        assert names >= {f"show_{part}" for part in parts}
    assert names >= {"show_picture", "show_input_steps", "show_stage_2_pooled_steps"}
    assert frames(figures / "show_animation.gif") == zoo.load("mozafari2018").encoder.steps
    folder = shutil.copytree(dense, tmp_path / "dense")
    assert run(folder, "fully_connected", "--mode", "show", "--image", "2") == 0
    assert frames(folder / "run" / "figures" / "show_animation.gif") == 35


class Page(HTMLParser):
    """Collect the elements of a page, and every address in it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]


def test_the_report_holds_everything_and_needs_nothing_else(job):
    assert run(job, "goupy2023", "--mode", "report") == 0
    text = (job / "run" / "report.html").read_text()
    page = Page(text)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.addresses and all(one.startswith("data:image/") for one in page.addresses)
    for address in page.addresses:
        with Image.open(BytesIO(b64decode(address.partition(",")[2]))) as image:
            image.verify()
    assert len(page.addresses) == len(list((job / "run" / "figures").glob("*.png")))
    found = json.loads((job / "run" / "metrics.json").read_text())
    assert f"{found['trained']['accuracy']:.2%}" in text
    assert f"<td class=n>{100 * found['control']['accuracy']:,.4g}</td>" in text
    for part in ("goupy2023", "digits from scikit-learn", "host engine", "12 of 3 x 3", "VDSP"):
        assert part in text
    for step in ("loaddata", "training --layer 1", "training --layer svm", "testing"):
        assert f"--mode {step} " in text
    assert "Not there yet" not in text


def test_a_report_of_a_run_that_has_hardly_begun(tmp_path):
    folder = made(tmp_path, "mozafari2018")
    assert run(folder, "mozafari2018", "--mode", "report") == 0
    text = (folder / "run" / "report.html").read_text()
    missing = text[text.index("Not there yet") :].partition("</ul>")[0]
    for part in ("weights of layer 1 (", "weights of layer 2 (", "read-out (", "test ("):
        assert part in missing
    assert "12 of 3 x 3" in text and "big" not in text.partition("<body>")[2]


def test_a_report_survives_damaged_results(job):
    (job / "run" / "metrics.json").write_text("{")
    change(job, "weights_layer_1.npz", weights=np.full((12, 1, 3, 3), np.nan))
    assert run(job, "goupy2023", "--mode", "report") == 0
    text = (job / "run" / "report.html").read_text()
    assert "damaged JSON" in text and "holds NaN or infinity" in text


def events(folder):
    """Give the scalars of a TensorBoard log: tag, step, value."""
    from tensorboardX.proto import event_pb2

    (path,) = (folder / "run" / "tensorboard").glob("events*")
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
        found += [(one.tag, event.step, one.simple_value) for one in event.summary.value]
        at += size + 16
    return found


def test_logs_for_tensorboard_hold_the_history(decided, tmp_path):
    folder = shutil.copytree(decided, tmp_path / "copy")
    more = ("--mode", "training", "--layer", "svm", "--tensorboard")
    assert run(folder, "mozafari2018", *more) == 0
    lines = (folder / "run" / "history.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,trained_right,trained_wrong,trained_silent,control_right")
    right = [float(line.split(",")[1]) for line in lines[1:]]
    logged = {step: value for tag, step, value in events(folder) if tag.endswith("trained_right")}
    assert len(right) == 4
    assert [logged[step] for step in (1, 2, 3, 4)] == pytest.approx(right, abs=1e-6)
    assert any(tag == "layer_2/convergence" for tag, _, _ in events(folder))
    assert run(folder, "mozafari2018", "--mode", "testing", "--tensorboard") == 0
    accuracy = json.loads((folder / "run" / "metrics.json").read_text())["trained"]["accuracy"]
    tested = [value for tag, _, value in events(folder) if tag == "test/trained_accuracy"]
    assert tested == [pytest.approx(accuracy)]


def test_logs_without_the_package_are_refused_before_the_work(trained, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    before = (trained / "run" / "weights_layer_1.npz").stat().st_mtime_ns
    assert run(trained, "goupy2023", "--mode", "training", "--layer", "1", "--tensorboard") == 2
    assert "needs the package tensorboardX (pip install" in capfd.readouterr().err
    assert (trained / "run" / "weights_layer_1.npz").stat().st_mtime_ns == before


def test_metrics_hold_means_and_areas(trained, dense):
    for folder in (trained, dense):
        found = json.loads((folder / "run" / "metrics.json").read_text())["trained"]
        assert found["macro"]["f1"] == pytest.approx(np.mean(found["f1"]))
        assert found["macro"]["roc_auc"] == pytest.approx(np.mean(found["roc_auc"]))
        assert 0.6 < found["macro"]["roc_auc"] <= 1


# ---- pictures in folders -------------------------------------------------------------------------

NAMES = {0: "nought", 1: "one", 4: "four"}


def write_folder(folder, count=12):
    digits = datasets.load("digits")
    for label, name in NAMES.items():
        (folder / name).mkdir(parents=True)
        images = digits.train_images[digits.train_labels == label][:count]
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


def test_classes_are_folders_of_pictures(tmp_path, capfd):
    pictures = write_folder(tmp_path / "pictures")
    changes = {
        "data.folder": str(pictures), "data.classes": None, "data.train_per_class": None,
        "data.test_per_class": None,
    }  # fmt: skip
    folder = made(tmp_path / "job", "goupy2023", "1", "svm", **changes)
    assert "30 training and 6 test images of classes four, nought, one" in capfd.readouterr().out
    assert run(folder, "goupy2023", "--mode", "testing", **changes) == 0
    table = (folder / "run" / "metrics.txt").read_text()
    assert [line.split()[0] for line in table.splitlines()[2:5]] == ["four", "nought", "one"]
    path = str(pictures / "four" / "011.png")
    capfd.readouterr()
    assert run(folder, "goupy2023", "--mode", "predict", "--image", path, **changes) == 0
    assert re.search(r"runner-up: class (four|nought|one)", capfd.readouterr().out)
    assert json.loads((folder / "run" / "data.json").read_text())["data"] == "pictures"


def test_a_folder_with_an_empty_class_is_refused(tmp_path, capfd):
    pictures = write_folder(tmp_path / "pictures", 3)
    (pictures / "seven").mkdir()
    (tmp_path / "parameters.py").write_text(f"DATA = {{'folder': {str(pictures)!r}}}")
    code = cli.main(["--mode", "loaddata"], default_parameters=tmp_path / "parameters.py")
    assert refused(capfd, code, "too few pictures in seven (a class must have") == 2
    assert not (tmp_path / "run").exists()


# ---- interrupted and damaged ---------------------------------------------------------------------


def killed(folder, model, checkpoint, *more, **changes):
    """Start a command, and kill it outright once it has saved a checkpoint."""
    given = ["--parameters", str(folder / "parameters.py"), *words(folder, model, *more, **changes)]
    run_until_killed(given, (folder / "run" / checkpoint).exists, most_s=60)


@pytest.mark.parametrize(
    ("model", "layer", "checkpoint", "result", "changes"),
    [
        (
            "goupy2023", "1", "checkpoint_layer_1.npz", "weights_layer_1.npz",
            {"layers.0.images": 20_000},
        ),
        (
            "mozafari2018", "svm", "checkpoint_readout_trained.npz", "readout.npz",
            {"readout.epochs": 40},
        ),
        (
            "fully_connected", "1", "checkpoint_network.npz", "network.npz",
            {"layer.epochs": 60},
        ),
    ],
)  # fmt: skip
def test_a_killed_training_goes_on_to_the_same_weights(
    request, model, layer, checkpoint, result, changes, tmp_path, capfd
):
    text = "FIGURES = {'formats': []}\nCHECKPOINT_EVERY = 100\n"
    if model == "mozafari2018":
        folder = shutil.copytree(request.getfixturevalue("decided"), tmp_path / "job")
    else:
        folder = made(tmp_path / "job", model, text=text, **changes)
    more = ("--mode", "training", "--layer", layer)
    whole = shutil.copytree(folder, tmp_path / "whole")
    killed(folder, model, checkpoint, *more, **changes)
    assert not (folder / "run" / result).exists()
    capfd.readouterr()
    assert run(folder, model, *more, **changes) == 0
    assert "going on from a checkpoint" in capfd.readouterr().out
    assert not list((folder / "run").glob("checkpoint_*"))
    assert run(whole, model, *more, **changes) == 0
    assert "going on" not in capfd.readouterr().out
    found, wanted = arrays(folder, result), arrays(whole, result)
    assert found.keys() == wanted.keys()
    for name in found.keys() - {"versions"}:
        assert np.array_equal(found[name], wanted[name]), name


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "no archive": lambda path: path.write_bytes(b"\0" * 50),
    "empty": lambda path: path.write_bytes(b""),
}


def test_a_damaged_checkpoint_is_one_message_and_loses_nothing(job, capfd, monkeypatch):
    """The checkpoint is there because the training was interrupted after its second save."""
    from spikingconvnet import checkpoints

    (job / "parameters.py").write_text("SEED = 4\nBACKUP = False\nCHECKPOINT_EVERY = 100\n")
    path = job / "run" / "checkpoint_layer_1.npz"
    save, saves = checkpoints.save, []

    def interrupt(*arguments):
        save(*arguments)
        saves.append(1)
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", interrupt)
    train = ("--mode", "training", "--layer", "1")
    assert run(job, "goupy2023", *train) == 130
    monkeypatch.undo()
    kept = {file: file.read_bytes() for file in (job / "run").glob("*.npz")}
    whole = kept.pop(path)
    with np.load(path) as found:
        state = dict(found)
    spoiled = {
        "not a number": state | {"weights": np.full_like(state["weights"], np.nan)},
        "another shape": state | {"weights": state["weights"][..., :1]},
        "beyond the end": state | {"shown": np.int64(10**6)},
        "a part": {name: state[name] for name in ("identity", "weights")},
        "other letters": state | {"trace": np.array(["x"])},
    }
    for name in [*DAMAGE, *spoiled]:
        path.write_bytes(whole)
        if name in DAMAGE:
            DAMAGE[name](path)
        else:
            np.savez(path, **spoiled[name])
        capfd.readouterr()
        message = refused_with(job, capfd, 1, *train)
        assert f"{path}: damaged checkpoint, " in message, name
        assert "(delete it to train this step from the start" in message
        assert all(file.read_bytes() == data for file, data in kept.items())
    path.unlink()
    assert run(job, "goupy2023", *train) == 0
    after = arrays(job, "weights_layer_1.npz")["weights"]
    path.write_bytes(whole)
    assert run(job, "goupy2023", *train) == 0
    assert np.array_equal(arrays(job, "weights_layer_1.npz")["weights"], after)


def test_a_checkpoint_of_other_settings_is_not_used(job, capfd):
    path = job / "run" / "checkpoint_layer_1.npz"
    np.savez(path, identity="another", weights=np.zeros(3))
    assert run(job, "goupy2023", "--mode", "training", "--layer", "1") == 0
    assert f"{path}: of other settings or data, not used" in capfd.readouterr().out


def contents(folder):
    return {path: path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layers.0.shape": 11},
            "goupy2023, stage 1: SpikingConv.shape: 11x11 (its height must be",
        ),
        ({"layers.0.pool.shape": 9}, "goupy2023, stage 1: Pool.shape: 9x9 (its height must be at"),
        (
            {"layers.0.maps": 0},
            "--set model.layers.0.maps=0: SpikingConv.maps: 0 (must be at least",
        ),
        ({"layers.0.threshold": "nan"}, "SpikingConv.threshold: 'nan' (must be at least 0)"),
        ({"layers.1.maps": 3}, "--set model.layers.1: no such item (must be in 0..0)"),
    ],
)
@pytest.mark.parametrize("layer", ["1", "svm"])
def test_layers_that_do_not_fit_are_refused_before_the_work(job, capfd, changes, message, layer):
    before = contents(job)
    capfd.readouterr()
    code = run(job, "goupy2023", "--mode", "training", "--layer", layer, **changes)
    assert refused(capfd, code, message) == 2
    assert contents(job) == before


@pytest.mark.parametrize("name", ["weights_layer_1.npz", "readout.npz", "data.npz"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_one_message_and_the_others_stay(job, capfd, name, how):
    path = job / "run" / name
    DAMAGE[how](path)
    before = contents(job)
    for more in (("--mode", "testing"), ("--mode", "predict", "--image", "0")):
        capfd.readouterr()
        message = refused_with(job, capfd, 1, *more)
        assert f"{path}: " in message and "bytes that are no whole .npz file" in message
        assert "pickle" not in message
    assert contents(job) == before


def test_weights_that_are_no_numbers_are_refused(job, capfd):
    weights = arrays(job, "weights_layer_1.npz")["weights"]
    change(job, "weights_layer_1.npz", weights=np.where(weights > 0.5, np.nan, weights))
    capfd.readouterr()
    for more in (("--mode", "testing"), ("--mode", "predict", "--image", "0")):
        assert "weights holds NaN or infinity" in refused_with(job, capfd, 1, *more)


def test_a_read_out_that_is_no_numbers_is_refused(job, capfd):
    coef = arrays(job, "readout.npz")["trained_coef"]
    change(job, "readout.npz", trained_coef=coef * np.nan)
    capfd.readouterr()
    assert "holds NaN or infinity" in refused_with(job, capfd, 1, "--mode", "testing")


def test_labels_of_another_data_set_are_refused(dense, tmp_path, capfd):
    folder = shutil.copytree(dense, tmp_path / "copy")
    changes = {"label": "most"}
    labels = folder / "run" / "labels.csv"
    labels.write_text("7\n" * 20)
    capfd.readouterr()
    assert run(folder, "fully_connected", "--mode", "testing", **changes) == 2
    assert "labels.csv: label 7 (the data have none such" in capfd.readouterr().err
    labels.write_text("0\n" * 19)
    assert run(folder, "fully_connected", "--mode", "testing", **changes) == 2
    assert "labels.csv: of shape (19, 1)" in capfd.readouterr().err
    more = ("--mode", "training", "--layer", "2")
    assert run(folder, "fully_connected", *more, **changes) == 2
    assert "layer: 2 (must be 1: the network has one layer)" in capfd.readouterr().err


@pytest.mark.parametrize("label", ["most", "last"])
def test_neurons_may_be_labelled_otherwise(dense, tmp_path, label):
    folder = shutil.copytree(dense, tmp_path / "copy")
    changes = {"label": label, "ann_epochs": 0}
    more = ("--mode", "training", "--layer", "svm")
    assert run(folder, "fully_connected", *more, **changes) == 0
    assert run(folder, "fully_connected", "--mode", "testing", **changes) == 0
    found = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["trained"]["accuracy"] > 0.5 and "ann" not in found
    table = np.loadtxt(folder / "run" / "weights.csv", delimiter=",")
    labels = np.loadtxt(folder / "run" / "labels.csv", delimiter=",")
    assert table.shape == (20, 64) and set(labels) <= {-1, 0, 1, 4}


def test_a_rule_where_it_cannot_run_is_refused(trained, tmp_path, capfd, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "copy")
    model = zoo.load("goupy2023")
    odd = replace(model, readout=DenseDecision(rule=VDSP()))
    monkeypatch.setattr(zoo, "load", lambda name: odd)
    more = ("--mode", "training", "--layer", "svm")
    capfd.readouterr()
    assert run(folder, "goupy2023", *more) == 2
    message = capfd.readouterr().err
    assert message.startswith("error: DenseDecision.rule: VDSP (must be one of RewardSTDP,")
    assert message.count("\n") == 1
    monkeypatch.setattr(zoo, "load", lambda name: replace(model, readout=LinearSVM(C=0.5)))
    assert run(folder, "goupy2023", "--mode", "testing") == 2
    assert "a read-out of other settings (run --mode training" in capfd.readouterr().err
