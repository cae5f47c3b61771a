"""hzsynth augment: what the classical augmentations look like."""

from typing import Annotated

import typer

from hzsynth.cli.arguments import SetPath, open_set, parts
from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@command("preview")
def preview(
    session: Session,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Show this class only.")] = None,
    strategies: Annotated[
        str | None, typer.Option(help="Comma-separated; by default all nine.")
    ] = None,
    strength: Annotated[float, typer.Option(max=2, help="Scales every augmentation.")] = 1.0,
    columns: Annotated[int, typer.Option(min=1, max=24, help="Photographs to show.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=512, help="Side of each, pixels.")] = 128,
) -> None:
    """Writes a picture (--out FILE.png): a row for each strategy on photographs of the set."""
    import io

    from PIL import Image

    from hzsynth.augment.preview import preview_sheet
    from hzsynth.augment.strategies import STRATEGY_NAMES
    from hzsynth.core.files import atomic_write_bytes
    from hzsynth.core.photos import square
    from hzsynth.core.seeding import numpy_generator
    from hzsynth.stages.classes import of_class

    out = session.output
    if out.suffix.lower() not in _SUFFIXES:
        raise InputError(f"`out` is a picture ({', '.join(_SUFFIXES)}), not '{out}'")
    if out.exists() and not session.force:
        raise InputError(f"`out` '{out}' already exists; name another file or use `force`")
    photographs = of_class(open_set(images), label)
    order = numpy_generator(session.root_seed, "preview").permutation(len(photographs))
    shown = [photographs.records[i] for i in sorted(order[:columns])]
    pictures = [square(photographs.read_pixels(record), size) for record in shown]
    names = parts(strategies) if strategies else STRATEGY_NAMES
    sheet = preview_sheet(pictures, names, strength, session.root_seed)
    buffer = io.BytesIO()
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(out.suffix.lower(), "PNG")
    Image.fromarray(sheet).save(buffer, kind)
    atomic_write_bytes(out, buffer.getvalue())
    session.show({"sheet": str(out), "photographs": len(pictures)}, "augment preview")


app = group("Classical augmentations, to be looked at.", preview)
