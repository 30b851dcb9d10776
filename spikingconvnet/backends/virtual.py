"""The virtual machine: the toolchain maps the network on to a board that does not exist."""

from contextlib import ExitStack

from spikingconvnet.backends.base import Backend


class VirtualBackend(Backend):
    """Map networks and say what they would need; give no spikes, voltages or learnt weights."""

    has_data = False
    one_board = False

    @property
    def origin(self) -> str:
        """Say that nothing was simulated."""
        return "virtual machine (no data)"

    def start(self, stack: ExitStack) -> dict[str, str]:
        """Ask the toolchain for a machine of its own making."""
        return {"version": str(self.version), "virtual_board": "True"}
