"""A score is a value with its conditions, never a bare float."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hzsynth.score.meanings import NEED_CONDITIONS, explain
from hzsynth.score.memorisation import Memorisation

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Fit:
    """The line behind a figure that is extrapolated to infinitely many images.

    Attributes:
        sizes: subset sizes.
        values: the figure at each size.
        standard_error: of the extrapolated value, from the scatter about the line.
    """

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    standard_error: float


@dataclass(frozen=True)
class Score:
    """One figure about a generated set.

    Attributes:
        metric: what it is, with its features where it is not the published metric, such as
            ``kid-efficientnet-lite0``.
        value: the figure.
        spread: standard deviation over random subsets; None where the metric has none.
        floor: the same figure of photographs: between two disjoint random parts of them, or of
            photographs alone where the figure is about one set; None where there are too few.
        floor_spread: its standard deviation over random divisions.
        better: whether lower or higher values are better.
        n_real: photographs.
        n_fake: generated images.
        n_floor: photographs in each part of the floor.
        subset_size: images in a subset; 0 where the metric uses everything.
        subsets: number of subsets; 0 where the metric uses everything.
        seed: of the random subsets and divisions.
        extractor: the feature space, or what was measured instead.
        weights: first digits of the sha256 of the extractor's weights; empty without any.
        size: side in pixels to which images were brought first; 0 where they were not resized.
        preprocessing: how images were brought to the extractor, interpolation included.
        dim: dimensions of the features; 0 without any.
        real_digest: digest of the photographs.
        fake_digest: digest of the generated set.
        fit: the line behind an extrapolated figure.
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
    weights: str
    size: int
    preprocessing: str
    dim: int
    real_digest: str
    fake_digest: str
    fit: Fit | None = None

    @property
    def kind(self) -> str:
        """The metric without its features, such as ``kid``."""
        return self.metric.removesuffix(f"-{self.extractor}")

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

    @property
    def conditions(self) -> str:
        """Numbers of images, and how they were brought to the features."""
        weights = f", weights {self.weights[:8]}" if self.weights else ""
        return (
            f"{self.n_real} real and {self.n_fake} generated images; {self.extractor}{weights}: "
            f"{self.preprocessing}"
        )

    def sentence(self) -> str:
        """The figure and what it says at this number of images."""
        # Some repetitions on everything there is have no spread but rounding.
        shown = self.spread is not None and self.spread > 1e-9 * abs(self.value)
        spread = f" ± {self.spread:.3g}" if shown else ""
        notes = [f"{self.subsets} subsets of {self.subset_size}"] if self.subsets else []
        if self.fit is not None:
            notes = [
                f"{len(self.fit.sizes)} subsets of {self.fit.sizes[0]} to {self.fit.sizes[-1]}, "
                "± is the error of the fit"
            ]
        if self.kind in NEED_CONDITIONS:
            notes.insert(0, self.conditions)
        notes.append(f"{self.better} is better")
        meaning = explain(
            self.kind,
            value=self.value,
            floor=self.floor,
            floor_spread=self.floor_spread,
            beyond_floor=self.beyond_floor,
            n=min(self.n_real, self.n_fake),
            n_floor=self.n_floor,
            dim=self.dim,
        )
        return f"{self.metric} is {self.value:.4g}{spread} ({'; '.join(notes)}); {meaning}."


@dataclass(frozen=True)
class Unavailable:
    """A figure that was asked for and cannot be given.

    Attributes:
        metric: its name.
        reason: why.
    """

    metric: str
    reason: str

    def sentence(self) -> str:
        """The name and the reason."""
        return f"{self.metric}: {self.reason}."


@dataclass(frozen=True)
class Group:
    """The images of both sets that have one value in common, such as a class.

    Attributes:
        value: the value.
        n_real: photographs that have it.
        n_fake: generated images that have it.
        report: the figures; None where there are too few images.
        reason: why there are no figures; empty where there are.
    """

    value: str
    n_real: int
    n_fake: int
    report: "ScoreReport | None" = None
    reason: str = ""

    def sentences(self) -> tuple[str, ...]:
        """Every figure in words, or why there is none."""
        if self.report is None:
            return (f"{self.value}: no figures, {self.reason}.",)
        return tuple(f"{self.value}: {sentence}" for sentence in self.report.sentences())

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        figures = {} if self.report is None else self.report.to_json()
        counts = {"value": self.value, "n_real": self.n_real, "n_fake": self.n_fake}
        return {**counts, "reason": self.reason, **figures}


@dataclass(frozen=True)
class ScoreReport:
    """All figures about a generated set.

    Attributes:
        scores: one a metric.
        memorisation: the nearest-neighbour figure; None when not asked for.
        unavailable: what was asked for and cannot be given.
        by: the column by whose values the sets were divided; empty when not asked for.
        groups: the same figures for each value, those with too few images included.
        remarks: what went wrong without touching the figures.
    """

    scores: tuple[Score, ...]
    memorisation: Memorisation | None = None
    unavailable: tuple[Unavailable, ...] = ()
    by: str = ""
    groups: tuple[Group, ...] = ()
    remarks: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> Score:
        """The score of this name, with or without its features (``kid``)."""
        for found in (
            [s for s in self.scores if s.metric == metric],
            [s for s in self.scores if s.kind == metric],
            [s for s in self.scores if s.metric.split("-")[0] == metric],
        ):
            if len(found) == 1:
                return found[0]
        names = ", ".join(s.metric for s in self.scores)
        raise KeyError(f"no score '{metric}'; there are {names}")

    def sentences(self) -> tuple[str, ...]:
        """Every figure in words, each set of conditions before its first figure, groups last."""
        words: list[str] = []
        for score in self.scores:
            conditions = f"On {score.conditions}:"
            if conditions not in words:
                words.append(conditions)
            words.append(score.sentence())
        words += [missing.sentence() for missing in self.unavailable]
        if self.memorisation is not None:
            words.append(self.memorisation.sentence())
        for group in self.groups:
            words.extend(group.sentences())
        return tuple(words)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        result: dict[str, Any] = {
            "scores": [score.to_json() for score in self.scores],
            "memorisation": None if self.memorisation is None else self.memorisation.to_json(),
            "unavailable": [asdict(missing) for missing in self.unavailable],
        }
        if self.by:
            result |= {"by": self.by, "groups": [group.to_json() for group in self.groups]}
        return result
