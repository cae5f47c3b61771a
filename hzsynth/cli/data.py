"""hzsynth data: bring photographs in, look at them, free them of duplicates, split them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import SetPath, open_set
from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError

app = group("Photographs: import, inspect, deduplicate, split, preprocess.")

_KINDS = ("folder", "phantom")


def _ratios(text: str) -> tuple[float, float, float]:
    try:
        parts = tuple(float(part) for part in text.split("/"))
    except ValueError:
        parts = ()
    if len(parts) != 3:
        raise InputError(f"--ratios is train/val/test such as 70/15/15, not '{text}'")
    return parts[0], parts[1], parts[2]


@command(app, "import")
def import_images(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=" or ".join(_KINDS) + ".")],
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The data set (none for phantom).")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave unreadable files out and list them.")
    ] = False,
    size: Annotated[int | None, typer.Option(help="phantom: side in pixels.")] = None,
    cohort: Annotated[
        list[str] | None, typer.Option(help="phantom: western or korean; may be repeated.")
    ] = None,
    duplicates: Annotated[
        int | None, typer.Option(help="phantom: near-duplicate copies to add.")
    ] = None,
) -> None:
    """Brings a published collection into an image set."""
    if kind not in _KINDS:
        raise InputError(f"KIND is {' or '.join(_KINDS)}, not '{kind}'")
    if kind == "phantom":
        from hzsynth.data.sources.phantom import PhantomConfig, import_phantom

        config = session.resolve(
            PhantomConfig, size=size, cohorts=cohort or None, duplicates=duplicates
        )
        images = import_phantom(config, session.output, progress=session.progress)
        broken: tuple[str, ...] = ()
    else:
        from hzsynth.data.sources.folder import import_folder

        if path is None:
            raise InputError("PATH is missing: name the folder of class folders")
        images, broken = import_folder(
            path,
            session.output,
            skip_broken=skip_broken,
            force=session.force,
            progress=session.progress,
        )
    counts = {label: len(images.select(label=label)) for label in images.labels}
    session.show(
        {"set": str(images.root), "images": len(images), "classes": counts, "broken": broken},
        "data import",
    )


@command(app, "inspect")
def inspect(session: Session, images: SetPath) -> None:
    """Counts, sizes, broken files, duplicates, label conflicts, skin tone; --out writes report.html."""
    from hzsynth.data.inspect import inspect_images
    from hzsynth.data.inspect_page import write_inspection
    from hzsynth.data.loading import scan_images

    opened = scan_images(images, skip_broken=True, progress=session.progress)
    found = inspect_images(opened.images, opened.broken, progress=session.progress)
    result = found.to_json()
    if session.out is not None:
        result["report"] = str(write_inspection(found, str(images), session.out))
    session.show(result, "data inspect")


@command(app, "dedup")
def dedup(session: Session, images: SetPath) -> None:
    """Keeps the best copy of every photograph; flips, quarter turns and re-encodings are found."""
    from hzsynth.data.duplicates import deduplicate

    kept, found = deduplicate(
        open_set(images), session.output, force=session.force, progress=session.progress
    )
    session.show({"set": str(kept.root), "images": len(kept), **asdict(found)}, "data dedup")


@command(app, "preprocess")
def preprocess(
    session: Session,
    images: SetPath,
    size: Annotated[int | None, typer.Option(help="Side in pixels.")] = None,
    crop: Annotated[str | None, typer.Option(help="center or lesion.")] = None,
    color: Annotated[str | None, typer.Option(help="none or shades-of-gray.")] = None,
) -> None:
    """Crops, resizes, removes the colour of the light; all metadata of the camera is left out."""
    from hzsynth.data.preprocess import PreprocessConfig, preprocess_images

    config = session.resolve(PreprocessConfig, size=size, crop=crop, color=color)
    done = preprocess_images(
        open_set(images), config, session.output, force=session.force, progress=session.progress
    )
    session.show({"set": str(done.root), "images": len(done)}, "data preprocess")


@command(app, "split")
def split(
    session: Session,
    images: SetPath,
    ratios: Annotated[str, typer.Option(help="train/val/test shares.")] = "70/15/15",
    folds: Annotated[
        int | None, typer.Option(help="Write this many cross-validation sets instead.")
    ] = None,
) -> None:
    """Splits by class; patients and near-duplicates never cross."""
    from hzsynth.data.splits import fold_images, split_images

    source, seed, progress = open_set(images), session.root_seed, session.progress
    if folds is not None:
        sets = fold_images(
            source, session.output, folds, seed, force=session.force, progress=progress
        )
        session.show({"sets": [str(fold.root) for fold in sets]}, "data split")
        return
    done = split_images(
        source, session.output, _ratios(ratios), seed, force=session.force, progress=progress
    )
    counts = {
        part: {label: len(done.select(split=part, label=label)) for label in done.labels}
        for part in ("train", "val", "test")
    }
    session.show({"set": str(done.root), **counts}, "data split")
