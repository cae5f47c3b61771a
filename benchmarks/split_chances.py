"""Is every patient as likely to be tested as every other, and do seeds give different test sets?

Claim: of a class with 12 or more patients of whatever sizes, 60 seeds give at least 40 different test sets at
70/15/15, and every patient is tested in some; over many seeds each is tested with the chance that the share
says, as far as its size allows. The peer is scikit-learn's StratifiedGroupKFold (seven folds, one for testing),
which also keeps patients together; a patient with half of the photographs it never tests, and shares other
than one in K cannot be asked of it.

Run: python benchmarks/split_chances.py [--fast]
"""

import json
from collections.abc import Callable, Sequence

import numpy as np
from common import hardware, parse_fast, versions, write_rows
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from hzsynth.data.division import assign_units

SHARES = (70, 15, 15)
SEEDS, GOAL = 60, 40
SIZES = (
    (6, 5, 5, 4, 3, 2, *[1] * 6),
    (1,) * 12,
    (2,) * 13,
    (3,) * 15,
    (10, *[1] * 11),
    (8, 8, *[1] * 12),
    (5, 4, 3, 2, 1) * 3,
    (*[4] * 6, *[1] * 6),
    (12, 6, 3, 2, *[1] * 8),
    (20, *[2] * 14),
    (30, 10, 5, 3, *[1] * 20),
)

Patients = NDArray[np.int64]


def ours(patients: Patients, seed: int) -> set[int]:
    """The patients whom a seed tests."""
    part = assign_units(["zoster"] * len(patients), patients, SHARES, seed)
    return set(patients[part == 2].tolist())


def peer(patients: Patients, seed: int) -> set[int]:
    """The same by scikit-learn."""
    folds = StratifiedGroupKFold(7, shuffle=True, random_state=seed)
    truth = np.zeros(len(patients), dtype=np.int64)
    _, test = next(iter(folds.split(truth, truth, patients)))
    return set(patients[test].tolist())


def measured(
    sizes: Sequence[int], split: Callable[[Patients, int], set[int]], seeds: int
) -> dict[str, object]:
    """How often each patient of a class is tested."""
    patients = np.repeat(np.arange(len(sizes)), sizes)
    tested = [split(patients, seed) for seed in range(seeds)]
    chance = np.mean([[p in test for p in range(len(sizes))] for test in tested], axis=0)
    photographs = [sum(sizes[p] for p in test) / len(patients) for test in tested]
    first = tested[:SEEDS]
    return {
        "sizes": " ".join(map(str, sizes)),
        "splitter": split.__name__,
        "seeds": seeds,
        f"test_sets_of_{SEEDS}": len({frozenset(test) for test in first}),
        f"patients_tested_of_{SEEDS}": len(set().union(*first)),
        "patients": len(sizes),
        "rarest_chance": round(float(chance.min()), 3),
        "largest_patients_chance": round(float(chance[0]), 3),
        "commonest_chance": round(float(chance.max()), 3),
        "photographs_tested": round(float(np.mean(photographs)), 3),
        "deviation": round(float(np.std(photographs)), 3),
    }


def main() -> None:
    seeds = SEEDS if parse_fast(__doc__ or "") else 400
    rows = []
    for sizes in SIZES:
        for split in (ours, peer):
            rows.append(measured(sizes, split, seeds))
            print(rows[-1], flush=True)
    write_rows("split_chances", rows)
    counts = {
        name: [int(str(r[f"test_sets_of_{SEEDS}"])) for r in rows if r["splitter"] == name]
        for name in ("ours", "peer")
    }
    ratios = [a / b for a, b in zip(counts["ours"], counts["peer"], strict=True)]
    print(
        json.dumps(
            {
                "claim": f"{SEEDS} seeds give at least {GOAL} different test sets, and test every patient",
                "ratio": round(float(np.median(ratios)), 2),
                "goal": 1.0,
                "spread": [round(min(ratios), 2), round(max(ratios), 2)],
                "fewest_test_sets": min(counts["ours"]),
                "all_tested": all(
                    r[f"patients_tested_of_{SEEDS}"] == r["patients"]
                    for r in rows
                    if r["splitter"] == "ours"
                ),
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
