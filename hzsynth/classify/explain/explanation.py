"""Where a classifier looks: Grad-CAM and Score-CAM sheets, the share inside the lesion, a sanity check.

Heat maps come from `heat_maps`. Two figures keep a reader from trusting them too far: with lesion
masks, the share of the heat that lies inside the lesion beside the share that an even heat would have
there; and the rank correlation with the heat maps of the same network with random weights (Adebayo et
al., NeurIPS 2018): maps that look alike say nothing about what was learned.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from hzsynth.classify.explain.heat_maps import Heat, HeatMap, Pixels, grad_cam, score_cam
from hzsynth.classify.models import Classifier
from hzsynth.classify.single_photographs import network_input, read_photograph
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned
from hzsynth.core.photos import square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed

METHODS: dict[str, HeatMap] = {"grad-cam": grad_cam, "score-cam": score_cam}
"""Name -> what draws it. Score-CAM asks the network once for every feature map."""

ALIKE = 0.5
"""Median rank correlation with random weights above which the maps are called uninformative."""


@dataclass(frozen=True)
class Shown:
    """A photograph to explain.

    Attributes:
        name: what it is called.
        pixels: uint8 3 x S x S, the network's input.
        truth: its class, or empty when it is not known.
        lesion: S x S, or None without a mask.
    """

    name: str
    pixels: Pixels
    truth: str
    lesion: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Explanation:
    """What was found in one photograph by one method.

    Attributes:
        name: of the photograph.
        method: grad-cam or score-cam.
        truth: its class, or empty.
        predicted: the likeliest class.
        probability: of that class.
        explained: the class that the heat map is of.
        share_inside: of the heat that lies in the lesion; None without a mask or heat.
        lesion_share: of the picture that is lesion; None without a mask.
        correlation_random: Spearman's, with the heat map of random weights; None without heat.
    """

    name: str
    method: str
    truth: str
    predicted: str
    probability: float
    explained: str
    share_inside: float | None
    lesion_share: float | None
    correlation_random: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def part_to_explain(run: RunDir, images: ImageSet, split: str) -> ImageSet:
    """The images of a split, or all of a set without splits.

    Args:
        run: of the classifier; it knows what was learned from.
        images: the set.
        split: which part; the train split may be what was learned from, and no other.

    Raises:
        RefusedError: the classifier learned from what touches a photograph of the part.
    """
    part = images.select(split=split) if images.has_splits else images
    if not images.has_splits or split != "train":
        real = part.replace_records(record for record in part if record.is_real)
        check_learned(run.id, run.training_images(), [real], [images])
    return part


def photographs_of(images: ImageSet, size: int, most: int) -> list[Shown]:
    """The first photographs of a set, spread over its classes.

    Args:
        images: the set.
        size: side of the network's input.
        most: photographs at most.

    Returns:
        Its photographs, with their lesion masks where the set has them.

    Raises:
        InputError: a file cannot be read.
    """
    queues = [[r for r in images if r.label == label] for label in images.labels]
    turns = [r for turn in zip(*[_padded(q, most) for q in queues], strict=True) for r in turn]
    shown = []
    for record in [record for record in turns if record is not None][:most]:
        mask = images.read_mask(record)
        lesion = None
        if mask is not None:
            grey = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
            lesion = square(grey, size)[..., 0] > 127
        pixels = images.read_pixels(record)
        shown.append(Shown(record.file_name, network_input(pixels, size), record.label, lesion))
    return shown


def _padded(records: list[Any], length: int) -> list[Any]:
    return [*records[:length], *[None] * (length - len(records))]


def photographs_from(files: Sequence[Path], size: int) -> list[Shown]:
    """Single photographs, without truth or mask (errors as for `single_photographs.read_photograph`)."""
    return [Shown(f.name, network_input(read_photograph(f)[1], size), "", None) for f in files]


def randomised(classifier: Classifier, seed: int) -> Classifier:
    """The same network with new random weights, as before any training."""
    other = copy.copy(classifier)
    other.network = copy.deepcopy(classifier.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "classify", "explanation", "random"))
        for module in other.network.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    other.network.eval()
    return other


def share_inside(heat: Heat, lesion: NDArray[np.bool_] | None) -> float | None:
    """The share of the heat that lies in the lesion; None without either."""
    total = float(heat.sum())
    return None if lesion is None or total <= 0 else float(heat[lesion].sum()) / total


def correlation(heat: Heat, other: Heat) -> float | None:
    """Spearman's rank correlation of two heat maps; None when one of them is constant."""
    if np.ptp(heat) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(heat.ravel(), other.ravel()).statistic)


def explain(
    classifier: Classifier,
    shown: Sequence[Shown],
    methods: Sequence[str] = ("grad-cam",),
    *,
    label: str = "",
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[list[Explanation], dict[str, list[Heat]]]:
    """Explains a classifier's answers.

    Args:
        classifier: a convolutional one; it is left on the CPU.
        shown: N photographs.
        methods: see `METHODS`.
        label: class to explain; empty: the likeliest one of each photograph.
        seed: of the random weights.
        progress: where progress is shown.

    Returns:
        An entry for each method and photograph, and method -> N heat maps S x S.

    Raises:
        InputError: no photograph, an unknown class or method, or see `heat_maps`.
    """
    _refuse_unknown(classifier, shown, methods, label)
    classifier.network.cpu()
    other = randomised(classifier, seed)
    found, heats = [], dict[str, list[Heat]]()
    with progress.task("explaining", total=len(shown) * len(methods), unit="img") as task:
        for method in methods:
            draw = METHODS[method]
            for one in shown:
                probability = classifier.probabilities(torch.from_numpy(one.pixels[None]))[0]
                likeliest = int(probability.argmax())
                place = classifier.labels.index(label) if label else likeliest
                heat = draw(classifier, one.pixels, place)
                heats.setdefault(method, []).append(heat)
                found.append(
                    Explanation(
                        name=one.name,
                        method=method,
                        truth=one.truth,
                        predicted=classifier.labels[likeliest],
                        probability=float(probability[likeliest]),
                        explained=classifier.labels[place],
                        share_inside=share_inside(heat, one.lesion),
                        lesion_share=None if one.lesion is None else float(one.lesion.mean()),
                        correlation_random=correlation(heat, draw(other, one.pixels, place)),
                    )
                )
                task.advance(1)
    return found, heats


def _refuse_unknown(
    classifier: Classifier, shown: Sequence[Shown], methods: Sequence[str], label: str
) -> None:
    if not shown:
        raise InputError("explain needs at least one photograph, none was given")
    if label and label not in classifier.labels:
        raise InputError(
            f"`label` '{label}' is not known to the classifier: it has "
            f"{', '.join(classifier.labels)}"
        )
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise InputError(f"`method` is {' or '.join(METHODS)}, not '{unknown[0]}'")
