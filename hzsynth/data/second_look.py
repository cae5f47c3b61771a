"""After preprocessing: what still tells the class, or the source, apart from the disease?

Every property is one that a network could learn in place of the disease: marks that are left, where marks
were painted over, sharpness, enlargement, brightness, skin tone. How far it tells is the bias-corrected
Cramér's V (`data.association`), 0 for nothing to 1 for all.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import SLOW, parallel_map
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.annotations import find_annotations
from hzsynth.data.association import association
from hzsynth.data.image_properties import perceived_blur
from hzsynth.data.skin_tone import skin_angle, tone_bin

REMOVED = "removed_annotations"
"""The column that names the kinds of annotations that were taken off an image."""
SECOND_LOOK = "audit/second-look.json"
_TELLS = 0.3
_NONE = "none"


@dataclass(frozen=True)
class SecondLook:
    """What a preprocessed set gives away.

    Attributes:
        removed: class -> kind of annotation -> images that it was taken off.
        left: class -> kind of annotation -> images in which one is still found.
        tells_class: property -> Cramér's V with the class.
        tells_source: property -> Cramér's V with the source; empty where there is one source.
    """

    removed: Mapping[str, Mapping[str, int]]
    left: Mapping[str, Mapping[str, int]]
    tells_class: Mapping[str, float]
    tells_source: Mapping[str, float]

    def sentences(self) -> tuple[str, ...]:
        """How much was removed, what is left, and which properties tell class or source."""
        found = []
        for verb, table in (("taken off", self.removed), ("still found on", self.left)):
            counts = Counter[str]()
            for kinds in table.values():
                counts.update(kinds)
            shown = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
            found.append(f"annotations {verb} images: {shown or _NONE}")
        for name, told in (("class", self.tells_class), ("source", self.tells_source)):
            telling = sorted((-value, key) for key, value in told.items() if value >= _TELLS)
            if telling:
                shown = ", ".join(f"{key} {-value:.2f}" for value, key in telling)
                found.append(f"the {name} is still told by (Cramér's V): {shown}")
        return tuple(found)

    def to_json(self) -> str:
        """As text."""
        return json.dumps({**asdict(self), "sentences": self.sentences()}, indent=2) + "\n"


@dataclass(frozen=True)
class _Seen:
    """One preprocessed image: kinds of annotations found, blur, mean grey level, bin of the tone."""

    kinds: tuple[str, ...]
    blur: float
    grey: float
    tone: str


def look_again(
    before: Sequence[ImageRecord],
    images: ImageSet,
    *,
    workers: int = 0,
    progress: Progress = SILENT,
) -> SecondLook:
    """Looks at a set after preprocessing.

    Args:
        before: the photographs' rows before.
        images: the set after, in the same order.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        What was removed, what is left, and what tells class and source.

    Raises:
        InputError: an image cannot be read.
    """
    seen = []
    with progress.task("looking again", total=len(images), unit="img") as task:
        work = partial(_look, images.root)
        for result in parallel_map(work, images.records, workers, least=SLOW):
            if isinstance(result, str):
                raise InputError(result)
            seen.append(result)
            task.advance(1)
    removed = [tuple(record.extra.get(REMOVED, "").split()) for record in images]
    properties = {
        "annotations removed": ["+".join(kinds) or _NONE for kinds in removed],
        "annotations left": ["+".join(each.kinds) or _NONE for each in seen],
        "sharpness": _thirds([each.blur for each in seen]),
        "brightness": _thirds([each.grey for each in seen]),
        "skin tone": [each.tone for each in seen],
        "enlargement": [
            "enlarged" if min(old.width, old.height) < new.width else "reduced"
            for old, new in zip(before, images, strict=True)
        ],
    }
    labels, sources = [r.label for r in images], [r.source for r in images]
    return SecondLook(
        removed=_by_class(labels, removed),
        left=_by_class(labels, [each.kinds for each in seen]),
        tells_class=_told(properties, labels),
        tells_source=_told(properties, sources) if len(set(sources)) > 1 else {},
    )


def _look(root: Path, record: ImageRecord) -> _Seen | str:
    try:
        pixels = ImageSet(root, (record,)).read_pixels(record)
    except InputError as error:
        return str(error)
    kinds = tuple(sorted({annotation.kind for annotation in find_annotations(pixels)}))
    tone = tone_bin(skin_angle(pixels))
    return _Seen(kinds, perceived_blur(pixels), float(pixels.mean()), tone)


def _thirds(values: Sequence[float]) -> list[str]:
    borders = np.quantile(values, [1 / 3, 2 / 3])
    return [("low", "middle", "high")[int(np.searchsorted(borders, value))] for value in values]


def _told(properties: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> dict[str, float]:
    return {
        name: round(association(list(zip(values, wanted, strict=True))), 3)
        for name, values in properties.items()
    }


def _by_class(labels: Sequence[str], kinds: Sequence[Sequence[str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for label, found in zip(labels, kinds, strict=True):
        counts.setdefault(label, Counter()).update(found)
    return {label: dict(sorted(found.items())) for label, found in sorted(counts.items())}
