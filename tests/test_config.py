import dataclasses
import os

import pytest

from spikingconvnet import config
from spikingconvnet.classes.encoders import DifferenceOfGaussians, LatencyEncoder, RateEncoder
from spikingconvnet.classes.layers import ConvLayer, PoolLayer
from spikingconvnet.errors import ConfigError


def read(tmp_path, text):
    path = tmp_path / "parameters.py"
    path.write_text(text, encoding="utf-8")
    return config.read(path)


def complaint(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path / 'parameters.py'}, ")


def test_an_empty_file_gives_every_default(tmp_path):
    settings = read(tmp_path, "")
    assert settings.data == config.Data()
    assert settings.encoder == LatencyEncoder()
    assert settings.board == config.Board("software", 5)
    assert settings.model((28, 28)).tensors[-1] == (9, 9, 4)


def test_the_shipped_file_reads_and_fits_mnist(request):
    settings = config.read(request.config.rootpath / "parameters.py")
    assert settings.data.name == "mnist"
    assert settings.model((28, 28)).features > 0


def test_values_arrive_in_their_records(tmp_path):
    settings = read(
        tmp_path,
        '''"""A docstring."""
DATA = {"name": "digits", "classes": [3, 5], "train_per_class": None}
ENCODER = {"code": "rate", "interval_ms": 80, "factor": 4}
FILTER = {"polarity": "both"}
LAYERS = [
    {"layer": "conv", "kernels": 2, "shape": (3, 2), "stride": 1, "rule": {"A_plus": 0.5}},
    {"layer": "pool", "shape": 2},
]
SEED = 7
RUN_DIR = "somewhere"
BACKUP = False
''',
    )
    assert settings.data.classes == (3, 5) and settings.data.train_per_class is None
    assert isinstance(settings.encoder, RateEncoder) and settings.encoder.factor == 4.0
    assert settings.filter == DifferenceOfGaussians(polarity="both")
    conv, pool = settings.layers
    assert isinstance(conv, ConvLayer) and conv.shape == (3, 2) and conv.rule.A_plus == 0.5
    assert isinstance(pool, PoolLayer)
    assert settings.seed == 7 and not settings.backup
    assert settings.model((8, 8)).tensors == [(8, 8, 2), (6, 7, 2), (3, 3, 2)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SEEDS = 1", "line 1: SEEDS (must be one of DATA, "),
        ("SEED = 1\nSEED = 2", "line 2: SEED is given twice"),
        ("SEED = -1", "line 1: SEED: -1 (must be at least 0)"),
        ("SEED = 1.5", "line 1: SEED: 1.5 (must be a whole number)"),
        ("SEED = True", "line 1: SEED: True (must be a whole number)"),
        ("SEED = 1 +", "line 1: not valid Python"),
        ("SEED = \0", "line 1: not valid Python"),
        ("import os", "line 1: import os (only NAME = value is valid here"),
        ("SEED = 1\nprint('x')", "line 2: print('x') (only NAME = value"),
        ("A = B = 1", "line 1: A = B = 1 (only NAME = value"),
        ("SEED = open('x')", "line 1: open('x') (must be a number, text, list or dict)"),
        ("DATA = {'name': f()}", "line 1: f() (must be a number"),
        ("DATA = {1: 2}", "line 1: 1 (a name here must be text in quotes)"),
        ("DATA = {**{}}", "line 1: ** (a name here must be text in quotes)"),
        ("DATA = {'name': 'mnist',\n 'name': 'digits'}", "line 2: 'name' is given twice"),
        ("DATA = 5", "line 1: 5 (must be a dict of settings)"),
        ("DATA = {\n 'nmae': 'mnist'}", "line 2: 'nmae' is not a setting of Data (valid: name, "),
        ("DATA = {'name': 'cifar'}", "line 1: Data.name: 'cifar' (must be one of mnist, "),
        ("DATA = {'classes': [1]}", "line 1: Data.classes: (1,) (must be two or more"),
        ("DATA = {'classes': [1, 1]}", "line 1: Data.classes: (1, 1) (must be two or more"),
        ("DATA = {'classes': ['a', 'b']}", "line 1: Data.classes: ('a', 'b') (must be a list of"),
        ("DATA = {\n\n'test_per_class': 0}", "line 3: Data.test_per_class: 0 (must be at least 1"),
        ("ENCODER = {}", "line 1: 'code' is missing (must be one of 'latency', 'rate'"),
        ("ENCODER = {'code': 'morse'}", "line 1: code: 'morse' (must be one of 'latency'"),
        ("ENCODER = {'code': 'rate',\n'on_ms': 0}", "line 2: RateEncoder.on_ms: 0 (must be"),
        ("ENCODER = {'code': 'rate', 'on_ms': 'x'}", "line 1: RateEncoder.on_ms: 'x' (must be a"),
        ("FILTER = {'polarity': 'up'}", "line 1: DifferenceOfGaussians.polarity: 'up' (must be"),
        ("LAYERS = 3", "line 1: LAYERS: 3 (must be a list of dicts)"),
        ("LAYERS = []", "line 1: LAYERS: no convolution"),
        ("LAYERS = [{'layer': 'pool', 'shape': 2}]", "line 1: LAYERS: no convolution"),
        ("LAYERS = [{'layer': 'dense'}]", "line 1: layer: 'dense' (must be one of 'conv', 'pool')"),
        ("LAYERS = [{'layer': 'conv'}]", "line 1: ConvLayer: "),
        (
            "LAYERS = [{'layer': 'conv', 'kernels': 0, 'shape': 3}]",
            "line 1: ConvLayer.kernels: 0 (must be at least 1)",
        ),
        (
            "LAYERS = [{'layer': 'conv', 'kernels': 1, 'shape': 3,\n'rule': {'tau_plus': -1}}]",
            "line 2: PairSTDP.tau_plus: -1.0 (must be above 0)",
        ),
        (
            "LAYERS = [{'layer': 'conv', 'kernels': 1, 'shape': 3, 'rule': {'tau': 1}}]",
            "line 1: 'tau' is not a setting of PairSTDP",
        ),
        ("TRAINING = {'copies': 0}", "line 1: Training.copies: 0 (must be at least 1)"),
        ("INFERENCE = {'images_per_run': 0}", "line 1: Inference.images_per_run: 0 (must be"),
        ("FIGURES = {'formats': ['gif']}", "line 1: Figures.formats: ('gif',) (must be some of"),
        ("BOARD = {'version': 4}", "line 1: Board.version: 4 (must be 3 or 5)"),
        ("BOARD = {'name': ' '}", "line 1: Board.name: ' ' (must name a board)"),
        ("RUN_DIR = ''", "line 1: RUN_DIR: '' (must name a folder)"),
        ("BACKUP = 1", "line 1: BACKUP: 1 (must be True or False)"),
    ],
)
def test_every_mistake_names_its_line_and_what_is_valid(tmp_path, text, expected):
    assert complaint(tmp_path, text).startswith(expected)


def test_nothing_in_the_file_is_executed(tmp_path):
    trap = tmp_path / "trap"
    complaint(tmp_path, f"SEED = __import__('pathlib').Path({str(trap)!r}).touch()")
    assert not trap.exists()


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(ConfigError, match=r"no such parameter file \(give one with --parameters\)"):
        config.read(tmp_path / "absent.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        config.read(tmp_path / "bytes.py")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        config.read(tmp_path)


@pytest.mark.parametrize("cut", range(0, 400, 23))
def test_a_truncated_file_is_a_config_error_or_still_valid(tmp_path, request, cut):
    text = (request.config.rootpath / "parameters.py").read_text(encoding="utf-8")
    start = text.index("LAYERS")
    piece = text[: start + cut * (len(text) - start) // 400]
    try:
        settings = read(tmp_path, piece)
    except ConfigError as error:
        assert f"{tmp_path}{os.sep}parameters.py, line " in str(error)
    else:
        assert settings.text == piece
