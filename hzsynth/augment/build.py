"""The stage `build-dataset`: real and synthetic images at a chosen ratio, and how often each is seen.

It chooses images and varies none: a training varies every image itself, alike in every class and arm.
Varied images are written on request only, for other tools.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hzsynth.augment.config import BuildConfig
from hzsynth.augment.mixture import ClassPlan, plan_other, plan_target
from hzsynth.augment.pool import draw_synthetic
from hzsynth.augment.recipes import Ingredient, Recipe, follow
from hzsynth.augment.strategies import SETTINGS, Augmenter
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_files import mask_name
from hzsynth.core.image_record import VIEWS, ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import check_lineage
from hzsynth.core.partial import carry_out
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import derive_seed, numpy_generator

Describe = Callable[[ImageSet], Mapping[str, bytes]]
"""Looks at a set that is whole but not yet published, and gives files to publish with it."""


def build_dataset(
    real: ImageSet,
    synthetic: Sequence[ImageSet],
    config: BuildConfig,
    out: Path,
    *,
    dropped: Collection[str] = (),
    describe: Describe | None = None,
    workers: int = 0,
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
        dropped: sha256 or file names of synthetic images that must not be used, such as
            those that an audit found to be copies.
        describe: looks at the whole set before it is published; the files that it gives, name ->
            content, are published with it.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.
        force: replace a set that is already there.

    Returns:
        The new set. Every training image names the strategies that vary it, and in the column
        ``views`` how often it is seen; where varied images were written, each is a view.

    Raises:
        InputError: the set has no split, the class or enough synthetic images are missing,
            or the ratio does not fit.
        RefusedError: a training image touches a held-out photograph, or REAL holds
            generated images.
    """
    plans = _plans(real, config)
    pools = {
        label: draw_synthetic(
            synthetic, label, plan.synthetic, config.weights, config.seed, dropped
        )
        for label, plan in plans.items()
    }
    _prove_lineage(real, synthetic, pools)
    with ImageSetWriter(out, force, _key(real, synthetic, config, dropped)) as writer:
        for images in (real, *synthetic):
            writer.inherit(images)
        recipes = _recipes(real, plans, pools, config, writer)
        made = carry_out(
            recipes, follow, writer.done, workers=workers, progress=progress, description="building"
        )
        _register(made, writer)
        if describe is not None:
            for name, content in describe(writer.unpublished).items():
                writer.attach(name, content)
    return writer.images


def _register(made: Iterable[ImageRecord | str], writer: ImageSetWriter) -> None:
    for row in made:
        if isinstance(row, str):
            raise InputError(row)
        writer.register(row)


def _prove_lineage(
    real: ImageSet, synthetic: Sequence[ImageSet], pools: Mapping[str, Sequence[Ingredient]]
) -> None:
    pool = [source for sources in pools.values() for source in sources]
    drawn = [i.replace_records(s.record for s in pool if s.root == i.root) for i in synthetic]
    check_lineage([real.training_part(), *drawn], [real.held_out_part()])


def _key(
    real: ImageSet, synthetic: Sequence[ImageSet], config: BuildConfig, dropped: Collection[str]
) -> str:
    """Identifies what is being built: an interrupted build goes on only with the same."""
    digests = (real.digest, *(images.digest for images in synthetic))
    text = "\n".join((__name__, *digests, config.to_toml(), *sorted(dropped)))
    return hashlib.sha256(text.encode()).hexdigest()


