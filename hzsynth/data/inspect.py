"""Looks at a collection before anything is trained on it: what is in it, and what is wrong.

Counts by class, split and source, sizes, formats and hidden metadata, unreadable and blurred
files, logos, copies with different labels or in different splits, whether the source predicts the
class, the distribution of skin tone, and a contact sheet.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import SLOW, parallel_map
from hzsynth.core.photos import square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.association import association
from hzsynth.data.copy_search import find_copies
from hzsynth.data.duplicates import DuplicateReport, report_duplicates
from hzsynth.data.image_properties import ImageProperties, properties_of_image
from hzsynth.data.logos import learn_logos_of_set
from hzsynth.data.skin_tone import TONE_BINS, UNCLEAR, tone_bin
from hzsynth.report.contact_sheet import contact_sheet

_SHEET_SIDE = 96
_SHEET_COLUMNS = 8
_TONE_PICTURES = 16
_SMALL, _TINY = 128, 64
# Of 73 clinical photographs the blurriest has .52; reduced to 384 pixels and blurred by 3 of them,
# 95 % are above .60.
_BLURRED = 0.6


@dataclass(frozen=True)
class Inspection:
    """What a collection is like.

    Attributes:
        files: readable and unreadable images together.
        classes: images of every class.
        splits: for every split that occurs, images of every class.
        groups: different patients that are named.
        without_group: images without a named patient.
        formats: images of every file format.
        origins: images of every origin.
        shorter_side: smallest, median and largest shorter side, pixels.
        small: images whose shorter side is below 128 pixels.
        tiny: images whose shorter side is below 64 pixels: hardly a photograph.
        aspect: smallest, median and largest ratio of the longer to the shorter side.
        blurred: images whose perceptual blur is above .6.
        metadata: images by kind of hidden metadata (EXIF, XMP ...), which may name places and people.
        annotations: for every class, images by kind of annotation found (logo, banner ...).
        sources: for every source, images of every class.
        association: bias-corrected Cramér's V between source and class, 0 to 1.
        shortcuts: a sentence for every class that comes from one source only.
        broken: a sentence for every unreadable file.
        duplicates: copies, label conflicts and split leaks.
        tone: for every class, mean and deviation of the typology angle, degrees, and the share of
            images whose tone is not told; a class in which none is told has the share only.
        tone_bins: images in every tone bin, darkest first, then those whose tone is not told.
        tone_unclear: reason why a tone is not told -> images.
        tone_sheets: bin -> some of its images, H x W x 3 uint8.
        sheet: contact sheet, H x W x 3 uint8.
    """

    files: int
    classes: dict[str, int]
    splits: dict[str, dict[str, int]]
    groups: int
    without_group: int
    formats: dict[str, int]
    origins: dict[str, int]
    shorter_side: dict[str, float]
    small: int
    tiny: int
    aspect: dict[str, float]
    blurred: int
    metadata: dict[str, int]
    annotations: dict[str, dict[str, int]]
    sources: dict[str, dict[str, int]]
    association: float
    shortcuts: tuple[str, ...]
    broken: tuple[str, ...]
    duplicates: DuplicateReport
    tone: dict[str, dict[str, float]]
    tone_bins: dict[str, int]
    tone_unclear: dict[str, int]
    tone_sheets: dict[str, NDArray[np.uint8]] = field(repr=False)
    sheet: NDArray[np.uint8] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but the contact sheet, of types that JSON knows."""
        found = self.duplicates
        return {
            "files": self.files,
            "classes": self.classes,
            "splits": self.splits,
            "groups": self.groups,
            "without_group": self.without_group,
            "formats": self.formats,
            "origins": self.origins,
            "shorter_side": self.shorter_side,
            "small": self.small,
            "tiny": self.tiny,
            "aspect": self.aspect,
            "blurred": self.blurred,
            "metadata": self.metadata,
            "annotations": self.annotations,
            "sources": self.sources,
            "association": self.association,
            "shortcuts": list(self.shortcuts),
            "broken": list(self.broken),
            "distinct": found.distinct,
            "clusters": [list(cluster) for cluster in found.clusters],
            "label_conflicts": [dict(conflict) for conflict in found.label_conflicts],
            "split_leaks": [dict(leak) for leak in found.split_leaks],
            "tone": self.tone,
            "tone_bins": self.tone_bins,
            "tone_unclear": self.tone_unclear,
        }


