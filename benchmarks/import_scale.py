"""Import, hash and split 100,000 images: throughput, peak memory, and two processes against one.

The images are 1,000 phantom photographs (128 px), each in 100 variants (a crop of a few pixels
and another brightness, encoded as JPEG), so that no two files are equal. All are imported and
split and 2,000 of them inspected, with memory sampled twice a second over this process and all its
children (proportional set size, so that shared pages count once). Scaling is measured on 10,000
pictures of 384 px, the width of an atlas's photographs, alternately with one and with two
processes, in memory where the system has such a place: a disk is no faster for two. The control is
two separate imports of half the pictures each: no program can scale better on the same machine.
"""

import io
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from common import (
    Pair,
    PeakMemory,
    describe_scaling,
    measure_scaling,
    memory_folder,
    parse_fast,
    report,
)
from PIL import Image, ImageEnhance

from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import parallel_map
from hzsynth.data.importing import import_images
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.sources.phantom import render_phantom

_CLASSES = ("herpes_zoster", "eczema", "normal", "insect_bite")
_SIDE, _ATLAS_SIDE = 128, 384


def render(number: int, side: int) -> bytes:
    """One phantom photograph as PNG."""
    pixels, _ = render_phantom(_CLASSES[number % 4], "western", number // 4, 0, side)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_variants(root: Path, photographs: int, variants: int, side: int) -> None:
    made = parallel_map(partial(render, side=side), range(photographs), least=32)
    for number, data in enumerate(made):
        rng = np.random.default_rng(number)
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        folder = root / _CLASSES[number % 4]
        folder.mkdir(parents=True, exist_ok=True)
        for variant in range(variants):
            left, top = (int(v) for v in rng.integers(0, 5, 2))
            part = picture.crop((left, top, side - 4 + left, side - 4 + top))
            part = ImageEnhance.Brightness(part).enhance(float(rng.uniform(0.9, 1.1)))
            part.save(folder / f"{number:04d}-{variant:03d}.jpg", quality=90)


def importing(source: Path, root: Path, workers: int) -> ImageSet:
    """Every time into a folder of its own: removing the last one is no part of an import."""
    target = Path(tempfile.mkdtemp(dir=root)) / "set"
    return import_images(find_folder(source), target, workers=workers).images


def halved(source: Path, root: Path) -> list[Path]:
    """The same files, half of them in each of two folders."""
    halves = [root / "first", root / "second"]
    for number, path in enumerate(sorted(source.rglob("*.jpg"))):
        folder = halves[number % 2] / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).hardlink_to(path)
    return halves


def importing_half(halves: list[Path], root: Path, number: int) -> None:
    importing(halves[number], root, 1)


def main() -> None:
    # Here: the workers, which import this script, do without torch.
    from hzsynth.data.inspect import inspect_images
    from hzsynth.data.splits import split_images

    fast = parse_fast(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="hzsynth-scale-", dir=memory_folder()) as name:
        root = Path(name)
        write_variants(root / "all", *((40, 10) if fast else (400, 25)), _ATLAS_SIDE)
        pictures = len(list((root / "all").rglob("*.jpg")))
        halves = halved(root / "all", root)
        scaling = measure_scaling(
            partial(importing, root / "all", root),
            partial(importing_half, halves, root),
            repeats=1 if fast else 7,
        )
    print(describe_scaling(scaling), file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="hzsynth-scale-") as name:
        root = Path(name)
        write_variants(root / "all", *((100, 20) if fast else (1000, 100)), _SIDE)
        with PeakMemory() as memory:
            start = time.perf_counter()
            images = importing(root / "all", root, 0)
            middle = time.perf_counter()
            done = split_images(images, root / "split")
            later = time.perf_counter()
            some = done.replace_records(done.records[::50])
            inspect_images(some)
            end = time.perf_counter()
        count = len(images)
        print(
            f"{count} images: imported and hashed at {count / (middle - start):.0f} images/s, "
            f"split in {later - middle:.0f} s ({len({r.split for r in done})} parts), inspected at "
            f"{len(some) / (end - later):.0f} images/s, "
            f"peak memory {memory.peak / 2**30:.2f} GB",
            file=sys.stderr,
        )
    pairs = [
        Pair(f"import of {pictures} images, two processes against one", s.two, s.one)
        for s in scaling
    ]
    report("import_scale", "import by two processes over one", 1.7, pairs)


if __name__ == "__main__":
    main()
