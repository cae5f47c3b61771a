"""Compares the arms of an ablation: one contrast named beforehand, the rest described.

Named beforehand is the contrast of the ratio chosen on validation against pure augmentation
(ratio 0), in average precision on the real test images. All other comparisons with ratio 0
carry p-values adjusted after Holm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hzsynth.ablate.cells import CellResult
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AUGMENTED, AblationArm
from hzsynth.ablate.verdict import Verdict, judge
from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.contrast import Contrast, hierarchical_contrast
from hzsynth.statistics.paired import (
    AreaComparison,
    NonInferiority,
    delong,
    exact_mcnemar,
    holm,
    non_inferiority,
)

METRIC = "average_precision_target"


@dataclass(frozen=True)
class SecondLook:
    """The chosen arm against ratio 0 by other tests, on the mean of the runs' probabilities.

    Attributes:
        areas: DeLong's comparison of the AUROC.
        recall_won: test positives that only the chosen arm finds (majority of the runs).
        recall_lost: test positives that only ratio 0 finds.
        recall_p: exact McNemar p-value of these.
    """

    areas: AreaComparison | None
    recall_won: int
    recall_lost: int
    recall_p: float


@dataclass(frozen=True)
class Analysis:
    """The comparison of all arms.

    Attributes:
        arms: the arms, in the order of the plan.
        chosen: the synthetic arm with the best mean average precision on validation.
        contrasts: arm's name -> its contrast with ratio 0.
        adjusted: arm's name -> p-value adjusted after Holm, over the synthetic arms.
        second_look: other tests of the chosen arm.
        equal_enough: whether the chosen arm is at most the stated margin worse.
        verdict: the answer.
    """

    arms: tuple[AblationArm, ...]
    chosen: AblationArm | None
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
        if self.chosen is not None:
            contrast = self.contrasts[self.chosen.name]
            values |= {
                "arm": self.chosen.name,
                "generator": self.chosen.generator,
                "ratio": self.chosen.ratio,
                "metric": METRIC,
                "effect": contrast.difference.estimate,
                "low": contrast.difference.low,
                "high": contrast.difference.high,
                "p_value": contrast.difference.p_value,
                "runs": contrast.runs,
                "test_positives": contrast.positives,
                "test_images": contrast.images,
            }
        if self.equal_enough is not None:
            values["not_worse_by_margin"] = self.equal_enough.shown
            values["margin"] = self.equal_enough.margin
        return values


def choose_arm(cells: Sequence[CellResult]) -> AblationArm | None:
    """The synthetic arm with the best mean average precision on validation.

    Of equal ones the smaller ratio is taken. The test images have no say.
    """
    found: dict[AblationArm, list[float]] = {}
    for cell in cells:
        if cell.cell.arm.generator:
            found.setdefault(cell.cell.arm, []).append(cell.validation_metrics()[METRIC])
    return min(
        found, key=lambda arm: (-round(float(np.mean(found[arm])), 9), arm.ratio), default=None
    )


def _tests_by_arm(cells: Sequence[CellResult]) -> dict[AblationArm, list[Answers]]:
    """What each arm's classifiers said of the test photographs, run by run."""
    found: dict[AblationArm, list[Answers]] = {}
    for cell in sorted(cells, key=lambda result: result.cell.seed):
        found.setdefault(cell.cell.arm, []).append(cell.answers.test)
    return found


def _second_look(first: Sequence[Answers], second: Sequence[Answers]) -> SecondLook:
    target = first[0].is_target
    mean_first = np.mean([said.score for said in first], axis=0)
    mean_second = np.mean([said.score for said in second], axis=0)
    found_first = np.mean([said.called_target for said in first], axis=0)[target] > 0.5
    found_second = np.mean([said.called_target for said in second], axis=0)[target] > 0.5
    # DeLong's variance needs two images of each kind.
    enough = min(int(target.sum()), int((~target).sum())) >= 2
    return SecondLook(
        areas=delong(target, mean_first, mean_second) if enough else None,
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
    contrasts = {
        arm.name: hierarchical_contrast(
            tests[arm],
            tests[augmented],
            numpy_generator(config.seed, "contrast"),
            replicates=config.replicates,
            confidence=config.confidence,
        )
        for arm in arms
        if arm != augmented
    }
    synthetic = [arm.name for arm in arms if arm.generator]
    p_values = holm([contrasts[name].difference.p_value for name in synthetic])
    chosen = choose_arm(cells)
    contrast = contrasts[chosen.name] if chosen is not None else None
    return Analysis(
        arms=arms,
        chosen=chosen,
        contrasts=contrasts,
        adjusted=dict(zip(synthetic, p_values, strict=True)),
        second_look=(_second_look(tests[chosen], tests[augmented]) if chosen is not None else None),
        equal_enough=(
            non_inferiority(contrast.difference, config.margin) if contrast is not None else None
        ),
        verdict=judge(
            contrast,
            chosen,
            multiplier=config.multiplier,
            confidence=config.confidence,
            effect=config.margin,
        ),
    )
