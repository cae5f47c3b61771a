import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from hzsynth.classify.evaluate.target_prior import corrected_prior, fit_shift, shifted
from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from tests.statistics.scenes import two_classes


def filled(seed: int, count: int, shift: float = 2.3) -> Answers:
    """A classifier that is right but for a class that it takes to be ten times as frequent."""
    rng = np.random.default_rng(seed)
    target = rng.random(count) < 0.15
    evidence = rng.normal(np.where(target, 1.5, -1.5), np.sqrt(3))
    return two_classes(target, expit(evidence + logit(0.15) + shift))


def test_a_known_shift_is_taken_back() -> None:
    assert fit_shift(filled(0, 4000)) == pytest.approx(-2.3, abs=0.25)
    assert fit_shift(filled(0, 4000, shift=0.0)) == pytest.approx(0.0, abs=0.25)


def test_the_shift_is_a_logistic_regression_with_one_free_number() -> None:
    # Scikit-learn's intercept with the log-odds as a fixed part: by a large, unpenalised copy.
    answers = filled(1, 300)
    odds = logit(answers.score)
    shift = fit_shift(answers)
    gradient = (answers.is_target - expit(odds + shift)).sum() - shift / 4
    assert gradient == pytest.approx(0, abs=1e-2)
    free = LogisticRegression(C=1e6).fit(odds[:, None], answers.is_target)
    assert free.coef_[0, 0] == pytest.approx(1, abs=0.35)


def test_thirty_photographs_that_are_all_right_give_a_finite_shift() -> None:
    target = np.arange(30) < 4
    assert abs(fit_shift(two_classes(target, np.where(target, 0.999, 0.001)))) < 1
    with pytest.raises(InputError, match="of the target class and of others"):
        fit_shift(two_classes(np.zeros(5), np.zeros(5)))


def test_the_order_stays_and_the_others_keep_their_proportions() -> None:
    rng = np.random.default_rng(0)
    answers = Answers(
        images=tuple("abcdef"),
        patients=tuple("abcdef"),
        truth=np.array([0, 1, 2, 0, 1, 2]),
        probabilities=rng.dirichlet(np.ones(3), 6),
        labels=("eczema", "tinea", "zoster"),
        label="zoster",
    )
    moved = shifted(answers, -1.5)
    np.testing.assert_allclose(moved.probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(np.argsort(moved.score), np.argsort(answers.score))
    np.testing.assert_allclose(logit(moved.score), logit(answers.score) - 1.5)
    ratio = answers.probabilities[:, 0] / answers.probabilities[:, 1]
    np.testing.assert_allclose(moved.probabilities[:, 0] / moved.probabilities[:, 1], ratio)
    np.testing.assert_allclose(shifted(answers, 0.0).probabilities, answers.probabilities)


def test_precision_comes_back_where_the_class_was_filled() -> None:
    validation, test = filled(2, 200), filled(3, 600)
    corrected = corrected_prior(validation, test, bootstrap=100)
    before = test.is_target[test.called_target].mean()
    assert corrected.shift < -1
    assert (corrected.photographs, corrected.positives) == (200, validation.is_target.sum())
    assert corrected.metrics["precision_target"].value > before + 0.2
    assert corrected.metrics["accuracy"].value > test.right.mean()
