"""Hold the import rules: arrows go one way, and importing the package is light."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "spikingconvnet"
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {
        "console",
        "options",
        "workflow",
        "host_workflow",
        "fully_connected_workflow",
        "classes",
        "utilities",
        "board_prediction",
        "board_training",
        "html_report",
        "tensorboard_logs",
        "deploy",
    },
    "options": {"config", "console", "job", "overrides", "settings", "utilities", "zoo"},
    "console": {"backends", "report", "utilities"},
    "pytest_plugin": {"backends", "hardware"},
    "config": {"classes", "settings"},  # it builds the records that the file describes
    "settings": {"classes"},
    "job": {"classes", "report", "settings", "utilities"},
    "board_steps": {"backends", "classes", "job", "report", "utilities"},
    "board_prediction": {
        "board_steps",
        "classes",
        "job",
        "prediction",
        "report",
        "utilities",
        "workflow",
    },
    "board_training": {
        "algorithms",
        "backends",
        "board_steps",
        "checkpoints",
        "classes",
        "job",
        "report",
        "utilities",
    },
    "checkpoints": {"job"},
    "prediction": {"job", "utilities"},
    "host_lesson": {"classes", "job", "utilities"},
    "host_readouts": {
        "algorithms",
        "checkpoints",
        "classes",
        "engine",
        "host_lesson",
        "job",
        "utilities",
    },
    "host_figures": {
        "algorithms",
        "classes",
        "host_lesson",
        "host_readouts",
        "report",
        "utilities",
    },
    "host_show": {
        "algorithms",
        "classes",
        "engine",
        "host_lesson",
        "host_readouts",
        "prediction",
        "report",
        "utilities",
    },
    "host_workflow": {
        "checkpoints",
        "classes",
        "engine",
        "host_figures",
        "host_lesson",
        "host_readouts",
        "host_show",
        "job",
        "prediction",
        "utilities",
    },
    "fully_connected_figures": {"algorithms", "prediction", "report", "utilities"},
    "fully_connected_workflow": {
        "algorithms",
        "checkpoints",
        "classes",
        "engine",
        "fully_connected_figures",
        "host_figures",
        "host_lesson",
        "job",
        "prediction",
        "utilities",
    },
    "deploy": {
        "algorithms",
        "backends",
        "board_steps",
        "checkpoints",
        "classes",
        "deploy_batches",
        "deploy_report",
        "engine",
        "host_lesson",
        "host_readouts",
        "job",
    },
    "deploy_batches": {"algorithms", "checkpoints", "classes", "job"},
    "deploy_report": {"algorithms", "classes", "report", "utilities"},
    "run_summary": {"classes", "job", "utilities"},
    "html_report": {"job", "report", "run_summary"},
    "tensorboard_logs": {"job"},
    "overrides": set(),
    "workflow": {"board_steps", "classes", "job", "report", "utilities"},
    "report": {"classes", "algorithms", "utilities"},  # the workflow's figures and verdicts
    "backends": {"classes", "algorithms", "hardware"},
    "zoo": {"classes"},
    "engine": {"classes", "algorithms"},
    "classes": {"algorithms"},
    "algorithms": set(),
    "utilities": set(),
    "errors": set(),
}
HEAVY = ["pyNN", "spynnaker", "matplotlib", "sklearn", "numba", "scipy", "mnist"]


def python_files(folder):
    return sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)


def imported(path, name):
    """List the absolute dotted names that a module imports, `from x import y` as x.y."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, package) if node.level else base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_name(path, folder, prefix):
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join([prefix, *(part for part in parts if part != "__init__")])


def area(dotted):
    """Return the part of the package that a dotted name lies in, or None outside of it."""
    parts = dotted.split(".")
    if parts[0] != PACKAGE:
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def wrong_arrows(path, folder):
    name = module_name(path, folder, PACKAGE)
    source = area(name)
    for target in map(area, imported(path, name)):
        if target not in {None, source, "errors"} | ALLOWED.get(source, set()):
            yield f"{name} imports {target}"


