"""What a classifier learns from: the split column turned into arrays, lineage checked first."""

import json
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from hzsynth.augment.mixing import SOFT_LABEL
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.data.loading import load_pixels


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images with their classes.

    Attributes:
        pixels: uint8 N x 3 x size x size.
        targets: int64 N, places in `TrainingData.labels`.
        soft: float32 N x C, shares of the classes where images of several were mixed (see
            `augment.mixing`); None when every image shows one class.
        views: int64 N, how often each is shown in a pass; None: once.
    """

    pixels: torch.Tensor
    targets: torch.Tensor
    soft: torch.Tensor | None = None
    views: torch.Tensor | None = None

    @property
    def shown(self) -> torch.Tensor:
        """int64 V, the image of every view."""
        places = torch.arange(len(self))
        return places if self.views is None else places.repeat_interleave(self.views)

    @property
    def targets_shown(self) -> torch.Tensor:
        """int64 V, the class of every view."""
        return self.targets[self.shown]

    @property
    def learned(self) -> torch.Tensor:
        """What a loss compares with: `soft` if there is any, else `targets`."""
        return self.targets if self.soft is None else self.soft

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class TrainingData:
    """Training and validation images of one set.

    Attributes:
        labels: class names, sorted; their places are the targets.
        target: place of the target class.
        train: images to learn from, of any origin but ``augmented``: each is varied anew whenever
            it is shown.
        validation: photographs that the checkpoint is chosen on.
        records: the rows of `train`.
        sources: the whole sets that it comes from, for the lineage.
    """

    labels: tuple[str, ...]
    target: int
    train: LabelledImages
    validation: LabelledImages
    records: tuple[ImageRecord, ...]
    sources: tuple[ImageSet, ...] = ()

    @property
    def learned_from(self) -> tuple[ImageSet, ...]:
        """The train splits of the sources."""
        return tuple(images.training_part() for images in self.sources)

    @property
    def held_out(self) -> tuple[ImageSet, ...]:
        """The val and test splits of the sources."""
        return tuple(images.held_out_part() for images in self.sources)


def load_training_data(images: ImageSet, size: int, label: str) -> TrainingData:
    """Checks the lineage, then decodes the train and val splits.

    Args:
        images: a set with a split column.
        size: side of the square pictures, pixels.
        label: the target class.

    Returns:
        The images; the test split is looked at by the lineage check only.

    Raises:
        InputError: the set has no splits, no training or validation image, fewer than two
            classes, no such target class, or a class without training image.
        RefusedError: a training image touches a validation or test photograph.
    """
    if not images.has_splits:
        raise InputError(
            f"'{images.root}' has no split for every image: run `hzsynth data split` on it first"
        )
    train, validation = images.select(split="train"), images.select(split="val")
    for part, name in ((train, "train"), (validation, "val")):
        if not len(part):
            raise InputError(f"'{images.root}' has no image in its {name} split")
    labels = images.labels
    if label not in labels:
        raise InputError(
            f"`label` '{label}' is not a class of '{images.root}': it has {', '.join(labels)}"
        )
    if len(labels) < 2:
        raise InputError(f"'{images.root}' has one class only, a classifier needs two or more")
    unseen = sorted(set(labels) - set(train.labels))
    if unseen:
        raise InputError(f"'{images.root}' has no training image of the class '{unseen[0]}'")
    check_lineage([train], [images.held_out_part()])
    train, views = base_images(train)
    return TrainingData(
        labels=labels,
        target=labels.index(label),
        train=replace(_decoded(train, labels, size), views=torch.tensor(views)),
        validation=_decoded(validation, labels, size),
        records=train.records,
        sources=(images,),
    )


def base_images(train: ImageSet) -> tuple[ImageSet, list[int]]:
    """The images that a training varies itself, and how often each is shown in a pass.

    A file that is an augmentation of one of them stands for one more view of it: the training makes
    such views itself, in every class alike. One that is mixed of several images stays as it is.

    Args:
        train: the training images of a set.

    Returns:
        N images and N numbers of views.
    """
    made = [r for r in train if r.origin == "augmented" and len(r.parents) == 1]
    bases = [r for r in train if not (r.origin == "augmented" and len(r.parents) == 1)]
    # A resized image has another digest; the one that it was made from is its last parent.
    places = {r.parents[-1]: n for n, r in enumerate(bases) if r.parents}
    places |= {r.sha256: n for n, r in enumerate(bases)}
    views = [record.views for record in bases]
    orphans, orphan_views = [], []
    for record in made:
        place = places.get(record.parents[0])
        if place is None:
            orphans.append(record)
            orphan_views.append(record.views)
        else:
            views[place] += 1
    return train.replace_records([*bases, *orphans]), [*views, *orphan_views]


def _decoded(part: ImageSet, labels: tuple[str, ...], size: int) -> LabelledImages:
    targets = torch.tensor([labels.index(record.label) for record in part], dtype=torch.int64)
    return LabelledImages(load_pixels(part, size), targets, _soft(part, targets, labels))


def _soft(part: ImageSet, targets: torch.Tensor, labels: tuple[str, ...]) -> torch.Tensor | None:
    mixed = {i: text for i, r in enumerate(part) if (text := r.extra.get(SOFT_LABEL))}
    if not mixed:
        return None
    soft = functional.one_hot(targets, len(labels)).float()
    for place, text in mixed.items():
        try:
            shares = {
                labels.index(label): float(share) for label, share in json.loads(text).items()
            }
        except (ValueError, AttributeError, TypeError):
            shares = {}
        if min(shares.values(), default=-1.0) < 0 or abs(sum(shares.values()) - 1) > 1e-3:
            raise InputError(
                f"{SOFT_LABEL} of '{part.records[place].file_name}' must give shares of classes of "
                f"the set that add up to 1, not '{text}'"
            )
        soft[place] = 0
        for label, share in shares.items():
            soft[place, label] = share
    return soft
