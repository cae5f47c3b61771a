"""Measures methods on the same photographs, by the same judge and against the same target."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.cyclegan.baselines import TONE
from hzsynth.cyclegan.floors import patch_floor, tone_floor
from hzsynth.cyclegan.gate import BOTH, TRANSPLANT, Row
from hzsynth.cyclegan.judging import Judge, Verdicts, after_jpeg
from hzsynth.cyclegan.measures import (
    colour_distances,
    explained_by_colours,
    feature_distance,
    found_area,
    lesion_similarity,
    red_contrast,
    skin_colour,
)
from hzsynth.cyclegan.paired_distance import Gain, gain_over
from hzsynth.cyclegan.skin_patches import Described, describe
from hzsynth.cyclegan.target import Picture, Pixels
from hzsynth.cyclegan.texture import texture_features
from hzsynth.score.extractors import FeatureExtractor
from hzsynth.score.metrics.kid import default_subset_size, kid

# A KID of fewer patches says nothing.
_FEWEST = 8
_SUBSETS = 50
# Deviations beyond which a texture is no further away.
_FURTHEST = 3.0
KID, TEXTURE = "kid", "texture"


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


class MethodEvaluator:
    """Measures methods on the same photographs by the same judge.

    The closed-form tone map has to be measured before the methods that it is compared with.

    Attributes:
        remarks: what limits the comparison, sentences for the user.
        floors: KID and texture between patients of the target; None with too few patches.
        tone_floor: distance in ITA between patients of the target, at as many photographs as are
            compared; None with one patient.
    """

    def __init__(
        self,
        sources: Sequence[Sample],
        wanted: Sequence[Sample],
        judge: Judge,
        seed: int,
        extractor: FeatureExtractor,
    ) -> None:
        self._sources, self._wanted = sources, wanted
        self._judge, self._seed = judge, seed
        self._extractor = extractor
        self._before = self._asked([s.picture for s in sources], sources)
        self._healthy_before = self._asked([s.picture for s in wanted], wanted)
        # Light falls off towards the edges of a picture: healthy skin is looked at where lesions are.
        self._colours = [
            skin_colour(Picture(sample.picture.pixels, other.picture.lesion))
            for sample, other in zip(wanted, itertools.cycle(sources), strict=False)
        ]
        patients = [s.patient for s in wanted]
        self._scale = torch.zeros(1), torch.ones(1)
        plain = describe([s.picture for s in wanted], patients, [texture_features], seed)[0]
        if len(plain.patients) > 1:
            # Every figure of texture counts as much as it differs between the target's patches.
            deviation, mean = torch.std_mean(plain.features, dim=0)
            self._scale = mean, deviation.clamp_min(1e-3)
        self._target = self._described([s.picture for s in wanted], patients)
        self._of_tone_map: dict[str, Described] | None = None
        self.remarks: list[str] = []
        counts = len(sources), len(wanted)
        self.tone_floor = tone_floor(self._colours, patients, counts, seed)
        self.floors: dict[str, float | None] = {KID: None, TEXTURE: None}
        patches = len(self._target[KID].patients)
        if patches >= 2 * _FEWEST:
            for name, target in self._target.items():
                floor = patch_floor(target, patches // 2, seed)
                self.floors[name] = None if floor is None else floor[0]
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
        """All figures of one method.

        Args:
            name: of the method.
            made: what it made of each source photograph; None where it could not.
            healthy: what it made of each of the target's photographs, or None.

        Returns:
            The row of the table.

        Raises:
            InputError: the method could change no photograph.
        """
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
        tone, red, yellow = colour_distances([skin_colour(p) for p in pictures], self._colours)
        described = self._described(pictures, [sample.patient for sample in samples])
        if name == TONE:
            self._of_tone_map = described
        (kid_value, spread), (texture, _) = (self._distance(n, described) for n in (KID, TEXTURE))
        gains = [self._gain(n, described) for n in (KID, TEXTURE)]
        return Row(
            method=name,
            pictures=len(kept),
            called=int(called.sum()),
            retention=_share(after.called[called]),
            retention_jpeg=_share(jpeg.called[called]),
            probability_change=float(np.mean(after.probability - self._before.probability[places])),
            **_lesion_figures(kept, [sample.picture for sample in samples]),
            tone=tone,
            red=red,
            yellow=yellow,
            kid=kid_value,
            kid_spread=spread,
            texture=texture,
            kid_gain=gains[0],
            texture_gain=gains[1],
            colour_map=None if name in (TRANSPLANT, BOTH) else _colour_map(kept),
            normal_turned=self._turned(healthy),
        )

    def _turned(self, healthy: Sequence[Picture] | None) -> float | None:
        if healthy is None:
            return None
        after = self._asked(healthy, self._wanted)
        return _share(after.called[~self._healthy_before.called])

    def _described(
        self, pictures: Sequence[Picture], patients: Sequence[str]
    ) -> dict[str, Described]:
        found = describe(pictures, patients, (self._extractor, self._texture), self._seed)
        return dict(zip((KID, TEXTURE), found, strict=True))

    def _texture(self, patches: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._scale
        # A hair or an edge in one patch would outweigh all others in a cubic kernel.
        return ((texture_features(patches) - mean) / deviation).clamp(-_FURTHEST, _FURTHEST)

    def _distance(
        self, space: str, made: dict[str, Described]
    ) -> tuple[float | None, float | None]:
        target, own = self._target[space].features, made[space].features
        size = default_subset_size(len(target), len(own))
        if size < _FEWEST:
            return None, None
        return kid(target, own, subset_size=size, subsets=_SUBSETS, seed=self._seed)

    def _gain(self, space: str, made: dict[str, Described]) -> Gain | None:
        """How much nearer to the target than by the closed-form tone map."""
        if self._of_tone_map is None or made is self._of_tone_map:
            return None
        return gain_over(self._target[space], made[space], self._of_tone_map[space])


def _colour_map(made: Sequence[Changed]) -> float | None:
    shares = [explained_by_colours(c.before, c.picture.pixels) for c in made]
    return _median([share for share in shares if share is not None])


def _lesion_figures(
    made: Sequence[Changed], originals: Sequence[Picture]
) -> dict[str, float | None]:
    """Medians over the lesions that are still there: what became of structure, contrast and area."""
    lesions = [
        (changed, original)
        for changed, original in zip(made, originals, strict=True)
        if changed.picture.lesion.any()
    ]
    pairs = [(c.before, c.picture.pixels, c.picture.lesion) for c, _ in lesions]
    contrasts = [(red_contrast(c.picture), red_contrast(original)) for c, original in lesions]
    areas = [
        (found_area(c.picture), found_area(Picture(c.before, c.picture.lesion))) for c, _ in lesions
    ]
    return {
        "similarity": _median([lesion_similarity(*pair) for pair in pairs]),
        "feature_distance": _median([feature_distance(*pair) for pair in pairs]),
        "contrast": _median([now / before for now, before in contrasts if before > 1.0]),
        "area": _median([now / before for now, before in areas if before > 0]),
    }


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
