"""What a classifier needs before a clinic may ask it: calibration on photographs it never learned from.

Shared by the export and the report: real photographs are read from a set with splits, the
temperature and the operating threshold follow from its validation part.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.classify.deploy.onnx_classifier import ModelFacts
from hzsynth.classify.evaluate.calibration import (
    Temperature,
    fit_temperature,
    operating_threshold,
    softmax,
)
from hzsynth.classify.models import Classifier
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned
from hzsynth.core.onnx_files import OPSET
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.version import __version__

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ClinicalSet:
    """The photographs that calibrate a classifier: real ones, decoded for its input.

    Attributes:
        train: uint8 N x 3 x S x S, what it could learn from.
        train_classes: int64 N.
        validation: uint8 M x 3 x S x S, of other patients.
        validation_classes: int64 M.
        licences: of the photographs, sorted.
    """

    train: Pixels
    train_classes: NDArray[np.int64]
    validation: Pixels
    validation_classes: NDArray[np.int64]
    licences: tuple[str, ...]


def load_clinical_set(run: RunDir, classifier: Classifier, images: ImageSet) -> ClinicalSet:
    """Reads the real photographs of the train and val splits.

    Args:
        run: the classifier's run.
        classifier: whose classes and input size count.
        images: a set with splits.

    Returns:
        The photographs.

    Raises:
        InputError: no splits, no photograph in one of them, or a class that the classifier does
            not know.
        RefusedError: the classifier learned from a validation photograph.
    """
    if not images.has_splits:
        raise InputError(
            f"'{images.root}' has no split for every image: run `hzsynth data split` on it first"
        )
    parts = []
    for split in ("train", "val"):
        chosen = images.select(split=split)
        photographs = chosen.replace_records(r for r in chosen if r.is_real)
        if not len(photographs):
            raise InputError(f"'{images.root}' has no photograph in its {split} split")
        unknown = sorted(set(photographs.labels) - set(classifier.labels))
        if unknown:
            raise InputError(
                f"class '{unknown[0]}' of '{images.root}' is not known to the classifier, which "
                f"has {', '.join(classifier.labels)}"
            )
        parts.append(photographs)
    check_learned(run.id, run.training_images(), [parts[1]], [images])
    classes = [np.array([classifier.labels.index(r.label) for r in p], np.int64) for p in parts]
    return ClinicalSet(
        train=load_pixels(parts[0], classifier.size).numpy(),
        train_classes=classes[0],
        validation=load_pixels(parts[1], classifier.size).numpy(),
        validation_classes=classes[1],
        licences=tuple(sorted({r.licence for p in parts for r in p if r.licence})),
    )


def calibrate(classifier: Classifier, photographs: ClinicalSet) -> tuple[Temperature, float | None]:
    """Temperature and operating threshold from the validation photographs.

    Returns:
        The temperature; the threshold at it, None where validation has the target class only or
        not at all.
    """
    logits = classifier.logits(torch.from_numpy(photographs.validation)).numpy()
    temperature = fit_temperature(logits, photographs.validation_classes)
    target = classifier.labels.index(classifier.label)
    positive = photographs.validation_classes == target
    if not positive.any() or positive.all():
        return temperature, None
    probability = softmax(logits, temperature.value)[:, target]
    return temperature, operating_threshold(probability, positive)


def model_facts(
    run: RunDir,
    classifier: Classifier,
    temperature: Temperature | None,
    threshold: float | None,
    licences: tuple[str, ...],
) -> ModelFacts:
    """What is to be known about a run's classifier."""
    terms = f" Terms of its photographs: {'; '.join(licences)}." if licences else ""
    return ModelFacts(
        labels=classifier.labels,
        label=classifier.label,
        size=classifier.size,
        model=classifier.model,
        precision="fp32",
        temperature=1.0 if temperature is None else temperature.value,
        calibrated_on=0 if temperature is None else temperature.images,
        threshold=threshold,
        run=run.id,
        training_digest=run.inputs.get("images", ""),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        opset=OPSET,
        licence="The weights follow from the training photographs and the pretrained weights; "
        f"their terms hold for this file, too. Made with hzsynth (Apache-2.0).{terms}",
    )
