"""hzsynth build-dataset: a training set at a ratio of synthetic to real images."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import Workers, open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.errors import InputError
from hzsynth.core.image_set_writer import refuse_existing


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "build-dataset")
    def build(
        session: Session,
        real: Annotated[
            Path, typer.Argument(metavar="REAL", help="Photographs with a train/val/test split.")
        ],
        synthetic: Annotated[
            list[Path] | None,
            typer.Option("--synthetic", metavar="SET", help="Generated images; may be repeated."),
        ] = None,
        label: Annotated[str | None, typer.Option(help="Target class.")] = None,
        ratio: Annotated[
            float | None, typer.Option(help="Synthetic images per real one of the target class.")
        ] = None,
        multiplier: Annotated[
            int | None, typer.Option(help="The class is filled to this many times its images.")
        ] = None,
        balance: Annotated[str | None, typer.Option(help="none, target or all.")] = None,
        mix: Annotated[str | None, typer.Option(help="none, mixup or cutmix.")] = None,
        arm: Annotated[
            str | None,
            typer.Option(help="mixture, or a control: real, duplicated, synthetic-only."),
        ] = None,
        size: Annotated[int | None, typer.Option(help="Side of the training images.")] = None,
        synthetic_classes: Annotated[
            str | None, typer.Option(help="target, or every: each class at the same ratio.")
        ] = None,
        weights: Annotated[
            str | None, typer.Option(help="One number for each --synthetic, such as 2,1.")
        ] = None,
        drop: Annotated[
            Path | None,
            typer.Option(help="Text file: sha256 or names of synthetic images not to be used."),
        ] = None,
        workers: Workers = 0,
    ) -> None:
        """Fills the target class with real, synthetic and augmented images; proves lineage."""
        from hzsynth.augment.build import BuildConfig, build_dataset

        config = session.resolve(
            BuildConfig,
            label=label,
            ratio=ratio,
            multiplier=multiplier,
            balance=balance,
            mix=mix,
            arm=arm,
            size=size,
            synthetic_classes=synthetic_classes,
            weights=weights.split(",") if weights else None,
        )
        refuse_existing(session.output, session.force)
        built = build_dataset(
            open_set(real),
            [open_set(path) for path in synthetic or []],
            config,
            session.output,
            dropped=_listed(drop),
            workers=workers,
            progress=session.progress,
            force=session.force,
        )
        target = Counter(r.origin for r in built.select("train", config.label))
        session.show(
            {
                "set": str(built.root),
                "train": len(built.select("train")),
                "val": len(built.select("val")),
                "test": len(built.select("test")),
                f"{config.label} in train": dict(target),
            },
            f"build-dataset at ratio {config.ratio:g}",
        )


def _listed(path: Path | None) -> frozenset[str]:
    """The lines of a text file."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read --drop '{path}': {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())
