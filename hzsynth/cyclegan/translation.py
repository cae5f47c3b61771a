"""Translation of a set by a trained run: one image out for every image in, of the same size.

An image larger than the training size is reduced to it, its change is computed there,
enlarged and added in logits at full resolution, some rows at a time: memory stays bounded, and detail
finer than the training size is kept as it is. Every image is computed alone, so the result does
not depend on what else is in the set.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from hzsynth.core.devices import Compute
from hzsynth.core.image_files import write_picture
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.colour import apply_change, to_logits, to_uint8
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import given_mask
from hzsynth.cyclegan.measures import red_contrast, skin_colour
from hzsynth.cyclegan.target import Mask, Picture, Pixels
from hzsynth.cyclegan.training import Generator, load_generator
from hzsynth.cyclegan.transplant import main_parts
from hzsynth.data.lesion import lesion_mask

LESION_KEPT, TONE = "lesion_kept", "ita"
"""Columns of a translated set: yes, no or unknown; the typology angle of the skin, degrees."""

# The longest side at which networks run, in training sizes: a strip is reduced further.
_LONGEST = 8
# Reduced images get sides of whole steps: every further shape costs time and memory of its own.
_STEP = 32
_ROWS = 256
# Side at which the result is looked at, and the least share of the contrast that is left.
_LOOK_SIDE, _LEAST_CONTRAST, _VISIBLE = 384, 0.5, 3.0


def _network_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width at which the change is computed."""
    scale = min(1.0, size / min(height, width), _LONGEST * size / max(height, width))
    if scale == 1:
        return height, width
    tall, wide = (max(1, round(side * scale / _STEP)) * _STEP for side in (height, width))
    return tall, wide


def _padded(images: torch.Tensor, multiple: int) -> torch.Tensor:
    height, width = images.shape[-2:]
    # Twice the multiple: reflection inside the network needs some pixels at the lowest scale.
    tall = max(-height % multiple, 2 * multiple - height)
    wide = max(-width % multiple, 2 * multiple - width)
    # Images may be smaller than the padding, which reflection would refuse.
    return functional.pad(images, (0, wide, 0, tall), mode="replicate")


def _to_float(pixels: NDArray[np.uint8], compute: Compute) -> torch.Tensor:
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    return images.to(compute.device).float() / 127.5 - 1


@torch.no_grad()
def translate_pixels(
    generator: Generator,
    pixels: Pixels,
    size: int,
    compute: Compute,
    *,
    of_target: bool = False,
) -> Pixels:
    """Translates one image of any size and shape.

    Args:
        generator: the trained network, or a tone map.
        pixels: H x W x 3, uint8.
        size: side in pixels that the network was trained at.
        compute: where to compute.
        of_target: the skin is of the target domain already: its tone stays (see
            `ResnetGenerator.harmonise`).

    Returns:
        H x W x 3, uint8.
    """
    height, width = pixels.shape[:2]
    tall, wide = _network_size(height, width, size)
    reduced = pixels
    if (tall, wide) != (height, width):
        picture = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BILINEAR)
        reduced = np.asarray(picture)
    small = _to_float(reduced, compute)
    padded = _padded(small, generator.multiple).contiguous(memory_format=compute.memory_format)
    with compute.autocast():
        made = generator.harmonise(padded) if of_target else generator(padded)
    changed = made[..., :tall, :wide].float()
    if reduced is pixels:
        return _as_pixels(changed)
    change = to_logits(changed) - to_logits(small)
    result = np.empty_like(pixels)
    for start in range(0, height, _ROWS):
        rows = range(start, min(height, start + _ROWS))
        images = _to_float(pixels[rows.start : rows.stop], compute)
        part = enlarged_rows(change, rows, height, width)
        result[rows.start : rows.stop] = _as_pixels(apply_change(images, part))
    return result


def _as_pixels(images: torch.Tensor) -> Pixels:
    return to_uint8(images)[0].permute(1, 2, 0).numpy()


