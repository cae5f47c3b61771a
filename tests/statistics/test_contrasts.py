import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from hzsynth.core.errors import InputError
from hzsynth.statistics import contrasts as statistics
from hzsynth.statistics.bootstrap import hierarchical_contrast, weighted_average_precision
from hzsynth.statistics.intervals import proportion_interval
from hzsynth.statistics.predictions import Predictions, intervals, scores


def test_corrected_t_without_overlap_is_the_paired_t_test() -> None:
    values = [0.03, -0.01, 0.05, 0.02, 0.04]
    ours = statistics.corrected_t(values, test_to_train=0)
    theirs = stats.ttest_1samp(values, 0)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_corrected_t_widens_by_the_factor_of_nadeau_and_bengio() -> None:
    values = [0.03, -0.01, 0.05, 0.02, 0.04]
    plain = statistics.corrected_t(values, 0)
    corrected = statistics.corrected_t(values, 0.25)
    factor = math.sqrt((1 / 5 + 0.25) / (1 / 5))
    assert corrected.standard_error == pytest.approx(plain.standard_error * factor)


def test_a_t_test_of_one_value_is_refused() -> None:
    with pytest.raises(InputError, match="two differences"):
        statistics.corrected_t([0.1], 0.2)


def test_a_difference_without_spread_is_certain() -> None:
    assert statistics.t_difference(0.0, 0.0, 4).p_value == 1
    sure = statistics.t_difference(0.1, 0.0, 4)
    assert (sure.low, sure.high, sure.p_value) == (0.1, 0.1, 0)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 0), (6, 0), (10, 3), (2, 9)])
def test_exact_mcnemar_agrees_with_statsmodels(won: int, lost: int) -> None:
    theirs = mcnemar([[50, won], [lost, 20]], exact=True).pvalue
    assert statistics.exact_mcnemar(won, lost) == pytest.approx(theirs)


@pytest.mark.parametrize(("positives", "percent"), [(30, 10), (60, 31), (120, 63), (240, 93)])
def test_power_of_mcnemar_for_ten_points_of_recall(positives: int, percent: int) -> None:
    # Known beforehand (protocol, step 7) up to rounding: 10, 30, 63 and 93 %.
    assert round(100 * statistics.mcnemar_power(positives)) == percent


def test_fifteen_positives_can_find_nothing() -> None:
    assert 0.005 < statistics.mcnemar_power(15) < 0.0105


def test_power_agrees_with_enumeration() -> None:
    # 7 positives: every outcome of (won, lost, equal) is weighed one by one.
    won, lost, expected = 0.3, 0.1, 0.0
    for outcome in itertools.product("wle", repeat=7):
        wins, losses = outcome.count("w"), outcome.count("l")
        if wins > losses and stats.binomtest(wins, wins + losses).pvalue <= 0.05:
            expected += won**wins * lost**losses * (1 - won - lost) ** (7 - wins - losses)
    assert statistics.mcnemar_power(7, gain=0.2, lost=0.1) == pytest.approx(expected)


def test_the_number_needed_is_the_smallest_with_that_power() -> None:
    needed = statistics.positives_for_power(0.8)
    assert needed is not None
    assert statistics.mcnemar_power(needed) >= 0.8 > statistics.mcnemar_power(needed - 10)
    assert statistics.positives_for_power(0.8, gain=0.01, most=100) is None


