"""How each image of a training set is made: copied, resized or augmented, by whatever process.

A recipe holds everything that an image depends on, its seed included, so the set is the same
whatever the number of processes and wherever an interrupted build went on.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.augment.config import Mix
from hzsynth.augment.mixing import SOFT_LABEL, mix_pair, soft_label
from hzsynth.augment.strategies import SETTINGS, Augmenter
from hzsynth.core.errors import InputError
from hzsynth.core.image_files import CopyOrder, copy_files, encode_png, write_below
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import decode_image, square
from hzsynth.core.seeding import numpy_generator

PARAMETERS = "augmentation"
"""Extra column: the operators that were applied, with their parameters."""


@dataclass(frozen=True)
class Ingredient:
    """An image of another set.

    Attributes:
        root: that set's folder.
        record: its row there.
    """

    root: Path
    record: ImageRecord

    def pixels(self, size: int | None) -> NDArray[np.uint8]:
        """H x W x 3 uint8; a square of `size` pixels unless that is None.

        Raises:
            InputError: the file cannot be read.
        """
        path = ImageSet(self.root, (self.record,)).path(self.record)
        return _decoded(path, self.record.sha256, size)


# The augmentations of one photograph follow one another.
@lru_cache(maxsize=2)
def _decoded(path: Path, _digest: str, size: int | None) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from None
    pixels = decode_image(data, str(path))
    pixels = pixels if size is None else square(pixels, size)
    pixels.flags.writeable = False
    return pixels


@dataclass(frozen=True)
class Recipe:
    """One image to be made.

    Attributes:
        how: ``copy`` byte for byte, ``resize``, or ``augment``.
        source: what it is made from.
        row: its row in the new set; digest, hash and size are filled in when it is made.
        folder: the new set's folder.
        size: side of the square image, pixels; None keeps that of the source.
        seed: of the augmentation.
        augmenter: an `Augmenter.description`.
        mix: how it is mixed with the partner.
        partner: a second image, or None.
    """

    how: Literal["copy", "resize", "augment"]
    source: Ingredient
    row: ImageRecord
    folder: Path
    size: int | None = None
    seed: int = 0
    augmenter: str = ""
    mix: Mix = "none"
    partner: Ingredient | None = None

    @property
    def target(self) -> str:
        """The new file name."""
        return self.row.file_name


def follow(recipe: Recipe) -> ImageRecord | str:
    """Makes one image.

    Returns:
        Its row, or the sentence why it cannot be made.

    Raises:
        OSError: the disk is full.
    """
    if recipe.how == "copy":
        source = recipe.source
        mask = source.root / source.record.mask if recipe.row.mask else None
        path = source.root / source.record.file_name
        return copy_files(CopyOrder(path, mask, recipe.folder, recipe.row))
    try:
        pixels, extra = _made(recipe)
    except InputError as error:
        return str(error)
    data = encode_png(pixels)
    write_below(recipe.folder, recipe.target, data)
    return replace(
        recipe.row,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(pixels),
        width=pixels.shape[1],
        height=pixels.shape[0],
        extra={**recipe.row.extra, **extra},
    )


def _made(recipe: Recipe) -> tuple[NDArray[np.uint8], dict[str, str]]:
    pixels = recipe.source.pixels(recipe.size)
    if recipe.how == "resize":
        return pixels, {}
    pixels, parameters = _augmenter(recipe.augmenter)(pixels, recipe.seed)
    extra = {PARAMETERS: parameters, SETTINGS: recipe.augmenter}
    if recipe.partner is not None:
        other = Image.fromarray(recipe.partner.pixels(recipe.size)).resize(pixels.shape[1::-1])
        rng = numpy_generator(recipe.seed, "mix")
        pixels, share = mix_pair(pixels, np.asarray(other), recipe.mix, rng)
        extra["mix"] = f"{recipe.mix} {share:.4f}"
        soft = soft_label(recipe.source.record.label, recipe.partner.record.label, share)
        if soft:
            extra[SOFT_LABEL] = soft
    return pixels, extra


@lru_cache(maxsize=4)
def _augmenter(description: str) -> Augmenter:
    return Augmenter.from_description(description)
