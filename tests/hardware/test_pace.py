"""The clock that a simulation keeps pace with."""

import pytest
from spikingconvnet.hardware.constants import CYCLES_PER_MS
from spikingconvnet.hardware.pace import MOST_BEHIND_MS, Pace


class Clock:
    """Stand still until told to go on."""

    now = 1000.0

    def __call__(self):
        return self.now

    def wait_ms(self, ms):
        self.now += ms / 1000


def ms(cycle):
    return cycle / CYCLES_PER_MS


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    """A simulation begins at 5 ms of virtual time."""
    pace = Pace(clock)
    pace.start(5 * CYCLES_PER_MS)
    return pace


def test_virtual_time_begins_with_the_simulation(pace):
    assert ms(pace.cycle()) == pytest.approx(5.0, abs=1e-3)


def test_virtual_time_goes_as_the_clock_goes(pace, clock):
    clock.wait_ms(7.5)
    before = clock()
    clock.wait_ms(10.0)
    assert ms(pace.cycle()) == pytest.approx(22.5, abs=1e-3)
    assert ms(pace.cycle(before)) == pytest.approx(12.5, abs=1e-3)


def test_a_board_that_keeps_up_loses_nothing(pace, clock):
    here = 5 * CYCLES_PER_MS
    for _ in range(100):
        clock.wait_ms(1.0)
        here = pace.follow(here)
    assert ms(here) == pytest.approx(105.0, abs=1e-3)
    assert pace.lost_ms == 0
    assert pace.most_behind_ms == pytest.approx(1.0, abs=1e-3)


def test_a_pause_is_made_up_for(pace, clock):
    clock.wait_ms(MOST_BEHIND_MS - 1)
    assert ms(pace.follow(5 * CYCLES_PER_MS)) == pytest.approx(4 + MOST_BEHIND_MS, abs=1e-3)
    assert pace.lost_ms == 0
    assert pace.most_behind_ms == pytest.approx(MOST_BEHIND_MS - 1, abs=1e-3)


def test_what_goes_beyond_is_lost(pace, clock):
    """A board at half the speed of the clock: it is late by the most, and by no more."""
    here, arrived = 5 * CYCLES_PER_MS, None
    for _ in range(1000):
        clock.wait_ms(1.0)
        arrived = clock()
        target = pace.follow(here)
        here += CYCLES_PER_MS // 2
    assert ms(target - here) == pytest.approx(MOST_BEHIND_MS - 0.5, abs=1e-3)
    assert pace.cycle(arrived) == target
    assert pace.lost_ms == pytest.approx(1000 - 499.5 - MOST_BEHIND_MS, abs=1e-3)
    assert pace.most_behind_ms == pytest.approx(MOST_BEHIND_MS, abs=1e-3)
