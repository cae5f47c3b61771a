"""The whole path on the phantom: photographs in, verdict out.

Every stage is the function that its command calls, at a small size. What is finished is
not done again: a demo that was interrupted goes on where it stopped.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.report import write_ablation_report
from hzsynth.ablate.runner import AblationResult, load_ablation, run_ablation
from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.classify.evaluate.evaluation import evaluate
from hzsynth.classify.train.config import ClassifyConfig, KdectConfig
from hzsynth.classify.train.kdect import train_kdect
from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.training import train_cyclegan
from hzsynth.cyclegan.translation import translate
from hzsynth.data.config import PhantomConfig
from hzsynth.data.duplicates import deduplicate
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.data.splits import split_images
from hzsynth.demo.config import DemoConfig
from hzsynth.demo.page import Findings, write_report
from hzsynth.gan.config import GanConfig
from hzsynth.gan.sampling import generate
from hzsynth.gan.training import train_gan
from hzsynth.score.config import ScoreConfig
from hzsynth.score.scoring import score_images

LABEL = "herpes_zoster"
_STAGES, _TIMES = "stages.json", "stage-seconds.json"
_FOLDERS = (
    "01-photographs",
    "02-distinct",
    "03-split",
    "04-korean-skin",
    "05-gan",
    "06-generated",
    "07-cyclegan",
    "08-translated-photographs",
    "09-translated-generated",
    "10-scores",
    "11-mixtures",
    "12-kdect",
    "13-evaluation",
    "14-ablation",
)


class Walk:
    """What the stages share: where things lie, the settings, and what was found on the way.

    Args:
        config: the demo's settings.
        run: the demo's own run; the stages' folders lie in it.
        compute: where to compute.
        progress: where progress is shown.
        say: receives one line a stage.
    """

    def __init__(
        self,
        config: DemoConfig,
        run: RunDir,
        compute: Compute,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.scale, self.run = config, config.scale, run
        self.compute, self.progress, self._say = compute, progress, say
        self.seconds: dict[str, float] = {}
        self._clear_what_another_run_left()

    def _clear_what_another_run_left(self) -> None:
        mark = self.run.path / _STAGES
        if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == self.run.id:
            times = self.run.path / _TIMES
            if times.is_file():
                self.seconds = json.loads(times.read_text(encoding="utf-8"))
            return
        for name in (*_FOLDERS, _TIMES):
            path = self.run.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        atomic_write_text(mark, json.dumps(self.run.id))

    def path(self, name: str) -> Path:
        """A stage's folder."""
        return self.run.path / name

    def timed(self, title: str, stage: Callable[[], Any]) -> Any:
        """Does one stage, says so, and keeps how long it took over all resumptions."""
        self._say(title)
        start = time.monotonic()
        try:
            return stage()
        finally:
            spent = self.seconds.get(title, 0.0) + time.monotonic() - start
            self.seconds[title] = round(spent, 1)
            atomic_write_text(self.run.path / _TIMES, json.dumps(self.seconds))

    def image_set(self, name: str, make: Callable[[Path], ImageSet]) -> ImageSet:
        """The set of this name, made unless it is there."""
        path = self.path(name)
        return ImageSet.load(path) if path.is_dir() else make(path)

    def trained(
        self,
        name: str,
        kind: str,
        config: Config,
        inputs: Mapping[str, str],
        train: Callable[[RunDir], object],
    ) -> RunDir:
        """The run of this name, trained to its end unless it is finished."""
        with self.run.child(name, kind, config, inputs) as run:
            if not run.finished:
                train(run)
        return run


