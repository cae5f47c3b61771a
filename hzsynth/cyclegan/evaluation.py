"""Measures methods on the same photographs, by the same judge and against the same target."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.gate import Row
from hzsynth.cyclegan.judging import Judge, Verdicts, after_jpeg
from hzsynth.cyclegan.measures import (
    SkinColour,
    colour_distances,
    feature_distance,
    found_area,
    grown,
    lesion_similarity,
    red_contrast,
    skin_colour,
)
from hzsynth.cyclegan.target import Picture, Pixels
from hzsynth.data.skin import skin_mask
from hzsynth.score.extractors import FeatureExtractor
from hzsynth.score.metrics.kid import default_subset_size, kid, kid_floor

# A KID of fewer patches says nothing.
_FEWEST = 8
# Patches beside the lesion for KID: side as a share of the picture, most a picture, least skin.
_PATCH, _PATCHES, _PATCH_SKIN = 0.375, 3, 0.7
_SUBSETS, _FLOOR_REPEATS = 50, 50


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

    Attributes:
        remarks: what limits the comparison, sentences for the user.
        floor: KID between halves of the target's photographs; None with too few patches.
        tone_floor: distance in ITA between halves of the target's patients; None with one patient.
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
        self._reference = self._patch_features([s.picture for s in wanted])
        self.remarks: list[str] = []
        self.tone_floor = tone_floor(self._colours, [s.patient for s in wanted], seed)
        self.floor: float | None = None
        if len(self._reference) >= 2 * _FEWEST:
            part = len(self._reference) // 2
            self.floor, _ = kid_floor(self._reference, part=part, repeats=_FLOOR_REPEATS, seed=seed)
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
        kid, spread = self._kid(pictures)
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
        if size < _FEWEST:
            return None, None
        return kid(self._reference, features, subset_size=size, subsets=_SUBSETS, seed=self._seed)

    def _patch_features(self, pictures: Sequence[Picture]) -> torch.Tensor:
        patches = []
        for number, picture in enumerate(pictures):
            rng = numpy_generator(self._seed, "compare", "patches", number)
            patches += skin_patches(picture, rng)
        if not patches:
            return torch.empty(0, self._extractor.dim)
        stacked = np.stack(patches).transpose(0, 3, 1, 2)
        return self._extractor(torch.from_numpy(stacked.copy()))


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


def tone_floor(colours: Sequence[SkinColour], patients: Sequence[str], seed: int) -> float | None:
    """How far photographs of one population lie apart in tone, by chance alone.

    Args:
        colours: of N photographs.
        patients: of each; a patient is in one half only.
        seed: of the halves.

    Returns:
        Degrees: mean first Wasserstein distance in ITA between random halves of the patients; None
        with fewer than two.
    """
    names = sorted(set(patients))
    if len(names) < 2:
        return None
    rng = numpy_generator(seed, "compare", "tone-floor")
    distances = []
    for _ in range(_FLOOR_REPEATS):
        first = set(rng.permutation(names)[: len(names) // 2].tolist())
        halves: tuple[list[SkinColour], list[SkinColour]] = ([], [])
        for colour, patient in zip(colours, patients, strict=True):
            halves[patient in first].append(colour)
        distances.append(colour_distances(*halves)[0])
    return float(np.mean(distances))


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
