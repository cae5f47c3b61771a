from typing import Any

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax

from hzsynth.classify.evaluate.calibration import (
    brier_score,
    calibration_error,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    operating_threshold,
    reliability_curve,
    softmax,
)
from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers


def simulated(
    n: Any, temperature: Any, seed: Any = 0, classes: Any = 4, sharpness: Any = 3.0
) -> Any:
    """Logits whose labels are drawn at softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharpness, (n, classes))
    chances = scipy_softmax(logits / temperature, axis=1)
    return logits, np.array([rng.choice(classes, p=p) for p in chances])


def test_softmax_is_scipys() -> None:
    logits = np.array([[0.0, 1.0, 700.0], [-3.0, 2.0, 1.0]])
    np.testing.assert_allclose(softmax(logits, 2.5), scipy_softmax(logits / 2.5, axis=1))


def test_calibration_error_of_two_bins_by_hand() -> None:
    # Four images at .9 of which two are right, one at .6 that is right: (4 * .4 + 1 * .4) / 5.
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]])
    truth = [0, 0, 1, 1, 0]
    assert expected_calibration_error(probabilities, truth) == pytest.approx(0.4)


def test_bins_of_equal_mass_hold_equally_many_images() -> None:
    logits, truth = simulated(90, 1.0)
    curve = reliability_curve(softmax(logits), truth, 9, "mass")
    assert curve.count.tolist() == [10] * 9
    assert (np.diff(curve.confidence) >= 0).all()


def test_one_bin_compares_mean_confidence_with_accuracy() -> None:
    logits, truth = simulated(50, 1.0)
    p = softmax(logits)
    expected = abs((p.argmax(1) == truth).mean() - p.max(1).mean())
    for binning in ("width", "mass"):
        assert expected_calibration_error(p, truth, 1, binning) == pytest.approx(expected)


def test_border_of_a_bin_belongs_to_the_bin_below() -> None:
    curve = reliability_curve([[0.6, 0.4], [0.61, 0.39]], [0, 0], bins=5)
    assert curve.count.tolist() == [1, 1]


def test_error_of_a_calibrated_classifier_lies_within_its_simulated_spread() -> None:
    logits, truth = simulated(3000, 1.0, seed=1)
    p = softmax(logits)
    rng = np.random.default_rng(2)
    spread = []
    for _ in range(50):
        drawn = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        spread.append(expected_calibration_error(p, drawn))
    found = expected_calibration_error(p, truth)
    assert found < 0.03
    assert min(spread) * 0.8 < found < max(spread) * 1.2


def answered(n: Any, temperature: Any, seed: Any) -> Any:
    logits, truth = simulated(n, temperature, seed)
    names = tuple(str(i) for i in range(n))
    labels = ("a", "b", "c", "d")
    return Answers(names, names, truth, softmax(logits), labels, "a")


def test_the_interval_of_the_calibration_error_covers_and_chance_is_said() -> None:
    overconfident, seen = 2.5, []
    truth = expected_calibration_error(*softmaxed(60000, overconfident))
    for seed in range(60):
        found = calibration_error(answered(120, overconfident, seed), bootstrap=200)
        assert found.ece.low <= found.ece.value <= found.ece.high
        seen.append(found.ece.low <= truth <= found.ece.high)
    # At 95 %, fewer than 51 of 60 have a probability below 1 %.
    assert sum(seen) >= 51
    calm = calibration_error(answered(120, 1.0, 3), bootstrap=200)
    assert calm.ece.low < calm.if_calibrated
    assert 0.03 < calm.if_calibrated < 0.12


def softmaxed(n: Any, temperature: Any) -> Any:
    logits, truth = simulated(n, temperature, seed=99)
    return softmax(logits), truth


def test_brier_score_of_certainty_and_of_ignorance() -> None:
    assert brier_score([[1.0, 0.0]], [0]) == 0
    assert brier_score([[1.0, 0.0]], [1]) == 2
    assert brier_score([[0.25] * 4], [2]) == pytest.approx(0.75)


def test_log_likelihood_of_ignorance_is_log_of_the_classes() -> None:
    assert negative_log_likelihood(np.zeros((3, 5)), [0, 1, 2]) == pytest.approx(np.log(5))


@pytest.mark.parametrize("known", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(known: float) -> None:
    logits, truth = simulated(4000, known)
    fitted = fit_temperature(logits, truth)
    assert fitted.value == pytest.approx(known, rel=0.08)
    assert fitted.nll_after <= fitted.nll_before + 1e-6
    if known != 1:
        assert fitted.ece_after < fitted.ece_before
        assert fitted.brier_after < fitted.brier_before


def test_thirty_photographs_are_enough_for_a_sensible_temperature() -> None:
    values = [fit_temperature(*simulated(30, 2.0, seed=seed)).value for seed in range(30)]
    assert 1.5 < np.median(values) < 2.5
    assert min(values) > 0.7
    assert max(values) < 6


def test_the_prior_keeps_a_perfect_or_an_ignorant_validation_off_the_bounds() -> None:
    perfect = np.eye(3)[[0, 1, 2] * 10] * 4.0
    assert 0.1 < fit_temperature(perfect, [0, 1, 2] * 10).value < 1
    always_wrong = fit_temperature(perfect, [1, 2, 0] * 10).value
    assert 1 < always_wrong < 20
    assert fit_temperature(np.zeros((30, 3)), [0] * 30).value == pytest.approx(1, abs=1e-3)


def test_threshold_separates_what_can_be_separated() -> None:
    threshold = operating_threshold([0.1, 0.2, 0.6, 0.9], [False, False, True, True])
    assert threshold == pytest.approx(0.4)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    # Both 0.25 and 0.75 give J = .5; the lower one misses nothing.
    found = operating_threshold([0.1, 0.3, 0.7, 0.8], [False, True, False, True])
    assert found == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fit_temperature(np.zeros((0, 2)), []), "at least one image"),
        (lambda: fit_temperature([[np.nan, 0.0]], [0]), "no number"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [2]), "0 to 1"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [0], 0), "at least one bin"),
        (lambda: operating_threshold([0.5], [True]), "of others"),
    ],
)
def test_wrong_use_is_refused_with_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
