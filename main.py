"""Run the toolkit from a checkout, with the parameters.py that lies beside this file."""

import sys
from pathlib import Path

from spikingconvnet.cli import main

if __name__ == "__main__":
    sys.exit(main(default_parameters=Path(__file__).with_name("parameters.py")))
