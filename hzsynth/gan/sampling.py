"""Sampling: a seed is an image, whatever the batch it is drawn in, with full provenance."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.utils import parametrize

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed
from hzsynth.gan.config import GanConfig
from hzsynth.gan.latent import latent_of_seeds
from hzsynth.gan.light import bake_spectral_norm
from hzsynth.gan.networks import (
    Generator,
    GeneratorNetwork,
    build_generator,
    to_uint8,
)
from hzsynth.gan.stylegan2 import StyleGAN2Generator

MODEL, MODEL_KIND = "model.safetensors", "gan-generator"
_MEAN_STYLE_SEEDS = 4096
_CUDA_PART = 16
_STREAM_PART = 64


class TrainedGenerator:
    """A generator that is ready to sample.

    Args:
        network: the averaged generator.
        compute: where.
        truncation: StyleGAN2: pulls every w towards the mean, 1 leaves it, 0 gives the mean.

    Raises:
        InputError: truncation is asked of a generator without w.
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        compute: Compute = CPU_FP32,
        truncation: float | None = None,
    ) -> None:
        if truncation is not None and not isinstance(network, StyleGAN2Generator):
            raise InputError(
                "--truncation works in the w space of generator stylegan2; "
                "this run has generator light"
            )
        self._network = network.eval().requires_grad_(False)
        self._compute = compute
        self._truncation = truncation
        # A convolution may round differently for another batch size or another place in the
        # batch, so each image is computed alone; a GPU wants full batches, of one fixed size.
        self._part = _CUDA_PART if compute.device.type == "cuda" else 1
        self._mean_style: torch.Tensor | None = None

    @torch.no_grad()
    def sample(self, seeds: Sequence[int]) -> torch.Tensor:
        """One image a seed.

        Args:
            seeds: whole numbers from 0.

        Returns:
            uint8 N x 3 x H x W on the CPU; bitwise the same for a seed in every call.
        """
        with parametrize.cached():
            parts = [
                self._part_of(seeds[i : i + self._part]) for i in range(0, len(seeds), self._part)
            ]
        if not parts:
            side = self._network.resolution
            return torch.empty(0, 3, side, side, dtype=torch.uint8)
        return torch.cat(parts)

    def _part_of(self, seeds: Sequence[int]) -> torch.Tensor:
        filled = [*seeds, *[seeds[-1]] * (self._part - len(seeds))]
        network = self._network
        latent = latent_of_seeds(filled, network.latent_width, network.noise_sizes)
        latent = latent.to(self._compute.device)
        with self._compute.autocast():
            if self._truncation is not None and isinstance(network, StyleGAN2Generator):
                mean = self._mean_of_styles(network)
                w = mean + self._truncation * (network.styles(latent.z) - mean)
                images = network.synthesise(w, latent.noise)
            else:
                images = network(latent)
        return to_uint8(images[: len(seeds)]).cpu().contiguous()

    def _mean_of_styles(self, network: StyleGAN2Generator) -> torch.Tensor:
        if self._mean_style is None:
            latent = latent_of_seeds(range(_MEAN_STYLE_SEEDS), network.latent_width, ())
            styles = network.styles(latent.z.to(self._compute.device))
            self._mean_style = styles.mean(dim=0, keepdim=True)
        return self._mean_style


def save_generator(path: Path, network: GeneratorNetwork, config: GanConfig, label: str) -> None:
    """Writes a generator with all that is needed to rebuild it.

    Args:
        path: the file.
        network: the averaged generator; its spectral norms are replaced by plain weights.
        config: the run's settings.
        label: class name of its images.
    """
    bake_spectral_norm(network)
    state = {
        "config": config.model_dump(mode="json"),
        "label": label,
        "weights": network.state_dict(),
    }
    save_checkpoint(path, MODEL_KIND, state)


def _read(run: RunDir) -> tuple[GeneratorNetwork, GanConfig, str]:
    path = run.path / MODEL
    if not path.is_file():
        raise InputError(
            f"'{run.path}' holds no trained generator yet: repeat its training command to resume it"
        )
    stored = load_checkpoint(path, MODEL_KIND)
    config = GanConfig.from_sources(None, stored["config"])
    network = build_generator(config)
    bake_spectral_norm(network)
    network.load_state_dict(stored["weights"])
    return network, config, stored["label"]


def load_generator(
    run: RunDir, compute: Compute = CPU_FP32, truncation: float | None = None
) -> Generator:
    """The trained generator of a run.

    Args:
        run: a finished GAN run.
        compute: where.
        truncation: see `TrainedGenerator`.

    Returns:
        The generator.

    Raises:
        InputError: the run has no generator yet, or its file is damaged.
    """
    network, _, _ = _read(run)
    return TrainedGenerator(network.to(compute.device), compute, truncation)


def generate(
    run: RunDir,
    count: int,
    out: Path,
    *,
    seed: int = 0,
    truncation: float | None = None,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
) -> ImageSet:
    """Writes new images as an ImageSet, in bounded memory.

    Args:
        run: a finished GAN run.
        count: number of images.
        out: the new set.
        seed: root of the images' seeds; image i is the same whatever `count` is.
        truncation: see `TrainedGenerator`.
        compute: where.
        progress: shows the work.

    Returns:
        The set. Every row holds the run's id and the seed that `Generator.sample` makes it
        from. A GAN image descends from the whole training list, which travels as the set's
        lineage, so `parents` is empty.

    Raises:
        InputError: no trained generator, a count below 1, or a place that cannot be written to.
    """
    if count < 1:
        raise InputError(f"--count is a whole number from 1, not {count}")
    network, config, label = _read(run)
    generator = TrainedGenerator(network.to(compute.device), compute, truncation)
    seeds = [derive_seed(seed, "gan-generate", i) for i in range(count)]
    training_images = run.training_images()
    with ImageSetWriter(out) as writer, progress.task("generating", count, unit="img") as task:
        for start in range(0, count, _STREAM_PART):
            part = seeds[start : start + _STREAM_PART]
            pixels = generator.sample(part).permute(0, 2, 3, 1).numpy()
            for image_seed, image in zip(part, pixels, strict=True):
                writer.add(
                    image,
                    label=label,
                    source=f"gan {config.generator}",
                    origin="stylegan2",
                    run=run.id,
                    seed=image_seed,
                )
            task.advance(len(part))
        writer.add_lineage(run.id, training_images)
    return writer.images