def enlarged_rows(values: torch.Tensor, rows: range, height: int, width: int) -> torch.Tensor:
    """Some rows of what bilinear interpolation to height x width would give.

    Args:
        values: N x C x h x w.
        rows: wanted rows of the enlarged maps.
        height: of the enlarged maps.
        width: of the enlarged maps.

    Returns:
        N x C x len(rows) x width.
    """
    place = (torch.arange(rows.start, rows.stop, device=values.device) + 0.5) * (
        values.shape[2] / height
    ) - 0.5
    place = place.clamp(0, values.shape[2] - 1)
    above = place.floor().long()
    below = (above + 1).clamp(max=values.shape[2] - 1)
    share = (place - above)[:, None]
    mixed = values[:, :, above] * (1 - share) + values[:, :, below] * share
    return functional.interpolate(mixed, (len(rows), width), mode="bilinear")


def translate(
    run: RunDir,
    images: ImageSet,
    out: Path,
    *,
    compute: Compute,
    force: bool = False,
    progress: Progress = SILENT,
) -> ImageSet:
    """Translates every image of a set.

    Args:
        run: a finished run of `train_cyclegan`.
        images: the set to translate; transplants are harmonised, as their skin is the target's.
        out: folder of the new set; after a kill the same call goes on.
        compute: where to compute.
        force: replace a set that is there.
        progress: where to report.

    Returns:
        The new set: label, split, group, licence and mask as before, with the original as
        parent and the run's lineage; its columns `LESION_KEPT` and `TONE` say whether the
        lesion is still there and what the skin looks like.

    Raises:
        InputError: the run is not finished, an image cannot be read, or `out` is taken.
    """
    generator, config = load_generator(run, compute)
    key = "\n".join((__name__, run.id, images.digest, str(compute)))
    with (
        ImageSetWriter(out, force, hashlib.sha256(key.encode()).hexdigest()) as writer,
        progress.task("translating", total=len(images), unit="img") as task,
    ):
        writer.inherit(images)
        writer.add_lineage(run.id, run.training_images())
        for record in images:
            name = writer.reserve(record.label, record.split, Path(record.file_name).stem, ".png")
            row = writer.done.get(name)
            if row is None:
                pixels = images.read_pixels(record)
                of_target = record.origin == "transplant"
                after = translate_pixels(
                    generator, pixels, config.resolution, compute, of_target=of_target
                )
                mask = given_mask(images, record, pixels)
                row = _descendant(record, name, run, config)
                row = replace(row, extra={**record.extra, **look_at(pixels, after, mask)})
                row = write_picture(writer.folder, row, after, mask)
            writer.register(row)
            task.advance()
    return writer.images


def _descendant(record: ImageRecord, name: str, run: RunDir, config: CycleGanConfig) -> ImageRecord:
    """The row of a translated image, which descends from the original."""
    return replace(
        record,
        file_name=name,
        origin="tone" if config.objective == "tone" else "cyclegan",
        parents=(record.sha256,),
        run=run.id,
        seed="",
    )


def look_at(before: Pixels, after: Pixels, mask: Mask | None) -> dict[str, str]:
    """Whether a lesion was kept, and the tone of the skin around it.

    Args:
        before: the photograph, H x W x 3.
        after: its translation.
        mask: the lesion, H x W; None: it is looked for by its redness.

    Returns:
        `LESION_KEPT`: no when less than half of its contrast in a* to the skin around it is left;
        unknown where there was next to none. `TONE`: the typology angle, in degrees.
    """
    old, new = (_small(pixels) for pixels in (before, after))
    if mask is None:
        lesion = main_parts(lesion_mask(old))
    else:
        repeated = np.repeat(mask.astype(np.uint8)[..., None] * 255, 3, axis=2)
        lesion = _small(repeated)[..., 0] > 127
    tone = skin_colour(Picture(new, lesion)).angle
    kept = "unknown"
    if lesion.any():
        was = red_contrast(Picture(old, lesion))
        if was >= _VISIBLE:
            left = red_contrast(Picture(new, lesion))
            kept = "yes" if left >= _LEAST_CONTRAST * was else "no"
    return {LESION_KEPT: kept, TONE: f"{tone:.1f}"}


def _small(pixels: Pixels) -> Pixels:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.BOX)
    return np.asarray(picture)