def inspect_images(
    images: ImageSet,
    broken: Sequence[str] = (),
    *,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Inspection:
    """Looks at every image of a collection.

    Args:
        images: the collection.
        broken: sentences about files that could not be read when it was opened (see
            `data.loading.scan_images`); files that turn out damaged here are added.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        What was found.

    Raises:
        InputError: not a single image can be read.
    """
    good, properties, damaged = _readable(images, workers, progress)
    unreadable = (*broken, *damaged)
    if not good:
        reason = unreadable[0] if unreadable else "it is empty"
        raise InputError(f"no image of '{images.root}' can be read: {reason}")
    readable = images.replace_records(good)
    duplicates = report_duplicates(readable, find_copies(readable, progress, workers=workers))
    labels = [record.label for record in good]
    tones = [tone_bin(each.tone.angle) for each in properties]
    sides = [min(each.width, each.height) for each in properties]
    return Inspection(
        files=len(good) + len(unreadable),
        classes=_counts(good),
        splits=_counts_by_split(good),
        groups=len({r.group for r in good if r.group}),
        without_group=sum(not r.group for r in good),
        formats=_sorted(Counter(each.format for each in properties)),
        origins=_sorted(Counter(r.origin for r in good)),
        shorter_side=_range([float(side) for side in sides]),
        small=sum(side < _SMALL for side in sides),
        tiny=sum(side < _TINY for side in sides),
        aspect=_range([max(p.width, p.height) / min(p.width, p.height) for p in properties]),
        blurred=sum(each.blur > _BLURRED for each in properties),
        metadata=_sorted(Counter(kind for each in properties for kind in each.metadata)),
        annotations=_annotations_by_class(labels, properties),
        sources=_counts_by_source(good),
        association=source_association(good),
        shortcuts=source_shortcuts(good),
        broken=unreadable,
        duplicates=duplicates,
        tone=_tone_by_class(labels, properties),
        tone_bins={name: tones.count(name) for name in (*TONE_BINS, UNCLEAR)},
        tone_unclear=_sorted(Counter(p.tone.reason for p in properties if p.tone.reason)),
        tone_sheets=_tone_sheets(readable, tones),
        sheet=_sheet(readable),
    )


def _readable(
    images: ImageSet, workers: int, progress: Progress
) -> tuple[list[ImageRecord], list[ImageProperties], list[str]]:
    """The images that can be read, what each is like, and a sentence for each of the others."""
    good: list[ImageRecord] = []
    properties: list[ImageProperties] = []
    damaged: list[str] = []
    logos = learn_logos_of_set(images, workers=workers, progress=progress)
    work = partial(properties_of_image, images.root, logos)
    with progress.task("inspecting", total=len(images), unit="img") as task:
        results = parallel_map(work, images.records, workers, least=SLOW)
        for record, result in zip(images, results, strict=True):
            if isinstance(result, str):
                damaged.append(result)
            else:
                good.append(record)
                properties.append(result)
            task.advance(1)
    return good, properties, damaged


def _counts_by_split(records: Sequence[ImageRecord]) -> dict[str, dict[str, int]]:
    return {
        split: _counts([r for r in records if r.split == split])
        for split in sorted({r.split for r in records if r.split})
    }


def _counts_by_source(records: Sequence[ImageRecord]) -> dict[str, dict[str, int]]:
    return {
        source or "unknown": _counts([r for r in records if r.source == source])
        for source in sorted({r.source for r in records})
    }


def _annotations_by_class(
    labels: Sequence[str], properties: Sequence[ImageProperties]
) -> dict[str, dict[str, int]]:
    kinds: dict[str, Counter[str]] = {}
    for label, each in zip(labels, properties, strict=True):
        kinds.setdefault(label, Counter()).update(each.annotations)
    return {label: _sorted(counts) for label, counts in sorted(kinds.items())}


def _tone_by_class(
    labels: Sequence[str], properties: Sequence[ImageProperties]
) -> dict[str, dict[str, float]]:
    angles: dict[str, list[float]] = {}
    for label, each in zip(labels, properties, strict=True):
        angles.setdefault(label, []).append(each.tone.angle)
    found = {}
    for label, values in sorted(angles.items()):
        told = [value for value in values if not np.isnan(value)]
        found[label] = {"unclear": 1 - len(told) / len(values)}
        if told:
            found[label] |= {"mean": float(np.mean(told)), "deviation": float(np.std(told))}
    return found


def _tone_sheets(images: ImageSet, tones: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Some images of every bin that occurs, evenly picked: whether they are what the bin says is seen."""
    sheets = {}
    for name in (*TONE_BINS, UNCLEAR):
        places = [place for place, tone in enumerate(tones) if tone == name]
        if not places:
            continue
        picked = np.unique(np.linspace(0, len(places) - 1, _TONE_PICTURES).round().astype(int))
        records = [images.records[places[i]] for i in picked]
        pictures = [square(images.read_pixels(record), _SHEET_SIDE) for record in records]
        stacked = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
        columns = min(_SHEET_COLUMNS, len(pictures))
        sheets[name] = contact_sheet(stacked, columns, [record.label for record in records])
    return sheets


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _range(values: Sequence[float]) -> dict[str, float]:
    return {
        "smallest": float(min(values)),
        "median": float(np.median(values)),
        "largest": float(max(values)),
    }


def _counts(records: Sequence[ImageRecord]) -> dict[str, int]:
    return dict(sorted(Counter(r.label for r in records).items()))


def source_association(records: Sequence[ImageRecord]) -> float:
    """How far the source of an image tells its class (see `data.association`)."""
    return association([(record.source, record.label) for record in records])


def source_shortcuts(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Classes that come from one source while others do not: what a network may learn instead."""
    by_label: dict[str, Counter[str]] = {}
    by_source: dict[str, Counter[str]] = {}
    for record in records:
        by_label.setdefault(record.label, Counter())[record.source] += 1
        by_source.setdefault(record.source, Counter())[record.label] += 1
    if len(by_source) < 2:
        return ()
    found = []
    for label, sources in sorted(by_label.items()):
        if len(sources) == 1:
            source = next(iter(sources))
            only = " and it holds nothing else" if len(by_source[source]) == 1 else ""
            found.append(f"every image of '{label}' comes from '{source or 'unknown'}'{only}")
    return tuple(found)


def _sheet(images: ImageSet) -> NDArray[np.uint8]:
    """A row a class, its images evenly picked."""
    pictures, captions = [], []
    for label in images.labels:
        records = images.select(label=label).records
        chosen = np.unique(np.linspace(0, len(records) - 1, _SHEET_COLUMNS).round().astype(int))
        row = [records[i] for i in chosen]
        for record in row:
            pixels = images.read_pixels(record)
            pictures.append(square(pixels, _SHEET_SIDE))
            captions.append(label)
        for _ in range(_SHEET_COLUMNS - len(row)):
            pictures.append(np.full((_SHEET_SIDE, _SHEET_SIDE, 3), 255, np.uint8))
            captions.append("")
    stacked = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    return contact_sheet(stacked, _SHEET_COLUMNS, captions)
