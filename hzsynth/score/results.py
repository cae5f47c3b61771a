"""A score is a value with its conditions, never a bare float."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Direction = Literal["lower", "higher"]

QUANTILE = 0.05
"""The share of held-out photographs that lie nearer to a training photograph than `Memorisation` allows."""


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
        note: what the value says, in words.
        about_one_set: whether the figure is about the generated set alone, such as its variety.
        beside_conditions: whether it means nothing without number of images, resize and weights.
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
    note: str = ""
    about_one_set: bool = False
    beside_conditions: bool = False
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
        if self.beside_conditions:
            notes.insert(0, self.conditions)
        notes.append(f"{self.better} is better")
        said = f"{self._compared()}{f'. {self.note}' if self.note else ''}"
        return f"{self.metric} is {self.value:.4g}{spread} ({'; '.join(notes)}); {said}."

    def _compared(self) -> str:
        """What photographs alone give, and whether the value is worse."""
        if self.floor is None or self.floor_spread is None:
            return "there are too few real images to say what real against real would give"
        alone = (
            f"{self.n_floor} real images alone give"
            if self.about_one_set
            else f"two random parts of {self.n_floor} real images give"
        )
        shown = self.floor_spread > 1e-9 * abs(self.floor)
        spread = f" ± {self.floor_spread:.3g}" if shown else ""
        return f"{alone} {self.floor:.4g}{spread}: {self._verdict()}"

    def _verdict(self) -> str:
        if self.about_one_set:
            return (
                "the generated set is less varied than as many photographs"
                if self.beyond_floor
                else "the generated set is not clearly less varied than as many photographs"
            )
        if self.beyond_floor:
            return "the sets differ by more than chance explains"
        return (
            "at this number of images the sets cannot be told apart by it, which is no proof of "
            "equality"
        )


@dataclass(frozen=True)
class NearestPair:
    """A generated image and the training photograph nearest to it.

    Attributes:
        fake: index in the generated set.
        train: index in the training set.
        distance: Euclidean distance of their features.
    """

    fake: int
    train: int
    distance: float


@dataclass(frozen=True)
class Memorisation:
    """The figure with its conditions.

    Attributes:
        share: share of the fakes that are nearer to a training photograph than `threshold`.
        threshold: the 5 % quantile of the reference distances.
        reference: ``held-out`` photographs, or ``training`` (each to the others) without any.
        n_fake: generated images.
        n_train: training photographs.
        n_reference: photographs behind the threshold.
        extractor: the feature space.
        closest: the closest pairs, nearest first, for a contact sheet.
    """

    share: float
    threshold: float
    reference: str
    n_fake: int
    n_train: int
    n_reference: int
    extractor: str
    closest: tuple[NearestPair, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    def sentence(self) -> str:
        """What the figure says at this number of images."""
        verdict = (
            "no sign of copying" if self.share <= 2 * QUANTILE else "look at the closest pairs"
        )
        if self.share > 0.5:
            verdict = "the generator mostly copies its training photographs"
        few = (
            f". The threshold rests on one or two of only {self.n_reference} photographs"
            if self.n_reference < 2 / QUANTILE
            else ""
        )
        stand_in = (
            ". No photograph was held out, so the training photographs stand in for them"
            if self.reference == "training"
            else ""
        )
        return (
            f"{self.share:.0%} of {self.n_fake} generated images lie nearer to a training photograph "
            f"than {QUANTILE:.0%} of the {self.n_reference} {self.reference} photographs do "
            f"(about {QUANTILE:.0%} is expected without copying): {verdict}{few}{stand_in}. It is no proof of privacy."
        )


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
