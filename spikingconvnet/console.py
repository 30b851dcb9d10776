"""The software board in a terminal: how to reach it, what it does now, and a summary at the end."""

import argparse
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from spikingconvnet import backends, report
from spikingconvnet.errors import UsageError
from spikingconvnet.utilities import logs
from spikingconvnet.utilities.progress import Block

STATUS_S = 0.5
"""Time between two looks at the board."""
NAMES_SHOWN = 6
_MESSAGES_BYTES = 1 << 16
_HOW = (
    "Put these lines into ~/.spynnaker.cfg, or into spynnaker.cfg beside a script (and an empty "
    "~/.spynnaker.cfg):"
)
_SUPPORT = ("extra_monitor_support", "data_speed_up_packet_gatherer")
"""What sPyNNaker puts on every chip and board; told last."""


# ---- what to serve -------------------------------------------------------------------------------


def add_options(parser: Any) -> None:
    """Add the options of the board to a parser or to a group of one."""
    add = parser.add_argument
    add("--spin", metavar="3|5", help="SpiNN-3, with 4 chips, or SpiNN-5, with 48 (default: 5)")
    add("--boards", metavar="N|WxH", help="SpiNN-5 in one machine: 3, 6, 12, ... or W x H triads")
    add("--wrap", action="store_true", help="join opposite edges of a machine of several boards")
    add("--dead", metavar="FILE", help="JSON: chips, cores and links that do not work")
    add("--unbooted", action="store_true", help="wait until the host has booted the board")
    add("--address", metavar="IP", help="where to listen (default: a free one in 127.53.0.0/16)")
    add("--threads", metavar="N", help="processors to use (default: up to four)")
    add("--log", metavar="FILE", help="where the board's messages go, beside the terminal")
    add(
        "--real-time",
        action=argparse.BooleanOptionalAction,
        help="keep pace with the clock (default: if programs talk to the host), or never",
    )
    add("--fault", metavar="NAME", help="what is wrong with the board (see docs/board.md)")
    add("--enforce-timing", action="store_true", help="let work take time, as on a real board")
    code = parser.add_mutually_exclusive_group().add_argument
    code("--no-translate", action="store_true", help="interpret all ARM code: slower, same results")
    code("--translations", metavar="FOLDER", help="where translated code is kept")
    add("--spalloc", action="store_true", help="lend --boards (default: 12) SpiNN-5 to jobs")


OPTIONS = (
    *("spin", "boards", "wrap", "dead", "unbooted", "address", "threads", "log"),
    *("real_time", "fault", "enforce_timing", "no_translate", "translations", "spalloc"),
)
_OF_SPALLOC = {"boards", "unbooted", "address", "spalloc"}


