from pathlib import Path

import numpy as np
import pytest

from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.operating_point import operating_point, threshold_for_sensitivity
from hzsynth.classify.models import load_classifier
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import saved_run


def test_the_highest_threshold_that_finds_the_wanted_share() -> None:
    probability = [0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.1]
    positive = [True, True, False, True, False, True, False]
    # Half of four positives: the two highest; the third lies at .6, the photograph below .8 at .7.
    assert threshold_for_sensitivity(probability, positive, 0.5) == pytest.approx(0.75)
    assert threshold_for_sensitivity(probability, positive, 0.75) == pytest.approx(0.575)
    assert threshold_for_sensitivity(probability, positive, 1.0) == pytest.approx(0.3)


@pytest.mark.parametrize("sensitivity", [0.05, 0.5, 0.9, 0.95, 1.0])
def test_it_is_the_best_of_all_thresholds(sensitivity: float) -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(60) < 0.4
    probability = np.round(np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1), 2)
    found = threshold_for_sensitivity(probability, positive, sensitivity)
    assert (probability[positive] >= found).mean() >= sensitivity - 1e-9
    higher = sorted(v for v in set(probability) if v > found)
    # Every threshold that calls fewer photographs finds too few.
    if len(higher) > 1:
        assert (probability[positive] >= higher[1]).mean() < sensitivity


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(InputError, match="`sensitivity` is above 0"):
        threshold_for_sensitivity([0.1, 0.9], [False, True], 0.0)
    with pytest.raises(InputError, match="of the target class and others"):
        threshold_for_sensitivity([0.1, 0.9], [True, True], 0.9)


def test_the_point_is_chosen_on_validation_and_judged_on_test(
    photographs: ImageSet, tmp_path: Path
) -> None:
    classifier = load_classifier(saved_run(tmp_path / "run", photographs))
    validation, test = (
        answers_of(classifier, photographs.select(split)) for split in ("val", "test")
    )
    point = operating_point(validation, test, 0.9)
    assert point.threshold == threshold_for_sensitivity(validation.score, validation.is_target, 0.9)
    assert point.metrics["recall_target"].value == 1
    assert point.confusion == ((3, 0), (0, 3))
    # Three validation photographs prove no sensitivity of .9, and that is said.
    assert any("cannot prove" in remark for remark in point.remarks)
