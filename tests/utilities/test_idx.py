import gzip

import numpy as np
import pytest

from spikingconvnet.errors import DataError
from spikingconvnet.utilities.idx import idx_bytes, parse_idx, read_idx

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LAYOUT = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3])


def test_the_layout_is_the_published_one_both_ways():
    assert idx_bytes(IMAGES) == LAYOUT + bytes(range(60))
    assert np.array_equal(parse_idx(LAYOUT + bytes(range(60)), "images", 3), IMAGES)
    assert idx_bytes(np.array([7, 1], np.uint8)) == bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 1])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_is_read_gzipped_or_not_whatever_its_name(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(idx_bytes(IMAGES)))
    assert np.array_equal(read_idx(path, 3), IMAGES)


def test_what_is_read_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        parse_idx(idx_bytes(IMAGES), "images", 3)[0, 0, 0] = 1


@pytest.mark.parametrize("length", range(0, 76, 5))
def test_every_truncation_names_file_found_and_expected_bytes(tmp_path, length):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx_bytes(IMAGES)[:length])
    expected = "an IDX header of 16" if length < 16 else "76 for 5 x 4 x 3"
    with pytest.raises(DataError) as caught:
        read_idx(path, 3)
    assert str(caught.value) == f"{path}: found {length} bytes (expected {expected})"


def test_bytes_too_many_are_damage_too():
    with pytest.raises(DataError, match=r"images: found 79 bytes \(expected 76 for 5 x 4 x 3\)"):
        parse_idx(idx_bytes(IMAGES) + b"abc", "images", 3)


@pytest.mark.parametrize("cut", [3, 12, 30, -9, -1])
def test_a_truncated_gzip_file_names_what_it_still_holds(cut):
    images = np.random.default_rng(1).integers(0, 256, (5, 40, 30), dtype=np.uint8)
    packed = gzip.compress(idx_bytes(images), mtime=0)
    with pytest.raises(DataError, match=r"^images\.gz: found [\d,]+ bytes .*damaged gzip"):
        parse_idx(packed[:cut], "images.gz", 3)


def test_a_gzip_file_with_a_wrong_checksum_is_damaged():
    packed = bytearray(gzip.compress(idx_bytes(IMAGES)))
    packed[-6] ^= 1
    with pytest.raises(DataError, match=r"found 76 bytes \(expected 76 .*damaged gzip: CRC"):
        parse_idx(bytes(packed), "images.gz", 3)


@pytest.mark.parametrize(
    "data",
    [b"<html>404 not found</html>", idx_bytes(np.zeros(60, np.uint8)), b"\0\0\x0d\3" + bytes(40)],
    ids=["web page", "one axis", "floats"],
)
def test_another_kind_of_file_is_named_by_its_first_bytes(data):
    message = rf"found first bytes {data[:4].hex()} \(expected 00000803"
    with pytest.raises(DataError, match=message):
        parse_idx(data, "images", 3)


def test_a_header_that_promises_too_much_reserves_nothing():
    with pytest.raises(DataError, match="expected 79,228,162,458,924,105,385,300,197,391"):
        parse_idx(b"\0\0\x08\3" + b"\xff" * 12, "images", 3)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"labels: cannot be read \(No such file"):
        read_idx(tmp_path / "labels", 1)
