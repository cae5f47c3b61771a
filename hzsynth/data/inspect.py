"""Looks at a collection before anything is trained on it: what is in it, and what is wrong.

Counts by class and split, sizes and formats, unreadable files, copies with different
labels or in different splits, the distribution of skin tone, and a contact sheet.
"""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageRecord, ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.duplicates import DuplicateReport, duplicate_clusters, report_duplicates
from hzsynth.data.lesion import lesion_mask
from hzsynth.data.loading import square
from hzsynth.data.photos import decode_image, image_size
from hzsynth.data.skin_tone import TONE_BINS, individual_typology_angle, skin_mask, tone_bin
from hzsynth.report.contact_sheet import contact_sheet

_SHEET_SIDE = 96
_SHEET_COLUMNS = 8
_SMALL = 128
_TONE_SIDE = 160


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
        metadata: images that carry camera metadata (EXIF), which may name places and people.
        broken: a sentence for every unreadable file.
        duplicates: copies, label conflicts and split leaks.
        tone: for every class, mean and deviation of the typology angle, degrees.
        tone_bins: images in every tone bin, darkest first.
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
    metadata: int
    broken: tuple[str, ...]
    duplicates: DuplicateReport
    tone: dict[str, dict[str, float]]
    tone_bins: dict[str, int]
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
            "metadata": self.metadata,
            "broken": list(self.broken),
            "distinct": found.distinct,
            "clusters": [list(cluster) for cluster in found.clusters],
            "label_conflicts": [dict(conflict) for conflict in found.label_conflicts],
            "split_leaks": [dict(leak) for leak in found.split_leaks],
            "tone": self.tone,
            "tone_bins": self.tone_bins,
        }


def inspect_images(
    images: ImageSet, broken: Sequence[str] = (), progress: Progress = SILENT
) -> Inspection:
    """Looks at every image of a collection.

    Args:
        images: the collection.
        broken: sentences about files that could not be read when it was opened (see
            `data.loading.scan_images`); files that turn out damaged here are added.
        progress: where progress is shown.

    Returns:
        What was found.

    Raises:
        InputError: not a single image can be read.
    """
    unreadable = list(broken)
    good: list[ImageRecord] = []
    formats: Counter[str] = Counter()
    angles: dict[str, list[float]] = {}
    sides: list[int] = []
    metadata = 0
    with progress.task("inspecting", total=len(images), unit="img") as task:
        for record in images:
            task.advance(1)
            name = str(images.path(record))
            try:
                data = images.read_bytes(record)
                pixels = decode_image(data, name)
                formats[image_size(data, name)[2]] += 1
                mask = images.read_mask(record)
            except InputError as error:
                unreadable.append(str(error))
                continue
            good.append(record)
            metadata += _has_exif(data)
            sides.append(min(pixels.shape[:2]))
            angles.setdefault(record.label, []).append(skin_angle(pixels, mask))
    if not good:
        reason = unreadable[0] if unreadable else "it is empty"
        raise InputError(f"no image of '{images.root}' can be read: {reason}")
    readable = images.replace_records(good)
    every = [angle for values in angles.values() for angle in values]
    bins = Counter(tone_bin(angle) for angle in every)
    return Inspection(
        files=len(good) + len(unreadable),
        classes=_counts(good),
        splits={
            split: _counts([r for r in good if r.split == split])
            for split in sorted({r.split for r in good if r.split})
        },
        groups=len({r.group for r in good if r.group}),
        without_group=sum(not r.group for r in good),
        formats=dict(sorted(formats.items())),
        origins=dict(sorted(Counter(r.origin for r in good).items())),
        shorter_side={
            "smallest": float(min(sides)),
            "median": float(np.median(sides)),
            "largest": float(max(sides)),
        },
        small=sum(side < _SMALL for side in sides),
        metadata=metadata,
        broken=tuple(unreadable),
        duplicates=report_duplicates(readable, duplicate_clusters(readable, progress)),
        tone={
            label: {"mean": float(np.mean(values)), "deviation": float(np.std(values))}
            for label, values in sorted(angles.items())
        },
        tone_bins={name: bins[name] for name in TONE_BINS},
        sheet=_sheet(readable),
    )


def skin_angle(pixels: NDArray[np.uint8], lesion: NDArray[np.bool_] | None = None) -> float:
    """The typology angle of the skin outside the lesion.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        lesion: H x W, True inside the lesion; None: it is looked for.

    Returns:
        Degrees; of the whole picture when hardly any healthy skin is left.
    """
    if lesion is None and max(pixels.shape[:2]) > _TONE_SIDE:
        # The typical colour is looked for: a reduced picture has the same one.
        picture = Image.fromarray(pixels)
        picture.thumbnail((_TONE_SIDE, _TONE_SIDE), Image.Resampling.BOX)
        pixels = np.asarray(picture)
    skin = skin_mask(pixels)
    if lesion is None or lesion.shape != skin.shape:
        lesion = lesion_mask(pixels)
    healthy = skin & ~lesion
    return individual_typology_angle(pixels, healthy if healthy.mean() > 0.02 else skin)


def _counts(records: Sequence[ImageRecord]) -> dict[str, int]:
    return dict(sorted(Counter(r.label for r in records).items()))


def _has_exif(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        return len(picture.getexif()) > 0


def _sheet(images: ImageSet) -> NDArray[np.uint8]:
    """A row a class, its images evenly picked."""
    pictures, captions = [], []
    for label in images.labels:
        records = images.select(label=label).records
        chosen = np.unique(np.linspace(0, len(records) - 1, _SHEET_COLUMNS).round().astype(int))
        row = [records[i] for i in chosen]
        for record in row:
            pixels = decode_image(images.read_bytes(record), record.file_name)
            pictures.append(square(pixels, _SHEET_SIDE))
            captions.append(label)
        for _ in range(_SHEET_COLUMNS - len(row)):
            pictures.append(np.full((_SHEET_SIDE, _SHEET_SIDE, 3), 255, np.uint8))
            captions.append("")
    stacked = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    return contact_sheet(stacked, _SHEET_COLUMNS, captions)
