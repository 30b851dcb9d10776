import errno
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest

from spikingconvnet.errors import StorageError
from spikingconvnet.utilities import storage
from spikingconvnet.utilities.storage import LayerWeights, RunDirectory

ORIGIN = "software board (SpiNN-5, ideal timing)"


@dataclass(frozen=True)
class Rule:
    tau_plus: float
    dependence: str


def trained(shape=(4, 1, 3, 5), seed=7):
    rng = np.random.default_rng(3)
    weights, initial = rng.normal(size=(2, *shape))
    rule = {"tau_plus": 7.0, "dependence": "additive"}
    return LayerWeights(weights, initial, rule, ORIGIN, seed)


class FullDisk(io.FileIO):
    """A file on a disk that has room for 100 more bytes."""

    def write(self, data):
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


WRITERS = {
    "a.npz": lambda run: run.save_arrays("a.npz", x=np.arange(1000)),
    "a.csv": lambda run: run.save_csv("a.csv", np.eye(20)),
    "a.json": lambda run: run.save_json("a.json", {"x": list(range(100))}, ORIGIN),
    "a.txt": lambda run: run.save_text("a.txt", "word " * 100),
    "weights_layer_1.npz": lambda run: run.save_weights(1, trained()),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_else(tmp_path, monkeypatch, name):
    run = RunDirectory(tmp_path)
    run.file(name).write_bytes(b"old")
    monkeypatch.setattr(storage, "_open_new", lambda path: FullDisk(path, "xb"))
    with pytest.raises(StorageError, match=r"No space left") as caught:
        WRITERS[name](run)
    assert name in str(caught.value)
    assert os.listdir(tmp_path) == [name]
    assert run.file(name).read_bytes() == b"old"


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_found_full_when_the_buffer_is_emptied(tmp_path, monkeypatch, name):
    run = RunDirectory(tmp_path)
    run.file(name).write_bytes(b"old")
    monkeypatch.setattr(storage, "_open_new", lambda path: io.BufferedWriter(FullDisk(path, "xb")))
    with pytest.raises(StorageError, match="No space left"):
        WRITERS[name](run)
    assert run.file(name).read_bytes() == b"old"


def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), storage.atomic(path) as handle:
        handle.write(b"half of the ne")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.txt"]
    assert path.read_bytes() == b"old"


