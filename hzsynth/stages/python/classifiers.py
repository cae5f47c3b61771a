"""Classifiers in Python: trained, evaluated on real photographs, and compared in an ablation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hzsynth.ablate.config import AblateConfig
from hzsynth.classify.train.config import ClassifyConfig, KdectConfig
from hzsynth.core.progress import Progress
from hzsynth.stages import ablate as ablate_stage
from hzsynth.stages import classify
from hzsynth.stages.python.arguments import (
    Images,
    Trained,
    compute_on,
    opened,
    place_at,
    run_of,
    settings,
    shown,
)
from hzsynth.stages.python.model import Model


def train_classifier(
    images: Images,
    out: Path | str,
    *,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> Model:
    """Fine-tunes one classifier; the checkpoint is chosen on validation.

    Args:
        images: a set with splits.
        out: the run's folder.
        label: the target class.
        seed: root of all random draws.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        force: start anew where a run is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `classify.train.config.ClassifyConfig`: model, steps ...

    Returns:
        The classifier. An unfinished run goes on where it stopped; a finished one with the same
        settings and images is handed out as it is.

    Raises:
        InputError: a setting is not allowed, or the set has no splits.
        RefusedError: a training image touches a held-out photograph.
    """
    run = classify.train_classifier(
        opened(images),
        settings(ClassifyConfig, values, label=label, seed=seed),
        place_at(out, force),
        compute=compute_on(device, precision),
        progress=shown(progress),
    )
    return Model(run)


def kdect(
    images: Images,
    out: Path | str,
    *,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> Model:
    """KDE-CT: fine-tunes the teachers, then distils their ensemble along a curriculum.

    Args:
        images: a set with splits.
        out: the run's folder.
        label: the target class.
        seed: root of all random draws.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        force: start anew where a run is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `classify.train.config.KdectConfig`: teachers, student ...

    Returns:
        The student; finished and unfinished runs are treated as by `train_classifier`.

    Raises:
        InputError: a setting is not allowed, or the set has no splits.
        RefusedError: a training image touches a held-out photograph.
    """
    run = classify.train_kdect(
        opened(images),
        settings(KdectConfig, values, label=label, seed=seed),
        place_at(out, force),
        compute=compute_on(device, precision),
        progress=shown(progress),
    )
    return Model(run)


def evaluate(
    model: Trained,
    images: Images,
    *,
    split: str = "test",
    by: Sequence[str] = (),
    sensitivity: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> classify.Evaluated:
    """Evaluates a classifier on real photographs: every metric with its interval.

    Args:
        model: the classifier.
        images: the photographs.
        split: train, val or test; empty for a set without splits.
        by: also by these: tone, source or a column of the set.
        sensitivity: choose the threshold that finds this share of val's target class.
        seed: of the bootstrap.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.

    Returns:
        The evaluation; its ``write(folder)`` writes tables, plots and a page.

    Raises:
        InputError: the part lacks the target class, or has a class that the model does not know.
        RefusedError: the part holds synthetic images, or photographs that the model learned from.
    """
    return classify.evaluate(
        run_of(model),
        opened(images),
        split=split,
        by=by,
        sensitivity=sensitivity,
        seed=seed,
        compute=compute_on(device, precision),
    )


def ablate(
    real: Images,
    synthetic: Mapping[str, Images],
    out: Path | str,
    *,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> ablate_stage.Ablation:
    """Trains every arm with every seed, compares them, and writes the report.

    Args:
        real: photographs with splits.
        synthetic: name -> set of generated images.
        out: the run's folder.
        label: the target class.
        seed: root of all random draws.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        force: start anew where a run is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `ablate.design.AblateConfig`: ratios, seeds, classifier ...

    Returns:
        Arms, statistics and verdict; finished and unfinished runs are treated as by
        `train_classifier`.

    Raises:
        InputError: a setting is not allowed, or images are missing.
        RefusedError: a training image touches a held-out photograph.
    """
    return ablate_stage.ablate(
        opened(real),
        {name: opened(images) for name, images in synthetic.items()},
        settings(AblateConfig, values, label=label, seed=seed),
        place_at(out, force),
        compute=compute_on(device, precision),
        progress=shown(progress),
    )
