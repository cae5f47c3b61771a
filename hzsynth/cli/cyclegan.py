"""hzsynth cyclegan: map lesions onto another population's skin."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, known_label, open_set
from hzsynth.cli.session import Session, command, group

app = group("CycleGAN: lesions onto the skin of another population, the lesion kept.")


@command(app, "train")
def train(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Photographs with lesions.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Photographs of target skin.")],
    label: Annotated[str | None, typer.Option(help="Class of SOURCE to learn from.")] = None,
    target_label: Annotated[str | None, typer.Option(help="Class of TARGET to learn from.")] = None,
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
    lesions, skin = open_set(source), open_set(target)
    if label is not None:
        lesions = lesions.select(label=known_label(lesions, label))
    if target_label is not None:
        skin = skin.select(label=known_label(skin, target_label))
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
