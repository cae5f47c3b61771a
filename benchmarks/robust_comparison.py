"""Plain training, distillation without curriculum, KDE-CT, GNT and AugMix at equal student steps.

``--data DIR`` is a folder of class folders (or a set); the class `normal` is left out and K grouped
folds are made, so that every photograph is tested once. In every fold each method trains the same
student for the same number of steps; clean figures come from the pooled test predictions of all
folds, mCE from the 75 corruptions, as errors relative to plain training on the same photographs.
What is done is kept below ``--out``: a second call goes on where the first was stopped.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

import pandas as pd
from common import hardware, photographs, versions, write_rows

from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.robustness import measure_robustness
from hzsynth.classify.models import load_classifier
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.config import ClassifyConfig, KdectConfig
from hzsynth.classify.train.kdect import train_kdect
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.splits import fold_images
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.metric_intervals import metrics_with_intervals

LABEL, LEFT_OUT = "herpes_zoster", "normal"
METHODS = ("plain", "kdect", "kd", "gnt", "augmix")
GOAL = 0.15
SHOWN = ("f1_target", "recall_target", "auroc_target", "average_precision_target", "accuracy")


def folds(data: Path | None, out: Path, count: int) -> tuple[ImageSet, ...]:
    kept = [out / "folds" / f"fold-{number}" for number in range(count)]
    if all((path / "metadata.csv").is_file() for path in kept):
        return tuple(ImageSet.load(path) for path in kept)
    images = photographs(data, out)
    diseases = images.replace_records(r for r in images if r.label != LEFT_OUT)
    return fold_images(diseases, out / "folds", count, 0, force=True)


def finished(path: Path) -> RunDir | None:
    if (path / "run.json").is_file():
        run = RunDir.load(path)
        return run if run.finished else None
    return None


def trained(method: str, images: ImageSet, path: Path, size: int, steps: int) -> RunDir:
    """One method on one fold; the student makes `steps` steps whatever the method is."""
    done = finished(path)
    if done is not None:
        return done
    if method in ("plain", "gnt", "augmix"):
        robust = "none" if method == "plain" else method
        config = ClassifyConfig(label=LABEL, size=size, steps=steps, robust=robust, blend=1.0)
        with RunDir.start(path, "classify", config, {"images": images.digest}) as run:
            train_classifier(images, config, run)
        return RunDir.load(path)
    # Three stages of equal length: cross-entropy, the weaker teacher, both.
    curriculum = {"stage_steps": steps // 3, "teacher_steps": steps}
    if method == "kd":
        curriculum |= {"teacher_order": "all-at-once", "input_noise": "none"}
    distilled = KdectConfig(label=LABEL, size=size, **curriculum)
    with RunDir.start(path, "kdect", distilled, {"images": images.digest}) as run:
        others = path.parent / "kdect" / "teachers"
        if method == "kd" and others.is_dir() and not (path / "teachers").exists():
            # The same teachers, trained alike: finished ones are taken over.
            shutil.copytree(others, path / "teachers")
        train_kdect(images, distilled, run)
    return RunDir.load(path)


def measured(fold: ImageSet, root: Path, size: int, steps: int) -> dict[str, object]:
    """Answers and corruption errors of all methods on one fold; read back when they are there."""
    file = root / "measured.json"
    if file.is_file():
        return json.loads(file.read_text("utf-8"))
    runs = {}
    for method in METHODS:
        runs[method] = trained(method, fold, root / method, size, steps)
        print(f"{root.name}: {method} trained", file=sys.stderr, flush=True)
    result: dict[str, object] = {}
    for method, run in runs.items():
        answers = answers_of(load_classifier(run), fold.select("test"))
        result[method] = {
            "answers": answers.to_frame().to_dict("list"),
            "seconds": run.result["seconds"],
        }
    robustness = measure_robustness(list(runs.values()), fold, bootstrap=200)
    for method, row in zip(METHODS, robustness.runs, strict=True):
        result[method] |= {"errors": row.errors, "n": row.n, "f1": row.mean_f1_target}
    file.write_text(json.dumps(result), encoding="utf-8")
    return result


def pooled(rows: list[dict[str, object]], seed: int = 0) -> dict[str, object]:
    frames = [pd.DataFrame(row["answers"]) for row in rows]
    answers = Answers.from_frame(pd.concat(frames, ignore_index=True), LABEL)
    return metrics_with_intervals(answers, seed=seed)


def corruption_error(rows: list[dict[str, object]], reference: list[dict[str, object]]) -> float:
    """MCE over pooled photographs: errors of all folds, summed by kind, over the reference's."""
    ratios = []
    for kind in rows[0]["errors"]:
        own, other = (
            sum(row["n"] * sum(row["errors"][kind]) for row in part) for part in (rows, reference)
        )
        ratios.append(100 * own / other)
    return statistics.mean(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="three folds, few steps")
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, default=Path("runs/robust-comparison"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument(
        "--only", type=int, nargs="+", help="measure these folds and stop: for several processes"
    )
    options = parser.parse_args()
    count, steps, size = (
        (3, 9, 64) if options.fast else (options.folds, options.steps, options.size)
    )
    out = options.out / "fast" if options.fast else options.out
    out.mkdir(parents=True, exist_ok=True)
    parts = folds(options.data, out, count)
    found = []
    for number, fold in enumerate(parts):
        if options.only is not None and number not in options.only:
            continue
        root = out / f"models-{number}"
        root.mkdir(exist_ok=True)
        found.append(measured(fold, root, size, steps))
    if options.only is not None:
        return
    by_method: dict[str, list[dict[str, object]]] = {
        method: [fold[method] for fold in found] for method in METHODS
    }
    print(
        f"{sum(row['n'] for row in by_method['plain'])} photographs, {count} folds", file=sys.stderr
    )
    table: list[dict[str, object]] = []
    reductions: list[float] = []
    for method, rows in by_method.items():
        metrics = pooled(rows)
        shown = ", ".join(
            f"{name} {metrics[name].value:.3f} ({metrics[name].low:.3f} to {metrics[name].high:.3f})"
            for name in SHOWN
        )
        whole = corruption_error(rows, by_method["plain"])
        each = [corruption_error([a], [b]) for a, b in zip(rows, by_method["plain"], strict=True)]
        corrupted = statistics.mean(row["f1"] for row in rows)
        print(
            f"{method}: {shown}; mCE {whole:.1f} % (folds {min(each):.1f} to {max(each):.1f}), "
            f"F1 under corruption {corrupted:.3f}",
            file=sys.stderr,
        )
        intervals = {
            f"{name}{end}": round(getattr(metrics[name], attribute), 4)
            for name in SHOWN
            for end, attribute in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        errors = {f"mce_fold_{number}": round(value, 2) for number, value in enumerate(each)}
        table.append(
            {
                "method": method,
                **intervals,
                "mce": round(whole, 2),
                **errors,
                "f1_target_corrupted": round(corrupted, 4),
            }
        )
        if method == "kdect":
            reductions = [1 - value / 100 for value in (whole, *each)]
    write_rows("robust_comparison", table)
    print(
        json.dumps(
            {
                "claim": f"share by which KDE-CT's mCE is below plain training's, {count} folds pooled",
                "ratio": round(reductions[0], 3),
                "goal": GOAL,
                "spread": [round(min(reductions[1:]), 3), round(max(reductions[1:]), 3)],
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )


if __name__ == "__main__":
    main()
