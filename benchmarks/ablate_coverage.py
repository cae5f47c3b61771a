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

from hzsynth.ablate.analysis import decisive_contrast
from hzsynth.ablate.cells import CellResult, HeldOutAnswers
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, Cell
from hzsynth.ablate.verdict import answer_of
from hzsynth.augment.mixture import ClassPlan
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import average_precision
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
    differences = []
    for _ in range(studies):
        one, two = scores(world, positives, generator)[:, 0]
        differences.append(average_precision(target, one)[0] - average_precision(target, two)[0])
    return float(np.mean(differences))


def coverage(world: World, positives: int, studies: int) -> dict[str, object]:
    """A row of the table: how often the interval holds the truth, and its mean width."""
    generator = np.random.default_rng([positives, int(10 * world.separation)])
    target, true = np.arange(5 * positives) < positives, truth_of(world, positives, 1500)
    covered, widths, shown, levels = [], [], [], []
    for _ in range(studies):
        first, second = (
            [answers(target, run) for run in arm] for arm in scores(world, positives, generator)
        )
        found = hierarchical_contrast(first, second, generator, replicates=REPLICATES)
        difference = found.difference
        covered.append(difference.low <= true <= difference.high)
        widths.append(difference.high - difference.low)
        if true < 0:
            shown.append(non_inferiority(difference, -true).shown)
        levels.append(np.mean([average_precision(target, run.score)[0] for run in second]))
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


def no_effect(
    world: EmptyWorld, positives: int, studies: int, replicates: int = REPLICATES
) -> dict[str, object]:
    """How often one of several arms without effect, chosen on validation, helps or hurts."""
    generator = np.random.default_rng([positives, world.runs, len(world.name)])
    config = AblateConfig(label="zoster", replicates=replicates)
    found, differences = [], []
    for number in range(studies):
        cells = empty_study(world, positives, generator)
        contrast = decisive_contrast(cells, config.model_copy(update={"seed": number}))
        assert contrast is not None
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


def empty_study(
    world: EmptyWorld, positives: int, generator: np.random.Generator
) -> list[CellResult]:
    """Cells of pure augmentation and of arms that do the same; a training's luck is on both parts."""
    count = 5 * positives
    target = np.arange(count) < positives
    patient = np.arange(count) // world.photographs

    def by_patient(spread: float) -> np.ndarray:
        """One value a patient of validation, and one of test."""
        return spread * generator.normal(size=(2, count))[:, patient]

    shared, cells = by_patient(1.0), []
    for number in range(world.arms + 1):
        arm = AblationArm("augmented", "mixture")
        if number:
            arm = AblationArm(f"gan-ratio{number}", "mixture", "gan", float(number))
        own = by_patient(world.arm_spread)
        for run in range(world.runs):
            luck = 1.8 + world.luck * generator.normal()
            noise = by_patient(0.3)
            validation, test = shared + own + luck * target + noise
            said = HeldOutAnswers(
                *(answers(target, part, world.photographs) for part in (validation, test))
            )
            cells.append(CellResult(Cell(arm, run), ClassPlan(positives), said))
    return cells


def table(studies: int) -> list[dict[str, object]]:
    """All rows; each is printed as it is made. The further worlds without effect get fewer studies."""
    rows: list[dict[str, object]] = []

    def add(row: dict[str, object]) -> None:
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)

    for empty in EMPTY_WORLDS:
        for positives in POSITIVES:
            add(no_effect(empty, positives, studies if empty == EMPTY_WORLDS[0] else studies // 2))
    for world in WORLDS:
        for positives in POSITIVES:
            add(coverage(world, positives, studies))
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
