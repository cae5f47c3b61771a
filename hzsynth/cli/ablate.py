"""hzsynth ablate: ratios x seeds x generators, and what follows from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, open_set
from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError

if TYPE_CHECKING:
    from hzsynth.ablate.design import AblateConfig
    from hzsynth.core.image_set import ImageSet

app = group("The ablation over ratios, with honest statistics.")

Ratios = Annotated[
    str | None, typer.Option(help="Comma-separated synthetic images per real one, such as 0,1,4.")
]
Seeds = Annotated[int | None, typer.Option(help="Runs of every arm: 5 to screen, 10 to report.")]
Generators = Annotated[
    list[str] | None,
    typer.Option("--generator", metavar="NAME=SET", help="A synthetic set; may be repeated."),
]
Label = Annotated[str | None, typer.Option(help="Target class.")]
Model = Annotated[str | None, typer.Option(help="The classifier of every arm.")]
Steps = Annotated[int | None, typer.Option(help="Optimiser steps of every classifier.")]
Size = Annotated[int | None, typer.Option(help="Side of the classifier's input in pixels.")]


def _synthetic(generators: list[str] | None) -> "dict[str, ImageSet]":
    """NAME=SET pairs as opened sets; the name may be left out and is then the folder's."""
    sets = {}
    for text in generators or []:
        name, _, path = text.rpartition("=")
        name = name or Path(path).name
        if name in sets:
            raise InputError(f"--generator '{name}' is given twice; name each set NAME=SET")
        sets[name] = open_set(Path(path))
    return sets


def _config(
    session: Session,
    label: str | None,
    ratios: str | None,
    seeds: int | None,
    model: str | None,
    steps: int | None,
    size: int | None,
) -> "AblateConfig":
    from hzsynth.ablate.design import AblateConfig

    try:
        numbers = tuple(float(r) for r in ratios.split(",")) if ratios else None
    except ValueError:
        raise InputError(f"--ratios is numbers and commas such as 0,1,4, not '{ratios}'") from None
    classifier = {"model": model, "steps": steps, "size": size}
    given = {key: value for key, value in classifier.items() if value is not None}
    return session.resolve(
        AblateConfig, label=label, ratios=numbers, seeds=seeds, size=size, classifier=given or None
    )


@command(app, "plan")
def plan(
    session: Session,
    images: SetPath,
    label: Label = None,
    ratios: Ratios = None,
    seeds: Seeds = None,
    generator: Generators = None,
    model: Model = None,
    steps: Steps = None,
    size: Size = None,
) -> None:
    """Lists the cells and the power of the test set; trains nothing."""
    from hzsynth.ablate import design

    config = _config(session, label, ratios, seeds, model, steps, size)
    photographs = open_set(images)
    cells = design.plan(config, photographs, _synthetic(generator))
    if session.json:
        session.show({"cells": [cell.name for cell in cells]})
    elif not session.quiet:
        print(design.plan_text(config, photographs, cells))


@command(app, "run")
def run(
    session: Session,
    images: SetPath,
    label: Label = None,
    ratios: Ratios = None,
    seeds: Seeds = None,
    generator: Generators = None,
    model: Model = None,
    steps: Steps = None,
    size: Size = None,
) -> None:
    """Trains every arm with every seed; the same command resumes after the last whole cell."""
    from hzsynth.stages.ablate import ablate

    config = _config(session, label, ratios, seeds, model, steps, size)
    done = ablate(
        open_set(images),
        _synthetic(generator),
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    session.show(
        {"run": str(done.run.path), "report": str(done.page), **done.run.result}, "ablate run"
    )


@command(app, "report")
def report(session: Session, run_path: RunPath) -> None:
    """Writes tables (CSV, LaTeX), figures, the verdict and report.html of a finished ablation."""
    from hzsynth.core.run import RunDir
    from hzsynth.stages.ablate import report_ablation

    done = report_ablation(RunDir.load(run_path, "ablate"), session.out)
    session.show({"report": str(done.page), **done.result.analysis.summary()}, "ablate report")
