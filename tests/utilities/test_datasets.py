import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet.errors import DataError, UsageError
from spikingconvnet.utilities import datasets, downloads
from spikingconvnet.utilities.downloads import FILES
from spikingconvnet.utilities.idx import idx_bytes

RNG = np.random.default_rng(11)
ARRAYS = dict(
    zip(
        FILES,
        (
            RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8),
            np.repeat(np.arange(4, dtype=np.uint8), 10),
            RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8),
            np.repeat(np.arange(4, dtype=np.uint8), 3),
        ),
        strict=True,
    )
)


def write_folder(folder, pack=bytes, spelling=str):
    folder.mkdir(parents=True, exist_ok=True)
    for file, array in ARRAYS.items():
        (folder / spelling(file)).write_bytes(pack(idx_bytes(array)))
    return folder


def as_arrays(data):
    return (data.train_images, data.train_labels, data.test_images, data.test_labels)


@pytest.fixture
def small(tmp_path):
    return datasets.load("mnist", directory=write_folder(tmp_path / "data"))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize(
    ("pack", "spelling"),
    [
        (bytes, str),
        (gzip.compress, "{}.gz".format),
        (bytes, lambda file: file.replace("-idx", ".idx")),
        (gzip.compress, lambda file: file.replace("-idx", ".idx") + ".gz"),
        (gzip.compress, str),
    ],
)
def test_a_users_folder_is_read_in_each_usual_spelling(tmp_path, name, pack, spelling):
    folder = write_folder(tmp_path / "data", pack, spelling)
    data = datasets.load(name, directory=folder, cache=tmp_path / "cache")
    for found, expected in zip(as_arrays(data), ARRAYS.values(), strict=True):
        assert found.dtype == np.uint8 and np.array_equal(found, expected)
    assert data.classes == (0, 1, 2, 3)
    assert str(folder) in data.source and "not the published" in data.source
    assert not (tmp_path / "cache").exists()


def test_a_users_folder_is_read_as_python_mnist_reads_it(tmp_path):
    from mnist import MNIST

    folder = write_folder(tmp_path / "data")
    data = datasets.load("mnist", directory=folder)
    loader = MNIST(str(folder))
    for load, images, labels in (
        (loader.load_training, data.train_images, data.train_labels),
        (loader.load_testing, data.test_images, data.test_labels),
    ):
        their_images, their_labels = load()
        assert np.array_equal(np.reshape(their_images, images.shape), images)
        assert list(their_labels) == labels.tolist()


def test_a_folder_of_the_published_files_is_said_to_be_no_more_than_a_folder(tmp_path, monkeypatch):
    md5 = {file: hashlib.md5(idx_bytes(array)).hexdigest() for file, array in ARRAYS.items()}
    known = replace(downloads.PUBLISHED["mnist"], md5=md5)
    monkeypatch.setitem(downloads.PUBLISHED, "mnist", known)
    folder = write_folder(tmp_path / "data", gzip.compress, "{}.gz".format)
    assert datasets.load("mnist", directory=folder).source == f"folder {folder}"


def test_a_missing_file_is_named_with_every_spelling_looked_for(tmp_path):
    folder = write_folder(tmp_path / "data")
    (folder / FILES[2]).unlink()
    spellings = r"t10k-images-idx3-ubyte, t10k-images\.idx3-ubyte"
    with pytest.raises(UsageError, match=f"none of {spellings}"):
        datasets.load("mnist", directory=folder)
    with pytest.raises(UsageError, match="nowhere: is no folder"):
        datasets.load("mnist", directory=tmp_path / "nowhere")


