"""Classifiers under the 75 corruptions: errors by kind and group, CE and mCE against a reference.

After Hendrycks and Dietterich (ICLR 2019): a kind's corruption error (CE) is the sum of the
errors over the severities, divided by the same sum of a reference network; mCE is their mean over
the 15 kinds. The reference is a network trained on the same photographs (AlexNet by convention);
mCE is not comparable across data sets. A network that was trained on noise has not held noise out,
so that the mean without noise is given beside it.
"""

import functools
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.evaluation import photographs_to_judge
from hzsynth.classify.evaluate.imagenet_c.kinds import (
    BENCHMARK,
    GROUPS,
    SEVERITIES,
    SIDE,
    TUNING,
    corrupt,
)
from hzsynth.classify.models import Classifier, load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_bytes
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import parallel_map
from hzsynth.core.progress import SILENT, Progress, Task
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.bootstrap import bootstrap_weights
from hzsynth.statistics.classification import choice_metrics, confusion_matrix
from hzsynth.statistics.intervals import percentile_interval
from hzsynth.statistics.metric_intervals import Metric

Floats = NDArray[np.float64]
_DRAWN = 1
"""Raised when the corruptions change, so that an old cache is not used."""
_WORTH_A_PROCESS = 4
_COUNTED = len(BENCHMARK) * len(SEVERITIES)


@dataclass(frozen=True)
class Robustness:
    """One classifier under corruption.

    Attributes:
        run: id of the classifier's run.
        n: photographs.
        clean_error: share of wrong answers without corruption.
        errors: kind -> share of wrong answers at severity 1 to 5.
        f1_target: kind -> F1 of the target class at severity 1 to 5.
        mean_error: mean over the 75 corruptions, with its interval.
        mean_f1_target: mean F1 of the target class over the 75 corruptions.
        group_errors: group -> mean error.
        tuning: the same errors for the kinds that never count; empty when not measured.
    """

    run: str
    n: int
    clean_error: float
    errors: Mapping[str, tuple[float, ...]]
    f1_target: Mapping[str, tuple[float, ...]]
    mean_error: Metric
    mean_f1_target: float
    group_errors: Mapping[str, float]
    tuning: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class AgainstReference:
    """A classifier's corruption errors as multiples of those of a reference, in percent.

    Attributes:
        run: id of the classifier's run.
        reference: id of the reference's.
        corruption_errors: kind -> CE in percent; None where the reference makes no error.
        group_errors: group -> mean CE; None where one of its kinds has none.
        mce: mean of the CE with its interval; None where a kind has none.
        mce_without_noise: the same without the noise group.
    """

    run: str
    reference: str
    corruption_errors: Mapping[str, float | None]
    group_errors: Mapping[str, float | None]
    mce: Metric | None
    mce_without_noise: Metric | None


@dataclass(frozen=True)
class RobustnessResult:
    """Classifiers under the same corrupted photographs.

    Attributes:
        label: target class.
        split: the part of the set.
        images_digest: identifies the photographs.
        runs: in the order given.
        against: every further classifier against the first; empty for one classifier.
        seed: of corruptions and bootstrap.
        bootstrap: replicates.
    """

    label: str
    split: str
    images_digest: str
    runs: tuple[Robustness, ...]
    against: tuple[AgainstReference, ...]
    seed: int
    bootstrap: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def corrupted(
    item: tuple[str, NDArray[np.uint8]], kinds: Sequence[str], seed: int, cache: str
) -> NDArray[np.uint8]:
    """All versions of one photograph.

    Args:
        item: its digest and its pixels, 224 x 224 x 3.
        kinds: K of them.
        seed: of the benchmark.
        cache: folder in which the versions are kept, or empty.

    Returns:
        5 K x 3 x 224 x 224, kind by kind, severity by severity.
    """
    name, pixels = item
    file = None
    if cache:
        drawn = f"{_DRAWN} {seed} {name} {' '.join(kinds)}".encode() + pixels.tobytes()
        file = Path(cache) / f"{hashlib.sha256(drawn).hexdigest()[:32]}.npy"
        shape = (len(kinds) * len(SEVERITIES), 3, SIDE, SIDE)
        if file.is_file():
            try:
                kept = np.load(file, allow_pickle=False)
            except (OSError, ValueError, EOFError):
                kept = np.empty(0)
            if kept.shape == shape and kept.dtype == np.uint8:
                return np.asarray(kept, np.uint8)
    versions = [corrupt(pixels, k, s, seed=seed, name=name) for k in kinds for s in SEVERITIES]
    stacked = np.ascontiguousarray(np.stack(versions).transpose(0, 3, 1, 2))
    if file is not None:
        _keep(file, stacked)
    return stacked


