"""How close a generator of tens of photographs comes, and how soon it copies, against stylegan2-pytorch.

``--data DIR`` is a folder of class folders (or a set). Of each class (``--labels``) a third is
held out by patients (``--fold``); every method learns from the rest for the same time on the same
threads. Judged are 128 samples of every snapshot, in two feature spaces that no discriminator
uses: KID to the held-out photographs beside the real-vs-real floor (halves of all photographs),
and the share of samples nearer to a training photograph than the 5 % quantile of the held-out
photographs' own distances (``own`` is that share among the held-out ones themselves: at ten photographs one is
a tenth). hzsynth's networks compute in the precision that it chooses for this machine, stylegan2-pytorch's in
float32, as that package does. Three moments are shown: after a minute, the one that the training
itself kept, and the last. Sheets of samples and of nearest photographs are written below --out.
Without --data phantom photographs are used.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Pair, hardware, photographs, report, versions
from PIL import Image

from hzsynth.core.devices import CPU_FP32, choose_compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import torch_generator
from hzsynth.data.loading import load_pixels
from hzsynth.data.splits import inseparable_units
from hzsynth.gan.config import GanConfig
from hzsynth.gan.training import train_gan
from hzsynth.report.contact_sheet import contact_sheet
from hzsynth.score.extractors import FeatureExtractor, create_extractor
from hzsynth.score.metrics.kid import kid_floor, kid_of_all
from hzsynth.score.metrics.memorisation import nearest_neighbour_memorisation

METHODS: Mapping[str, Mapping[str, object]] = {
    "default": {},
    "stylegan2 + projected": {"generator": "stylegan2"},
    "stylegan2 pair": {"generator": "stylegan2", "discriminator": "stylegan2"},
    "stylegan2-pytorch": {"backend": "stylegan2-pytorch"},
}
# Thousands of images between two looks at 64 px: about half a minute of each method.
LOOKS: Mapping[str, float] = {
    "default": 1.0,
    "stylegan2 + projected": 0.5,
    "stylegan2 pair": 0.5,
    "stylegan2-pytorch": 1 / 16,
}
SPACES = ("efficientnet-lite1", "efficientnet-lite2")
FOLDS = 3


def divided(images: ImageSet, fold: int) -> tuple[ImageSet, ImageSet]:
    """Two thirds to learn from and a third held out; patients stay together."""
    records = list(images)
    units = torch.from_numpy(inseparable_units(records))
    order = torch.randperm(int(units.max()) + 1, generator=torch_generator(0, "gan-quality"))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    held = (place[units] % FOLDS == fold).tolist()
    parts = [[r for r, h in zip(records, held, strict=True) if h == out] for out in (False, True)]
    return ImageSet(images.root, parts[0]), ImageSet(images.root, parts[1])


class Keeper:
    """Keeps the samples of every snapshot, to be judged when training is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, samples: torch.Tensor) -> dict[str, float]:
        """Writes uint8 N x 3 x H x W; has no figures of its own."""
        np.save(self._folder / f"{len(list(self._folder.iterdir())):04d}.npy", samples.numpy())
        return {}


def trained(images: ImageSet, method: str, path: Path, size: int, minutes: float) -> RunDir:
    """A method's run on a class; one that is finished is taken as it is."""
    if (path / "run.json").is_file() and (run := RunDir.load(path)).finished:
        return run
    settings = {"resolution": size, "minutes": minutes, "patience": 0, **METHODS[method]}
    settings["snapshot_kimg"] = LOOKS[method] * (64 / size) ** 2
    config = GanConfig.from_sources(None, settings)
    compute = choose_compute() if config.backend == "native" else CPU_FP32
    with RunDir.start(path, "gan", config, {"images": images.digest}) as run:
        train_gan(images, config, run, compute=compute, score=Keeper(path / "kept"))
    return RunDir.load(path)


def judged(
    run: RunDir, train: torch.Tensor, held_out: torch.Tensor, extractor: FeatureExtractor
) -> list[dict[str, float]]:
    """The curve of a run in one feature space."""
    real, unseen = extractor(train), extractor(held_out)
    apart = torch.cdist(unseen, real).min(dim=1).values
    lines = [line for line in run.metrics() if "kid" in line]
    rows = []
    for line, file in zip(lines, sorted((run.path / "kept").iterdir()), strict=True):
        fake = extractor(torch.from_numpy(np.load(file)))
        kid = kid_of_all(unseen, fake)
        copies = nearest_neighbour_memorisation(fake, real, unseen, extractor=extractor.name)
        rows.append(
            {
                "step": line["step"],
                "kid": kid.value,
                "error": kid.error,
                "kid_train": kid_of_all(real, fake).value,
                "copies": copies.share,
                "own": float((apart < copies.threshold).double().mean()),
            }
        )
    return rows


