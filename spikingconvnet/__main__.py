"""Run the command line as `python -m spikingconvnet`."""

import sys

from spikingconvnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
