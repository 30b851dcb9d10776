"""What the cores and routers of a run have to say of themselves: lost, late and saturated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikingconvnet.errors import BoardError

READ = {
    name: "True"
    for name in (
        "read_router_provenance_data", "read_placements_provenance_data", "write_provenance"
    )
}  # fmt: skip
"""Lines of the section [Reports] that let the toolchain read provenance after every run."""
COUNTS = {
    "late": ("Late spikes", "Number_of_late_spikes"),
    "dropped": ("RunDropped_Multicast_Packets",),
    "overruns": ("Times_the_timer_tic_over_ran", "Timer tick overruns"),
    "saturated": ("Times_synaptic_weights_have_saturated",),
    "lost": ("Times_the_input_buffer_lost_packets",),
}
"""What is summed over all cores or routers, by the descriptions of sPyNNaker 7.4.1."""
MOST_STEPS = 2**16 - 1
"""Of a weight (sPyNNaker's synapse_row.h)."""
NEGLIGIBLE = 0.01
"""Share of the largest weight of a projection below which a weight of 0 is as good."""


@dataclass
class Faults:
    """Sum what was wrong in the runs of a step, by the names of `report.ADVICE`."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def add(self, network: Any) -> None:
        """Take note of a network that was built, with its `weights`, and run."""
        for what, count in found().items():
            self.counts[what] += count
        for what, count in quantised(network.weights).items():
            self.counts[what] = max(self.counts.get(what, 0), count)


def quantised(weights: Iterable[tuple[Any, str, Any]]) -> dict[str, int]:
    """Count weights that become 0 in the board's 16 bits, or are larger than these hold.

    Weights that do next to nothing anyway are not counted. `weights`: of each projection the target
    population, its receptor, and the weights, nA.
    """
    zeroed = clipped = 0
    for population, receptor, given in weights:
        vertex = population._vertex
        scales = vertex.get_weight_scales(vertex.get_ring_buffer_shifts())
        size = np.abs(given) * scales[int(receptor == "inhibitory")]
        least = NEGLIGIBLE * size.max(initial=0)
        zeroed += int(np.sum((size > least) & (size < 0.5)))
        clipped += int(np.sum(np.rint(size) > MOST_STEPS))
    return {"zeroed": zeroed, "clipped": clipped}


def found() -> Mapping[str, int]:
    """Return the sums of `COUNTS` since set-up. BoardError when there is nothing to read.

    Cores go on counting from run to run, routers are set back.
    """
    from spinn_front_end_common.interface.provenance import ProvenanceReader

    try:
        with ProvenanceReader() as reader:
            rows = reader.run_query(
                "SELECT description, SUM(most) FROM (SELECT description, MAX(the_value) AS most "
                "FROM core_provenance GROUP BY core_id, description) GROUP BY description "
                "UNION ALL SELECT description, SUM(the_value) FROM router_provenance "
                "GROUP BY description"
            )
    except Exception as error:
        raise BoardError(f"provenance: cannot be read ({error})") from error
    sums = {str(name): int(value or 0) for name, value in rows}
    return {what: sum(sums.get(name, 0) for name in names) for what, names in COUNTS.items()}


def running_s() -> float:
    """Return the seconds that the runs since set-up took, without mapping, loading and reading."""
    from spinn_front_end_common.interface.provenance import GlobalProvenance

    with GlobalProvenance() as record:
        rows = record.run_query(
            "SELECT SUM(time_taken) FROM timer_provenance WHERE algorithm = 'Application runner'"
        )
    return float(rows[0][0] or 0.0) / 1000
