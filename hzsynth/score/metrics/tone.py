"""Distance between the skin tones of two sets: the first Wasserstein distance of their angles.

    W1 = integral |F_real(a) - F_fake(a)| da

with F the share of images whose tone is at most a; tone is the individual typology angle (Chardon
et al. 1991) of the skin outside the lesion, in degrees. It is by how much the tone of an image
has to move on average, as SciPy computes it.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from hzsynth.core.image_set import ImageSet
from hzsynth.data.skin_tone import skin_angle
from hzsynth.score.metric import Conditions, Described, Metric
from hzsynth.score.results import Score, Unavailable


def skin_angles(images: ImageSet) -> NDArray[np.float64]:
    """The tone of every image of a set, in degrees; NaN where it cannot be told.

    Raises:
        InputError: an image or a mask cannot be read.
    """
    return np.array([skin_angle(images.read_pixels(r), images.read_mask(r)) for r in images])


def tone_distance(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """First Wasserstein distance between two sets of angles.

    Args:
        real: N angles, degrees; NaN (a tone that is not told) is left out.
        fake: M angles, degrees.

    Returns:
        Degrees; NaN where no tone of one side is told.

    Examples:
        >>> import numpy as np
        >>> tone_distance(np.array([20.0, 30.0, 40.0]), np.array([27.0, 37.0, 47.0]))
        7.0
    """
    real, fake = real[~np.isnan(real)], fake[~np.isnan(fake)]
    return float(wasserstein_distance(real, fake)) if len(real) and len(fake) else float("nan")


def _distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    return tone_distance(real.numpy(), fake.numpy())


def _told(angles: torch.Tensor) -> torch.Tensor:
    return angles[~angles.isnan()]


class Tone(Metric):
    """The distance of skin tones."""

    name = "tone"
    needs = "tones"

    def figures(
        self, real: Described, fake: Described, conditions: Conditions
    ) -> tuple[Score | Unavailable]:
        """One figure (see `Metric`), of the images whose tone can be told."""
        photographs, generated = _told(real.measured["tones"]), _told(fake.measured["tones"])
        unclear = 1 - len(photographs) / len(real.images), 1 - len(generated) / len(fake.images)
        left_out = (
            f"{unclear[0]:.0%} of the photographs and {unclear[1]:.0%} of the generated images"
        )
        if not len(photographs) or not len(generated):
            return (Unavailable(self.name, f"the skin tone of {left_out} cannot be told"),)
        by_eye = replace(
            conditions,
            extractor="individual typology angle",
            preprocessing="skin outside the lesion",
            weights="",
            size=0,
            dim=0,
        )
        part = min(len(photographs) // 2, len(generated))
        value = _distance(photographs, generated)
        return (
            by_eye.score(
                "tone-distance",
                value,
                "lower",
                floor=by_eye.floor(_distance, photographs, part, 1),
                n_floor=part,
                note=f"The tone of an image has to move by {value:.1f} degrees on average; "
                f"the tone of {left_out} cannot be told",
            ),
        )


METRIC = Tone()
