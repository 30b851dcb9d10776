"""Package the toolkit: Python packages, board data files and the execution core written in C."""

import re
from glob import glob
from pathlib import Path

from setuptools import Extension, find_packages, setup

# PyPI has a package called `hardware`, so ours installs as spikingconvnet.hardware.
HARDWARE = {
    "spikingconvnet.hardware": "hardware",
    "spikingconvnet.hardware.boards": "hardware/boards",
    "spikingconvnet.hardware.emulator": "hardware/emulator",
    "spikingconvnet.hardware.emulator.translator": "hardware/emulator/translator",
    "spikingconvnet.hardware.spalloc": "hardware/spalloc",
}
CORE = "hardware/emulator/csrc"

VERSION = re.search(r'__version__ = "(.+)"', Path("spikingconvnet/__init__.py").read_text()).group(
    1
)

REQUIRES = [
    # The board protocol, the ARM binaries and the parts the toolkit reaches into are those of 7.4.
    "sPyNNaker == 1!7.4.*",
    # The modelling language; 0.12.0 is refused by sPyNNaker, 0.13 is the series tried here.
    "PyNN >= 0.12.1, < 0.14",
    # Arrays everywhere; 1.26 is the first for Python 3.12, 2.5 has not been tried with sPyNNaker.
    "numpy >= 1.26, < 2.5",
    # The linear support vector machine of the read-out, and the bundled 8x8 digits.
    "scikit-learn >= 1.4, < 2",
    # Figures; 3.8 is the first for Python 3.12.
    "matplotlib >= 3.8, < 4",
    # Translates ARM code for the software board, which is three times as fast with it; 0.45 is the
    # first without typed pointers, 0.51 has not been tried.
    "llvmlite >= 0.45, < 0.51",
    # Compiles the host engine; 0.62 is the first on that llvmlite.
    "numba >= 0.62, < 0.69",
    # Reads pictures and writes animations; matplotlib needs it too. 10.1 is the first for 3.12.
    "Pillow >= 10.1, < 14",
    # Defines the folder of MNIST files that users have (our reader is held to it by a test); 0.7 is
    # its last release.
    "python-mnist == 0.7",
]
# Writes logs for TensorBoard without needing TensorFlow; 2.6 is the series tried here.
TENSORBOARD = "tensorboardX >= 2.6, < 3"
# The floating-point reference of --mode compare; 3.10 is the series tried here.
NEST = "nest-simulator >= 3.10, < 4"
EXTRAS = {
    "tensorboard": [TENSORBOARD],
    "nest": [NEST],
    "test": [
        TENSORBOARD,
        # Has no wheels for other systems, where the test of that reference sees it told so.
        f"{NEST}; sys_platform == 'linux' and platform_machine == 'x86_64'",
        # Runs the tests; 8 has the importlib import mode used here.
        "pytest >= 8, < 10",
        # Finds odd shapes that break a formula.
        "hypothesis >= 6.100, < 7",
        # Lint and format; a new minor release may bring new complaints.
        "ruff >= 0.12, < 0.18",
        # Checks the types; a new major release may bring new complaints.
        "mypy >= 1.11, < 3",
        # Oracle of the ARM interpreter (GPL: tests only, never imported by the toolkit).
        "unicorn >= 2.1.1, < 2.2",
        # Oracle of the convolutions and filters.
        "scipy >= 1.11, < 2",
    ],
    "bench": [
        # The baseline of benchmarks/engine.py: SpykeTorch's definitions, written in PyTorch.
        "torch >= 2.4, < 3",
    ],
}

setup(
    name="spikingconvnet",
    version=VERSION,
    description="Spiking convolutional networks that learn on SpiNNaker, on a board or without one",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["spikingconvnet", "spikingconvnet.*"]), *HARDWARE],
    package_dir=HARDWARE,
    package_data={
        "spikingconvnet": ["py.typed"],
        "spikingconvnet.hardware.boards": ["*.json"],
    },
    ext_modules=[
        Extension(
            "spikingconvnet.hardware.emulator._core",
            sources=sorted(glob(f"{CORE}/*.c")),
            depends=sorted(glob(f"{CORE}/*.h")),
            include_dirs=[CORE],
            extra_compile_args=["-O3", "-pthread", "-fvisibility=hidden"],
            extra_link_args=["-pthread"],
        )
    ],
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["spikingconvnet = spikingconvnet.cli:main"],
        # Named as the module, so that a conftest.py that asks for it too does not load it twice.
        "pytest11": ["spikingconvnet.pytest_plugin = spikingconvnet.pytest_plugin"],
    },
)
