"""Differences of two classifiers: scenes with a known answer, and errors under no effect."""

import numpy as np
import pytest
from scipy import stats

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import auroc, classification_metrics
from hzsynth.statistics.paired import delong
from hzsynth.statistics.paired_metrics import (
    COMPARED,
    PairedDifference,
    paired_differences,
    smallest_p,
)
from tests.statistics.scenes import two_classes


def by_metric(first: Answers, second: Answers) -> dict[str, PairedDifference]:
    return {d.metric: d for d in paired_differences(first, second, bootstrap=200)}


def test_equal_answers_differ_in_nothing() -> None:
    target = np.arange(20) % 2 == 1
    score = np.where(target, 0.7, 0.3)
    score[:4] = 1 - score[:4]
    answers = two_classes(target, score)
    for pair in paired_differences(answers, answers, bootstrap=100):
        assert (pair.value, pair.low, pair.high, pair.p) == (0, None, None, 1)


def test_a_difference_is_first_minus_second() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(60) % 3 == 0
    first, second = (
        two_classes(target, 1 / (1 + np.exp(-rng.normal(ahead * target - ahead / 2, 1))))
        for ahead in (2.5, 1.0)
    )
    better, worse = (
        classification_metrics(said.truth, said.probabilities, said.target)
        for said in (first, second)
    )
    forward = paired_differences(first, second, bootstrap=100)
    backward = paired_differences(second, first, bootstrap=100)
    assert tuple(pair.metric for pair in forward) == COMPARED
    for one, other in zip(forward, backward, strict=True):
        assert one.value == pytest.approx(better[one.metric] - worse[one.metric])
        assert one.value == pytest.approx(-other.value)
        assert one.p == pytest.approx(other.p)
    area = delong(target, first.score, second.score)
    assert area.difference.estimate == pytest.approx(forward[3].value)


def test_answers_about_other_photographs_or_classes_are_not_compared() -> None:
    target = np.arange(12) % 2 == 0
    answers = two_classes(target, target * 0.5)
    with pytest.raises(InputError, match="same photographs"):
        paired_differences(answers, answers.select(np.arange(12)[::-1]))
    with pytest.raises(InputError, match="same classes in the same order"):
        paired_differences(answers, answers.with_labels(answers.labels[::-1]))


def none_against_all(positives: int, others: int = 55) -> dict[str, PairedDifference]:
    """One classifier finds none of the positives, the other all; the rest is right in both."""
    target = np.arange(positives + others) < positives
    rest = np.linspace(0.2, 0.4, len(target))
    return by_metric(
        two_classes(target, np.where(target, 0.9, rest)),
        two_classes(target, np.where(target, 0.1, rest)),
    )


def test_five_positives_cannot_prove_what_mcnemar_cannot() -> None:
    # A normal distribution of a bootstrap that hardly varies gave p = 2.6e-11 here.
    for name, found in none_against_all(5).items():
        assert found.value > 0.05, name
        assert found.p >= 2 / 2**5, name
        assert found.low is not None, name
        assert found.high is not None, name
        # What the test does not prove, the interval does not either.
        assert found.low <= 0 < found.value <= found.high, name


def test_ten_positives_can() -> None:
    found = none_against_all(10)
    for name in ("accuracy", "f1_target", "macro_f1", "kappa"):
        assert found[name].p == pytest.approx(2 / 2**10), name
    assert found["auroc_target"].p == pytest.approx(smallest_p(10))
    for difference in found.values():
        assert difference.low is not None
        assert difference.low > 0


def test_exchanging_answers_is_mcnemars_test_for_one_photograph_a_patient() -> None:
    rng = np.random.default_rng(3)
    target = np.arange(40) % 2 == 0
    first, second = (two_classes(target, target ^ (rng.random(40) < 0.2)) for _ in range(2))
    lone = by_metric(first, second)["accuracy"]
    only_first = int((first.right & ~second.right).sum())
    only_second = int((~first.right & second.right).sum())
    assert lone.p == pytest.approx(stats.binomtest(only_first, only_first + only_second).pvalue)
    assert lone.test == "exact McNemar"
    # Photographs of one patient count as one: of two that agree nothing more is learned.
    pairs = np.tile(np.arange(40), 2)
    twice = by_metric(
        *(
            two_classes(said.is_target[pairs], said.score[pairs], [f"{p}" for p in pairs])
            for said in (first, second)
        )
    )
    assert twice["accuracy"].p == pytest.approx(lone.p)
    assert twice["accuracy"].value == pytest.approx(lone.value)


def test_an_ordinary_difference_of_areas_keeps_delongs_p() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(200) % 4 == 0
    first, second = (
        two_classes(target, stats.norm.cdf(rng.normal(ahead * target, 1))) for ahead in (2.0, 1.2)
    )
    found = by_metric(first, second)["auroc_target"]
    reference = delong(target, first.score, second.score).difference
    assert found.value == pytest.approx(
        float(auroc(target, first.score)[0] - auroc(target, second.score)[0])
    )
    assert found.p >= reference.p_value
    assert found.p == pytest.approx(reference.p_value, abs=0.01)
    assert found.low == pytest.approx(reference.low, abs=0.04)
    assert found.high == pytest.approx(reference.high, abs=0.04)


def test_with_three_patients_of_a_class_the_interval_is_the_whole_range() -> None:
    found = none_against_all(3)
    assert (found["macro_f1"].low, found["macro_f1"].high) == (-1, 1)
    assert (found["kappa"].low, found["kappa"].high) == (-2, 2)
    assert found["f1_target"].p == pytest.approx(2 / 2**3)


@pytest.mark.parametrize("positives", [5, 15])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_equal_classifiers_are_seldom_called_different(positives: int, level: float) -> None:
    """See `benchmarks/paired_errors.py` for larger numbers, and for clustered photographs."""
    rng = np.random.default_rng([positives, int(10 * level)])
    target = np.arange(5 * positives) < positives
    wrong = dict.fromkeys(COMPARED, 0)
    sets = 25
    for _ in range(sets):
        pair = []
        for _ in range(2):
            right = rng.random(len(target)) < np.where(target, level, 0.9)
            certain = 0.5 + 0.5 * rng.random(len(target))
            pair.append(two_classes(target, np.where(right == target, certain, 1 - certain)))
        for found in paired_differences(pair[0], pair[1], bootstrap=100):
            wrong[found.metric] += found.p < 0.05
    # At a rate of 5 %, more than 4 of 25 have a probability below 1 %.
    assert max(wrong.values()) <= 4
