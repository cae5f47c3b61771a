"""What a metric is given, what it gives, and under which conditions.

A metric is one class in one file of `score/metrics`: a pure function of what was measured of two
sets (features, class scores, tones), its figure beside real-vs-real, and its meaning in words.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.score.catalogue import MetricName
from hzsynth.score.copies import Memorisation
from hzsynth.score.floors import Asked, Beside, Prepare, compare
from hzsynth.score.results import About, Direction, Fit, Score, Unavailable

Need = Literal["features", "class scores", "tones"]
Figure = Score | Memorisation | Unavailable

PUBLISHED = "inception"
"""The features on which FID and the Inception score are defined."""


class NotIdentifiableError(InputError):
    """The images are too few for a figure to mean anything; the sentence says why."""


@dataclass(frozen=True)
class Described:
    """A set with what was measured of its images, one row an image.

    Attributes:
        images: the set, N images.
        measured: features, float32 N x D; class scores, float32 N x C; tones, float64 N, degrees.
    """

    images: ImageSet
    measured: Mapping[Need, torch.Tensor]

    def part(self, rows: torch.Tensor) -> "Described":
        """The images of some rows."""
        records = [self.images.records[row] for row in rows.tolist()]
        measured = {need: values[rows] for need, values in self.measured.items()}
        return Described(self.images.replace_records(records), measured)


@dataclass(frozen=True)
class Compared:
    """The sets that a metric looks at.

    Attributes:
        real: the photographs that the generated images are compared with, N.
        fake: the generated images, M.
        training: the photographs that the generator learned from, where `real` are others.
        members: the photographs that it learned from, wherever they are; None where none are known.
        held_out: photographs that it did not see; None where none are known.
        units: N numbers: photographs of one patient, and copies of one, share one.
    """

    real: Described
    fake: Described
    training: Described | None
    members: Described | None
    held_out: Described | None
    units: NDArray[np.int64]

    def values(self, need: Need) -> tuple[torch.Tensor, torch.Tensor]:
        """What was measured of the photographs and of the generated images."""
        return self.real.measured[need], self.fake.measured[need]

    def training_values(self, need: Need) -> torch.Tensor | None:
        """What was measured of the photographs that the generator learned from, where `real` are others."""
        return None if self.training is None else self.training.measured[need]


@dataclass(frozen=True)
class Draws:
    """The random draws behind the figures.

    Attributes:
        seed: of subsets, divisions and relabellings.
        subset_size: images in a KID subset; None: half of the smaller set.
        subsets: KID subsets.
        floor_repeats: random divisions of the photographs.
        relabellings: of photographs and generated images, for the chance.
        pairs: closest pairs to report.
    """

    seed: int
    subset_size: int | None
    subsets: int
    floor_repeats: int
    relabellings: int
    pairs: int


@dataclass(frozen=True)
class Conditions:
    """What all figures of two sets share; the attributes are those of `Score`."""

    n_real: int
    n_fake: int
    real_digest: str
    fake_digest: str
    draws: Draws
    extractor: str
    preprocessing: str
    weights: str = ""
    size: int = 0
    dim: int = 0

    def score(
        self,
        metric: str,
        value: float,
        better: Direction,
        beside: Beside,
        *,
        note: str,
        training: tuple[float, int] | None = None,
        spread: float | None = None,
        subset_size: int = 0,
        subsets: int = 0,
        about: About = "both sets",
        beside_conditions: bool = False,
        fit: Fit | None = None,
    ) -> Score:
        """A figure under these conditions, with what stands beside it.

        `training` is the same figure against the training photographs, and their number.
        """
        return Score(
            metric=metric,
            value=value,
            spread=spread,
            floor=None if beside.floor is None else beside.floor[0],
            floor_spread=None if beside.floor is None else beside.floor[1],
            at_floor=beside.at_floor,
            against_training=None if training is None else training[0],
            n_training=0 if training is None else training[1],
            p=beside.p,
            better=better,
            n_real=self.n_real,
            n_fake=self.n_fake,
            n_floor=beside.n_floor if beside.floor is not None else 0,
            n_tested=beside.n_tested if beside.p is not None else 0,
            subset_size=subset_size,
            subsets=subsets,
            seed=self.draws.seed,
            extractor=self.extractor,
            weights=self.weights,
            size=self.size,
            preprocessing=self.preprocessing,
            dim=self.dim,
            real_digest=self.real_digest,
            fake_digest=self.fake_digest,
            note=note,
            about=about,
            beside_conditions=beside_conditions,
            fit=fit,
        )

    def beside(
        self,
        prepare: Prepare,
        sets: Compared,
        need: Need,
        asked: Asked,
    ) -> dict[str, Beside]:
        """What stands beside some figures (see `floors.compare`)."""
        return compare(
            prepare,
            *sets.values(need),
            sets.units,
            asked,
            repeats=self.draws.floor_repeats,
            relabellings=self.draws.relabellings,
            seed=self.draws.seed,
        )


class Metric(ABC):
    """One metric.

    Attributes:
        name: under which it is asked for; its file has the same name.
        needs: what has to be measured of the images.
        elsewhere: for a metric that is defined on Inception features only, the metric to ask for
            on others; empty for the rest.
    """

    name: ClassVar[MetricName]
    needs: ClassVar[Need] = "features"
    elsewhere: ClassVar[str] = ""

    @abstractmethod
    def figures(self, sets: Compared, conditions: Conditions) -> Iterable[Figure]:
        """The figures of a generated set.

        Args:
            sets: photographs and generated images.
            conditions: shared by all figures of these sets.

        Returns:
            One or more figures, or why there is none.

        Raises:
            NotIdentifiableError: a set is too small for the figure.
            InputError: a setting is not possible with these sets.
        """
