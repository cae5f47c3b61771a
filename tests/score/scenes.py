"""Generated sets whose quality is known, as features: perfect ones, wrong ones, copiers."""

from pathlib import Path

import numpy as np
import torch

from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.data.independence import independent_units
from hzsynth.score.catalogue import MetricName, load_metric
from hzsynth.score.metric import Compared, Conditions, Described, Draws
from hzsynth.score.results import ScoreReport
from hzsynth.score.scoring import figures_of

DIMENSIONS = 16
METRICS: tuple[MetricName, ...] = ("kid", "prdc", "tone", "memorisation")


def patients(
    rng: np.random.Generator, count: int, most: int, shift: float = 0.0, spread: float = 1.0
) -> tuple[np.ndarray, list[str]]:
    """Photographs of some patients, 1 to `most` each, which are alike: features and patients."""
    rows, groups = [], []
    for number in range(count):
        own = rng.normal(shift, spread, DIMENSIONS)
        for _ in range(int(rng.integers(1, most + 1))):
            rows.append(own + rng.normal(0, 0.3, DIMENSIONS))
            groups.append(str(number))
    return np.array(rows), groups


def described(
    features: np.ndarray, groups: list[str], name: str, tones: np.ndarray | None = None
) -> Described:
    """A set without files; without tones the first feature is its tone."""
    records = [
        ImageRecord(f"{name}-{i}.png", "zoster", group=f"{name}-{group}", sha256=f"{name}-{i}")
        for i, group in enumerate(groups)
    ]
    measured = {
        "features": torch.from_numpy(features).float(),
        "tones": torch.from_numpy(40 + 8 * features[:, 0] if tones is None else tones),
    }
    return Described(ImageSet(Path(), records), measured)  # type: ignore[arg-type]


def scene(
    seed: int,
    kind: str = "perfect",
    metrics: tuple[MetricName, ...] = METRICS,
    relabellings: int = 399,
) -> ScoreReport:
    """The report of a generated set.

    Args:
        seed: another scene.
        kind: ``perfect`` (the same program, fresh patients), ``shifted``, ``collapsed`` or ``copier``.
        metrics: what is asked for.
        relabellings: behind each chance.
    """
    rng = np.random.default_rng(seed)
    training = described(*patients(rng, 40, 3), "train")
    held_out = described(*patients(rng, 25, 3), "held-out")
    if kind == "copier":
        rows = rng.integers(len(training.images), size=80)
        copies = training.measured["features"].numpy()[rows]
        made = copies + rng.normal(0, 0.02, copies.shape)
    else:
        shift, spread = {"shifted": (0.6, 1.0), "collapsed": (0.0, 0.5)}.get(kind, (0.0, 1.0))
        made, _ = patients(rng, 80, 1, shift, spread)
    fake = described(made, [str(i) for i in range(len(made))], "fake")
    return report_of(training, held_out, fake, seed, metrics, relabellings)


def report_of(
    training: Described,
    held_out: Described,
    fake: Described,
    seed: int,
    metrics: tuple[MetricName, ...] = METRICS,
    relabellings: int = 399,
) -> ScoreReport:
    """The report of described sets, as the stage gives it."""
    units = independent_units(held_out.images)
    sets = Compared(held_out, fake, training, training, held_out, units)
    draws = Draws(seed, None, 50, 10, relabellings, 4)
    dimensions = fake.measured["features"].shape[1]
    conditions = Conditions(0, 0, "", "", draws, "scene", "none", dim=dimensions)
    return figures_of(sets, [load_metric(name) for name in metrics], conditions)


def flagged(report: ScoreReport) -> bool:
    """Whether any figure is called worse than chance explains."""
    copied = report.memorisation is not None and (report.memorisation.p_adjusted or 1.0) <= 0.05
    return copied or any(score.beyond_floor for score in report.scores)
