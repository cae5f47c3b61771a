"""The stage `compare`: a translation model beside every cheap alternative, on the same photographs.

The model is recommended only when both its distance in skin tone (ITA) and its KID to the target are
lower than those of every tone transfer, and at least 95 % of the lesions are still called lesions
afterwards. Otherwise the sentence names what to use instead. The transplant is no tone transfer: it is
a generator of its own, and has to pass the same gate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageRecord, ImageSet, TrainingImage
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.baselines import NO_CHANGE, TONE_TRANSFERS
from hzsynth.cyclegan.domains import given_mask
from hzsynth.cyclegan.judging import Judge, Verdicts, after_jpeg, feature_judge
from hzsynth.cyclegan.measures import (
    colour_distances,
    feature_distance,
    found_area,
    grown,
    lesion_similarity,
    red_contrast,
    skin_colour,
)
from hzsynth.cyclegan.target import Picture, Pixels, TargetStatistics, measure_target
from hzsynth.cyclegan.transplant import main_parts, transplant
from hzsynth.data.lesion import lesion_mask
from hzsynth.data.photos import decode_image, square
from hzsynth.data.skin_tone import skin_mask
from hzsynth.score.extractors import create_extractor
from hzsynth.score.fidelity import default_subset_size, kernel_distance, kernel_floor

MODEL, TRANSPLANT, BOTH = "cyclegan", "transplant", "transplant + cyclegan"
FEWEST = 8
_LOWEST_RETENTION = 0.95
_HOSTS_TRIED = 12
# Patches beside the lesion for KID: side as a share of the picture, most a picture, least skin.
_PATCH, _PATCHES, _PATCH_SKIN = 0.375, 3, 0.7
_SUBSETS, _FLOOR_REPEATS = 50, 50


class ComparisonConfig(Config):
    """Settings of `compare`."""

    size: int = Field(0, ge=0, le=512, description="side of the pictures; 0: that of the model")
    largest: int = Field(150, ge=FEWEST, description="photographs of a domain at most")
    seed: int = Field(0, ge=0, description="of draws")


@dataclass(frozen=True)
class Sample:
    """A photograph in the comparison.

    Attributes:
        picture: a central square with its lesion (empty in the target domain).
        patient: its patient, or the picture itself where that is unknown.
    """

    picture: Picture
    patient: str


@dataclass(frozen=True)
class Changed:
    """A source photograph after a method.

    Attributes:
        picture: the result, and where the lesion is now.
        before: what the lesion looked like before, in the same place.
    """

    picture: Picture
    before: Pixels


@dataclass(frozen=True)
class Row:
    """What a method does; figures are None where they do not exist.

    Attributes:
        method: its name.
        pictures: how many source photographs it was measured on.
        called: how many of them the judge called a lesion before.
        retention: share of those still called one.
        retention_jpeg: the same after JPEG at quality 75.
        probability_change: mean change of the judge's probability.
        similarity: median SSIM inside the lesion.
        feature_distance: median distance of the lesion's features.
        contrast: median ratio of the lesion's contrast in a*, after / before.
        area: median ratio of the area that looks inflamed, after / before.
        tone: first Wasserstein distance of ITA to the target, degrees.
        red: the same of a*.
        yellow: the same of b*.
        kid: to the target, on patches without lesion.
        kid_spread: its standard deviation over subsets.
        normal_turned: share of healthy photographs, called healthy before, that are called a lesion.
    """

    method: str
    pictures: int
    called: int
    retention: float | None
    retention_jpeg: float | None
    probability_change: float
    similarity: float | None
    feature_distance: float | None
    contrast: float | None
    area: float | None
    tone: float
    red: float
    yellow: float
    kid: float | None
    kid_spread: float | None
    normal_turned: float | None


@dataclass(frozen=True)
class Comparison:
    """The model beside its alternatives.

    Attributes:
        rows: one a method: tone transfers, transplant, model, both.
        passed: whether the model passes the gate.
        recommendation: what to use, in a sentence with the figures.
        kid_floor: KID between two halves of the target's photographs; None with too few.
        judge: who judged.
        remarks: what limits the comparison.
        counts: photographs of each domain.
        sheet: method -> pictures of the same photographs.
        config: the settings, the size resolved.
    """

    rows: tuple[Row, ...]
    passed: bool
    recommendation: str
    kid_floor: float | None
    judge: str
    remarks: tuple[str, ...]
    counts: dict[str, int]
    sheet: Mapping[str, torch.Tensor]
    config: ComparisonConfig

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "passed": self.passed,
            "recommendation": self.recommendation,
            "judge": self.judge,
            "kid_floor": self.kid_floor,
            "counts": self.counts,
            "remarks": list(self.remarks),
            "rows": [vars(row) for row in self.rows],
            "config": self.config.model_dump(mode="json"),
        }


Translate = Callable[[Pixels], Pixels]
"""A trained model: H x W x 3 -> the same shape."""


def compare(
    translate: Translate,
    seen: Sequence[TrainingImage],
    source: ImageSet,
    target: ImageSet,
    config: ComparisonConfig,
    *,
    compute: Compute,
    judge: Judge | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Measures a model and its alternatives.

    Args:
        translate: the model.
        seen: what it learned from: photographs that it did not see are compared where there are
            at least eight.
        source: photographs with lesions; masks are taken from the set or found by redness.
        target: photographs of healthy skin of the target domain.
        config: the settings; `size` must not be 0.
        compute: where features are computed.
        judge: says whether a lesion is there; by default one is trained (see `judging`).
        progress: where to report.

    Returns:
        The comparison.

    Raises:
        InputError: a set has fewer than eight photographs, or an image cannot be read.
    """
    remarks: list[str] = []
    known = {image.sha256 for image in seen}
    used = _used(source, "SOURCE", known, config, remarks)
    references = _used(target, "TARGET", known, config, remarks)
    sources = [_source(source, record, config.size) for record in used]
    wanted = [_healthy(target, record, config.size) for record in references]
    learned = _limited(target.training_part().records, config)
    if {r.sha256 for r in learned} & {r.sha256 for r in references}:
        remarks.append(
            "the target's photographs serve as hosts and as reference at once, which favours the "
            "transplant's KID"
        )
    hosts = [_healthy(target, record, config.size).picture.pixels for record in learned]
    if judge is None:
        judge = feature_judge(
            [s.picture for s in sources if s.picture.lesion.any()],
            [s.picture for s in wanted],
            [s.patient for s in sources if s.picture.lesion.any()],
            [s.patient for s in wanted],
            seed=config.seed,
            compute=compute,
        )
    made = _make_all(translate, sources, measure_target(hosts), config, progress)
    healthy_made = _change_healthy(translate, wanted, measure_target(hosts), config)
    bench = _Bench(sources, wanted, judge, config, compute)
    rows = []
    with progress.task("measuring", total=len(made), unit="methods") as task:
        for name, pictures in made.items():
            rows.append(bench.measure(name, pictures, healthy_made.get(name)))
            task.advance(1)
    passed, sentence = recommend(rows)
    return Comparison(
        rows=tuple(rows),
        passed=passed,
        recommendation=sentence,
        kid_floor=bench.floor,
        judge=judge.name,
        remarks=(*remarks, *bench.remarks),
        counts={"source": len(sources), "target": len(wanted), "hosts": len(hosts)},
        sheet=_sheet(sources, made),
        config=config,
    )


