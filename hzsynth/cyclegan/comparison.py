"""The stage `compare`: a translation model beside every cheap alternative, on the same photographs.

Its gate and its recommendation are those of `gate`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import untouched
from hzsynth.core.photos import square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.baselines import NO_CHANGE, TONE, TONE_TRANSFERS, Baseline, tone_transfer
from hzsynth.cyclegan.colour_start import ToneMap, with_shifts
from hzsynth.cyclegan.config import FEWEST, ComparisonConfig
from hzsynth.cyclegan.domains import given_mask, load_domain
from hzsynth.cyclegan.evaluation import KID, TEXTURE, Changed, MethodEvaluator, Sample
from hzsynth.cyclegan.gate import BOTH, MODEL, TRANSPLANT, Row, recommend
from hzsynth.cyclegan.judging import Judge, feature_judge
from hzsynth.cyclegan.target import Picture, Pixels, TargetStatistics, measure_target
from hzsynth.cyclegan.transplant import main_parts, transplant
from hzsynth.data.lesion import lesion_mask
from hzsynth.score.extractors import FeatureExtractor, create_extractor

_HOSTS_TRIED = 12


@dataclass(frozen=True)
class Comparison:
    """The model beside its alternatives.

    Attributes:
        rows: one a method: tone transfers, the model, the transplant alone and translated.
        passed: whether the model passes the gate.
        recommendation: what to use, in a sentence with the figures.
        kid_floor: KID between patients of the target; None with too few.
        texture_floor: the same of texture.
        tone_floor: distance in ITA between patients of the target, degrees; None with one.
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
    texture_floor: float | None
    tone_floor: float | None
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
            "texture_floor": self.texture_floor,
            "tone_floor": self.tone_floor,
            "counts": self.counts,
            "remarks": list(self.remarks),
            "rows": [row.flat() for row in self.rows],
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
    extractor: FeatureExtractor | None = None,
    harmonise: Translate | None = None,
    of_tone_map: bool = False,
    progress: Progress = SILENT,
) -> Comparison:
    """Measures a model and its alternatives.

    Args:
        translate: the model.
        seen: what it learned from: photographs that have nothing to do with it are compared where there
            are at least eight, none of them of a test split.
        source: photographs with lesions; masks are taken from the set or found by redness.
        target: photographs of healthy skin of the target domain.
        config: the settings; `size` must not be 0.
        compute: where features are computed.
        judge: says whether a lesion is there; by default one is trained (see `judging`).
        extractor: features for KID; by default EfficientNet-Lite0.
        harmonise: the model on transplants, whose skin is the target's; by default `translate`.
        of_tone_map: the model is the closed-form tone map, and nothing was learned beyond.
        progress: where to report.

    Returns:
        The comparison.

    Raises:
        InputError: a set has fewer than eight photographs, or an image cannot be read.
    """
    remarks: list[str] = []
    photographs = _photographs(source, target, seen, config, remarks)
    judge = judge or _trained_judge(photographs, config.seed, compute)
    methods = _Methods(
        translate, harmonise or translate, of_tone_map, _tone_map(source, target, config)
    )
    statistics = measure_target(photographs.hosts)
    made = _make_all(methods, photographs.sources, statistics, config, progress)
    healthy_made = _change_healthy(methods, photographs.wanted, statistics, config)
    features = extractor or create_extractor(compute=compute)
    evaluator = MethodEvaluator(
        photographs.sources, photographs.wanted, judge, config.seed, features
    )
    rows = _measure_all(evaluator, made, healthy_made, progress)
    passed, sentence = recommend(rows, evaluator.tone_floor, TONE if of_tone_map else MODEL)
    return Comparison(
        rows=rows,
        passed=passed,
        recommendation=sentence,
        kid_floor=evaluator.floors[KID],
        texture_floor=evaluator.floors[TEXTURE],
        tone_floor=evaluator.tone_floor,
        judge=judge.name,
        remarks=(*remarks, *evaluator.remarks),
        counts=photographs.counts(),
        sheet=_sheet(photographs.sources, made),
        config=config,
    )


