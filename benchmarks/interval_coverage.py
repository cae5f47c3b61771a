"""How often do the 95 % intervals of an evaluation contain the truth, with few photographs?

Claim: with 15, 30 and 60 photographs of the target class (twice and four times as many of two
other classes) the intervals of `metrics_with_intervals` cover the true value in 93 to 97 of 100
test sets. The truth is that of a very large test set of the same imagined classifier: normal
logits, the true class ahead by a margin; *ordinary*: a margin of 2 standard deviations (macro F1
.84), *strong*: 3 (.96), *clustered*: 2, with three photographs a patient whose logits correlate by
.5. Every metric is a row of the CSV.

Run: python benchmarks/interval_coverage.py [--fast]
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from common import hardware, parse_fast, versions, write_rows

from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import METRICS, classification_metrics
from hzsynth.statistics.metric_intervals import metrics_with_intervals

GOAL = (0.93, 0.97)
SIZES = (1, 2, 4)
LABELS = ("zoster", "eczema", "urticaria")
POSITIVES = (15, 30, 60)


@dataclass(frozen=True)
class World:
    """An imagined classifier.

    Attributes:
        name: of the world.
        margin: by how many standard deviations the true class's logit is ahead.
        photographs: of a patient.
    """

    name: str
    margin: float
    photographs: int = 1


WORLDS = (World("ordinary", 2.0), World("strong", 3.0), World("clustered", 2.0, 3))


def test_set(world: World, positives: int, generator: np.random.Generator) -> Answers:
    """The answers on one draw of photographs; the first class is the target."""
    truth = np.repeat(np.arange(len(SIZES)), np.array(SIZES) * positives)
    patient = np.arange(len(truth)) // world.photographs
    logits = generator.normal(0, 1, (len(truth), len(SIZES)))
    if world.photographs > 1:
        shared = generator.normal(0, 1, (patient.max() + 1, len(SIZES)))
        logits = np.sqrt(0.5) * (logits + shared[patient])
    logits[np.arange(len(truth)), truth] += world.margin
    weights = np.exp(1.5 * logits)
    return Answers(
        images=tuple(str(number) for number in range(len(truth))),
        patients=tuple(f"patient {number}" for number in patient),
        truth=truth,
        probabilities=weights / weights.sum(axis=1, keepdims=True),
        labels=LABELS,
        label=LABELS[0],
    )


def coverage(
    world: World, positives: int, sets: int, bootstrap: int
) -> dict[str, tuple[float, float, float]]:
    """Metric -> true value, share of test sets covered, mean width."""
    generator = np.random.default_rng([positives, len(world.name)])
    very_many = test_set(world, 60_000, generator)
    true = classification_metrics(very_many.truth, very_many.probabilities, very_many.target)
    inside, widths = defaultdict(list), defaultdict(list)
    for number in range(sets):
        answers = test_set(world, positives, generator)
        found = metrics_with_intervals(answers, seed=number, bootstrap=bootstrap)
        for name, metric in found.items():
            inside[name].append(metric.low <= true[name] <= metric.high)
            widths[name].append(metric.high - metric.low)
    return {
        name: (true[name], float(np.mean(inside[name])), float(np.mean(widths[name])))
        for name in METRICS
    }


def table(worlds: Sequence[World], sets: int, bootstrap: int) -> list[dict[str, object]]:
    """One row a world, number of positives and metric; printed as it grows."""
    rows: list[dict[str, object]] = []
    for world in worlds:
        for positives in POSITIVES:
            for name, (true, share, width) in coverage(world, positives, sets, bootstrap).items():
                verdict = "" if GOAL[0] <= share <= GOAL[1] else "outside the goal"
                rows.append(
                    {
                        "world": world.name,
                        "positives": positives,
                        "metric": name,
                        "true": round(true, 4),
                        "coverage": round(share, 4),
                        "width": round(width, 4),
                        "remark": verdict,
                    }
                )
                print(
                    f"{world.name:10} {positives:3} {name:26} {true:.3f} "
                    f"{share:.3f} {width:.3f} {verdict}",
                    flush=True,
                )
    return rows


def main() -> None:
    sets, bootstrap = (60, 200) if parse_fast(__doc__ or "") else (1000, 200)
    rows = table(WORLDS, sets, bootstrap)
    write_rows(
        "interval_coverage", [{**row, "test_sets": sets, "bootstrap": bootstrap} for row in rows]
    )
    shares = [float(str(row["coverage"])) for row in rows]
    within = float(np.mean([GOAL[0] <= share <= GOAL[1] for share in shares]))
    print(
        json.dumps(
            {
                "claim": "95 % intervals of an evaluation cover the truth in 93 to 97 % of test sets",
                "ratio": round(float(np.median(shares)) / 0.95, 3),
                "goal": 0.98,
                "spread": [min(shares), max(shares)],
                "share_of_rows_within_goal": round(within, 3),
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
