"""New images as a set, each with its full provenance."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed
from hzsynth.gan.backends import backend_named
from hzsynth.gan.generator_files import read_generator
from hzsynth.gan.trained_generator import TrainedGenerator

_STREAM_PART = 64
_MOST_TRIES = 20

Keep = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Images uint8 N x 3 x H x W and their classes, int64 N -> which may stay, bool N."""


def generate(
    run: RunDir,
    count: int,
    out: Path,
    *,
    seed: int = 0,
    label: str | None = None,
    truncation: float | None = None,
    keep: Keep | None = None,
    compute: Compute = CPU_FP32,
    force: bool = False,
    progress: Progress = SILENT,
) -> ImageSet:
    """Writes new images as an ImageSet, in bounded memory.

    Args:
        run: a finished GAN run.
        count: number of images.
        out: the new set.
        seed: root of the images' seeds; image i is the same whatever `count` is.
        label: the class to make; by default a class-conditional generator makes its classes in
            turn, equally many of each.
        truncation: see `TrainedGenerator`.
        keep: says which images may stay (see `rejection.Rejection`); others take the place of those that
            may not. None keeps all.
        compute: where.
        force: replace a set that is already there.
        progress: shows the work.

    Returns:
        The set. Every row holds the run's id and the seed that `Generator.sample` makes it
        from. A GAN image descends from the whole training list, which travels as the set's
        lineage, so `parents` is empty.

    Raises:
        InputError: no trained generator, a count below 1, a class that it did not learn, a place
            that cannot be written to, or hardly any image that may stay.
    """
    if count < 1:
        raise InputError(f"`count` is a whole number from 1, not {count}")
    network, config, labels = read_generator(run)
    if label is not None and label not in labels:
        raise InputError(f"'{run.path}' makes {', '.join(labels)}, not '{label}'")
    made = [labels.index(label)] if label is not None else list(range(len(labels)))
    generator = TrainedGenerator(network.to(compute.device), compute, truncation)
    source = f"gan {backend_named(config.backend).source(config)}"
    with (
        ImageSetWriter(out, force) as writer,
        progress.task("generating", count, unit="img") as task,
    ):
        add = partial(writer.add, source=source, origin=config.generator, run=run.id)
        for part in _parts(generator, made, count, seed, keep):
            for image_seed, number, image in part:
                add(image.permute(1, 2, 0).numpy(), label=labels[number], seed=image_seed)
            task.advance(len(part))
        writer.add_lineage(run.id, run.training_images())
    return writer.images


def _parts(
    generator: TrainedGenerator, made: Sequence[int], count: int, seed: int, keep: Keep | None
) -> Iterator[list[tuple[int, int, torch.Tensor]]]:
    """Images that may stay, some at a time, until there are `count`.

    Args:
        generator: makes them.
        made: numbers of the classes that are made, in turn and equally many of each.
        count: of images.
        seed: root of the images' seeds.
        keep: see `generate`.

    Yields:
        Of every image its seed, its class and its pixels, uint8 3 x H x W.

    Raises:
        InputError: hardly any may stay.
    """
    lacking = {
        number: count // len(made) + (place < count % len(made))
        for place, number in enumerate(made)
    }
    most = count if keep is None else _MOST_TRIES * count + _STREAM_PART
    tried = 0
    while any(lacking.values()):
        if tried >= most:
            raise InputError(
                f"only {count - sum(lacking.values())} of {tried} generated images may stay: "
                "train on, choose another `truncation`, or reject less"
            )
        numbers = range(tried, min(tried + _STREAM_PART, most))
        seeds = [derive_seed(seed, "gan-generate", number) for number in numbers]
        classes = [made[number % len(made)] for number in numbers]
        pixels = generator.sample(seeds, classes)
        stays = [True] * len(seeds)
        if keep is not None:
            stays = keep(pixels, torch.tensor(classes)).tolist()
        part = []
        for image_seed, number, image, stay in zip(seeds, classes, pixels, stays, strict=True):
            if stay and lacking[number]:
                lacking[number] -= 1
                part.append((image_seed, number, image))
        tried += len(seeds)
        yield part
