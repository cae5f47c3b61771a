"""Sampling: a seed is an image, whatever the batch it is drawn in, with full provenance."""

from collections.abc import Mapping, Sequence
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
from hzsynth.gan.lucidrains import stored_generator
from hzsynth.gan.networks import (
    Generator,
    GeneratorNetwork,
    StyledGenerator,
    build_generator,
    conditional_classes,
    to_uint8,
)

MODEL, LAST, MODEL_KIND = "model.safetensors", "last.safetensors", "gan-generator"
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
        if truncation is not None and not isinstance(network, StyledGenerator):
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
        self._mean_styles: torch.Tensor | None = None

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], classes: Sequence[int] | None = None) -> torch.Tensor:
        """One image a seed.

        Args:
            seeds: whole numbers from 0.
            classes: of a class-conditional generator: the class of each image, a place in the
                list of its labels.

        Returns:
            uint8 N x 3 x H x W on the CPU; bitwise the same for a seed (and class) in every call.
        """
        if self._network.classes and classes is None:
            raise ValueError("a class-conditional generator is told which class to make")
        told = classes if self._network.classes else None
        with parametrize.cached():
            parts = [
                self._part_of(
                    seeds[i : i + self._part], None if told is None else told[i : i + self._part]
                )
                for i in range(0, len(seeds), self._part)
            ]
        if not parts:
            side = self._network.resolution
            return torch.empty(0, 3, side, side, dtype=torch.uint8)
        return torch.cat(parts)

    def _part_of(self, seeds: Sequence[int], classes: Sequence[int] | None) -> torch.Tensor:
        missing = self._part - len(seeds)
        filled = [*seeds, *[seeds[-1]] * missing]
        told = None if classes is None else [*classes, *[classes[-1]] * missing]
        network = self._network
        latent = latent_of_seeds(filled, network.latent_width, network.noise_sizes, told)
        latent = latent.to(self._compute.device)
        with self._compute.autocast():
            if self._truncation is not None and isinstance(network, StyledGenerator):
                mean = self._means_of_styles(network)
                mean = mean[latent.classes] if latent.classes is not None else mean
                w = mean + self._truncation * (network.styles(latent.z, latent.classes) - mean)
                images = network.synthesise(w, latent.noise)
            else:
                images = network(latent)
        return to_uint8(images[: len(seeds)]).cpu().contiguous()

    def _means_of_styles(self, network: StyledGenerator) -> torch.Tensor:
        """The mean w of every class (of all images, if it is told none): C x layers x D."""
        if self._mean_styles is None:
            z = latent_of_seeds(range(_MEAN_STYLE_SEEDS), network.latent_width, ()).z
            z = z.to(self._compute.device)
            told: list[torch.Tensor | None] = [
                torch.full((len(z),), number, device=z.device) for number in range(network.classes)
            ]
            means = [network.styles(z, classes).mean(dim=0) for classes in told or [None]]
            self._mean_styles = torch.stack(means)
        return self._mean_styles


def save_generator(
    path: Path, weights: Mapping[str, torch.Tensor], config: GanConfig, labels: Sequence[str]
) -> None:
    """Writes a generator with all that is needed to rebuild it.

    Args:
        path: the file.
        weights: state of the averaged generator; plain weights are stored for its spectral norms.
        config: the run's settings.
        labels: class names of its images: several for a class-conditional generator.
    """
    # In training mode the spectral norm would go on iterating while it is baked.
    network = build_generator(config, conditional_classes(labels)).eval()
    network.load_state_dict(weights)
    bake_spectral_norm(network)
    state = {
        "config": config.model_dump(mode="json"),
        "labels": list(labels),
        "weights": network.state_dict(),
    }
    save_checkpoint(path, MODEL_KIND, state)


def _read(run: RunDir) -> tuple[GeneratorNetwork, GanConfig, tuple[str, ...]]:
    path = run.path / MODEL
    if not path.is_file():
        raise InputError(
            f"'{run.path}' holds no trained generator yet: repeat its training command to resume it"
        )
    stored = load_checkpoint(path, MODEL_KIND)
    config = GanConfig.from_sources(None, stored["config"])
    labels = tuple(stored["labels"])
    network: GeneratorNetwork | None = stored_generator(stored)
    if network is None:
        network = build_generator(config, conditional_classes(labels))
    bake_spectral_norm(network)
    network.load_state_dict(stored["weights"])
    return network, config, labels


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
    label: str | None = None,
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
        label: the class to make; by default a class-conditional generator makes its classes in
            turn, equally many of each.
        truncation: see `TrainedGenerator`.
        compute: where.
        progress: shows the work.

    Returns:
        The set. Every row holds the run's id and the seed that `Generator.sample` makes it
        from. A GAN image descends from the whole training list, which travels as the set's
        lineage, so `parents` is empty.

    Raises:
        InputError: no trained generator, a count below 1, a class that it did not learn, or a place
            that cannot be written to.
    """
    if count < 1:
        raise InputError(f"--count is a whole number from 1, not {count}")
    network, config, labels = _read(run)
    if label is not None and label not in labels:
        raise InputError(f"'{run.path}' makes {', '.join(labels)}, not '{label}'")
    made = [labels.index(label)] if label is not None else list(range(len(labels)))
    generator = TrainedGenerator(network.to(compute.device), compute, truncation)
    seeds = [derive_seed(seed, "gan-generate", i) for i in range(count)]
    source = config.backend if config.backend != "native" else config.generator
    training_images = run.training_images()
    with ImageSetWriter(out) as writer, progress.task("generating", count, unit="img") as task:
        for start in range(0, count, _STREAM_PART):
            part = seeds[start : start + _STREAM_PART]
            classes = [made[number % len(made)] for number in range(start, start + len(part))]
            pixels = generator.sample(part, classes).permute(0, 2, 3, 1).numpy()
            for image_seed, number, image in zip(part, classes, pixels, strict=True):
                writer.add(
                    image,
                    label=labels[number],
                    source=f"gan {source}",
                    origin="stylegan2",
                    run=run.id,
                    seed=image_seed,
                )
            task.advance(len(part))
        writer.add_lineage(run.id, training_images)
    return writer.images
