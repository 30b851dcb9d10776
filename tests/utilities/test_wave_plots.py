"""What the figures of the host engine show, read back from their Axes; and the animation."""

import numpy as np
import pytest
from PIL import Image

from spikingconvnet.utilities import animation, journal, plots, storage, wave_plots

pytestmark = pytest.mark.filterwarnings("error")
RNG = np.random.default_rng(1)


def axes():
    return plots.figure(6.0, 4.0).subplots()


def words(ax):
    ax.figure.draw_without_rendering()
    return [text.get_text() for text in ax.texts]


def test_a_histogram_counts_every_weight():
    ax = wave_plots.weight_histogram(axes(), RNG.random((3, 2, 2, 2)), np.full((3, 2, 2, 2), 0.5))
    for patch in ax.patches:
        values, edges, _ = patch.get_data()
        assert values.sum() == pytest.approx(1) and edges[0] >= 0
    assert ax.get_xlabel() == "weight"


def test_convergence_is_drawn_against_images():
    ax = wave_plots.convergence(axes(), [0.2, 0.1, 0.005], 10, stop=0.01)
    assert ax.lines[0].get_xdata().tolist() == [10, 20, 30]
    assert "stop 0.01" in words(ax)


def test_a_history_has_a_line_for_every_kind_of_answer_there_is():
    shares = {"trained": [[0.5, 0.5, 0], [0.8, 0.2, 0]], "control": [[0.1, 0.8, 0.1]] * 2}
    ax = wave_plots.history(axes(), shares)
    labels = [line.get_label() for line in ax.lines]
    assert labels == [
        "trained: right", "trained: wrong", "control: right", "control: wrong", "control: silent",
    ]  # fmt: skip
    assert ax.lines[0].get_ydata().tolist() == [50, 80]


def test_spikes_per_layer_are_written_beside_their_bars():
    ax = wave_plots.spikes_per_layer(axes(), ["input", "layer 1"], [150.0, 412.5])
    assert words(ax) == ["150", "412.5"] and "562.5 in all" in ax.get_title(loc="left")


def test_wrong_predictions_are_red():
    images = RNG.integers(0, 256, (4, 6, 5))
    ax = wave_plots.predictions(axes(), images, ["a", "b", "a", "b"], ["a", "a", "a", "none"])
    assert words(ax) == ["a", "a, is b", "a", "none, is b"]
    red = [text.get_color() == plots.POST for text in ax.texts]
    assert red == [False, True, False, True] and "2 of 4 right" in ax.get_title(loc="left")


@pytest.mark.parametrize("signed", [True, False])
def test_steps_are_tiles_numbered_from_0(signed):
    values = RNG.integers(-3 if signed else 0, 4, (7, 5, 6))
    ax = wave_plots.steps(axes(), values, "spikes", signed)
    assert words(ax) == [str(step) for step in range(7)]
    low, high = ax.images[0].get_clim()
    assert high == np.abs(values).max() and low == (-high if signed else 0)


def test_maps_are_numbered_from_1_and_steps_from_0():
    ax = wave_plots.map_by_step(axes(), RNG.integers(0, 3, (4, 15)))
    assert ax.images[0].get_extent() == [-0.5, 14.5, 4.5, 0.5]


def test_a_potential_shows_threshold_and_spike():
    ax = wave_plots.potential(axes(), {"map 1": [0, 4, 9], "map 2": [0, 1, 2]}, 5.0, fired=2)
    labels = [line.get_label() for line in ax.lines]
    assert labels == ["map 1", "map 2", "threshold 5", "spike"]
    assert ax.lines[-1].get_xydata().tolist() == [[2, 9]]


def test_scores_that_end_close_together_keep_their_names_apart():
    scores = np.outer(np.arange(5), [1.0, 1.01, 0.99, 1.02])
    ax = wave_plots.class_scores(axes(), scores, ["a", "b", "c", "d"], "votes")
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert sorted(heights, key=heights.__getitem__) == ["c", "a", "b", "d"]
    assert np.diff(sorted(heights.values())).min() > 0.1
    assert [text.get_text() for text in ax.texts if text.get_color() == plots.PRE] == ["d"]


def test_many_kernels_of_many_channels_are_cut_to_some():
    ax = plots.kernels(axes(), RNG.random((300, 30, 2, 2)), unit="")
    assert ax.get_title(loc="left") == "Kernels (66 of 300)"


def test_an_animation_has_a_frame_for_every_step(tmp_path):
    still = animation.Panel("Picture", np.ones((4, 6, 5)), colours="gray_r")
    moving = animation.Panel("Layer", np.arange(4 * 30).reshape(4, 6, 5) - 20.0, signed=True)
    bars = animation.Bars("Votes", np.arange(12.0).reshape(4, 3), ("a", "b", "c"))
    frames = animation.render([still, moving], bars, [0, 10, 20, 30], "One", "host engine")
    assert len(frames) == 4 and not np.array_equal(frames[0], frames[3])
    path = animation.save(tmp_path / "figures" / "a.gif", frames)
    with Image.open(path) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 4, 0)
        durations = []
        for frame in range(4):
            image.seek(frame)
            durations.append(image.info["duration"])
    assert durations == [animation.FRAME_MS] * 3 + [animation.LAST_MS]


def test_the_journal_keeps_commands_and_bears_damage(tmp_path):
    run = storage.RunDirectory(tmp_path / "run")
    assert journal.recorded(run) == []
    journal.record(run, ["--mode", "loaddata"], 1.26)
    journal.record(run, ["--mode", "testing"], 3.0)
    found = journal.recorded(run)
    assert [one["words"][1] for one in found] == ["loaddata", "testing"]
    assert found[0]["seconds"] == 1.3
    run.file(journal.COMMANDS).write_text('{"commands": 3')
    assert journal.recorded(run) == []
