"""The software board: a process of this computer that is started, watched and stopped here."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from spikingconvnet.backends.base import Backend, clear_errors
from spikingconvnet.backends.toolchain import no_waiting
from spikingconvnet.errors import BoardError, SpikingConvNetError

CHECK_S = 1.0
"""Time between two looks at the board's health."""
NO_LIMIT_S = 10_000_000


class SoftwareBackend(Backend):
    """Run on a board made of software, as fast as this computer allows."""

    def __init__(self, *, version: int, folder: Path) -> None:
        super().__init__(version=version, folder=folder)
        self._death: Exception | None = None
        self._over = threading.Event()

    @cached_property
    def board(self) -> Any:
        """Return the board, which runs from `__enter__` to `__exit__`."""
        from spikingconvnet.hardware.client import SoftwareBoard

        self.folder.mkdir(parents=True, exist_ok=True)
        return SoftwareBoard(version=self.version, log=self.folder / "board.log")

    @property
    def origin(self) -> str:
        """Name the kind of board and what it idealises."""
        return str(self.board.origin)

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """Return the board's own account, see `spikingconvnet.hardware.emulator.account`."""
        accounts: list[dict[str, Any]] = self.board.accounts
        return accounts

    def start(self, stack: ExitStack) -> dict[str, str]:
        """Start the board's process and its watchdog."""
        self._death = None
        self._over.clear()
        with clear_errors():
            board = stack.enter_context(self.board)
        stack.enter_context(no_waiting())
        stack.enter_context(self._watched())
        return {
            "machine_name": board.address,
            "version": str(board.version),
            "spalloc_retry": "0",
            # Plain requests are five times as fast here as the programs that speed up the link of
            # a real board (benchmarks/link.py), and no packet is dropped that could be reinjected.
            "enable_advanced_monitor_support": "False",
            "enable_reinjection": "False",
            # The watchdog tells a dead board from one that takes its time.
            "post_simulation_overrun_before_error": str(NO_LIMIT_S),
        }

    def closing(self) -> None:
        """Let the watchdog interrupt no more: from here on the board may well be gone."""
        self._over.set()

    def translate(self, error: BaseException) -> SpikingConvNetError | None:
        """Blame a dead board for whatever the toolchain made of it."""
        if self._death is None and not isinstance(error, KeyboardInterrupt):
            self._death = self._look()
        return None if self._death is None else BoardError(str(self._death))

    def _look(self) -> Exception | None:
        try:
            self.board.check()
        except Exception as death:
            return death
        return None

    def _end(self) -> None:
        """Give the machine back; from a dead one there is nothing to wait for."""
        simulator = getattr(self.sim, "__simulator", None)
        if self._death is None:
            super()._end()
        elif simulator is not None:
            simulator._data_writer.shut_down()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Wake the main thread when the board dies while the toolchain waits for it."""
        main = threading.main_thread()

        def watch() -> None:
            while not self._over.wait(CHECK_S):
                self._death = self._look()
                if self._death is not None and not self._over.is_set():
                    # A signal ends whatever wait the toolchain is in; __exit__ says why. Not
                    # SIGINT, which a shell ignores for what it starts in the background.
                    signal.pthread_kill(main.ident or 0, signal.SIGUSR1)
                    return

        watcher = threading.Thread(target=watch, name="board watchdog", daemon=True)
        before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()
            signal.signal(signal.SIGUSR1, before)
