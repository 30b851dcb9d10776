"""A spalloc server on this computer, which lends software boards as a lab's server lends real ones.

It speaks the older of the two protocols, lines of JSON over TCP, which sPyNNaker uses where
`[Machine] spalloc_server` is a host name rather than a web address. PyPI's spalloc-server cannot do
this: it lends boards that exist, at fixed addresses, and switches them through their
board-management processors, of which software boards have none.

Run as `python -m spikingconvnet.hardware.spalloc --boards 12`. It prints the lines for
`spynnaker.cfg` and serves until SIGTERM or Ctrl-C; the boards of all jobs end with it.
"""

from .server import SpallocServer

__all__ = ["SpallocServer"]