def _limited(records: Sequence[ImageRecord], config: ComparisonConfig) -> list[ImageRecord]:
    if len(records) <= config.largest:
        return list(records)
    chosen = numpy_generator(config.seed, "compare", "chosen").permutation(len(records))
    return [records[i] for i in sorted(chosen[: config.largest].tolist())]


def _used(
    images: ImageSet, name: str, known: set[str], config: ComparisonConfig, remarks: list[str]
) -> list[ImageRecord]:
    """The photographs that the model did not see; all of them where those are too few."""
    if len(images) < FEWEST:
        raise InputError(f"{name} has {len(images)} photographs, a comparison needs {FEWEST}")
    unseen = [record for record in images if record.sha256 not in known]
    if len(unseen) >= FEWEST:
        return _limited(unseen, config)
    remarks.append(
        f"only {len(unseen)} photographs of {name} are new to the model: all are used, also those that "
        "it learned from"
    )
    return _limited(images.records, config)


def _decoded(images: ImageSet, record: ImageRecord) -> Pixels:
    return decode_image(images.read_bytes(record), str(images.path(record)))


def _source(images: ImageSet, record: ImageRecord, size: int) -> Sample:
    pixels = _decoded(images, record)
    mask = given_mask(images, record, pixels)
    if mask is None:
        mask = main_parts(lesion_mask(pixels))
    repeated = np.repeat(mask.astype(np.uint8)[..., None] * 255, 3, axis=2)
    picture = Picture(square(pixels, size), square(repeated, size)[..., 0] > 127)
    return Sample(picture, record.group or record.sha256)


