"""The whole path on the phantom: photographs in, verdict out.

Every stage is the function that its command calls, at a small size. What is finished is
not done again: a demo that was interrupted goes on where it stopped.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from hzsynth.ablate.design import AblateConfig
from hzsynth.ablate.runner import run_ablation
from hzsynth.augment.build import BuildConfig, build_dataset
from hzsynth.classify.evaluation import evaluate
from hzsynth.classify.kdect import KdectConfig, train_kdect
from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.training import CycleGanConfig, train_cyclegan
from hzsynth.cyclegan.translation import translate
from hzsynth.data.duplicates import deduplicate
from hzsynth.data.sources.phantom import PhantomConfig, import_phantom
from hzsynth.data.splits import split_images
from hzsynth.demo.page import write_report
from hzsynth.demo.scale import FAST, FULL, Scale
from hzsynth.gan.config import GanConfig
from hzsynth.gan.sampling import generate
from hzsynth.gan.training import train_gan
from hzsynth.score.scoring import ScoreConfig, score_images

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
    "08-translated",
    "09-scores",
    "10-mixtures",
    "11-kdect",
    "12-evaluation",
    "13-ablation",
)


class DemoConfig(Config):
    """Settings of the demo."""

    fast: bool = Field(False, description="everything at its smallest, for a check of the path")
    seed: int = Field(0, ge=0, description="root of all random draws")

    @property
    def scale(self) -> Scale:
        """The sizes of every stage."""
        return FAST if self.fast else FULL


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
        path = self.path(name)
        if not (path / "finished.json").is_file():
            run = RunDir.start(path, kind, config, inputs)
            try:
                train(run)
            finally:
                run.close()
        return RunDir.load(path, kind)


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
        atomic_write_text(report_file, json.dumps(report.to_json(), indent=2))
        return images

    unique = walk.image_set("02-distinct", distinct)
    split = walk.image_set("03-split", lambda out: split_images(unique, out, seed=seed))
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
        minutes=scale.gan_minutes,
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


def _translated(walk: Walk, split: ImageSet, korean: ImageSet) -> tuple[RunDir, ImageSet]:
    scale = walk.scale
    config = CycleGanConfig(
        resolution=scale.translation_resolution,
        minutes=scale.translation_minutes,
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
    images = walk.image_set(
        "08-translated",
        lambda out: translate(run, source, out, compute=walk.compute, progress=walk.progress),
    )
    return run, images


def _scores(
    walk: Walk, split: ImageSet, korean: ImageSet, generated: ImageSet, translated: ImageSet
) -> dict[str, Any]:
    """Generated zoster against all real zoster; translated zoster against Korean skin."""
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
        report = score_images(
            real, fake, config, compute=walk.compute, progress=walk.progress
        )
        results[name] = {**report.to_json(), "sentences": report.sentences()}
    path = walk.path("09-scores") / "scores.json"
    atomic_write_text(path, json.dumps(results, indent=2, ensure_ascii=False))
    return results


def _mixtures(walk: Walk, split: ImageSet, generated: ImageSet) -> dict[float, ImageSet]:
    """One training set a ratio."""
    return {
        ratio: walk.image_set(
            f"10-mixtures/ratio-{ratio:g}",
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

    run = walk.trained("11-kdect", "kdect", config, {"images": mixture.digest}, train)
    evaluation = evaluate(
        run, mixture, split="test", compute=walk.compute, seed=walk.config.seed
    )
    evaluation.save(walk.path("12-evaluation"))
    return run, evaluation.to_json()
