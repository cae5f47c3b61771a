"""hzsynth classify: train, distil (KDE-CT), evaluate on real photographs, predict."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli import classify_evaluate, classify_export
from hzsynth.cli.arguments import SetPath, open_set
from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError

app = group("Classifiers: fine-tuning, KDE-CT, evaluation on real photographs.")
classify_evaluate.register(app)
classify_export.register(app)


@command(app, "train")
def train(
    session: Session,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Target class.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A timm model or efficientnet-lite0/1/2.")
    ] = None,
    finetune: Annotated[
        str | None,
        typer.Option(
            help="lp-ft, full, linear, gradual-last-first, gradual-first-last, l1-sp, l2-sp, auto-rgn."
        ),
    ] = None,
    robust: Annotated[
        str | None, typer.Option(help="none, gnt, gnt-mult, ant, augmix or pixmix.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option(help="Within a batch: none, mixup, cutmix or both.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="cross-entropy or focal.")] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(help="imagenet (lite; others once fetched), none, a file or a RUN."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the input in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    go_on: Annotated[
        Path | None,
        typer.Option("--continue", metavar="RUN", help="Go on from this classifier with SET."),
    ] = None,
    old: Annotated[
        Path | None, typer.Option(metavar="SET", help="With --continue: what RUN was trained on.")
    ] = None,
    protect: Annotated[
        str | None, typer.Option(help="With --continue: replay, l2-sp, ewc or none.")
    ] = None,
) -> None:
    """Fine-tunes one classifier; the checkpoint is chosen on validation."""
    from hzsynth.classify.train.config import ClassifyConfig
    from hzsynth.stages.classify import train_classifier

    if go_on is not None:
        given: dict[str, object] = {
            "--label": label,
            "--model": model,
            "--finetune": finetune,
            "--robust": robust,
            "--mix": mix,
            "--loss": loss,
            "--pretrained": pretrained,
            "--size": size,
        }
        wrong = [name for name, value in given.items() if value is not None]
        if wrong:
            raise InputError(f"{wrong[0]} does not go with --continue: the classifier has its own")
        _continue(session, go_on, images, old, protect, steps, batch)
        return
    if old is not None or protect is not None:
        raise InputError("--old and --protect need --continue RUN")
    config = session.resolve(
        ClassifyConfig,
        label=label,
        model=model,
        finetune=finetune,
        robust=robust,
        mix=mix,
        loss=loss,
        pretrained=pretrained,
        size=size,
        steps=steps,
        batch=batch,
    )
    run = train_classifier(
        open_set(images),
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    session.show({"run": str(run.path), **run.result}, "classify train")


def _continue(
    session: Session,
    started: Path,
    images: Path,
    old: Path | None,
    protect: str | None,
    steps: int | None,
    batch: int | None,
) -> None:
    """Goes on with a new set; shows what it did to the old one."""
    from hzsynth.classify.train.config import ContinueConfig
    from hzsynth.core.run import RunDir
    from hzsynth.stages.classify import continue_classifier

    config = session.resolve(ContinueConfig, protect=protect, steps=steps, batch=batch)
    run = continue_classifier(
        RunDir.load(started),
        open_set(images),
        None if old is None else open_set(old),
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    result = run.result
    shown: dict[str, object] = {"run": str(run.path), **result}
    if not session.json:
        for when in ("before", "after"):
            shown[when] = {
                name: {
                    key: f"{m['value']:.3f} ({m['low']:.3f} to {m['high']:.3f})"
                    for key, m in metrics.items()
                    if key in ("accuracy", "macro_f1", "f1_target", "recall_target")
                }
                for name, metrics in result[when].items()
            }
    session.show(shown, "classify train --continue")


@command(app, "kdect")
def kdect(
    session: Session,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Target class.")] = None,
    teachers: Annotated[
        str | None, typer.Option(help="Comma-separated models of the ensemble.")
    ] = None,
    student: Annotated[str | None, typer.Option(help="The distilled model.")] = None,
    teacher_pretrained: Annotated[
        str | None, typer.Option(help="imagenet (lite; others once fetched), none, or a folder.")
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="The same for the student.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the input in pixels.")] = None,
    teacher_steps: Annotated[int | None, typer.Option(help="Steps of each teacher.")] = None,
    stage_steps: Annotated[int | None, typer.Option(help="Steps of each curriculum stage.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
) -> None:
    """KDE-CT: fine-tunes the teachers, then distils their ensemble along a curriculum.

    The result is evaluated on the set's real test photographs.
    """
    from hzsynth.classify.train.config import KdectConfig
    from hzsynth.stages.classify import TEST, evaluate, train_kdect

    config = session.resolve(
        KdectConfig,
        label=label,
        teachers=teachers.split(",") if teachers else None,
        student=student,
        teacher_pretrained=teacher_pretrained,
        pretrained=pretrained,
        size=size,
        teacher_steps=teacher_steps,
        stage_steps=stage_steps,
        batch=batch,
    )
    photographs = open_set(images)
    run = train_kdect(
        photographs,
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    if not session.processes.is_main:
        return
    evaluated = evaluate(run, photographs, seed=session.root_seed, compute=session.compute)
    page = evaluated.write(run.path / TEST)
    result: dict[str, object] = {"run": str(run.path), **run.result}
    result |= evaluated.to_json() if session.json else {"page": str(page), **evaluated.short()}
    session.show(result, "classify kdect")


@command(app, "predict")
def predict_files(
    session: Session,
    model: Annotated[
        Path, typer.Argument(metavar="RUN|ONNX", help="A run, an export or its ONNX file.")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photographs.")],
) -> None:
    """Class probabilities of single photographs. Research use only, not a diagnosis."""
    from hzsynth.classify.single_photographs import exported_file
    from hzsynth.core.files import atomic_write_text

    exported = exported_file(model)
    if exported is not None:
        from hzsynth.classify.deploy.onnx_classifier import predict_onnx

        answers = predict_onnx(exported, files, progress=session.progress)
    else:
        from hzsynth.classify.deploy.prediction import predict
        from hzsynth.core.run import RunDir

        answers = predict(
            RunDir.load(model), files, compute=session.compute, progress=session.progress
        )
    if session.out is not None:
        atomic_write_text(session.out, answers.to_frame().to_csv(index=False))
    session.show(
        {"predictions": answers.to_frame().to_dict("records")}
        if session.json
        else dict(answers.sentences())
    )
