import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet.errors import StorageError, UsageError
from spikingconvnet.utilities import plots, storage

pytestmark = pytest.mark.filterwarnings("error")  # such as a layout that had no room
ORIGIN = "software board (SpiNN-5, ideal timing)"
SHAPES = [
    (1, 1, 4, 4),
    (4, 1, 4, 4),
    (7, 1, 5, 5),
    (64, 1, 5, 5),
    (6, 1, 3, 9),
    (6, 1, 11, 2),
    (8, 4, 5, 5),
    (3, 12, 5, 5),
]
RNG = np.random.default_rng(8)


def draw(function, *arguments, **options):
    fig = plots.figure()
    ax = fig.subplots()
    assert function(ax, *arguments, origin=ORIGIN, **options) is ax
    return ax


def trains(neurons, times, size):
    return SimpleNamespace(neurons=np.array(neurons, int), times=np.array(times, float), size=size)


def boxes(ax):
    """Give the boxes, in pixels, of everything written on a figure, drawn."""
    fig = ax.figure
    fig.draw_without_rendering()
    words = [text for each in fig.axes for text in each.texts]
    words += [label for each in fig.axes for label in each.get_xticklabels()]
    words += [each._left_title for each in fig.axes]
    words += [child.yaxis.label for each in fig.axes for child in each.child_axes]
    words += [fig._supxlabel, *(each.xaxis.label for each in fig.axes)]
    return [(w.get_text(), w.get_window_extent()) for w in words if w and w.get_text()]


def assert_legible(ax):
    found = boxes(ax)
    page = ax.figure.bbox
    for index, (word, box) in enumerate(found):
        assert box.x0 >= page.x0 + 2 and box.x1 <= page.x1 - 2, f"{word} leaves the page"
        assert box.y0 >= page.y0 + 2 and box.y1 <= page.y1 - 2, f"{word} leaves the page"
        for other, there in found[index + 1 :]:
            apart = (
                box.x1 <= there.x0 + 1
                or there.x1 <= box.x0 + 1
                or box.y1 <= there.y0 + 1
                or there.y1 <= box.y0 + 1
            )
            assert apart, f"{word!r} covers {other!r}"


def tiles(ax):
    """Read the tiles back off the picture: where each frame is, every value of it once."""
    canvas = ax.images[0].get_array()
    found = []
    for frame in ax.patches:
        x, y = round(frame.get_x() + 0.5), round(frame.get_y() + 0.5)
        wide, tall = round(frame.get_width()), round(frame.get_height())
        found.append(canvas[y : y + tall, x : x + wide])
    return found


# ---- mosaics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kernel_and_channel_is_a_tile_with_its_own_weights(shape):
    weights = RNG.normal(size=shape)
    ax = draw(plots.kernels, weights)
    kernels, channels, height, width = shape
    expected = weights if kernels <= channels or channels == 1 else weights.swapaxes(0, 1)
    expected = expected.reshape(-1, height, width)
    found = tiles(ax)
    assert len(found) == len(expected)
    for tile, values in zip(found, expected, strict=True):
        zoom = tile.shape[0] // height
        assert tile.shape == (height * zoom, width * zoom)
        assert not np.ma.is_masked(tile)
        assert np.array_equal(tile[::zoom, ::zoom], values)
        assert np.array_equal(tile[zoom - 1 :: zoom, zoom - 1 :: zoom], values)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_word_of_a_kernel_figure_covers_another_or_leaves_the_page(shape):
    assert_legible(draw(plots.kernels, RNG.normal(size=shape), title="Kernels of layer 1"))


def test_tiles_are_numbered_from_1_and_none_is_hidden():
    ax = draw(plots.kernels, RNG.normal(size=(5, 1, 3, 3)))
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3", "4", "5"]
    ax = draw(plots.kernels, RNG.normal(size=(2, 3, 3, 3)))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input channel", "kernel")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]


def test_two_thousand_kernels_are_one_picture():
    ax = draw(plots.kernels, RNG.normal(size=(64, 32, 3, 3)))
    assert len(ax.images) == 1 and not ax.patches
    assert_legible(ax)


def test_the_scale_of_weights_is_their_range_or_the_one_given():
    weights = np.linspace(0.2, 0.6, 16).reshape(1, 1, 4, 4)
    assert draw(plots.kernels, weights).images[0].get_clim() == (0.2, 0.6)
    assert draw(plots.kernels, weights, limits=(0, 1)).images[0].get_clim() == (0, 1)
    low, high = draw(plots.kernels, np.ones((1, 1, 4, 4))).images[0].get_clim()
    assert low < 1 < high


def test_changes_are_centred_at_0():
    change = np.array([[[[0.1, -0.4], [0.0, 0.2]]]])
    ax = draw(plots.weight_changes, change)
    assert ax.images[0].get_clim() == (-0.4, 0.4)
    assert_legible(ax)
    still = draw(plots.weight_changes, np.zeros((2, 1, 3, 3)))
    low, high = still.images[0].get_clim()
    assert low == -high < 0
    assert "none" in still.get_title("left")


