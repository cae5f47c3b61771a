"""hzsynth data: bring photographs in, look at them, free them of duplicates, split them."""

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
            path, session.output, skip_broken=skip_broken, progress=session.progress
        )
    counts = {label: len(images.select(label=label)) for label in images.labels}
    session.show(
        {"set": str(images.root), "images": len(images), "classes": counts, "broken": broken},
        "data import",
    )


@command(app, "split")
def split(
    session: Session,
    images: SetPath,
    ratios: Annotated[str, typer.Option(help="train/val/test shares.")] = "70/15/15",
) -> None:
    """Splits by class; patients and near-duplicates never cross."""
    from hzsynth.data.splits import split_images

    done = split_images(
        open_set(images), session.output, ratios=_ratios(ratios), seed=session.root_seed
    )
    counts = {
        part: {label: len(done.select(split=part, label=label)) for label in done.labels}
        for part in ("train", "val", "test")
    }
    session.show({"set": str(done.root), **counts}, "data split")
