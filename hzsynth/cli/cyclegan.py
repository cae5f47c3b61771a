"""hzsynth cyclegan: map lesions onto another population's skin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, Workers, open_set
from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import RefusedError
from hzsynth.cyclegan.config import ComparisonConfig, CycleGanConfig, TransplantConfig

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet


def _domains(
    source: Path, target: Path, label: str | None, target_label: str | None
) -> tuple["ImageSet", "ImageSet"]:
    """Opens both sets and keeps the classes that were asked for."""
    from hzsynth.stages.classes import of_class

    lesions, skin = open_set(source), open_set(target)
    return of_class(lesions, label), of_class(skin, target_label, "target_label")


Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="Photographs with lesions.")]
Target = Annotated[Path, typer.Argument(metavar="TARGET", help="Photographs of target skin.")]
SourceLabel = Annotated[str | None, typer.Option("--label", help="Class of SOURCE to use.")]
TargetLabel = Annotated[str | None, typer.Option("--target-label", help="Class of TARGET to use.")]


@command(
    "train",
    CycleGanConfig,
    usual=("preserve", "objective", "resolution", "steps", "minutes", "batch"),
)
def train(
    session: Session,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    classifier: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Frozen classifier whose judgement is kept; for `preserve` semantic.",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Where SOURCE has no masks: find lesions by this classifier's Grad-CAM, not by redness.",
        ),
    ] = None,
) -> None:
    """Trains both directions on the train splits; the same command resumes."""
    from hzsynth.core.run import RunDir
    from hzsynth.stages.cyclegan import train_cyclegan

    config = session.resolve(CycleGanConfig)
    lesions, skin = _domains(source, target, label, target_label)
    run = train_cyclegan(
        lesions,
        skin,
        config,
        session.place,
        classifier=None if classifier is None else RunDir.load(classifier),
        masks=None if masks is None else RunDir.load(masks),
        compute=session.compute,
        progress=session.progress,
    )
    session.show({"run": str(run.path), **run.result}, "cyclegan train")


@command("translate")
def translate_images(
    session: Session,
    run: RunPath,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Translate only this class.")] = None,
) -> None:
    """Translates every image of a set to the target skin; masks and labels stay.

    Its table says of every image whether the lesion was kept, and the tone of the skin.
    """
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.translation import translate
    from hzsynth.stages.classes import of_class
    from hzsynth.stages.cyclegan import KeptLesions

    translated = translate(
        RunDir.load(run, "cyclegan"),
        of_class(open_set(images), label),
        session.output,
        compute=session.compute,
        force=session.force,
        progress=session.progress,
    )
    lesions = KeptLesions.of(translated)
    session.show(
        {
            "set": str(translated.root),
            "images": len(translated),
            "lesions kept": lesions.kept,
            "lesions lost": lesions.lost,
            "unknown": lesions.unknown,
        },
        "cyclegan translate",
    )


@command("transplant", TransplantConfig, usual=("count",))
def transplant_lesions(
    session: Session,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    workers: Workers = 0,
) -> None:
    """Lays the lesions of SOURCE onto the skin of TARGET, many different ones of a pair.

    Only train splits are used. `translate` can take the result through a trained model.
    """
    from hzsynth.cyclegan.transplant_set import transplant_images

    config = session.resolve(TransplantConfig)
    made = transplant_images(
        *_domains(source, target, label, target_label),
        config,
        session.output,
        force=session.force,
        workers=workers,
        progress=session.progress,
    )
    lesions = {record.parents[0] for record in made}
    hosts = {record.parents[1] for record in made}
    session.show(
        {
            "set": str(made.root),
            "images": len(made),
            "lesions": len(lesions),
            "hosts": len(hosts),
        },
        "cyclegan transplant",
    )


JudgingRun = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Classifier that says whether lesions are kept; by default one is trained.",
    ),
]
Gate = Annotated[bool, typer.Option("--gate", help="Exit 3 when the model fails.")]


@command("compare", ComparisonConfig, usual=("size",))
def compare_methods(
    session: Session,
    run: RunPath,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    classifier: JudgingRun = None,
    gate: Gate = False,
) -> None:
    """Compares a trained model with tone transfers and the transplant; one recommendation.

    Photographs that the model did not see are used where there are eight of them, none of a test split.
    """
    from hzsynth.core.image_set_writer import refuse_existing
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.comparison_page import PAGE, write_comparison
    from hzsynth.stages.cyclegan import compare_cyclegan

    config = session.resolve(ComparisonConfig)
    refuse_existing(session.output, session.force, PAGE)
    lesions, skin = _domains(source, target, label, target_label)
    result = compare_cyclegan(
        RunDir.load(run, "cyclegan"),
        lesions,
        skin,
        config,
        classifier=None if classifier is None else RunDir.load(classifier),
        compute=session.compute,
        progress=session.progress,
    )
    for remark in result.remarks:
        session.say(remark)
    page = write_comparison(result, session.output)
    session.show(
        {"report": str(page), **result.to_json()}
        if session.json
        else {"report": str(page), "recommendation": result.recommendation},
        "cyclegan compare",
    )
    if gate and not result.passed:
        raise RefusedError(result.recommendation)


app = group(
    "CycleGAN: lesions onto the skin of another population, the lesion kept.",
    train,
    translate_images,
    compare_methods,
    tools=(transplant_lesions,),
)
