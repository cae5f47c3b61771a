"""Compares the arms of an ablation: one contrast named beforehand, the rest described.

Named beforehand is the contrast of the arm chosen on validation against pure augmentation
(ratio 0), in average precision on the real test images. The arm of a run is chosen on the
other runs: a training that turned out well would flatter its arm on validation and on test
alike, and the best of a dozen arms would seem to help where nothing does. All other comparisons
with ratio 0 carry p-values adjusted after Holm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hzsynth.ablate.cells import CellResult
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AUGMENTED, AblationArm
from hzsynth.ablate.verdict import Verdict, judge
from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.choice import best_place, places_by_run, variance_of_choice
from hzsynth.statistics.classification import auroc, average_precision
from hzsynth.statistics.contrast import Contrast, hierarchical_contrast
from hzsynth.statistics.paired import NonInferiority, exact_mcnemar, holm, non_inferiority
from hzsynth.statistics.paired_metrics import PairedDifference, paired_differences

METRIC = "average_precision_target"


@dataclass(frozen=True)
class SecondLook:
    """The chosen arm against ratio 0 by other tests, on the mean of the runs' probabilities.

    Attributes:
        areas: AUROC of the chosen arm and of ratio 0.
        difference: of these, first minus second.
        recall_won: test positives that only the chosen arm finds (majority of the runs).
        recall_lost: test positives that only ratio 0 finds.
        recall_p: exact McNemar p-value of these.
    """

    areas: tuple[float, float]
    difference: PairedDifference
    recall_won: int
    recall_lost: int
    recall_p: float


@dataclass(frozen=True)
class Analysis:
    """The comparison of all arms.

    Attributes:
        arms: the arms, in the order of the plan.
        chosen: the synthetic arm with the best mean average precision on validation, all runs
            taken together: the one to use.
        chosen_by_run: for each run the arm chosen on the other runs.
        decisive: the contrast of these with ratio 0, on which the verdict rests.
        contrasts: arm's name -> its contrast with ratio 0.
        adjusted: arm's name -> p-value adjusted after Holm, over the synthetic arms.
        second_look: other tests of the arms chosen.
        equal_enough: whether the arms chosen are at most the stated margin worse.
        verdict: the answer.
    """

    arms: tuple[AblationArm, ...]
    chosen: AblationArm | None
    chosen_by_run: tuple[AblationArm, ...]
    decisive: Contrast | None
    contrasts: Mapping[str, Contrast]
    adjusted: Mapping[str, float]
    second_look: SecondLook | None
    equal_enough: NonInferiority | None
    verdict: Verdict

    def summary(self) -> dict[str, Any]:
        """The result as plain values, for the run's finished mark and for --json."""
        values: dict[str, Any] = {
            "verdict": self.verdict.answer,
            "sentence": self.verdict.sentence,
            "detail": self.verdict.detail,
        }
        contrast = self.decisive
        if self.chosen is not None and contrast is not None:
            values |= {
                "arm": self.chosen.name,
                "generator": self.chosen.generator,
                "ratio": self.chosen.ratio,
                "arms_by_run": [arm.name for arm in self.chosen_by_run],
                "metric": METRIC,
                "effect": contrast.difference.estimate,
                "low": contrast.difference.low,
                "high": contrast.difference.high,
                "p_value": contrast.difference.p_value,
                "runs": contrast.runs,
                "test_positives": contrast.positives,
                "test_images": contrast.images,
                "identifiable": contrast.identifiable,
            }
        if self.equal_enough is not None:
            values["not_worse_by_margin"] = self.equal_enough.shown
            values["margin"] = self.equal_enough.margin
        return values


def choose_arm(cells: Sequence[CellResult]) -> AblationArm | None:
    """The synthetic arm with the best mean average precision on validation, over all runs.

    Of equal ones the smaller ratio is taken. The test images have no say.
    """
    arms = _synthetic(cells)
    return arms[best_place(_figures(cells, arms, "validation"))] if arms else None


def choose_by_run(cells: Sequence[CellResult]) -> tuple[AblationArm, ...]:
    """For each run, in their order, the arm chosen on the validation figures of the other runs.

    With a single run there are no others, and its own figures choose. Without a synthetic arm
    nothing is chosen.
    """
    arms = _synthetic(cells)
    places = places_by_run(_figures(cells, arms, "validation")) if arms else ()
    return tuple(arms[place] for place in places)


def _synthetic(cells: Sequence[CellResult]) -> list[AblationArm]:
    """The arms with a generator, smaller ratios first: of equal arms the first is chosen."""
    arms = dict.fromkeys(cell.cell.arm for cell in cells if cell.cell.arm.generator)
    return sorted(arms, key=lambda arm: arm.ratio)


