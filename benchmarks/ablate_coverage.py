"""Does an ablation's interval hold the true difference, and how often does nothing seem to help?

Claims: the 95 % interval of `hierarchical_contrast` contains the true difference in average
precision in at least 93 of 100 studies, off and near the ceiling; that a loss is smaller than it is
is shown in at most 5 of 100 (non-inferiority at the margin itself); and where twelve arms have no
effect at all, the verdict is "helps" in at most 2.5 of 100, and "hurts" likewise.

The worlds of the first two: normal scores, shared in part between the arms and between the runs;
*ordinary* (average precision about .6), *high* (.9) and *ceiling* (.99); in *lost* the first arm loses
single patients altogether, one in ten, and every other one is perfect. The truth is the mean over
further studies of the same size.

Near the ceiling, and with five patients everywhere, the interval covers more than it says. It must: of
n patients who show no loss, a share of 1 - .05^(1 / n) may lose everything without one of them being
met in one study of twenty, on either side. An interval that knows nothing more of patients, and holds
in *lost*, is at least twice that wide where no great loss was met (`least_width` in the CSV).

Run: python benchmarks/ablate_coverage.py [--fast]
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from common import hardware, parse_fast, versions, write_rows

from hzsynth.ablate.verdict import answer_of
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.choice import places_by_run, variance_of_choice
from hzsynth.statistics.contrast import hierarchical_contrast
from hzsynth.statistics.paired import non_inferiority

REPLICATES = 200
POSITIVES = (5, 15, 30, 60)


@dataclass(frozen=True)
class World:
    """Imagined arms.

    Attributes:
        name: of the world.
        separation: by how many standard deviations the class's score is ahead.
        effect: added to it in the first arm.
        lost: chance of a patient of the class to be lost by the first arm.
        runs: of each arm.
    """

    name: str
    separation: float
    effect: float = 0.0
    lost: float = 0.0
    runs: int = 5


WORLDS = (
    World("ordinary", 1.5),
    World("ordinary", 1.5, -0.8),
    World("high", 3.0),
    World("high", 3.0, -0.8),
    World("ceiling", 4.5),
    World("ceiling", 4.5, -0.8),
    World("lost", 30.0, lost=0.1, runs=3),
)


@dataclass(frozen=True)
class EmptyWorld:
    """Imagined arms that all do the same.

    Attributes:
        name: of the world.
        arms: from which validation chooses.
        runs: of each.
        arm_spread: by how much an arm's answers on a patient differ in all its runs.
        luck: standard deviation of a training's separation.
        photographs: of a patient, whose answers are alike.
    """

    name: str
    arms: int = 12
    runs: int = 5
    arm_spread: float = 0.3
    luck: float = 0.3
    photographs: int = 1


EMPTY_WORLDS = (
    EmptyWorld("12 arms without effect"),
    EmptyWorld("12 arms without effect, 3 runs", runs=3),
    EmptyWorld("12 arms without effect, much luck", arm_spread=0.1, luck=0.6),
    EmptyWorld("12 arms without effect, 2 photographs a patient", photographs=2),
)


@cache
def names(count: int, each: int = 1) -> tuple[str, ...]:
    return tuple(str(number // each) for number in range(count))


def answers(target: np.ndarray, score: np.ndarray, photographs: int = 1) -> Answers:
    """Answers whose probabilities of the class grow with the score."""
    probability = 1 / (1 + np.exp(-score))
    return Answers(
        images=names(len(target)),
        patients=names(len(target), photographs),
        truth=target.astype(np.int64),
        probabilities=np.stack([1 - probability, probability], axis=1),
        labels=("other", "zoster"),
        label="zoster",
    )


def scores(world: World, positives: int, generator: np.random.Generator) -> np.ndarray:
    """Two arms x runs x photographs; the first photographs are those of the class."""
    count = 5 * positives
    target = np.arange(count) < positives
    shared = generator.normal(size=count)
    found = np.empty((2, world.runs, count))
    missing = target & (generator.random(count) < world.lost)
    for arm in range(2):
        own = shared + 0.5 * generator.normal(size=count)
        for run in range(world.runs):
            ahead = world.separation + 0.15 * generator.normal() + (arm == 0) * world.effect
            found[arm, run] = own + 0.3 * generator.normal(size=count) + ahead * target
    found[0, :, missing] -= world.separation + 1.0
    return found


def truth_of(world: World, positives: int, studies: int) -> float:
    """The mean difference over studies of this size."""
    if world.effect == 0 and world.lost == 0:
        return 0.0
    generator, target = np.random.default_rng(1), np.arange(5 * positives) < positives
    found = [precisions(target, scores(world, positives, generator)[:, 0]) for _ in range(studies)]
    return float(np.mean(found, axis=0) @ [1, -1])


def coverage(world: World, positives: int, studies: int) -> dict[str, object]:
    """A row of the table: how often the interval holds the truth, and its mean width."""
    generator = np.random.default_rng([positives, int(10 * world.separation)])
    target, true = np.arange(5 * positives) < positives, truth_of(world, positives, 1500)
    covered, widths, shown, levels = [], [], [], []
    for _ in range(studies):
        studied = scores(world, positives, generator)
        first, second = ([answers(target, run) for run in arm] for arm in studied)
        found = hierarchical_contrast(first, second, generator, replicates=REPLICATES)
        difference = found.difference
        covered.append(difference.low <= true <= difference.high)
        widths.append(difference.high - difference.low)
        if true < 0:
            shown.append(non_inferiority(difference, -true).shown)
        levels.append(np.mean(precisions(target, studied[1])))
    return {
        "world": world.name,
        "positives": positives,
        "runs": world.runs,
        "average_precision": round(float(np.mean(levels)), 3),
        "true_difference": round(true, 4),
        "coverage": float(np.mean(covered)),
        "width": round(float(np.mean(widths)), 3),
        "least_width": round(2 * (1 - 0.05 ** (1 / positives)), 3),
        "smaller_loss_shown": float(np.mean(shown)) if shown else "",
        "studies": studies,
    }


def precisions(target: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of many classifiers at once, without ties: ... x N scores give ... values."""
    ranked = target[np.argsort(-scores, axis=-1)]
    precision = ranked.cumsum(axis=-1) / np.arange(1, len(target) + 1)
    return (precision * ranked).sum(axis=-1) / target.sum()