def _healthy(images: ImageSet, record: ImageRecord, size: int) -> Sample:
    pixels = square(_decoded(images, record), size)
    empty = np.zeros(pixels.shape[:2], dtype=bool)
    return Sample(Picture(pixels, empty), record.group or record.sha256)


def _make_all(
    translate: Translate,
    sources: Sequence[Sample],
    target: TargetStatistics,
    config: ComparisonConfig,
    progress: Progress,
) -> dict[str, list[Changed | None]]:
    """Every method on every source photograph."""
    made: dict[str, list[Changed | None]] = {}
    total = (len(TONE_TRANSFERS) + 3) * len(sources)
    with progress.task("changing", total=total, unit="img") as task:
        for name, transfer in TONE_TRANSFERS:
            made[name] = []
            for number, sample in enumerate(sources):
                rng = numpy_generator(config.seed, "compare", name, number)
                changed = transfer(sample.picture, target, rng)
                made[name].append(Changed(changed, sample.picture.pixels))
                task.advance(1)
        made[TRANSPLANT], made[MODEL], made[BOTH] = [], [], []
        for number, sample in enumerate(sources):
            laid = _transplanted(sample.picture, target, config, number)
            made[TRANSPLANT].append(laid)
            after = Picture(translate(sample.picture.pixels), sample.picture.lesion)
            made[MODEL].append(Changed(after, sample.picture.pixels))
            both = None
            if laid is not None:
                both = Picture(translate(laid.picture.pixels), laid.picture.lesion)
            made[BOTH].append(None if laid is None or both is None else Changed(both, laid.before))
            task.advance(3)
    return made


def _transplanted(
    picture: Picture, target: TargetStatistics, config: ComparisonConfig, number: int
) -> Changed | None:
    rng = numpy_generator(config.seed, "compare", TRANSPLANT, number)
    for place in rng.permutation(len(target.photographs))[:_HOSTS_TRIED]:
        result = transplant(picture, target.photographs[place], rng)
        if result is not None and result.picture.lesion.any():
            return Changed(result.picture, result.aligned)
    return None


def _change_healthy(
    translate: Translate,
    wanted: Sequence[Sample],
    target: TargetStatistics,
    config: ComparisonConfig,
) -> dict[str, list[Picture]]:
    """Every method that can be applied to healthy skin; a transplant cannot."""
    made: dict[str, list[Picture]] = {}
    for name, transfer in TONE_TRANSFERS:
        generators = [
            numpy_generator(config.seed, "compare", "healthy", name, i) for i in range(len(wanted))
        ]
        made[name] = [
            transfer(sample.picture, target, rng)
            for sample, rng in zip(wanted, generators, strict=True)
        ]
    made[MODEL] = [Picture(translate(s.picture.pixels), s.picture.lesion) for s in wanted]
    return made


