"""Sets of noise about grey levels, and what a run would say that it learned from."""

from pathlib import Path

import numpy as np

from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter


def write(path: Path, grey: list[int], split: str = "", origin: str = "real") -> ImageSet:
    """Noise about a grey level each: their mean is what the known judge looks at."""
    rng = np.random.default_rng(len(path.name))
    with ImageSetWriter(path) as writer:
        for number, level in enumerate(grey):
            picture = (level + rng.normal(0, 12, (24, 24, 3))).clip(0, 255).astype(np.uint8)
            group = f"{path.name}-{number}" if origin == "real" else ""
            writer.add(picture, label="zoster", split=split, origin=origin, group=group)
    return writer.images


def trained_on(images: ImageSet) -> tuple[TrainingImage, ...]:
    return tuple(TrainingImage(r.sha256, r.phash, r.group) for r in images)
