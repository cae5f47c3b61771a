"""Generators in Python: trained, and asked for images."""

from pathlib import Path

from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import Progress
from hzsynth.cyclegan.config import CycleGanConfig, TransplantConfig
from hzsynth.cyclegan.translation import translate as translate_images
from hzsynth.cyclegan.transplant_set import transplant_images
from hzsynth.gan.config import GanConfig
from hzsynth.gan.sampling import generate as generate_images
from hzsynth.stages import cyclegan, gan
from hzsynth.stages.classes import of_class
from hzsynth.stages.python.arguments import (
    Images,
    Trained,
    compute_on,
    made_once,
    opened,
    place_at,
    run_of,
    settings,
    shown,
)
from hzsynth.stages.python.model import Model


def train_gan(
    images: Images,
    out: Path | str,
    *,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> Model:
    """Trains a generator on the train split.

    An unfinished run goes on where it stopped; a finished one with the same settings and
    photographs is handed out as it is.

    Args:
        images: the photographs.
        out: the run's folder.
        label: the class to learn; by default all.
        seed: root of all random draws.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        force: start anew where a run is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `gan.config.GanConfig`: minutes, kimg, resolution, preset ...

    Returns:
        The generator.

    Raises:
        InputError: a setting is not allowed, or there are too few photographs.
        RefusedError: a photograph to learn from touches a held-out one.
    """
    photographs, compute = opened(images), compute_on(device, precision)
    if "preset" not in values:
        suggested, _ = gan.suggested_preset(photographs, label or gan.ALL, compute)
        values["preset"] = suggested
    config = settings(GanConfig, values, label=label, seed=seed)
    if config.init is not None:
        config = config.model_copy(update={"init": config.init.absolute()})
    run = gan.train_gan(
        photographs, config, place_at(out, force), compute=compute, progress=shown(progress)
    )
    return Model(run)


def generate(
    model: Trained,
    count: int,
    out: Path | str,
    *,
    label: str | None = None,
    truncation: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
) -> ImageSet:
    """Draws images; each has a seed of its own, derived from `seed` and its number.

    Args:
        model: a generator.
        count: number of images.
        out: the new set's folder.
        label: class to make; by default all that it learned, in turn.
        truncation: psi in (0, 1]: smaller is more typical, less varied.
        seed: root of the images' seeds.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.

    Returns:
        The new set.

    Raises:
        InputError: no such class, or the folder is taken.
    """
    run = run_of(model, gan.KIND)
    compute = compute_on(device, precision)
    asked = [run.id, count, label, truncation, seed, str(compute)]
    return made_once(
        out,
        "generate",
        {"asked": asked},
        lambda path: generate_images(
            run,
            count,
            path,
            seed=seed,
            label=label,
            truncation=truncation,
            compute=compute,
            force=force,
            progress=shown(progress),
        ),
        force,
    )


def train_cyclegan(
    source: Images,
    target: Images,
    out: Path | str,
    *,
    label: str | None = None,
    target_label: str | None = None,
    classifier: Trained | None = None,
    masks: Trained | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> Model:
    """Trains a translation of lesions onto the skin of another population, in both directions.

    Args:
        source: photographs with lesions.
        target: photographs of the skin to map onto.
        out: the run's folder.
        label: class of `source` to use; by default all.
        target_label: class of `target` to use; by default all.
        classifier: whose judgement is kept, for ``preserve="semantic"``.
        masks: a classifier whose Grad-CAM finds lesions where `source` has no masks.
        seed: root of all random draws.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        force: start anew where a run is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `cyclegan.config.CycleGanConfig`: steps, resolution ...

    Returns:
        The translator; finished and unfinished runs are treated as by `train_gan`.

    Raises:
        InputError: a setting is not allowed, or there are too few photographs.
        RefusedError: a photograph to learn from touches a held-out one.
    """
    run = cyclegan.train_cyclegan(
        of_class(opened(source), label),
        of_class(opened(target), target_label, "target_label"),
        settings(CycleGanConfig, values, seed=seed),
        place_at(out, force),
        classifier=None if classifier is None else run_of(classifier),
        masks=None if masks is None else run_of(masks),
        compute=compute_on(device, precision),
        progress=shown(progress),
    )
    return Model(run)


def translate(
    model: Trained,
    images: Images,
    out: Path | str,
    *,
    label: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
    progress: bool | Progress = True,
) -> ImageSet:
    """Translates every image of a set to the target skin; masks and labels stay.

    Args:
        model: a translator.
        images: the set.
        out: the new set's folder.
        label: translate only this class.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.

    Returns:
        The new set; its table says of every image whether the lesion was kept.

    Raises:
        InputError: no such class, or the folder is taken.
    """
    run, source = run_of(model, cyclegan.KIND), of_class(opened(images), label)
    compute = compute_on(device, precision)
    return made_once(
        out,
        "translate",
        {"run": run.id, "images": source.digest, "compute": str(compute)},
        lambda path: translate_images(
            run, source, path, compute=compute, force=force, progress=shown(progress)
        ),
        force,
    )


def transplant(
    source: Images,
    target: Images,
    out: Path | str,
    *,
    label: str | None = None,
    target_label: str | None = None,
    count: int | None = None,
    seed: int = 0,
    workers: int = 0,
    force: bool = False,
    progress: bool | Progress = True,
    **values: object,
) -> ImageSet:
    """Lays the lesions of one set onto the skin of another, many different ones of a pair.

    Args:
        source: photographs with lesions.
        target: photographs of the skin to lay them on.
        out: the new set's folder.
        label: class of `source` to use; by default all.
        target_label: class of `target` to use; by default all.
        count: images to make.
        seed: of the pairs and places.
        workers: processes; 0 takes every available processor.
        force: replace a set that is already there.
        progress: whether, or where, progress is shown.
        **values: further settings of `cyclegan.config.TransplantConfig`.

    Returns:
        The new set.

    Raises:
        InputError: a setting is not allowed, or the folder is taken.
    """
    lesions = of_class(opened(source), label)
    skin = of_class(opened(target), target_label, "target_label")
    config = settings(TransplantConfig, values, count=count, seed=seed)
    return made_once(
        out,
        "transplant",
        {
            "source": lesions.digest,
            "target": skin.digest,
            "config": config.model_dump(mode="json"),
        },
        lambda path: transplant_images(
            lesions, skin, config, path, force=force, workers=workers, progress=shown(progress)
        ),
        force,
    )