def _photographs(walk: Walk) -> tuple[ImageSet, ImageSet, dict[str, Any]]:
    """The Western collection, deduplicated and split, and Korean normal skin."""
    scale, seed = walk.scale, walk.config.seed
    config = PhantomConfig(
        seed=seed, size=scale.photograph, patients=scale.patients, duplicates=scale.duplicates
    )
    photographs = walk.image_set(
        "01-photographs", lambda out: import_phantom(config, out, progress=walk.progress)
    )
    report_file = walk.run.path / "duplicates.json"

    def distinct(out: Path) -> ImageSet:
        images, report = deduplicate(photographs, out, progress=walk.progress)
        atomic_write_text(report_file, json.dumps(asdict(report), indent=2))
        return images

    unique = walk.image_set("02-distinct", distinct)
    split = walk.image_set("03-split", lambda out: split_images(unique, out, scale.split, seed))
    korean_config = PhantomConfig(
        seed=seed + 1,
        size=scale.photograph,
        patients={"normal": scale.korean_patients},
        cohorts=("korean",),
    )
    korean = walk.image_set(
        "04-korean-skin", lambda out: import_phantom(korean_config, out, progress=walk.progress)
    )
    return split, korean, json.loads(report_file.read_text(encoding="utf-8"))


def _generated(walk: Walk, split: ImageSet) -> tuple[RunDir, ImageSet]:
    scale = walk.scale
    config = GanConfig(
        label=LABEL,
        resolution=scale.gan_resolution,
        kimg=scale.gan_kimg,
        bank_views=512,  # some 15 views a photograph; more would take longer than they help here
        seed=walk.config.seed,
    )

    def train(run: RunDir) -> object:
        return train_gan(split, config, run, compute=walk.compute, progress=walk.progress)

    run = walk.trained("05-gan", "gan", config, {"images": split.digest}, train)
    images = walk.image_set(
        "06-generated",
        lambda out: generate(
            run,
            scale.generated,
            out,
            seed=walk.config.seed,
            compute=walk.compute,
            progress=walk.progress,
        ),
    )
    return run, images


def _translated(
    walk: Walk, split: ImageSet, korean: ImageSet, generated: ImageSet
) -> tuple[RunDir, ImageSet, ImageSet]:
    """The translator; the training photographs and the generated images on Korean skin."""
    scale = walk.scale
    config = CycleGanConfig(
        objective="cyclegan",
        resolution=scale.translation_resolution,
        steps=scale.translation_steps,
        preserve="mask",
        seed=walk.config.seed,
    )
    source = split.select(split="train", label=LABEL)
    inputs = {"source": source.digest, "target": korean.digest}

    def train(run: RunDir) -> object:
        return train_cyclegan(
            source, korean, config, run, compute=walk.compute, progress=walk.progress
        )

    run = walk.trained("07-cyclegan", "cyclegan", config, inputs, train)

    def to_korean_skin(name: str, images: ImageSet) -> ImageSet:
        return walk.image_set(
            name,
            lambda out: translate(run, images, out, compute=walk.compute, progress=walk.progress),
        )

    return (
        run,
        to_korean_skin("08-translated-photographs", source),
        to_korean_skin("09-translated-generated", generated),
    )


def _scores(
    walk: Walk, split: ImageSet, korean: ImageSet, generated: ImageSet, translated: ImageSet
) -> dict[str, Any]:
    """Generated zoster against held-out zoster; translated zoster against Korean skin."""
    zoster = split.select(label=LABEL)
    questions = {
        "generated": (zoster, generated, ("kid", "prdc", "tone", "memorisation")),
        "translated, tone against Korean skin": (korean, translated, ("tone",)),
        "photographs, tone against Korean skin": (
            korean,
            zoster.select(split="train"),
            ("tone",),
        ),
    }
    results = {}
    for name, (real, fake, metrics) in questions.items():
        config = ScoreConfig(metrics=metrics, seed=walk.config.seed)
        report = score_images(real, fake, config, compute=walk.compute, progress=walk.progress)
        results[name] = {**report.to_json(), "sentences": report.sentences()}
    path = walk.path("10-scores") / "scores.json"
    atomic_write_text(path, json.dumps(results, indent=2, ensure_ascii=False))
    return results


def _mixtures(walk: Walk, split: ImageSet, generated: ImageSet) -> dict[float, ImageSet]:
    """One training set a ratio."""
    return {
        ratio: walk.image_set(
            f"11-mixtures/ratio-{ratio:g}",
            lambda out, ratio=ratio: build_dataset(  # type: ignore[misc]
                split,
                [generated],
                BuildConfig(label=LABEL, ratio=ratio, seed=walk.config.seed),
                out,
                progress=walk.progress,
            ),
        )
        for ratio in walk.scale.ratios
    }


