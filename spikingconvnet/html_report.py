"""One HTML page of a run: what was run, what came out, and the commands that repeat it.

Figures lie inside it as data URIs and nothing runs in it, so it opens by itself, offline.
"""

import base64
import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from spikingconvnet import report, run_summary
from spikingconvnet.job import FIGURES, METRICS_TEXT, PARAMETERS, Job
from spikingconvnet.run_summary import Summary

PAGE = "report.html"
MOST_BYTES = 20 * 2**20
"""A figure beyond this is named, not embedded."""
_KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".gif": "image/gif"}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;
border-bottom:1px solid #ddd;padding-bottom:.2rem}
table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #eee;vertical-align:top}
td.n,th.n{text-align:right}th{font-weight:600;color:#555}
figure{margin:1rem 0;display:inline-block;vertical-align:top}
figure img{max-width:100%;border:1px solid #eee}figcaption{font-size:.8rem;color:#777}
pre{background:#f6f6f6;padding:.7rem;overflow-x:auto;font-size:.82rem}
.big{font-size:2rem;font-weight:600}.aside,.from{color:#777}.warn{color:#b03030}
"""
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Test", ("confusion", "predictions", "spikes_per_", "potential_of")),
    ("Kernels and weights", ("kernels_", "features_", "weight_", "weights_")),
    ("Training", ("convergence_", "training_history", "raster_", "voltages_layer", "wins")),
    ("Activity", ("activity_", "voltages_")),
    ("One picture", ("show_",)),
    ("Data", ("input_",)),
)


def write(job: Job) -> Path:
    """Write the page into the run directory; what is missing is said in it."""
    summary = run_summary.of(job)
    parts = [
        _head(job, summary),
        _missing(summary.missing),
        _section("What was run", _pairs(summary.facts)),
        _section("Layers", _table(summary.layers[0], summary.layers[1:])),
        _section("Result", _results(job, summary)),
        *_figures(job),
        _section("Timing", _timing(summary)),
        _section("Commands", _commands(summary)),
        _settings(job),
    ]
    title = f"{summary.title}: {job.run.path.name}"
    body = "\n".join(part for part in parts if part)
    job.run.save_text(
        PAGE,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n"
        "</body></html>\n",
    )
    return job.run.file(PAGE)


def _head(job: Job, summary: Summary) -> str:
    made = datetime.now().strftime("%Y-%m-%d %H:%M")
    return (
        f"<h1>{escape(summary.title)}</h1>\n<p class=aside>{escape(summary.source)}</p>\n"
        f"<p class=aside>{escape(str(job.run.path))}, page made {made}</p>"
    )


def _missing(steps: Sequence[str]) -> str:
    if not steps:
        return ""
    rows = "".join(f"<li>{escape(step)}</li>" for step in steps)
    return f"<p class=warn>Not there yet:</p><ul class=warn>{rows}</ul>"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; numbers stand to the right."""

    def cell(tag: str, value: Any) -> str:
        number = isinstance(value, int | float)
        text = f"{value:,.4g}" if isinstance(value, float) else str(value)
        return f"<{tag}{' class=n' if number else ''}>{escape(text)}</{tag}>"

    top = "".join(cell("th", name) for name in head)
    body = "".join(f"<tr>{''.join(cell('td', value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _results(job: Job, summary: Summary) -> str:
    found = summary.metrics
    if "trained" not in found:
        return ""
    trained = found["trained"]
    parts = [
        f"<p><span class=big>{trained['accuracy']:.2%}</span> of {trained['images']:,} test images "
        f"right, from <span class=from>{escape(str(found.get('origin', 'unknown')))}</span></p>"
    ]
    rows = [
        (word, found[name]["accuracy"] * 100, *_means(found[name]))
        for name, word in run_summary.RESULTS.items()
        if name in found
    ]
    head = ("network", "accuracy %", "precision", "recall", "F1", "ROC AUC")
    parts.append(_table(head, rows))
    parts.append(
        "<p class=aside>Precision, recall, F1 and area under the ROC curve are means over classes. "
        "The curve is of one class against the rest, by its score less the mean of the image's "
        f"scores; score: {escape(str(found.get('score', 'none')))}.</p>"
    )
    columns = ("precision", "recall", "f1", "support")
    names = trained.get("names", trained["classes"])
    per_class = zip(names, *(trained[name] for name in columns), strict=True)
    parts.append(_table(("class", "precision", "recall", "F1", "images"), per_class))
    if summary.spikes:
        parts.append(_table(("layer", "spikes an image"), summary.spikes))
    for verdict in found.get("verdicts", ()):
        parts.append(f"<p class=warn>{escape(verdict)}</p>")
    if job.run.has(METRICS_TEXT):
        text = escape(job.run.load_text(METRICS_TEXT))
        parts.append(f"<details><summary>as text</summary><pre>{text}</pre></details>")
    return "\n".join(parts)


def _means(found: dict[str, Any]) -> Iterator[Any]:
    means = found.get("macro", {})
    for name in ("precision", "recall", "f1", "roc_auc"):
        yield means.get(name, "")


def _figures(job: Job) -> Iterator[str]:
    """Give a section for every group of figures that there are."""
    left: dict[str, Path] = {}
    for path in sorted(job.run.file(FIGURES).glob("*")):
        # Of several formats of one figure, the one listed first in _KINDS.
        if path.suffix in _KINDS:
            left.setdefault(path.stem, path)
    for title, prefixes in _GROUPS:
        chosen = [stem for stem in left if stem.startswith(prefixes)]
        ordered = sorted(chosen, key=lambda stem: (_first(stem, prefixes), stem))
        yield _section(title, "\n".join(_figure(left.pop(stem)) for stem in ordered))
    yield _section("Other figures", "\n".join(map(_figure, left.values())))


def _first(stem: str, prefixes: Sequence[str]) -> int:
    return next(place for place, prefix in enumerate(prefixes) if stem.startswith(prefix))


def _figure(path: Path) -> str:
    name = escape(path.stem.replace("_", " "))
    if path.stat().st_size > MOST_BYTES:
        return f"<p class=aside>{escape(path.name)}: too large to embed</p>"
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img alt="{name}" src="data:{_KINDS[path.suffix]};base64,{data}">'
        f"<figcaption>{name}</figcaption></figure>"
    )


def _timing(summary: Summary) -> str:
    if not summary.programs:
        return ""
    verdicts = list(report.timing_verdicts(summary.programs))
    if not verdicts:
        verdicts = [
            f"real time: none of {len(summary.programs)} programs had more instructions than "
            "cycles in a tick"
        ]
    parts = "".join(f"<p>{escape(verdict)}</p>" for verdict in verdicts)
    busiest = sorted(summary.programs, key=lambda one: -one["most_instructions"])[:10]
    rows = [
        (
            str(one["program"]),
            f"{one['x']},{one['y']},{one['core']}",
            int(one["most_instructions"]),
            int(one["period_cycles"]),
            int(one["overruns"]),
        )
        for one in busiest
    ]
    head = ("program", "core", "most instructions in a tick", "cycles of a tick", "overruns")
    return parts + _table(head, rows)


def _commands(summary: Summary) -> str:
    if not summary.commands:
        return ""
    lines = [f"main.py {shlex.join(one['words'])}" for one in summary.commands]
    times = [
        (" ".join(run_summary.step_of(one["words"])), str(one["ended"]), float(one["seconds"]))
        for one in summary.commands
    ]
    return f"<pre>{escape(chr(10).join(lines))}</pre>" + _table(("step", "ended", "seconds"), times)


def _settings(job: Job) -> str:
    if not job.run.has(PARAMETERS):
        return ""
    text = escape(job.run.load_text(PARAMETERS))
    return f"<details><summary>parameters.py as it was</summary><pre>{text}</pre></details>"
