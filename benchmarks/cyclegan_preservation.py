"""Which way of keeping lesions is best: the ablation behind the default of `hzsynth cyclegan train`.

Western zoster phantoms with true masks are mapped onto healthy Korean phantom skin; with ``--data DIR`` a
class of real photographs (``--label``) is mapped onto its class ``normal``, the lesions found by redness.
Every arm has the same photographs, steps (or ``--minutes`` of training) and seed, and is measured on held-out patients by a judge that
no arm has seen: share of lesions kept (also after JPEG), SSIM inside the lesion, change of its contrast,
and the distance of the skin to the target in ITA and KID, beside every tone transfer and the
transplant. An arm is good when it keeps 95 % of the lesions and their structure (SSIM of .9); of
those the one with the lowest mean rank in ITA and KID is best.

    python benchmarks/cyclegan_preservation.py [--fast] [--arms "mask;none"] [--steps N] [--seeds N]
"""

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from common import hardware, versions, write_rows

from hzsynth.core.devices import choose_compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.comparison import Comparison, compare
from hzsynth.cyclegan.config import ComparisonConfig, CycleGanConfig
from hzsynth.cyclegan.gate import MODEL, Row
from hzsynth.cyclegan.training import load_generator, train_cyclegan
from hzsynth.cyclegan.translation import translate_pixels
from hzsynth.data.config import PhantomConfig
from hzsynth.data.loading import open_images
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.data.splits import split_images

PLAIN = {
    "preserve": "none",
    "output": "published",
    "discriminator_norm": "instance",
    "upsampling": "transposed",
    "identity_weight": 5.0,
    "shift": 0.0,
    "ema": 0.0,
    "colour_start": False,
    "tone_weight": 0.0,
}
ARMS: dict[str, dict[str, object]] = {
    "published CycleGAN": {
        **PLAIN,
        "width": 64,
        "blocks": 6,
        "discriminator_width": 64,
        "batch": 1,
    },
    "plain CycleGAN": PLAIN,
    "plain, mask": {**PLAIN, "preserve": "mask"},
    "none": {"preserve": "none"},
    "blind": {"preserve": "blind"},
    "contrast": {"preserve": "contrast"},
    "mask": {"preserve": "mask"},
    "gated": {"preserve": "gated"},
    "mask,gated": {"preserve": "mask,gated"},
    "mask, noise": {"preserve": "mask", "against_hiding": "noise"},
    "mask, no tone": {"preserve": "mask", "tone_weight": 0.0},
    "mask, jpeg": {"preserve": "mask", "against_hiding": "jpeg"},
    "cut, mask": {"objective": "cut", "preserve": "mask"},
}
DEFAULT = "mask"
LABEL = "herpes_zoster"
GOAL, STRUCTURE = 0.95, 0.9


def phantoms(folder: Path, size: int, patients: int) -> tuple[ImageSet, ImageSet]:
    """Western zoster and healthy Korean skin with splits by patient."""
    sets = []
    for name, label, seed in (("western", LABEL, 1), ("korean", "normal", 2)):
        config = PhantomConfig(
            seed=seed, size=size, patients={label: patients}, cohorts=(name,), logo_share=0
        )
        made = import_phantom(config, folder / name)
        sets.append(split_images(made, folder / f"{name}-split", (60, 5, 35)))
    return sets[0], sets[1]


def real_photographs(data: Path, label: str, folder: Path) -> tuple[ImageSet, ImageSet]:
    """A class and healthy skin of a folder of class folders, with splits by patient."""
    images = open_images(data)
    source, target = (
        split_images(images.select(label=name), folder / f"{name}-split", (60, 5, 35))
        for name in (label, "normal")
    )
    return source, target


def measured(
    source: ImageSet,
    target: ImageSet,
    config: CycleGanConfig,
    folder: Path,
    settings: ComparisonConfig,
) -> tuple[Comparison, float]:
    """Trains an arm and compares it on the photographs that it did not see."""
    compute = choose_compute()
    with RunDir.start(folder, "cyclegan", config, {}) as run:
        train_cyclegan(source, target, config, run, compute=compute)
    generator, _ = load_generator(run, compute)
    translated = partial(translate_pixels, generator, size=config.resolution, compute=compute)
    result = compare(
        translated,
        run.training_images(),
        source,
        target,
        settings,
        compute=compute,
        harmonise=partial(translated, of_target=True),
    )
    return result, float(run.result["images_per_second"])


