"""Software boards for the tests of sPyNNaker scripts: a pytest plugin, loaded where this installs.

`spynnaker_on_board` gives the PyNN module of a sPyNNaker that uses a software board:

    def test_it_fires(spynnaker_on_board):
        sim = spynnaker_on_board
        sim.setup(1.0)
        ...

`software_board` gives the board alone. `@pytest.mark.software_board(version=3)` chooses another one
for a test, by the arguments of `SoftwareBoard`; `--board-version` and the ini value `board_version`
choose the version for all others. Boards are shared by the tests of a session that want the same;
one that died, or on which a test left programs, is replaced.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

VERSIONS = ("3", "5")
MARKER = (
    "software_board(version=5, boards=1, dead=None, ...): run on a software board made with these "
    "arguments of SoftwareBoard"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini value for the version of the boards."""
    about = "version of the software boards of tests: 3 (4 chips) or 5 (48 chips)"
    group = parser.getgroup("software board")
    group.addoption("--board-version", choices=VERSIONS, help=f"{about}; default: the ini value")
    parser.addini("board_version", f"{about}; default: 5", default="5")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known and check the ini value."""
    config.addinivalue_line("markers", MARKER)
    if config.getini("board_version") not in VERSIONS:
        found, valid = config.getini("board_version"), ", ".join(VERSIONS)
        raise pytest.UsageError(f"board_version: {found!r} (valid: {valid})")


class Boards:
    """Running boards, one for every set of arguments that was asked for."""

    def __init__(self, version: int, logs: Path) -> None:
        self.version, self.logs = version, logs
        self._boards: dict[tuple[Any, ...], Any] = {}

    def __call__(self, version: int | None = None, **options: Any) -> Any:
        """Give the board with these arguments of `SoftwareBoard`, started now if need be."""
        from spikingconvnet.hardware.client import SoftwareBoard
        from spikingconvnet.hardware.errors import BoardDied

        options["version"] = version or self.version
        key = tuple(sorted(options.items()))
        with suppress(KeyError, BoardDied):
            self._boards[key].check()
            return self._boards[key]
        self._drop(key)
        log = self.logs / f"board-{len(self._boards)}.log"
        self._boards[key] = SoftwareBoard(**{"log": log} | options).start()
        return self._boards[key]

    def tidy(self) -> None:
        """Stop the boards that died or have programs on them; others start in their place."""
        from spikingconvnet.hardware.errors import BoardDied

        for key, board in list(self._boards.items()):
            with suppress(BoardDied):
                if not board.status()["cores"]:
                    continue
            self._drop(key)

    def close(self) -> None:
        """Stop all boards."""
        for key in list(self._boards):
            self._drop(key)

    def _drop(self, key: tuple[Any, ...]) -> None:
        board = self._boards.pop(key, None)
        if board is not None:
            board.stop()


@pytest.fixture(scope="session")
def software_boards(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Boards]:
    """Give `software_boards(version=5, **options)`, which gives a running board."""
    chosen = request.config.getoption("--board-version") or request.config.getini("board_version")
    boards = Boards(int(chosen), tmp_path_factory.mktemp("software-boards"))
    yield boards
    boards.close()


@pytest.fixture
def software_board(request: pytest.FixtureRequest, software_boards: Boards) -> Iterator[Any]:
    """Give a running software board (`.address`, `.version`, `.status()`)."""
    marker = request.node.get_closest_marker("software_board")
    yield software_boards(*marker.args, **marker.kwargs) if marker else software_boards()
    software_boards.tidy()


@pytest.fixture(scope="session")
def _toolchain() -> None:
    from spikingconvnet.hardware.toolchain import check_toolchain

    check_toolchain()


@pytest.fixture
def spynnaker_on_board(
    _toolchain: None, software_board: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Give sPyNNaker's PyNN module, before `setup`, on a software board, in a temporary folder.

    It reads no configuration of the user's; programs that the test starts do not either.
    """
    from spikingconvnet.backends.toolchain import spynnaker_on

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(tmp_path)
    # Only one of the two may hold a configuration, or sPyNNaker refuses both.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGINT, handler)
        yield stack.enter_context(spynnaker_on(software_board, tmp_path))
