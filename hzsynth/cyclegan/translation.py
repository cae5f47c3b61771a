"""Translation of a set by a trained run: one image out for every image in, of the same size.

An image larger than the training size is reduced to it, its change is computed there,
enlarged and added in logits at full resolution: memory stays bounded, and detail finer
than the training size is kept as it is. Every image is computed alone, so the result does
not depend on what else is in the set.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.networks import ResnetGenerator, apply_change, to_logits
from hzsynth.cyclegan.trainer import to_uint8
from hzsynth.cyclegan.training import load_generator
from hzsynth.data.photos import decode_image

# The longest side at which networks run: strips of 8:1 beyond the training size are refused.
_LONGEST_RATIO = 8


def _reduced(images: torch.Tensor, size: int) -> torch.Tensor:
    """The image with its shorter side at the training size, if it is larger."""
    height, width = images.shape[-2:]
    shorter = min(height, width)
    if shorter <= size:
        return images
    shape = (round(height * size / shorter), round(width * size / shorter))
    return functional.interpolate(images, shape, mode="bilinear", antialias=True)


def _padded(images: torch.Tensor, multiple: int) -> torch.Tensor:
    height, width = images.shape[-2:]
    # Twice the multiple: reflection inside the network needs some pixels at the lowest scale.
    tall = max(-height % multiple, 2 * multiple - height)
    wide = max(-width % multiple, 2 * multiple - width)
    # Images may be smaller than the padding, which reflection would refuse.
    return functional.pad(images, (0, wide, 0, tall), mode="replicate")


@torch.no_grad()
def translate_pixels(
    generator: ResnetGenerator, pixels: NDArray[np.uint8], size: int, compute: Compute
) -> NDArray[np.uint8]:
    """Translates one image of any size.

    Args:
        generator: the trained network.
        pixels: H x W x 3, uint8.
        size: side in pixels that the network was trained at.
        compute: where to compute.

    Returns:
        H x W x 3, uint8.

    Raises:
        InputError: the image is a strip, longer than eight times its width.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > _LONGEST_RATIO * min(height, width):
        raise InputError(f"an image of {width} x {height} px is too long a strip to translate")
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    images = images.to(compute.device).float() / 127.5 - 1
    small = _reduced(images, size)
    padded = _padded(small, generator.multiple).contiguous(memory_format=compute.memory_format)
    with compute.autocast():
        changed = generator(padded)[..., : small.shape[-2], : small.shape[-1]].float()
    if small.shape != images.shape:
        change = to_logits(changed) - to_logits(small)
        change = functional.interpolate(change, (height, width), mode="bilinear")
        changed = apply_change(images, change)
    return to_uint8(changed)[0].permute(1, 2, 0).numpy()


def translate(
    run: RunDir,
    images: ImageSet,
    out: Path,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> ImageSet:
    """Translates every image of a set.

    Args:
        run: a finished run of `train_cyclegan`.
        images: the set to translate.
        out: folder of the new set.
        compute: where to compute.
        progress: where to report.

    Returns:
        The new set: label, split, group, licence and mask as before, with the original as
        parent and the run's lineage.

    Raises:
        InputError: the run is not finished, an image cannot be read, or `out` is taken.
    """
    generator, config = load_generator(run, compute)
    with (
        ImageSetWriter(out) as writer,
        progress.task("translating", total=len(images), unit="img") as task,
    ):
        writer.inherit(images)
        writer.add_lineage(run.id, run.training_images())
        for record in images:
            pixels = decode_image(images.read_bytes(record), str(images.path(record)))
            mask = images.read_mask(record)
            writer.add(
                translate_pixels(generator, pixels, config.resolution, compute),
                label=record.label,
                split=record.split,
                group=record.group,
                source=record.source,
                origin="cyclegan",
                parents=(record.sha256,),
                run=run.id,
                licence=record.licence,
                mask=mask if mask is not None and mask.shape == pixels.shape[:2] else None,
                name=Path(record.file_name).stem,
                extra=record.extra,
            )
            task.advance()
    return writer.images