def _recipes(
    real: ImageSet,
    plans: Mapping[str, ClassPlan],
    pools: Mapping[str, Sequence[Ingredient]],
    config: BuildConfig,
    writer: ImageSetWriter,
) -> list[Recipe]:
    """How every image of the set is made: the held-out ones, then class by class."""
    photographs = {
        label: [Ingredient(real.root, r) for r in real.select("train", label)] for label in plans
    }
    kitchen = _Kitchen(writer, config, [part for part in photographs.values() if part])
    held_out = (r for r in real if r.split in ("val", "test"))
    recipes = [kitchen.copied(Ingredient(real.root, r), r.split) for r in held_out]
    for label, plan in plans.items():
        recipes += kitchen.of_class(photographs[label], pools[label], plan)
    return recipes


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
            "generated sets as `synthetic`"
        )
    if config.label not in real.labels:
        raise InputError(
            f"`label` '{config.label}' is not a class of '{real.root}': it has "
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
    every = config.synthetic_classes == "every" and config.arm == "mixture"
    ratio = config.ratio if every else 0.0
    return {
        label: target if label == config.label else plan_other(count, sizes[label], ratio)
        for label, count in counts.items()
    }


class _Kitchen:
    """Writes the recipes of a set, in its order, under names that the writer reserves."""

    def __init__(
        self, writer: ImageSetWriter, config: BuildConfig, classes: Sequence[Sequence[Ingredient]]
    ) -> None:
        self._writer, self._config, self._classes = writer, config, classes
        self._augmenter = Augmenter(config.strategies, config.strength).description

    def of_class(
        self, photographs: Sequence[Ingredient], synthetic: Sequence[Ingredient], plan: ClassPlan
    ) -> list[Recipe]:
        """The recipes of one class of the training set by its plan."""
        recipes: list[Recipe] = []
        written = self._config.write_augmented
        for part, chosen, count in (
            (photographs, plan.real, plan.augmented_real),
            (synthetic, plan.synthetic, plan.augmented_synthetic),
        ):
            further = [_further_views(len(part), count, index) for index in range(len(part))]
            recipes += [
                self._base(source, 1 if written else 1 + more)
                for source, more in zip(part[:chosen], further, strict=False)
            ]
            if written:
                recipes += [
                    self._augmented(source, number, part)
                    for source, more in zip(part, further, strict=True)
                    for number in range(more)
                ]
        return recipes

    def _base(self, source: Ingredient, views: int) -> Recipe:
        # The column of an earlier build says nothing about this one.
        extra = {**source.record.extra, SETTINGS: self._augmenter, VIEWS: str(views)}
        source = Ingredient(source.root, replace(source.record, extra=extra))
        return self.copied(source, "train") if self._config.size is None else self._resized(source)

    def copied(self, source: Ingredient, split: str) -> Recipe:
        """A copy, byte for byte, with its mask."""
        record = source.record
        path = Path(record.file_name)
        name = self._writer.reserve(record.label, split, path.stem, path.suffix)
        mask = mask_name(name) if record.mask else ""
        row = replace(record, file_name=name, split=split, mask=mask)
        return Recipe("copy", source, row, self._writer.folder)

    def _resized(self, source: Ingredient) -> Recipe:
        record = source.record
        parents = (*record.parents, record.sha256)
        row = self._row(source, Path(record.file_name).stem, parents=parents)
        return Recipe("resize", source, row, self._writer.folder, self._config.size)

    def _augmented(self, source: Ingredient, number: int, partners: Sequence[Ingredient]) -> Recipe:
        record, config = source.record, self._config
        # The seed follows from the image, not from its place, so arms share their augmentations.
        seed = derive_seed(config.seed, "augment", record.sha256, number) % 2**32
        parents: list[str] = [record.sha256]
        partner: Ingredient | None = None
        if config.mix != "none":
            rng = numpy_generator(seed, "partner")
            if rng.random() < 0.5:
                if config.mix_classes == "any":
                    partners = self._classes[int(rng.integers(len(self._classes)))]
                partner = partners[int(rng.integers(len(partners)))]
                parents.append(partner.record.sha256)
        row = self._row(
            source,
            f"{Path(record.file_name).stem}-augmented-{number}",
            parents=tuple(parents),
            origin="augmented",
            seed=str(seed),
        )
        return Recipe(
            how="augment",
            source=source,
            row=row,
            folder=self._writer.folder,
            size=config.size,
            seed=seed,
            augmenter=self._augmenter,
            mix=config.mix,
            partner=partner,
        )

    def _row(self, source: Ingredient, stem: str, **changes: Any) -> ImageRecord:
        name = self._writer.reserve(source.record.label, "train", stem, ".png")
        return replace(source.record, file_name=name, split="train", mask="", **changes)


def _further_views(images: int, count: int, index: int) -> int:
    """How many of `count` further views an image gets: every image equally often, the first ones more."""
    return (count - index + images - 1) // images
