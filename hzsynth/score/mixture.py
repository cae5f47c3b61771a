"""What a classifier could learn from a mixture besides the disease: which images are synthetic.

Two figures. The association of being synthetic with the class, which is what makes the source a
shortcut (arXiv:2407.21674); and a probe, which tells how easily synthetic images of the target
class are told from its photographs: a logistic regression on frozen features, cross-validated.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hzsynth.core.devices import Compute
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import derive_seed
from hzsynth.data.association import association
from hzsynth.data.loading import load_pixels
from hzsynth.report.contact_sheet import comparison_rows
from hzsynth.score.extractors import create_extractor
from hzsynth.score.features import extract_features, open_cache

_FOLDS, _REPEATS = 5, 5
_SIDE = 224
_SHOWN, _SHOWN_SIDE = 10, 112
_CLEAR = 0.8
_STRONG = 0.3


@dataclass(frozen=True)
class Probe:
    """How well synthetic images are told from photographs.

    Attributes:
        auc: area under the ROC curve, mean over repeated cross-validations; 0.5: not at all.
        spread: standard deviation over the repetitions.
        floor: the same with the answers shuffled.
        floor_spread: its standard deviation.
        photographs: their number.
        synthetic: their number.
    """

    auc: float
    spread: float
    floor: float
    floor_spread: float
    photographs: int
    synthetic: int


@dataclass(frozen=True)
class MixtureReport:
    """What a training set is made of.

    Attributes:
        label: the target class.
        made_of: class -> origin -> images in train.
        synthetic_share: class -> share of images that are synthetic or made from synthetic ones.
        association: of being synthetic with the class, bias-corrected Cramér's V, 0 to 1.
        probe: on the target class; None where it has too few of either kind.
        sheet: photographs, synthetic and augmented images of the target class, uint8 H x W x 3.
    """

    label: str
    made_of: dict[str, dict[str, int]]
    synthetic_share: dict[str, float]
    association: float
    probe: Probe | None
    sheet: NDArray[np.uint8]

    def sentence(self) -> str:
        """What a user should know before training."""
        own = self.synthetic_share.get(self.label, 0.0)
        if own == 0:
            return (
                "No synthetic images: nothing but the disease and its augmentations tell classes."
            )
        told = f"Being synthetic tells the class with Cramér's V {self.association:.2f}"
        if self.probe is None:
            return f"{told}; there are too few images for a probe of how easily that is seen."
        seen = (
            f"at {_SIDE} px a probe tells synthetic images of '{self.label}' from photographs with an AUC of "
            f"{self.probe.auc:.2f} ± {self.probe.spread:.2f} (shuffled {self.probe.floor:.2f} ± "
            f"{self.probe.floor_spread:.2f}; {self.probe.photographs} photographs, "
            f"{self.probe.synthetic} synthetic)"
        )
        advice = (
            ". A classifier may learn the source instead of the disease: consider "
            "`synthetic_classes` every"
            if self.probe.auc > _CLEAR and self.association > _STRONG
            else ""
        )
        return f"{told}; {seen}{advice}."

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "label": self.label,
            "made_of": self.made_of,
            "synthetic_share": self.synthetic_share,
            "association": self.association,
            "probe": None if self.probe is None else vars(self.probe),
            "sentence": self.sentence(),
        }


def is_synthetic(record: ImageRecord) -> bool:
    """Whether an image is generated, or an augmentation of a generated one."""
    return bool(record.run) or not (record.is_real or record.origin == "augmented")


def describe_mixture(
    images: ImageSet,
    label: str,
    *,
    compute: Compute,
    features: str = "efficientnet-lite0",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> MixtureReport:
    """Describes a training set.

    Args:
        images: a set with a train split.
        label: the target class.
        compute: where features are computed.
        features: feature space of the probe.
        seed: of the probe's folds.
        cache: folder that keeps features.
        progress: where to report.

    Returns:
        The report.
    """
    train = images.select("train")
    made_of = {
        name: dict(Counter(r.origin for r in train.select(label=name))) for name in train.labels
    }
    synthetic = {
        name: float(np.mean([is_synthetic(r) for r in _shown(train.select(label=name))]))
        for name in train.labels
    }
    target = train.select(label=label)
    plain = [r for r in target if r.origin != "augmented"]
    photographs = target.replace_records(_once(r for r in plain if not is_synthetic(r)))
    generated = target.replace_records(_once(r for r in plain if is_synthetic(r)))
    probe = None
    if min(len(photographs), len(generated)) >= 2 * _FOLDS:
        extractor = create_extractor(features, compute=compute)
        known = open_cache(cache, extractor, _SIDE)
        described = (
            extract_features(part, extractor, size=_SIDE, progress=progress, cache=known)
            for part in (photographs, generated)
        )
        probe = probe_origin(*described, seed=seed)
    augmented = target.replace_records(r for r in target if r.origin == "augmented")
    return MixtureReport(
        label=label,
        made_of=made_of,
        synthetic_share=synthetic,
        association=association([(str(is_synthetic(r)), r.label) for r in _shown(train)]),
        probe=probe,
        sheet=_sheet({"photographs": photographs, "synthetic": generated, "augmented": augmented}),
    )


def _shown(images: ImageSet) -> list[ImageRecord]:
    """Every image as often as a training shows it."""
    return [record for record in images for _ in range(record.views)]


def probe_origin(photographs: torch.Tensor, synthetic: torch.Tensor, *, seed: int = 0) -> Probe:
    """Trains a probe that tells synthetic images from photographs.

    Args:
        photographs: float N x D, features.
        synthetic: float M x D.
        seed: of the folds.

    Returns:
        Its cross-validated AUC, beside that with shuffled answers.
    """
    inputs = torch.cat([photographs, synthetic]).double().numpy()
    answers = np.r_[np.zeros(len(photographs), np.int64), np.ones(len(synthetic), np.int64)]
    values, floors = [], []
    for repeat in range(_REPEATS):
        number = derive_seed(seed, "probe", repeat) % 2**32
        shuffled = np.random.default_rng(number).permutation(answers)
        values.append(_cross_validated(inputs, answers, number))
        floors.append(_cross_validated(inputs, shuffled, number))
    return Probe(
        auc=float(np.mean(values)),
        spread=float(np.std(values)),
        floor=float(np.mean(floors)),
        floor_spread=float(np.std(floors)),
        photographs=len(photographs),
        synthetic=len(synthetic),
    )


def _cross_validated(inputs: NDArray[np.float64], answers: NDArray[np.int64], seed: int) -> float:
    # Few images in many dimensions: a strong penalty, as frozen features need.
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    # The mean over folds: decisions of different folds' models have no common scale.
    return float(cross_val_score(model, inputs, answers, cv=folds, scoring="roc_auc").mean())


def _once(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Every image once: a copy in train and in a test fold would be recognised."""
    return list({record.sha256: record for record in records}.values())


def _sheet(rows: Mapping[str, ImageSet]) -> NDArray[np.uint8]:
    """A row of examples of each kind that there is."""
    pictures = {
        f"{name} ({len(part)})": load_pixels(_evenly(part), _SHOWN_SIDE)
        for name, part in rows.items()
        if len(part)
    }
    return comparison_rows(pictures, columns=_SHOWN)


def _evenly(images: ImageSet) -> ImageSet:
    chosen = np.unique(np.linspace(0, len(images) - 1, _SHOWN).round().astype(int))
    return images.replace_records([images.records[i] for i in chosen])
