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
from hzsynth.score.floors import Asked, Formula
from hzsynth.score.metric import Compared, Conditions, Described, Metric
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


def _prepared(pooled: torch.Tensor) -> Formula:
    angles = pooled.numpy()
    return lambda real, fake: {"tone": tone_distance(angles[real.numpy()], angles[fake.numpy()])}


def _told(described: Described) -> NDArray[np.int64]:
    """The rows of the images whose tone can be told."""
    return np.flatnonzero(~described.measured["tones"].isnan().numpy())


def _those_told(sets: Compared) -> Compared:
    rows = _told(sets.real)

    def kept(side: Described) -> Described:
        return side.part(torch.from_numpy(_told(side)))

    training = sets.training if sets.training is None else kept(sets.training)
    return replace(
        sets,
        real=kept(sets.real),
        fake=kept(sets.fake),
        training=training if training is not None and len(training.images) else None,
        units=sets.units[rows],
    )


class Tone(Metric):
    """The distance of skin tones, of the images whose tone can be told."""

    name = "tone"
    needs = "tones"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score | Unavailable]:
        """One figure (see `Metric`)."""
        told = _those_told(sets)
        unclear = (
            1 - len(told.real.images) / len(sets.real.images),
            1 - len(told.fake.images) / len(sets.fake.images),
        )
        left_out = (
            f"{unclear[0]:.0%} of the photographs and {unclear[1]:.0%} of the generated images"
        )
        if not len(told.real.images) or not len(told.fake.images):
            return (Unavailable(self.name, f"the skin tone of {left_out} cannot be told"),)
        by_eye = replace(
            conditions,
            extractor="individual typology angle",
            preprocessing="skin outside the lesion",
            weights="",
            size=0,
            dim=0,
        )
        photographs, generated = told.values("tones")
        value = tone_distance(photographs.numpy(), generated.numpy())
        training = told.training_values("tones")
        learned = None
        if training is not None:
            learned = tone_distance(training.numpy(), generated.numpy()), len(training)
        beside = by_eye.beside(_prepared, told, "tones", Asked(("tone",), "lower", 2))
        return (
            by_eye.score(
                "tone-distance",
                value,
                "lower",
                beside["tone"],
                training=learned,
                note=f"The tone of an image has to move by {value:.1f} degrees on average; "
                f"the tone of {left_out} cannot be told",
            ),
        )


METRIC = Tone()
