"""Sampling: a seed is an image, whatever the batch it is drawn in, with full provenance."""

from collections.abc import Callable, Mapping, Sequence
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
from hzsynth.gan.latent import Latent, latent_of_seeds
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
_MOST_TRIES = 20

Keep = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Images uint8 N x 3 x H x W and their classes, int64 N -> which may stay, bool N."""


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

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self._network.resolution

    @property
    def layers(self) -> int:
        """Number of w vectors an image takes; 0 of a generator without w."""
        network = self._network
        return network.layers if isinstance(network, StyledGenerator) else 0

    @torch.no_grad()
    def codes(self, seeds: Sequence[int], number: int | None = None) -> torch.Tensor:
        """What the images of some seeds are made from, beside their noise.

        Args:
            seeds: one at least.
            number: of a class-conditional generator: the class.

        Returns:
            w of N x layers x D, truncated; of a generator without w: z of N x D, whose length means
            nothing.
        """
        parts = []
        for start in range(0, len(seeds), self._part):
            part = seeds[start : start + self._part]
            latent = self._filled(part, None if number is None else [number] * len(part))
            with self._compute.autocast():
                parts.append(self._codes_of(latent)[: len(part)].float())
        return torch.cat(parts)

    @torch.no_grad()
    def render(
        self, codes: torch.Tensor, noise_seed: int, number: int | None = None
    ) -> torch.Tensor:
        """One image a code, all with the noise of one seed.

        Args:
            codes: as `codes` gives them, one at least.
            noise_seed: the seed.
            number: of a class-conditional generator: the class.

        Returns:
            uint8 N x 3 x H x W on the CPU; a seed's code with its own noise gives what `sample` does.
        """
        told = None if number is None else [number] * self._part
        latent = self._filled([noise_seed] * self._part, told)
        images = []
        for part in codes.split(self._part):
            filled = torch.cat([part, part[-1:].expand(self._part - len(part), *part.shape[1:])])
            with self._compute.autocast():
                made = self._images_of(filled, latent)
            images.append(made[: len(part)].cpu().contiguous())
        return torch.cat(images)

    def _part_of(self, seeds: Sequence[int], classes: Sequence[int] | None) -> torch.Tensor:
        latent = self._filled(seeds, classes)
        with self._compute.autocast():
            images = self._images_of(self._codes_of(latent), latent)
        return images[: len(seeds)].cpu().contiguous()

    def _filled(self, seeds: Sequence[int], classes: Sequence[int] | None) -> Latent:
        """The latents of a full batch, whose last ones repeat the last seed."""
        missing = self._part - len(seeds)
        filled = [*seeds, *[seeds[-1]] * missing]
        told = None if classes is None else [*classes, *[classes[-1]] * missing]
        network = self._network
        latent = latent_of_seeds(filled, network.latent_width, network.noise_sizes, told)
        return latent.to(self._compute.device)

    def _codes_of(self, latent: Latent) -> torch.Tensor:
        """Truncated w of N x layers x D; without w: z of N x D."""
        network = self._network
        if not isinstance(network, StyledGenerator):
            return latent.z
        w = network.styles(latent.z, latent.classes)
        if self._truncation is None:
            return w
        mean = self.mean_styles()
        mean = mean[latent.classes] if latent.classes is not None else mean
        return mean + self._truncation * (w - mean)

    def _images_of(self, codes: torch.Tensor, latent: Latent) -> torch.Tensor:
        """The images of codes with a latent's noise and classes, uint8 N x 3 x H x W."""
        network = self._network
        if isinstance(network, StyledGenerator):
            return to_uint8(network.synthesise(codes, latent.noise))
        return to_uint8(network(Latent(codes, latent.noise, latent.classes)))

    @torch.no_grad()
    def mean_styles(self) -> torch.Tensor:
        """The mean w of every class (of all images, if it is told none): C x layers x D.

        Only of a generator with w.
        """
        network = self._network
        assert isinstance(network, StyledGenerator)  # callers have looked
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


