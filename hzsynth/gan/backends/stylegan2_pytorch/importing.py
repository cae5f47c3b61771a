"""A checkpoint of stylegan2-pytorch becomes a finished run, from which images are generated."""

from hzsynth.core.checkpoint import save_checkpoint
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import learned_from
from hzsynth.core.run import RunDir
from hzsynth.gan.backends.stylegan2_pytorch import StyleGAN2PyTorch
from hzsynth.gan.backends.stylegan2_pytorch.networks import PackageGenerator, PackageSettings
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import MODEL, MODEL_KIND
from hzsynth.gan.model_card import FILE as CARD
from hzsynth.gan.model_card import model_card
from hzsynth.gan.photographs import training_photographs


def imported_config(network: PackageGenerator, label: str) -> GanConfig:
    """The configuration that an imported run carries.

    Args:
        network: from `checkpoint.read_checkpoint`.
        label: the class that it makes.

    Raises:
        InputError: its resolution is none that this room knows.
    """
    settings = network.settings
    return GanConfig.from_sources(
        None,
        {
            "label": label,
            "resolution": settings.resolution,
            "backend": StyleGAN2PyTorch.name,
            "channel_multiplier": settings.capacity / PackageSettings(16).capacity,
        },
    )


def import_generator(
    network: PackageGenerator, images: ImageSet, config: GanConfig, run: RunDir
) -> None:
    """Stores an imported generator as a finished run.

    Args:
        network: from `checkpoint.read_checkpoint`.
        images: the set that it was trained on. The package keeps no list of it, and without one
            nothing could prove that no test photograph stands behind a generated image.
        config: from `imported_config`.
        run: a new run of kind ``gan``.

    Raises:
        InputError: the set has no real training image of the label.
    """
    photographs = training_photographs(images, config.label)
    run.record_training(learned_from([photographs]))
    labels = photographs.labels
    label = labels[0] if len(labels) == 1 else "all"
    state = {
        "config": config.model_dump(mode="json"),
        "labels": [label],
        "weights": network.state_dict(),
        **StyleGAN2PyTorch.kept_beside_weights(network),
    }
    save_checkpoint(run.path / MODEL, MODEL_KIND, state)
    count = len(photographs)
    result = {"labels": [label], "training_images": count, "imported": StyleGAN2PyTorch.name}
    atomic_write_text(run.path / CARD, model_card(run, result))
    run.finish(result)
