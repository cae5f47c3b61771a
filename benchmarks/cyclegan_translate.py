"""Translates 1,000 images of mixed sizes, 100 to 3,000 px a side: memory that does not grow, images a second.

A trained model (a few steps: neither speed nor memory depend on how good it is) translates sets of
phantom photographs, enlarged to sides drawn uniformly in the logarithm. Both sets hold an image of the
largest size; the peak memory of 1,000 images is compared with that of 200.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import PeakMemory, hardware, in_own_process, versions
from PIL import Image

from hzsynth.core.devices import choose_compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.training import train_cyclegan
from hzsynth.cyclegan.translation import translate
from hzsynth.data.config import PhantomConfig
from hzsynth.data.loading import scan_images
from hzsynth.data.sources.phantom import import_phantom

GOAL = 1.1
SMALLEST, LARGEST = 100, 3000


def write_photographs(phantoms: ImageSet, count: int, folder: Path) -> None:
    """Writes photographs of mixed sizes and shapes as JPEG files, the first of the largest size."""
    (folder / "herpes_zoster").mkdir(parents=True)
    for number in range(count):
        rng = numpy_generator(0, "translate-bench", number)
        sides = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), 2)).round().astype(int)
        width, height = (LARGEST, LARGEST) if number == 0 else sides.tolist()
        record = phantoms.records[number % len(phantoms)]
        with Image.open(phantoms.path(record)) as picture:
            enlarged = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        enlarged.save(folder / "herpes_zoster" / f"{number:04d}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="10 and 30 images")
    parser.add_argument("--case", nargs=3, metavar=("RUN", "IMAGES", "OUT"), help="one, here")
    options = parser.parse_args()
    if options.case:
        run, photographs, out = map(Path, options.case)
        with PeakMemory() as memory:
            begin = time.perf_counter()
            # One process: those that look at a large folder would be counted, too.
            images = scan_images(photographs, workers=1).images
            translate(RunDir.load(run), images, out, compute=choose_compute())
            took = time.perf_counter() - begin
        print(json.dumps({"seconds": took, "gigabytes": memory.peak / 1e9}))
        return
    few, many = (10, 30) if options.fast else (200, 1_000)
    with tempfile.TemporaryDirectory(prefix="hzsynth-translate-") as name:
        root = Path(name)
        sets = []
        for cohort, label in (("western", "herpes_zoster"), ("korean", "normal")):
            phantom = PhantomConfig(patients={label: 8}, cohorts=(cohort,), logo_share=0)
            sets.append(import_phantom(phantom, root / cohort))
        config = CycleGanConfig(objective="cyclegan", resolution=128, steps=5, snapshots=1)
        with RunDir.start(root / "run", "cyclegan", config, {}) as run:
            train_cyclegan(*sets, config, run, compute=choose_compute())
        made = {}
        for count in (few, many):
            write_photographs(sets[0], count, root / f"photographs-{count}")
            found = in_own_process(
                __file__, root / "run", root / f"photographs-{count}", root / f"made-{count}"
            )
            took, memory = made[count] = (found["seconds"], found["gigabytes"])
            print(
                f"{count} images: {count / took:.2f} a second, peak {memory:.2f} GB",
                file=sys.stderr,
                flush=True,
            )
        sizes = [(r.width, r.height) for r in ImageSet.load(root / f"made-{many}")]
        complete = len(sizes) == many and max(sizes) == (LARGEST, LARGEST)
    print(
        json.dumps(
            {
                "claim": f"memory of translating {many} images of {SMALLEST} to {LARGEST} px over that of {few}",
                "ratio": round(made[many][1] / made[few][1], 3),
                "goal": GOAL,
                "gigabytes": round(made[many][1], 2),
                "images_a_second": round(many / made[many][0], 2),
                "complete": complete,
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