def _figures(
    cells: Sequence[CellResult], arms: Sequence[AblationArm], part: Literal["validation", "test"]
) -> NDArray[np.float64]:
    """Average precision of these arms (rows) in each run (columns)."""
    found: dict[AblationArm, dict[int, float]] = {}
    for result in cells:
        if result.cell.arm in arms:
            answers = result.answers
            said = answers.validation if part == "validation" else answers.test
            value = float(average_precision(said.is_target, said.score)[0])
            found.setdefault(result.cell.arm, {})[result.cell.seed] = value
    return np.array([[found[arm][run] for run in sorted(found[arm])] for arm in arms])


def decisive_contrast(cells: Sequence[CellResult], config: AblateConfig) -> Contrast | None:
    """The arms chosen run by run against ratio 0, with the doubt of that choice.

    Args:
        cells: of the ablation; ratio 0 is among them.
        config: the ablation's settings.

    Returns:
        The contrast; None without a synthetic arm.
    """
    arms, tests = _synthetic(cells), _tests_by_arm(cells)
    if not arms:
        return None
    baseline = next(arm for arm in tests if arm.name == AUGMENTED)
    validation = _figures(cells, arms, "validation")
    chosen = [tests[arms[place]][run] for run, place in enumerate(places_by_run(validation))]
    differences = _figures(cells, arms, "test") - _figures(cells, [baseline], "test")
    return hierarchical_contrast(
        chosen,
        tests[baseline],
        numpy_generator(config.seed, "contrast"),
        replicates=config.replicates,
        confidence=config.confidence,
        run_variance=variance_of_choice(validation, differences),
    )


def _tests_by_arm(cells: Sequence[CellResult]) -> dict[AblationArm, list[Answers]]:
    """What each arm's classifiers said of the test photographs, run by run."""
    found: dict[AblationArm, list[Answers]] = {}
    for cell in sorted(cells, key=lambda result: result.cell.seed):
        found.setdefault(cell.cell.arm, []).append(cell.answers.test)
    return found


def _mean_of(runs: Sequence[Answers]) -> Answers:
    return replace(runs[0], probabilities=np.mean([said.probabilities for said in runs], axis=0))


def _second_look(
    first: Sequence[Answers], second: Sequence[Answers], config: AblateConfig
) -> SecondLook:
    target = first[0].is_target
    means = _mean_of(first), _mean_of(second)
    differences = paired_differences(*means, seed=config.seed, bootstrap=config.replicates)
    found_first = np.mean([said.called_target for said in first], axis=0)[target] > 0.5
    found_second = np.mean([said.called_target for said in second], axis=0)[target] > 0.5
    one, two = (float(auroc(target, mean.score)[0]) for mean in means)
    return SecondLook(
        areas=(one, two),
        difference=next(d for d in differences if d.metric == "auroc_target"),
        recall_won=int((found_first & ~found_second).sum()),
        recall_lost=int((~found_first & found_second).sum()),
        recall_p=exact_mcnemar(found_first, found_second),
    )


def analyse(cells: Sequence[CellResult], config: AblateConfig) -> Analysis:
    """Compares every arm with pure augmentation and words the verdict.

    Args:
        cells: of the ablation, in the order of the plan.
        config: the ablation's settings.

    Returns:
        The analysis; equal arguments give equal numbers.

    Raises:
        InputError: ratio 0 is missing, or the runs of two arms do not pair up.
    """
    tests = _tests_by_arm(cells)
    arms = tuple(dict.fromkeys(cell.cell.arm for cell in cells))
    augmented = next((arm for arm in arms if arm.name == AUGMENTED), None)
    if augmented is None:
        raise InputError("the ablation has no arm with ratio 0, against which all is compared")
    baseline = tests[augmented]

    def against_augmented(runs: Sequence[Answers]) -> Contrast:
        return hierarchical_contrast(
            runs,
            baseline,
            numpy_generator(config.seed, "contrast"),
            replicates=config.replicates,
            confidence=config.confidence,
        )

    contrasts = {arm.name: against_augmented(tests[arm]) for arm in arms if arm != augmented}
    synthetic = [arm.name for arm in arms if arm.generator]
    p_values = holm([contrasts[name].difference.p_value for name in synthetic])
    by_run = choose_by_run(cells)
    chosen = [tests[arm][run] for run, arm in enumerate(by_run)]
    decisive = decisive_contrast(cells, config)
    return Analysis(
        arms=arms,
        chosen=choose_arm(cells),
        chosen_by_run=by_run,
        decisive=decisive,
        contrasts=contrasts,
        adjusted=dict(zip(synthetic, p_values, strict=True)),
        second_look=_second_look(chosen, baseline, config) if chosen else None,
        equal_enough=_equal_enough(decisive, config.margin),
        verdict=judge(decisive, by_run, config),
    )


def _equal_enough(contrast: Contrast | None, margin: float) -> NonInferiority | None:
    if contrast is None:
        return None
    if not contrast.identifiable:
        return NonInferiority(False, margin, -1.0, 1.0)
    return non_inferiority(contrast.difference, margin)
