"""The answer in one sentence: synthetic images help, hurt, or this n cannot tell."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm
from hzsynth.statistics.contrast import Contrast
from hzsynth.statistics.metric_intervals import FEWEST_PATIENTS

Answer = Literal["helps", "hurts", "inconclusive"]
MINIMUM_RUNS = 3
"""Fewer runs than this never give an answer: with two, the interval's simulated error of the
first kind reached 9 % instead of 5 % where retraining dominates the doubt."""
_NORMAL_FOR_POWER_80 = 1.96 + 0.84


@dataclass(frozen=True)
class Verdict:
    """The answer and what it rests on.

    Attributes:
        answer: helps, hurts or inconclusive.
        sentence: the answer for people, with effect and interval.
        detail: numbers of images and runs, and what would be needed to tell.
    """

    answer: Answer
    sentence: str
    detail: str


def _interval(contrast: Contrast, confidence: float) -> str:
    d = contrast.difference
    return f"{d.estimate:+.3f} ({confidence:.0%} interval {d.low:+.3f} to {d.high:+.3f})"


def answer_of(contrast: Contrast) -> Answer:
    """Helps or hurts only when the interval excludes 0 and there were enough runs and patients."""
    if contrast.runs < MINIMUM_RUNS or not contrast.identifiable:
        return "inconclusive"
    if contrast.difference.low > 0:
        return "helps"
    return "hurts" if contrast.difference.high < 0 else "inconclusive"


def needed_for(contrast: Contrast, effect: float) -> tuple[int, int]:
    """Test positives and runs that would show an effect with a power of 80 %.

    Both parts of the variance fall with their numbers, so both numbers grow by one factor.

    Args:
        contrast: where the present variance comes from.
        effect: the difference in average precision that matters, positive.

    Returns:
        Test images of the target class, and runs of each arm; never fewer than now.
    """
    run_variance = 0.0 if math.isnan(contrast.run_variance) else contrast.run_variance
    wanted = (effect / _NORMAL_FOR_POWER_80) ** 2
    factor = max(1.0, (contrast.patient_variance + run_variance) / wanted)
    runs = max(MINIMUM_RUNS, math.ceil(contrast.runs * factor))
    return math.ceil(contrast.positives * factor), runs


def _basis(contrast: Contrast) -> str:
    patients = (
        f" from {contrast.positive_patients} patients"
        if contrast.positive_patients < contrast.positives
        else ""
    )
    return (
        f"n = {contrast.positives} test photographs of the target class{patients} among "
        f"{contrast.images}; {contrast.runs} runs of each arm on one split; paired bootstrap "
        f"over patients and runs ({contrast.replicates} replicates)."
    )


def _needed(contrast: Contrast, effect: float) -> str:
    positives, runs = needed_for(contrast, effect)
    return (
        f" To see a difference of {effect:g} in average precision with a power of 80%, about "
        f"{positives} test positives and {runs} runs would be needed at the present spread."
    )


def _arms(by_run: Sequence[AblationArm]) -> str:
    """The arms that were compared: one, or how often each."""
    counted = Counter(by_run).most_common()
    if len(counted) == 1:
        arm = by_run[0]
        return (
            f"{arm.ratio:g} synthetic images per real one ({arm.generator}, chosen on validation)"
        )
    each = ", ".join(f"{arm.title} in {count}" for arm, count in counted)
    return f"the arm chosen on validation ({each} of {len(by_run)} runs)"


def judge(
    contrast: Contrast | None, by_run: Sequence[AblationArm], config: AblateConfig
) -> Verdict:
    """Words the verdict on the one contrast that was named beforehand.

    Args:
        contrast: the validation-chosen synthetic arms minus pure augmentation; None when no
            synthetic arm was run.
        by_run: these arms, run by run.
        config: the ablation's settings.

    Returns:
        The verdict.
    """
    if contrast is None:
        sentence = "Inconclusive: no arm with synthetic images was run."
        return Verdict("inconclusive", sentence, "Give a synthetic set and a ratio above 0.")
    answer, what = answer_of(contrast), _arms(by_run)
    detail = _basis(contrast)
    if not contrast.identifiable:
        sentence = (
            f"Not identifiable: the test photographs of the class come from "
            f"{contrast.positive_patients} patients, and fewer than {FEWEST_PATIENTS} say nothing "
            f"about others. With {what}, average precision changed by "
            f"{contrast.difference.estimate:+.3f} on these."
        )
        detail += (
            " What would help: a larger test share ('hzsynth data split --ratios 50/20/30'), or more "
            "patients of the class; 'hzsynth ablate plan' says what a test set can find."
        )
        return Verdict(answer, sentence, detail)
    against = f"real ×{config.multiplier} augmented"
    interval = _interval(contrast, config.confidence)
    sentence = {
        "helps": f"Synthetic images help: with {what}, average precision rises by {interval} over "
        f"{against}.",
        "hurts": f"Synthetic images hurt: with {what}, average precision changes by {interval} "
        f"against {against}.",
        "inconclusive": f"Inconclusive at this n: with {what}, average precision changes by "
        f"{interval} against {against}.",
    }[answer]
    if contrast.runs < MINIMUM_RUNS:
        detail += f" Fewer than {MINIMUM_RUNS} runs never give an answer."
    if answer == "inconclusive":
        detail += _needed(contrast, config.margin)
    return Verdict(answer, sentence, detail)