def _delong_by_pairs(truth: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """DeLong 1988 as written: the kernel over all pairs of a positive and a negative."""

    def kernel(s: np.ndarray) -> np.ndarray:
        x, y = s[truth][:, None], s[~truth][None]
        return (x > y) + 0.5 * (x == y)

    ka, kb = kernel(a), kernel(b)
    by_positive = np.stack([ka.mean(1), kb.mean(1)])
    by_negative = np.stack([ka.mean(0), kb.mean(0)])
    s = np.cov(by_positive) / ka.shape[0] + np.cov(by_negative) / ka.shape[1]
    contrast = np.array([1, -1])
    return ka.mean(), kb.mean(), math.sqrt(contrast @ s @ contrast)


def test_delong_agrees_with_the_pairwise_definition_and_sklearn() -> None:
    generator = np.random.default_rng(0)
    truth = np.arange(60) % 3 == 0
    a = np.round(truth + generator.normal(size=60), 1)  # rounding makes ties
    b = np.round(0.5 * truth + generator.normal(size=60), 1)
    ours = statistics.delong(truth, a, b)
    first, second, error = _delong_by_pairs(truth, a, b)
    assert (ours.first, ours.second) == pytest.approx((first, second))
    assert ours.first == pytest.approx(roc_auc_score(truth, a))
    assert ours.difference.standard_error == pytest.approx(error)
    z = (first - second) / error
    assert ours.difference.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_delong_of_equal_scores_finds_nothing() -> None:
    truth = np.arange(20) % 2 == 0
    score = np.linspace(0, 1, 20)
    assert statistics.delong(truth, score, score).difference.p_value == 1
    with pytest.raises(InputError, match="two images"):
        statistics.delong([True, False, False], [1, 0, 0], [1, 0, 0])


def test_holm_by_hand() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []


def test_non_inferiority_needs_a_narrow_interval_not_a_large_p() -> None:
    vague = statistics.t_difference(0.0, 0.10, 10)
    narrow = statistics.t_difference(-0.01, 0.01, 10)
    assert vague.p_value == 1
    assert not statistics.non_inferiority(vague, 0.05).shown
    shown = statistics.non_inferiority(narrow, 0.05)
    assert shown.shown
    assert shown.bound == pytest.approx(-0.01 - stats.t.ppf(0.95, 10) * 0.01)
    assert shown.p_value == pytest.approx(stats.t.sf(4, 10))
    with pytest.raises(InputError, match="margin"):
        statistics.non_inferiority(narrow, 0.0)


def test_weighted_average_precision_agrees_with_sklearn() -> None:
    generator = np.random.default_rng(0)
    target = np.arange(50) % 4 == 0
    score = np.round(target + generator.normal(size=50), 1)
    weights = generator.integers(0, 4, (6, 50)).astype(float)
    ours = weighted_average_precision(target, score, weights)
    theirs = [average_precision_score(target, score, sample_weight=w) for w in weights]
    np.testing.assert_allclose(ours, theirs)


def _simulated(
    generator: np.random.Generator, shift: float, run_spread: float, positives: int = 20
) -> tuple[list[Predictions], list[Predictions]]:
    count = positives * 5
    target = np.arange(count) < positives
    names = tuple(f"{i:03d}" for i in range(count))
    base = generator.normal(size=count) + target
    own = generator.normal(size=(2, count)) * 0.5
    arms: tuple[list[Predictions], list[Predictions]] = ([], [])
    for _ in range(4):
        for arm in (0, 1):
            separation = run_spread * generator.normal() + (shift if arm == 0 else 0)
            noise = generator.normal(size=count) * 0.3
            score = base + own[arm] + noise + separation * target
            arms[arm].append(Predictions(names, names, target, score > 1, score))
    return arms


@pytest.mark.parametrize("run_spread", [0.0, 0.4])
def test_the_contrast_rarely_cries_wolf(run_spread: float) -> None:
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(150):
        first, second = _simulated(generator, 0.0, run_spread)
        d = hierarchical_contrast(first, second, generator, replicates=120).difference
        wrong += not d.low <= 0 <= d.high
    # At a true rate of 5 %, more than 15 of 150 has a probability below 1 %.
    assert wrong <= 15


def test_the_contrast_finds_a_clear_gain_and_is_antisymmetric() -> None:
    first, second = _simulated(np.random.default_rng(0), 2.0, 0.1)
    forward = hierarchical_contrast(first, second, np.random.default_rng(5))
    backward = hierarchical_contrast(second, first, np.random.default_rng(5))
    assert forward.difference.low > 0
    assert forward.difference.estimate == pytest.approx(-backward.difference.estimate)
    assert forward.difference.low == pytest.approx(-backward.difference.high)
    expected = np.mean(
        [
            average_precision_score(a.target, a.probability)
            - average_precision_score(b.target, b.probability)
            for a, b in zip(first, second, strict=True)
        ]
    )
    assert forward.difference.estimate == pytest.approx(expected)


def test_the_patients_are_drawn_not_the_images() -> None:
    first, second = _simulated(np.random.default_rng(0), 0.5, 0.0)

    def merged(runs: list[Predictions]) -> list[Predictions]:
        # Four copies of every image, of the same patient, add no knowledge.
        return [
            Predictions(
                p.images * 4,
                p.groups * 4,
                np.tile(p.target, 4),
                np.tile(p.predicted, 4),
                np.tile(p.probability, 4),
            )
            for p in runs
        ]

    single = hierarchical_contrast(first, second, np.random.default_rng(2))
    copied = hierarchical_contrast(merged(first), merged(second), np.random.default_rng(2))
    assert copied.positives == 4 * single.positives
    assert copied.positive_patients == single.positive_patients
    assert copied.difference.standard_error == pytest.approx(single.difference.standard_error)


def test_runs_that_do_not_pair_up_are_refused() -> None:
    first, second = _simulated(np.random.default_rng(0), 0.0, 0.0, positives=5)
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match="as many runs"):
        hierarchical_contrast(first, second[:-1], generator)
    other, _ = _simulated(np.random.default_rng(0), 0.0, 0.0, positives=6)
    with pytest.raises(InputError, match="same test images"):
        hierarchical_contrast(first, other, generator)


def test_scores_by_hand() -> None:
    predictions = Predictions(
        tuple("abcde"),
        tuple("abcde"),
        np.array([True, True, False, False, False]),
        np.array([True, False, True, False, False]),
        np.array([0.9, 0.4, 0.6, 0.3, 0.1]),
    )
    values = scores(predictions)
    assert values["recall"] == values["precision"] == values["f1"] == 0.5
    assert values["specificity"] == pytest.approx(2 / 3)
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["auroc"] == pytest.approx(5 / 6)
    assert values["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert intervals(predictions)["recall"] == proportion_interval(1, 2)


def test_predictions_survive_a_table_and_refuse_nonsense() -> None:
    first, _ = _simulated(np.random.default_rng(0), 0.0, 0.0, positives=3)
    again = Predictions.from_frame(first[0].frame())
    np.testing.assert_array_equal(again.probability, first[0].probability)
    assert again.images == first[0].images
    target = np.array([True, False])
    with pytest.raises(InputError, match="no number"):
        Predictions(("a", "b"), ("a", "b"), target, target, np.array([np.nan, 0]))
    with pytest.raises(InputError, match="target class"):
        Predictions(("a", "b"), ("a", "b"), ~np.zeros(2, bool), target, np.zeros(2))
    with pytest.raises(InputError, match="one value"):
        Predictions(("a",), ("a", "b"), target, target, np.zeros(2))
    with pytest.raises(InputError, match="lacks"):
        Predictions.from_frame(first[0].frame().drop(columns="group"))
