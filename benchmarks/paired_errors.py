"""How often are two equally good classifiers called different, with few photographs?

Claim: `paired_differences` calls no more than 5 of 100 pairs of equal classifiers different, at 5,
15 and 60 photographs of the target class and four times as many others, whether both get none,
half or all of the class right. *ordinary*: the two err independently; *alike*: on the same
photographs in large part; *clustered*: three photographs a patient, right or wrong together. The
errors of p < .05 and of intervals without 0 are counted apart; every metric is a row of the CSV.

Run: python benchmarks/paired_errors.py [--fast]
"""

import json
from collections import defaultdict

import numpy as np
from common import hardware, parse_fast, versions, write_rows
from scipy.stats import norm

from hzsynth.statistics.answers import Answers
from hzsynth.statistics.paired_metrics import COMPARED, paired_differences

POSITIVES = {5: 400, 15: 250, 60: 150}
"""Photographs of the class -> pairs that are drawn."""

LEVELS = (0.0, 0.5, 1.0)
WORLDS = {"ordinary": (0.0, 1), "alike": (0.8, 1), "clustered": (0.5, 3)}
"""Name -> correlation of the two classifiers, photographs a patient."""

SPECIFICITY = 0.9
GOAL = 0.05


def pair(
    positives: int, level: float, world: str, generator: np.random.Generator
) -> tuple[Answers, Answers]:
    """What two classifiers of equal sensitivity and specificity say of the same photographs."""
    correlation, each = WORLDS[world]
    truth = np.repeat([1, 0], [positives, 4 * positives])
    patient = np.concatenate(
        [np.arange(positives) // each, 1000 + np.arange(4 * positives) // each]
    )
    _, number = np.unique(patient, return_inverse=True)
    shared = generator.normal(size=number.max() + 1)[number]
    needed = norm.ppf(np.where(truth == 1, level, SPECIFICITY))
    answers = []
    for _ in range(2):
        own = generator.normal(size=number.max() + 1)[number]
        ease = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        right = ease < needed
        certain = 0.5 + 0.5 * generator.random(len(truth))
        score = np.where(right == (truth == 1), certain, 1 - certain)
        answers.append(
            Answers(
                images=tuple(str(place) for place in range(len(truth))),
                patients=tuple(str(who) for who in patient),
                truth=truth,
                probabilities=np.stack([1 - score, score], axis=1),
                labels=("other", "zoster"),
                label="zoster",
            )
        )
    return answers[0], answers[1]


def errors(
    positives: int, level: float, world: str, sets: int, bootstrap: int
) -> dict[str, tuple[float, float]]:
    """Metric -> share of pairs with p < .05, and share whose interval lacks 0."""
    generator = np.random.default_rng([positives, int(10 * level), len(world)])
    called, left_out = defaultdict(list), defaultdict(list)
    for number in range(sets):
        first, second = pair(positives, level, world, generator)
        for found in paired_differences(first, second, seed=number, bootstrap=bootstrap):
            called[found.metric].append(found.p < 0.05)
            known = found.low is not None and found.high is not None
            left_out[found.metric].append(known and not found.low <= 0 <= found.high)
    return {
        name: (float(np.mean(called[name])), float(np.mean(left_out[name]))) for name in COMPARED
    }


def main() -> None:
    fast = parse_fast(__doc__ or "")
    rows: list[dict[str, object]] = []
    for world in WORLDS:
        for positives, pairs in POSITIVES.items():
            sets = 20 if fast else pairs
            for level in LEVELS:
                found = errors(positives, level, world, sets, bootstrap=100)
                for name, (called, left_out) in found.items():
                    rows.append(
                        {
                            "world": world,
                            "positives": positives,
                            "level": level,
                            "metric": name,
                            "p_below_05": called,
                            "interval_without_0": left_out,
                            "pairs": sets,
                        }
                    )
                shown = "  ".join(f"{name} {p:.3f}/{i:.3f}" for name, (p, i) in found.items())
                print(f"{world:10} {positives:3} {level:.1f}  {shown}", flush=True)
    write_rows("paired_errors", rows)
    worst = max(float(str(row["p_below_05"])) for row in rows)
    print(
        json.dumps(
            {
                "claim": "equal classifiers are called different in at most 5 % of pairs",
                "ratio": round(GOAL / max(worst, 1e-9), 3),
                "goal": 1.0,
                "spread": [min(float(str(r["p_below_05"])) for r in rows), worst],
                "worst_interval": max(float(str(r["interval_without_0"])) for r in rows),
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
