import matplotlib.image
import numpy as np
import pytest

from repara import plotting


def test_tile_places_images_row_by_row():
    images = np.stack([np.full((2, 3, 1), v) for v in (0.1, 0.2, 0.3)])
    canvas = plotting.tile(images, 2)
    assert canvas.shape == (5, 7, 1)
    np.testing.assert_array_equal(canvas[:2, :3], 0.1)
    np.testing.assert_array_equal(canvas[:2, 4:], 0.2)
    np.testing.assert_array_equal(canvas[3:, :3], 0.3)
    np.testing.assert_array_equal(canvas[2], 1)  # the gap
    np.testing.assert_array_equal(canvas[3:, 4:], 1)  # where there is no fourth image


def _draw(kind, path):
    rng = np.random.default_rng(0)
    if kind == "image_grid":
        images = rng.uniform(size=(6, 8, 8, 3))
        return plotting.image_grid(path, images, 3, "title", row_labels=("a", "b"))
    if kind == "curves":
        return plotting.curves(path, {"y": {"one": ([1, 2], [3.0, 4.0]), "two": ([], [])}}, "x")
    if kind == "bars":
        return plotting.bars(path, [1.0, 3.0, 2.0], xlabel="x", ylabel="y", title="t")
    if kind == "panels":
        x = np.array([1.0, 10.0, 100.0])
        short = plotting.Line(x, 70 + x, np.ones(3), reference=(np.arange(1.0, 9), np.arange(8.0)))
        groups = {"t": {"one": short, "none": plotting.Line(x, 0 * x, 0 * x)}, "u": {"two": short}}
        return plotting.panels(
            path, groups, columns=2, xlabel=("a", "b"), ylabel="y", log_x=True, log_y=(True, False)
        )
    if kind == "grouped_bars":
        groups = {"a": [1.0, 10.0], "b": [2.0, float("nan")]}
        return plotting.grouped_bars(path, groups, ["p", "q"], ylabel="ms", title="t")
    if kind == "word_bars":
        groups = {f"{n}": {"a": 0.3, "b": 0.2, "c": 0.1} for n in range(5)}
        return plotting.word_bars(path, groups, columns=3, xlabel="p")
    if kind == "heat_map":
        values = rng.uniform(size=(4, 9))
        return plotting.heat_map(path, values, xlabel="x", ylabel="y", label="p", title="t")
    points = rng.normal(size=(50, 2))
    labels = rng.integers(0, 30 if kind == "many_labels" else 4, 50)
    return plotting.latent_scatter(
        path, points, None if kind == "no_labels" else labels, xlabel="x", ylabel="y", title="t"
    )


@pytest.mark.parametrize(
    "kind",
    [
        "image_grid",
        "curves",
        "bars",
        "grouped_bars",
        "panels",
        "word_bars",
        "heat_map",
        "few_labels",
        "many_labels",
        "no_labels",
    ],
)
def test_figures_are_written_whole(tmp_path, kind):
    path = tmp_path / "figure.png"
    assert _draw(kind, path) == path
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]
    pixels = matplotlib.image.imread(path)
    assert pixels.std() > 0.01  # something is drawn
