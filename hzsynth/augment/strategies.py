"""The nine augmentation strategies, named and composable, on albumentations.

The first eight work on one image and are operators of albumentations; the ninth, mixing,
needs a second image and lies in `augment.mixing`. A strength of 1 gives the ranges that the
docstrings name, 0.5 half of them.
"""

import importlib
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hzsynth.augment.config import ONE_IMAGE_NAMES
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord


def _load_albumentations() -> Any:
    """Albumentations without its tensor operators, which nobody here uses.

    They load torch where it is installed: two thirds of the time in which a worker starts.
    """
    if "albumentations" in sys.modules:
        return sys.modules["albumentations"]
    sys.modules["albumentations.pytorch"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("albumentations")
    finally:
        del sys.modules["albumentations.pytorch"]


albumentations = _load_albumentations()

SETTINGS = "augmenter"
"""Column of a set that holds the `Augmenter.description` behind each augmented image."""
_LARGEST_STORED = 64


@dataclass(frozen=True)
class Strategy:
    """One way to vary an image.

    Attributes:
        name: how a user asks for it.
        description: what it does at strength 1.
        operators: makes the albumentations operators for a strength and an image's shorter
            side in pixels; empty for mixing.
    """

    name: str
    description: str
    operators: Callable[[float, int], list[Any]]


def _flip(_strength: float, _side: int) -> list[Any]:
    return [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]


def _rotation(strength: float, _side: int) -> list[Any]:
    angle = 15.0 * strength
    return [albumentations.Rotate(limit=(-angle, angle), border_mode=4, p=0.7)]


def _zoom(strength: float, _side: int) -> list[Any]:
    scale = (1 - 0.1 * strength, 1 + 0.25 * strength)
    return [albumentations.Affine(scale=scale, border_mode=4, p=0.5)]


def _translation(strength: float, _side: int) -> list[Any]:
    shift = 0.1 * strength
    return [albumentations.Affine(translate_percent=(-shift, shift), border_mode=4, p=0.5)]


def _brightness_contrast(strength: float, _side: int) -> list[Any]:
    limit = (-0.2 * strength, 0.2 * strength)
    return [
        albumentations.RandomBrightnessContrast(brightness_limit=limit, contrast_limit=limit, p=0.6)
    ]


def _hue_saturation(strength: float, _side: int) -> list[Any]:
    # The hue moves by a few degrees only: redness is the sign of the disease.
    hue, saturation = 4 * strength, 20 * strength
    return [
        albumentations.HueSaturationValue(
            hue_shift_limit=(-hue, hue),
            sat_shift_limit=(-saturation, saturation),
            val_shift_limit=(0, 0),
            p=0.5,
        )
    ]


def _noise(strength: float, _side: int) -> list[Any]:
    return [albumentations.GaussNoise(std_range=(0.0, 0.04 * strength), p=0.4)]


def _cutout(strength: float, side: int) -> list[Any]:
    extent = (0.08, max(0.08, 0.2 * strength))
    holes = albumentations.CoarseDropout(
        num_holes_range=(1, 3), hole_height_range=extent, hole_width_range=extent, fill=127, p=0.7
    )
    # In shares of the side: a mesh of a few pixels vanishes when a large photograph is reduced.
    mesh = max(2, side // 8), max(3, side // 4)
    grid = albumentations.GridDropout(
        ratio=0.3 * strength, unit_size_range=mesh, random_offset=True, fill=127, p=0.3
    )
    return [albumentations.OneOf([holes, grid], p=0.3)]


def _mixing(_strength: float, _side: int) -> list[Any]:
    return []


STRATEGIES = (
    Strategy("flip", "horizontal and vertical mirror, each with p .5", _flip),
    Strategy("rotation", "rotation by up to 15 degrees", _rotation),
    Strategy("zoom", "scale from .9 to 1.25", _zoom),
    Strategy("translation", "shift by up to 10 % of the side", _translation),
    Strategy("brightness-contrast", "brightness and contrast by up to 20 %", _brightness_contrast),
    Strategy("hue-saturation", "hue by up to 8 degrees, saturation by up to 8 %", _hue_saturation),
    Strategy("noise", "Gaussian noise of up to 4 % of the range", _noise),
    Strategy("cutout", "one to three grey holes, or a grid mask", _cutout),
    Strategy("mixing", "MixUp or CutMix with another image (see `augment.mixing`)", _mixing),
)
STRATEGY_NAMES = tuple(strategy.name for strategy in STRATEGIES)


def check_names(names: Sequence[str]) -> None:
    """Refuses names that are no strategy.

    Raises:
        InputError: a name is unknown.
    """
    unknown = [name for name in names if name not in STRATEGY_NAMES]
    if unknown:
        raise InputError(
            f"strategy '{unknown[0]}' is not known; there are {', '.join(STRATEGY_NAMES)}"
        )


def _plain(value: Any) -> Any:
    """JSON-able parameters; large arrays are left out, the seed remakes them."""
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= _LARGEST_STORED else f"array {value.shape}"
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items() if k not in ("shape", "shapes")}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


class Augmenter:
    """A seeded chain of strategies; the result depends on the image and its seed alone.

    Args:
        names: strategies, applied in the order of `STRATEGIES`; ``mixing`` is skipped here.
        strength: scales every range, in (0, 2].

    Raises:
        InputError: a name is unknown, or the strength is out of range.
    """

    def __init__(self, names: Sequence[str] = ONE_IMAGE_NAMES, strength: float = 1.0) -> None:
        check_names(names)
        if not 0 < strength <= 2:
            raise InputError(f"strength is above 0 and at most 2, not {strength:g}")
        self.names = tuple(name for name in ONE_IMAGE_NAMES if name in names)
        self.strength = float(strength)
        self._chains: dict[int, Any] = {}

    @property
    def description(self) -> str:
        """The settings in one line, from which `Augmenter.from_description` makes it again."""
        return f"{'+'.join(self.names)} x {self.strength:g}"

    @classmethod
    def from_description(cls, text: str) -> "Augmenter":
        """The augmenter that `description` describes.

        Raises:
            InputError: the text describes none.
        """
        names, _, strength = text.partition(" x ")
        try:
            return cls([name for name in names.split("+") if name], float(strength))
        except ValueError:
            raise InputError(f"'{text}' does not describe an augmentation") from None

    def _chain(self, side: int) -> Any:
        """The operators for images of a shorter side, pixels."""
        if side not in self._chains:
            with warnings.catch_warnings():
                # Albumentations only warns of arguments that it does not know.
                warnings.simplefilter("error")
                operators = [
                    operator
                    for strategy in STRATEGIES
                    if strategy.name in self.names
                    for operator in strategy.operators(self.strength, side)
                ]
                chain = albumentations.Compose(operators, seed=0, save_applied_params=True)
            self._chains[side] = chain
        return self._chains[side]

    def __call__(self, pixels: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], str]:
        """Varies one image.

        Args:
            pixels: H x W x 3, uint8.
            seed: of this image's draws.

        Returns:
            The varied image, H x W x 3 uint8, and the applied operators with their
            parameters as JSON.
        """
        # One stream for the whole chain: set_random_seed would give every operator the same draws,
        # so that an image is mirrored upside down whenever it is mirrored at all.
        chain = self._chain(min(pixels.shape[:2]))
        chain.set_random_state(np.random.default_rng(seed), random.Random(seed))
        done = chain(image=pixels)
        applied = [[name, _plain(values)] for name, values in done["applied_transforms"]]
        return np.ascontiguousarray(done["image"]), json.dumps(applied)


def recorded_augmenter(records: Iterable[ImageRecord]) -> Augmenter:
    """The augmenter that most augmented images of a set were made with.

    Args:
        records: rows of a set.

    Returns:
        The augmenter; all strategies at strength 1 where the set does not say.

    Raises:
        InputError: what the set says describes no augmentation.
    """
    counts = Counter(record.extra.get(SETTINGS, "") for record in records)
    counts.pop("", None)
    # Ties are broken by the text, so that the order of the rows cannot matter.
    described = max(counts, key=lambda text: (counts[text], text), default="")
    return Augmenter.from_description(described) if described else Augmenter()
