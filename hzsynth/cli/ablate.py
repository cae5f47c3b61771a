"""hzsynth ablate: ratios x seeds x generators, and what follows from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.ablate.config import AblateConfig
from hzsynth.cli.arguments import RunPath, SetPath, open_set
from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet

Generators = Annotated[
    list[str] | None,
    typer.Option("--generator", metavar="NAME=SET", help="A synthetic set; may be repeated."),
]
Pilot = Annotated[
    Path | None,
    typer.Option(
        "--pilot",
        metavar="RUN",
        help="A smaller ablation that is finished: by how much its figures varied.",
        show_default="assumed spreads",
    ),
]
_USUAL = ("label", "ratios", "seeds", "model", "steps", "size")
# The training images have the size of the classifier's input; generators are those that are given.
_WITHOUT = ("size", "generators")


def _synthetic(generators: list[str] | None) -> "dict[str, ImageSet]":
    """NAME=SET pairs as opened sets; the name may be left out and is then the folder's."""
    sets = {}
    for text in generators or []:
        name, _, path = text.rpartition("=")
        name = name or Path(path).name
        if name in sets:
            raise InputError(f"`generator` '{name}' is given twice; name each set NAME=SET")
        sets[name] = open_set(Path(path))
    return sets


@command("plan", AblateConfig, usual=_USUAL, without=_WITHOUT)
def plan(
    session: Session, images: SetPath, generator: Generators = None, pilot: Pilot = None
) -> None:
    """Lists the cells and the power of the test set; trains nothing."""
    from hzsynth.ablate import design
    from hzsynth.core.run import RunDir
    from hzsynth.stages.ablate import pilot_spreads

    config, photographs = session.resolve(AblateConfig), open_set(images)
    cells = design.plan(config, photographs, _synthetic(generator))
    spreads = None if pilot is None else pilot_spreads(RunDir.load(pilot, "ablate"), config.label)
    if session.json:
        session.show(design.plan_values(config, photographs, cells, spreads))
    elif not session.quiet:
        print(design.plan_text(config, photographs, cells, spreads))


@command("run", AblateConfig, usual=_USUAL, without=_WITHOUT)
def run(session: Session, images: SetPath, generator: Generators = None) -> None:
    """Trains every arm with every seed; the same command resumes after the last whole cell."""
    from hzsynth.stages.ablate import ablate

    config = session.resolve(AblateConfig)
    done = ablate(
        open_set(images),
        _synthetic(generator),
        config,
        session.place,
        compute=session.compute,
        progress=session.progress,
    )
    shown = {"run": str(done.run.path), "report": str(done.page), **done.run.result}
    session.show(shown, "ablate run")


@command("report")
def report(session: Session, run: RunPath) -> None:
    """Writes tables (CSV, LaTeX), figures, the verdict and report.html of a finished ablation.

    They go into RUN, or into --out.
    """
    from hzsynth.core.run import RunDir
    from hzsynth.stages.ablate import report_ablation

    done = report_ablation(RunDir.load(run, "ablate"), session.out)
    session.show({"report": str(done.page), **done.result.analysis.summary()}, "ablate report")


app = group("The ablation over ratios, with honest statistics.", plan, run, report)
