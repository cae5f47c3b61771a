"""hzsynth cyclegan: map lesions onto another population's skin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, Workers, known_label, open_set
from hzsynth.cli.session import Session, command, group

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet

app = group("CycleGAN: lesions onto the skin of another population, the lesion kept.")


def _domains(
    source: Path, target: Path, label: str | None, target_label: str | None
) -> tuple["ImageSet", "ImageSet"]:
    """Opens both sets and keeps the classes that were asked for."""
    lesions, skin = open_set(source), open_set(target)
    if label is not None:
        lesions = lesions.select(label=known_label(lesions, label))
    if target_label is not None:
        skin = skin.select(label=known_label(skin, target_label))
    return lesions, skin


Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="Photographs with lesions.")]
Target = Annotated[Path, typer.Argument(metavar="TARGET", help="Photographs of target skin.")]
SourceLabel = Annotated[str | None, typer.Option("--label", help="Class of SOURCE to use.")]
TargetLabel = Annotated[str | None, typer.Option("--target-label", help="Class of TARGET to use.")]


@command(app, "train")
def train(
    session: Session,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    preserve: Annotated[str | None, typer.Option(help="none or mask.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this wall-clock time.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
) -> None:
    """Trains both directions on the train splits; the same command resumes."""
    from hzsynth.cyclegan.config import CycleGanConfig
    from hzsynth.cyclegan.training import train_cyclegan

    config = session.resolve(
        CycleGanConfig,
        preserve=preserve,
        resolution=resolution,
        steps=steps,
        minutes=minutes,
        batch=batch,
    )
    lesions, skin = _domains(source, target, label, target_label)
    run = session.start_run("cyclegan", config, {"source": lesions.digest, "target": skin.digest})
    train_cyclegan(lesions, skin, config, run, compute=session.compute, progress=session.progress)
    session.show({"run": str(run.path), **run.result}, "cyclegan train")


@command(app, "translate")
def translate_images(
    session: Session,
    run: RunPath,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Translate only this class.")] = None,
) -> None:
    """Translates every image of a set to the target skin; masks and labels stay."""
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.translation import translate

    source = open_set(images)
    if label is not None:
        source = source.select(label=known_label(source, label))
    translated = translate(
        RunDir.load(run, "cyclegan"),
        source,
        session.output,
        compute=session.compute,
        progress=session.progress,
    )
    session.show({"set": str(translated.root), "images": len(translated)}, "cyclegan translate")


@command(app, "transplant")
def transplant_lesions(
    session: Session,
    source: Source,
    target: Target,
    count: Annotated[int | None, typer.Option(help="Images to make.")] = None,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    workers: Workers = 0,
) -> None:
    """Lays the lesions of SOURCE onto the skin of TARGET, many different ones of a pair.

    Only train splits are used. `translate` can take the result through a trained model.
    """
    from hzsynth.cyclegan.transplant_set import TransplantConfig, transplant_images

    config = session.resolve(TransplantConfig, count=count)
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
