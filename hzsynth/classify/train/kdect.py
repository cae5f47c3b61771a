"""KDE-CT: knowledge distillation from an ensemble via curriculum training.

Back et al. 2021, IEEE Access 9, DOI 10.1109/ACCESS.2021.3054403, as re-implemented from the
published description: fine-tune every teacher, order them by their validation score, and
teach a small student by a growing ensemble while the corruption of its input ramps up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from torch import nn

from hzsynth.classify.models import create_network, load_classifier, normalisation
from hzsynth.classify.train.batches import class_weights, make_batches, share_of
from hzsynth.classify.train.classifier import RUN_KIND as TEACHER_KIND
from hzsynth.classify.train.classifier import ClassifyConfig, save_fitted, train_on
from hzsynth.classify.train.distillation import (
    InputNoise,
    Strength,
    StudentLoss,
    Teacher,
    TeacherAnswers,
    TeacherOrder,
    TeacherView,
    curriculum,
)
from hzsynth.classify.train.finetuning import LinearProbe, Phase, linear_steps
from hzsynth.classify.train.fitting import Fitted, Fitting, FittingConfig, rank, refuse_fp16
from hzsynth.classify.train.loading import TrainingData, load_training_data
from hzsynth.classify.train.starting import learned_before
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.nets.architectures import ENSEMBLES

RUN_KIND = "kdect"
TEACHERS = "teachers"
_WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")


class KdectConfig(FittingConfig):
    """How the ensemble and the student are trained."""

    teachers: tuple[str, ...] = Field(
        ("efficientnet-lite0", "efficientnet-lite1"),
        min_length=1,
        description="models, ensemble-m or -e",
    )
    student: str = Field("efficientnet-lite0", description="the distilled model")
    teacher_pretrained: str = Field(
        "imagenet",
        description="imagenet (lite; others once fetched), none, or a folder with MODEL.safetensors",
    )
    pretrained: str = Field(
        "imagenet", description="student: imagenet, none, a weights file or a run"
    )
    teacher_steps: int = Field(200, ge=1, description="optimiser steps of each teacher")
    stage_steps: int = Field(100, ge=1, description="optimiser steps of each student's stage")
    temperature: float = Field(4.0, ge=1, description="T of the distillation")
    alpha: float = Field(0.7, ge=0, le=1, description="share of the teachers in the loss")
    teacher_order: TeacherOrder = Field(
        "weak-to-strong", description="weak-to-strong, strong-to-weak or all-at-once"
    )
    input_noise: InputNoise = Field("ramp", description="none, ramp or constant")
    noise_strength: float = Field(1.0, ge=0, le=1, description="strongest corruption")
    teacher_view: TeacherView = Field(
        "clean", description="whether the teachers see the clean or the student's noisy view"
    )

    @field_validator("teachers")
    @classmethod
    def _distinct(cls, teachers: tuple[str, ...]) -> tuple[str, ...]:
        teachers = tuple(name for given in teachers for name in ENSEMBLES.get(given, (given,)))
        if len(set(teachers)) < len(teachers):
            raise ValueError("every teacher is named once")
        return teachers


@dataclass(frozen=True)
class KdectResult:
    """What KDE-CT came to.

    Attributes:
        run: holds the student's ``model.safetensors`` and the teachers' runs.
        weak_to_strong: the teachers, the weakest on validation first.
        teachers: validation scores by teacher.
        stages: the teachers of every stage of the curriculum.
        best_step: of the student, over all its stages.
        steps: that the student made.
        validation: scores of the student.
        teacher_seconds: training time of all teachers.
        seconds: training time of the student.
    """

    run: RunDir
    weak_to_strong: tuple[str, ...]
    teachers: dict[str, dict[str, float]]
    stages: tuple[tuple[str, ...], ...]
    best_step: int
    steps: int
    validation: dict[str, float]
    teacher_seconds: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "weak_to_strong": list(self.weak_to_strong),
            "teachers": self.teachers,
            "stages": [list(stage) for stage in self.stages],
            "best_step": self.best_step,
            "steps": self.steps,
            "validation": self.validation,
            "teacher_seconds": round(self.teacher_seconds, 2),
            "seconds": round(self.seconds, 2),
        }


def train_kdect(
    images: ImageSet,
    config: KdectConfig,
    run: RunDir,
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
    processes: Processes = ALONE,
) -> KdectResult:
    """Trains the teachers and the student, or goes on where the run left off.

    Args:
        images: a set with a split column.
        config: the settings.
        run: of kind ``kdect``; the teachers' runs lie in its folder ``teachers``.
        compute: where, in fp32 or bf16.
        progress: shows the work.
        processes: that train together, each with its share of every batch; the main one writes.

    Returns:
        The result; the same is stored as the run's.

    Raises:
        InputError: the set has no splits or the settings do not fit it; weights are missing.
        RefusedError: a training image touches a validation or test photograph.
        TrainingDivergedError: a loss is no longer a number.
    """
    refuse_fp16(compute)
    data = load_training_data(images, config.size, config.label)
    # Built before the teachers are trained: a wrong name or missing weights fail at once.
    student = create_network(
        config.student,
        classes=len(data.labels),
        pretrained=config.pretrained,
        seed=config.seed,
        purpose="student",
    )
    settings = [_teacher_config(config, name) for name in config.teachers]
    for setting in settings:
        create_network(
            setting.model, classes=len(data.labels), pretrained=setting.pretrained, seed=0
        )
    before = learned_before(config.pretrained, data)
    if processes.is_main:
        run.record_training((*data.records, *before))
    runs = {
        setting.model: _trained_teacher(data, setting, run, compute, progress, processes)
        for setting in settings
    }
    scores = {name: dict(teacher.result["validation"]) for name, teacher in runs.items()}
    weak_to_strong = order_teachers(scores)
    stages = curriculum(weak_to_strong, config.teacher_order)
    teachers = [_loaded(name, teacher, compute) for name, teacher in runs.items()]
    fitted = _taught(student, teachers, stages, data, config, run, compute, progress, processes)
    result = KdectResult(
        run=run,
        weak_to_strong=weak_to_strong,
        teachers=scores,
        stages=stages,
        best_step=fitted.best_step,
        steps=fitted.steps,
        validation=fitted.validation,
        teacher_seconds=sum(teacher.result["seconds"] for teacher in runs.values()),
        seconds=fitted.seconds,
    )
    if processes.is_main:
        save_fitted(fitted, config.student, data, config, run)
        run.finish(result.to_json())
    processes.wait()
    return result


def order_teachers(scores: dict[str, dict[str, float]]) -> tuple[str, ...]:
    """The teachers from weak to strong on validation (see `fitting.rank`)."""
    return tuple(sorted(scores, key=lambda name: rank(scores[name])))


def _teacher_config(config: KdectConfig, name: str) -> ClassifyConfig:
    shared = {key: getattr(config, key) for key in FittingConfig.model_fields}
    pretrained = _teacher_weights(config.teacher_pretrained, name)
    return ClassifyConfig(
        **shared,
        model=name,
        pretrained=pretrained,
        # A body without pretrained weights has no features that a head could probe.
        finetune="full" if pretrained == "none" else "lp-ft",
        # Blended with the same probed features teachers would differ less, and teach less together.
        blend=1.0,
        steps=config.teacher_steps,
    )


def _teacher_weights(source: str, name: str) -> str:
    if source in ("imagenet", "none"):
        return source
    files = [Path(source) / f"{name}{suffix}" for suffix in _WEIGHTS_SUFFIXES]
    found = [file for file in files if file.is_file()]
    if not found:
        raise InputError(
            f"--teacher-pretrained is imagenet, none or a folder that holds '{files[0].name}' "
            f"(or .pth, .pt), which '{source}' does not"
        )
    return str(found[0])


def _trained_teacher(
    data: TrainingData,
    config: ClassifyConfig,
    parent: RunDir,
    compute: Compute,
    progress: Progress,
    processes: Processes,
) -> RunDir:
    """The finished run of one teacher; trained only when this KDE-CT run has not done so."""
    name = f"{TEACHERS}/{config.model}"
    with parent.child(name, TEACHER_KIND, config, parent.inputs, processes) as run:
        if not run.finished:
            train_on(
                data,
                config,
                run,
                compute=compute,
                progress=progress,
                processes=processes,
                description=f"training the teacher {config.model}",
            )
    return run


def _loaded(name: str, run: RunDir, compute: Compute) -> Teacher:
    classifier = load_classifier(run)
    network = classifier.network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return Teacher(name, network.requires_grad_(False), (classifier.mean, classifier.std))


def _taught(
    student: nn.Module,
    teachers: Sequence[Teacher],
    stages: Sequence[Sequence[str]],
    data: TrainingData,
    config: KdectConfig,
    run: RunDir,
    compute: Compute,
    progress: Progress,
    processes: Processes,
) -> Fitted:
    student = student.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    phases = student_phases(student, teachers, stages, data, config, compute, processes)
    fitting = Fitting(
        student,
        phases,
        data,
        config,
        run,
        normalisation=normalisation(config.student),
        freeze_statistics=config.pretrained != "none",
        # The student is chosen among those that the whole ensemble has taught.
        candidates_from=sum(phase.steps for phase in phases[:-1]),
        compute=compute,
        processes=processes,
    )
    return fitting.to_the_end(progress, "training the student")


def student_phases(
    student: nn.Module,
    teachers: Sequence[Teacher],
    stages: Sequence[Sequence[str]],
    data: TrainingData,
    config: KdectConfig,
    compute: Compute,
    processes: Processes = ALONE,
) -> list[Phase]:
    """The phases of the curriculum; a pretrained student's first one begins by linear probing.

    Every teacher order makes the same number of steps in total, so that they can be compared.
    """
    scale = normalisation(config.student)
    targets = data.train.targets
    balanced = config.class_weights == "balanced"
    weights = class_weights(targets, len(data.labels), balanced)
    batches = make_batches(data, config)
    share = share_of(batches, config.batch, processes)
    answers = TeacherAnswers(
        teachers,
        data.train.pixels,
        mirrored=config.augment != "none",
        view=config.teacher_view,
        compute=compute,
        processes=processes,
    )
    total = config.stage_steps * (len(teachers) + 1)
    strength = Strength(total, config.input_noise, config.noise_strength)
    probing = 0
    if config.pretrained != "none":
        probing = linear_steps("lp-ft", config.stage_steps, config.linear_share)
    probe_weights = class_weights(targets, len(data.labels), balanced or config.balanced_sampler)
    probe = LinearProbe(student, batches.once, data.train.learned, probe_weights, scale, compute)
    rate, head_rate = config.learning_rate, config.head_learning_rate
    phases = [Phase("linear probing", probing, False, 0.0, head_rate, probe)]
    for names in stages:
        first = not names
        each = (total - config.stage_steps) // (len(stages) - 1)
        steps = config.stage_steps - probing if first else each
        loss = StudentLoss(
            student,
            names,
            answers,
            share,
            strength,
            alpha=config.alpha,
            temperature=config.temperature,
            weights=weights,
            normalisation=scale,
            seed=processes.seed(config.seed),
            compute=compute,
        )
        title = " + ".join(names) or "cross-entropy"
        own_head_rate = head_rate if first and not probing else rate
        phases.append(Phase(title, steps, True, rate, own_head_rate, loss))
    return phases
