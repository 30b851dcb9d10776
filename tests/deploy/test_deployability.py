"""Which networks of the zoo deploy, and what the documentation says of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import zoo
from spikingconvnet.backends import preflight
from spikingconvnet.classes import deployability
from spikingconvnet.classes.deployed import Answers, deployment
from spikingconvnet.classes.host_model import HostModel
from spikingconvnet.classes.latency import TimeToFirstSpike
from spikingconvnet.classes.single_spike import DenseDecision, SpikingConv

TABLE = Path(__file__).parents[2] / "docs" / "deployment.md"
SHAPE = (28, 28)


def rows():
    """Return the cells of the documented networks by name."""
    text = TABLE.read_text(encoding="utf-8").partition("## Which networks deploy")[2]
    lines = re.findall(r"^\| (`[a-z0-9_]+`.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    cells = [line.split(" | ") for line in lines]
    return {cell[0].strip("`"): cell[1:] for cell in cells}


def test_every_network_of_the_zoo_is_listed_once():
    assert set(rows()) == set(zoo.names())


@pytest.mark.parametrize("name", zoo.names())
def test_the_documentation_says_what_keeps_a_network_from_a_board(name):
    model, cells = zoo.load(name), rows()[name]
    why = deployability.reasons(model)
    assert cells[-1] == (why or "-")
    if why:
        assert cells[:-1] == ["-"] * 4
    else:
        assert all(cell != "-" for cell in cells[:-1])


DEPLOY = [name for name in zoo.names() if not deployability.reasons(zoo.load(name))]


@pytest.mark.parametrize("name", DEPLOY)
def test_the_documentation_says_what_a_network_needs(name):
    model, rng = zoo.load(name), np.random.default_rng(1)
    shapes = model.tensors(SHAPE)
    weights = [
        (rng.random(layer.weight_shape(shape)) < 0.3).astype(float)
        for layer, shape in zip(model.layers, shapes, strict=False)
    ]
    whole = rng.integers(0, 9, (10, int(np.prod(shapes[-1]))))
    plan = deployment(model, SHAPE, weights, Answers(whole, np.zeros(10, int), np.arange(10)))
    needs = {version: preflight.bill(plan, 1000, version) for version in (3, 5)}
    version = 3 if needs[3].cores <= preflight.room(3).cores else 5
    told = [f"{plan.neurons:,}", f"{needs[5].cores:,}", f"SpiNN-{version}"]
    assert rows()[name][:3] == told
    preflight.refuse(plan, needs[version], version)


def test_obstacles_name_the_part_and_the_setting():
    layer = SpikingConv(2, 3, 1.0, levels=1)
    model = HostModel("odd", "", TimeToFirstSpike(5, repeat=True), (layer,), DenseDecision())
    found = deployability.obstacles(model)
    assert [each.mechanism for each in found] == ["repeat", "weights"]
    assert "DenseDecision.levels: None" in found[1].text
    assert deployability.verdict(model).startswith("does not deploy: inputs fire more than once; ")
    assert deployability.verdict(zoo.load("deployed16")) == "deploys (--mode deploy)"
