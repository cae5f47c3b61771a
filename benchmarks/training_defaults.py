"""Do the defaults of training cost accuracy? Varied images against mirrored ones, a chosen blend against a fixed one.

Every seed trains the same model on the same photographs for the same number of steps in each way:
*default* (`augment` vary, the blend of LP-FT chosen on validation); *flip* (`augment` flip); *blend .3*, the
fixed one of before; *no blend*, the fine-tuned weights alone. Reported is average precision and macro F1 on test
photographs, and the difference from the default paired by seed. Photographs and split are those of
`steadiness.py` (phantoms, or ``--data DIR``); what is done is kept below ``--out``, and a second call goes on.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import numpy as np
from common import hardware, versions, write_rows
from sklearn.metrics import average_precision_score, f1_score
from steadiness import LABEL, divided

from hzsynth.classify.answers import answers_of
from hzsynth.classify.models import load_classifier
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.config import CLASSIFY_RUN, ClassifyConfig
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir

WAYS: dict[str, dict[str, object]] = {
    "default": {},
    "flip": {"augment": "flip"},
    "blend .3": {"blend": 0.3},
    "no blend": {"blend": 1.0},
}
FIGURES = ("average_precision", "macro_f1")


def measured(way: str, images: ImageSet, config: ClassifyConfig, root: Path) -> dict[str, object]:
    """One training's figures on test; read back when it was done before."""
    place = root / f"{way.replace(' ', '-')}-{config.seed}"
    file = root / f"{place.name}.json"
    if file.is_file():
        kept: dict[str, object] = json.loads(file.read_text("utf-8"))
        return kept
    with RunDir.start(place, CLASSIFY_RUN, config, {}, force=True) as run:
        trained = train_classifier(images, config, run)
    said = answers_of(load_classifier(RunDir.load(place)), images.select("test"), CPU_FP32)
    row = {
        "way": way,
        "seed": config.seed,
        "average_precision": float(average_precision_score(said.is_target, said.score)),
        "macro_f1": float(f1_score(said.truth, said.predicted, average="macro")),
        "blend": trained.blend,
        "test": len(said),
        "test_positives": int(said.is_target.sum()),
    }
    file.write_text(json.dumps(row), encoding="utf-8")
    print(row, file=sys.stderr, flush=True)
    return row


def against_default(rows: list[dict[str, object]], way: str, figure: str) -> tuple[float, float]:
    """Mean difference from the default over the seeds, and its standard error."""
    values = {(str(r["way"]), int(str(r["seed"]))): float(str(r[figure])) for r in rows}
    seeds = sorted({seed for _, seed in values})
    apart = [values[way, seed] - values["default", seed] for seed in seeds]
    return statistics.mean(apart), float(np.std(apart, ddof=1) / len(apart) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="two seeds, few steps")
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, default=Path("runs/training_defaults"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    seeds, steps = (2, 4) if options.fast else (options.seeds, options.steps)
    size = 64 if options.fast else options.size
    out = options.out / ("fast" if options.fast else "full")
    out.mkdir(parents=True, exist_ok=True)
    images = divided(options.data, out)
    base = ClassifyConfig(label=LABEL, size=size, steps=steps)
    rows = [
        measured(way, images, base.model_copy(update={**changes, "seed": seed}), out)
        for seed in range(seeds)
        for way, changes in WAYS.items()
    ]
    means = {}
    for way in WAYS:
        for figure in FIGURES:
            found = [float(str(r[figure])) for r in rows if r["way"] == way]
            apart, error = against_default(rows, way, figure)
            means[way, figure] = apart
            print(
                f"{way}: {figure} {statistics.mean(found):.3f} ± {statistics.stdev(found):.3f}, from the "
                f"default {apart:+.3f} ± {error:.3f}",
                file=sys.stderr,
            )
    write_rows("training_defaults", [{**row, "steps": steps, "size": size} for row in rows])
    print(
        json.dumps(
            {
                "claim": "average precision of mirrored images less that of the default, at most .02",
                "ratio": round(1 - means["flip", "average_precision"], 3),
                "goal": 0.98,
                "differences": {
                    f"{way}, {figure}": round(value, 3) for (way, figure), value in means.items()
                },
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