def chosen(options: argparse.Namespace, version: int = 5, log: Path | None = None) -> dict:
    """Return the arguments of the board that the options ask for; `version`, `log` by default."""
    spin = _one_of("--spin", options.spin, tuple(backends.VERSIONS)) or version
    asked = {
        "version": spin,
        "boards": _boards(options.boards),
        "wrap": options.wrap or None,
        "dead": options.dead,
        "unbooted": options.unbooted or None,
        "address": options.address,
        "threads": _positive("--threads", options.threads),
        "log": _writable(options.log) or log,
        "real_time": options.real_time,
        "fault": options.fault,
        "enforce_timing": options.enforce_timing or None,
        "translate": False if options.no_translate else options.translations,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _one_of(option: str, text: str | None, valid: Sequence[int]) -> int | None:
    if text is None:
        return None
    if text not in map(str, valid):
        raise UsageError(f"{option}: {text!r} (valid: {', '.join(map(str, valid))})")
    return int(text)


def _positive(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{option}: {text!r} (must be a whole number of at least 1)")
    return int(text)


def _boards(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--boards: {text!r} (must be 1, 3, 6, 12, ..., or triads such as 2x1)")
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 else int(parts[0])


def _writable(text: str | None) -> Path | None:
    if text is None:
        return None
    try:
        open(text, "ab").close()
    except OSError as error:
        raise UsageError(f"--log: {text} ({error.strerror}; must be a file to write)") from error
    return Path(text)


def lent(options: argparse.Namespace) -> dict:
    """Return the arguments of the spalloc server that the options ask for."""
    for name in OPTIONS:
        if name not in _OF_SPALLOC and getattr(options, name) not in (None, False):
            raise UsageError(f"{spelling(name)}: not with --spalloc (it lends plain SpiNN-5)")
    asked = {"boards": _positive("--boards", options.boards), "address": options.address}
    return {"booted": not options.unbooted} | {k: v for k, v in asked.items() if v is not None}


def spelling(name: str) -> str:
    """Return an option as the user writes it."""
    return f"--{name.replace('_', '-')}"


# ---- serving -------------------------------------------------------------------------------------


def serve(options: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Run a software board until Ctrl-C or a request to end, and tell about it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(options.get("log") or Path(folder, "board.log"))
        start = log.stat().st_size if log.exists() else 0
        with backends.serve(**{**options, "log": log}) as served, suppress(KeyboardInterrupt):
            say(introduction(served))
            with closing(_messages(log, start)) as messages:
                _watch(served, messages, say)
        for line in summary(served.board):
            say(line)


def lend(options: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Run a spalloc server that lends software boards until Ctrl-C or a request to end."""
    with backends.lend(**options) as server, suppress(KeyboardInterrupt):
        say(
            f"spalloc server at {server.address}, TCP port {server.port}\n{_HOW}\n\n"
            f"{server.configuration()}\n\nCtrl-C ends it."
        )
        while True:
            time.sleep(STATUS_S)


def _watch(
    served: backends.Served, messages: Iterator[list[str]], say: Callable[[str], None]
) -> None:
    """Show what the board does and what it has to say, until interrupted."""
    block = Block()
    try:
        show = _live(served, block) if block.alive else _plain(served)
        with backends.clear_errors():
            while True:
                for message in next(messages):
                    block.close()
                    say(message)
                show(served.board.status())
                time.sleep(STATUS_S)
    finally:
        block.close()


def introduction(served: backends.Served) -> str:
    """Say where the board is and how a script finds it."""
    board = served.board
    return f"{board.origin} at {board.address}\n{_HOW}\n\n{served.configuration}\nCtrl-C ends it."


Show = Callable[[Mapping[str, Any]], None]


def _live(served: backends.Served, block: Block) -> Show:
    """Give a function that draws a status in place of the last one."""
    place = f"{served.board.layout.name} at {served.board.address}"
    here = application_cores(served.board.layout)
    return lambda status: block.draw(
        [place, time_so_far(status), cores_in_use(status, here, served.binaries)]
    )


def _plain(served: backends.Served) -> Show:
    """Give a function that writes a line for a status unlike the last one."""
    here, stream = application_cores(served.board.layout), logs.terminal().stderr
    before = (False, cores_in_use({"programs": []}, here, {}))

    def show(status: Mapping[str, Any]) -> None:
        nonlocal before
        now = (status["running"], cores_in_use(status, here, served.binaries))
        if now != before:
            print(f"{time_so_far(status)}; {now[1]}", file=stream, flush=True)
        before = now

    return show


def _messages(log: Path, start: int) -> Generator[list[str], None, None]:
    """Give, again and again, the lines that have come to a log since the last time."""
    with log.open("rb") as stream:
        stream.seek(start)
        rest = b""
        while True:
            *lines, rest = (rest + stream.read(_MESSAGES_BYTES)).split(b"\n")
            yield [line.decode("utf-8", "replace") for line in lines]


# ---- words ---------------------------------------------------------------------------------------


def application_cores(layout: Any) -> int:
    """Count the cores of a machine that can run programs."""
    return sum(layout.cores.values()) - len(layout.cores) - len(layout.dead_cores)


def time_so_far(status: Mapping[str, Any]) -> str:
    """Say whether the board runs, how fast, and how much virtual time has passed."""
    seconds, busy_s = status["virtual_ms"] / 1000, status["busy_s"]
    passed = f"{seconds:,.3f} s of virtual time so far"
    if status["paced"]:
        return f"running in real time, {passed}"
    if status["running"]:
        return f"running {status['factor']:,.2f} times as fast as real time, {passed}"
    return f"idle, {passed}" + (f", {seconds / busy_s:,.2f} times real time" if busy_s else "")


def cores_in_use(status: Mapping[str, Any], here: int, names: Mapping[str, str]) -> str:
    """Say how many of `here` cores run which programs."""
    programs = status["programs"]
    if not programs:
        return f"no program on its {here:,} cores"
    programs = sorted(programs, key=lambda program: names.get(program["image"]) in _SUPPORT)
    shown = [_program(program, names) for program in programs[:NAMES_SHOWN]]
    if len(programs) > NAMES_SHOWN:
        shown.append(f"{len(programs) - NAMES_SHOWN} more")
    return f"{status['cores']:,} of {here:,} cores in use: {', '.join(shown)}"


def _program(program: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(program["image"]) or f"application {program['application']}"
    failed = f" ({program['failed']} failed)" if program["failed"] else ""
    return f"{name} x {program['cores']}{failed}"


def summary(board: Any) -> Iterable[str]:
    """Yield what became of a board that has been stopped."""
    found = board.summary
    if not found.get("virtual_ms"):
        yield "no virtual time has passed"
        return
    seconds, factor = found["virtual_ms"] / 1000, found["virtual_ms"] / 1000 / found["busy_s"]
    yield (
        f"{seconds:,.3f} s of virtual time in {found['busy_s']:,.2f} s of work: "
        f"{factor:,.2f} times real time; {found['instructions']:,.0f} instructions"
    )
    if found["lost_ms"]:
        yield f"it could not keep pace with the clock, and lost {found['lost_ms'] / 1000:,.3f} s"
    verdicts = list(report.timing_verdicts(board.accounts))
    yield from (f"verdict: {verdict}" for verdict in verdicts)
    if board.accounts and not verdicts:
        busiest = max(a["most_instructions"] / a["period_cycles"] for a in board.accounts)
        yield (
            f"verdict: real time: no program had more instructions than cycles in a tick (busiest "
            f"tick: {100 * busiest:.0f} %)"
        )
