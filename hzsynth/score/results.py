"""A score is a value with its conditions, never a bare float."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hzsynth.score.copies import FALSE_ALARMS, Memorisation

Direction = Literal["lower", "higher"]
About = Literal["both sets", "one set", "copying"]
"""Whether a figure compares the sets, is about the generated one alone, or tells learned from new photographs."""


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
        floor: the same figure of photographs: between two parts of them that share no patient and no
            copy, or of photographs alone where the figure is about one set; None where there are too few.
        floor_spread: its standard deviation over random divisions.
        at_floor: the figure at the floor's number of images: of one such part and as many generated
            images.
        against_training: `value` against the photographs that the generator learned from, all of them: a
            copier's is better than `value`; None without any, and where they are what `value` is against.
        p: the chance that a perfect generator gets a figure this bad (relabelling of independent
            photographs and generated images); None where it cannot be told.
        p_adjusted: the same for all figures of the report together (Holm).
        better: whether lower or higher values are better.
        n_real: photographs.
        n_fake: generated images.
        n_training: training photographs behind `against_training`.
        n_floor: photographs in each part of the floor.
        n_tested: independent photographs behind `p`.
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
        about: what the figure tells.
        beside_conditions: whether it means nothing without number of images, resize and weights.
        fit: the line behind an extrapolated figure.
    """

    metric: str
    value: float
    spread: float | None
    floor: float | None
    floor_spread: float | None
    at_floor: float | None
    against_training: float | None
    p: float | None
    better: Direction
    n_real: int
    n_fake: int
    n_training: int
    n_floor: int
    n_tested: int
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
    about: About = "both sets"
    beside_conditions: bool = False
    p_adjusted: float | None = None
    fit: Fit | None = None

    @property
    def kind(self) -> str:
        """The metric without its features, such as ``kid``."""
        return self.metric.removesuffix(f"-{self.extractor}")

    @property
    def beyond_floor(self) -> bool | None:
        """Whether the figure is worse than chance explains; None where that cannot be told."""
        return None if self.p_adjusted is None else self.p_adjusted <= FALSE_ALARMS

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
        if self.about == "copying":
            return (
                f"{self.n_tested} photographs of different patients on each side{self._verdict()}"
            )
        beside = []
        if self.floor is None or self.floor_spread is None:
            beside.append("there are too few real images to say what real against real would give")
        else:
            alone = (
                f"{self.n_floor} real images alone give"
                if self.about == "one set"
                else f"two parts of {self.n_floor} real images of different patients give"
            )
            shown = self.floor_spread > 1e-9 * abs(self.floor)
            spread = f" ± {self.floor_spread:.3g}" if shown else ""
            beside.append(f"{alone} {self.floor:.4g}{spread}")
            if self.at_floor is not None and self.about == "both sets":
                beside.append(f"one and as many generated images {self.at_floor:.4g}")
        if self.against_training is not None:
            beside.append(self._training())
        return f"{', '.join(beside)}{self._verdict()}"

    def _training(self) -> str:
        if self.about == "one set":
            return f"{self.n_training} training photographs alone {self.against_training:.4g}"
        return (
            f"against the {self.n_training} training photographs it is {self.against_training:.4g}"
        )

    def _verdict(self) -> str:
        if self.p is None:
            return ""
        p, held = (self.p, "") if self.p_adjusted is None else (self.p_adjusted, " for all figures")
        chance = f" (p = {p:.2g}{held}, {self.n_tested} independent photographs)"
        if self.about == "copying":
            words = (
                "nearer to the training photographs than chance explains"
                if self.beyond_floor
                else "not clearly nearer to the training photographs than to others"
            )
        elif self.about == "one set":
            words = (
                "the generated set is less varied than as many photographs"
                if self.beyond_floor
                else "the generated set is not clearly less varied than as many photographs"
            )
        elif self.beyond_floor:
            words = "the sets differ by more than chance explains"
        else:
            words = (
                "at this number of images the sets cannot be told apart by it, which is no proof of "
                "equality"
            )
        return f": {words}{chance}"


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
        compared_with: which photographs the figures are against: ``held-out``, ``train`` and so on.
        remarks: what to know beside the figures.
    """

    scores: tuple[Score, ...]
    memorisation: Memorisation | None = None
    unavailable: tuple[Unavailable, ...] = ()
    by: str = ""
    groups: tuple[Group, ...] = ()
    remarks: tuple[str, ...] = ()
    compared_with: str = ""

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

    @property
    def nearer_to_training(self) -> bool | None:
        """Whether the images lie nearer to the training photographs than chance allows; None: not known."""
        return None if self.memorisation is None else self.memorisation.beyond_chance

    def sentences(self) -> tuple[str, ...]:
        """Every figure in words, each set of conditions before its first figure, groups last."""
        words: list[str] = []
        for score in self.scores:
            conditions = f"On {score.conditions}:"
            if conditions not in words:
                words.append(conditions)
            words.append(score.sentence())
        if any(score.p is not None for score in self.scores):
            words.append(
                f"A perfect generator is called worse in any of these figures in {FALSE_ALARMS:.0%} of such "
                "reports at most."
            )
        words += [missing.sentence() for missing in self.unavailable]
        if self.memorisation is not None:
            words.append(self.memorisation.sentence())
        if self.nearer_to_training:
            words.append(
                "The generated images lie nearer to the training photographs than photographs of new "
                "patients do, by more than chance allows: a figure against the training photographs says "
                "nothing of quality."
            )
        for group in self.groups:
            words.extend(group.sentences())
        return tuple(words)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        result: dict[str, Any] = {
            "compared_with": self.compared_with,
            "nearer_to_training": self.nearer_to_training,
            "remarks": list(self.remarks),
            "scores": [score.to_json() for score in self.scores],
            "memorisation": None if self.memorisation is None else self.memorisation.to_json(),
            "unavailable": [asdict(missing) for missing in self.unavailable],
        }
        if self.by:
            result |= {"by": self.by, "groups": [group.to_json() for group in self.groups]}
        return result
