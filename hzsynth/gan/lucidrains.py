"""The networks of stylegan2-pytorch 1.9.0 (MIT) behind this room's interfaces.

The package's `StyleVectorizer`, `Generator` and `Discriminator` train under our loop (CPU,
exact resume, stopping), with the package's losses; its checkpoints give a generator to
sample from. The package asserts CUDA when it is imported and works on images in [0, 1], judged
low where they look real: both ends here, and images are in [-1, 1], logits high for reals.
"""

import importlib
import json
import math
import pickle
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import torch
from torch import nn

# Before torchvision, which the package imports.
import hzsynth.nets  # noqa: F401
from hzsynth.core.errors import InputError
from hzsynth.gan import losses
from hzsynth.gan.latent import Latent

VERSION = "1.9.0"
INSTALL = (
    "pip install 'hzsynth[stylegan2-pytorch]' && "
    f"pip install --no-deps stylegan2-pytorch=={VERSION}"
)

GENERATOR_RATE = 2e-4
DISCRIMINATOR_RATE = 4e-4
ADAM_BETAS = (0.5, 0.9)
STYLE_MIXING = 0.9
GRADIENT_PENALTY_INTERVAL = 4
PATH_LENGTH_INTERVAL = 32
PATH_LENGTH_START = 5000

_GRADIENT_PENALTY = 10.0
_PATH_LENGTH_DECAY = 0.01
_NEEDED = ("einops", "kornia.filters", "torchvision", "vector_quantize_pytorch")
_UNNEEDED = ("aim", "fire")
"""Imported at the package's top for its own trainer and command line alone. aim is an experiment
tracker of 150 MB that also reports its use; neither touches a network."""


@cache
def import_package() -> ModuleType:
    """Imports the package's module, on machines without CUDA too.

    Returns:
        ``stylegan2_pytorch.stylegan2_pytorch``.

    Raises:
        InputError: the package or one that its networks need is not installed.
    """
    before = torch.cuda.is_available
    absent = [name for name in _UNNEEDED if name not in sys.modules]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in _NEEDED:
                importlib.import_module(name)
            sys.modules.update({name: ModuleType(name) for name in absent})
            torch.cuda.is_available = lambda: True
            return importlib.import_module("stylegan2_pytorch.stylegan2_pytorch")
    except ImportError as error:
        raise InputError(
            f"the networks of stylegan2-pytorch need {error.name}, which is not installed: {INSTALL}"
        ) from None
    finally:
        torch.cuda.is_available = before
        for name in absent:
            sys.modules.pop(name, None)


@dataclass(frozen=True)
class LucidrainsSettings:
    """The package's own settings of its networks, with its defaults.

    Attributes:
        resolution: side of the images in pixels, a power of two.
        latent_width: length of z and w.
        mapping_layers: depth of the mapping network.
        mapping_rate: its learning-rate multiplier.
        capacity: half of the generator's channels at full size, a quarter of the discriminator's.
        widest: most channels of a layer.
        attention_layers: numbers of the layers with attention.
        constant_start: the generator starts from a learned constant rather than from w.
    """

    resolution: int
    latent_width: int = 512
    mapping_layers: int = 8
    mapping_rate: float = 0.1
    capacity: int = 16
    widest: int = 512
    attention_layers: tuple[int, ...] = ()
    constant_start: bool = True

    @classmethod
    def scaled(cls, resolution: int, multiplier: float) -> "LucidrainsSettings":
        """The defaults with all channel counts multiplied."""
        capacity, widest = max(1, round(16 * multiplier)), max(8, round(512 * multiplier))
        return cls(resolution, capacity=capacity, widest=widest)


SETTINGS_KEY = "their_settings"
"""Where a stored generator keeps the package's own settings, some of which ours lack."""


def stored_generator(stored: Mapping[str, Any]) -> "LucidrainsGenerator | None":
    """The network of an imported generator, with fresh weights; None for one of our own runs.

    Args:
        stored: what ``model.safetensors`` holds.

    Raises:
        InputError: the package is not installed.
    """
    settings = stored.get(SETTINGS_KEY)
    return None if settings is None else LucidrainsGenerator(LucidrainsSettings(**settings))


class ColourFromScratch:
    """The package's generators start from their own colours, whatever the reals' are."""

    def set_colour(self, mean: torch.Tensor) -> None:
        """Does nothing; `mean` holds three values in [-1, 1]."""


