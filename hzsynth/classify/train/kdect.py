"""KDE-CT: knowledge distillation from an ensemble via curriculum training.

Back et al. 2021, IEEE Access 9, DOI 10.1109/ACCESS.2021.3054403, as re-implemented from the
published description: fine-tune every teacher, order them by their validation score, and
teach a small student by a growing ensemble while the corruption of its input ramps up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hzsynth.classify.models import (
    PixelNetwork,
    create_network,
    load_classifier,
    normalisation,
    placed,
)
from hzsynth.classify.train.batches import class_weights, make_batches, share_of
from hzsynth.classify.train.classifier import make_probe, new_classifier, train_on
from hzsynth.classify.train.config import (
    CLASSIFY_RUN,
    ClassifyConfig,
    FittingConfig,
    KdectConfig,
)
from hzsynth.classify.train.distillation import (
    CorruptedBatches,
    Distillation,
    StudentLosses,
    Teacher,
    TeacherAnswers,
    curriculum,
)
from hzsynth.classify.train.finetuning import Phase, linear_steps
from hzsynth.classify.train.fitting import Fitted, Fitting, refuse_fp16
from hzsynth.classify.train.loading import TrainingData, load_training_data
from hzsynth.classify.train.run_contents import finish_run, record_images
from hzsynth.classify.train.selection import Choice, rank
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir

TEACHERS = "teachers"
_WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")


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

    @classmethod
    def of(
        cls,
        run: RunDir,
        student: Fitted,
        teachers: dict[str, dict[str, float]],
        stages: tuple[tuple[str, ...], ...],
        teacher_seconds: float,
    ) -> "KdectResult":
        """The result of a student and its teachers; see the attributes."""
        return cls(
            run=run,
            weak_to_strong=order_teachers(teachers),
            teachers=teachers,
            stages=stages,
            best_step=student.best_step,
            steps=student.steps,
            validation=student.validation,
            teacher_seconds=teacher_seconds,
            seconds=student.seconds,
        )

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
    settings = _teacher_settings(config, len(data.labels))
    record_images(run, data, config.pretrained, processes)
    runs = _trained_teachers(settings, data, run, compute, progress, processes)
    scores = {name: dict(teacher.result["validation"]) for name, teacher in runs.items()}
    stages = curriculum(order_teachers(scores), config.teacher_order)
    teachers = [_loaded_teacher(name, teacher, compute) for name, teacher in runs.items()]
    network = PixelNetwork(placed(student, compute), normalisation(config.student), compute)
    phases = student_phases(network, teachers, stages, data, config, processes)
    fitted = _fit_student(network, phases, data, config, run, progress, processes)
    seconds = sum(teacher.result["seconds"] for teacher in runs.values())
    result = KdectResult.of(run, fitted, scores, stages, seconds)
    classifier = new_classifier(config.student, fitted.network, data, config)
    finish_run(run, classifier, result.to_json(), processes)
    return result


def order_teachers(scores: dict[str, dict[str, float]]) -> tuple[str, ...]:
    """The teachers from weak to strong on validation (see `selection.rank`)."""
    return tuple(sorted(scores, key=lambda name: rank(scores[name])))


def _teacher_settings(config: KdectConfig, classes: int) -> list[ClassifyConfig]:
    """The settings of every teacher.

    Raises:
        InputError: one of them cannot be built.
    """
    settings = [_teacher_config(config, name) for name in config.teachers]
    for setting in settings:
        create_network(setting.model, classes=classes, pretrained=setting.pretrained, seed=0)
    return settings


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
            f"`teacher_pretrained` is imagenet, none or a folder that holds '{files[0].name}' "
            f"(or .pth, .pt), which '{source}' does not"
        )
    return str(found[0])


def _trained_teachers(
    settings: Sequence[ClassifyConfig],
    data: TrainingData,
    parent: RunDir,
    compute: Compute,
    progress: Progress,
    processes: Processes,
) -> dict[str, RunDir]:
    """The finished run of every teacher; trained only where this KDE-CT run has not done so."""
    runs = {}
    for config in settings:
        name = f"{TEACHERS}/{config.model}"
        with parent.child(name, CLASSIFY_RUN, config, parent.inputs, processes) as run:
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
        runs[config.model] = run
    return runs


def _loaded_teacher(name: str, run: RunDir, compute: Compute) -> Teacher:
    classifier = load_classifier(run)
    placed(classifier.network, compute).requires_grad_(False)
    return Teacher(name, classifier.pixel_network(compute))


def _fit_student(
    network: PixelNetwork,
    phases: Sequence[Phase],
    data: TrainingData,
    config: KdectConfig,
    run: RunDir,
    progress: Progress,
    processes: Processes,
) -> Fitted:
    fitting = Fitting(
        network,
        phases,
        data,
        config,
        run,
        freeze_statistics=config.pretrained != "none",
        # The student is chosen among those that the whole ensemble has taught.
        choice=Choice(after=sum(phase.steps for phase in phases[:-1])),
        processes=processes,
    )
    return fitting.to_the_end(progress, "training the student")


def student_phases(
    student: PixelNetwork,
    teachers: Sequence[Teacher],
    stages: Sequence[Sequence[str]],
    data: TrainingData,
    config: KdectConfig,
    processes: Processes = ALONE,
) -> list[Phase]:
    """The phases of the curriculum; a pretrained student's first one begins by linear probing.

    Every teacher order makes the same number of steps in total, so that they can be compared.
    """
    batches = make_batches(data, config)
    answers = TeacherAnswers(
        teachers,
        data.train.pixels,
        mirrored=config.augment != "none",
        view=config.teacher_view,
        processes=processes,
    )
    total = config.stage_steps * (len(teachers) + 1)
    inputs = CorruptedBatches(
        share_of(batches, config.batch, processes),
        total,
        config.input_noise,
        config.noise_strength,
        processes.seed(config.seed),
    )
    balanced = config.class_weights == "balanced"
    weights = class_weights(data.train.targets_shown, len(data.labels), balanced)
    how = Distillation(config.alpha, config.temperature, weights.to(student.compute.device))
    probing = 0
    if config.pretrained != "none":
        probing = linear_steps("lp-ft", config.stage_steps, config.linear_share)
    rate, head_rate = config.learning_rate, config.head_learning_rate
    probe = make_probe(student, batches, data, config)
    phases = [Phase("linear probing", probing, False, 0.0, head_rate, probe)]
    each = (total - config.stage_steps) // (len(stages) - 1)
    for names in stages:
        first = not names
        title = " + ".join(names) or "cross-entropy"
        steps = config.stage_steps - probing if first else each
        own_head_rate = head_rate if first and not probing else rate
        losses = StudentLosses(student, inputs, names, answers, how)
        phases.append(Phase(title, steps, True, rate, own_head_rate, losses))
    return phases
