"""Sets of images in Python: read, drawn, freed of copies, split, preprocessed, mixed."""

from collections.abc import Collection, Sequence
from pathlib import Path

from hzsynth.augment.config import BuildConfig
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import Progress
from hzsynth.data.config import Conflicts, PhantomConfig, PreprocessConfig
from hzsynth.data.duplicates import deduplicate as deduplicate_images
from hzsynth.data.loading import open_images
from hzsynth.data.preprocess_set import preprocess_images
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.data.splits import split_images
from hzsynth.score.config import Filter
from hzsynth.stages import build_dataset as stage
from hzsynth.stages.python.arguments import (
    Images,
    compute_on,
    made_once,
    opened,
    settings,
    shown,
)


def read(
    path: Path | str, *, skip_broken: bool = False, progress: bool | Progress = True
) -> ImageSet:
    """Opens a set, or a plain folder of class folders.

    Args:
        path: the folder.
        skip_broken: leave out images that cannot be read instead of refusing the folder.
        progress: whether, or where, progress is shown.

    Returns:
        The images.

    Raises:
        InputError: the folder or a file in it cannot be used; the sentence names it.

    Examples:
        >>> import hzsynth as hz
        >>> made = hz.phantom("phantom", patients={"eczema": 2, "normal": 2}, size=16, progress=False)
        >>> len(hz.read("phantom")) == len(made)
        True
    """
    return open_images(Path(path), skip_broken=skip_broken, progress=shown(progress))


def phantom(
    out: Path | str,
    *,
    seed: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> ImageSet:
    """Draws a small set of phantom photographs: skin by a program, of no patient.

    Args:
        out: the new set's folder.
        seed: every patient and photograph follows from it.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.
        **values: settings of `data.sources.phantom.PhantomConfig`: size, patients, cohorts ...

    Returns:
        The set, with lesion masks.

    Raises:
        InputError: a setting is not allowed, or the folder is taken.

    Examples:
        >>> import hzsynth as hz
        >>> images = hz.phantom("phantom", patients={"eczema": 2, "normal": 2}, size=16, progress=False)
        >>> images.labels
        ('eczema', 'normal')
    """
    config = settings(PhantomConfig, values, seed=seed)
    return made_once(
        out,
        "phantom",
        config.model_dump(mode="json"),
        lambda path: import_phantom(config, path, shown(progress), force=force),
        force,
    )


def deduplicate(
    images: Images,
    out: Path | str,
    *,
    conflicts: Conflicts = "refuse",
    crops: bool | None = None,
    workers: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
) -> ImageSet:
    """Keeps the best copy of every photograph; finds flips, turns, re-encodings, logos, crops.

    Args:
        images: the photographs.
        out: the new set's folder.
        conflicts: copies with different labels: ``refuse``, ``drop`` them, or ``majority``.
        crops: look for parts of photographs; by default up to 10,000 images.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.

    Returns:
        The new set; a sheet of what was found lies in it.

    Raises:
        InputError: copies have different labels, or the folder is taken.

    Examples:
        >>> import hzsynth as hz
        >>> images = hz.phantom("phantom", patients={"eczema": 3}, duplicates=1, progress=False)
        >>> kept = hz.deduplicate(images, "distinct", workers=1, progress=False)
        >>> len(images) - len(kept)
        1
    """
    source = opened(images)
    return made_once(
        out,
        "deduplicate",
        {"images": source.digest, "conflicts": conflicts, "crops": crops},
        lambda path: deduplicate_images(
            source,
            path,
            force=force,
            conflicts=conflicts,
            crops=crops,
            workers=workers,
            progress=shown(progress),
        )[0],
        force,
    )


def split(
    images: Images,
    out: Path | str,
    *,
    ratios: tuple[float, float, float] = (70, 15, 15),
    seed: int = 0,
    workers: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
) -> ImageSet:
    """Splits by class into train, val and test; patients and near-duplicates never cross.

    Args:
        images: the photographs.
        out: the new set's folder.
        ratios: shares of train, val and test.
        seed: of the draw.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.

    Returns:
        The new set.

    Raises:
        InputError: the set cannot be split so, or the folder is taken.

    Examples:
        >>> import hzsynth as hz
        >>> images = hz.phantom("phantom", patients={"eczema": 6, "normal": 6}, size=32, progress=False)
        >>> parts = hz.split(images, "split", ratios=(50, 25, 25), workers=1, progress=False)
        >>> parts.has_splits
        True
    """
    source = opened(images)
    return made_once(
        out,
        "split",
        {"images": source.digest, "ratios": ratios, "seed": seed},
        lambda path: split_images(
            source, path, ratios, seed, force=force, workers=workers, progress=shown(progress)
        ),
        force,
    )


def preprocess(
    images: Images,
    out: Path | str,
    *,
    workers: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> ImageSet:
    """Crops, resizes, evens colour, takes logos off.

    Args:
        images: the photographs.
        out: the new set's folder.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.
        **values: settings of `data.preprocess_image.PreprocessConfig`: size, crop, color ...

    Returns:
        The new set.

    Raises:
        InputError: a setting is not allowed, or the folder is taken.
    """
    source, config = opened(images), settings(PreprocessConfig, values)
    return made_once(
        out,
        "preprocess",
        {"images": source.digest, "config": config.model_dump(mode="json")},
        lambda path: preprocess_images(
            source, config, path, force=force, workers=workers, progress=shown(progress)
        ),
        force,
    )


def build_dataset(
    real: Images,
    synthetic: Images | Sequence[Images],
    out: Path | str,
    *,
    label: str | None = None,
    ratio: float | None = None,
    dropped: Collection[str] = (),
    keep: Filter = "none",
    describe: bool = True,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> ImageSet:
    """Fills the target class with real and synthetic images, varied while training; proves lineage.

    Args:
        real: photographs with splits.
        synthetic: one or several sets of generated images.
        out: the new set's folder.
        label: the target class.
        ratio: synthetic images per real one of the target class.
        dropped: sha256 or names of synthetic images that must not be used.
        keep: leave out synthetic images that are not ``plausible``, ``authentic`` or ``both``.
        describe: probe how easily synthetic images are told.
        seed: of the choice of images and of written variations.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `augment.build.BuildConfig`: multiplier, arm, balance ...

    Returns:
        The new set.

    Raises:
        InputError: a setting is not allowed, or images are missing.
        RefusedError: a training image touches a held-out photograph.
    """
    photographs = opened(real)
    given = [synthetic] if isinstance(synthetic, (ImageSet, Path, str)) else synthetic
    made = [opened(images) for images in given]
    config = settings(BuildConfig, values, label=label, ratio=ratio, seed=seed)
    asked = {
        "real": photographs.digest,
        "synthetic": [images.digest for images in made],
        "config": config.model_dump(mode="json"),
        "dropped": sorted(dropped),
        "keep": keep,
        "describe": describe,
    }
    return made_once(
        out,
        "build_dataset",
        asked,
        lambda path: stage.build_dataset(
            photographs,
            made,
            config,
            path,
            dropped=dropped,
            keep=keep,
            describe=describe,
            compute=compute_on(device, precision),
            workers=workers,
            force=force,
            say=print,
            progress=shown(progress),
        ),
        force,
    )