class _Bench:
    """Measures methods on the same photographs by the same judge."""

    def __init__(
        self,
        sources: Sequence[Sample],
        wanted: Sequence[Sample],
        judge: Judge,
        config: ComparisonConfig,
        compute: Compute,
    ) -> None:
        self._sources, self._wanted = sources, wanted
        self._judge, self._config = judge, config
        self._extractor = create_extractor(compute=compute)
        self._before = self._asked([s.picture for s in sources], sources)
        self._healthy_before = self._asked([s.picture for s in wanted], wanted)
        self._colours = [skin_colour(sample.picture) for sample in wanted]
        self._reference = self._patch_features([s.picture for s in wanted])
        self.remarks: list[str] = []
        self.floor: float | None = None
        if len(self._reference) >= 2 * FEWEST:
            part = len(self._reference) // 2
            self.floor, _ = kernel_floor(
                self._reference, part=part, repeats=_FLOOR_REPEATS, seed=config.seed
            )
        else:
            self.remarks.append("the target's photographs give too few patches of skin for a KID")
        wrong = float(self._healthy_before.called.mean())
        right = float(self._before.called.mean())
        self.remarks.append(
            f"the judge calls {right:.0%} of the lesions and {wrong:.0%} of the healthy photographs a "
            "lesion before any change"
        )

    def _asked(self, pictures: Sequence[Picture], samples: Sequence[Sample]) -> Verdicts:
        return self._judge.ask(pictures, [sample.patient for sample in samples])

    def measure(
        self, name: str, made: Sequence[Changed | None], healthy: Sequence[Picture] | None
    ) -> Row:
        places = [i for i, changed in enumerate(made) if changed is not None]
        kept = [changed for changed in made if changed is not None]
        pictures = [changed.picture for changed in kept]
        if not kept:
            raise InputError(
                "no lesion finds a place on the target's photographs: they show too little skin"
            )
        samples = [self._sources[i] for i in places]
        called = self._before.called[places]
        after = self._asked(pictures, samples)
        jpeg = self._asked([after_jpeg(picture) for picture in pictures], samples)
        lesions = [
            (changed, self._sources[i].picture)
            for i, changed in zip(places, kept, strict=True)
            if changed.picture.lesion.any()
        ]
        tone, red, yellow = colour_distances([skin_colour(p) for p in pictures], self._colours)
        kid, spread = self._kid(pictures)
        return Row(
            method=name,
            pictures=len(kept),
            called=int(called.sum()),
            retention=_share(after.called[called]),
            retention_jpeg=_share(jpeg.called[called]),
            probability_change=float(np.mean(after.probability - self._before.probability[places])),
            similarity=_median(
                [
                    lesion_similarity(c.before, c.picture.pixels, c.picture.lesion)
                    for c, _ in lesions
                ]
            ),
            feature_distance=_median(
                [feature_distance(c.before, c.picture.pixels, c.picture.lesion) for c, _ in lesions]
            ),
            contrast=_median(
                [
                    red_contrast(c.picture) / before
                    for c, original in lesions
                    if (before := red_contrast(original)) > 1.0
                ]
            ),
            area=_median(
                [
                    found_area(c.picture) / before
                    for c, _ in lesions
                    if (before := found_area(Picture(c.before, c.picture.lesion))) > 0
                ]
            ),
            tone=tone,
            red=red,
            yellow=yellow,
            kid=kid,
            kid_spread=spread,
            normal_turned=self._turned(healthy),
        )

    def _turned(self, healthy: Sequence[Picture] | None) -> float | None:
        if healthy is None:
            return None
        after = self._asked(healthy, self._wanted)
        return _share(after.called[~self._healthy_before.called])

    def _kid(self, pictures: Sequence[Picture]) -> tuple[float | None, float | None]:
        features = self._patch_features(pictures)
        size = default_subset_size(len(self._reference), len(features))
        if size < FEWEST:
            return None, None
        return kernel_distance(
            self._reference, features, subset_size=size, subsets=_SUBSETS, seed=self._config.seed
        )

    def _patch_features(self, pictures: Sequence[Picture]) -> torch.Tensor:
        patches = []
        for number, picture in enumerate(pictures):
            rng = numpy_generator(self._config.seed, "compare", "patches", number)
            patches += skin_patches(picture, rng)
        if not patches:
            return torch.empty(0, self._extractor.dim)
        stacked = np.stack(patches).transpose(0, 3, 1, 2)
        return self._extractor(torch.from_numpy(stacked.copy()))