def read_generator(run: RunDir) -> tuple[GeneratorNetwork, GanConfig, tuple[str, ...]]:
    """The network of a run, on the CPU with plain weights, its settings and its class names.

    Raises:
        InputError: the run has no generator yet, or its file is damaged.
    """
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
    try:
        network.load_state_dict(stored["weights"])
    except RuntimeError:
        raise InputError(
            f"'{path}' holds other networks than this hzsynth builds from its settings: it was written "
            "by another version"
        ) from None
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
    network, _, _ = read_generator(run)
    return TrainedGenerator(network.to(compute.device), compute, truncation)


def network_of_class(run: RunDir, label: str | None) -> tuple[GeneratorNetwork, int | None]:
    """The network of a run and the number of the one class that it is to make.

    Args:
        run: a finished GAN run.
        label: the class; may be left out where the generator is not told one.

    Returns:
        The network on the CPU, and the class's number for a class-conditional one, else None.

    Raises:
        InputError: the run has no generator yet, or its file is damaged; a class that it did not
            learn, or none where one has to be named.
    """
    network, _, labels = read_generator(run)
    if label is not None and label not in labels:
        raise InputError(f"'{run.path}' makes {', '.join(labels)}, not '{label}'")
    if label is None and network.classes:
        raise InputError(f"name the class with --label: '{run.path}' makes {', '.join(labels)}")
    number = labels.index(label) if label is not None and network.classes else None
    return network, number


def open_generator(
    run: RunDir,
    label: str | None = None,
    compute: Compute = CPU_FP32,
    truncation: float | None = None,
) -> tuple[TrainedGenerator, int | None]:
    """The trained generator of a run and the one class that it is to make.

    Args:
        run: a finished GAN run.
        label: the class; may be left out where the generator is not told one.
        compute: where.
        truncation: see `TrainedGenerator`.

    Returns:
        The generator, and the number of the class for a class-conditional one, else None.

    Raises:
        InputError: the run has no generator yet, or its file is damaged; a class that it did not
            learn, or none where one has to be named.
    """
    network, number = network_of_class(run, label)
    return TrainedGenerator(network.to(compute.device), compute, truncation), number


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
        raise InputError(f"--count is a whole number from 1, not {count}")
    network, config, labels = read_generator(run)
    if label is not None and label not in labels:
        raise InputError(f"'{run.path}' makes {', '.join(labels)}, not '{label}'")
    made = [labels.index(label)] if label is not None else list(range(len(labels)))
    generator = TrainedGenerator(network.to(compute.device), compute, truncation)
    source = config.backend if config.backend != "native" else config.generator
    training_images = run.training_images()
    wanted = [count // len(made) + (place < count % len(made)) for place in range(len(made))]
    lacking = dict(zip(made, wanted, strict=True))
    most = count if keep is None else _MOST_TRIES * count + _STREAM_PART
    tried = 0
    with ImageSetWriter(out) as writer, progress.task("generating", count, unit="img") as task:
        while any(lacking.values()):
            if tried >= most:
                raise InputError(
                    f"only {count - sum(lacking.values())} of {tried} generated images may stay: "
                    "train on, choose another truncation, or reject less"
                )
            numbers = range(tried, min(tried + _STREAM_PART, most))
            part = [derive_seed(seed, "gan-generate", number) for number in numbers]
            classes = [made[number % len(made)] for number in numbers]
            pixels = generator.sample(part, classes)
            stays = [True] * len(part)
            if keep is not None:
                stays = keep(pixels, torch.tensor(classes)).tolist()
            written = 0
            for image_seed, number, image, stay in zip(part, classes, pixels, stays, strict=True):
                if not stay or not lacking[number]:
                    continue
                lacking[number] -= 1
                written += 1
                writer.add(
                    image.permute(1, 2, 0).numpy(),
                    label=labels[number],
                    source=f"gan {source}",
                    origin="stylegan2",
                    run=run.id,
                    seed=image_seed,
                )
            tried += len(part)
            task.advance(written)
        writer.add_lineage(run.id, training_images)
    return writer.images
