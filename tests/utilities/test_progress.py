import io

import pytest

from spikingconvnet.utilities import progress as module
from spikingconvnet.utilities.progress import Bar, Block, StepBars, progress


class Console(io.StringIO):
    def isatty(self):
        return True


def test_items_pass_through_and_the_line_vanishes_at_the_end():
    console = Console()
    assert list(progress(["a", "b"], "layer 1", stream=console)) == ["a", "b"]
    text = console.getvalue()
    assert "layer 1 [" in text and "2/2" in text
    assert text.endswith("\r\x1b[K")


def test_a_number_counts_up():
    assert list(progress(3, "window", stream=Console())) == [0, 1, 2]


def test_nothing_at_all_is_written_where_there_is_no_terminal():
    pipe = io.StringIO()
    with StepBars(pipe) as bars:
        bars("train images", 5, 10)
    assert list(progress(3, "window", stream=pipe)) == [0, 1, 2]
    assert pipe.getvalue() == ""


def test_the_line_vanishes_when_the_work_fails():
    console = Console()
    with pytest.raises(RuntimeError), Bar("layer 1", 10, console) as bar:
        bar.update(4)
        raise RuntimeError
    assert console.getvalue().endswith("\r\x1b[K")


def test_a_bar_shows_share_time_and_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    bar = Bar("train", 2000, Console())
    now[0] = 165.0
    bar.update(500)
    assert bar.text() == "train [#######---------------------] 500/2,000 1:05, 3:15 left"
    bar.update(1500)
    now[0] = 3800.0
    assert bar.text() == f"train [{'#' * 28}] 2,000/2,000 1:01:40"


def test_an_unknown_total_shows_what_is_done():
    bar = Bar("package", 0, Console())
    assert bar.text() == "package 0:00"
    bar.update(7)
    assert bar.text() == "package 7 0:00"


def test_a_generator_has_no_known_length():
    console = Console()
    assert list(progress((n for n in range(2)), "spikes", stream=console)) == [0, 1]
    assert "[" not in console.getvalue().replace("\x1b[K", "")


def test_each_step_of_a_download_gets_its_own_bar():
    console = Console()
    with StepBars(console) as bars:
        bars("images", 10, 100)
        bars("images", 100, 100)
        bars("labels", 0, 0)
    lines = console.getvalue().split("\r")
    assert any("images" in line and "100/100" in line for line in lines)
    assert any(line.startswith("labels") for line in lines)
    assert lines[-1] == "\x1b[K"


def test_a_block_is_drawn_over_itself_and_taken_off():
    console = Console()
    block = Block(console)
    block.draw(["one", "x" * 200])
    assert console.getvalue() == "\r\x1b[Kone\n" + "x" * 79
    block.draw(["two", "three", "four"])
    assert console.getvalue().endswith("\r\x1b[K\x1b[A\x1b[Ktwo\nthree\nfour")
    block.close()
    block.close()
    assert console.getvalue().endswith("four\r\x1b[K\x1b[A\x1b[K\x1b[A\x1b[K")


def test_no_block_where_there_is_no_terminal():
    pipe = io.StringIO()
    block = Block(pipe)
    block.draw(["one"])
    block.close()
    assert pipe.getvalue() == "" and not block.alive
