import numpy as np
import pytest
from PIL import Image

from spikingconvnet.errors import DataError, UsageError
from spikingconvnet.utilities import class_folders, datasets

RNG = np.random.default_rng(6)


def write(folder, count, size=(5, 4), start=0):
    """Write pictures whose first pixel is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        pixels = RNG.integers(0, 256, size, dtype=np.uint8)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(folder / f"{number:04}.png")


def load(folder):
    return datasets.load("mnist", directory=folder)


def numbers(images):
    return images[:, 0, 0].tolist()


def test_every_sixth_picture_of_a_class_is_for_testing(tmp_path):
    write(tmp_path / "data" / "cat", 14)
    write(tmp_path / "data" / "ant", 6, start=100)
    data = load(tmp_path / "data")
    assert data.name == "data" and data.names == ("ant", "cat") and data.classes == (0, 1)
    assert numbers(data.test_images[data.test_labels == 1]) == [5, 11]
    assert numbers(data.train_images[data.train_labels == 1]) == [
        0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13,
    ]  # fmt: skip
    assert numbers(data.test_images[data.test_labels == 0]) == [105]
    assert data.train_images.shape == (17, 5, 4) and data.train_images.dtype == np.uint8
    assert str(tmp_path / "data") in data.source and data.notes == ()


def test_a_pair_of_folders_is_kept_apart(tmp_path):
    for part, start in (("train", 0), ("test", 50)):
        for name in ("b", "a"):
            write(tmp_path / part / name, 3, start=start)
    data = load(tmp_path)
    assert data.names == ("a", "b")
    assert sorted(numbers(data.train_images)) == [0, 0, 1, 1, 2, 2]
    assert sorted(numbers(data.test_images)) == [50, 50, 51, 51, 52, 52]


def test_whole_numbers_stay_the_labels(tmp_path):
    for name in ("10", "9", "2"):
        write(tmp_path / name, 3)
    data = load(tmp_path)
    assert data.classes == (2, 9, 10) and data.names == ("2", "9", "10")
    chosen = datasets.select(data, (10, 2), None, None, np.random.default_rng(0))
    assert chosen.names == ("10", "2") and set(chosen.train_labels) == {2, 10}


def test_files_that_are_no_pictures_by_name_are_left_out(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, 3)
        (tmp_path / name / "notes.txt").write_text("x")
        (tmp_path / name / ".hidden.png").write_text("x")
    (tmp_path / ".git").mkdir()
    assert len(load(tmp_path).train_images) == 4


def test_colour_is_counted(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, 3)
    Image.fromarray(RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)).save(tmp_path / "a" / "c.png")
    assert load(tmp_path).notes == ("colour became grey in 1 pictures",)


def test_the_progress_reaches_the_end(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, 3)
    steps = []
    datasets.load("mnist", directory=tmp_path, progress=lambda *step: steps.append(step))
    assert steps[0] == ("reading pictures", 1, 6) and steps[-1] == ("reading pictures", 6, 6)


def broken(folder, change):
    for name in ("a", "b"):
        write(folder / name, 3)
    change(folder)
    return folder


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda at: (at / "c").mkdir(), UsageError, "too few pictures in c .a class must have one"),
        (lambda at: write(at / "c", 1), UsageError, "too few pictures in c .*fewer than two"),
        (
            lambda at: (
                [path.unlink() for path in (*at.glob("a/*"), at / "b" / "0000.png")]
                and (at / "a").rmdir()
            ),
            UsageError,
            "1 class, b .must have two or more",
        ),
        (
            lambda at: write(at / "b", 2, (6, 4), 7),
            UsageError,
            r"pictures of 2 sizes .must be one.: 4 x 5 in 6, such as a.0000.png; 4 x 6 in 2, such",
        ),
        (lambda at: write(at / "01", 2) or write(at / "1", 2), None, None),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, change, error, message):
    folder = broken(tmp_path, change)
    if error is None:
        assert load(folder).names == ("01", "1", "a", "b")
        return
    with pytest.raises(error, match=message):
        load(folder)


def test_two_names_of_one_number_are_refused(tmp_path):
    for name in ("01", "1"):
        write(tmp_path / name, 2)
    with pytest.raises(UsageError, match=r"classes 01, 1 .some are the same number"):
        load(tmp_path)


def test_every_unreadable_file_is_named(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, 3)
        (tmp_path / name / "x.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"2 unreadable: .*a.x.png: .*b.x.png: no picture"):
        load(tmp_path)


@pytest.mark.parametrize("part", ["train", "test"])
def test_half_of_a_pair_is_refused(tmp_path, part):
    for name in ("a", "b"):
        write(tmp_path / part / name, 3)
    other = "test" if part == "train" else "train"
    with pytest.raises(UsageError, match=f"no folder {other} with classes in it"):
        load(tmp_path)


def test_a_class_without_test_pictures_is_named(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            write(tmp_path / part / name, 2)
    (tmp_path / "train" / "c").mkdir()
    with pytest.raises(UsageError, match="too few pictures in train/c, test/c"):
        load(tmp_path)


def test_other_folders_are_not_taken_for_classes(tmp_path):
    assert not class_folders.recognised(tmp_path)
    (tmp_path / "figures").mkdir()
    assert not class_folders.recognised(tmp_path)
    write(tmp_path / "figures", 1)
    assert class_folders.recognised(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").touch()
    assert not class_folders.recognised(tmp_path)
    with pytest.raises(UsageError, match="or a sub-folder of pictures for each class"):
        load(tmp_path / "figures")
