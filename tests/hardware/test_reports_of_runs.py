"""What sPyNNaker tells of a run: provenance, IOBUF, energy and its other reports.

One small run with everything turned on, whose counts are known beforehand.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROWS = [(0, j) for j in range(5)] + [(1, j) for j in range(2)]
"""Connections: of the three sources, one has five targets, one two, and one none."""
TIMES = [[3.0, 21.0, 40.0], [7.0, 35.0], [9.0]]
SAMPLE_J = 0.034e-5
"""What a core awake at one sample of 10 microseconds counts for: 0.034 W (SpiNNMachine)."""
PACKET_J, BOARD_W = 1e-9, 3.56
"""A packet without payload; an idle board of four chips (SpiNNMachine, `version_3.py`)."""
REPORTS = (
    *("board_chip_report.txt", "bit_field_compressed_summary.rpt", "chip_sdram_usage_by_core.rpt"),
    *("comparison_of_compressed_uncompressed_routing_tables.rpt", "compressed_routing_summary.rpt"),
    *("edge_routing_info.rpt", "fixed_route_routers", "network_specification.rpt", "tags.rpt"),
    *("memory_map_from_processor_to_address_space", "partitioned_by_vertex.rpt"),
    *("placement_by_core_using_graph.rpt", "placement_by_vertex_using_graph.rpt"),
    *("redundant_packet_count.rpt", "routers_used_in_speed_up_process.rpt", "routing_summary.rpt"),
    *("routing_compression_checker_report.rpt", "tags_on_machine.txt", "data.sqlite3"),
    *("virtual_key_space_information_report.rpt", "input_output_database.sqlite3", "ds.sqlite3"),
    *("json_files/machine.json", "json_files/placements.json", "json_files/routing_tables.json"),
    *("routing_tables_generated/routing_table_0_0.rpt", "../algorithm_timings.rpt"),
    "compressed_routing_tables_generated/routing_table_0_0.rpt",
    "provenance_data/system_provenance_data/neuron_expander_on_0_0_5.txt",
)
"""What sPyNNaker 7.4.1 can write of a small run, besides what the test looks into."""


@dataclass
class Told:
    """What a run of 30 + 20 ms with everything turned on has left."""

    folder: Path
    placements: dict[str, Any]
    placed: int
    profiled: list[str]

    def rows(self, source: str, columns: str, *values: Any) -> list[tuple]:
        """Ask the data base that was kept."""
        with sqlite3.connect(self.folder / "data.sqlite3") as kept:
            return kept.execute(f"SELECT {columns} FROM {source}", values).fetchall()

    def of_core(self, name: str, description: str) -> list[float]:
        """Give a core's provenance item after each run and at the end."""
        place = self.placements[name]
        where = "core_provenance_view WHERE x = ? AND y = ? AND p = ? AND description = ?"
        key = place.x, place.y, place.p, description
        return [value for (value,) in self.rows(where, "the_value", *key)]

    def iobuf(self, name: str) -> str:
        """Give what a core has written."""
        place = self.placements[name]
        file = f"iobuf_for_chip_{place.x}_{place.y}_processor_id_{place.p}.txt"
        return (self.folder / "provenance_data" / "app_provenance_data" / file).read_text()


@pytest.fixture(scope="module")
def told_once() -> dict[str, Told]:
    """Keep what one run has left for all that look into it."""
    return {}


@pytest.fixture
def told(told_once, board_process, spynnaker_on, tmp_path_factory) -> Told:
    """Give what a run leaves with `mode = Debug`, the energy report and the profiler."""
    if told_once:
        return told_once["run"]
    folder = tmp_path_factory.mktemp("told")
    options = {
        "Mode": {"mode": "Debug"},
        "Reports": {
            "default_report_file_path": folder,
            "write_network_graph": False,  # needs graphviz
            "write_energy_report": True,
            "n_profile_samples": 100,
        },
    }
    with spynnaker_on(board_process, default=True, options=options) as sim:
        from spynnaker.pyNN.data import SpynnakerDataView

        source = sim.Population(3, sim.SpikeSourceArray(TIMES), label="source")
        cells = sim.Population(5, sim.IF_curr_exp(), label="cells")
        rows = [(i, j, 1.0, 1.0) for i, j in ROWS]
        sim.Projection(source, cells, sim.FromListConnector(rows))
        cells.record("v")
        sim.run(30)
        sim.run(20)
        placements = list(SpynnakerDataView.iterate_placemements())
        by_name = {p.vertex.label.split("(")[0]: p for p in placements}
        profile = by_name["cells"].vertex.get_profile_data(by_name["cells"])
    (run,) = (folder / "reports").glob("*/run_1")
    told_once["run"] = Told(run, by_name, len(placements), list(profile.tags))
    return told_once["run"]


