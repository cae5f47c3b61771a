"""The stage `build-dataset`: real, synthetic and augmented images at a chosen ratio."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from hzsynth.augment.mixing import Mix, mix_pair
from hzsynth.augment.mixture import Arm, ClassPlan, plan_other, plan_target
from hzsynth.augment.strategies import ONE_IMAGE_NAMES, SETTINGS, Augmenter
from hzsynth.core.config import Config
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageRecord, ImageSet, TrainingImage
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import check_lineage
from hzsynth.core.progress import SILENT, Progress, Task
from hzsynth.core.seeding import derive_seed, numpy_generator
from hzsynth.data.loading import square
from hzsynth.data.photos import decode_image

_PARAMETERS = "augmentation"


class BuildConfig(Config):
    """Settings of `build_dataset`."""

    label: str = Field("herpes_zoster", description="target class, which is filled")
    ratio: float = Field(1.0, ge=0, description="synthetic images per real one of the target class")
    multiplier: int = Field(10, ge=1, description="the class is filled to multiplier x n images")
    arm: Arm = Field(
        "mixture", description="mixture, or a control: real, duplicated, synthetic-only"
    )
    balance: Literal["none", "target", "all"] = Field(
        "target",
        description=(
            "which classes are filled: target; all (each up to the largest class); "
            "none (each to multiplier x its own n, so that the proportions stay)"
        ),
    )
    strategies: tuple[str, ...] = Field(
        ONE_IMAGE_NAMES, min_length=1, description="classical augmentations"
    )
    strength: float = Field(1.0, gt=0, le=2, description="scales every augmentation")
    mix: Mix = Field("none", description="mix half of the augmented images within their class")
    size: int | None = Field(
        None, ge=16, le=2048, description="side of the written training images; None keeps each"
    )
    seed: int = Field(0, ge=0, description="of the choice of images and of augmentations")


@dataclass(frozen=True)
class _Source:
    """An image to start from, and the set that holds it."""

    images: ImageSet
    record: ImageRecord


def build_dataset(
    real: ImageSet,
    synthetic: Sequence[ImageSet],
    config: BuildConfig,
    out: Path,
    *,
    progress: Progress = SILENT,
    force: bool = False,
) -> ImageSet:
    """Builds a training set at a ratio; validation and test rows are copied as they are.

    The synthetic images of a smaller ratio are among those of a larger one (same seed), so
    that two arms differ by the added images only.

    Args:
        real: photographs with a split.
        synthetic: sets of generated images, drawn from together.
        config: target class, ratio and the rest.
        out: the new set.
        progress: where progress is shown.
        force: replace a set that is already there.

    Returns:
        The new set; every augmented image names its parents, its seed and its parameters.

    Raises:
        InputError: the set has no split, the class or enough synthetic images are missing,
            or the ratio does not fit.
        RefusedError: a training image touches a held-out photograph, or REAL holds
            generated images.
    """
    plans = _plans(real, config)
    pool = _synthetic_pool(synthetic, config, plans[config.label].synthetic)
    train = [r for r in real if r.split == "train"]
    held_out = [r for r in real if r.split in ("val", "test")]
    check_lineage([*train, *(s.record for s in pool)], held_out, _merged((real, *synthetic)))
    augmenter = Augmenter(config.strategies, config.strength)
    total = sum(plan.total for plan in plans.values()) + len(held_out)
    with (
        ImageSetWriter(out, force=force) as writer,
        progress.task("building", total=total, unit="img") as task,
    ):
        for images in (real, *synthetic):
            writer.inherit(images)
        for record in held_out:
            writer.copy(real, record)
            task.advance()
        for label, plan in plans.items():
            photographs = [_Source(real, r) for r in train if r.label == label]
            chosen = pool if label == config.label else []
            _write_class(writer, photographs, chosen, plan, augmenter, config, task)
    return writer.images


def _merged(sets: Sequence[ImageSet]) -> dict[str, tuple[TrainingImage, ...]]:
    merged: dict[str, tuple[TrainingImage, ...]] = {}
    for images in sets:
        for run, seen in images.lineage.items():
            merged[run] = (*merged.get(run, ()), *seen)
    return merged


def _plans(real: ImageSet, config: BuildConfig) -> dict[str, ClassPlan]:
    """The plan of every class; what needs no image to be wrong is refused first."""
    plan_target(1, config.ratio, config.multiplier, config.arm)
    if not real.has_splits:
        raise InputError(
            f"'{real.root}' has no train/val/test split: run 'hzsynth data split' first"
        )
    made = next((r for r in real if not r.is_real), None)
    if made is not None:
        raise RefusedError(
            f"REAL must hold photographs only, but '{made.file_name}' is {made.origin}; give "
            "generated sets with --synthetic"
        )
    if config.label not in real.labels:
        raise InputError(
            f"--label '{config.label}' is not a class of '{real.root}': it has "
            f"{', '.join(real.labels)}"
        )
    counts = {label: len(real.select("train", label)) for label in real.labels}
    target = plan_target(counts[config.label], config.ratio, config.multiplier, config.arm)
    largest = max(target.total, *counts.values())
    sizes = {
        "target": dict.fromkeys(counts, 0),
        "all": dict.fromkeys(counts, largest),
        "none": {label: config.multiplier * count for label, count in counts.items()},
    }[config.balance]
    if config.arm == "real":
        sizes = dict.fromkeys(counts, 0)
    return {
        label: target if label == config.label else plan_other(count, sizes[label])
        for label, count in counts.items()
    }


def _synthetic_pool(
    synthetic: Sequence[ImageSet], config: BuildConfig, wanted: int
) -> list[_Source]:
    """The synthetic images of an arm, drawn without repetition."""
    if wanted == 0:
        return []
    pool = [
        _Source(images, record)
        for images in synthetic
        for record in images
        if record.label == config.label
    ]
    photograph = next((s.record for s in pool if s.record.is_real), None)
    if photograph is not None:
        raise InputError(
            f"--synthetic must hold generated images, but '{photograph.file_name}' is a photograph"
        )
    held_out = next((s.record for s in pool if s.record.split in ("val", "test")), None)
    if held_out is not None:
        raise RefusedError(
            f"synthetic image '{held_out.file_name}' is marked {held_out.split}: evaluation is on "
            "real photographs only"
        )
    if len(pool) < wanted:
        raise InputError(
            f"{wanted} synthetic images of '{config.label}' are needed, but --synthetic holds "
            f"{len(pool)}; generate more, or choose a smaller --ratio"
        )
    pool.sort(key=lambda s: (s.record.sha256, s.record.file_name))
    order = numpy_generator(config.seed, "synthetic").permutation(len(pool))
    return [pool[i] for i in order[:wanted]]


def _pixels(source: _Source, size: int | None) -> NDArray[np.uint8]:
    pixels = decode_image(source.images.read_bytes(source.record), source.record.file_name)
    return pixels if size is None else square(pixels, size)


def _write_class(
    writer: ImageSetWriter,
    photographs: Sequence[_Source],
    synthetic: Sequence[_Source],
    plan: ClassPlan,
    augmenter: Augmenter,
    config: BuildConfig,
    task: Task,
) -> None:
    """Writes one class of the training set by its plan."""
    originals = [*photographs[: plan.real], *synthetic]
    copies = [photographs[i % len(photographs)] for i in range(plan.duplicated)]
    for source in (*originals, *copies):
        record = source.record
        if config.size is None:
            writer.copy(source.images, record, split="train")
        else:
            _write_resized(writer, source, config.size)
        task.advance()
    for part, count in (
        (photographs, plan.augmented_real),
        (synthetic, plan.augmented_synthetic),
    ):
        for source, number in _rounds(part, count):
            _write_augmented(writer, source, number, part, augmenter, config)
            task.advance()


def _rounds(sources: Sequence[_Source], count: int) -> Iterator[tuple[_Source, int]]:
    """Takes every source equally often; gives the source and how often it was taken before."""
    for index in range(count):
        yield sources[index % len(sources)], index // len(sources)


def _write_resized(writer: ImageSetWriter, source: _Source, size: int) -> None:
    record = source.record
    writer.add(
        _pixels(source, size),
        label=record.label,
        split="train",
        group=record.group,
        source=record.source,
        origin=record.origin,
        parents=(*record.parents, record.sha256),
        run=record.run,
        seed=record.seed,
        licence=record.licence,
        name=Path(record.file_name).stem,
        extra=record.extra,
    )


def _write_augmented(
    writer: ImageSetWriter,
    source: _Source,
    number: int,
    partners: Sequence[_Source],
    augmenter: Augmenter,
    config: BuildConfig,
) -> None:
    record = source.record
    # The seed follows from the image, not from its place, so arms share their augmentations.
    seed = derive_seed(config.seed, "augment", record.sha256, number) % 2**32
    pixels, parameters = augmenter(_pixels(source, config.size), seed)
    parents = [record.sha256]
    rng = numpy_generator(seed, "mix")
    extra = dict(record.extra)
    if config.mix != "none" and rng.random() < 0.5:
        partner = partners[int(rng.integers(len(partners)))]
        other = Image.fromarray(_pixels(partner, config.size)).resize(pixels.shape[1::-1])
        pixels, weight = mix_pair(pixels, np.asarray(other), config.mix, rng)
        parents.append(partner.record.sha256)
        extra["mix"] = f"{config.mix} {weight:.4f}"
    extra[_PARAMETERS] = parameters
    extra[SETTINGS] = augmenter.description
    writer.add(
        pixels,
        label=record.label,
        split="train",
        group=record.group,
        source=record.source,
        origin="augmented",
        parents=parents,
        run=record.run,
        seed=seed,
        licence=record.licence,
        name=f"{Path(record.file_name).stem}-augmented-{number}",
        extra=extra,
    )