def skin_patches(picture: Picture, rng: np.random.Generator) -> list[Pixels]:
    """Up to three patches of skin beside the lesion, a bit more than a third of the picture each.

    Args:
        picture: with its lesion.
        rng: draws the places; for pictures with equal masks and skin they are the same.

    Returns:
        Patches of one size; none where the lesion leaves no room.
    """
    height, width = picture.lesion.shape
    side = round(_PATCH * min(height, width))
    near = grown(picture.lesion, round(0.02 * max(height, width)))
    skin = skin_mask(picture.pixels)
    patches: list[Pixels] = []
    rows = rng.integers(0, height - side + 1, 60).tolist()
    columns = rng.integers(0, width - side + 1, 60).tolist()
    for row, column in zip(rows, columns, strict=True):
        box = np.s_[row : row + side, column : column + side]
        if near[box].mean() <= 0.01 and skin[box].mean() >= _PATCH_SKIN:
            patches.append(np.ascontiguousarray(picture.pixels[box]))
        if len(patches) == _PATCHES:
            break
    return patches


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _sheet(
    sources: Sequence[Sample], made: Mapping[str, Sequence[Changed | None]], count: int = 8
) -> dict[str, torch.Tensor]:
    """The first photographs with a lesion that every method could change."""
    places = [
        i
        for i, sample in enumerate(sources)
        if sample.picture.lesion.any() and all(results[i] is not None for results in made.values())
    ]
    step = max(1, len(places) // count)
    chosen = (places or list(range(len(sources))))[::step][:count]
    rows = {}
    for name, results in made.items():
        pictures = [
            sources[i].picture.pixels if (found := results[i]) is None else found.picture.pixels
            for i in chosen
        ]
        rows["source" if name == NO_CHANGE else name] = torch.from_numpy(
            np.stack(pictures).transpose(0, 3, 1, 2).copy()
        )
    return rows


def recommend(rows: Sequence[Row]) -> tuple[bool, str]:
    """The gate and its sentence.

    Args:
        rows: of `compare`, with the tone transfers, the transplant and the model.

    Returns:
        Whether the model passes, and what to use.
    """
    by_name = {row.method: row for row in rows}
    transfers = [by_name[name] for name, _ in TONE_TRANSFERS if name in by_name]
    model = by_name[MODEL]
    reasons = failures(model, transfers)
    if not reasons:
        return True, f"Use the model: {_figures(model, transfers)}."
    others = [
        row
        for name in (BOTH, TRANSPLANT)
        if (row := by_name.get(name)) is not None and not failures(row, transfers)
    ]
    why = f"Do not use the model: {'; '.join(reasons)}."
    if others:
        best = min(others, key=lambda row: (row.kid or 0.0, row.tone))
        return False, f"{why} Use {best.method} instead: {_figures(best, transfers)}."
    best = best_transfer(transfers)
    if best.method == NO_CHANGE:
        return False, f"{why} Nothing else is better than the photographs as they are (no-op)."
    return False, f"{why} Use {best.method} instead: {_figures(best, transfers)}."


def best_transfer(transfers: Sequence[Row]) -> Row:
    """The tone transfer with the best mean rank in tone and KID among those that keep the lesions."""
    keeping = [row for row in transfers if (row.retention or 0.0) >= _LOWEST_RETENTION]
    keeping = keeping or [row for row in transfers if row.method == NO_CHANGE] or list(transfers)

    def rank(row: Row) -> tuple[int, float]:
        lower_tone = sum(other.tone < row.tone for other in keeping)
        lower_kid = sum(_kid(other) < _kid(row) for other in keeping)
        return lower_tone + lower_kid, row.tone

    return min(keeping, key=rank)


def _kid(row: Row) -> float:
    return np.inf if row.kid is None else row.kid


def failures(row: Row, transfers: Sequence[Row]) -> list[str]:
    """Why a method fails the gate; empty when it passes."""
    found = []
    tone, kid = min(transfers, key=lambda r: r.tone), min(transfers, key=_kid)
    if row.tone >= tone.tone:
        found.append(
            f"its distance in ITA ({row.tone:.1f}°) is no lower than that of {tone.method} "
            f"({tone.tone:.1f}°)"
        )
    if row.kid is None:
        found.append("its KID is unknown, as there are too few patches of skin")
    elif row.kid >= _kid(kid):
        found.append(
            f"its KID ({row.kid:.4f}) is no lower than that of {kid.method} ({kid.kid:.4f})"
        )
    if row.retention is None:
        found.append("whether it keeps lesions is unknown, as the judge called none before")
    elif row.retention < _LOWEST_RETENTION:
        found.append(f"it keeps {row.retention:.0%} of {row.called} lesions, less than 95 %")
    return found


def _figures(row: Row, transfers: Sequence[Row]) -> str:
    tone, kid = min(transfers, key=lambda r: r.tone), min(transfers, key=_kid)
    kept = "no lesion was called before"
    if row.retention is not None:
        kept = f"{row.retention:.0%} of {row.called} lesions are kept"
    values = "KID unknown" if row.kid is None else f"KID {row.kid:.4f}"
    best = "" if kid.kid is None else f" (best tone transfer {kid.method}: {kid.kid:.4f})"
    return (
        f"ITA is {row.tone:.1f}° from the target (best tone transfer {tone.method}: "
        f"{tone.tone:.1f}°), {values}{best}, {kept}"
    )
