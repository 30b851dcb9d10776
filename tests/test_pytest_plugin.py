"""The fixtures for other people's tests, as those see them: in a pytest of their own."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ["numpy", "pyNN", "spynnaker", "spinn_utilities", "matplotlib", "spikingconvnet.backends"]

pytest_plugins = ["pytester"]


@pytest.fixture
def inner(pytester, monkeypatch):
    """Run pytest in a folder where the plugin is installed, as far as pytest can tell."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    [points] = [k.value for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg == POINTS]
    lines = [
        f"[{group}]\n" + "\n".join(entries) for group, entries in ast.literal_eval(points).items()
    ]
    package = pytester.mkdir("site") / "spikingconvnet-0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: spikingconvnet\nVersion: 0\n")
    (package / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(package.parent)]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


POINTS = "entry_points"


def test_scripts_run_on_a_board_and_leave_nothing_to_the_next(inner):
    inner.makefile(".cfg", spynnaker="[Machine]\nmachine_name = nowhere.invalid\n")
    inner.makepyfile(
        """
        import signal
        from pathlib import Path

        import pytest

        start = Path.cwd()

        def fire(sim):
            sim.setup(1.0)
            source = sim.Population(3, sim.SpikeSourceArray([[5], [], [7, 9]]))
            source.record("spikes")
            sim.run(20)
            trains = source.get_data("spikes").segments[0].spiketrains
            return [[float(time) for time in train] for train in trains]

        @pytest.mark.software_board(version=3)
        def test_a_run(spynnaker_on_board, software_board):
            handler = signal.getsignal(signal.SIGINT)
            assert fire(spynnaker_on_board) == [[5], [], [7, 9]]
            assert software_board.version == 3 and software_board.status()["virtual_ms"] >= 9
            assert signal.getsignal(signal.SIGINT) is handler
            assert Path.cwd() != start and Path.home() == Path.cwd()
            spynnaker_on_board.end()

        @pytest.mark.software_board(version=3)
        def test_a_failure_in_the_middle(spynnaker_on_board, software_board, request):
            request.config.first = software_board.pid
            fire(spynnaker_on_board)
            raise RuntimeError("as users do")

        @pytest.mark.software_board(version=3)
        def test_another_run_the_usual_way(spynnaker_on_board, software_board, request):
            assert software_board.pid == request.config.first
            import pyNN.spiNNaker as sim
            assert software_board.status()["cores"] == 0
            assert fire(sim) == [[5], [], [7, 9]]

        @pytest.mark.software_board(version=3)
        def test_a_board_that_dies(software_board):
            software_board.stop()

        @pytest.mark.software_board(version=3)
        def test_is_replaced(software_board, request):
            software_board.check()
            assert software_board.pid != request.config.first
        """
    )
    result = inner.runpytest_subprocess("-v")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*RuntimeError: as users do"])
    assert not list(inner.path.glob("reports"))


def test_the_version_comes_from_the_ini_file_the_option_or_the_marker(inner):
    inner.makeconftest("pytest_plugins = ['spikingconvnet.pytest_plugin']")
    inner.makepyfile(
        """
        import pytest

        def test_default(software_board, software_boards):
            print("default", software_board.version, software_board is software_boards())

        @pytest.mark.software_board(version=3)
        def test_marked(software_board):
            print("marked", software_board.version)
        """
    )
    inner.makeini("[pytest]\nboard_version = 3\naddopts = -s --strict-markers")
    inner.runpytest_subprocess().stdout.fnmatch_lines(["*default 3 True", "*marked 3"])
    result = inner.runpytest_subprocess("--board-version=5")
    result.stdout.fnmatch_lines(["*default 5 True", "*marked 3"])
    result.assert_outcomes(passed=2)


def test_a_version_that_there_is_not_is_refused(inner):
    inner.makeini("[pytest]\nboard_version = 4")
    result = inner.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*board_version: '4' (valid: 3, 5)"])
    result = inner.runpytest_subprocess("--board-version=4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--board-version: invalid choice: '4'*"])


def test_the_plugin_is_light():
    code = "import sys, spikingconvnet.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not set(HEAVY) & set(done.stdout.split())
