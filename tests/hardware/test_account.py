"""What the board counts of each core's ticks, and what is made of it."""

from spikingconvnet import backends, report
from spikingconvnet.utilities import logs


def run(folder, neurons, **setup):
    """Drive some neurons for 50 steps; return the accounts of all cores."""
    backend = backends.load("software", version=3, folder=folder)
    with logs.capture(folder / "toolchain.log"), backend:
        sim = backend.sim
        sim.setup(**setup)
        source = sim.Population(1, sim.SpikeSourceArray([[5.0]]))
        target = sim.Population(neurons, sim.IF_curr_exp())
        sim.Projection(source, target, sim.AllToAllConnector(), sim.StaticSynapse(weight=1.0))
        sim.run(50 * setup["timestep"])
    return {account["program"]: account for account in backend.accounts}


def test_a_core_with_time_to_spare(tmp_path):
    accounts = run(tmp_path, 20, timestep=1.0)
    busy = accounts["IF_curr_exp"]
    assert busy["ticks"] >= 50 and busy["overruns"] == 0
    assert busy["period_cycles"] == 200_000
    # One packet in one tick brings one row of twenty synapses.
    assert busy["most_packets"] == 1 and busy["most_dma_bytes"] > 20 * 4
    assert 500 < busy["mean_instructions"] < busy["most_instructions"] < 20_000
    assert list(report.timing_verdicts(list(accounts.values()))) == []


def test_a_core_that_a_real_board_could_not_keep_up_with(tmp_path):
    """250 neurons take some 30,000 instructions a step; 0.1 ms holds 20,000 cycles.

    The toolchain splits neurons and synapses for steps below 1 ms, and names end at 15 letters.
    """
    accounts = run(tmp_path, 250, timestep=0.1, time_scale_factor=1)
    assert {account["period_cycles"] for account in accounts.values()} == {20_000}
    assert accounts["synapses"]["overruns"] == 0
    busy = accounts["IF_curr_exp_neu"]
    assert busy["overruns"] >= 45 and busy["most_instructions"] > 20_000
    (verdict,) = report.timing_verdicts(list(accounts.values()))
    assert "IF_curr_exp_neu" in verdict and "a real board would overrun" in verdict