def _keep(file: Path, versions: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, versions, allow_pickle=False)
    atomic_write_bytes(file, buffer.getvalue())


def measure_robustness(
    runs: Sequence[RunDir],
    images: ImageSet,
    *,
    split: str = "test",
    tuning: bool = False,
    cache: Path | None = None,
    compute: Compute = CPU_FP32,
    workers: int = 0,
    seed: int = 0,
    bootstrap: int = 1000,
    progress: Progress = SILENT,
) -> RobustnessResult:
    """Asks classifiers about the real photographs of a split under every corruption.

    Photographs are brought to 224 x 224, which the strengths are meant for, corrupted there, and
    brought to each network's input.

    Args:
        runs: finished runs with the same classes; the first is the reference of the others.
        images: the set.
        split: which part; empty for a set without splits.
        tuning: also measure the four kinds that are for tuning, apart.
        cache: folder that keeps the corrupted photographs for the next time (11 MB each); or None.
        compute: device and precision.
        workers: processes that corrupt; 0 takes every processor.
        seed: of corruptions and bootstrap.
        bootstrap: replicates.
        progress: where progress is shown.

    Returns:
        The errors.

    Raises:
        InputError: no run, other classes, or see `evaluation.evaluate`.
        RefusedError: see `evaluation.evaluate`.
    """
    if not runs:
        raise InputError("robustness needs at least one RUN, none was given")
    classifiers, part = _loaded(runs, images, split)
    labels = classifiers[0].labels
    answers = [answers_of(c, part, compute).with_labels(labels) for c in classifiers]
    kinds = (*BENCHMARK, *TUNING) if tuning else BENCHMARK
    versions = _versions(part, kinds, seed, cache, workers)
    with progress.task("corrupting", total=len(part), unit="img") as task:
        chosen = _chosen(classifiers, labels, versions, compute, task)
    weights, truth = _weights(answers[0], seed, bootstrap), answers[0].truth
    wrong = [rows[:, :_COUNTED] != truth[:, None] for rows in chosen]
    return RobustnessResult(
        label=answers[0].label,
        split=split,
        images_digest=part.digest,
        runs=tuple(map(_one, runs, answers, chosen, repeat(weights))),
        against=tuple(
            _against(run.id, runs[0].id, own, wrong[0], weights)
            for run, own in zip(runs[1:], wrong[1:], strict=True)
        ),
        seed=seed,
        bootstrap=bootstrap,
    )


def _weights(answers: Answers, seed: int, bootstrap: int) -> Floats:
    generator = numpy_generator(seed, "classify", "robustness", "bootstrap")
    return np.concatenate(
        list(bootstrap_weights(answers.truth, answers.patients, generator, bootstrap))
    )


def _loaded(
    runs: Sequence[RunDir], images: ImageSet, split: str
) -> tuple[list[Classifier], ImageSet]:
    """The classifiers, which tell the same classes apart, and what all may be asked about."""
    classifiers = [load_classifier(run) for run in runs]
    for run, other in zip(runs[1:], classifiers[1:], strict=True):
        same = set(classifiers[0].labels) == set(other.labels)
        if not same or classifiers[0].label != other.label:
            raise InputError(
                f"'{runs[0].path}' and '{run.path}' do not tell the same classes apart"
            )
    parts = [
        photographs_to_judge(run, classifier, images, split)
        for run, classifier in zip(runs, classifiers, strict=True)
    ]
    return classifiers, parts[0]


def _versions(
    images: ImageSet, kinds: Sequence[str], seed: int, cache: Path | None, workers: int
) -> Iterator[NDArray[np.uint8]]:
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot keep photographs in '{cache}': {error.strerror}") from error
    function = functools.partial(corrupted, kinds=kinds, seed=seed, cache=str(cache or ""))
    pixels = load_pixels(images, SIDE).permute(0, 2, 3, 1).numpy()
    items = [(r.sha256, np.ascontiguousarray(p)) for r, p in zip(images, pixels, strict=True)]
    return parallel_map(function, items, workers, least=_WORTH_A_PROCESS, at_once=1)