def test_a_killed_process_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    script = (
        "import os, sys\nfrom spikingconvnet.utilities import storage\n"
        "with storage.atomic(sys.argv[1]) as handle:\n"
        "    handle.write(b'half'); handle.flush(); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == 9
    assert path.read_bytes() == b"old"
    RunDirectory(tmp_path).backup()
    assert [p.name for p in (tmp_path / storage.BACKUPS).glob("*/*")] == ["a.txt"]


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    texts = [str(digit) * 50_000 for digit in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: storage.write_text(path, text), texts))
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_device_or_folder_is_never_replaced(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(StorageError, match="not a regular file"):
        storage.write_text(tmp_path / "sub", "text")


def test_a_link_stays_a_link_to_the_new_contents(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file.run.a\.txt: cannot be written"):
        RunDirectory(tmp_path / "file" / "run").save_text("a.txt", "text")


def test_constructing_a_run_directory_touches_no_file(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert not run.has("a.txt")
    assert not run.path.exists()
    assert run.save_text("plots/a.txt", "text").read_text() == "text"
    assert run.has("plots/a.txt")


def test_weights_come_back_bit_by_bit_with_all_that_made_them(tmp_path):
    run, written = RunDirectory(tmp_path), trained(seed=12345678901234567890)
    assert not run.has_weights(2)
    run.save_weights(2, written)
    read = run.load_weights(2)
    assert read.weights.tobytes() == written.weights.tobytes()
    assert read.initial.tobytes() == written.initial.tobytes()
    assert (read.rule, read.origin, read.seed) == (written.rule, ORIGIN, written.seed)
    assert np.array_equal(read.change, written.weights - written.initial)
    assert run.has_weights(2) and not run.file("weights_layer_2.csv").exists()


def test_a_rule_may_be_a_record(tmp_path):
    run = RunDirectory(tmp_path)
    weights = np.ones((1, 1, 2, 2))
    run.save_weights(1, LayerWeights(weights, weights, Rule(7.0, "additive"), ORIGIN, 1))
    assert run.load_weights(1).rule == {"tau_plus": 7.0, "dependence": "additive"}


def test_text_weights_have_18_digits_and_give_each_number_back(tmp_path):
    run, written = RunDirectory(tmp_path), trained(shape=(3, 2, 2, 4))
    run.save_weights(1, written, csv=True)
    text = run.load_text("weights_layer_1.csv")
    assert "kernels 3, channels 2, height 2, width 4" in text and ORIGIN in text
    digits = text.splitlines()[1].split(",")[0].lstrip("-").split("e")[0]
    assert len(digits.replace(".", "")) == 18
    assert np.array_equal(run.load_csv("weights_layer_1.csv"), written.weights.reshape(3, 16))


def test_the_same_weights_give_the_same_bytes(tmp_path):
    first, second = RunDirectory(tmp_path / "a"), RunDirectory(tmp_path / "b")
    paths = [run.save_weights(1, trained()) for run in (first, second)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((4, 16)), r"shape \(4, 16\) \(must be .*\(kernels, channels, height, width\)"),
        (np.full((1, 1, 2, 2), np.nan), "NaN"),
        (np.ones((1, 1, 2, 2), dtype=int), "int64"),
    ],
)
def test_weights_of_another_form_are_not_written(tmp_path, weights, message):
    run = RunDirectory(tmp_path)
    with pytest.raises(StorageError, match=message):
        run.save_weights(1, LayerWeights(weights, weights, {}, ORIGIN, 1))
    assert not run.has_weights(1)


def test_weights_and_initial_must_have_one_shape(tmp_path):
    run, good = RunDirectory(tmp_path), trained()
    run.save_weights(1, LayerWeights(good.weights, np.ones((1, 1, 2, 2)), {}, ORIGIN, 1))
    with pytest.raises(StorageError, match=r"initial has shape \(1, 1, 2, 2\)"):
        run.load_weights(1)


def test_every_truncation_of_a_weight_file_is_found(tmp_path):
    run = RunDirectory(tmp_path)
    path = run.save_weights(1, trained())
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError, match=rf"layer_1.npz: {length} bytes"):
            run.load_weights(1)


def test_a_changed_byte_is_found_or_harmless(tmp_path):
    run, written = RunDirectory(tmp_path), trained()
    path = run.save_weights(1, written)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    found = 0
    for place in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read = run.load_weights(1)
        except StorageError as error:
            assert "weights_layer_1.npz" in str(error)
            found += 1
        else:
            assert np.array_equal(read.weights, written.weights)
    assert found > 100


def test_foreign_files_are_refused(tmp_path):
    run = RunDirectory(tmp_path)
    np.save(tmp_path / "array.npy", np.arange(3))
    (tmp_path / "array.npy").rename(tmp_path / "weights_layer_1.npz")
    with pytest.raises(StorageError, match=r"no whole \.npz file"):
        run.load_weights(1)
    np.savez(tmp_path / "weights_layer_1.npz", weights=np.array([{"a": 1}]))
    with pytest.raises(StorageError, match=r"no whole \.npz file"):
        run.load_weights(1)
    run.save_arrays("weights_layer_1.npz", weights=np.ones((1, 1, 1, 1)))
    with pytest.raises(StorageError, match=r"holds weights \(must also hold initial, rule, origin"):
        run.load_weights(1)
    with pytest.raises(StorageError, match=r"weights_layer_2\.npz: no such file"):
        run.load_weights(2)


def test_arrays_keep_type_shape_and_name(tmp_path):
    run = RunDirectory(tmp_path)
    arrays = {"times": np.arange(5) / 3, "file": np.array(["a", "b"]), "allow_pickle": np.eye(2)}
    run.save_arrays("a.npz", **arrays, none=np.empty((0, 4), np.int32))
    read = run.load_arrays("a.npz", required=["times"])
    assert {name: value.dtype for name, value in arrays.items()} == {
        name: read[name].dtype for name in arrays
    }
    assert all(np.array_equal(read[name], value) for name, value in arrays.items())
    assert read["none"].shape == (0, 4)


