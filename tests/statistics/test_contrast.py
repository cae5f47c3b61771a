import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.contrast import hierarchical_contrast
from hzsynth.statistics.intervals import proportion_interval
from hzsynth.statistics.paired import non_inferiority
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


def _perfect(positives: int, lost: int, runs: int = 3) -> tuple[list[Answers], list[Answers]]:
    """The first arm misses some positives in every run; the second ranks all rightly."""
    target = np.arange(5 * positives) < positives
    rest = np.linspace(0.3, 0.4, len(target))
    missing = np.arange(len(target)) < lost
    first = two_classes(target, np.where(target & ~missing, 0.9, rest))
    return [first] * runs, [two_classes(target, np.where(target, 0.9, rest))] * runs


def test_arms_without_a_difference_prove_nothing_at_six_patients() -> None:
    found = hierarchical_contrast(*_perfect(6, 0), np.random.default_rng(0))
    assert found.difference.estimate == 0
    # Rule of three: with none of six lost, up to 39 % may be.
    assert found.difference.low < -0.2
    assert found.difference.high > 0.2
    assert not non_inferiority(found.difference, 0.05).shown
    assert found.difference.p_value > 0.9


def test_a_loss_that_six_patients_seldom_show_is_covered() -> None:
    """A true difference of -.06: each positive is lost with a chance of a tenth."""
    generator = np.random.default_rng(4)
    covered = shown = 0
    studies = 60
    for _ in range(studies):
        lost = int((generator.random(6) < 0.1).sum())
        found = hierarchical_contrast(*_perfect(6, lost), generator, replicates=200)
        covered += found.difference.low <= -0.06 <= found.difference.high
        shown += non_inferiority(found.difference, 0.05).shown
    # Before: 74 % covered, and "not worse by .05" shown in 26 %.
    assert covered >= 0.93 * studies
    assert shown <= 0.05 * studies


def test_the_ends_stay_within_what_is_possible() -> None:
    first, second = _perfect(5, 2)
    first = [first[0], second[0], first[0].select(np.arange(len(first[0])))]
    difference = hierarchical_contrast(first, second, np.random.default_rng(0)).difference
    # The second arm is perfect: it cannot be worse than 1 - .57 below the first, Wilson of 5 in 5.
    assert difference.high <= 1 - proportion_interval(5, 5)[0]
    assert difference.low >= -1


@pytest.mark.parametrize(("patients", "identifiable"), [(3, False), (4, True)])
def test_three_patients_say_nothing_of_others(patients: int, identifiable: bool) -> None:
    found = hierarchical_contrast(*_perfect(patients, 1), np.random.default_rng(0))
    assert found.identifiable is identifiable
    if not identifiable:
        assert (found.difference.low, found.difference.high) == (-1, 1)
        assert found.difference.p_value == 1