def test_at_most_49_patterns_are_drawn_and_the_title_says_so():
    images = RNG.integers(0, 256, (60, 28, 28))
    ax = draw(plots.input_patterns, images, labels=range(60))
    assert "49 of 60" in ax.get_title("left")
    assert [text.get_text() for text in ax.texts] == [str(n) for n in range(49)]
    assert len(tiles(ax)) == 49
    assert ax.images[0].get_clim() == (0, 255)
    assert_legible(ax)
    assert not draw(plots.input_patterns, images[:3]).texts


def test_maps_start_at_no_spike_and_say_when_there_is_none():
    counts = RNG.poisson(2, (36, 6, 12))
    ax = draw(plots.activity_maps, counts)
    assert ax.images[0].get_clim() == (0, counts.max())
    assert_legible(ax)
    assert "no spikes" in draw(plots.activity_maps, 0 * counts).get_title("left")


@pytest.mark.parametrize(
    ("function", "values", "axes"),
    [
        (plots.kernels, np.ones((4, 16)), 4),
        (plots.weight_changes, np.ones((0, 1, 2, 2)), 4),
        (plots.input_patterns, np.ones((4, 28, 28, 1)), 3),
        (plots.activity_maps, np.ones(324), 3),
    ],
)
def test_values_of_another_form_are_refused(function, values, axes):
    with pytest.raises(UsageError, match=rf"must have {axes} axes"):
        draw(function, values)


def test_a_mosaic_can_share_a_figure_and_leaves_its_size_alone():
    fig = plots.figure(9, 5)
    left, right = fig.subplots(1, 2)
    plots.kernels(left, RNG.normal(size=(9, 1, 4, 4)))
    plots.activity_maps(right, RNG.poisson(1, (9, 4, 4)), origin=ORIGIN)
    assert tuple(fig.get_size_inches()) == (9, 5)
    assert_legible(left)


@pytest.mark.parametrize(
    ("function", "values", "label"),
    [
        (plots.kernels, np.ones((1, 1, 3, 3)), "weight (nA)"),
        (plots.weight_changes, np.ones((1, 1, 3, 3)), "change (nA)"),
        (plots.activity_maps, np.ones((1, 3, 3)), "spikes per image"),
        (plots.input_patterns, np.ones((1, 3, 3)), "intensity (0..255)"),
    ],
)
def test_every_colour_scale_has_its_unit_and_every_figure_its_origin(function, values, label):
    ax = draw(function, values)
    assert [child.get_ylabel() for child in ax.child_axes] == [label]
    assert ax.figure._supxlabel.get_text() == ORIGIN


# ---- spikes and voltages -----------------------------------------------------------------------


def test_a_raster_has_a_panel_per_population_and_a_mark_per_spike():
    fig = plots.figure()
    spikes = {"input": trains([0, 2, 2], [1, 5, 90], 3), "layer 1": trains([1], [40], 2)}
    assert plots.raster(fig, spikes, end_ms=200, interval_ms=100, origin=ORIGIN) is fig
    top, bottom = fig.axes
    marks = top.collections[0].get_segments()
    assert [mark[0][0] for mark in marks] == [1, 5, 90]
    assert [mark[:, 1].mean() for mark in marks] == [0, 2, 2]
    assert top.get_ylim()[0] > top.get_ylim()[1], "neuron 0 is on top"
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("input", "layer 1")
    assert bottom.get_xlim() == (0, 200) and bottom.get_xlabel() == "time (ms)"
    assert [line.get_xdata()[0] for line in bottom.lines] == [0, 100, 200]
    assert not np.array_equal(top.collections[0].get_colors(), bottom.collections[0].get_colors())
    assert [ax.texts[0].get_text() for ax in fig.axes] == ["3 spikes", "1 spikes"]
    assert_legible(top)


def test_long_runs_are_drawn_in_seconds_and_many_spikes_as_pixels():
    times = np.linspace(0, 40_000, 6000)
    fig = plots.raster(plots.figure(), {"input": trains(np.arange(6000) % 784, times, 784)})
    assert fig.axes[0].get_xlabel() == "time (s)"
    assert fig.axes[0].get_xlim()[1] == pytest.approx(40)
    assert fig.axes[0].collections[0].get_rasterized()


def test_a_silent_population_is_drawn_and_none_at_all_is_refused():
    fig = plots.raster(plots.figure(), {"layer 1": trains([], [], 4)})
    assert fig.axes[0].texts[0].get_text() == "0 spikes"
    fig.draw_without_rendering()
    with pytest.raises(UsageError, match="no population"):
        plots.raster(plots.figure(), {})


def test_each_neuron_has_a_panel_with_threshold_and_spikes():
    potentials = -65 + RNG.normal(size=(300, 3)).cumsum(axis=0)
    spikes = trains([0, 2, 2], [10, 20, 250], 3)
    fig = plots.figure()
    assert plots.voltages(fig, potentials, threshold=-50, spikes=spikes, origin=ORIGIN) is fig
    assert len(fig.axes) == 3
    for neuron, ax in enumerate(fig.axes):
        trace, threshold, marks = ax.lines
        assert np.array_equal(trace.get_ydata(), potentials[:, neuron])
        assert set(threshold.get_ydata()) == {-50}
        assert list(marks.get_xdata()) == [[10], [], [20, 250]][neuron]
    assert fig._supylabel.get_text() == "membrane potential (mV)"
    assert_legible(fig.axes[0])


