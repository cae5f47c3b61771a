"""hzsynth build-dataset: a training set at a ratio of synthetic to real images."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hzsynth.cli.arguments import Workers, open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.image_set_writer import refuse_existing

if TYPE_CHECKING:
    from hzsynth.score.selection import Filter


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
        mix_classes: Annotated[
            str | None,
            typer.Option(help="own, or any: mixed across classes, with soft labels."),
        ] = None,
        strategies: Annotated[
            str | None, typer.Option(help="Comma-separated augmentations; by default all.")
        ] = None,
        strength: Annotated[
            float | None, typer.Option(help="Scales every augmentation, up to 2.")
        ] = None,
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
        keep: Annotated[
            str,
            typer.Option(
                "--filter",
                help="Leave out synthetic images: none, plausible (keep those), authentic, both.",
            ),
        ] = "none",
        report: Annotated[
            bool,
            typer.Option(help="Probe how easily synthetic images are told; audit/mixture.json."),
        ] = True,
        workers: Workers = 0,
    ) -> None:
        """Fills the target class with real, synthetic and augmented images; proves lineage."""
        from hzsynth.augment.build import BuildConfig
        from hzsynth.stages.build_dataset import (
            SHEET,
            build_dataset,
            mixture_sentence,
            read_drop_list,
        )

        config = session.resolve(
            BuildConfig,
            label=label,
            ratio=ratio,
            multiplier=multiplier,
            balance=balance,
            mix=mix,
            mix_classes=mix_classes,
            strategies=[s.strip() for s in strategies.split(",")] if strategies else None,
            strength=strength,
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
            dropped=frozenset() if drop is None else read_drop_list(drop),
            keep=cast("Filter", keep),
            describe=report,
            compute=session.compute,
            workers=workers,
            force=session.force,
            say=session.say,
            progress=session.progress,
        )
        target = Counter(r.origin for r in built.select("train", config.label))
        shown: dict[str, object] = {
            "set": str(built.root),
            "train": len(built.select("train")),
            "val": len(built.select("val")),
            "test": len(built.select("test")),
            f"{config.label} in train": dict(target),
        }
        if report:
            shown |= {"mixture": mixture_sentence(built), "sheet": str(built.root / SHEET)}
        session.show(shown, f"build-dataset at ratio {config.ratio:g}")
