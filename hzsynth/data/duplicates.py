"""Copies of one photograph: mirrored, turned, recoloured, squashed, encoded again, cut or marked.

`data.copy_search` finds them; here they are numbered, reported, and all but the best of each taken
out of a set.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import encode_png
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.components import connected
from hzsynth.data.config import Conflicts
from hzsynth.data.copy_search import Copies, find_copies
from hzsynth.data.merge_sheet import best_copy, cluster_members, merge_sheet

SHEET = "audit/merged.png"


@dataclass(frozen=True)
class DuplicateReport:
    """What a search for copies found.

    Every join makes one photograph of two: files - distinct = exact + known + near + crops.

    Attributes:
        files: images that were searched.
        distinct: different photographs among them.
        clusters: the file names of every photograph that occurs more than once.
        label_conflicts: clusters whose copies have different labels, as ``name: label``.
        split_leaks: clusters whose copies lie in different splits, as ``name: split``.
        exact: joins of files with equal bytes.
        known: joins that an earlier search had found (see `core.copy_evidence`).
        near: joins of whole pictures.
        crops: joins that only keypoints found: parts of a photograph, or heavily marked ones.
        crops_searched: whether crops were looked for; in large sets they are not.
    """

    files: int
    distinct: int
    clusters: tuple[tuple[str, ...], ...]
    label_conflicts: tuple[dict[str, str], ...]
    split_leaks: tuple[dict[str, str], ...]
    exact: int
    known: int
    near: int
    crops: int
    crops_searched: bool


def report_duplicates(images: ImageSet, found: Copies) -> DuplicateReport:
    """Describes what a search found.

    Args:
        images: the set.
        found: of `copy_search.find_copies`.

    Returns:
        The report.
    """
    clusters = found.clusters
    copies = [members for members in cluster_members(images, clusters) if len(members) > 1]
    return DuplicateReport(
        files=len(images),
        distinct=len(set(clusters.tolist())),
        clusters=tuple(tuple(r.file_name for r in members) for members in copies),
        label_conflicts=tuple(
            {r.file_name: r.label for r in members}
            for members in copies
            if len({r.label for r in members}) > 1
        ),
        split_leaks=tuple(
            {r.file_name: r.split for r in members}
            for members in copies
            if len({r.split for r in members}) > 1
        ),
        exact=found.exact,
        known=found.known,
        near=found.near,
        crops=found.crops,
        crops_searched=found.crops_searched,
    )


def _merged_groups(images: ImageSet, clusters: NDArray[np.int64]) -> dict[str, str]:
    """One name for patients who share a photograph: they are one patient under two names."""
    names = sorted({r.group for r in images if r.group})
    number = {name: i for i, name in enumerate(names)}
    pairs = []
    for members in cluster_members(images, clusters):
        groups = [number[r.group] for r in members if r.group]
        pairs += [(groups[0], other) for other in groups[1:]]
    component = connected(len(names), pairs)
    first: dict[int, str] = {}
    return {name: first.setdefault(int(component[i]), name) for i, name in enumerate(names)}


def deduplicate(
    images: ImageSet,
    out: Path,
    *,
    force: bool = False,
    conflicts: Conflicts = "refuse",
    crops: bool | None = None,
    workers: int = 0,
    progress: Progress = SILENT,
) -> tuple[ImageSet, DuplicateReport]:
    """Writes a set that holds every photograph once.

    Patients that turn out to share a photograph get one group name, and a copy without a
    known patient takes that of its cluster.

    Args:
        images: the set.
        out: folder of the new set.
        force: replace a set at `out`.
        conflicts: photographs whose copies have different labels: ``refuse`` the set, ``drop`` all
            their copies, or keep the label of the ``majority`` (the best copy's in a tie).
        crops: whether to look for parts of a photograph (see `copy_search.find_copies`).
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        The new set, with a sheet of what was merged in ``audit/merged.png``, and what was found
        in the old one.

    Raises:
        InputError: an image cannot be read, copies have different labels, or `out` is taken.
    """
    refuse_existing(out, force)
    found = find_copies(images, progress, crops=crops, workers=workers)
    clusters = found.clusters
    report = report_duplicates(images, found)
    if report.label_conflicts and conflicts == "refuse":
        raise InputError(_conflict_sentence(report))
    same_patient = _merged_groups(images, clusters)
    kept = []
    for members in cluster_members(images, clusters):
        if conflicts == "drop" and len({record.label for record in members}) > 1:
            continue
        groups = [r.group for r in members if r.group]
        kept.append((best_copy(members), {"group": same_patient[groups[0]] if groups else ""}))
    key = f"{__name__} {images.digest} {clusters.tolist()} {conflicts}"
    with ImageSetWriter(out, force, hashlib.sha256(key.encode()).hexdigest()) as writer:
        writer.inherit(images)
        if found.evidence is not None:
            writer.add_copy_evidence(found.evidence)
        writer.copy_all(images, kept, workers=workers, progress=progress)
        writer.attach(SHEET, encode_png(merge_sheet(images, clusters)))
    return writer.images, report


def _conflict_sentence(report: DuplicateReport) -> str:
    count = len(report.label_conflicts)
    shown = "; ".join(
        ", ".join(f"'{name}' is {label}" for name, label in conflict.items())
        for conflict in report.label_conflicts[:3]
    )
    return (
        f"{count} photographs have copies with different labels ({shown}"
        f"{'; ...' if count > 3 else ''}): correct them, or choose `conflicts` drop or majority"
    )
