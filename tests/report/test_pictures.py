import io
import unicodedata
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.report import fonts, plots
from hzsynth.report.contact_sheet import comparison_rows, contact_sheet
from hzsynth.report.style import figure_png


def _colours(*values: int) -> torch.Tensor:
    return torch.stack([torch.full((3, 16, 20), v, dtype=torch.uint8) for v in values])


def _positions(sheet: np.ndarray, value: int) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((sheet == value).all(axis=2))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_pictures_stand_in_reading_order_and_unscaled() -> None:
    sheet = contact_sheet(_colours(10, 20, 30, 40, 50), columns=2)
    boxes = {value: _positions(sheet, value) for value in (10, 20, 30, 40, 50)}
    for top, bottom, left, right in boxes.values():
        assert (bottom - top + 1, right - left + 1) == (16, 20)
    assert boxes[20][0] == boxes[10][0]
    assert boxes[20][2] > boxes[10][3]
    assert boxes[30][0] > boxes[10][1]
    assert boxes[30][2] == boxes[10][2]
    assert boxes[50][0] > boxes[30][1]


def test_captions_take_room_below_and_never_touch_a_picture() -> None:
    bare = contact_sheet(_colours(10, 20), columns=2)
    named = contact_sheet(
        _colours(10, 20), columns=2, captions=["a very long caption 대상포진", "b"]
    )
    assert named.shape[0] > bare.shape[0]
    assert named.shape[1] == bare.shape[1]
    top, bottom, left, right = _positions(named, 20)
    assert (named[top : bottom + 1, left : right + 1] == 20).all()
    assert (named[bottom + 1 :, left:] < 200).any()


def test_comparison_puts_each_group_in_its_row() -> None:
    sheet = comparison_rows({"real": _colours(10, 10, 10), "generated": _colours(90, 90)}, 2)
    first, second = _positions(sheet, 10), _positions(sheet, 90)
    assert second[0] > first[1]
    assert second[2:] == first[2:]


@pytest.mark.parametrize(
    ("pixels", "columns", "captions"),
    [
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), 2, None),
        (torch.zeros(2, 3, 8, 8), 2, None),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), 2, None),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 0, None),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 2, ["one"]),
    ],
)
def test_wrong_sheets_are_refused(pixels: torch.Tensor, columns: int, captions: list[str]) -> None:
    with pytest.raises(InputError):
        contact_sheet(pixels, columns, captions)


def test_rows_of_different_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="all of one size"):
        comparison_rows({"a": _colours(1), "b": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)})


@pytest.mark.parametrize(
    ("hangul", "latin"),
    [("대상포진", "daesangpojin"), ("서울", "seoul"), ("부산", "busan"), ("한글", "hangeul")],
)
def test_hangul_is_romanised_as_the_letter_table_says(hangul: str, latin: str) -> None:
    assert fonts.romanise(hangul) == latin
    assert fonts.romanise(unicodedata.normalize("NFD", hangul)) == latin


def test_text_without_a_font_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "korean_font", lambda: None)
    monkeypatch.setattr(fonts, "_korean_characters", frozenset)
    assert fonts.printable("zoster 대상 × 10 漢") == "zoster daesang × 10 ?"


def test_text_with_a_korean_font_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "korean_font", lambda: ("Some Gothic", None))
    monkeypatch.setattr(fonts, "_korean_characters", lambda: frozenset(map(ord, "대상포진")))
    assert fonts.printable(unicodedata.normalize("NFD", "대상포진 a")) == "대상포진 a"


def _drawn(figure: object) -> np.ndarray:
    with Image.open(io.BytesIO(figure_png(figure, dpi=60))) as image:  # type: ignore[arg-type]
        return np.asarray(image.convert("RGB"))


def _example_figures() -> dict[str, object]:
    generator = np.random.default_rng(0)
    truth = np.arange(40) % 4 == 0
    scores = {"대상포진 student": truth + generator.normal(size=40)}
    series = plots.RatioSeries(
        "gan", (0, 1, 9), ((0.5, 0.6), (0.6, 0.7), (0.4, 0.5)), ((0.4, 0.7),) * 3
    )
    return {
        "learning": plots.learning_curves(
            [
                plots.Curve(f"c{i}", range(9), (np.arange(9.0) + i).tolist(), [0.2] * 9)
                for i in range(8)
            ],
            best=3,
        ),
        "confusion": plots.confusion_matrix_plot([[8, 2], [1, 9]], ["대상포진", "other"]),
        "ratio": plots.ratio_plot(
            [series], {"real x1": 0.5}, metric="AP", title="a\nb", chosen=("gan", 1)
        ),
        "precision": plots.precision_recall_plot(truth, scores),
        "counts": plots.class_counts_plot({"a": {"train": 3, "val": 1}, "b": {"train": 0}}),
        "kid": plots.kernel_distance_plot(
            [1, 2, 3], [0.3, 0.1, 0.2], spread=[0.1] * 3, floor=(0, 0.1)
        ),
    }


def test_every_plot_draws_without_warning_and_reproducibly() -> None:
    again = _example_figures()
    for name, figure in _example_figures().items():
        pixels = _drawn(figure)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20, name
        np.testing.assert_array_equal(pixels, _drawn(again[name]), err_msg=name)


def test_plots_leave_global_state_alone() -> None:
    before = dict(matplotlib.rcParams)
    figures = _example_figures()
    assert dict(matplotlib.rcParams) == before
    managed = [manager.canvas.figure for manager in Gcf.get_all_fig_managers()]
    assert not any(figure in managed for figure in figures.values())


def test_the_confusion_matrix_shows_counts_and_shares_of_the_true_class() -> None:
    figure = plots.confusion_matrix_plot([[8, 2], [0, 0]], ["zoster", "other"])
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"8\n80%", "2\n20%", "0\n0%"} <= texts
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert ticks == ["zoster (10)", "other (0)"]


def test_the_ratio_plot_shows_means_intervals_and_every_seed() -> None:
    series = plots.RatioSeries("gan", (0, 4), ((0.2, 0.4), (0.7, 0.9)), ((0.1, 0.5), (0.6, 1.0)))
    axes = plots.ratio_plot([series], {"real x1": 0.25}, metric="AP", title="t").axes[0]
    drawn = [tuple(np.atleast_1d(np.asarray(line.get_ydata(), float))) for line in axes.lines]
    assert (0.2, 0.4) in drawn
    assert (0.7, 0.9) in drawn
    assert any(np.allclose(values, (0.3, 0.8)) for values in drawn if len(values) == 2)
    assert (0.25, 0.25) in drawn
    bar = axes.collections[0].get_segments()  # type: ignore[attr-defined]
    np.testing.assert_allclose([segment[:, 1] for segment in bar], [[0.1, 0.5], [0.6, 1.0]])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.learning_curves([]),
        lambda: plots.confusion_matrix_plot([[1, 2]], ["a", "b"]),
        lambda: plots.ratio_plot([], metric="m", title="t"),
        lambda: plots.ratio_plot([plots.RatioSeries("a", (0, 1), ((1,),))], metric="m", title="t"),
        lambda: plots.precision_recall_plot([False], {"a": [0.1]}),
        lambda: plots.class_counts_plot({}),
        lambda: plots.kernel_distance_plot([], []),
    ],
)
def test_plots_of_nothing_are_refused(draw: Any) -> None:
    with pytest.raises(InputError):
        draw()
