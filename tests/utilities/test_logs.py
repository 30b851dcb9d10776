import io
import logging
import subprocess
import sys
import textwrap

import pytest

from spikingconvnet.errors import StorageError
from spikingconvnet.utilities import logs


def run(script, *arguments):
    """Run a script in a process of its own, whose descriptors 1 and 2 are plain pipes."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


NOISE = """
import ctypes, logging, os, subprocess, sys, warnings
from spikingconvnet.utilities import logs

def noise(tag):
    print(tag, "print")
    print(tag, "print to stderr", file=sys.stderr)
    os.write(1, f"{tag} descriptor 1\\n".encode())
    os.write(2, f"{tag} descriptor 2\\n".encode())
    ctypes.CDLL(None).printf(f"{tag} buffered by C\\n".encode())
    logging.getLogger("toolchain").info("%s logged", tag)
    warnings.warn(f"{tag} warned")
    subprocess.run([sys.executable, "-c", f"print('{tag} child')"])

KINDS = 8
"""


def test_all_output_of_a_block_goes_to_the_file_and_the_rest_does_not(tmp_path):
    log = tmp_path / "run" / "toolchain.log"
    code, out, err = run(
        NOISE
        + """
logging.basicConfig(format="%(message)s")
print("before")
with logs.capture(sys.argv[1]) as user:
    noise("inner")
    print("result", file=user.stdout)
    print("told", file=logs.terminal().stderr)
print("after")
logging.getLogger("toolchain").warning("after, logged")
""",
        log,
    )
    assert (code, out, err) == (0, "before\nresult\nafter\n", "told\nafter, logged\n")
    text = log.read_text()
    for kind in ("print", "print to stderr", "descriptor 1", "descriptor 2", "buffered by C"):
        assert f"inner {kind}\n" in text
    assert "INFO     toolchain: inner logged" in text
    assert "UserWarning: inner warned" in text
    assert "inner child" in text
    assert text.count("inner logged") == 1


def test_an_exception_ends_the_capture_and_nothing_is_lost(tmp_path):
    log = tmp_path / "toolchain.log"
    code, out, err = run(
        NOISE
        + """
try:
    with logs.capture(sys.argv[1]):
        sys.stdout.write("no line end")
        noise("failing")
        raise RuntimeError("board died")
except RuntimeError as error:
    print("caught", error)
raise SystemExit(3)
""",
        log,
    )
    assert (code, out, err) == (3, "caught board died\n", "")
    assert "no line endfailing print" in log.read_text()
    assert "failing buffered by C" in log.read_text()


def test_blocks_nest_and_a_log_is_added_to(tmp_path):
    code, out, err = run(
        NOISE
        + """
outer, inner = sys.argv[1:]
with logs.capture(outer) as user:
    print("one")
    with logs.capture(inner):
        noise("two")
        print("progress", file=logs.terminal().stderr)
    print("three")
    print("user", file=user.stdout)
with logs.capture(outer):
    print("four")
""",
        tmp_path / "outer.log",
        tmp_path / "inner.log",
    )
    assert (code, out, err) == (0, "user\n", "progress\n")
    lines = (tmp_path / "outer.log").read_text().splitlines()
    assert [line for line in lines if "two logged" not in line] == ["one", "three", "four"]
    assert (tmp_path / "inner.log").read_text().count("two ") >= 8


def test_a_handler_made_inside_a_block_still_works_after_it(tmp_path):
    code, out, err = run(
        """
        import logging, sys
        from spikingconvnet.utilities import logs
        with logs.capture(sys.argv[1]):
            logging.getLogger("toolchain").addHandler(logging.StreamHandler())
            logging.getLogger("toolchain").warning("inside")
        logging.getLogger("toolchain").warning("outside")
        """,
        tmp_path / "toolchain.log",
    )
    assert (code, out) == (0, "")
    assert err == "outside\n"
    assert "inside" in (tmp_path / "toolchain.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_a_full_disk_does_not_hide_how_the_block_ended():
    _, out, err = run(
        """
        import ctypes
        from spikingconvnet.utilities import logs
        try:
            with logs.capture("/dev/full") as user:
                ctypes.CDLL(None).printf(b"noise")
                print("result", file=user.stdout)
                raise KeyError("the real reason")
        except KeyError as error:
            print(error)
        """
    )
    assert out.startswith("result\n") and out.endswith("'the real reason'\n")
    assert err == ""


def test_streams_that_live_in_memory_are_left_to_the_user(tmp_path, monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with logs.capture(tmp_path / "toolchain.log") as user:
        print("noise")
        print("noise", file=sys.stderr)
        print("result", file=user.stdout)
    print("after")
    assert out.getvalue() == "result\nafter\n"
    assert err.getvalue() == ""
    assert (tmp_path / "toolchain.log").read_text() == "noise\nnoise\n"


def test_logging_is_put_back_as_it_was(tmp_path):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with logs.capture(tmp_path / "toolchain.log"):
        assert root.level == logging.INFO
    assert (root.handlers, root.level) == (handlers, level)


def test_outside_a_block_the_user_reads_the_ordinary_streams():
    assert logs.terminal() == logs.Terminal(sys.stdout, sys.stderr)


def test_a_log_that_cannot_be_opened_changes_nothing(tmp_path, capfd):
    with pytest.raises(StorageError, match="log cannot be opened"), logs.capture(tmp_path):
        raise AssertionError("the block must not run")
    print("still here")
    assert capfd.readouterr().out == "still here\n"
