"""Generators: what suits the photographs, a run from the photographs, a run from another's file."""

from pathlib import Path

from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.tracking import open_tracker
from hzsynth.gan import training
from hzsynth.gan.backends.stylegan2_pytorch.checkpoint import read_checkpoint
from hzsynth.gan.backends.stylegan2_pytorch.importing import import_generator, imported_config
from hzsynth.gan.config import GanConfig
from hzsynth.gan.photographs import training_photographs
from hzsynth.gan.presets import PresetName, choose_preset
from hzsynth.stages.classes import known_label
from hzsynth.stages.places import Place

KIND = "gan"
ALL = "all"


def suggested_preset(images: ImageSet, label: str, compute: Compute) -> tuple[PresetName, str]:
    """The preset that suits the photographs and the machine, and why.

    Args:
        images: the photographs.
        label: the class to learn, or ``all``.
        compute: where will be computed.

    Returns:
        Its name and a sentence.

    Raises:
        InputError: the set has no such class, or no photographs to learn from.
    """
    known_label(images, label, (ALL,))
    count = len(training_photographs(images, label))
    return choose_preset(count, compute.device.type == "cuda")


def train_gan(
    images: ImageSet,
    config: GanConfig,
    place: Place,
    *,
    compute: Compute,
    tracker: str = "none",
    progress: Progress = SILENT,
) -> RunDir:
    """Trains a generator on the train split, or goes on where the run left off.

    Args:
        images: the photographs.
        config: the settings.
        place: where the run lies.
        compute: device and precision.
        tracker: ``none`` or ``tensorboard``.
        progress: where progress is shown.

    Returns:
        The finished run; alarms are said.

    Raises:
        InputError: see `gan.training.train_gan`.
        RefusedError: a photograph to learn from touches a held-out one.
    """
    known_label(images, config.label, (ALL,))
    inputs = {"images": images.digest}
    if config.init is not None:
        inputs["init"] = RunDir.load(config.init, KIND).id
    with place.run(KIND, config, inputs) as run:
        if run.finished:
            return run
        if place.processes.is_main:
            run.mirror_metrics(open_tracker(tracker, run.path))
        result = training.train_gan(
            images, config, run, compute=compute, progress=progress, processes=place.processes
        )
    for alarm in result.alarms:
        place.say(f"ALARM {alarm}")
    return run


def import_gan(checkpoint: Path, images: ImageSet, label: str, place: Place) -> RunDir:
    """Makes a finished run of a checkpoint of stylegan2-pytorch.

    Args:
        checkpoint: its ``model_N.pt``.
        images: what it was trained on.
        label: the class that it makes, or ``all``.
        place: where the run lies.

    Returns:
        The run.

    Raises:
        InputError: the file is none of that package, or the set has no such class.
    """
    network = read_checkpoint(checkpoint)
    known_label(images, label, (ALL,))
    config = imported_config(network, label)
    with place.run(KIND, config, {"images": images.digest}) as run:
        if not run.finished:
            import_generator(network, images, config, run)
    return run
