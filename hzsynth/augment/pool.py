"""Which synthetic images a set gets: drawn by seed, by weight, never those that must not be used."""

from collections.abc import Collection, Sequence

from hzsynth.augment.recipes import Ingredient
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.seeding import numpy_generator


def draw_synthetic(
    sets: Sequence[ImageSet],
    label: str,
    wanted: int,
    weights: Sequence[float] = (),
    seed: int = 0,
    dropped: Collection[str] = (),
) -> list[Ingredient]:
    """Draws synthetic images of a class without repetition.

    Fewer images of the same seed are always among more of them.

    Args:
        sets: generated sets.
        label: the class.
        wanted: how many.
        weights: how much is drawn from each set, any positive scale; empty: from all together.
        seed: of the draw.
        dropped: sha256 or file names of images that must not be used.

    Returns:
        The images, in the order in which they were drawn.

    Raises:
        InputError: there are too few, a set holds photographs, or the weights do not match.
        RefusedError: an image is marked as validation or test.
    """
    if weights and (len(weights) != len(sets) or min(weights) <= 0):
        raise InputError(
            f"`weights` needs one positive number for each of the {len(sets)} synthetic sets, "
            f"not {', '.join(f'{w:g}' for w in weights)}"
        )
    if wanted == 0:
        return []
    pools = [_usable(images, label, dropped) for images in sets]
    if not weights:
        pools, weights = [[source for pool in pools for source in pool]], (1.0,)
    drawn = []
    for number, count in enumerate(_counts(wanted, weights)):
        pool = sorted(pools[number], key=lambda s: (s.record.sha256, s.record.file_name))
        if len(pool) < count:
            raise InputError(
                f"`ratio` needs {count} of class '{label}' from `synthetic`, which holds "
                f"{len(pool)}; generate more, or choose a smaller `ratio`"
            )
        purpose = ("synthetic",) if len(pools) == 1 else ("synthetic", number)
        order = numpy_generator(seed, *purpose).permutation(len(pool))
        drawn += [pool[i] for i in order[:count]]
    return drawn


def _usable(images: ImageSet, label: str, dropped: Collection[str]) -> list[Ingredient]:
    pool = []
    for record in images.select(label=label):
        if record.is_real:
            raise InputError(
                f"`synthetic` must hold generated images, but '{record.file_name}' is a photograph"
            )
        if record.split in ("val", "test"):
            raise RefusedError(
                f"synthetic image '{record.file_name}' is marked {record.split}: evaluation is on "
                "real photographs only"
            )
        if record.sha256 not in dropped and record.file_name not in dropped:
            pool.append(Ingredient(images.root, record))
    return pool


def _counts(wanted: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the weights, one image at a time: more never take back."""
    counts = [0] * len(weights)
    for _ in range(wanted):
        behind = [count / weight for count, weight in zip(counts, weights, strict=True)]
        ahead = [b + 0.5 / w for b, w in zip(behind, weights, strict=True)]
        counts[ahead.index(min(ahead))] += 1
    return counts
