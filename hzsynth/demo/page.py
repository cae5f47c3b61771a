"""The demo's report: what went in, what came out, and what it means, on one page."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hzsynth.ablate.report import add_ablation
from hzsynth.ablate.runner import AblationResult
from hzsynth.augment.strategies import recorded_augmenter
from hzsynth.classify.train.variation import Variation
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.report.contact_sheet import comparison_rows, contact_sheet
from hzsynth.report.page import HtmlPage
from hzsynth.report.plots import Curve, class_counts_plot, confusion_matrix_plot, learning_curves

_SHOWN = 8
_SHOWN_PIXELS = 128


@dataclass(frozen=True)
class Findings:
    """What the walk found, stage by stage.

    Attributes:
        label: the target class.
        split: the deduplicated, split photographs.
        korean: normal skin of the other cohort.
        duplicates: the report of dedup.
        gan: the generator's run.
        generated: its images.
        cyclegan: the translation's run.
        translated: its images, each a training photograph on the other skin.
        scores: question -> scores and sentences.
        mixtures: ratio -> training set.
        kdect: the run of teachers and student.
        evaluation: the student on the real test photographs.
        ablation: arms x seeds, statistics and verdict.
        seconds: stage -> wall-clock seconds.
        hardware: where it was measured.
    """

    label: str
    split: ImageSet
    korean: ImageSet
    duplicates: Mapping[str, Any]
    gan: RunDir
    generated: ImageSet
    cyclegan: RunDir
    translated: ImageSet
    scores: Mapping[str, Any]
    mixtures: Mapping[float, ImageSet]
    kdect: RunDir
    evaluation: Mapping[str, Any]
    ablation: AblationResult
    seconds: Mapping[str, float]
    hardware: str


def _some(images: ImageSet, count: int = _SHOWN) -> ImageSet:
    """Evenly spaced images of a set."""
    places = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    return images.replace_records([images.records[i] for i in places])


def _pixels(images: ImageSet, size: int = _SHOWN_PIXELS) -> torch.Tensor:
    return load_pixels(images, size)


def side_by_side(findings: Findings) -> NDArray[np.uint8]:
    """Real, generated and translated zoster, one row each; the translated are the real ones."""
    real = _some(findings.split.select(split="train", label=findings.label))
    by_sha = {record.parents[0]: record for record in findings.translated}
    translated = findings.translated.replace_records(
        [by_sha[record.sha256] for record in real if record.sha256 in by_sha]
    )
    return comparison_rows(
        {
            "photographs of the training split": _pixels(real),
            "generated": _pixels(_some(findings.generated)),
            "the photographs above, translated to the Korean cohort": _pixels(translated),
            "normal skin of the Korean cohort": _pixels(_some(findings.korean)),
        },
        columns=_SHOWN,
    )


def write_report(findings: Findings, path: Path) -> None:
    """Writes the page.

    Args:
        findings: what the walk found.
        path: the HTML file.

    Raises:
        InputError: it cannot be written.
    """
    n_test = len(findings.split.select(split="test", label=findings.label))
    page = HtmlPage(
        "hzsynth demo: do synthetic images help?",
        f"Phantom photographs, target class {findings.label}, {n_test} target images in the test "
        f"split; {findings.hardware}",
        footer=(
            "Drawn by a program, not by patients: the figures show that the path works and say "
            "nothing about medicine. For research only; not a medical device."
        ),
    )
    _pictures(page, findings)
    _photographs(page, findings)
    _generator(page, findings)
    _translation(page, findings)
    _classifier(page, findings)
    add_ablation(page, findings.ablation)
    _costs(page, findings)
    page.write(path)


def _pictures(page: HtmlPage, findings: Findings) -> None:
    section = page.section("Real, generated, translated")
    section.figure(
        side_by_side(findings),
        caption=(
            f"Top to bottom: real training photographs, images of the generator trained on "
            f"{findings.gan.result['training_images']} of them, the same photographs mapped to the "
            "Korean cohort, and that cohort's normal skin."
        ),
        alt="Four rows of skin pictures: real, generated, translated, and the target skin.",
    )


def _photographs(page: HtmlPage, findings: Findings) -> None:
    split, found = findings.split, findings.duplicates
    section = page.section("Photographs", "Imported, freed of near-duplicates, split by patient.")
    counts = {
        label: {part: len(split.select(part, label)) for part in ("train", "val", "test")}
        for label in split.labels
    }
    section.figure(
        class_counts_plot(counts, title="Photographs per class and split"),
        caption=f"{len(split)} distinct photographs of "
        f"{len({r.group for r in split if r.group})} patients; no patient is in two splits.",
        alt="Bars of the number of photographs of each class in train, validation and test.",
    )
    section.items(
        {
            "files": found["files"],
            "distinct photographs": found["distinct"],
            "label conflicts among duplicates": len(found["label_conflicts"]),
        }
    )


def _learning(run: RunDir, names: Mapping[str, str], x: str, scale: float = 1.0) -> list[Curve]:
    """Curves of a run's metrics, thinned to 200 points by averaging neighbours."""
    curves = []
    for key, title in names.items():
        lines = [m for m in run.metrics() if key in m and x in m]
        if not lines:
            continue
        parts = np.array_split(np.arange(len(lines)), min(200, len(lines)))
        at = [float(np.mean([lines[i][x] for i in part])) * scale for part in parts]
        values = [float(np.mean([lines[i][key] for i in part])) for part in parts]
        curves.append(Curve(title, at, values))
    return curves