def seconds_at(run: RunDir, step: int) -> float:
    """Training time at a step, between the reports before and after it."""
    lines = [line for line in run.metrics() if "seconds" in line]
    steps, times = ([0, *(line[key] for line in lines)] for key in ("step", "seconds"))
    return float(np.interp(step, steps, times))


def moments(run: RunDir, rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    minute = min(rows, key=lambda row: abs(seconds_at(run, int(row["step"])) - 60))
    kept = next(row for row in rows if row["step"] == run.result["best_step"])
    return {"a minute": minute, "kept": kept, "last": rows[-1]}


def write_neighbours(path: Path, run: RunDir, train: torch.Tensor, space: FeatureExtractor) -> None:
    """Sixteen samples of the kept moment, each above its nearest training photograph."""
    steps = [line["step"] for line in run.metrics() if "kid" in line]
    files = sorted((run.path / "kept").iterdir())
    samples = torch.from_numpy(np.load(files[steps.index(run.result["best_step"])]))[:16]
    nearest = torch.cdist(space(samples), space(train)).argmin(dim=1)
    rows = [part for i in (0, 8) for part in (samples[i : i + 8], train[nearest[i : i + 8]])]
    Image.fromarray(contact_sheet(torch.cat(rows), 8)).save(path)


def write_moments(table: Sequence[Mapping[str, object]]) -> None:
    """Writes the table; rows of other classes, sizes and folds that were measured before stay."""
    RESULTS.mkdir(exist_ok=True)
    place = RESULTS / f"gan_quality_moments-{hardware()}.csv"
    before = list(csv.DictReader(place.open())) if place.is_file() else []
    rows = [{**row, **versions()} for row in table]
    keys = ("label", "size", "fold", "method", "space", "moment")
    new = {tuple(str(row[k]) for k in keys) for row in rows}
    kept = [row for row in before if tuple(row[k] for k in keys) not in new]
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([*kept, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="16 px, seconds")
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, default=Path("runs/gan-quality"))
    parser.add_argument("--labels", nargs="+", default=["herpes_zoster"])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    size, minutes = (16, 0.05) if options.fast else (options.size, options.minutes)
    out = options.out / "fast" if options.fast else options.out
    out.mkdir(parents=True, exist_ok=True)
    images = photographs(options.data, out)
    spaces = [create_extractor(name, compute=CPU_FP32) for name in SPACES]
    table: list[dict[str, object]] = []
    pairs: list[Pair] = []
    for label in options.labels:
        train_set, held_set = divided(images.select(label=label), options.fold)
        train, held_out = load_pixels(train_set, size), load_pixels(held_set, size)
        found: dict[str, dict[str, dict[str, float]]] = {}
        floors = {}
        for space in spaces:
            every = torch.cat([space(train), space(held_out)])
            floors[space.name] = kid_floor(every, part=len(held_out), repeats=100)
        for method in options.methods:
            place = out / f"{label}-{size}-{options.fold}-{method.replace(' ', '')}"
            run = trained(train_set, method, place, size, minutes)
            write_neighbours(place / "neighbours.png", run, train, spaces[0])
            for space in spaces:
                curve = judged(run, train, held_out, space)
                found[f"{method} {space.name}"] = at = moments(run, curve)
                for moment, row in at.items():
                    entry = {
                        "label": label,
                        "size": size,
                        "fold": options.fold,
                        "train": len(train),
                        "held_out": len(held_out),
                        "method": method,
                        "space": space.name,
                        "moment": moment,
                        "seconds": round(seconds_at(run, int(row["step"]))),
                        "images_per_second": round(run.result["images_per_second"], 1),
                        **{k: round(v, 4) for k, v in row.items()},
                        "best_kid_of_the_run": round(min(r["kid"] for r in curve), 4),
                        "floor": round(floors[space.name][0], 4),
                        "floor_spread": round(floors[space.name][1], 4),
                    }
                    table.append(entry)
                    print(", ".join(f"{k} {v}" for k, v in entry.items()), file=sys.stderr)
        if {"default", "stylegan2-pytorch"} <= set(options.methods):
            pairs += [
                Pair(
                    f"KID of {label}, {size} px, {space.name}",
                    found[f"default {space.name}"]["kept"]["kid"],
                    found[f"stylegan2-pytorch {space.name}"]["last"]["kid"],
                )
                for space in spaces
            ]
    if not options.fast:
        write_moments(table)
    if pairs:
        report(
            f"gan_quality-{'-'.join(options.labels)}-{size}",
            "KID of stylegan2-pytorch over the default's",
            2.0,
            pairs,
        )


if __name__ == "__main__":
    main()
