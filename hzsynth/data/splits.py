"""Splits a set into train, validation and test, or into folds.

Stratified by label; grouped by patient and by photograph: images that share a patient or
are copies of each other form one unit (connected components), and a unit never crosses a
border. Units are dealt, largest first, to the part that lacks most of their classes
(the greedy rule of iterative stratification, Sechidis et al., 2011); a few draws are tried and the
one nearest to the wanted shares is kept.
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
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.card import attach_card
from hzsynth.data.copy_search import find_copies
from hzsynth.data.duplicates import connected

PARTS = ("train", "val", "test")
_DRAWS = 16


def inseparable_units(
    records: Sequence[ImageRecord], clusters: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Numbers the units of images that must stay together.

    Args:
        records: N images.
        clusters: N numbers of photographs (see `data.duplicates`), or None.

    Returns:
        N unit numbers: same patient, same photograph or both, in any chain.
    """
    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str | int], int] = {}
    for row, record in enumerate(records):
        if record.group:
            pairs.append((first.setdefault(("group", record.group), row), row))
        if clusters is not None:
            pairs.append((first.setdefault(("photograph", int(clusters[row])), row), row))
    return connected(len(records), pairs)


def assign_units(
    labels: Sequence[str], units: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Deals units to parts so that every class comes near its wanted shares.

    Args:
        labels: N class names.
        units: N unit numbers.
        shares: K positive shares of the parts.
        seed: another seed gives another division.

    Returns:
        N part numbers in [0, K).

    Raises:
        InputError: a class has fewer units than there are parts, or no division was found
            in which every part has every class.
    """
    classes = sorted(set(labels))
    column = {label: i for i, label in enumerate(classes)}
    counts = np.zeros((int(units.max()) + 1, len(classes)))
    np.add.at(counts, (units, np.array([column[label] for label in labels])), 1)
    for i, label in enumerate(classes):
        holders = int((counts[:, i] > 0).sum())
        if holders < len(shares):
            raise InputError(
                f"class '{label}' cannot be in all {len(shares)} parts: its "
                f"{int(counts[:, i].sum())} images come from {holders} separate patients or "
                f"photographs, at least {len(shares)} are needed"
            )
    wanted = np.asarray(shares, dtype=float)[:, None] / sum(shares) * counts.sum(axis=0)
    best: NDArray[np.int64] | None = None
    best_error = np.inf
    for draw in range(_DRAWS):
        part = _deal(counts, wanted, numpy_generator(seed, "split", draw))
        held = np.zeros_like(wanted)
        np.add.at(held, part, counts)
        error = float((np.abs(held - wanted) / counts.sum(axis=0)).sum())
        if held.min() > 0 and error < best_error:
            best, best_error = part, error
    if best is None:
        raise InputError(
            f"no division into {len(shares)} parts has every class in every part: patients with "
            "several classes, or copies across patients, tie too many images together"
        )
    return best[units]


def _deal(
    counts: NDArray[np.float64], wanted: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """One draw: rare classes first, large units first, each to the part that lacks it most."""
    totals = counts.sum(axis=0)
    rarity = np.where(counts > 0, totals, np.inf).min(axis=1)
    order = np.lexsort((rng.random(len(counts)), -counts.sum(axis=1), rarity))
    part = np.full(len(counts), -1)
    held = np.zeros_like(wanted)
    for unit in order:
        present = counts[unit] > 0
        lack = ((wanted - held) / wanted)[:, present]
        # A part that has none of a class yet comes first: no part may end without it.
        empty = (held[:, present] == 0).any(axis=1)
        over = np.maximum(held + counts[unit] - wanted, 0)[:, present].sum(axis=1)
        score = lack.mean(axis=1) - 0.5 * over / counts[unit].sum() + empty
        part[unit] = int(np.argmax(score + 1e-6 * rng.random(len(score))))
        held[part[unit]] += counts[unit]
    return part


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
