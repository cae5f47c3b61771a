"""hzsynth build-dataset: a training set at a ratio of synthetic to real images."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hzsynth.cli.arguments import Workers, open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.errors import InputError
from hzsynth.core.image_set_writer import refuse_existing

if TYPE_CHECKING:
    from hzsynth.augment.build import BuildConfig
    from hzsynth.core.image_set import ImageSet


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
        from hzsynth.augment.build import BuildConfig, build_dataset

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
        photographs, made = open_set(real), [open_set(path) for path in synthetic or []]
        dropped = _listed(drop) | _misfits(session, photographs, made, config, keep)
        built = build_dataset(
            photographs,
            made,
            config,
            session.output,
            dropped=dropped,
            workers=workers,
            progress=session.progress,
            force=session.force,
        )
        target = Counter(r.origin for r in built.select("train", config.label))
        shown = {
            "set": str(built.root),
            "train": len(built.select("train")),
            "val": len(built.select("val")),
            "test": len(built.select("test")),
            f"{config.label} in train": dict(target),
        }
        if report:
            shown |= _reported(session, built, config.label)
        session.show(shown, f"build-dataset at ratio {config.ratio:g}")


def _misfits(
    session: Session, real: "ImageSet", synthetic: list["ImageSet"], config: "BuildConfig", how: str
) -> frozenset[str]:
    """Synthetic images that --filter leaves out."""
    if how == "none":
        return frozenset()
    from typing import get_args

    from hzsynth.score.feature_cache import default_cache_folder
    from hzsynth.score.selection import Filter, select_images

    if how not in get_args(Filter):
        raise InputError(f"--filter is one of {', '.join(get_args(Filter))}, not '{how}'")
    selection = select_images(
        synthetic,
        real,
        None if config.synthetic_classes == "every" else config.label,
        cast("Filter", how),
        compute=session.compute,
        cache=default_cache_folder(),
        progress=session.progress,
    )
    session.say(
        f"--filter {how}: {len(selection.dropped)} of {selection.looked_at} synthetic images are "
        f"left out ({selection.implausible} implausible, {selection.copies} nearer to a photograph "
        "than its neighbour)"
    )
    return selection.dropped


def _reported(session: Session, built: "ImageSet", label: str) -> dict[str, str]:
    """Writes what the mixture could teach besides the disease into the set's audit folder."""
    import json

    from hzsynth.core.files import atomic_write_text
    from hzsynth.core.image_files import write_png
    from hzsynth.score.feature_cache import default_cache_folder
    from hzsynth.score.mixture import describe_mixture

    mixture = describe_mixture(
        built,
        label,
        compute=session.compute,
        seed=session.root_seed,
        cache=default_cache_folder(),
        progress=session.progress,
    )
    folder = built.root / "audit"
    write_png(folder / "mixture.png", mixture.sheet)
    text = json.dumps(mixture.to_json(), indent=2, ensure_ascii=False)
    atomic_write_text(folder / "mixture.json", text + "\n")
    return {"mixture": mixture.sentence(), "sheet": str(folder / "mixture.png")}


def _listed(path: Path | None) -> frozenset[str]:
    """The lines of a text file."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read --drop '{path}': {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())
