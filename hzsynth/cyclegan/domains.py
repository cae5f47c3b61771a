"""The two domains of a translation in memory, and the random draws of a training step."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.photos import square
from hzsynth.data.lesion import lesion_mask

FindLesion = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]
"""Looks for the lesion of a picture: H x W x 3 -> H x W."""

_HOT = 0.5
"""Heat from which a place counts as lesion: half of the hottest place's, as is usual for maps of 7 x 7 cells."""


@dataclass(frozen=True)
class Domain:
    """The photographs of one domain with their lesion masks.

    Attributes:
        pixels: uint8 N x 3 x H x H.
        masks: bool N x 1 x H x H, True inside the lesion.
        shifts: N x 3, how far the skin has to move to be of the other domain (see `colour_start`), or
            None.
    """

    pixels: torch.Tensor
    masks: torch.Tensor
    shifts: torch.Tensor | None = None


def training_images(source: ImageSet, target: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The parts that may be learned from, proven to be apart from what is held out.

    Args:
        source: photographs with lesions.
        target: photographs of the target skin.

    Returns:
        The train splits of both, or all without splits.

    Raises:
        InputError: one of them has fewer than two images.
        RefusedError: an image is, or descends from, a held-out one of either set.
    """
    used = source.training_part(), target.training_part()
    for name, images in zip(("SOURCE", "TARGET"), used, strict=True):
        if len(images) < 2:
            raise InputError(
                f"{name} has {len(images)} images to learn from (the train split, or all without "
                "splits); at least two are needed"
            )
    check_lineage(used, [source.held_out_part(), target.held_out_part()])
    return used


def mask_of_heat(heat: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a classifier's heat map says that the lesion is.

    Args:
        heat: S x S in [0, 1], of the picture's central square.
        shape: height and width of the picture.

    Returns:
        H x W; empty outside the central square.
    """
    height, width = shape
    side = min(shape)
    top, left = (height - side) // 2, (width - side) // 2
    mask = np.zeros(shape, dtype=bool)
    enlarged = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR)
    mask[top : top + side, left : left + side] = enlarged >= _HOT
    return mask


def find_lesion(
    images: ImageSet,
    record: ImageRecord,
    pixels: NDArray[np.uint8],
    find: FindLesion = lesion_mask,
) -> NDArray[np.bool_]:
    """The lesion mask of the set, or the one that is found.

    Args:
        images: the set.
        record: its row.
        pixels: the decoded image, H x W x 3.
        find: looks where the set has no mask; by default the redness prior.

    Returns:
        H x W, True inside the lesion.
    """
    mask = given_mask(images, record, pixels)
    return find(pixels) if mask is None else mask


def given_mask(
    images: ImageSet, record: ImageRecord, pixels: NDArray[np.uint8]
) -> NDArray[np.bool_] | None:
    """The lesion mask of the set, H x W; None without one of the picture's size."""
    mask = images.read_mask(record)
    return mask if mask is not None and mask.shape == pixels.shape[:2] else None


def load_domain(
    images: ImageSet, size: int, with_masks: bool, find: FindLesion = lesion_mask
) -> Domain:
    """Decodes a set to central squares.

    Args:
        images: the photographs.
        size: side in pixels.
        with_masks: whether lesions are looked for; otherwise all masks are empty.
        find: see `find_lesion`.

    Returns:
        Pixels and masks in the order of the records.

    Raises:
        InputError: an image or a mask cannot be read.
    """
    pixels, masks = [], []
    for record in images:
        decoded = images.read_pixels(record)
        pixels.append(square(decoded, size))
        if with_masks:
            found = find_lesion(images, record, decoded, find).astype(np.uint8) * 255
            masks.append(square(np.repeat(found[..., None], 3, axis=2), size)[..., 0] > 127)
        else:
            masks.append(np.zeros((size, size), dtype=bool))
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return Domain(stacked, torch.from_numpy(np.stack(masks))[:, None])


@dataclass(frozen=True)
class Batch:
    """Images of one domain in one step.

    Attributes:
        images: float N x 3 x H x H in [-1, 1].
        masks: float N x 1 x H x H, ones inside the lesion.
        shifts: N x 3, see `Domain`, or None.
    """

    images: torch.Tensor
    masks: torch.Tensor
    shifts: torch.Tensor | None = None

    def select(self, rows: torch.Tensor) -> "Batch":
        """Some of the images (int64)."""
        rows = rows.to(self.images.device)
        images = self.images[rows].contiguous(memory_format=torch.channels_last)
        return Batch(images, self.masks[rows], None if self.shifts is None else self.shifts[rows])


def draw_batch(
    domain: Domain, count: int, generator: torch.Generator, device: torch.device
) -> Batch:
    """Draws images with replacement, mirrored at random and moved by up to an eighth.

    Args:
        domain: where to draw from.
        count: images.
        generator: CPU generator of all draws.
        device: where the batch goes.

    Returns:
        The batch in channels-last layout.
    """
    chosen = torch.randint(len(domain.pixels), (count,), generator=generator)
    size = domain.pixels.shape[-1]
    reach = size // 8
    moves = torch.randint(2 * reach + 1, (count, 2), generator=generator).tolist()
    flips = torch.rand(count, 2, generator=generator) < 0.5
    rows = []
    for index, (down, right), (mirror, turn) in zip(
        chosen.tolist(), moves, flips.tolist(), strict=True
    ):
        both = torch.cat([domain.pixels[index], domain.masks[index].to(torch.uint8)])
        padded = torch.nn.functional.pad(both[None].float(), (reach,) * 4, mode="reflect")[0]
        moved = padded[:, down : down + size, right : right + size]
        # Skin has no upright: mirroring both ways multiplies a small set by four.
        dims = [d for d, flip in ((-1, mirror), (-2, turn)) if flip]
        rows.append(moved.flip(dims) if dims else moved)
    stacked = torch.stack(rows).to(device)
    return Batch(
        (stacked[:, :3] / 127.5 - 1).contiguous(memory_format=torch.channels_last),
        stacked[:, 3:].contiguous(),
        None if domain.shifts is None else domain.shifts[chosen].to(device),
    )