def test_a_damaged_file_is_named_with_found_and_expected_bytes(tmp_path):
    folder = write_folder(tmp_path / "data")
    path = folder / FILES[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        datasets.load("mnist", directory=folder)
    assert str(caught.value) == f"{path}: found 1,215 bytes (expected 1,216 for 40 x 6 x 5)"


def test_images_and_labels_must_be_as_many(tmp_path):
    folder = write_folder(tmp_path / "data")
    (folder / FILES[3]).write_bytes(idx_bytes(np.zeros(11, np.uint8)))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: 11 labels \(must be 12"):
        datasets.load("mnist", directory=folder)


def test_train_and_test_images_must_have_one_size(tmp_path):
    folder = write_folder(tmp_path / "data")
    (folder / FILES[2]).write_bytes(idx_bytes(np.zeros((12, 5, 6), np.uint8)))
    with pytest.raises(DataError, match=r"images of \(5, 6\) \(must be \(6, 5\)"):
        datasets.load("mnist", directory=folder)


def test_an_unknown_set_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'emnist' \(must be one of mnist, fashion-mnist, digits"):
        datasets.load("emnist")


def test_digits_are_scaled_to_bytes_and_cut_in_file_order():
    from sklearn.datasets import load_digits

    data = datasets.load("digits")
    assert [part.shape for part in as_arrays(data)] == [(1297, 8, 8), (1297,), (500, 8, 8), (500,)]
    assert all(part.dtype == np.uint8 for part in as_arrays(data))
    assert (data.train_images.min(), data.train_images.max()) == (0, 255)
    raw = load_digits()
    assert np.array_equal(np.rint(data.train_images[3] * (16 / 255)), raw.images[3])
    assert np.array_equal(data.test_labels, raw.target[1297:])
    with pytest.raises(UsageError, match="digits come with scikit-learn"):
        datasets.load("digits", directory=".")


def test_the_cache_is_where_the_argument_the_variable_or_the_platform_says(tmp_path, monkeypatch):
    for variable in ("SPIKINGCONVNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(datasets.sys, "platform", "linux")
    assert datasets.cache_folder() == tmp_path / ".cache" / "spikingconvnet"
    monkeypatch.setattr(datasets.sys, "platform", "darwin")
    assert datasets.cache_folder() == tmp_path / "Library" / "Caches" / "spikingconvnet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets.cache_folder() == tmp_path / "xdg" / "spikingconvnet"
    monkeypatch.setenv("SPIKINGCONVNET_CACHE", "~/mine")
    assert datasets.cache_folder() == tmp_path / "mine"
    assert datasets.cache_folder(tmp_path / "given") == tmp_path / "given"


# ---- drawing images ----------------------------------------------------------------------------


def test_a_selection_holds_the_images_it_says_it_holds(small):
    chosen = datasets.select(small, (3, 1), 4, 2, np.random.default_rng(0))
    assert chosen.classes == (3, 1)
    assert np.array_equal(chosen.train_images, small.train_images[chosen.train_index])
    assert np.array_equal(chosen.train_labels, small.train_labels[chosen.train_index])
    assert np.array_equal(chosen.test_images, small.test_images[chosen.test_index])
    assert np.array_equal(chosen.test_labels, small.test_labels[chosen.test_index])
    assert np.bincount(chosen.train_labels).tolist() == [0, 4, 0, 4]
    assert np.bincount(chosen.test_labels).tolist() == [0, 2, 0, 2]
    assert chosen.source == small.source


@pytest.mark.parametrize("seed", range(20))
def test_no_image_is_drawn_twice(small, seed):
    chosen = datasets.select(small, (0, 2), 9, 3, np.random.default_rng(seed))
    assert len(np.unique(chosen.train_index)) == 18
    assert len(np.unique(chosen.test_index)) == 6


def test_the_seed_alone_decides_what_is_drawn(small):
    draws = [datasets.select(small, (0, 1), 5, 2, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert np.array_equal(draws[0].train_index, draws[1].train_index)
    assert np.array_equal(draws[0].test_index, draws[1].test_index)
    assert not np.array_equal(draws[0].train_index, draws[2].train_index)


def test_the_classes_come_mixed_and_every_image_may_be_asked_for(small):
    everything = datasets.select(small, None, None, None, np.random.default_rng(4))
    assert everything.classes == (0, 1, 2, 3)
    assert sorted(everything.train_index) == list(range(40))
    assert len(everything.test_index) == 12
    assert (np.diff(everything.train_labels.astype(int)) != 0).sum() > 10


def test_no_test_images_may_be_asked_for(small):
    assert datasets.select(small, (1,), 1, 0, np.random.default_rng(0)).test_images.shape == (
        0,
        6,
        5,
    )


@pytest.mark.parametrize(
    ("classes", "train", "test", "message"),
    [
        ((1, 12), 1, 1, r"classes: 12 \(mnist has 0, 1, 2, 3\)"),
        ((1,), 11, 1, r"train_per_class: 11 images of class 1 \(the data set has 10\)"),
        ((2,), 1, 4, r"test_per_class: 4 images of class 2 \(the data set has 3\)"),
        ((2,), -1, 1, r"train_per_class: -1 \(must be at least 0\)"),
        ((2,), 1, -2, r"test_per_class: -2 \(must be at least 0\)"),
        ((), 1, 1, r"classes: \[\]"),
        ((1, 1), 1, 1, r"classes: \[1, 1\] \(must be one or more, each once\)"),
    ],
)
def test_what_cannot_be_drawn_is_named_with_what_there_is(small, classes, train, test, message):
    with pytest.raises(UsageError, match=message):
        datasets.select(small, classes, train, test, np.random.default_rng(0))
