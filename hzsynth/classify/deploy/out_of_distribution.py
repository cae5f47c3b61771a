"""Is a photograph like those that the classifier learned from? A distance of pooled features.

Mahalanobis distance to the nearest class (Lee et al., NeurIPS 2018) of features of length one (Sun
et al., ICML 2022), with one covariance for all classes, shrunk towards a sphere (Ledoit, Wolf,
2004). With tens of photographs the plain covariance of a thousand features cannot be
inverted; the shrunk one can, and directions in which no training photograph varies count most.

In a trial on 390 training photographs of skin, of everyday pictures and noise none passed for skin
under this distance, and too dark photographs were told better (AUC .95) than by the distance to
the 5 nearest photographs (Sun et al.; .85), which would carry every patient's features out of the
house; this keeps means and directions of variation only. The relative distance (Ren et al., 2021)
failed there: its second covariance, of all classes together, is as uncertain as the first.

The threshold is a quantile of held-out photographs: those that the network was trained on lie
closer than any new one.
"""

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from hzsynth.core.errors import InputError

QUANTILE = 0.95
"""Share of ordinary new photographs that get no warning."""
FEWEST_HELD_OUT = 10
"""Below so many held-out photographs the threshold would be one photograph's accident."""
MOST_DIRECTIONS = 256
"""Directions that are stored; further ones share their mean variance."""
_FORMAT = 1
_ARRAYS = ("means", "directions", "variances", "rest_variance", "threshold", "held_out", "training")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureStatistics:
    """What ordinary features look like.

    Attributes:
        means: C x D, of the classes that occurred, features of length one.
        directions: K x D, orthonormal rows.
        variances: K, shrunk, along the directions.
        rest_variance: along every other direction, above 0.
        threshold: squared distance above which a photograph is unlike the training photographs.
        held_out: photographs that the threshold rests on.
        training: photographs that means and covariance rest on.
    """

    means: Floats
    directions: Floats
    variances: Floats
    rest_variance: float
    threshold: float
    held_out: int
    training: int

    def distances(self, features: ArrayLike) -> Floats:
        """Squared distances to the nearest class: N, for features N x D.

        Raises:
            InputError: the features have another width than those of the statistics.
        """
        values = np.asarray(features, np.float64)
        if values.ndim != 2 or values.shape[1] != self.means.shape[1]:
            raise InputError(
                f"features are N x {self.means.shape[1]}, not {' x '.join(map(str, values.shape))}"
            )
        offsets = _unit(values)[:, None, :] - self.means[None]
        along = offsets @ self.directions.T
        rest = np.maximum((offsets**2).sum(axis=2) - (along**2).sum(axis=2), 0)
        squared = (along**2 / self.variances).sum(axis=2) + rest / self.rest_variance
        nearest: Floats = squared.min(axis=1)
        return nearest

    def relative_distances(self, features: ArrayLike) -> Floats:
        """Distances as multiples of the threshold: N; above 1 means a warning."""
        relative: Floats = np.sqrt(self.distances(features) / self.threshold)
        return relative

    def to_bytes(self) -> bytes:
        """The statistics as an .npz file (float32)."""
        buffer = io.BytesIO()
        single = {name: np.asarray(getattr(self, name), np.float32) for name in _ARRAYS}
        np.savez_compressed(buffer, allow_pickle=False, format=np.int64(_FORMAT), **single)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Reads `to_bytes`.

        Args:
            data: the file's bytes.
            name: for messages.

        Raises:
            InputError: damaged, or of another format.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise ValueError(f"format {int(stored['format'])}, expected {_FORMAT}")
                values = {key: np.asarray(stored[key], np.float64) for key in _ARRAYS}
        except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
            raise InputError(f"the feature statistics '{name}' cannot be read: {error}") from error
        except Exception as error:  # zipfile has its own exceptions, which numpy lets through
            raise InputError(f"the feature statistics '{name}' are damaged: {error}") from error
        return cls(
            means=values["means"],
            directions=values["directions"],
            variances=values["variances"],
            rest_variance=float(values["rest_variance"]),
            threshold=float(values["threshold"]),
            held_out=int(values["held_out"]),
            training=int(values["training"]),
        )


def _unit(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.maximum(lengths, 1e-12)
    return unit


def held_out_quantile(distances: ArrayLike, quantile: float = QUANTILE) -> float:
    """The quantile that a further photograph of the same kind exceeds with 1 - quantile at most.

    The ceil((N + 1) quantile)-th smallest (split conformal prediction; Vovk et al., 2005); with
    fewer than 19 photographs and .95 the largest is the best that can be said.

    Args:
        distances: N of held-out photographs.
        quantile: in (0, 1).
    """
    ordered = np.sort(np.asarray(distances, np.float64))
    rank = int(np.ceil((len(ordered) + 1) * quantile - 1e-9))
    return float(ordered[min(rank, len(ordered)) - 1])


def fit_feature_statistics(
    features: ArrayLike, classes: ArrayLike, held_out: ArrayLike
) -> FeatureStatistics:
    """Learns what ordinary features look like.

    Args:
        features: N x D of the training photographs.
        classes: N class numbers.
        held_out: M x D of photographs of other patients, of the same kind.

    Returns:
        The statistics.

    Raises:
        InputError: fewer training photographs than classes plus two, fewer than
            `FEWEST_HELD_OUT` held-out ones, or features that do not vary.
    """
    values, labels = _unit(np.asarray(features, np.float64)), np.asarray(classes, np.int64)
    others = np.asarray(held_out, np.float64)
    present, place = np.unique(labels, return_inverse=True)
    if len(values) < len(present) + 2 or len(others) < FEWEST_HELD_OUT:
        raise InputError(
            f"a warning about unusual photographs needs {len(present) + 2} training and "
            f"{FEWEST_HELD_OUT} validation photographs or more, not {len(values)} and {len(others)}"
        )
    means = np.stack([values[place == number].mean(axis=0) for number in range(len(present))])
    centred = values - means[place]
    spread = float((centred**2).sum() / centred.size)
    if spread <= 0:
        raise InputError("the training photographs' features do not vary: nothing is usual")
    shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    # A covariance that needs no shrinking may still have empty directions.
    floor = max(shrinkage, 1e-3) * spread
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    eigenvalues = singular**2 / len(values)
    kept = min(MOST_DIRECTIONS, len(eigenvalues))
    left_over = eigenvalues[kept:].sum() / max(values.shape[1] - kept, 1)
    statistics = FeatureStatistics(
        means=means,
        directions=directions[:kept],
        variances=(1 - shrinkage) * eigenvalues[:kept] + floor,
        rest_variance=float((1 - shrinkage) * left_over + floor),
        threshold=1.0,
        held_out=len(others),
        training=len(values),
    )
    threshold = held_out_quantile(statistics.distances(others))
    return FeatureStatistics(**{**statistics.__dict__, "threshold": threshold})
