"""Several sets in one; every image still says where it comes from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hzsynth.core.ancestors import Ancestor
from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.image_record import TrainingImage, named_patient
from hzsynth.data.sources.base import Found, SourceImage
from hzsynth.data.sources.folder import find_folder


def merged(paths: Sequence[Path]) -> Found:
    """The images of several sets, as one import.

    A patient's name means nothing outside the set that gave it: it is prefixed with the name of
    the set's source, so that patient 7 of one hospital is not patient 7 of another.

    Args:
        paths: image sets or folders.

    Raises:
        InputError: one of them cannot be used.
    """
    images: list[SourceImage] = []
    lineage: dict[str, tuple[TrainingImage, ...]] = {}
    remarks: list[str] = []
    evidence: list[CopyEvidence] = []
    ancestors: list[Ancestor] = []
    for path in paths:
        found = find_folder(path)
        images += [_named(image, path.absolute().name) for image in found.images]
        remarks += found.remarks
        evidence += found.copy_evidence
        for run, training in found.lineage.items():
            named = {replace(i, source=i.source or path.absolute().name) for i in training}
            lineage[run] = tuple(sorted({*lineage.get(run, ()), *named}, key=str))
        ancestors += [_renamed(row, path.absolute().name) for row in found.ancestors]
    return Found(tuple(images), tuple(remarks), lineage, tuple(evidence), tuple(ancestors))


def _named(image: SourceImage, folder: str) -> SourceImage:
    source = image.source or folder
    return replace(image, source=source, group=named_patient(image.group, source))


def _renamed(row: Ancestor, folder: str) -> Ancestor:
    source = row.source or folder
    return replace(row, source=source, group=named_patient(row.group, source))