def _measure_all(
    evaluator: MethodEvaluator,
    made: Mapping[str, Sequence[Changed | None]],
    healthy_made: Mapping[str, Sequence[Picture]],
    progress: Progress,
) -> tuple[Row, ...]:
    """A row of the table for every method."""
    rows = []
    with progress.task("measuring", total=len(made), unit="methods") as task:
        for name, pictures in made.items():
            rows.append(evaluator.measure(name, pictures, healthy_made.get(name)))
            task.advance(1)
    return tuple(rows)


def _tone_map(source: ImageSet, target: ImageSet, config: ComparisonConfig) -> Baseline | None:
    """The closed-form map between the parts of both sets that may be learned from; None without them."""
    parts = [
        images.replace_records(_limited(images.training_part().records, config))
        for images in (source, target)
    ]
    if min(map(len, parts)) < 2:
        return None
    domains = load_domain(parts[0], config.size, True), load_domain(parts[1], config.size, False)
    return tone_transfer(ToneMap.between(with_shifts(*domains)[0]))


@dataclass(frozen=True)
class _Methods:
    """The model and the alternatives that follow from both sets.

    Attributes:
        translate: the model.
        harmonise: the model on transplants.
        of_tone_map: whether the model is the closed-form tone map itself.
        tone_map: the one between the sets, or None.
    """

    translate: Translate
    harmonise: Translate
    of_tone_map: bool
    tone_map: Baseline | None

    def transfers(self, config: ComparisonConfig) -> list[tuple[str, Baseline]]:
        found = list(TONE_TRANSFERS if config.alternatives else TONE_TRANSFERS[:1])
        if self.tone_map is not None and not self.of_tone_map:
            found.append((TONE, self.tone_map))
        return found

    @property
    def model(self) -> str:
        return TONE if self.of_tone_map else MODEL

    def changed(self, sample: Sample) -> Picture:
        return Picture(self.translate(sample.picture.pixels), sample.picture.lesion)


@dataclass(frozen=True)
class _Photographs:
    """What is compared.

    Attributes:
        sources: with lesions.
        wanted: of the target's healthy skin.
        hosts: the target's that the cheap methods may learn from.
    """

    sources: list[Sample]
    wanted: list[Sample]
    hosts: list[Pixels]

    def counts(self) -> dict[str, int]:
        return {
            "source": len(self.sources),
            "target": len(self.wanted),
            "hosts": len(self.hosts),
        }


def _photographs(
    source: ImageSet,
    target: ImageSet,
    seen: Sequence[TrainingImage],
    config: ComparisonConfig,
    remarks: list[str],
) -> _Photographs:
    used = _used(source, "SOURCE", seen, config, remarks)
    references = _used(target, "TARGET", seen, config, remarks)
    learned = _limited(target.training_part().records, config)
    if {r.sha256 for r in learned} & {r.sha256 for r in references}:
        remarks.append(
            "the target's photographs serve as hosts and as reference at once, which favours the "
            "transplant's KID"
        )
    return _Photographs(
        [_source(source, record, config.size) for record in used],
        [_healthy(target, record, config.size) for record in references],
        [_healthy(target, record, config.size).picture.pixels for record in learned],
    )


def _trained_judge(photographs: _Photographs, seed: int, compute: Compute) -> Judge:
    lesions = [sample for sample in photographs.sources if sample.picture.lesion.any()]
    return feature_judge(
        [sample.picture for sample in lesions],
        [sample.picture for sample in photographs.wanted],
        [sample.patient for sample in lesions],
        [sample.patient for sample in photographs.wanted],
        seed=seed,
        compute=compute,
    )


def _limited(records: Sequence[ImageRecord], config: ComparisonConfig) -> list[ImageRecord]:
    if len(records) <= config.largest:
        return list(records)
    chosen = numpy_generator(config.seed, "compare", "chosen").permutation(len(records))
    return [records[i] for i in sorted(chosen[: config.largest].tolist())]