def test_imports_follow_the_arrows_of_the_design():
    folder = ROOT / PACKAGE
    files = python_files(folder)
    assert len(files) > 15
    assert [wrong for path in files for wrong in wrong_arrows(path, folder)] == []


def test_every_part_of_the_package_has_its_arrows_written_down():
    parts = {path.stem for path in (ROOT / PACKAGE).glob("*.py")}
    parts |= {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert parts - {"hardware"} <= set(ALLOWED)


def test_a_wrong_arrow_would_be_found(tmp_path):
    path = tmp_path / "algorithms" / "bad.py"
    path.parent.mkdir()
    path.write_text(
        "from ..classes.layers import Input\nfrom spikingconvnet import cli\nimport numpy\n"
        "from ..errors import ModelError\ndef f():\n    import spikingconvnet.hardware.client\n"
    )
    assert list(wrong_arrows(path, tmp_path)) == [
        "spikingconvnet.algorithms.bad imports classes",
        "spikingconvnet.algorithms.bad imports cli",
        "spikingconvnet.algorithms.bad imports hardware",
    ]


def test_hardware_imports_nothing_of_ours_and_itself_only_relatively():
    folder, prefix = ROOT / "hardware", f"{PACKAGE}.hardware"
    wrong = []
    for path in python_files(folder):
        absolute = [
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
            for alias in node.names
        ]
        wrong += [(path, n) for n in absolute if n.split(".")[0] in (PACKAGE, "hardware")]
        for name in imported(path, module_name(path, folder, prefix)):
            if name.startswith(PACKAGE) and not f"{name}.".startswith(f"{prefix}."):
                wrong.append((path, name))
    assert wrong == []


def test_nobody_imports_hardware_by_its_bare_name():
    files = [
        path for part in (PACKAGE, "tests", "benchmarks") for path in python_files(ROOT / part)
    ]
    names = {(path, name) for path in files for name in imported(path, "x.y")}
    assert [path for path, name in names if name.split(".")[0] == "hardware"] == []


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "module", ["", ".algorithms.windows", ".algorithms.lif", ".classes.encoders", ".classes.model"]
)
def test_importing_is_light(module):
    code = f"import sys, {PACKAGE}{module}; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in run(code, ROOT)}
    assert PACKAGE in loaded
    assert loaded.isdisjoint(HEAVY)


def test_public_names_are_loaded_when_used():
    code = f"""
import sys, {PACKAGE} as package
assert "{PACKAGE}.classes.model" not in sys.modules
assert set(package.__all__) <= set(dir(package))
for name in package.__all__:
    assert getattr(package, name) is getattr(package, name)
assert package.SpikingConvNet.__module__ == "{PACKAGE}.classes.model"
try:
    package.Nothing
except AttributeError as error:
    print(error)
"""
    assert run(code, ROOT)[-2:] == ["attribute", "'Nothing'"]


@pytest.fixture
def bare_package(tmp_path):
    """Copy the package's __init__.py alone into an empty folder, beside a `hardware` package."""
    source = ROOT / PACKAGE / "__init__.py"
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text(source.read_text(encoding="utf-8"))
    (tmp_path / "hardware").mkdir()
    (tmp_path / "hardware" / "__init__.py").write_text("origin = 'beside'\n")
    return tmp_path


WHERE = f"from {PACKAGE}.hardware import origin; print(origin)"


def test_hardware_resolves_in_a_checkout(bare_package):
    assert run(WHERE, bare_package) == ["beside"]


def test_an_installed_package_keeps_its_own_hardware(bare_package):
    """In site-packages a foreign package called hardware may lie beside ours."""
    inner = bare_package / PACKAGE / "hardware"
    inner.mkdir()
    (inner / "__init__.py").write_text("origin = 'inside'\n")
    assert run(WHERE, bare_package) == ["inside"]
    assert run(f"import {PACKAGE}; print(len({PACKAGE}.__path__))", bare_package) == ["1"]
