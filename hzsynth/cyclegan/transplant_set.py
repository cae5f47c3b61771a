"""The stage `transplant`: a set of lesions on other skin, many different ones of a pair.

Every image follows from its own seed, is made by whatever process, and names both photographs as its
parents. All photographs that were drawn from travel as the lineage of the set, with their patients.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_picture
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import learned_from
from hzsynth.core.parallel import SLOW
from hzsynth.core.partial import carry_out
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import derive_seed, numpy_generator
from hzsynth.cyclegan.config import TransplantConfig
from hzsynth.cyclegan.domains import given_mask, training_images
from hzsynth.cyclegan.target import Picture
from hzsynth.cyclegan.transplant import main_parts, transplant
from hzsynth.data.lesion import lesion_mask

HOST_GROUP = "host_group"
"""Column with the patient whose skin carries the lesion; `group` is the patient of the lesion."""

_HOSTS_TRIED = 12


@dataclass(frozen=True)
class _Order:
    """One image to be made: a lesion, hosts to try in turn, and the seed of all draws."""

    source: ImageRecord
    hosts: tuple[ImageRecord, ...]
    seed: int
    row: ImageRecord

    @property
    def target(self) -> str:
        return self.row.file_name


def read_source(images: ImageSet, record: ImageRecord) -> Picture:
    """A photograph with its lesion: the set's mask, or the main parts that redness shows.

    Raises:
        InputError: the image or its mask cannot be read.
    """
    pixels = images.read_pixels(record)
    mask = given_mask(images, record, pixels)
    return Picture(pixels, main_parts(lesion_mask(pixels)) if mask is None else mask)


def transplant_images(
    source: ImageSet,
    target: ImageSet,
    config: TransplantConfig,
    out: Path,
    *,
    force: bool = False,
    workers: int = 0,
    progress: Progress = SILENT,
) -> ImageSet:
    """Lays the lesions of one set onto the skin of another.

    Args:
        source: photographs with lesions; masks are taken from the set or found by redness.
        target: photographs of the skin to lay them on, healthy.
        config: count and seed.
        out: folder of the new set; after a kill the same call goes on.
        force: replace a set that is there.
        workers: processes; 0 takes every processor.
        progress: where to report.

    Returns:
        The new set: label and group of the lesion's photograph, the lesion's mask, origin
        ``transplant``, both photographs as parents; each lesion is used equally often.

    Raises:
        InputError: a set is too small or unreadable, no photograph shows a lesion, or `out` is taken.
        RefusedError: a photograph to be used is, or descends from, a held-out one.
    """
    sources, targets = training_images(source, target)
    key = hashlib.sha256(
        "\n".join((__name__, sources.digest, targets.digest, config.to_toml())).encode()
    ).hexdigest()
    run = f"transplant-{key[:12]}"
    learned = learned_from([sources, targets])
    with ImageSetWriter(out, force, key) as writer:
        for images in (sources, targets):
            writer.inherit(images)
        writer.add_lineage(run, learned)
        orders = _orders(_with_lesion(sources), targets, config, run, writer)
        made = carry_out(
            orders,
            partial(_make, sources, targets, writer.folder),
            writer.done,
            workers=workers,
            progress=progress,
            description="transplanting",
            least=SLOW,
        )
        for row in made:
            if isinstance(row, str):
                raise InputError(row)
            writer.register(row)
    return writer.images


def _with_lesion(sources: ImageSet) -> list[ImageRecord]:
    found = [record for record in sources if read_source(sources, record).lesion.any()]
    if not found:
        raise InputError(
            f"no photograph of SOURCE shows a lesion: none of the {len(sources)} has a mask, and none "
            "has a part that is redder than the rest of its skin"
        )
    return found


def _orders(
    sources: Sequence[ImageRecord],
    targets: ImageSet,
    config: TransplantConfig,
    run: str,
    writer: ImageSetWriter,
) -> list[_Order]:
    orders = []
    for number in range(config.count):
        source = sources[number % len(sources)]
        seed = derive_seed(config.seed, "transplant", number)
        order = numpy_generator(seed, "hosts").permutation(len(targets))[:_HOSTS_TRIED]
        name = writer.reserve(
            source.label, "", f"{Path(source.file_name).stem}-{number:05d}", ".png"
        )
        row = ImageRecord(
            file_name=name,
            label=source.label,
            group=source.group,
            source=source.source,
            origin="transplant",
            run=run,
            seed=str(seed),
        )
        orders.append(_Order(source, tuple(targets.records[i] for i in order), seed, row))
    return orders


def _make(sources: ImageSet, targets: ImageSet, folder: Path, order: _Order) -> ImageRecord | str:
    """Makes one image; gives its row, or why it cannot be made."""
    try:
        picture = read_source(sources, order.source)
        for host in order.hosts:
            pixels = targets.read_pixels(host)
            rng = numpy_generator(order.seed, "transplant", host.sha256)
            result = transplant(picture, pixels, rng)
            if result is not None and result.picture.lesion.any():
                return _written(order, host, result.picture, folder)
    except InputError as error:
        return str(error)
    return (
        f"the lesion of '{order.source.file_name}' finds no place on any of {len(order.hosts)} "
        "photographs of TARGET: they show too little skin"
    )


def _written(order: _Order, host: ImageRecord, picture: Picture, folder: Path) -> ImageRecord:
    licences = dict.fromkeys((order.source.licence, host.licence))
    row = replace(
        order.row,
        parents=(order.source.sha256, host.sha256),
        licence="; ".join(licence for licence in licences if licence),
        extra={HOST_GROUP: host.group},
    )
    return write_picture(folder, row, picture.pixels, picture.lesion)
