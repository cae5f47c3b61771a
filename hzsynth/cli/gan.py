"""hzsynth gan: train a generator on tens of photographs, and draw images from it."""

from typing import Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, known_label, open_set
from hzsynth.cli.session import Session, command, group

app = group("StyleGAN2 and a light generator for tens of photographs.")


@command(app, "train")
def train(
    session: Session,
    images: SetPath,
    label: Annotated[
        str | None, typer.Option(help="Class to learn, or 'all'.", show_default=False)
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side in pixels, a power of two.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Thousands of images shown to D.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this wall-clock time.")] = None,
    generator: Annotated[str | None, typer.Option(help="light or stylegan2.")] = None,
    discriminator: Annotated[str | None, typer.Option(help="projected or stylegan2.")] = None,
    augment: Annotated[str | None, typer.Option(help="diffaugment or none.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
) -> None:
    """Trains a generator on the train split; the same command resumes an unfinished run."""
    from hzsynth.gan.config import GanConfig
    from hzsynth.gan.training import train_gan

    config = session.resolve(
        GanConfig,
        label=label,
        resolution=resolution,
        kimg=kimg,
        minutes=minutes,
        generator=generator,
        discriminator=discriminator,
        augment=augment,
        batch=batch,
    )
    photographs = open_set(images)
    known_label(photographs, config.label, ("all",))
    run = session.start_run("gan", config, {"images": photographs.digest})
    train_gan(photographs, config, run, compute=session.compute, progress=session.progress)
    session.show({"run": str(run.path), **run.result}, "gan train")


@command(app, "generate")
def generate_images(
    session: Session,
    run: RunPath,
    count: Annotated[int, typer.Option(help="Number of images.", min=1)],
    truncation: Annotated[
        float | None,
        typer.Option(help="Truncation psi in (0, 1]: smaller is more typical, less varied."),
    ] = None,
) -> None:
    """Draws images; each has a seed of its own, derived from --seed and its number."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.sampling import generate

    images = generate(
        RunDir.load(run, "gan"),
        count,
        session.output,
        seed=session.root_seed,
        truncation=truncation,
        compute=session.compute,
        progress=session.progress,
    )
    session.show(
        {"set": str(images.root), "images": len(images), "labels": images.labels}, "gan generate"
    )