def no_effect(world: EmptyWorld, positives: int, studies: int) -> dict[str, object]:
    """How often one of several arms without effect, chosen on validation, helps or hurts.

    The steps are those of `ablate.analysis.decisive_contrast`, on arrays.
    """
    generator = np.random.default_rng([positives, world.runs, len(world.name)])
    target, runs = np.arange(5 * positives) < positives, np.arange(world.runs)
    found, differences = [], []
    for _ in range(studies):
        validation, test = empty_study(world, positives, generator)
        figures = precisions(target, validation[1:])
        gains = precisions(target, test[1:]) - precisions(target, test[0])
        chosen = test[1:][places_by_run(figures), runs]
        first, second = (
            [answers(target, run, world.photographs) for run in arm] for arm in (chosen, test[0])
        )
        contrast = hierarchical_contrast(
            first,
            second,
            generator,
            replicates=REPLICATES,
            run_variance=variance_of_choice(figures, gains),
        )
        found.append(answer_of(contrast))
        differences.append(contrast.difference.estimate)
    return {
        "world": world.name,
        "positives": positives,
        "runs": world.runs,
        "true_difference": 0.0,
        "mean_difference": round(float(np.mean(differences)), 4),
        "helps": found.count("helps") / studies,
        "hurts": found.count("hurts") / studies,
        "studies": studies,
    }


def empty_study(world: EmptyWorld, positives: int, generator: np.random.Generator) -> np.ndarray:
    """Scores of arms that all do the same: validation and test x arms x runs x photographs.

    The first arm is pure augmentation. A training's luck is the same on both parts.
    """
    count = 5 * positives
    target, patient = np.arange(count) < positives, np.arange(count) // world.photographs
    arms = world.arms + 1

    def by_patient(spread: float, *shape: int) -> np.ndarray:
        return spread * generator.normal(size=(2, *shape, count))[..., patient]

    luck = 1.8 + world.luck * generator.normal(size=(arms, world.runs, 1))
    shared, own = by_patient(1.0, 1, 1), by_patient(world.arm_spread, arms, 1)
    return shared + own + luck * target + by_patient(0.3, arms, world.runs)


def table(studies: int) -> list[dict[str, object]]:
    """All rows; each is printed as it is made. What is not the first claim gets half the studies."""
    rows: list[dict[str, object]] = []

    def add(row: dict[str, object]) -> None:
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)

    for number, empty in enumerate(EMPTY_WORLDS):
        for positives in POSITIVES:
            add(no_effect(empty, positives, studies if number == 0 else studies // 2))
    for world in WORLDS:
        for positives in POSITIVES:
            add(coverage(world, positives, studies // 2))
    return rows


def _column(rows: Sequence[dict[str, object]], name: str) -> list[float]:
    return [float(str(row[name])) for row in rows if row.get(name, "") != ""]


def main() -> None:
    studies = 40 if parse_fast(__doc__ or "") else 1000
    rows = table(studies)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_rows("ablate_coverage", [{name: row.get(name, "") for name in columns} for row in rows])
    shares = _column(rows, "coverage")
    print(
        json.dumps(
            {
                "claim": "95 % intervals of an ablation cover in 93 % of studies or more, also near the ceiling",
                "ratio": round(min(shares) / 0.95, 3),
                "goal": 0.98,
                "spread": [min(shares), max(shares)],
                "worst_helps_without_effect": max(_column(rows, "helps")),
                "worst_hurts_without_effect": max(_column(rows, "hurts")),
                "worst_smaller_loss_shown": max(_column(rows, "smaller_loss_shown")),
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
