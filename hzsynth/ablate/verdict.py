"""The answer in one sentence: synthetic images help, hurt, or this n cannot tell."""

import math
from dataclasses import dataclass
from typing import Literal

from hzsynth.ablate.design import AblationArm
from hzsynth.statistics.contrast import Contrast
from hzsynth.statistics.power import positives_for_power

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
    """Helps or hurts only when the interval excludes 0 and there were enough runs."""
    if contrast.runs < MINIMUM_RUNS:
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
    recall = positives_for_power(0.8)
    text = (
        f" To see a difference of {effect:g} in average precision with a power of 80%, about "
        f"{positives} test positives and {runs} runs would be needed at the present spread"
    )
    if recall is not None:
        text += f"; ten points of recall on one classifier need about {recall} test positives"
    return text + "."


def judge(
    contrast: Contrast | None,
    chosen: AblationArm | None,
    *,
    multiplier: int,
    confidence: float,
    effect: float = 0.05,
) -> Verdict:
    """Words the verdict on the one contrast that was named beforehand.

    Args:
        contrast: the validation-chosen synthetic arm minus pure augmentation; None when no
            synthetic arm was run.
        chosen: that arm, or None.
        multiplier: images per real one in every filled arm.
        confidence: of the interval.
        effect: the difference in average precision that matters.

    Returns:
        The verdict.
    """
    if contrast is None or chosen is None:
        sentence = "Inconclusive: no arm with synthetic images was run."
        return Verdict("inconclusive", sentence, "Give a synthetic set and a ratio above 0.")
    answer = answer_of(contrast)
    what = (
        f"{chosen.ratio:g} synthetic images per real one ({chosen.generator}, chosen on validation)"
    )
    against = f"real ×{multiplier} augmented"
    interval = _interval(contrast, confidence)
    if answer == "helps":
        sentence = f"Synthetic images help: with {what}, average precision rises by {interval} over {against}."
    elif answer == "hurts":
        sentence = f"Synthetic images hurt: with {what}, average precision changes by {interval} against {against}."
    else:
        sentence = f"Inconclusive at this n: with {what}, average precision changes by {interval} against {against}."
    detail = _basis(contrast)
    if contrast.runs < MINIMUM_RUNS:
        detail += f" Fewer than {MINIMUM_RUNS} runs never give an answer."
    if answer == "inconclusive":
        detail += _needed(contrast, effect)
    return Verdict(answer, sentence, detail)
