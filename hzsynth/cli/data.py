"""hzsynth data: bring photographs in, look at them, free them of duplicates, split them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hzsynth.cli.arguments import SetPath, Workers, open_set
from hzsynth.cli.commands import command, group
from hzsynth.cli.options import completion_of
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError
from hzsynth.data.config import Conflicts, Form, PhantomConfig, PreprocessConfig
from hzsynth.data.sources.registry import KINDS, PHANTOM

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet
    from hzsynth.data.importing import Imported
    from hzsynth.data.sources.base import Found

ClassMap = Annotated[
    Path | None,
    typer.Option("--map", help="Class map: TOML [classes] or CSV from,to; an empty name drops."),
]
Target = Annotated[
    str | None, typer.Option(help="Check that this class means what it says (herpes zoster).")
]


def _ratios(text: str) -> tuple[float, float, float]:
    try:
        parts = tuple(float(part) for part in text.split("/"))
    except ValueError:
        parts = ()
    if len(parts) != 3:
        raise InputError(f"`ratios` is train/val/test such as 70/15/15, not '{text}'")
    return parts[0], parts[1], parts[2]


def _settings(pairs: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE pairs; a value with commas becomes a list."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"`option` is KEY=VALUE, not '{pair}'")
        settings[key.replace("-", "_")] = value.split(",") if "," in value else value
    return settings


Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=f"One of {', '.join(KINDS)}.",
        autocompletion=completion_of(KINDS),
    ),
]
DataSetPath = Annotated[
    Path | None, typer.Argument(metavar="PATH", help="The data set (none for phantom).")
]
SourceSettings = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A setting of the KIND; `dry_run` lists them."),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave unreadable files out and list them.")
]


@command("import", PhantomConfig, further="Settings of the phantom")
def import_(
    session: Session,
    kind: Kind,
    path: DataSetPath = None,
    map_file: ClassMap = None,
    target: Target = None,
    licence: Annotated[str, typer.Option(help="Terms of use, where the data set names none.")] = "",
    option: SourceSettings = None,
    skip_broken: SkipBroken = False,
    workers: Workers = 0,
) -> None:
    """Brings a published collection into an image set."""
    from hzsynth.core.image_set_writer import refuse_existing
    from hzsynth.data.importing import import_images
    from hzsynth.data.sources.registry import source_of

    if kind == PHANTOM:
        _import_phantom(session, _settings(option))
        return
    source = source_of(kind)
    settings = session.resolve(source.config, f"KIND {kind}", **_settings(option))
    if path is None:
        raise InputError(f"`path` is missing: name the data set ({source.description})")
    refuse_existing(session.output, session.force)
    imported = import_images(
        _prepared(session, source.find(path, settings), map_file, target),
        session.output,
        skip_broken=skip_broken,
        licence=licence,
        force=session.force,
        workers=workers,
        progress=session.progress,
    )
    _show_imported(session, imported, "data import")


def _import_phantom(session: Session, settings: dict[str, Any]) -> None:
    from hzsynth.data.sources.phantom import import_phantom

    config = session.resolve(PhantomConfig, **settings)
    images = import_phantom(config, session.output, session.progress, force=session.force)
    session.show({"set": str(images.root), **_counts(images)}, "data import")


@command("merge")
def merge(
    session: Session,
    sets: Annotated[list[Path], typer.Argument(metavar="SET...", help="Image sets or folders.")],
    map_file: ClassMap = None,
    target: Target = None,
    workers: Workers = 0,
) -> None:
    """Puts several sets into one, with one vocabulary of class names."""
    from hzsynth.core.image_set_writer import refuse_existing
    from hzsynth.data.importing import import_images
    from hzsynth.data.merging import merged

    if len(sets) < 2:
        raise InputError("merge needs two sets or more")
    refuse_existing(session.output, session.force)
    imported = import_images(
        _prepared(session, merged(sets), map_file, target),
        session.output,
        force=session.force,
        workers=workers,
        progress=session.progress,
    )
    _show_imported(session, imported, "data merge")


def _prepared(
    session: Session, found: "Found", map_file: Path | None, target: str | None
) -> "Found":
    """What is imported: classes mapped, the target class checked; remarks go to the user."""
    from dataclasses import replace

    from hzsynth.data.vocabulary import apply_class_map, check_target, read_class_map

    if map_file is not None:
        found = apply_class_map(found, read_class_map(map_file))
    if target is not None:
        found = replace(found, remarks=(*found.remarks, *check_target(found.images, target)))
    for remark in found.remarks:
        session.say(f"note: {remark}")
    return found


def _counts(images: "ImageSet") -> dict[str, object]:
    classes = {label: len(images.select(label=label)) for label in images.labels}
    return {"images": len(images), "classes": classes}


def _show_imported(session: Session, imported: "Imported", title: str) -> None:
    images = imported.images
    groups = len({record.group for record in images if record.group})
    session.show(
        {
            "set": str(images.root),
            **_counts(images),
            "groups": groups,
            "broken": imported.broken,
            "remarks": imported.remarks,
        },
        title,
    )


@command("inspect")
def inspect(session: Session, images: SetPath, workers: Workers = 0) -> None:
    """Counts, sizes, broken files, copies, shortcuts, skin tone; --out writes report.html."""
    from hzsynth.data.inspect import inspect_images
    from hzsynth.data.inspect_page import write_inspection
    from hzsynth.data.loading import scan_images

    progress = session.progress
    opened = scan_images(images, skip_broken=True, workers=workers, progress=progress)
    found = inspect_images(opened.images, opened.broken, workers=workers, progress=progress)
    result = found.to_json()
    if session.out is not None:
        result["report"] = str(write_inspection(found, str(images), session.out))
    session.show(result, "data inspect")


@command("dedup")
def dedup(
    session: Session,
    images: SetPath,
    conflicts: Annotated[
        Conflicts, typer.Option(help="What is done with copies that have different labels.")
    ] = "refuse",
    crops: Annotated[
        bool | None,
        typer.Option(help="Look for parts of photographs; by default up to 10,000 images."),
    ] = None,
    workers: Workers = 0,
) -> None:
    """Keeps the best copy of every photograph; flips, turns, re-encodings, logos, crops."""
    from hzsynth.data.duplicates import SHEET, deduplicate

    kept, found = deduplicate(
        open_set(images),
        session.output,
        force=session.force,
        conflicts=conflicts,
        crops=crops,
        workers=workers,
        progress=session.progress,
    )
    sheet = str(kept.root / SHEET)
    session.show(
        {"set": str(kept.root), "images": len(kept), "sheet": sheet, **asdict(found)}, "data dedup"
    )


@command("preprocess", PreprocessConfig, usual=("size", "crop", "color", "color_space"))
def preprocess(
    session: Session,
    images: SetPath,
    remove_annotations: Annotated[
        bool, typer.Option("--remove-annotations", help="Take logos, text, rulers, pen off.")
    ] = False,
    workers: Workers = 0,
) -> None:
    """Crops, resizes, evens colour, takes logos off; all metadata of the camera is left out."""
    import json

    from hzsynth.data.preprocess_set import SHEET, preprocess_images
    from hzsynth.data.second_look import SECOND_LOOK

    taken_off = "crop" if remove_annotations else None
    config = session.resolve(PreprocessConfig, remove_annotations=taken_off)
    done = preprocess_images(
        open_set(images),
        config,
        session.output,
        force=session.force,
        workers=workers,
        progress=session.progress,
    )
    look = json.loads((done.root / SECOND_LOOK).read_text(encoding="utf-8"))
    session.show(
        {"set": str(done.root), "images": len(done), "sheet": str(done.root / SHEET), **look},
        "data preprocess",
    )


@command("export")
def export(
    session: Session,
    images: SetPath,
    to: Annotated[Form, typer.Option(help="Of the files.")] = "webdataset",
    shard_size: Annotated[int, typer.Option(min=1, help="Images a file at most.")] = 1000,
) -> None:
    """Writes a set as WebDataset shards or Parquet files for large trainings."""
    from hzsynth.data.export import export_set

    files = export_set(
        open_set(images),
        to,
        session.output,
        shard_size=shard_size,
        force=session.force,
        progress=session.progress,
    )
    session.show({"folder": str(session.output), "files": list(files)}, "data export")


@command("split")
def split(
    session: Session,
    images: SetPath,
    ratios: Annotated[str, typer.Option(help="train/val/test shares.")] = "70/15/15",
    folds: Annotated[
        int | None, typer.Option(help="Write this many cross-validation sets instead.")
    ] = None,
    workers: Workers = 0,
) -> None:
    """Splits by class; patients and near-duplicates never cross."""
    from hzsynth.data.splits import few_patients, fold_images, split_images

    source, seed, progress = open_set(images), session.root_seed, session.progress
    if folds is not None:
        sets = fold_images(
            source,
            session.output,
            folds,
            seed,
            force=session.force,
            workers=workers,
            progress=progress,
        )
        few = sorted({remark for fold in sets for remark in few_patients(fold)})
        session.show({"sets": [str(fold.root) for fold in sets], "remarks": few}, "data split")
        return
    done = split_images(
        source,
        session.output,
        _ratios(ratios),
        seed,
        force=session.force,
        workers=workers,
        progress=progress,
    )
    counts = {
        part: {label: len(done.select(split=part, label=label)) for label in done.labels}
        for part in ("train", "val", "test")
    }
    remarks = few_patients(done)
    session.show({"set": str(done.root), **counts, "remarks": remarks}, "data split")


app = group(
    "Photographs: import, inspect, deduplicate, split, preprocess.",
    import_,
    inspect,
    dedup,
    preprocess,
    split,
    tools=(merge, export),
)
