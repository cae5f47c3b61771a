"""hzsynth gan: train a generator on tens of photographs, and draw images from it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hzsynth.cli import gan_tools
from hzsynth.cli.arguments import RunPath, SetPath, open_set
from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError
from hzsynth.gan.config import GanConfig

_USUAL = (
    *("label", "preset", "resolution", "kimg", "minutes", "generator", "discriminator", "augment"),
    *("backend", "init", "freeze_d", "held_out_share", "patience", "batch", "compile"),
)


@command("train", GanConfig, usual=_USUAL)
def train(
    session: Session,
    images: SetPath,
    tracker: Annotated[
        Literal["none", "tensorboard"],
        typer.Option(help="Also keep the figures in RUN/tensorboard, to be watched live."),
    ] = "none",
) -> None:
    """Trains a generator on the train split; the same command resumes an unfinished run.

    Without a preset, the one that suits the photographs and the machine is taken.
    """
    from hzsynth.stages.gan import ALL, suggested_preset, train_gan

    session.checked(GanConfig)  # before the photographs are looked at
    photographs, named = open_set(images), session.named()
    preset, reason = None, ""
    if "preset" not in named:
        label = str(named.get("label", ALL))
        preset, reason = suggested_preset(photographs, label, session.compute)
    config = session.resolve(GanConfig, preset=preset)
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


MadeClass = Annotated[
    str | None,
    typer.Option(help="Class to make; by default all that the run learned, in turn."),
]
Rejected = Annotated[
    Literal["none", "copies", "implausible", "both"],
    typer.Option(help="What is left out and replaced."),
]
Against = Annotated[
    Path | None, typer.Option(metavar="SET", help="With `reject`: what RUN was trained on.")
]


@command("generate")
def generate_images(
    session: Session,
    run: RunPath,
    count: Annotated[int, typer.Option(help="Number of images.", min=1)],
    label: MadeClass = None,
    truncation: gan_tools.Truncation = None,
    reject: Rejected = "none",
    against: Against = None,
) -> None:
    """Draws images; each has a seed of its own, derived from --seed and its number."""
    from hzsynth.core.run import RunDir
    from hzsynth.gan.rejection import Rejection
    from hzsynth.gan.sampling import generate

    trained = RunDir.load(run, "gan")
    if (reject == "none") != (against is None):
        raise InputError("`reject` and `against` SET go together")
    rejection = None
    if against is not None:
        rejection = Rejection(trained, open_set(against), reject, session.compute)
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


@command("import")
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


app = group(
    "StyleGAN2 and a light generator for tens of photographs.",
    train,
    generate_images,
    tools=(
        gan_tools.interpolate,
        gan_tools.mix,
        gan_tools.project_photographs,
        gan_tools.export,
        import_checkpoint,
    ),
)
