"""How far a classifier's average precision depends on its seed: the default training against plain.

``--data DIR`` is a folder of class folders (or a set); the class `normal` is left out and one fixed
grouped split is made: 60 % train, 10 % validation, 30 % test. Every seed trains the same model on
the same photographs for the same number of steps and images a step: hzsynth's default (LP-FT, frozen
batch-norm statistics, averaged weights blended with the probed ones, checkpoint chosen on validation), the same without linear
probing and averaging, and the plain loop (Adam on all weights, batch norm in training mode, mirrored
images, last weights). Without --data phantom photographs are used. What is done is kept below ``--out``:
a second call goes on where the first was stopped, and several processes can share the seeds (``--only``).
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import hardware, photographs, versions, write_rows
from sklearn.metrics import average_precision_score
from torch.nn import functional

from hzsynth.classify.models import create_network, load_classifier, normalisation
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.config import ClassifyConfig
from hzsynth.classify.train.loading import load_training_data
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.data.splits import split_images

LABEL, LEFT_OUT = "herpes_zoster", "normal"
RATIOS = (0.6, 0.1, 0.3)
WAYS = ("default", "full", "plain")
GOAL = 2.0


def divided(data: Path | None, root: Path) -> ImageSet:
    if (root / "split" / "metadata.csv").is_file():
        return ImageSet.load(root / "split")
    images = photographs(data, root)
    diseases = images.replace_records(r for r in images if r.label != LEFT_OUT)
    return split_images(diseases, root / "split", RATIOS, 0, force=True)


def own(images: ImageSet, config: ClassifyConfig, root: Path) -> np.ndarray:
    """Probability of the target for each test photograph, by hzsynth's training."""
    with RunDir.start(root, "classify", config, {}, force=True) as run:
        train_classifier(images, config, run)
    classifier = load_classifier(RunDir.load(root))
    test = load_pixels(images.select("test"), config.size)
    return classifier.probabilities(test)[:, classifier.labels.index(config.label)]


def plain(images: ImageSet, config: ClassifyConfig) -> np.ndarray:
    """The same by the loop that everybody writes first."""
    data = load_training_data(images, config.size, config.label)
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in normalisation(config.model))
    torch.manual_seed(config.seed)
    network = create_network(
        config.model, classes=len(data.labels), pretrained=config.pretrained, seed=config.seed
    ).train()
    optimiser = torch.optim.Adam(network.parameters(), config.learning_rate)
    order: list[int] = []
    for _ in range(config.steps):
        while len(order) < config.batch:
            order += torch.randperm(len(data.train)).tolist()
        rows, order = torch.tensor(order[: config.batch]), order[config.batch :]
        pixels = data.train.pixels[rows].float() / 255
        mirrored = torch.rand(config.batch) < 0.5
        pixels[mirrored] = pixels[mirrored].flip(3)
        loss = functional.cross_entropy(
            network((pixels - mean) / deviation), data.train.targets[rows]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    test = load_pixels(images.select("test"), config.size)
    with torch.no_grad():
        parts = [network((p.float() / 255 - mean) / deviation) for p in test.split(64)]
    return torch.cat(parts).softmax(1)[:, data.target].numpy()


def measured(way: str, images: ImageSet, config: ClassifyConfig, root: Path) -> dict[str, object]:
    """Average precision and time of one training; read back when it was done before."""
    file = root / f"{way}-{config.seed}.json"
    if file.is_file():
        return json.loads(file.read_text("utf-8"))
    begin = time.perf_counter()
    if way == "plain":
        answers = plain(images, config)
    else:
        if way == "full":
            config = config.model_copy(update={"finetune": "full", "average": False, "blend": 1.0})
        answers = own(images, config, root / f"run-{way}-{config.seed}")
    took = time.perf_counter() - begin
    truth = np.array([record.label == LABEL for record in images.select("test")])
    row = {
        "way": way,
        "seed": config.seed,
        "average_precision": float(average_precision_score(truth, answers)),
        "seconds": took,
    }
    file.write_text(json.dumps(row), encoding="utf-8")
    print(f"seed {config.seed} {way}: {row['average_precision']:.3f}", file=sys.stderr, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="two seeds, few steps")
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, default=Path("runs/steadiness"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--only", type=int, nargs="+", help="measure these seeds and stop")
    options = parser.parse_args()
    seeds, steps = (2, 6) if options.fast else (options.seeds, options.steps)
    size = 64 if options.fast else options.size
    out = options.out / "fast" if options.fast else options.out
    out.mkdir(parents=True, exist_ok=True)
    images = divided(options.data, out)
    test = images.select("test")
    print(
        f"{len(images.select('train'))} training photographs "
        f"({len(images.select('train', LABEL))} of {LABEL}), {len(test)} for testing "
        f"({len(test.select(label=LABEL))}); {steps} steps, {size} px",
        file=sys.stderr,
    )
    rows = [
        measured(way, images, ClassifyConfig(label=LABEL, size=size, steps=steps, seed=seed), out)
        for seed in options.only or range(seeds)
        for way in WAYS
    ]
    if options.only:
        return
    found = {way: [float(r["average_precision"]) for r in rows if r["way"] == way] for way in WAYS}
    for way, values in found.items():
        print(
            f"{way}: average precision {statistics.mean(values):.3f} ± {statistics.stdev(values):.3f} "
            f"({min(values):.3f} to {max(values):.3f})",
            file=sys.stderr,
        )
    write_rows("steadiness", rows)
    spreads = {way: statistics.stdev(values) for way, values in found.items()}
    print(
        json.dumps(
            {
                "claim": f"deviation of average precision over {seeds} seeds, the plain loop's over the default's",
                "ratio": round(spreads["plain"] / max(spreads["default"], 1e-9), 2),
                "goal": GOAL,
                "deviations": {way: round(value, 3) for way, value in spreads.items()},
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
