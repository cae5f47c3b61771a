"""A score is a value with its conditions, never a bare float."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hzsynth.score.memorisation import Memorisation

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Score:
    """One figure about a generated set.

    Attributes:
        metric: what it is, with its features where it is not the published metric, such as
            ``kid-efficientnet-lite0``.
        value: the figure.
        spread: standard deviation over random subsets; None where the metric has none.
        floor: the same figure between two disjoint random parts of the photographs; None where
            there are too few of them.
        floor_spread: its standard deviation over random divisions.
        better: whether lower or higher values are better.
        n_real: photographs.
        n_fake: generated images.
        n_floor: photographs in each part of the floor.
        subset_size: images in a subset; 0 where the metric uses everything.
        subsets: number of subsets; 0 where the metric uses everything.
        seed: of the random subsets and divisions.
        extractor: the feature space, or what was measured instead.
        preprocessing: how images were brought to it.
        real_digest: digest of the photographs.
        fake_digest: digest of the generated set.
    """

    metric: str
    value: float
    spread: float | None
    floor: float | None
    floor_spread: float | None
    better: Direction
    n_real: int
    n_fake: int
    n_floor: int
    subset_size: int
    subsets: int
    seed: int
    extractor: str
    preprocessing: str
    real_digest: str
    fake_digest: str

    @property
    def beyond_floor(self) -> bool | None:
        """Whether the value is worse than the floor by more than two of their spreads."""
        if self.floor is None or self.floor_spread is None:
            return None
        gap = self.value - self.floor if self.better == "lower" else self.floor - self.value
        return gap > 2 * math.hypot(self.floor_spread, self.spread or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with the sentence."""
        return {**asdict(self), "sentence": self.sentence()}

    def sentence(self) -> str:
        """What the figure says at this number of images."""
        spread = "" if self.spread is None else f" ± {self.spread:.3g}"
        subsets = f", {self.subsets} subsets of {self.subset_size}" if self.subsets else ""
        head = (
            f"{self.metric} is {self.value:.4g}{spread} ({self.n_real} real and {self.n_fake} "
            f"generated images{subsets}; {self.better} is better)"
        )
        if self.floor is None or self.floor_spread is None:
            return (
                f"{head}; there are too few real images to say what real against real would give."
            )
        floor = (
            f"two random parts of {self.n_floor} real images give {self.floor:.4g} ± "
            f"{self.floor_spread:.3g}"
        )
        meaning = (
            "the sets differ by more than chance explains"
            if self.beyond_floor
            else "at this number of images the sets cannot be told apart by it"
        )
        note = ""
        if self.metric.startswith(("fid", "frechet")):
            note = ". It falls as images are added: compare it only at equal numbers"
        return f"{head}; {floor}: {meaning}{note}."


@dataclass(frozen=True)
class ScoreReport:
    """All figures about a generated set.

    Attributes:
        scores: one a metric.
        memorisation: the nearest-neighbour figure; None when not asked for.
    """

    scores: tuple[Score, ...]
    memorisation: Memorisation | None = None

    def __getitem__(self, metric: str) -> Score:
        """The score of this name, or the only one whose name begins so (``kid``)."""
        exact = [s for s in self.scores if s.metric == metric]
        found = exact or [s for s in self.scores if s.metric.split("-")[0] == metric]
        if len(found) != 1:
            names = ", ".join(s.metric for s in self.scores)
            raise KeyError(f"no score '{metric}'; there are {names}")
        return found[0]

    def sentences(self) -> tuple[str, ...]:
        """Every figure in words."""
        last = () if self.memorisation is None else (self.memorisation.sentence(),)
        return (*(score.sentence() for score in self.scores), *last)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "scores": [score.to_json() for score in self.scores],
            "memorisation": None if self.memorisation is None else self.memorisation.to_json(),
        }
