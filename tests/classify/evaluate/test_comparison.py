import itertools
import json
from dataclasses import replace
from html import escape
from pathlib import Path

import pandas as pd
import pytest

from hzsynth.classify.evaluate.comparison import (
    compare,
    difference_table,
    reference_table,
    verdict_of,
)
from hzsynth.classify.evaluate.comparison_page import shown_table, write_comparison
from hzsynth.classify.evaluate.comparison_published import REMARK, published_rows
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import saved_run


def test_runs_are_compared_and_written(photographs: ImageSet, tmp_path: Path) -> None:
    runs = [
        saved_run(tmp_path / name, photographs, noise=noise)
        for name, noise in (("plain", 2.0), ("better", 0.0), ("worse", 3.0))
    ]
    comparison = compare(runs, photographs, bootstrap=100)
    assert [entry.name for entry in comparison.entries] == ["plain", "better", "worse"]
    differences = difference_table(comparison)
    assert set(differences["run"]) == {"better", "worse"}
    assert set(differences["against"]) == {"plain"}
    for row, entry in itertools.product(differences.to_dict("records"), comparison.entries):
        if row["run"] == entry.name and row["metric"] == "accuracy":
            first = comparison.entries[0].evaluation.metrics["accuracy"].value
            value = entry.evaluation.metrics["accuracy"].value
            assert row["difference"] == pytest.approx(value - first)
            assert row["p (Holm)"] >= row["p"]
    table = reference_table(comparison, published=True)
    assert len(table) == 3 + 13
    assert (table["remark"][3:] == REMARK).all()
    page = write_comparison(comparison, tmp_path / "out", published=True)
    assert "measured on other photographs" in page.read_text("utf-8")
    written = {file.name for file in page.parent.iterdir()}
    assert written == {
        "comparison.csv",
        "comparison.md",
        "comparison.tex",
        "comparison.html",
        "comparison.json",
        "comparison_long.csv",
        "differences.csv",
        "f1_macs.png",
    }
    long = pd.read_csv(page.parent / "comparison_long.csv")
    json.loads((page.parent / "comparison.json").read_text("utf-8"))
    row = long[(long["run"] == "better") & (long["metric"] == "f1_target")].iloc[0]
    assert row["value"] == pytest.approx(
        comparison.entries[1].evaluation.metrics["f1_target"].value, abs=1e-3
    )


def test_the_page_says_who_differs_and_how_sure_every_score_is(
    photographs: ImageSet, tmp_path: Path
) -> None:
    runs = [
        saved_run(tmp_path / name, photographs, noise=noise)
        for name, noise in (("plain", 2.0), ("better", 0.0))
    ]
    comparison = compare(runs, photographs, bootstrap=100)
    page = write_comparison(comparison, tmp_path / "out").read_text("utf-8")
    sentence, _ = verdict_of(comparison)
    assert escape(sentence) in page
    accuracy = comparison.entries[1].evaluation.metrics["accuracy"]
    best = f"{accuracy.value:.2f} ({accuracy.low:.2f}–{accuracy.high:.2f}) *"
    shown = shown_table(comparison)["ACC"]
    assert shown[1] == best
    assert not shown[0].endswith("*")
    assert best in page
    assert best in (tmp_path / "out" / "comparison.md").read_text("utf-8")
    assert best.replace("–", "--") in (tmp_path / "out" / "comparison.tex").read_text("utf-8")
    assert verdict_of(compare(runs[:1], photographs, bootstrap=100)) == ("", "alike")


@pytest.mark.parametrize(
    ("value", "p", "kind", "words"),
    [
        (0.3, 0.01, "better", "F1 of zoster differs from that of plain: better +0.30"),
        (-0.3, 0.01, "worse", "F1 of zoster differs from that of plain: better -0.30"),
        (0.3, 0.06, "alike", "No difference in F1 of zoster from plain is shown"),
    ],
)
def test_a_verdict_needs_a_p_below_5_percent_after_holm(
    photographs: ImageSet, tmp_path: Path, value: float, p: float, kind: str, words: str
) -> None:
    runs = [saved_run(tmp_path / name, photographs) for name in ("plain", "better")]
    comparison = compare(runs, photographs, bootstrap=100)
    planted = replace(
        comparison,
        differences=tuple(
            replace(d, paired=replace(d.paired, value=value), p_holm=p)
            if d.paired.metric == "f1_target"
            # Another metric, however different, is not the one that was named beforehand.
            else replace(d, p_holm=1e-6)
            for d in comparison.differences
        ),
    )
    sentence, found = verdict_of(planted)
    assert found == kind
    label = comparison.entries[0].evaluation.label
    assert sentence.startswith(words.replace("zoster", label))


def test_what_cannot_be_compared_is_refused(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs)
    with pytest.raises(InputError, match="given twice"):
        compare([run, run], photographs)
    with pytest.raises(InputError, match="at least one RUN"):
        compare([], photographs)


def test_the_published_rows_are_complete() -> None:
    rows = published_rows()
    assert len(rows) == 13
    assert rows.set_index("model").loc["Ensemble-E", "ACC"] == 0.97
