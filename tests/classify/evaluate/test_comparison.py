"""Paired tests against scipy, statsmodels and brute force; the tables and pages of a comparison."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from hzsynth.classify.evaluate.comparison import compare, difference_table, reference_table
from hzsynth.classify.evaluate.comparison_page import write_comparison
from hzsynth.classify.evaluate.comparison_published import REMARK, published_rows
from hzsynth.core.errors import InputError
from hzsynth.statistics.paired import (
    delong,
    exact_mcnemar,
    holm,
    paired_differences,
)
from tests.classify.conftest import saved_run


def scores(seed, count=40):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.4
    first = np.round(rng.normal(positive * 1.0, 1), 1)
    other = np.round(first * 0.5 + rng.normal(positive * 0.8, 0.8), 1)
    return positive, first, other


def test_mcnemar_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, two = rng.random((2, 30)) < 0.7
        table = [
            [int((one & two).sum()), int((one & ~two).sum())],
            [int((~one & two).sum()), int((~one & ~two).sum())],
        ]
        assert exact_mcnemar(one, two) == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert exact_mcnemar([True], [True]) == 1


@pytest.mark.parametrize("seed", range(5))
def test_delong_is_the_sum_over_all_pairs(seed):
    """Against the definition by structural components, written as double sums."""
    positive, first, other = scores(seed)
    difference, error, p = delong(positive, first, other)
    expected = roc_auc_score(positive, other) - roc_auc_score(positive, first)
    assert difference == pytest.approx(expected)
    pairs = [
        [[(x > y) + 0.5 * (x == y) for y in score[~positive]] for x in score[positive]]
        for score in (first, other)
    ]
    kernel = np.array(pairs[1]) - np.array(pairs[0])
    above, below = kernel.mean(axis=1), kernel.mean(axis=0)
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    assert error == pytest.approx(np.sqrt(variance))
    assert p == pytest.approx(2 * stats.norm.sf(abs(expected) / np.sqrt(variance)))


def test_delong_of_equal_scores_is_1_and_needs_two_of_a_kind():
    positive, first, _ = scores(0)
    assert delong(positive, first, first) == (0.0, 0.0, 1.0)
    with pytest.raises(InputError, match="two images of either kind"):
        delong([True, False, False], [1, 2, 3], [1, 2, 3])


def test_delong_holds_its_level():
    """Of two equally good scores, about 5 % are called different."""
    rng = np.random.default_rng(4)
    positive = np.arange(80) < 40
    called = 0
    for _ in range(400):
        common = rng.normal(positive, 1)
        one, two = (common + rng.normal(0, 1, 80) for _ in range(2))
        called += delong(positive, one, two)[2] < 0.05
    # 20 expected of 400, binomial 99.9 % interval.
    assert 7 <= called <= 36


def test_holm_is_the_step_down_rule():
    assert holm([]) == []
    # Smallest times 3, next times 2, largest times 1, never falling.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_equal_answers_differ_in_nothing():
    truth = np.array([0, 1] * 10)
    table = np.where(truth[:, None] == np.arange(2), 0.7, 0.3)
    table[:4] = table[:4][:, ::-1]
    groups = [str(i) for i in range(20)]
    for pair in paired_differences(truth, table, table, 1, groups, bootstrap=100):
        assert (pair.value, pair.low, pair.high, pair.p) == (0, None, None, 1)


def test_runs_are_compared_and_written(photographs, tmp_path):
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


def test_what_cannot_be_compared_is_refused(photographs, tmp_path):
    run = saved_run(tmp_path / "run", photographs)
    with pytest.raises(InputError, match="given twice"):
        compare([run, run], photographs)
    with pytest.raises(InputError, match="at least one RUN"):
        compare([], photographs)


def test_the_published_rows_are_complete():
    rows = published_rows()
    assert len(rows) == 13
    assert rows.set_index("model").loc["Ensemble-E", "ACC"] == 0.97
