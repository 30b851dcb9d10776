"""What a mapped network takes of a machine: cores, chips and memory."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Needs:
    """Hold what a network would take of a machine beside the toolchain's own monitors.

    sdram_bytes over all chips, for one run; run_ms of simulated time.
    """

    chips: int
    cores: int
    chips_of_machine: int
    cores_of_machine: int
    sdram_bytes: int
    neurons: int
    synapses: int
    run_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers under their names."""
        return asdict(self)

    def as_text(self) -> str:
        """Return one line per need."""
        return "\n".join(
            (
                f"  neurons   {self.neurons:>12,}",
                f"  synapses  {self.synapses:>12,}",
                f"  cores     {self.cores:>12,} of {self.cores_of_machine:,}",
                f"  chips     {self.chips:>12,} of {self.chips_of_machine:,}",
                f"  SDRAM     {self.sdram_bytes / 2**20:>12,.1f} MiB",
                f"  run time  {self.run_ms / 1000:>12,.1f} s in real time on a board",
            )
        )


def measure(neurons: int, synapses: int, run_ms: float) -> Needs:
    """Return what the network that was mapped last takes; the counts are the builder's."""
    from spynnaker.pyNN.data import SpynnakerDataView as View

    every = list(View.iterate_placemements())
    places = [place for place in every if place.vertex.app_vertex is not None]
    machine = View.get_machine()
    steps = int(run_ms)
    used = sum(place.vertex.sdram_required.get_total_sdram(steps) for place in places)
    return Needs(
        chips=len({(place.x, place.y) for place in places}),
        cores=len(places),
        chips_of_machine=machine.n_chips,
        cores_of_machine=machine.total_available_user_cores,
        sdram_bytes=int(used),
        neurons=neurons,
        synapses=synapses,
        run_ms=run_ms,
    )
