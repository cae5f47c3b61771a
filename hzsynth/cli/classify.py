"""hzsynth classify: train, distil (KDE-CT), evaluate on real photographs, predict."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.classify.train.config import ClassifyConfig, ContinueConfig, KdectConfig
from hzsynth.cli import classify_evaluate, classify_export
from hzsynth.cli.arguments import SetPath, open_set
from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError

_USUAL = (
    *("label", "model", "finetune", "robust", "mix", "loss", "pretrained", "size", "steps"),
    *("batch", "protect"),
)


@command("train", ClassifyConfig, ContinueConfig, usual=_USUAL)
def train(
    session: Session,
    images: SetPath,
    go_on: Annotated[
        Path | None,
        typer.Option("--continue", metavar="RUN", help="Go on from this classifier with SET."),
    ] = None,
    old: Annotated[
        Path | None, typer.Option(metavar="SET", help="With `go_on`: what RUN was trained on.")
    ] = None,
) -> None:
    """Fine-tunes one classifier; the checkpoint is chosen on validation.

    With --continue a trained classifier, which has a network of its own, goes on with new photographs.
    """
    from hzsynth.stages.classify import train_classifier

    if go_on is not None:
        _continue(session, go_on, images, old)
        return
    if old is not None:
        raise InputError("`old` needs `go_on` RUN")
    config = session.resolve(ClassifyConfig, "a classifier that starts anew")
    run = train_classifier(
        open_set(images),
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    session.show({"run": str(run.path), **run.result}, "classify train")


def _continue(session: Session, started: Path, images: Path, old: Path | None) -> None:
    """Goes on with a new set; shows what it did to the old one."""
    from hzsynth.core.run import RunDir
    from hzsynth.stages.classify import continue_classifier

    config = session.resolve(ContinueConfig, "`go_on`")
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


@command(
    "kdect",
    KdectConfig,
    usual=(
        *("label", "teachers", "student", "teacher_pretrained", "pretrained", "size"),
        *("teacher_steps", "stage_steps", "batch"),
    ),
)
def kdect(session: Session, images: SetPath) -> None:
    """KDE-CT: fine-tunes the teachers, then distils their ensemble along a curriculum.

    The result is evaluated on the set's real test photographs.
    """
    from hzsynth.stages.classify import TEST, evaluate, train_kdect

    config, photographs = session.resolve(KdectConfig), open_set(images)
    run = train_kdect(
        photographs,
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    if not session.is_main:
        return
    evaluated = evaluate(run, photographs, seed=session.root_seed, compute=session.compute)
    page = evaluated.write(run.path / TEST)
    result: dict[str, object] = {"run": str(run.path), **run.result}
    result |= evaluated.to_json() if session.json else {"page": str(page), **evaluated.short()}
    session.show(result, "classify kdect")


@command("predict")
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


app = group(
    "Classifiers: fine-tuning, KDE-CT, evaluation on real photographs.",
    train,
    kdect,
    classify_evaluate.evaluate_run,
    classify_evaluate.compare_runs,
    classify_evaluate.measure,
    classify_evaluate.explain_run,
    tools=(predict_files, classify_export.export, classify_export.report),
)
