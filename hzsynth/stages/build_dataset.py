"""A training set at a ratio: what is left out of it, the set, and what it could teach besides."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from hzsynth.audit.page import DROP, FIGURES
from hzsynth.audit.result import BY_TRAINING_PHOTOGRAPHS, DROPPED_BY
from hzsynth.augment.build import build_dataset as build
from hzsynth.augment.config import BuildConfig
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_files import encode_png
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.config import Filter
from hzsynth.score.feature_cache import default_cache_folder
from hzsynth.score.mixture import describe_mixture
from hzsynth.score.selection import select_images
from hzsynth.stages.places import Say, say_nothing

SHEET, DESCRIPTION = "audit/mixture.png", "audit/mixture.json"


def read_drop_list(path: Path) -> frozenset[str]:
    """The lines of a text file: sha256 or names of images that must not be used.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it is of an audit in which held-out photographs chose what is dropped.
    """
    _refuse_chosen_by_held_out(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read `drop` '{path}': {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())


def _refuse_chosen_by_held_out(path: Path) -> None:
    figures = path.parent / FIGURES
    if path.name != DROP or not figures.is_file():
        return
    try:
        chosen_by = json.loads(figures.read_text(encoding="utf-8")).get(DROPPED_BY)
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"'{figures}' beside `drop` is not an audit: {error}") from error
    if chosen_by != BY_TRAINING_PHOTOGRAPHS:
        raise RefusedError(
            f"held-out photographs chose what `drop` '{path}' lists, and would choose what is learned from: "
            "repeat `hzsynth audit` with this version, which asks the training photographs"
        )


def mixture_sentence(built: ImageSet) -> str:
    """What the description of a built set says in one sentence; empty without a description."""
    path = built.root / DESCRIPTION
    if not path.is_file():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8"))["sentence"])


def build_dataset(
    real: ImageSet,
    synthetic: Sequence[ImageSet],
    config: BuildConfig,
    out: Path,
    *,
    dropped: Collection[str] = (),
    keep: Filter = "none",
    describe: bool = True,
    compute: Compute,
    workers: int = 0,
    force: bool = False,
    say: Say = say_nothing,
    progress: Progress = SILENT,
) -> ImageSet:
    """Fills the target class with real and synthetic images, varied while training; proves lineage.

    Args:
        real: photographs with a split.
        synthetic: sets of generated images.
        config: target class, ratio and the rest.
        out: the new set.
        dropped: sha256 or file names of synthetic images that must not be used.
        keep: which further synthetic images are left out: ``none`` of them, or all but the
            ``plausible``, the ``authentic``, or those that are ``both``.
        describe: probe how easily synthetic images are told, into the set's ``audit`` folder.
        compute: where features are computed.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        say: receives remarks.
        progress: where progress is shown.

    Returns:
        The new set.

    Raises:
        InputError: see `augment.build.build_dataset`; too few photographs to filter by.
        RefusedError: a training image touches a held-out photograph.
    """
    left_out = _left_out(real, synthetic, config, keep, compute, say, progress)
    described = partial(_described, config=config, compute=compute, progress=progress)
    return build(
        real,
        synthetic,
        config,
        out,
        dropped=frozenset(dropped) | left_out,
        describe=described if describe else None,
        workers=workers,
        progress=progress,
        force=force,
    )


def _left_out(
    real: ImageSet,
    synthetic: Sequence[ImageSet],
    config: BuildConfig,
    keep: Filter,
    compute: Compute,
    say: Say,
    progress: Progress,
) -> frozenset[str]:
    """The synthetic images that the filter does not keep."""
    if keep not in get_args(Filter):
        raise InputError(f"`keep` is one of {', '.join(get_args(Filter))}, not '{keep}'")
    label = None if config.synthetic_classes == "every" else config.label
    cache = default_cache_folder()
    selection = select_images(
        synthetic, real, label, keep, compute=compute, cache=cache, progress=progress
    )
    if keep != "none":
        say(
            f"{len(selection.dropped)} of {selection.looked_at} synthetic images are left out, "
            f"since not {keep} ({selection.implausible} implausible, {selection.copies} nearer to "
            "a photograph than its neighbour)"
        )
    return selection.dropped


def _described(
    images: ImageSet, config: BuildConfig, compute: Compute, progress: Progress
) -> Mapping[str, bytes]:
    """The files that say how easily synthetic images are told, by name."""
    mixture = describe_mixture(
        images,
        config.label,
        compute=compute,
        seed=config.seed,
        cache=default_cache_folder(),
        progress=progress,
    )
    text = json.dumps(mixture.to_json(), indent=2, ensure_ascii=False)
    return {SHEET: encode_png(mixture.sheet), DESCRIPTION: f"{text}\n".encode()}
