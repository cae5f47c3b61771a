"""Several sets in one; every image still says where it comes from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.image_record import TrainingImage
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
    for path in paths:
        found = find_folder(path)
        images += [_named(image, path.absolute().name) for image in found.images]
        remarks += found.remarks
        evidence += found.copy_evidence
        for run, training in found.lineage.items():
            lineage[run] = tuple(sorted({*lineage.get(run, ()), *training}, key=str))
    return Found(tuple(images), tuple(remarks), lineage, tuple(evidence))


def _named(image: SourceImage, folder: str) -> SourceImage:
    source = image.source or folder
    # "DATA SET/device" has its patients in the data set: several devices see one person.
    dataset = source.partition("/")[0]
    group = image.group
    if group and not group.startswith(f"{dataset}/"):
        group = f"{dataset}/{group}"
    return replace(image, source=source, group=group)
