"""Several classifiers on the same real photographs: the reference table and paired differences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from hzsynth.classify.evaluate.comparison_published import published_rows
from hzsynth.classify.evaluate.evaluation import Evaluation, evaluate
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.statistics.paired import holm
from hzsynth.statistics.paired_metrics import (
    COMPARED,
    LEVEL,
    PairedDifference,
    paired_differences,
)

SCORES = {
    "ACC": "accuracy",
    "F1": "macro_f1",
    "PR": "macro_precision",
    "RE": "macro_recall",
    "F1-HZ": "f1_target",
    "AUROC": "auroc",
    "kappa": "kappa",
}
"""Columns of the reference table -> metrics; F1, precision, recall, AUROC are means of classes."""

REMARK = "this evaluation"

DECISIVE = "f1_target"
"""The metric that a comparison's verdict rests on, named before anything is compared."""

Verdict = Literal["better", "worse", "alike"]


@dataclass(frozen=True)
class Compared:
    """One classifier of a comparison.

    Attributes:
        name: what tables call it: the run's folder, with its parent where two are called alike.
        model: the architecture.
        evaluation: on the common photographs.
    """

    name: str
    model: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Difference:
    """A classifier against the reference, with Holm's correction over the classifiers.

    Attributes:
        name: of the classifier.
        against: name of the reference, the first of all runs.
        paired: by how much one metric differs, the classifier minus the reference.
        p_holm: its p-value, corrected over all classifiers for this metric.
    """

    name: str
    against: str
    paired: PairedDifference
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Classifiers judged on the same photographs.

    Attributes:
        entries: in the order given.
        differences: of every further classifier from the first, metric by metric.
    """

    entries: tuple[Compared, ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": [
                {"name": e.name, "model": e.model, **e.evaluation.to_json()} for e in self.entries
            ],
            "differences": [
                {"name": d.name, "against": d.against, **asdict(d.paired), "p_holm": d.p_holm}
                for d in self.differences
            ],
        }


def compare(
    runs: Sequence[RunDir],
    images: ImageSet,
    *,
    split: str = "test",
    compute: Compute = CPU_FP32,
    seed: int = 0,
    bootstrap: int = 1000,
    progress: Progress = SILENT,
) -> Comparison:
    """Evaluates every classifier on the same photographs and compares each with the first.

    Args:
        runs: one or more finished runs with the same classes and target class.
        images: the set.
        split: which part; empty for a set without splits.
        compute: device and precision of the predictions.
        seed: of the bootstraps.
        bootstrap: replicates, at least 100.
        progress: where progress is shown.

    Returns:
        Evaluations and differences.

    Raises:
        InputError: there is no run, a run is given twice, classes or target classes differ, or
            see `evaluate`.
        RefusedError: see `evaluate`.
    """
    if not runs:
        raise InputError("compare needs at least one RUN, none was given")
    twice = [
        run.path for run in runs if [r.path.resolve() for r in runs].count(run.path.resolve()) > 1
    ]
    if twice:
        raise InputError(f"the run '{twice[0]}' was given twice")
    entries = []
    with progress.task("evaluating", total=len(runs), unit="run") as task:
        for run, name in zip(runs, _names(runs), strict=True):
            evaluation = evaluate(
                run, images, split=split, compute=compute, seed=seed, bootstrap=bootstrap
            )
            model = str(run.config.get("model") or run.config.get("student") or run.kind)
            entries.append(Compared(name, model, evaluation))
            _same_question(entries[0], entries[-1])
            task.advance()
    return Comparison(tuple(entries), _differences(entries, seed, bootstrap))


def _names(runs: Sequence[RunDir]) -> list[str]:
    paths = [run.path.resolve() for run in runs]
    plain = [path.name for path in paths]
    return [
        name if plain.count(name) == 1 else f"{path.parent.name}/{name}"
        for path, name in zip(paths, plain, strict=True)
    ]


def _same_question(first: Compared, other: Compared) -> None:
    one, two = first.evaluation, other.evaluation
    if set(one.labels) != set(two.labels) or one.label != two.label:
        raise InputError(
            f"runs that are compared tell the same classes apart: '{first.name}' has "
            f"{', '.join(one.labels)} (target {one.label}), '{other.name}' has "
            f"{', '.join(two.labels)} (target {two.label})"
        )


def _differences(entries: Sequence[Compared], seed: int, bootstrap: int) -> tuple[Difference, ...]:
    reference = entries[0].evaluation.answers
    found = [
        paired_differences(
            entry.evaluation.answers.with_labels(reference.labels),
            reference,
            seed=seed,
            bootstrap=bootstrap,
        )
        for entry in entries[1:]
    ]
    corrected = [holm([pairs[place].p for pairs in found]) for place in range(len(COMPARED))]
    return tuple(
        Difference(entry.name, entries[0].name, pair, corrected[place][row])
        for row, (entry, pairs) in enumerate(zip(entries[1:], found, strict=True))
        for place, pair in enumerate(pairs)
    )


def verdict_of(comparison: Comparison) -> tuple[str, Verdict]:
    """Which classifiers differ from the first in F1 of the target class, the metric named beforehand.

    Args:
        comparison: the classifiers.

    Returns:
        A sentence, empty for a single classifier; and whether one is better, only worse ones differ, or
        none can be told apart at 5 % after Holm's correction.
    """
    decisive = [d for d in comparison.differences if d.paired.metric == DECISIVE]
    if not decisive:
        return "", "alike"
    first = comparison.entries[0].evaluation.answers
    told = sorted((d for d in decisive if d.p_holm < LEVEL), key=lambda d: -d.paired.value)
    if not told:
        return (
            f"No difference in F1 of {first.label} from {decisive[0].against} is shown with "
            f"{int(first.is_target.sum())} photographs of {first.count_patients(first.is_target)} "
            f"patients (smallest p after Holm {min(d.p_holm for d in decisive):.2g})."
        ), "alike"
    each = ", ".join(f"{d.name} {_difference_text(d)}" for d in told)
    kind: Verdict = "better" if told[0].paired.value > 0 else "worse"
    return f"F1 of {first.label} differs from that of {told[0].against}: {each}.", kind


def _difference_text(difference: Difference) -> str:
    paired = difference.paired
    ends = "" if paired.low is None else f"{paired.low:+.2f} to {paired.high:+.2f}, "
    return f"{paired.value:+.2f} ({ends}p after Holm {difference.p_holm:.2g})"


def reference_table(comparison: Comparison, *, published: bool = False) -> pd.DataFrame:
    """One row a classifier in the columns of the published table.

    Args:
        comparison: the classifiers.
        published: append the published rows, marked as not comparable.

    Returns:
        model, the columns of `SCORES`, latency, parameters, multiply-accumulates, remark.
    """
    rows = []
    for entry in comparison.entries:
        cost = entry.evaluation.efficiency
        rows.append(
            {
                "model": f"{entry.model} ({entry.name})",
                **{c: entry.evaluation.metrics[m].value for c, m in SCORES.items()},
                "latency ms": round(cost.latency_ms, 1),
                "params M": round(cost.parameters / 1e6, 2),
                "MACs M": round(cost.macs / 1e6, 1),
            }
        )
    frame = pd.DataFrame(rows)
    if not published:
        return frame
    own = frame.assign(remark=REMARK).astype({"MACs M": object})
    return pd.concat([own, published_rows()], ignore_index=True)


def long_table(comparison: Comparison) -> pd.DataFrame:
    """One row a classifier and metric: value, 95 % interval and how it was made."""
    rows: list[dict[str, object]] = []
    for entry in comparison.entries:
        head = {"run": entry.name, "model": entry.model, "photographs": entry.evaluation.n}
        for name, metric in entry.evaluation.metrics.items():
            rows.append({**head, "metric": name, **asdict(metric)})
        for name, value in entry.evaluation.efficiency.costs().items():
            rows.append({**head, "metric": name, "value": value})
    return pd.DataFrame(rows)


def difference_table(comparison: Comparison) -> pd.DataFrame:
    """One row a further classifier and metric: difference, interval, p-values, test."""
    return pd.DataFrame(
        [
            {
                "run": d.name,
                "against": d.against,
                "metric": d.paired.metric,
                "difference": d.paired.value,
                "low": d.paired.low,
                "high": d.paired.high,
                "p": d.paired.p,
                "p (Holm)": d.p_holm,
                "test": d.paired.test,
            }
            for d in comparison.differences
        ]
    )