def _distilled(walk: Walk, mixture: ImageSet) -> tuple[RunDir, dict[str, Any]]:
    """KDE-CT on a mixture, evaluated on the real test photographs."""
    scale = walk.scale
    config = KdectConfig(
        label=LABEL,
        teachers=scale.teachers,
        student=scale.student,
        size=scale.classifier_size,
        teacher_steps=scale.teacher_steps,
        stage_steps=scale.stage_steps,
        seed=walk.config.seed,
    )

    def train(run: RunDir) -> object:
        return train_kdect(mixture, config, run, compute=walk.compute, progress=walk.progress)

    run = walk.trained("12-kdect", "kdect", config, {"images": mixture.digest}, train)
    evaluation = evaluate(run, mixture, split="test", compute=walk.compute, seed=walk.config.seed)
    evaluation.save(walk.path("13-evaluation"))
    return run, evaluation.to_json()


def _ablated(
    walk: Walk, split: ImageSet, generated: ImageSet, translated: ImageSet
) -> AblationResult:
    """Every ratio of both generators, with the controls, several seeds each."""
    scale = walk.scale
    config = AblateConfig(
        label=LABEL,
        ratios=scale.ratios,
        seeds=scale.seeds,
        seed=walk.config.seed,
        size=scale.classifier_size,
        classifier=ClassifyConfig(
            model=scale.student, size=scale.classifier_size, steps=scale.ablation_steps
        ),
    )
    synthetic = {"light": generated, "light+cyclegan": translated}
    inputs = {"real": split.digest, **{n: images.digest for n, images in synthetic.items()}}

    def train(run: RunDir) -> object:
        return run_ablation(
            split, synthetic, config, run, compute=walk.compute, progress=walk.progress
        )

    run = walk.trained("14-ablation", "ablate", config, inputs, train)
    result = load_ablation(run)
    write_ablation_report(run, result)
    return result


def _hardware(compute: Compute) -> str:
    cores = os.cpu_count() or 1
    level = torch.backends.cpu.get_cpu_capability()
    if compute.device.type == "cuda":
        return f"{torch.cuda.get_device_name(compute.device)}, {compute.precision}"
    return f"{cores} CPU cores ({level}), {compute.precision}, torch {torch.__version__}"


def run_demo(
    config: DemoConfig,
    run: RunDir,
    *,
    compute: Compute,
    progress: Progress = SILENT,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Walks the whole path.

    Args:
        config: fast or full, and the seed.
        run: where everything is written; an interrupted demo goes on where it stopped.
        compute: where to compute.
        progress: where progress is shown.
        say: receives one line a stage.

    Returns:
        The report's path, the verdict and the main figures; also stored as the run's result.
    """
    walk = Walk(config, run, compute, progress, say)
    split, korean, duplicates = walk.timed(
        "photographs: import, dedup, split", lambda: _photographs(walk)
    )
    gan, generated = walk.timed("gan train, generate", lambda: _generated(walk, split))
    cyclegan, translated, generated_korean = walk.timed(
        "cyclegan train, translate", lambda: _translated(walk, split, korean, generated)
    )
    scores = walk.timed("score", lambda: _scores(walk, split, korean, generated, translated))
    mixtures = walk.timed("build-dataset", lambda: _mixtures(walk, split, generated))
    kdect, evaluation = walk.timed(
        "classify kdect, evaluate", lambda: _distilled(walk, mixtures[1.0])
    )
    ablation = walk.timed("ablate", lambda: _ablated(walk, split, generated, generated_korean))
    findings = Findings(
        label=LABEL,
        split=split,
        korean=korean,
        duplicates=duplicates,
        gan=gan,
        generated=generated,
        cyclegan=cyclegan,
        translated=translated,
        scores=scores,
        mixtures=mixtures,
        kdect=kdect,
        evaluation=evaluation,
        ablation=ablation,
        seconds=walk.seconds,
        hardware=_hardware(compute),
    )
    report = run.path / "report.html"
    write_report(findings, report)
    result = {
        "report": str(report),
        "verdict": ablation.analysis.verdict.sentence,
        "seconds": round(sum(walk.seconds.values()), 1),
    }
    run.finish(result)
    return result