def test_python_objects_are_not_pickled(tmp_path):
    with pytest.raises(StorageError, match="bad holds Python objects"):
        RunDirectory(tmp_path).save_arrays("a.npz", bad=np.array([{}]))
    assert os.listdir(tmp_path) == []


def test_json_says_where_it_came_from_and_which_versions(tmp_path):
    run = RunDirectory(tmp_path)
    run.save_json("metrics.json", {"share": np.float64(0.5), "counts": np.arange(3)}, ORIGIN)
    read = run.load_json("metrics.json", required=["share"])
    assert read["origin"] == ORIGIN
    assert read["versions"]["numpy"] == np.__version__
    assert read["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (read["share"], read["counts"]) == (0.5, [0, 1, 2])


def test_a_record_is_written_as_its_fields(tmp_path):
    run = RunDirectory(tmp_path)
    run.save_json("rule.json", Rule(7.0, "additive"), "host engine")
    assert run.load_json("rule.json")["tau_plus"] == 7.0


@pytest.mark.parametrize("record", [{"x": float("nan")}, {"x": object()}])
def test_what_json_cannot_hold_is_refused_and_the_old_file_kept(tmp_path, record):
    run = RunDirectory(tmp_path)
    run.save_json("a.json", {"x": 1}, ORIGIN)
    with pytest.raises(StorageError, match=r"a\.json: cannot be written as JSON"):
        run.save_json("a.json", record, ORIGIN)
    assert run.load_json("a.json")["x"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged JSON"),
        ('{"a": 1', "damaged JSON"),
        ("[1, 2]", r"JSON list \(must be an object\)"),
        ('{"a": 1}', "lacks accuracy"),
        ("[" * 100_000, "damaged JSON"),
    ],
)
def test_damaged_json_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StorageError, match=rf"a\.json: {message}"):
        RunDirectory(tmp_path).load_json("a.json", required=["accuracy"])


def test_text_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\xff")
    with pytest.raises(StorageError, match="byte 3 is not UTF-8"):
        RunDirectory(tmp_path).load_text("a.txt")


@pytest.mark.parametrize("text", ["1,2\n3\n", "1,two\n", ""])
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_damaged_tables_are_refused(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(StorageError, match=r"a\.csv: "):
        RunDirectory(tmp_path).load_csv("a.csv")


def test_whole_numbers_are_written_as_such(tmp_path):
    run = RunDirectory(tmp_path)
    run.save_csv("labels.csv", np.array([3, 1, 4]), header="label")
    assert run.load_text("labels.csv") == "# label\n3\n1\n4\n"
    assert run.load_csv("labels.csv").tolist() == [[3], [1], [4]]


def test_a_table_has_at_most_two_axes(tmp_path):
    with pytest.raises(StorageError, match="3 axes"):
        RunDirectory(tmp_path).save_csv("a.csv", np.zeros((2, 2, 2)))


def test_backups_are_stamped_and_hold_what_was_asked_for(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.save_text("log.txt", "one")
    run.save_text("plots/a.svg", "<svg/>")
    parameters = tmp_path / "parameters.py"
    parameters.write_text("SEED = 1\n")

    def now():
        return datetime(2018, 3, 8, 17, 5, 9)

    first = run.backup(extra=[parameters], now=now)
    assert first == run.path / "generated_backups" / "18-03-08-17-05-09"
    files = sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file())
    assert files == ["log.txt", "parameters.py", os.path.join("plots", "a.svg")]
    second = run.backup(["log.txt"], now=now)
    assert second.name == "18-03-08-17-05-09-2"
    assert [p.name for p in second.iterdir()] == ["log.txt"]


def test_a_failed_backup_names_itself_and_leaves_nothing(tmp_path):
    run = RunDirectory(tmp_path)
    run.save_text("log.txt", "one")
    with pytest.raises(StorageError, match=r"backup failed .*missing\.txt"):
        run.backup(["log.txt", "missing.txt"])
    assert list((tmp_path / "generated_backups").iterdir()) == []


def test_json_on_disk_is_readable_text(tmp_path):
    path = RunDirectory(tmp_path).save_json("a.json", {"x": 1}, ORIGIN)
    assert list(json.loads(path.read_text())) == ["origin", "versions", "x"]
    assert path.read_text().endswith("}\n") and path.read_text().count("\n") > 3
