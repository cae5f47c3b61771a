"""Projection: the latent code whose image comes nearest to a photograph.

A generator that shows a photograph again without having learned from it has learned what such
photographs look like; one that shows its training photographs far better than others has learned them by
heart. Written from Karras et al. 2020 (arXiv:1912.04958, appendix D), with three changes: the search
begins at the best of many random codes instead of the mean w, since tens of photographs leave a
w space with hills; several beginnings are followed side by side; and the noise images are zero, so that the
photograph has to be in w. A generator without w is searched in z.

The distance is the perceptual one of Zhang et al. 2018 (arXiv:1801.03924, uncalibrated): squared
differences of unit-length feature vectors at four depths of a frozen network, here EfficientNet-Lite0.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from hzsynth.core.checkpoint import save_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_bytes, atomic_write_text, replacing_folder
from hzsynth.core.image_files import encode_png
from hzsynth.core.photos import decode_image, square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import torch_generator
from hzsynth.gan.config import ProjectionConfig
from hzsynth.gan.generator_files import network_of_class
from hzsynth.gan.interfaces import GeneratorNetwork
from hzsynth.gan.networks import to_float, to_uint8
from hzsynth.gan.projected_discriminator import FrozenFeatures
from hzsynth.report.contact_sheet import comparison_rows

CODES, TABLE, SHEET, CODES_KIND = (
    "codes.safetensors",
    "projection.json",
    "projection.png",
    "gan-codes",
)
_AT_ONCE = 32
_RAMP_UP, _RAMP_DOWN = 0.05, 0.25
_WANDERING, _STILL_FROM = 0.05, 0.75
_SHOWN_DIFFERENCE = 4
_SHOWN_SIDE = 192


@dataclass(frozen=True)
class Projection:
    """A photograph and its nearest image.

    Attributes:
        name: of the photograph.
        target: the photograph as the generator would make it, uint8 3 x S x S.
        nearest: the best of the random codes' images, likewise.
        image: the image that was found, likewise.
        code: D values of w, or of z.
        perceptual: distance of `image` to `target`; 0 for equal images.
        perceptual_before: the same of `nearest`.
        grey_levels: root mean square difference of pixel values, in [0, 255].
    """

    name: str
    target: torch.Tensor
    nearest: torch.Tensor
    image: torch.Tensor
    code: torch.Tensor
    perceptual: float
    perceptual_before: float
    grey_levels: float

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB; infinite for equal images."""
        return (
            float("inf") if self.grey_levels == 0 else 20 * float(np.log10(255 / self.grey_levels))
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "file": self.name,
            "perceptual": self.perceptual,
            "perceptual_before": self.perceptual_before,
            "grey_levels": self.grey_levels,
            "psnr": self.psnr if np.isfinite(self.psnr) else None,
        }


class PerceptualDistance:
    """How different images look from one photograph.

    Args:
        target: float 1 x 3 x S x S in [-1, 1].
        features: the frozen network.
    """

    def __init__(self, target: torch.Tensor, features: FrozenFeatures) -> None:
        self._features = features
        with torch.no_grad():
            self._maps = self._unit(target)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x S x S in [-1, 1] -> N distances."""
        parts = [
            (a - b).square().sum(dim=1).mean(dim=(1, 2))
            for a, b in zip(self._unit(images), self._maps, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def _unit(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [functional.normalize(m.float(), dim=1) for m in self._features(images)]


class Projector:
    """Searches codes of one generator.

    Args:
        network: the generator, in evaluation mode and frozen.
        config: the settings.
        number: the class to make, for a class-conditional generator.
        compute: where.
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        config: ProjectionConfig,
        number: int | None = None,
        compute: Compute = CPU_FP32,
    ) -> None:
        self._network, self._config, self._number = network, config, number
        self._device = compute.device
        self._features = FrozenFeatures().to(compute.device).eval()
        generator = torch_generator(config.seed, "gan-project", "candidates")
        z = torch.randn(config.candidates, network.latent_width, generator=generator)
        z = z.to(self._device)
        with torch.no_grad():
            self._candidates = network.code(z, self._classes(len(z)))
        self._spread = self._candidates.std(dim=0, correction=0) if len(z) > 1 else None

    def _classes(self, count: int) -> torch.Tensor | None:
        if self._number is None:
            return None
        return torch.full((count,), self._number, device=self._device)

    def images(self, codes: torch.Tensor) -> torch.Tensor:
        """The images of codes without noise: N x D -> N x 3 x S x S in [-1, 1]."""
        network, count = self._network, len(codes)
        noise = tuple(torch.zeros(count, 1, s, s, device=self._device) for s in network.noise_sizes)
        return network.synthesise(network.repeated(codes), noise, self._classes(count))

    def __call__(self, name: str, target: torch.Tensor, progress: Progress = SILENT) -> Projection:
        """Projects one photograph.

        Args:
            name: of the photograph.
            target: uint8 3 x S x S, as large as the generator's images.
            progress: shows the work.
        """
        config = self._config
        wanted = to_float(target[None]).to(self._device)
        distance = PerceptualDistance(wanted, self._features)

        def loss(images: torch.Tensor) -> torch.Tensor:
            pixels = (images - wanted).square().mean(dim=(1, 2, 3))
            return distance(images) + config.pixel_weight * pixels

        with torch.no_grad():
            before = torch.cat(
                [loss(self.images(part)) for part in self._candidates.split(_AT_ONCE)]
            )
        starts = before.argsort()[: config.starts]
        best, reached = self._candidates[starts].clone(), before[starts].clone()
        codes = best.clone().requires_grad_()
        optimiser = torch.optim.Adam([codes], config.rate)
        wandering = torch_generator(config.seed, "gan-project", "wandering")
        with progress.task(f"projecting {name}", config.steps, unit="step") as task:
            for step in range(config.steps):
                share = step / config.steps
                optimiser.param_groups[0]["lr"] = config.rate * ramp(share)
                tried = codes + self._wander(codes, share, wandering)
                found = loss(self.images(tried))
                optimiser.zero_grad()
                found.sum().backward()
                with torch.no_grad():
                    better = found < reached
                    best[better], reached[better] = tried[better], found[better]
                optimiser.step()
                task.advance(1)
        with torch.no_grad():
            code = best[reached.argmin(), None]
            image, nearest = self.images(code), self.images(self._candidates[starts[:1]])
            shown = to_uint8(image)[0].cpu()
            return Projection(
                name,
                target,
                to_uint8(nearest)[0].cpu(),
                shown,
                code[0].cpu(),
                float(distance(image)),
                float(distance(nearest)),
                float((shown.double() - target.double()).square().mean().sqrt()),
            )

    def _wander(
        self, codes: torch.Tensor, share: float, generator: torch.Generator
    ) -> torch.Tensor | float:
        """Noise on the codes that ceases at three quarters of the way: out of small valleys."""
        strength = _WANDERING * max(0.0, 1.0 - share / _STILL_FROM) ** 2
        if self._spread is None or strength == 0.0:
            return 0.0
        return strength * self._spread * torch.randn(codes.shape, generator=generator).to(codes)


