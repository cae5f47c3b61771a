"""Generates 10,000 images at 64 px: memory that does not grow, images a second, the same image for a seed.

A run of the default generator (a few steps: neither speed nor memory depend on how good it is) writes
sets of 1,000 and of 10,000 images; the peak memory of the two is compared. The first 100 images have to be
those that a call for 100 alone makes, bitwise, and those of a generator that is asked for 16 at a time.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from common import PeakMemory, hardware, in_own_process, versions

from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.config import PhantomConfig
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import load_generator
from hzsynth.gan.sampling import generate
from hzsynth.gan.training import train_gan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="100 and 300 images")
    parser.add_argument("--case", nargs=3, metavar=("RUN", "COUNT", "OUT"), help="one, here")
    options = parser.parse_args()
    if options.case:
        run, count, out = options.case
        with PeakMemory() as memory:
            begin = time.perf_counter()
            generate(RunDir.load(Path(run)), int(count), Path(out))
            took = time.perf_counter() - begin
        print(json.dumps({"seconds": took, "gigabytes": memory.peak / 1e9}))
        return
    few, many = (100, 300) if options.fast else (1_000, 10_000)
    with tempfile.TemporaryDirectory(prefix="hzsynth-generate-") as name:
        root = Path(name)
        patients = PhantomConfig(patients={"herpes_zoster": 8}, cohorts=("western",), size=64)
        images = import_phantom(patients, root / "set")
        config = GanConfig(label="herpes_zoster", kimg=0.16, watch=False, bank_views=32)
        with RunDir.start(root / "run", "gan", config, {"images": images.digest}) as run:
            train_gan(images, config, run)
        made = {}
        for count in dict.fromkeys((100, few, many)):
            found = in_own_process(__file__, root / "run", count, root / f"made-{count}")
            took, memory = made[count] = (found["seconds"], found["gigabytes"])
            print(
                f"{count} images: {count / took:.1f} a second, peak {memory:.2f} GB",
                file=sys.stderr,
                flush=True,
            )
        first, last = (ImageSet.load(root / f"made-{n}") for n in (100, many))
        same = [a.sha256 == b.sha256 for a, b in zip(first, last, strict=False)]
        seeds = [int(record.seed) for record in first]
        generator = load_generator(RunDir.load(root / "run"))
        alone = generator.sample(seeds)
        generator._part = 16
        together = generator.sample(seeds)
        difference = int((alone.int() - together.int()).abs().max())
    print(
        json.dumps(
            {
                "claim": "memory of many images over that of a tenth",
                "ratio": round(made[many][1] / made[few][1], 3),
                "goal": 1.1,
                "images_a_second": round(many / made[many][0], 1),
                "first_100_equal": all(same) and len(same) == 100,
                "largest_difference_in_parts_of_16": difference,
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
