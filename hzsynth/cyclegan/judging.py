"""Who says that a lesion is still there: a judge that had no part in making the pictures.

A trained classifier can be the judge (the command line passes it in). Without one, a logistic
regression on frozen EfficientNet-Lite2 features tells crops with a lesion from crops without. It
learns from both populations' skin under random changes of tone, so that it cannot go by the tone;
and it is cross-fitted: a picture is judged by a model that saw no picture of the same patient.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hzsynth.core.devices import Compute
from hzsynth.core.photos import square
from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.measures import grown, lesion_box
from hzsynth.cyclegan.target import Picture, Pixels, lab_to_rgb
from hzsynth.score.extractors import create_extractor

_JPEG_QUALITY = 75
_FEATURES = "efficientnet-lite2"
_FOLDS = 5
_VARIANTS = 4
# Deviations of the random change of L*, a* and b*.
_TONE_CHANGE = np.array([8.0, 4.0, 6.0])
_CROP_SIDE = 112
# Without a lesion the middle of the picture is judged.
_MIDDLE = 0.6
_PENALTY = 0.01


@dataclass(frozen=True)
class Verdicts:
    """What a judge says of some pictures.

    Attributes:
        probability: N, of the lesion.
        called: N, whether it is taken for one.
    """

    probability: NDArray[np.float64]
    called: NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """Tells whether pictures show the lesion.

    Attributes:
        name: for the report.
        ask: pictures, and for each its patient (pictures of one patient have equal texts).
    """

    name: str
    ask: Callable[[Sequence[Picture], Sequence[str]], Verdicts]


def classifier_judge(
    name: str,
    labels: Sequence[str],
    size: int,
    probabilities: Callable[[torch.Tensor], torch.Tensor | NDArray[np.floating]],
    label: str,
) -> Judge:
    """A trained classifier as the judge.

    Args:
        name: for the report.
        labels: its C classes.
        size: side of its input, pixels.
        probabilities: uint8 N x 3 x size x size -> N x C.
        label: the class of the lesion, one of `labels`.

    Returns:
        The judge: a picture is called a lesion when this class is the likeliest.
    """
    place = list(labels).index(label)

    def ask(pictures: Sequence[Picture], patients: Sequence[str]) -> Verdicts:
        pixels = np.stack([square(picture.pixels, size) for picture in pictures])
        answers = np.asarray(
            probabilities(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())), dtype=np.float64
        )
        return Verdicts(answers[:, place], answers.argmax(axis=1) == place)

    return Judge(name, ask)


def after_jpeg(picture: Picture) -> Picture:
    """The picture after JPEG at quality 75, which removes what is hidden in fine detail."""
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return Picture(np.asarray(Image.open(buffer).convert("RGB")), picture.lesion)


def feature_judge(
    lesions: Sequence[Picture],
    healthy: Sequence[Picture],
    lesion_patients: Sequence[str],
    healthy_patients: Sequence[str],
    *,
    seed: int,
    compute: Compute,
) -> Judge:
    """Trains the judge that needs no classifier (see the module).

    Args:
        lesions: photographs with lesions.
        healthy: photographs of healthy skin, their masks empty.
        lesion_patients: patient of each of `lesions`.
        healthy_patients: patient of each of `healthy`.
        seed: of crops, changes of tone and folds.
        compute: where features are computed.

    Returns:
        The judge.
    """
    extractor = create_extractor(_FEATURES, compute=compute)
    crops, targets, owners = [], [], []
    for kind, pictures, patients in (
        ("lesion", lesions, lesion_patients),
        ("healthy", healthy, healthy_patients),
    ):
        for place, (picture, patient) in enumerate(zip(pictures, patients, strict=True)):
            rng = numpy_generator(seed, "judge", kind, place)
            shown = [(_judged_crop(picture), kind == "lesion")]
            if kind == "lesion" and (free := _lesion_free_crop(picture, rng)) is not None:
                shown.append((free, False))
            for crop, target in shown:
                crops += [_with_other_tone(crop, rng) for _ in range(_VARIANTS)]
                targets += [target] * _VARIANTS
                owners += [patient] * _VARIANTS
    features = _features(extractor, crops)
    fold_of = _folds(lesion_patients, seed) | _folds(healthy_patients, seed)
    answers, folds = np.array(targets), np.array([fold_of[owner] for owner in owners])
    models = [_fitted(features[folds != fold], answers[folds != fold]) for fold in range(_FOLDS)]

    def ask(pictures: Sequence[Picture], patients: Sequence[str]) -> Verdicts:
        judged = _features(extractor, [_judged_crop(picture) for picture in pictures])
        own = np.array([fold_of.get(patient, 0) for patient in patients])
        probability = np.zeros(len(pictures))
        for fold, model in enumerate(models):
            if (own == fold).any():
                probability[own == fold] = model.predict_proba(judged[own == fold])[:, 1]
        return Verdicts(probability, probability > 0.5)

    return Judge(f"logistic regression on {_FEATURES} features, cross-fitted", ask)


def _folds(patients: Sequence[str], seed: int) -> dict[str, int]:
    """Spreads patients evenly over the folds."""
    names = sorted(set(patients))
    order = numpy_generator(seed, "judge", "folds").permutation(len(names))
    return {name: int(place) % _FOLDS for name, place in zip(names, order, strict=True)}


def _fitted(features: NDArray[np.float32], answers: NDArray[np.bool_]) -> Pipeline:
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=500)
    )
    return model.fit(features, answers)


def _features(
    extractor: Callable[[torch.Tensor], torch.Tensor], crops: Sequence[Pixels]
) -> NDArray[np.float32]:
    pixels = np.stack([np.asarray(crop) for crop in crops]).transpose(0, 3, 1, 2)
    return np.asarray(extractor(torch.from_numpy(pixels.copy())).numpy())


def _resized(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    crop = Image.fromarray(pixels).crop(box)
    return np.asarray(crop.resize((_CROP_SIDE, _CROP_SIDE), Image.Resampling.BICUBIC))


def _judged_crop(picture: Picture) -> Pixels:
    height, width = picture.lesion.shape
    if picture.lesion.any():
        return _resized(picture.pixels, lesion_box(picture.lesion))
    rest = (1 - _MIDDLE) / 2
    left, top = round(rest * width), round(rest * height)
    return _resized(picture.pixels, (left, top, width - left, height - top))


def _lesion_free_crop(picture: Picture, rng: np.random.Generator) -> Pixels | None:
    """A square beside the lesion; None where the lesion leaves no room."""
    height, width = picture.lesion.shape
    near = grown(picture.lesion, round(0.03 * max(height, width)))
    side = min(height, width) // 3
    rows = rng.integers(0, height - side + 1, 40)
    columns = rng.integers(0, width - side + 1, 40)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if not near[row : row + side, column : column + side].any():
            return _resized(picture.pixels, (column, row, column + side, row + side))
    return None


def _with_other_tone(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    moved = rgb2lab(pixels) + rng.normal(0, 1, 3) * _TONE_CHANGE
    moved[..., 0] = moved[..., 0].clip(0, 100)
    return np.asarray(np.clip(np.rint(lab_to_rgb(moved) * 255), 0, 255).astype(np.uint8))