def test_the_threshold_is_on_the_page_even_when_never_reached():
    fig = plots.voltages(plots.figure(), np.full((10, 1), -65.0), threshold=-5)
    low, high = fig.axes[0].get_ylim()
    assert low < -65 and high > -5


def test_a_cut_axis_and_neurons_left_out_are_said_in_the_title():
    potentials = np.full((100, 16), -65.0)
    potentials[50] = -1500
    fig = plots.voltages(plots.figure(), potentials, threshold=-5, lowest=-150)
    title = fig.axes[0].get_title("left")
    assert len(fig.axes) == 12 and "12 of 16 neurons" in title
    assert "axis cut at -150 mV, least is -1,500" in title
    assert -200 < fig.axes[0].get_ylim()[0] < -150
    assert "cut" not in plots.voltages(plots.figure(), potentials[:, :1]).axes[0].get_title("left")
    assert_legible(fig.axes[0])


def test_steps_have_their_length():
    fig = plots.voltages(plots.figure(), np.zeros((50, 1)), step_ms=0.1)
    assert fig.axes[0].lines[0].get_xdata()[-1] == pytest.approx(4.9)


# ---- results -----------------------------------------------------------------------------------


def test_a_confusion_matrix_is_normalised_by_row_and_annotated():
    ax = draw(plots.confusion_matrix, [[3, 1], [0, 2]], [0, 7])
    assert np.array_equal(ax.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert [text.get_text() for text in ax.texts] == ["75 %\n3", "25 %\n1", "0 %\n0", "100 %\n2"]
    assert "83.3 % right" in ax.get_title("left")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert_legible(ax)


def test_a_class_that_was_never_shown_has_an_empty_row():
    ax = draw(plots.confusion_matrix, [[2, 0], [0, 0]], [3, 5])
    assert np.array_equal(ax.images[0].get_array(), [[1, 0], [0, 0]])


@pytest.mark.parametrize("classes", [2, 10, 62])
def test_a_confusion_matrix_of_any_size_is_legible(classes):
    matrix = RNG.integers(0, 40, (classes, classes))
    assert_legible(draw(plots.confusion_matrix, matrix, range(classes)))


def test_long_class_names_do_not_meet():
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal"]
    ax = draw(plots.confusion_matrix, np.eye(6), names)
    assert [label.get_rotation() for label in ax.get_xticklabels()] == [40] * 6


def test_a_matrix_must_fit_its_classes():
    with pytest.raises(UsageError, match=r"\(2, 2\) \(must be \(3, 3\), as classes\)"):
        draw(plots.confusion_matrix, np.eye(2), [1, 2, 3])


def test_bars_are_the_mean_number_of_spikes_of_a_class():
    counts = np.array([[1, 2], [3, 4], [10, 0], [0, 0]])
    ax = draw(plots.spikes_per_class, counts, [7, 7, 1, 1], classes=(7, 1, 3))
    assert [bar.get_height() for bar in ax.patches] == [5, 5, 0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["7", "1", "3"]
    dots = [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert dots == [[3, 7], [10, 0], []]
    assert_legible(ax)
    with pytest.raises(UsageError, match=r"labels: shape \(3,\) \(must be \(4,\)"):
        draw(plots.spikes_per_class, counts, [1, 2, 3])


# ---- files -------------------------------------------------------------------------------------


def test_both_formats_are_written_and_the_same_figure_gives_the_same_bytes(tmp_path):
    written = []
    for name in ("a", "b"):
        ax = draw(plots.kernels, np.arange(36.0).reshape(4, 1, 3, 3))
        paths = plots.save(ax.figure, tmp_path / f"{name}.png", ("png", "svg"))
        assert paths == [tmp_path / f"{name}.png", tmp_path / f"{name}.svg"]
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert written[0][0].startswith(b"\x89PNG") and b"<svg" in written[0][1]


def test_a_name_with_a_dot_keeps_it(tmp_path):
    fig = plots.figure()
    assert plots.save(fig, tmp_path / "layer 1.5")[0].name == "layer 1.5.png"


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"'bmp' \(must be one of png, svg\)"):
        plots.save(plots.figure(), tmp_path / "a", ("png", "bmp"))
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_open_new", full)
    with pytest.raises(StorageError, match="No space left"):
        plots.save(plots.figure(), path)
    assert path.read_bytes() == b"old"


def test_drawing_touches_no_pyplot_state():
    script = (
        "import sys, numpy\nfrom spikingconvnet.utilities import plots\n"
        "fig = plots.figure(); plots.kernels(fig.subplots(), numpy.eye(2).reshape(1, 1, 2, 2))\n"
        "fig.draw_without_rendering(); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