def _chosen(
    classifiers: Sequence[Classifier],
    labels: Sequence[str],
    versions: Iterator[NDArray[np.uint8]],
    compute: Compute,
    task: Task,
) -> list[NDArray[np.int64]]:
    """The class that each classifier chooses, as place in `labels`: photographs x corruptions."""
    places = [
        np.array([list(labels).index(label) for label in classifier.labels], np.int64)
        for classifier in classifiers
    ]
    rows: list[list[NDArray[np.int64]]] = [[] for _ in classifiers]
    for pixels in versions:
        batch = torch.from_numpy(pixels)
        for classifier, place, found in zip(classifiers, places, rows, strict=True):
            found.append(place[classifier.probabilities(batch, compute).argmax(axis=1)])
        task.advance(1)
    return [np.stack(found) for found in rows]


def _by_kind(values: Sequence[float], kinds: Sequence[str]) -> dict[str, tuple[float, ...]]:
    rows = np.asarray(values, np.float64).reshape(len(kinds), len(SEVERITIES))
    return {kind: tuple(float(v) for v in row) for kind, row in zip(kinds, rows, strict=True)}


def _one(run: RunDir, answers: Answers, chosen: NDArray[np.int64], weights: Floats) -> Robustness:
    truth, count = answers.truth, _COUNTED
    classes, target = len(answers.labels), answers.target
    wrong = chosen != truth[:, None]
    errors = wrong.mean(axis=0)
    f1 = [
        float(choice_metrics(confusion_matrix(truth, column, classes), target)["f1_target"])
        for column in chosen.T
    ]
    drawn = (weights @ wrong[:, :count].mean(axis=1)) / weights.sum(axis=1)
    by_kind = _by_kind(errors[:count], BENCHMARK)
    return Robustness(
        run=run.id,
        n=len(truth),
        clean_error=float((~answers.right).mean()),
        errors=by_kind,
        f1_target=_by_kind(f1[:count], BENCHMARK),
        mean_error=Metric(
            float(errors[:count].mean()),
            *percentile_interval(drawn),
            "bootstrap of patients by class",
        ),
        mean_f1_target=float(np.mean(f1[:count])),
        group_errors={
            group: float(np.mean([by_kind[kind] for kind in kinds]))
            for group, kinds in GROUPS.items()
        },
        tuning=_by_kind(errors[count:], TUNING) if chosen.shape[1] > count else {},
    )


def _sums(wrong: NDArray[np.bool_], weights: Floats) -> Floats:
    """Weighted errors, summed over the severities: B x 15."""
    shares = (weights @ wrong) / weights.sum(axis=1, keepdims=True)
    summed: Floats = shares.reshape(len(weights), len(BENCHMARK), len(SEVERITIES)).sum(axis=2)
    return summed


def _against(
    run: str,
    reference: str,
    own: NDArray[np.bool_],
    other: NDArray[np.bool_],
    weights: Floats,
) -> AgainstReference:
    even = np.ones((1, len(own)))
    above, below = _sums(own, even)[0], _sums(other, even)[0]
    ratios = [100 * a / b if b > 0 else None for a, b in zip(above, below, strict=True)]
    errors = dict(zip(BENCHMARK, ratios, strict=True))
    drawn = [_sums(own, weights), _sums(other, weights)]

    def mean(kinds: Sequence[str]) -> float | None:
        known = [errors[kind] for kind in kinds]
        return None if None in known else float(np.mean([k for k in known if k is not None]))

    def with_interval(kinds: Sequence[str]) -> Metric | None:
        value = mean(kinds)
        if value is None:
            return None
        columns = [BENCHMARK.index(kind) for kind in kinds]
        numerator, denominator = (part[:, columns] for part in drawn)
        # A draw of patients on whom the reference errs never counts as half an error.
        replicates = 100 * (numerator / np.maximum(denominator, 0.5 / len(own))).mean(axis=1)
        return Metric(
            value, *percentile_interval(replicates), "paired bootstrap of patients by class"
        )

    calm = tuple(kind for group, kinds in GROUPS.items() if group != "noise" for kind in kinds)
    return AgainstReference(
        run=run,
        reference=reference,
        corruption_errors=errors,
        group_errors={group: mean(kinds) for group, kinds in GROUPS.items()},
        mce=with_interval(BENCHMARK),
        mce_without_noise=with_interval(calm),
    )
