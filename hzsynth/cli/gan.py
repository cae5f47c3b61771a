"""hzsynth gan: train a generator on tens of photographs, and draw images from it."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli import gan_tools
from hzsynth.cli.arguments import RunPath, SetPath, open_set
from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError

app = group("StyleGAN2 and a light generator for tens of photographs.")
gan_tools.register(app)


@command(app, "train")
def train(
    session: Session,
    images: SetPath,
    label: Annotated[
        str | None, typer.Option(help="Class to learn, or 'all'.", show_default=False)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="tiny, small or standard; by default what suits the photographs and the machine."
        ),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side in pixels, a power of two.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Thousands of images shown to D.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this wall-clock time.")] = None,
    generator: Annotated[str | None, typer.Option(help="light or stylegan2.")] = None,
    discriminator: Annotated[str | None, typer.Option(help="projected or stylegan2.")] = None,
    augment: Annotated[str | None, typer.Option(help="diffaugment, ada or none.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="native, or the package stylegan2-pytorch's networks.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Run to start from: transfer, or more photographs.")
    ] = None,
    freeze_d: Annotated[
        int | None, typer.Option(help="With --init: first blocks of D that do not learn.")
    ] = None,
    held_out_share: Annotated[
        float | None, typer.Option(help="Share of the photographs that only watch.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many snapshots without a gain; 0: never.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the generator first: long runs on a GPU.")
    ] = False,
    tracker: Annotated[
        str, typer.Option(help="none, or tensorboard: figures live in RUN/tensorboard.")
    ] = "none",
) -> None:
    """Trains a generator on the train split; the same command resumes an unfinished run."""
    from hzsynth.core.config import read_toml
    from hzsynth.gan.config import GanConfig
    from hzsynth.stages.gan import ALL, suggested_preset, train_gan

    photographs = open_set(images)
    named = read_toml(session.config_file)
    reason = ""
    if preset is None and "preset" not in named:
        learned = str(label or named.get("label", ALL))
        preset, reason = suggested_preset(photographs, learned, session.compute)
    config = session.resolve(
        GanConfig,
        label=label,
        preset=preset,
        resolution=resolution,
        kimg=kimg,
        minutes=minutes,
        generator=generator,
        discriminator=discriminator,
        augment=augment,
        backend=backend,
        init=None if init is None else init.absolute(),
        freeze_d=freeze_d,
        held_out_share=held_out_share,
        patience=patience,
        batch=batch,
        compile=compiled or None,
    )
    if reason:
        session.say(reason)
    run = train_gan(
        photographs,
        config,
        session.place,
        compute=session.compute,
        tracker=tracker,
        progress=session.progress,
    )
    session.show({"run": str(run.path), **run.result}, "gan train")


@command(app, "generate")
def generate_images(
    session: Session,
    run: RunPath,
    count: Annotated[int, typer.Option(help="Number of images.", min=1)],
    label: Annotated[
        str | None,
        typer.Option(help="Class to make; by default all that the run learned, in turn."),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(help="Truncation psi in (0, 1]: smaller is more typical, less varied."),
    ] = None,
    reject: Annotated[
        str, typer.Option(help="Leave out and replace: none, copies, implausible or both.")
    ] = "none",
    against: Annotated[
        Path | None, typer.Option(metavar="SET", help="With --reject: what RUN was trained on.")
    ] = None,
) -> None:
    """Draws images; each has a seed of its own, derived from --seed and its number."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.rejection import Rejection, checked_reject
    from hzsynth.gan.sampling import generate

    trained = RunDir.load(run, "gan")
    how = checked_reject(reject)
    if (how == "none") != (against is None):
        raise InputError("--reject and --against SET go together")
    rejection = None
    if against is not None:
        rejection = Rejection(trained, open_set(against), how, session.compute)
    images = generate(
        trained,
        count,
        session.output,
        seed=session.root_seed,
        label=label,
        truncation=truncation,
        keep=rejection,
        compute=session.compute,
        force=session.force,
        progress=session.progress,
    )
    result = {"set": str(images.root), "images": len(images), "labels": images.labels}
    if rejection is not None:
        result["rejected"] = {"copies": rejection.copies, "implausible": rejection.implausible}
    session.show(result, "gan generate")


@command(app, "import")
def import_checkpoint(
    session: Session,
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="models/NAME/model_N.pt of stylegan2-pytorch.")
    ],
    images: SetPath,
    label: Annotated[str, typer.Option(help="Class that it makes.", show_default=False)],
) -> None:
    """Makes a run of a stylegan2-pytorch checkpoint; SET is what it was trained on."""
    from hzsynth.stages.gan import import_gan

    run = import_gan(checkpoint, open_set(images), label, session.place)
    session.show({"run": str(run.path), **run.result}, "gan import")
