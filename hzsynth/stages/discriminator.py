"""The discriminator of a generator's run, made ready for the audit to ask it."""

from hzsynth.audit.discriminator_attack import Judge
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.trained_discriminator import load_discriminator


def open_discriminator(run: RunDir, generated: ImageSet, compute: Compute) -> Judge:
    """The discriminator of a run's last checkpoint.

    Args:
        run: of a generator.
        generated: images that the run made.
        compute: where it is asked.

    Returns:
        The discriminator, with the photographs that the run learned from.

    Raises:
        InputError: no GAN run, it did not make these images, or its discriminator is gone.
    """
    if run.id not in {record.run for record in generated} | set(generated.lineage):
        raise InputError(
            f"none of the generated images was made by the run '{run.path}' ({run.id})"
        )
    asked = load_discriminator(run, compute)
    return Judge(run.id, run.training_images(), asked.resolution, asked.step, asked.score)