def _used(
    images: ImageSet,
    name: str,
    seen: Sequence[TrainingImage],
    config: ComparisonConfig,
    remarks: list[str],
) -> list[ImageRecord]:
    """The photographs that the model did not see; all of them where those are too few.

    Test photographs are left out: what is chosen here makes images that are learned from.
    """
    images = images.replace_records(record for record in images if record.split != "test")
    if len(images) < FEWEST:
        raise InputError(
            f"{name} has {len(images)} photographs outside its test split, a comparison needs {FEWEST}"
        )
    unseen = untouched(images, seen)
    if len(unseen) >= FEWEST:
        return _limited(unseen, config)
    remarks.append(
        f"only {len(unseen)} photographs of {name} are new to the model: all are used, also those that "
        "it learned from"
    )
    return _limited(images.records, config)


def _decoded(images: ImageSet, record: ImageRecord) -> Pixels:
    return images.read_pixels(record)


def _source(images: ImageSet, record: ImageRecord, size: int) -> Sample:
    pixels = _decoded(images, record)
    mask = given_mask(images, record, pixels)
    if mask is None:
        mask = main_parts(lesion_mask(pixels))
    repeated = np.repeat(mask.astype(np.uint8)[..., None] * 255, 3, axis=2)
    picture = Picture(square(pixels, size), square(repeated, size)[..., 0] > 127)
    return Sample(picture, record.patient)


def _healthy(images: ImageSet, record: ImageRecord, size: int) -> Sample:
    pixels = square(_decoded(images, record), size)
    empty = np.zeros(pixels.shape[:2], dtype=bool)
    return Sample(Picture(pixels, empty), record.patient)


def _make_all(
    methods: _Methods,
    sources: Sequence[Sample],
    target: TargetStatistics,
    config: ComparisonConfig,
    progress: Progress,
) -> dict[str, list[Changed | None]]:
    """Every method on every source photograph."""
    made: dict[str, list[Changed | None]] = {}
    transfers = methods.transfers(config)
    total = (len(transfers) + 3) * len(sources)
    with progress.task("changing", total=total, unit="img") as task:
        for name, transfer in transfers:
            made[name] = []
            for number, sample in enumerate(sources):
                rng = numpy_generator(config.seed, "compare", name, number)
                changed = transfer(sample.picture, target, rng)
                made[name].append(Changed(changed, sample.picture.pixels))
                task.advance(1)
        made[methods.model] = [Changed(methods.changed(s), s.picture.pixels) for s in sources]
        task.advance(len(sources))
        if not config.alternatives:
            return made
        made[TRANSPLANT] = []
        for number, sample in enumerate(sources):
            made[TRANSPLANT].append(_transplanted(sample.picture, target, config, number))
            task.advance(1)
        if not methods.of_tone_map:
            made[BOTH] = [_harmonised(laid, methods.harmonise) for laid in made[TRANSPLANT]]
        task.advance(len(sources))
    return made


def _harmonised(laid: Changed | None, harmonise: Translate) -> Changed | None:
    if laid is None:
        return None
    return Changed(Picture(harmonise(laid.picture.pixels), laid.picture.lesion), laid.before)


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
    methods: _Methods,
    wanted: Sequence[Sample],
    target: TargetStatistics,
    config: ComparisonConfig,
) -> dict[str, list[Picture]]:
    """Every method that can be applied to healthy skin; a transplant cannot."""
    made: dict[str, list[Picture]] = {}
    for name, transfer in methods.transfers(config):
        generators = [
            numpy_generator(config.seed, "compare", "healthy", name, i) for i in range(len(wanted))
        ]
        made[name] = [
            transfer(sample.picture, target, rng)
            for sample, rng in zip(wanted, generators, strict=True)
        ]
    made[methods.model] = [methods.changed(sample) for sample in wanted]
    return made


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
