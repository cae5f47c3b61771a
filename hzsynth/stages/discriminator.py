"""The discriminator of a generator's run, made ready for the audit to ask it."""

import torch

from hzsynth.audit.discriminator_attack import Judge
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.networks import build_discriminator, conditional_classes, to_float


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
    if not run.has_checkpoint:
        raise InputError(
            f"the run '{run.path}' has no discriminator any more (its checkpoint is gone): audit "
            "without `run`"
        )
    step, state = run.stored_checkpoint()
    config = GanConfig.from_sources(None, run.config)
    classes = conditional_classes(state["labels"])
    network = build_discriminator(config, classes)
    network.load_state_dict({**network.state_dict(), **state["discriminator"]})
    network = network.to(compute.device).eval().requires_grad_(False)

    def judged(view: torch.Tensor) -> torch.Tensor:
        # A class-conditional one is asked about every class: a member stands out in its own.
        observed = network.observe(view)
        told: list[torch.Tensor | None] = [
            torch.tensor([number], device=view.device) for number in range(classes)
        ]
        return torch.stack([network(observed, c).float().mean() for c in told or [None]]).mean()

    @torch.no_grad()
    def score(pixels: torch.Tensor) -> torch.Tensor:
        # One at a time: the residual discriminator looks at the spread within its batch.
        # With the mirror image, since half of the photographs were mirrored in training.
        scores = []
        for picture in to_float(pixels).to(compute.device).split(1):
            views = torch.cat([picture, picture.flip(3)])
            scores.append(torch.stack([judged(view) for view in views.split(1)]).mean())
        return torch.stack(scores)

    return Judge(run.id, run.training_images(), config.resolution, step, score)