class _PlainLayout(nn.Module):
    """A module whose weights stay in the layout that the package gives them.

    With channels last, torch 2.13 on a CPU writes beyond its memory in the gradient of a 1 x 1
    convolution of stride 2 that has 2 to 7 input channels and an even size, and the process dies:
    the discriminator's first shortcut is one.
    """

    def to(self, *args: Any, **settings: Any) -> Self:
        """As every module's, but for the layout."""
        settings.pop("memory_format", None)
        return super().to(*args, **settings)


class LucidrainsGenerator(_PlainLayout):
    """`StyleVectorizer` and `Generator` of the package, with its initial weights.

    Args:
        settings: the networks' settings.

    Attributes:
        latent_width: length of z.
        noise_sizes: one noise image of full size; every layer takes a corner of it.
        layers: number of w vectors an image takes.
        classes: 0, the package has no class-conditional networks.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self, settings: LucidrainsSettings) -> None:
        super().__init__()
        package = import_package()
        self.settings = settings
        self.resolution = settings.resolution
        self.latent_width = settings.latent_width
        self.noise_sizes = (settings.resolution,)
        self.classes = 0
        self.colour = ColourFromScratch()
        self.mapping = package.StyleVectorizer(
            settings.latent_width, settings.mapping_layers, lr_mul=settings.mapping_rate
        )
        self.synthesis = package.Generator(
            settings.resolution,
            settings.latent_width,
            settings.capacity,
            attn_layers=settings.attention_layers,
            no_const=not settings.constant_start,
            fmap_max=settings.widest,
        )
        self.layers: int = self.synthesis.num_layers
        _initialise(self)
        for block in self.synthesis.blocks:
            for noise in (block.to_noise1, block.to_noise2):
                nn.init.zeros_(noise.weight)
                nn.init.zeros_(noise.bias)

    def styles(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """N x latent_width -> N x layers x latent_width, all alike; `classes` is not used."""
        w: torch.Tensor = self.mapping(z)
        return w[:, None].expand(-1, self.layers, -1)

    def synthesise(self, w: torch.Tensor, noise: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """One w a layer and image -> images.

        Args:
            w: N x layers x latent_width.
            noise: one standard normal N x 1 x H x W; the package's own is uniform in [0, 1], which
                the normal's distribution function makes of it.

        Returns:
            N x 3 x H x W in [-1, 1]. As in the package nothing bounds them in training mode, where
            they may leave that range; in evaluation mode they are clamped.
        """
        uniform = torch.special.ndtr(noise[0]).permute(0, 2, 3, 1)
        images: torch.Tensor = self.synthesis(w, uniform).float() * 2.0 - 1.0
        return images if self.training else images.clamp(-1.0, 1.0)

    def forward(self, latent: Latent) -> torch.Tensor:
        """N latents -> N x 3 x resolution x resolution, see `synthesise`."""
        return self.synthesise(self.styles(latent.z), latent.noise)


class LucidrainsDiscriminator(_PlainLayout):
    """The package's residual `Discriminator`; it observes the pixels themselves.

    Args:
        settings: the networks' settings.

    Raises:
        InputError: the package is not installed.
    """

    costly_observation = False

    def __init__(self, settings: LucidrainsSettings) -> None:
        super().__init__()
        self.network = import_package().Discriminator(
            settings.resolution,
            settings.capacity,
            attn_layers=settings.attention_layers,
            fmap_max=settings.widest,
        )
        _initialise(self)

    def observe(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Nothing is frozen here: the images are what is judged."""
        return (images,)

    def forward(
        self, observation: tuple[torch.Tensor, ...], classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of real, N x 1: the package's own with their sign turned; no use of `classes`."""
        images = (observation[0].contiguous() + 1.0) / 2.0
        judged: torch.Tensor = self.network(images)[0]
        return -judged.float().reshape(-1, 1)

    def state_to_keep(self) -> dict[str, torch.Tensor]:
        """The whole state."""
        return self.state_dict()


def _initialise(network: nn.Module) -> None:
    """The package's initial weights, which only its unusable `StyleGAN2` class draws."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in", nonlinearity="leaky_relu")


def gradient_penalty(
    discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
    """The package's penalty on the discriminator, added to its hinge loss every fourth step.

    Args:
        discriminator: gives logits of an observation.
        real: N x 3 x H x W in [-1, 1], as judged.
        fake: likewise.

    Returns:
        A scalar, to be added as it is: 10 times the mean squared gradient norm at the reals, and the
        same at the fakes, both for images in [0, 1].
    """
    total = torch.zeros((), device=real.device)
    for images in (real, fake):
        leaf = images.detach().requires_grad_()
        total = total + losses.r1_penalty(discriminator((leaf,)), leaf)
    # Images in [0, 1] have half the range, so the gradient there is twice as long.
    return total * (4.0 * _GRADIENT_PENALTY)


def path_length_penalty(
    images: torch.Tensor, w: torch.Tensor, direction: torch.Tensor, mean: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The package's path length penalty, added to the generator's loss every 32nd step after 5000.

    Args:
        images: N x 3 x H x W in [-1, 1], computed from `w`.
        w: N x layers x D, requiring a gradient.
        direction: N x 3 x H x W, standard normal.
        mean: running mean length, a scalar; 0 before the first.

    Returns:
        The penalty, to be added as it is (0 at the first call), and the new mean.
    """
    lengths = losses.path_lengths(images, w, direction) / 2.0
    now = lengths.detach().mean()
    if float(mean) == 0.0:
        return (lengths * 0.0).sum(), now
    return (lengths - mean).square().mean(), torch.lerp(mean, now, _PATH_LENGTH_DECAY)


def read_checkpoint(path: Path) -> LucidrainsGenerator:
    """The averaged generator of one of the package's checkpoints, ready for `TrainedGenerator`.

    Args:
        path: ``models/NAME/model_N.pt``. The networks' sizes are read from the weights; the
            ``.config.json`` beside it, if there, tells the mapping network's rate (else 0.1, as the
            package assumes).

    Returns:
        The generator, in evaluation mode.

    Raises:
        InputError: no such file, not such a checkpoint, one that holds more than weights, a
            generator of transparent images, or the package is not installed.
    """
    state = _read_weights(path)
    mapping, synthesis = _part(state, "SE."), _part(state, "GE.")
    try:
        settings = _settings_of(mapping, synthesis, _mapping_rate(path))
        network = LucidrainsGenerator(settings)
        network.mapping.load_state_dict(mapping)
        network.synthesis.load_state_dict(synthesis)
    except (KeyError, IndexError, ValueError, RuntimeError):
        raise InputError(
            f"'{path}' does not hold the networks of stylegan2-pytorch {VERSION}"
        ) from None
    return network.eval().requires_grad_(False)


def _read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"'{path}' is refused: it is damaged or holds more than weights, which could run code "
            "when it is loaded"
        ) from None
    except (RuntimeError, EOFError, ValueError):
        raise InputError(f"'{path}' is damaged or no checkpoint") from None
    state = stored.get("GAN") if isinstance(stored, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"'{path}' is no checkpoint of stylegan2-pytorch (models/NAME/model_N.pt)")
    return state


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _settings_of(
    mapping: Mapping[str, torch.Tensor], synthesis: Mapping[str, torch.Tensor], rate: float
) -> LucidrainsSettings:
    """Reads off the weights what the networks were built with.

    Raises:
        InputError: the images are transparent.
        KeyError: the weights are not those of the package's networks.
    """
    numbers = {int(name.split(".")[1]) for name in synthesis if name.startswith("blocks.")}
    layers = len(numbers)
    if synthesis["blocks.0.to_rgb.conv.weight"].shape[0] != 3:
        raise InputError("a checkpoint of transparent images (--transparent) cannot be used here")
    widths = [synthesis[f"blocks.{n}.conv2.weight"].shape[0] for n in range(layers)]
    attended = {int(name.split(".")[1]) for name in synthesis if name.startswith("attns.")}
    weights = [value for name, value in mapping.items() if name.endswith("weight")]
    return LucidrainsSettings(
        resolution=4 << (layers - 1),
        latent_width=weights[0].shape[1],
        mapping_layers=len(weights),
        mapping_rate=rate,
        capacity=max(width >> (layers - n) for n, width in enumerate(widths)),
        widest=max(widths),
        attention_layers=tuple(sorted(layers - n for n in attended)),
        constant_start="initial_block" in synthesis,
    )


def _mapping_rate(path: Path) -> float:
    beside = path.parent / ".config.json"
    if not beside.is_file():
        return 0.1
    try:
        settings: Any = json.loads(beside.read_text(encoding="utf-8"))
        rate = float(settings.get("lr_mlp", 0.1))
    except (OSError, ValueError, TypeError, AttributeError):
        raise InputError(f"'{beside}' is not the package's settings as JSON") from None
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"'{beside}': lr_mlp is a number above 0, not {rate}")
    return rate
