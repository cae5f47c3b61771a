"""A generator that samples: a seed is an image, whatever the batch it is drawn in."""

from collections.abc import Sequence

import torch
from torch.nn.utils import parametrize

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.gan.interfaces import GeneratorNetwork
from hzsynth.gan.latent import Latent, latent_of_seeds
from hzsynth.gan.networks import to_uint8

_MEAN_STYLE_SEEDS = 4096
_CUDA_PART = 16


class TrainedGenerator:
    """A generator that is ready to sample.

    Args:
        network: the averaged generator.
        compute: where.
        truncation: pulls every w towards the mean, 1 leaves it, 0 gives the mean.

    Raises:
        InputError: truncation is asked of a generator without w.
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        compute: Compute = CPU_FP32,
        truncation: float | None = None,
    ) -> None:
        if truncation is not None and not network.has_styles:
            raise InputError(
                "`truncation` works in a w space, which the light generator has not: train with "
                "`generator` stylegan2"
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
        return self._network.layers

    @property
    def has_styles(self) -> bool:
        """Whether it has a w space."""
        return self._network.has_styles

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
        codes = self._network.codes(latent.z, latent.classes)
        if self._truncation is None:
            return codes
        mean = self.mean_styles()
        mean = mean[latent.classes] if latent.classes is not None else mean
        return mean + self._truncation * (codes - mean)

    def _images_of(self, codes: torch.Tensor, latent: Latent) -> torch.Tensor:
        """The images of codes with a latent's noise and classes, uint8 N x 3 x H x W."""
        return to_uint8(self._network.synthesise(codes, latent.noise, latent.classes))

    @torch.no_grad()
    def mean_styles(self) -> torch.Tensor:
        """The mean w of every class (of all images, if it is told none): C x layers x D.

        Only of a generator with w.
        """
        network = self._network
        if self._mean_styles is None:
            z = latent_of_seeds(range(_MEAN_STYLE_SEEDS), network.latent_width, ()).z
            z = z.to(self._compute.device)
            told: list[torch.Tensor | None] = [
                torch.full((len(z),), number, device=z.device) for number in range(network.classes)
            ]
            means = [network.codes(z, classes).mean(dim=0) for classes in told or [None]]
            self._mean_styles = torch.stack(means)
        return self._mean_styles
