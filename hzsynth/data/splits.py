"""Splits a set into train, validation and test, or into folds.

Stratified by label; grouped by patient and by photograph: images that share a patient, are made from one
photograph or are copies of each other form one unit (connected components), and a unit never crosses a
border. Units are dealt at random (see `data.division`).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.card import attach_card
from hzsynth.data.components import connected
from hzsynth.data.copy_search import find_copies
from hzsynth.data.division import assign_units

PARTS = ("train", "val", "test")
FEW_PATIENTS = 5
"""Patients of a class below which figures on a split say little of other patients."""


def inseparable_units(
    records: Sequence[ImageRecord], clusters: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Numbers the units of images that must stay together.

    Args:
        records: N images.
        clusters: N numbers of photographs (see `data.duplicates`), or None.

    Returns:
        N unit numbers: same patient, same photograph, made from one photograph, in any chain.
    """
    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str | int], int] = {}
    for row, record in enumerate(records):
        if record.group:
            pairs.append((first.setdefault(("group", record.group), row), row))
        for digest in (record.sha256, *record.parents):
            if digest:
                pairs.append((first.setdefault(("file", digest), row), row))
        if clusters is not None:
            pairs.append((first.setdefault(("photograph", int(clusters[row])), row), row))
    return connected(len(records), pairs)


def few_patients(images: ImageSet) -> tuple[str, ...]:
    """Says which classes come from few patients in a split; copies of one photograph count apart.

    Args:
        images: a set with splits.

    Returns:
        A sentence for every class of which a split has fewer than `FEW_PATIENTS` patients, with the
        numbers.
    """
    found = []
    for label in images.labels:
        parts = {part: images.select(split=part, label=label) for part in PARTS}
        patients = {part: len({r.patient for r in held}) for part, held in parts.items()}
        shown = [
            f"{part} {patients[part]} ({len(held)} images)"
            for part, held in parts.items()
            if len(held) and patients[part] < FEW_PATIENTS
        ]
        if shown:
            found.append(
                f"'{label}' comes from fewer than {FEW_PATIENTS} patients in {', '.join(shown)}: figures "
                "there say little of other patients"
            )
    return tuple(found)


def split_images(
    images: ImageSet,
    out: Path,
    ratios: tuple[float, float, float] = (70, 15, 15),
    seed: int = 0,
    *,
    force: bool = False,
    workers: int = 0,
    progress: Progress = SILENT,
) -> ImageSet:
    """Writes the set again with every image in train, val or test.

    Args:
        images: the set; splits that it has are replaced.
        out: folder of the new set.
        ratios: shares of train, val and test; they need not sum to 100.
        seed: another seed gives another division.
        force: replace a set at `out`.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        The new set: every class in every split; no patient and no photograph in two.

    Raises:
        InputError: a ratio is not positive, a class has too few patients, or `out` is taken.
    """
    if len(ratios) != 3 or not all(np.isfinite(r) and r > 0 for r in ratios):
        shown = "/".join(f"{r:g}" for r in ratios)
        raise InputError(f"`ratios` needs three positive numbers such as 70/15/15, not {shown}")
    refuse_existing(out, force)
    part, evidence = _parts(images, ratios, seed, workers, progress)
    with ImageSetWriter(out, force, _key(images, part)) as writer:
        writer.inherit(images)
        if evidence is not None:
            writer.add_copy_evidence(evidence)
        places = [(r, {"split": PARTS[n]}) for r, n in zip(images, part.tolist(), strict=True)]
        writer.copy_all(images, places, workers=workers, progress=progress)
        attach_card(writer, images.root.name)
    return writer.images


def fold_images(
    images: ImageSet,
    out: Path,
    folds: int,
    seed: int = 0,
    *,
    force: bool = False,
    workers: int = 0,
    progress: Progress = SILENT,
) -> tuple[ImageSet, ...]:
    """Writes K sets, ``out/fold-0`` and on, for cross-validation.

    In set k, fold k is the test split and fold k + 1 the validation split, so every image is
    tested exactly once.

    Args:
        images: the set.
        out: folder that will hold the K sets.
        folds: K, at least 3.
        seed: another seed gives another division.
        force: replace sets at `out`.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        The K sets.

    Raises:
        InputError: K is below 3 or above the patients of a class, or `out` is taken.
    """
    if folds < 3:
        raise InputError(f"`folds` is at least 3 (train, val and test differ), not {folds}")
    part, evidence = _parts(images, (1.0,) * folds, seed, workers, progress)
    made = []
    for fold in range(folds):
        names = {fold: "test", (fold + 1) % folds: "val"}
        with ImageSetWriter(out / f"fold-{fold}", force, _key(images, part)) as writer:
            writer.inherit(images)
            if evidence is not None:
                writer.add_copy_evidence(evidence)
            places = [
                (record, {"split": names.get(number, "train")})
                for record, number in zip(images, part.tolist(), strict=True)
            ]
            writer.copy_all(images, places, workers=workers, progress=progress)
            attach_card(writer, f"{images.root.name}, fold {fold}")
        made.append(writer.images)
    return tuple(made)


def _key(images: ImageSet, part: NDArray[np.int64]) -> str:
    """Stands for a division, so that an interrupted one is gone on with."""
    return hashlib.sha256(f"{__name__} {images.digest} {part.tolist()}".encode()).hexdigest()


def _parts(
    images: ImageSet, shares: Sequence[float], seed: int, workers: int, progress: Progress
) -> tuple[NDArray[np.int64], CopyEvidence | None]:
    """The part of every image, and what the search for copies found that was not known."""
    if not len(images):
        raise InputError(f"'{images.root}' holds no images to split")
    made = [r for r in images if not r.is_real]
    if made:
        raise InputError(
            f"only photographs are split: '{made[0].file_name}' is {made[0].origin}; "
            "split the photographs first, then add images that were made from train"
        )
    found = find_copies(images, progress, workers=workers)
    units = inseparable_units(images.records, found.clusters)
    return assign_units([r.label for r in images], units, shares, seed), found.evidence
