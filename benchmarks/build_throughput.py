"""build-dataset at x10, 224 px, against the usual loop over the same operators.

The usual loop: Pillow opens each photograph, an albumentations chain varies it nine times, Pillow
saves PNG files (lossless, as hzsynth writes them); no manifest, no digests, no seeds. Three more
figures go to stderr: two workers against one; one worker against decoding,
augmenting and encoding files alone; peak memory from 1,000 to 50,000 images.
"""

import io
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import albumentations
import numpy as np
from common import Pair, PeakMemory, measure_pairs, parse_fast, report, seconds
from PIL import Image

from hzsynth.augment.build import BuildConfig, build_dataset
from hzsynth.augment.strategies import STRATEGIES, Augmenter
from hzsynth.core.image_files import encode_png
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import parallel_map
from hzsynth.data.importing import import_images
from hzsynth.data.photos import decode_image
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.sources.phantom import render_phantom

_SIDE, _MULTIPLIER = 224, 10
_CONFIG = BuildConfig(label="herpes_zoster", ratio=0, multiplier=_MULTIPLIER)


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


def median_ratio(pairs: list[Pair]) -> float:
    return statistics.median(pair.ratio for pair in pairs)


def main() -> None:
    fast = parse_fast(__doc__ or "")
    count, repeats, sizes = (40, 1, (10, 40)) if fast else (500, 3, (100, 5000))
    with tempfile.TemporaryDirectory(prefix="hzsynth-build-") as name:
        root = Path(name)
        images = write_set(root / "set", count, min(count, 100))
        pairs = measure_pairs(
            f"{_MULTIPLIER * len(images.select('train'))} images, one worker",
            lambda: built(images, root / "ours", 1),
            lambda: usual_loop(images, root / "theirs"),
            repeats,
        )
        share = measure_pairs(
            "one worker against the parts alone",
            lambda: built(images, root / "ours", 1),
            lambda: parts_alone(images, root / "alone"),
            repeats,
        )
        few, many = (write_set(root / f"set-{size}", size, min(size, 100)) for size in sizes)
        memory = []
        for part, other in ((few, "few"), (many, "many")):
            with PeakMemory() as watch:
                passed = seconds(lambda part=part, other=other: built(part, root / other, 2))
            memory.append(watch.peak)
            total = _MULTIPLIER * len(part.select("train"))
            print(
                f"{total} images, two workers: {total / passed:.0f} images/s, "
                f"{watch.peak / 2**20:.0f} MB",
                file=sys.stderr,
            )
        middle = images if fast else write_set(root / "middle", 1000, 100)
        scaling = [
            Pair(
                "two workers against one",
                seconds(lambda: built(middle, root / "two", 2)),
                seconds(lambda: built(middle, root / "one", 1)),
            )
            for _ in range(1 if fast else 3)
        ]
    rate = _MULTIPLIER * count / statistics.median(pair.ours for pair in pairs)
    print(
        f"one worker {rate:.0f} images/s, {median_ratio(share):.0%} of the parts alone; two workers "
        f"{median_ratio(scaling):.2f} times one; memory {memory[1] / memory[0]:.2f} times",
        file=sys.stderr,
    )
    report("build_throughput", "build-dataset x10 at 224 px over the usual loop", 2.0, pairs)


if __name__ == "__main__":
    main()
