import numpy as np
import pytest
from PIL import Image

from spikingconvnet.errors import DataError, UsageError
from spikingconvnet.utilities import pictures
from spikingconvnet.utilities.pictures import Request

RNG = np.random.default_rng(2)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def saved(path, image):
    image.save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "pgm"])
def test_grey_values_come_back_as_they_were_saved(tmp_path, ending):
    found = pictures.read(saved(tmp_path / f"a.{ending}", Image.fromarray(GREY)))
    assert np.array_equal(found.pixels, GREY) and found.pixels.dtype == np.uint8
    assert found.notes == ()


def test_grey_in_three_channels_or_a_palette_is_no_colour(tmp_path):
    for number, image in enumerate(
        (
            Image.fromarray(np.stack([GREY] * 3, axis=2)),
            Image.fromarray(GREY).convert("RGBA"),
            Image.fromarray(GREY).convert("P"),
            Image.fromarray(GREY).convert("LA"),
        )
    ):
        found = pictures.read(saved(tmp_path / f"{number}.png", image))
        assert np.array_equal(found.pixels, GREY) and found.notes == ()


def test_colour_becomes_its_luma(tmp_path):
    colour = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    found = pictures.read(saved(tmp_path / "a.png", Image.fromarray(colour)))
    wanted = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(found.pixels - wanted).max() <= 1
    assert found.notes == ("colour became grey",)


def test_transparency_black_and_white_and_sixteen_bits(tmp_path):
    alpha = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 128)])
    found = pictures.read(saved(tmp_path / "a.png", Image.fromarray(alpha)))
    assert np.abs(found.pixels - GREY * (128 / 255)).max() <= 1
    assert found.notes == ("transparency became black",)
    bits = Image.fromarray(GREY > 100)
    assert set(np.unique(pictures.read(saved(tmp_path / "b.png", bits)).pixels)) == {0, 255}
    wide = GREY.astype(np.uint16) * 257
    found = pictures.read(saved(tmp_path / "c.png", Image.fromarray(wide)))
    assert np.array_equal(found.pixels, GREY) and found.notes == ("16 bits of grey became 8",)


def test_the_first_of_several_pictures_is_taken(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    found = pictures.read(tmp_path / "a.gif")
    assert found.notes[0] == "the first of 2 pictures"
    assert np.abs(found.pixels.astype(int) - GREY).max() <= 1


def test_what_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(UsageError, match=r"text.png: no picture of a known format"):
        pictures.read(tmp_path / "text.png")
    with pytest.raises(UsageError, match=r"nowhere.png: no such file"):
        pictures.read(tmp_path / "nowhere.png")
    with pytest.raises(UsageError, match=r"is a folder .must be a picture"):
        pictures.read(tmp_path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_cut_off_picture_is_damaged(tmp_path, kept):
    large = RNG.integers(0, 256, (60, 50), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(large))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a.png: damaged, or cannot be read"):
        pictures.read(path)


def test_a_request_fits_a_picture_to_the_run(tmp_path):
    smooth = np.add.outer(10 * np.arange(6), 20 * np.arange(9)).astype(np.uint8)
    large = np.kron(smooth, np.ones((2, 2), np.uint8))
    path = str(saved(tmp_path / "a.png", Image.fromarray(large)))
    with pytest.raises(UsageError, match=r"18 x 12 pixels, 9 x 6 in the images .*give --resize"):
        Request(path).picture((6, 9))
    found = Request(path, resize=True).picture((6, 9))
    assert found.pixels.shape == (6, 9)
    assert np.abs(found.pixels[1:-1, 1:-1] - smooth[1:-1, 1:-1].astype(float)).max() <= 1
    assert found.notes[0].startswith("scaled: 18 x 12")
    whole = Request(path, invert=True).picture((12, 18))
    assert np.array_equal(whole.pixels, 255 - pictures.read(path).pixels)


def test_an_empty_picture_is_noted(tmp_path):
    path = str(saved(tmp_path / "a.png", Image.fromarray(np.zeros((3, 3), np.uint8))))
    assert Request(path).picture((3, 3)).notes == ("all pixels are 0: there is nothing to see",)