def ramp(share: float) -> float:
    """The learning rate's factor: up in a twentieth of the way, down by a cosine in the last quarter."""
    down = min(1.0, (1.0 - share) / _RAMP_DOWN)
    return min(1.0, share / _RAMP_UP + 0.02) * float(0.5 - 0.5 * np.cos(down * np.pi))


def project(
    run: RunDir,
    files: Sequence[Path],
    out: Path,
    config: ProjectionConfig,
    *,
    label: str | None = None,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
) -> tuple[Projection, ...]:
    """Projects photographs and writes what was found.

    Args:
        run: a finished GAN run.
        files: photographs of any size; their central squares are projected.
        out: the new folder: ``projection.png`` shows photographs and images, ``projection.json`` holds the
            figures, ``codes.safetensors`` the codes.
        config: the settings.
        label: the class, for a class-conditional generator.
        compute: where.
        progress: shows the work.

    Returns:
        One projection a photograph.

    Raises:
        InputError: no file, one that cannot be read, a class that the generator did not learn (or none where
            one has to be named), or a place that cannot be written to.
    """
    network, number = network_of_class(run, label)
    side = network.resolution
    if not files:
        raise InputError("there is no photograph to project")
    targets = [(file.name, _photograph(file, side)) for file in files]
    network = network.to(compute.device).eval().requires_grad_(False)
    found: list[Projection] = []
    with replacing_folder(out) as folder:
        projector = Projector(network, config, number, compute)
        for name, target in targets:
            found.append(projector(name, target, progress))
        codes = {"codes": torch.stack([p.code for p in found])}
        save_checkpoint(
            folder / CODES,
            CODES_KIND,
            {**codes, "run": run.id, "space": network.space, "label": label or ""},
        )
        table = {"run": run.id, "space": network.space, "photographs": [p.to_json() for p in found]}
        atomic_write_text(folder / TABLE, json.dumps(table, indent=2, ensure_ascii=False))
        atomic_write_bytes(folder / SHEET, sheet(found))
    return tuple(found)


def _photograph(file: Path, side: int) -> torch.Tensor:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror}") from error
    return torch.from_numpy(square(decode_image(data, str(file)), side).copy()).permute(2, 0, 1)


def sheet(found: Sequence[Projection]) -> bytes:
    """A PNG with a column for each photograph: itself, the best random image, what was found, the difference."""
    images = torch.stack([p.image for p in found])
    targets = torch.stack([p.target for p in found])
    difference = (images.int() - targets.int()).abs() * _SHOWN_DIFFERENCE
    rows = {
        "photograph": targets,
        "nearest of the random images": torch.stack([p.nearest for p in found]),
        "projection": images,
        f"their difference x {_SHOWN_DIFFERENCE}": difference.clamp(0, 255).to(torch.uint8),
    }
    larger = max(1, _SHOWN_SIDE // images.shape[-1])
    rows = {
        title: part.repeat_interleave(larger, 2).repeat_interleave(larger, 3)
        for title, part in rows.items()
    }
    captions = [f"{p.name}: {p.perceptual:.2f}" for p in found]
    return encode_png(comparison_rows(rows, columns=len(found), captions=captions))
