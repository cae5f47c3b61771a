import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.contrast import hierarchical_contrast
from tests.statistics.scenes import two_classes


def _simulated(
    generator: np.random.Generator, shift: float, run_spread: float, positives: int = 20
) -> tuple[list[Answers], list[Answers]]:
    count = positives * 5
    target = np.arange(count) < positives
    base = generator.normal(size=count) + target
    own = generator.normal(size=(2, count)) * 0.5
    arms: tuple[list[Answers], list[Answers]] = ([], [])
    for _ in range(4):
        for arm in (0, 1):
            separation = run_spread * generator.normal() + (shift if arm == 0 else 0)
            noise = generator.normal(size=count) * 0.3
            score = base + own[arm] + noise + separation * target
            arms[arm].append(two_classes(target, score))
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
            average_precision_score(a.is_target, a.score)
            - average_precision_score(b.is_target, b.score)
            for a, b in zip(first, second, strict=True)
        ]
    )
    assert forward.difference.estimate == pytest.approx(expected)


def test_the_patients_are_drawn_not_the_images() -> None:
    first, second = _simulated(np.random.default_rng(0), 0.5, 0.0)

    def merged(runs: list[Answers]) -> list[Answers]:
        # Four copies of every image, of the same patient, add no knowledge.
        return [answers.select(np.tile(np.arange(len(answers)), 4)) for answers in runs]

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
    with pytest.raises(InputError, match="same photographs"):
        hierarchical_contrast(first, other, generator)
