"""Find, start, health-check and stop a software board."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .constants import SCP_PORT, Command
from .emulator.boot import BROKEN_ROMS, FAULTS
from .emulator.dead import read_dead
from .emulator.layout import load_layout
from .errors import BadAddress, BoardDied, UnknownBoard
from .packets import HOST_PORT, NO_TAG, REPLY_EXPECTED, Scp, Sdp, encode_datagram, encode_scp

_START_S = 30.0
_STOP_S = 3.0
_ANSWER_S = 5.0


def ask_version(address: str, timeout_s: float, port: int = SCP_PORT) -> bytes | None:
    """Ask a board who it is; its answer, or None when none comes in time.

    Raises ConnectionRefusedError when the host says that nobody listens, OSError when the name
    does not resolve or there is no way there.
    """
    request = Sdp(
        REPLY_EXPECTED, NO_TAG, 0, HOST_PORT, 0, 0, encode_scp(Scp(Command.VER, 0, 0, 0, 0, b""))
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(min(left, 0.5))
            sock.send(encode_datagram(request))
            try:
                return sock.recv(1024)
            except TimeoutError:
                continue
    return None


class SoftwareBoard:
    """A software board in a process of its own, for as long as the context lasts.

    `version` is 3 (SpiNN-3, 4 chips) or 5 (SpiNN-5, 48 chips); `log` a file for its messages, by
    default a temporary one; `dead` a file of dead parts (see `emulator.dead`); `boards` how many
    SpiNN-5 make the machine: 1, 3, 6, 12, ..., or its (width, height) in triads, and `wrap`
    whether its opposite edges are joined. An `unbooted` one answers only after a host has booted
    it. `address` is the first loopback address, by default a free one, and `threads` how many
    processors it may use. `real_time` says whether a simulation keeps pace with the host's clock
    (None: if its programs talk to the host), `enforce_timing` whether work takes time. With
    `translate` ARM code is translated in the background, and kept in that folder if it is one
    (None: as `translates` says); it changes nothing but the speed. A `fault` makes a board that is
    "silent", "never-boots", or runs an "old-firmware". Raises UnknownBoard for what there is not,
    BadDescription for a file that does not fit, BadAddress for an address that is not to be had,
    and BoardDied when the process does not start.
    """

    translates = True
    """Whether boards translate that are not told."""

    def __init__(
        self,
        version: int = 5,
        log: str | Path | None = None,
        dead: str | Path | None = None,
        boards: int | tuple[int, int] = 1,
        unbooted: bool = False,
        wrap: bool = False,
        address: str | None = None,
        threads: int | None = None,
        real_time: bool | None = None,
        enforce_timing: bool = False,
        fault: str | None = None,
        translate: bool | str | Path | None = None,
    ) -> None:
        if fault not in (None, *FAULTS):
            raise UnknownBoard(f"fault: {fault!r} (must be one of {', '.join(FAULTS)})")
        self.layout = load_layout(version, boards, wrap)
        if dead is not None:
            self.layout = self.layout.without(read_dead(dead))
        self.version = version
        self.unbooted = unbooted or fault in BROKEN_ROMS
        self.enforce_timing = enforce_timing
        size = "x".join(map(str, boards)) if isinstance(boards, tuple) else str(boards)
        self._options = [f"--version={version}", f"--boards={size}", "--watch-stdin"]
        if wrap:
            self._options.append("--wrap")
        if address is not None:
            self._options.append(f"--address={address}")
        if threads is not None:
            self._options.append(f"--threads={threads}")
        if real_time is not None:
            self._options.append("--real-time" if real_time else "--no-real-time")
        if enforce_timing:
            self._options.append("--enforce-timing")
        translate = self.translates if translate is None else translate
        if translate is False:
            self._options.append("--no-translate")
        elif translate is not True:
            self._options.append(f"--translations={Path(translate).resolve()}")
        if dead is not None:
            self._options.append(f"--dead={Path(dead).resolve()}")
        if unbooted:
            self._options.append("--unbooted")
        if fault is not None:
            self._options.append(f"--fault={fault}")
        self.address = ""
        self.summary: dict[str, Any] = {}
        """After `stop`: `virtual_ms` passed in `busy_s` and `cpu_s` seconds; `instructions`.

        Of runs that kept pace with the clock, `lost_ms` and `most_behind_ms` (see `pace`).
        """
        self.accounts: list[dict[str, Any]] = []
        """After `stop`: what each program did in a tick, as `emulator.account.CoreAccount`."""
        self._log_path = log
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._one_asks = threading.Lock()

    @property
    def origin(self) -> str:
        """What a result of this board comes from."""
        timing = "enforced" if self.enforce_timing else "ideal"
        return f"software board ({self.layout.name}, {timing} timing)"

    @property
    def pid(self) -> int | None:
        """The process number while the board runs."""
        return self._process.pid if self._process else None

    @property
    def ended(self) -> bool:
        """Whether the process was started and has ended without being told to."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> SoftwareBoard:
        """Start the process and wait until it listens."""
        log = self._log_path
        self._log = open(log, "ab") if log else tempfile.TemporaryFile()  # noqa: SIM115
        package = __package__ or "hardware"
        top = sys.modules[package.partition(".")[0]].__file__
        path = [str(Path(top).parent.parent)] if top else []
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            path + [entry for entry in [environment.get("PYTHONPATH", "")] if entry]
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{package}.server", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            bufsize=0,
        )
        line = self._line(_START_S)
        word, _, rest = (line or "").partition(" ")
        if word == "ready":
            self.address = rest
            return self
        silence = f"no sign of life within {_START_S:.0f} s"
        reason = rest or (silence if line is None else self._last_words())
        self.stop()
        if word == "failed":
            raise BadAddress(reason)
        raise BoardDied(f"the software board did not start: {reason}")

    def _line(self, timeout_s: float) -> str | None:
        """Take the next line of the process; None when none comes in time, "" when it has ended."""
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                return None
        return self._process.stdout.readline().decode().strip()

    def status(self) -> dict[str, Any]:
        """Ask the process what the board does now; see `server.Server.status` for the items.

        Raises BoardDied when it does not say.
        """
        with self._one_asks:
            self._check_process()
            assert self._process is not None and self._process.stdin is not None
            while self._line(0):
                pass  # answers that came too late
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(b"status\n")
            line = self._line(_ANSWER_S)
        if not line:
            self._check_process()
            raise BoardDied(f"the software board does not tell its status within {_ANSWER_S:.0f} s")
        status: dict[str, Any] = json.loads(line)
        return status

    def _last_words(self) -> str:
        if self._log is None:
            return "no log"
        if self._log_path:
            text = Path(self._log_path).read_text(errors="replace")
        else:
            self._log.seek(0)
            text = self._log.read().decode(errors="replace")
        lines = text.strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self) -> None:
        """Make sure that the board is there and answers; BoardDied if not.

        Of an unbooted one only that it is there: whether a host has booted it is not known here.
        """
        self._check_process()
        if self.unbooted:
            return
        try:
            answer = ask_version(self.address, _ANSWER_S)
        except OSError:
            answer = None
        if answer is None:
            self._check_process()  # it may have ended meanwhile
            raise BoardDied(
                f"the software board at {self.address} does not answer within {_ANSWER_S:.0f} s"
            )

    def _check_process(self) -> None:
        if self._process is None:
            raise BoardDied("the software board has not been started")
        code = self._process.poll()
        if code is not None:
            how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            raise BoardDied(f"the software board has ended ({how}): {self._last_words()}")

    def stop(self) -> None:
        """Stop the process, by force if it must be; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            try:
                last_words, _ = process.communicate(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                last_words, _ = process.communicate()
            last = last_words.splitlines()[-1:]
            if last and b'"accounts"' in last[0]:  # or it was killed
                self.summary = json.loads(last[0])
                self.accounts = self.summary.pop("accounts")
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def __enter__(self) -> SoftwareBoard:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