def chosen(rows: dict[str, list[Row]]) -> str:
    """The arm that keeps the lesions and is nearest to the target."""

    def mean(arm: str, figure: str) -> float:
        return statistics.mean(getattr(row, figure) or 0.0 for row in rows[arm])

    keeping = [
        arm
        for arm in rows
        if mean(arm, "retention") >= GOAL and mean(arm, "similarity") >= STRUCTURE
    ] or list(rows)

    def rank(arm: str) -> tuple[int, float]:
        better = [
            mean(other, figure) < mean(arm, figure)
            for other in keeping
            for figure in ("tone", "kid")
        ]
        return sum(better), mean(arm, "tone")

    return min(keeping, key=rank)


def line(arm: str, seed: int, row: Row, speed: float) -> dict[str, object]:
    """A measurement as a line of the CSV."""
    return {"arm": arm, "seed": seed, **row.flat(), "images_per_second": f"{speed:.2f}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--fast", action="store_true", help="64 px, few steps, three arms")
    parser.add_argument("--data", type=Path, help="folder of class folders, normal among them")
    parser.add_argument("--label", default=LABEL, help="class of --data with lesions")
    parser.add_argument("--arms", help="some arms, separated by semicolons")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="training time of an arm instead of steps")
    parser.add_argument("--patients", type=int, help="phantom patients of a domain")
    parser.add_argument("--largest", type=int, help="photographs of a domain in the comparison")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    size, patients, largest = (64, 20, 16) if given.fast else (128, 100, 80)
    patients, largest = given.patients or patients, given.largest or largest
    steps = given.steps or (60 if given.fast else 500)
    budget = {"steps": steps} if given.minutes is None else {"minutes": given.minutes}
    fast_arms = ("plain CycleGAN", "none", "mask")
    usual = [arm for arm in ARMS if arm != "published CycleGAN"]
    arms = given.arms.split(";") if given.arms else list(fast_arms if given.fast else usual)
    parts = ["cyclegan_preservation"]
    parts += [given.label] if given.data else []
    parts += [] if given.minutes is None else [f"{given.minutes:g}-minutes"]
    name_of_results = "-".join(parts)
    lines: list[dict[str, object]] = []
    found: dict[str, list[Row]] = {arm: [] for arm in arms}
    with tempfile.TemporaryDirectory() as folder:
        if given.data is None:
            source, target = phantoms(Path(folder), size, patients)
        else:
            source, target = real_photographs(given.data, given.label, Path(folder))
        for seed in range(given.seeds):
            for arm in arms:
                config = CycleGanConfig(
                    **{"objective": "cyclegan", **budget, **ARMS[arm]},
                    resolution=size,
                    seed=seed,
                    snapshots=1,
                )
                name = f"run-{seed}-{arms.index(arm)}"
                settings = ComparisonConfig(
                    size=size, largest=largest, seed=seed, alternatives=arm == arms[0]
                )
                result, speed = measured(source, target, config, Path(folder) / name, settings)
                row = next(row for row in result.rows if row.method == MODEL)
                found[arm].append(row)
                if arm == arms[0]:
                    others = [row for row in result.rows if row.method != MODEL]
                    lines += [line(other.method, seed, other, 0.0) for other in others]
                lines.append(line(arm, seed, row, speed))
                print(
                    f"{arm}, seed {seed}: kept {row.retention}, SSIM {row.similarity:.2f}, contrast "
                    f"{row.contrast:.2f}, ITA {row.tone:.1f}, KID {row.kid}, {speed:.1f} images/s",
                    file=sys.stderr,
                    flush=True,
                )
                write_rows(name_of_results, lines)
    best = chosen(found)
    kept = [row.retention or 0.0 for row in found[best]]
    print(
        json.dumps(
            {
                "claim": f"'{best}' is the best of {len(arms)} ways to keep lesions, {budget}, "
                f"{size} px, n = {found[best][0].pictures}; ratio is the share of lesions kept",
                "ratio": round(statistics.median(kept), 3),
                "goal": GOAL,
                "spread": [round(min(kept), 3), round(max(kept), 3)],
                "best": best,
                "default": DEFAULT,
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
