"""What a metric is given, what it gives, and under which conditions.

A metric is one class in one file of `score/metrics`: a pure function of what was measured of two
sets (features, class scores, tones), its figure beside real-vs-real, and its meaning in words.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hzsynth.core.image_set import ImageSet
from hzsynth.score.catalogue import MetricName
from hzsynth.score.floors import Floor, floor_of
from hzsynth.score.results import Direction, Fit, Memorisation, Score, Unavailable

Need = Literal["features", "class scores", "tones"]
Figure = Score | Memorisation | Unavailable

PUBLISHED = "inception"
"""The features on which FID and the Inception score are defined."""


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
class Draws:
    """The random draws behind the figures.

    Attributes:
        seed: of subsets and divisions.
        subset_size: images in a KID subset; None: half of the smaller set.
        subsets: KID subsets.
        floor_repeats: random divisions of the photographs.
        pairs: closest pairs to report.
    """

    seed: int
    subset_size: int | None
    subsets: int
    floor_repeats: int
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
        *,
        note: str,
        spread: float | None = None,
        floor: Floor | None = None,
        n_floor: int = 0,
        subset_size: int = 0,
        subsets: int = 0,
        about_one_set: bool = False,
        beside_conditions: bool = False,
        fit: Fit | None = None,
    ) -> Score:
        """A figure under these conditions."""
        return Score(
            metric=metric,
            value=value,
            spread=spread,
            floor=None if floor is None else floor[0],
            floor_spread=None if floor is None else floor[1],
            better=better,
            n_real=self.n_real,
            n_fake=self.n_fake,
            n_floor=n_floor if floor is not None else 0,
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
            about_one_set=about_one_set,
            beside_conditions=beside_conditions,
            fit=fit,
        )

    def floor(
        self,
        metric: Callable[[torch.Tensor, torch.Tensor], float],
        real: torch.Tensor,
        part: int,
        smallest: int,
    ) -> Floor | None:
        """Real against real (see `floors.floor_of`); None below `smallest` images a part."""
        if part < smallest:
            return None
        draws = self.draws
        return floor_of(metric, real, part=part, repeats=draws.floor_repeats, seed=draws.seed)


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
    def figures(self, real: Described, fake: Described, conditions: Conditions) -> Iterable[Figure]:
        """The figures of two sets.

        Args:
            real: photographs.
            fake: generated images.
            conditions: shared by all figures of the two sets.

        Returns:
            One or more figures, or why there is none.

        Raises:
            InputError: a set is too small.
        """