def _generator(page: HtmlPage, findings: Findings) -> None:
    result, scores = findings.gan.result, findings.scores["generated"]
    section = page.section(
        "Generator",
        f"{result['steps']} steps in {result['seconds'] / 60:.1f} minutes on "
        f"{result['training_images']} photographs of the train split.",
    )
    curves = _learning(
        findings.gan, {"loss_discriminator": "discriminator", "loss_generator": "generator"}, "step"
    )
    if curves:
        section.figure(
            learning_curves(curves, title="Losses of the generator's training"),
            caption="Hinge losses of discriminator and generator; they balance, they do not fall.",
            alt="Two curves of losses over the training steps.",
        )
    for sentence in scores["sentences"]:
        section.text(sentence)
    pairs = scores["memorisation"]["closest"] if scores["memorisation"] else []
    if pairs:
        section.figure(
            _closest(findings, pairs),
            caption="Generated images (above) and the training photograph nearest to each (below), "
            "the closest pairs first, over them the distance of their features.",
            alt="Pairs of a generated image and its nearest training photograph.",
        )


def _closest(findings: Findings, pairs: list[Mapping[str, Any]]) -> NDArray[np.uint8]:
    zoster = findings.split.select(label=findings.label)
    seen = [r for r in zoster if r.split not in ("val", "test")]
    shown = pairs[:_SHOWN]
    fakes = findings.generated.replace_records(
        [findings.generated.records[p["fake"]] for p in shown]
    )
    train = zoster.replace_records([seen[p["train"]] for p in shown])
    return comparison_rows(
        {"generated": _pixels(fakes), "nearest training photograph": _pixels(train)},
        columns=_SHOWN,
        captions=[f"{p['distance']:.2f}" for p in shown],
    )


def _translation(page: HtmlPage, findings: Findings) -> None:
    result = findings.cyclegan.result
    section = page.section(
        "Translation to the Korean cohort",
        f"CycleGAN, {result['steps']} steps, lesions hidden from the discriminator.",
    )
    for question in findings.scores:
        if "tone" in question:
            section.heading(question)
            for sentence in findings.scores[question]["sentences"]:
                section.text(sentence)
    sheets = sorted((findings.cyclegan.path / "samples").glob("*.png"))
    if sheets:
        section.figure(
            sheets[-1],
            caption="The last sample sheet of the training.",
            alt="Source, translated and reconstructed pictures.",
        )


def _classifier(page: HtmlPage, findings: Findings) -> None:
    evaluation, result = findings.evaluation, findings.kdect.result
    section = page.section(
        "KDE-CT on the mixture",
        f"Teachers, weak to strong on validation: {', '.join(result['weak_to_strong'])}. Student: "
        f"{findings.kdect.config['student']}. Evaluated on {evaluation['n']} real test photographs.",
    )
    section.figure(
        confusion_matrix_plot(
            evaluation["confusion"], evaluation["labels"], title="Student on the real test split"
        ),
        caption=f"n = {evaluation['n']}; every row adds up to the photographs of that class.",
        alt="Confusion matrix of the student on real test photographs.",
        narrow=True,
    )
    curves = _learning(
        findings.kdect,
        {"loss": "training loss", "validation_macro_f1": "macro F1 on validation"},
        "step",
    )
    if curves:
        section.figure(
            learning_curves(curves, title="Student along the curriculum", y_label="value"),
            caption="Loss of the student, and its validation score, over the stages.",
            alt="Learning curves of the student.",
            narrow=True,
        )
    section.table(
        pd.DataFrame(
            [
                {
                    "metric": name.replace("_", " "),
                    "value": m["value"],
                    "low": m["low"],
                    "high": m["high"],
                    "interval": m["method"],
                }
                for name, m in evaluation["metrics"].items()
            ]
        ),
        caption=f"Real test photographs, n = {evaluation['n']}; 95 % intervals.",
    )
    section.table(
        pd.DataFrame(evaluation["levels"]),
        caption="Against the recommended levels.",
    )


def _costs(page: HtmlPage, findings: Findings) -> None:
    section = page.section("What it cost")
    rows = [{"stage": stage, "seconds": round(value)} for stage, value in findings.seconds.items()]
    rows.append({"stage": "all", "seconds": round(sum(findings.seconds.values()))})
    section.table(pd.DataFrame(rows), caption=findings.hardware)
    origins = {
        f"ratio {ratio:g}": dict(Counter(r.origin for r in mixture.select("train", findings.label)))
        for ratio, mixture in findings.mixtures.items()
    }
    section.table(
        pd.DataFrame(origins).fillna(0).astype(int).T.rename_axis("mixture").reset_index(),
        caption=f"Training images of {findings.label} in each mixture, by origin.",
    )
    example = next(iter(findings.mixtures.values()))
    pixels = _pixels(_some(example.select("train", findings.label), 16), 96)
    varied = Variation(recorded_augmenter(example.records), seed=0)(pixels, 0)
    section.figure(
        contact_sheet(varied, 8),
        caption="What a training sees of each image: another variation every time, in every class.",
        alt="Sixteen varied images.",
    )
