"""build-dataset at x10, 224 px, against the usual loop over the same operators.

The usual loop: Pillow opens each photograph, an albumentations chain varies it nine times, Pillow
saves PNG files (lossless, as hzsynth writes them); no manifest, no digests, no seeds. Three more
figures go to stderr: two workers against one; one worker against decoding, augmenting and encoding
files alone; peak memory from 1,000 to 50,000 images. Files lie in memory where the system has such
a place, except when memory is measured: what a disk does is the same for both. Where workers are
counted, one of them uses one processor (OpenCV would take all).
"""

import io
import shutil
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import (
    Pair,
    PeakMemory,
    Scaling,
    describe_scaling,
    measure_pairs,
    measure_scaling,
    memory_folder,
    parse_fast,
    report,
    seconds,
    spread,
)
from PIL import Image

from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.augment.strategies import STRATEGIES, Augmenter
from hzsynth.core.image_files import encode_png
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import parallel_map
from hzsynth.core.photos import decode_image
from hzsynth.data.importing import import_images
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.sources.phantom import render_phantom

_SIDE, _MULTIPLIER, _FEW = 224, 10, 60
_CONFIG = BuildConfig(label="herpes_zoster", ratio=0, multiplier=_MULTIPLIER, write_augmented=True)


def render(number: int) -> bytes:
    """One phantom photograph as JPEG."""
    pixels, _ = render_phantom("herpes_zoster", "western", number, 0, _SIDE)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def write_set(root: Path, count: int, rendered: int) -> ImageSet:
    """`count` photographs of the target class to train on, in variants, one to validate and test."""
    photographs = list(parallel_map(render, range(rendered + 2), least=2))
    folders = {"val": photographs[:1], "test": photographs[1:2]}
    folders["train"] = [
        brighter(photographs[2 + n % rendered], n // rendered) for n in range(count)
    ]
    for split, members in folders.items():
        folder = root / "files" / split / _CONFIG.label
        folder.mkdir(parents=True)
        for number, data in enumerate(members):
            (folder / f"{number:05d}.jpg").write_bytes(data)
    return import_images(find_folder(root / "files"), root / "set").images


def brighter(data: bytes, levels: int) -> bytes:
    """A JPEG, some grey levels brighter."""
    if levels == 0:
        return data
    pixels = np.clip(decode_image(data, "phantom").astype(np.int16) + levels, 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def usual_loop(images: ImageSet, out: Path) -> None:
    import albumentations  # not by the workers, which import this script: it loads torch

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    chain = albumentations.Compose(
        [operator for strategy in STRATEGIES for operator in strategy.operators(1.0, _SIDE)]
    )
    for record in images.select("train"):
        picture = Image.open(images.path(record)).convert("RGB")
        name = Path(record.file_name).stem
        picture.save(out / f"{name}.png")
        pixels = np.array(picture)
        for number in range(_MULTIPLIER - 1):
            varied = chain(image=pixels)["image"]
            Image.fromarray(varied).save(out / f"{name}-{number}.png")


def built(images: ImageSet, out: Path, workers: int) -> None:
    shutil.rmtree(out, ignore_errors=True)
    build_dataset(images, [], _CONFIG, out, workers=workers)


def parts_alone(images: ImageSet, out: Path) -> None:
    """Reads and decodes each photograph once, augments it, encodes and writes; nothing else."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    augmenter = Augmenter()
    for record in images.select("train"):
        pixels = decode_image(images.read_bytes(record), record.file_name)
        for number in range(_MULTIPLIER - 1):
            varied, _ = augmenter(pixels, number)
            (out / f"{Path(record.file_name).stem}-{number}.png").write_bytes(encode_png(varied))


def build_half(halves: list[ImageSet], root: Path, number: int) -> None:
    cv2.setNumThreads(1)
    built(halves[number], root / f"built-{number}", 1)


def measure_speed(
    count: int, most: int, repeats: int
) -> tuple[list[Pair], list[Pair], list[Scaling]]:
    """Against the usual loop, against the parts alone, and two workers against one.

    Args:
        count: photographs to train on, in the first two.
        most: in the third, where workers have to start.
        repeats: pairs of each.
    """
    with tempfile.TemporaryDirectory(prefix="hzsynth-build-", dir=memory_folder()) as name:
        root = Path(name)
        images = write_set(root / "set", count, min(count, 100))
        usual = measure_pairs(
            f"{_MULTIPLIER * len(images.select('train'))} images, one worker",
            lambda: built(images, root / "ours", 1),
            lambda: usual_loop(images, root / "theirs"),
            repeats,
        )
        cv2.setNumThreads(1)
        few = write_set(root / "few", _FEW, _FEW)
        # A difference of a tenth: many short pairs tell it better than a few long ones.
        share = measure_pairs(
            "one worker against the parts alone",
            lambda: built(few, root / "ours", 1),
            lambda: parts_alone(few, root / "theirs"),
            4 * repeats + 1,
        )
        halves = [write_set(root / f"half-{n}", most // 2, min(most // 2, 100)) for n in range(2)]
        whole = write_set(root / "whole", most, min(most, 100))
        scaling = measure_scaling(
            lambda workers: built(whole, root / "ours", workers),
            partial(build_half, halves, root),
            repeats,
        )
    return usual, share, scaling


def measure_memory(sizes: tuple[int, int]) -> list[int]:
    """Peak memory in bytes of building sets of several sizes."""
    peaks = []
    with tempfile.TemporaryDirectory(prefix="hzsynth-build-") as name:
        root = Path(name)
        for size in sizes:
            images = write_set(root / f"set-{size}", size, min(size, 100))
            with PeakMemory() as watch:
                passed = seconds(
                    lambda images=images, size=size: built(images, root / f"{size}", 2)
                )
            peaks.append(watch.peak)
            total = _MULTIPLIER * len(images.select("train"))
            print(
                f"{total} images, two workers: {total / passed:.0f} images/s, "
                f"{watch.peak / 2**20:.0f} MB",
                file=sys.stderr,
                flush=True,
            )
    return peaks


def main() -> None:
    fast = parse_fast(__doc__ or "")
    count, most, repeats, sizes = (40, 80, 1, (10, 40)) if fast else (300, 1000, 5, (100, 5000))
    usual, share, scaling = measure_speed(count, most, repeats)
    rate = _MULTIPLIER * count / statistics.median(pair.ours for pair in usual)
    print(
        f"one worker {rate:.0f} images/s, {spread([pair.ratio for pair in share])} of the parts "
        f"alone; {describe_scaling(scaling)}",
        file=sys.stderr,
        flush=True,
    )
    memory = measure_memory(sizes)
    print(f"memory {memory[1] / memory[0]:.2f} times", file=sys.stderr)
    report("build_throughput", "build-dataset x10 at 224 px over the usual loop", 2.0, usual)


if __name__ == "__main__":
    main()