def test_every_report_is_written(told):
    missing = [name for name in REPORTS if not (told.folder / name).stat().st_size]
    assert missing == []
    # No clock drifts here. Before and after each of two runs, for the one Ethernet chip:
    drift = (told.folder / "clock_drift.csv").read_text().split()
    assert drift == ['"0', '0",', *['"0.0",'] * 4]
    tags = (told.folder / "tags_on_machine.txt").read_text()
    assert "port=10000" in tags and "strip_sdp=True" in tags
    usage = (told.folder / "chip_sdram_usage_by_core.rpt").read_text()
    assert "123469792 bytes" in usage


def test_provenance_counts_what_happened(told):
    sent = sum(map(len, TIMES))
    early = sum(t < 30 for times in TIMES for t in times)
    events = sum(len(TIMES[i]) for i, _ in ROWS)
    without_targets = len(TIMES[2])
    assert told.of_core("cells", "Last_timer_tic_the_core_ran_to") == [30, 50, 50]
    processed = told.of_core("cells", "How many spikes were processed")
    assert processed == [early - without_targets, *[sent - without_targets] * 2]
    filtered = "How many packets were filtered by the bitfield filterer."
    assert told.of_core("cells", filtered) == [without_targets] * 3
    assert told.of_core("cells", "Total_pre_synaptic_events")[-1] == events
    for trouble in (
        *("Times_the_timer_tic_over_ran", "Times_the_dma_queue_was_overloaded"),
        *("Times_synaptic_weights_have_saturated", "Times_the_input_buffer_lost_packets"),
        *("Number_of_late_spikes", "Skipped synapses"),
    ):
        assert told.of_core("cells", trouble) == [0, 0, 0]
    counts = {}
    for name, value in told.rows("router_provenance", "description, the_value"):
        counts.setdefault(name, []).append(value)
    assert [v for v in counts["RunLocal_Multicast_Packets"] if v] == [early, sent - early]
    assert sum(v for name, vs in counts.items() if "Dropped" in name for v in vs) == 0


def test_the_global_record_holds_every_step(told):
    with sqlite3.connect(told.folder.parent / "global_provenance.sqlite3") as record:
        versions = dict(record.execute("SELECT description, the_value FROM version_provenance"))
        runs = record.execute("SELECT n_run, n_reset FROM run_reset_mapping").fetchall()
        steps = record.execute("SELECT algorithm FROM timer_provenance").fetchall()
    assert versions["sPyNNaker_version"].startswith("1!7.4")
    assert runs == [(1, 0), (2, 0)]
    assert steps.count(("Application runner",)) == 2


def test_cores_write_what_they_do(told):
    lines = told.iobuf("cells").splitlines()
    runs = [line.split("model to ")[1] for line in lines if "Setting the runtime" in line]
    assert runs == ["30 starting at 0", "50 starting at 30"]
    assert "5 neurons" in next(line for line in lines if "Ready to process synapses" in line)
    assert not [line for line in lines if "[ERROR]" in line or "[WARNING]" in line]


def test_the_profiler_is_there_but_the_binaries_take_no_samples(told):
    """sPyNNaker's binaries are built without PROFILER_ENABLED: the region stays empty."""
    text = told.iobuf("cells")
    assert "Initialising profiler with storage for 100 samples" in text
    assert text.count("Profiler wrote 4 bytes") == 2
    assert told.profiled == []


@pytest.mark.parametrize(("run", "seconds"), [(1, 0.03), (2, 0.05)])
def test_energy_counts_chips_cores_seconds_and_packets(told, run, seconds):
    """What is left of it are whole samples, of 10 microseconds each, that saw a core awake.

    sPyNNaker 7.4 counts the time of all runs, but the packets of the last one.
    """
    query = "power_provenance WHERE run = ?", "description, the_value", run
    power = dict(told.rows(*query))
    assert power["N_boards"] == 1 and power["N_chips"] == 4
    assert power["N_cores"] == told.placed and power["Exec time (seconds)"] == seconds
    packets = sum((t < 30) == (run == 1) for times in TIMES for t in times)
    energy = power["Exec energy (Joules)"] - BOARD_W * seconds - packets * PACKET_J
    assert energy >= SAMPLE_J and abs(energy / SAMPLE_J - round(energy / SAMPLE_J)) < 1e-4
    report = (told.folder / f"energy_report_{run}.rpt").read_text()
    assert "1 boards, in 0 frames made up of 4 chips" in report
    assert f"{told.placed} in total, 2 actively on 1 chips" in report
    assert f"Simulation execution time: {seconds} seconds" in report
