"""Distance between the skin tones of two sets.

Tone is the individual typology angle (Chardon et al. 1991) of the skin outside the lesion;
the distance is the first Wasserstein distance between the two sets' angles, in degrees:
by how much the tone of an image has to move on average.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from hzsynth.core.image_set import ImageSet
from hzsynth.data.skin_tone import skin_angle


def skin_angles(images: ImageSet) -> NDArray[np.float64]:
    """The tone of every image of a set, in degrees.

    Raises:
        InputError: an image or a mask cannot be read.
    """
    return np.array([skin_angle(images.read_pixels(r), images.read_mask(r)) for r in images])


def tone_distance(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """First Wasserstein distance between two sets of angles, in degrees."""
    return float(wasserstein_distance(real, fake))
