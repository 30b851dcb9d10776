"""What the cores and routers of a run have to say of themselves: lost, late and saturated."""

from collections.abc import Mapping

from spikingconvnet.errors import BoardError

_READ = ("read_router_provenance_data", "read_placements_provenance_data", "write_provenance")
COUNTS = {
    "late": ("Late spikes", "Number_of_late_spikes"),
    "dropped": ("RunDropped_Multicast_Packets",),
    "overruns": ("Times_the_timer_tic_over_ran",),
    "saturated": ("Times_synaptic_weights_have_saturated",),
    "lost": ("Times_the_input_buffer_lost_packets",),
}
"""What is summed over all cores or routers, by the descriptions of sPyNNaker 7.4.1."""


def ask() -> None:
    """Let the simulator that is set up read provenance after a run, which it does not by itself."""
    from spinn_utilities.config_holder import set_config

    for name in _READ:
        set_config("Reports", name, "True")


def found() -> Mapping[str, int]:
    """Return the sums of `COUNTS` over the last run. BoardError when there is nothing to read."""
    from spinn_front_end_common.interface.provenance import ProvenanceReader

    try:
        with ProvenanceReader() as reader:
            rows = reader.run_query(
                "SELECT description, SUM(the_value) FROM core_provenance GROUP BY description "
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
