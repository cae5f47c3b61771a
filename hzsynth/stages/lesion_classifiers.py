"""Classifiers where lesions are translated: to find them, to keep them, to judge them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hzsynth.classify.explain.heat_maps import grad_cam
from hzsynth.classify.models import load_classifier
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import square
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.domains import FindLesion, mask_of_heat
from hzsynth.cyclegan.judging import Judge, classifier_judge
from hzsynth.cyclegan.objectives import Classify


def lesions_by_heat(run: RunDir, lesions: ImageSet) -> FindLesion:
    """Finds lesions where a classifier's Grad-CAM is hot.

    Args:
        run: of the classifier.
        lesions: photographs of one class that it knows.

    Returns:
        A picture, H x W x 3 -> its lesion, H x W.

    Raises:
        InputError: no finished classifier run, or it does not know the one class of the lesions.
    """
    model = load_classifier(run)
    place = model.labels.index(known_class(lesions, model.labels))

    def find(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        seen = np.ascontiguousarray(square(pixels, model.size).transpose(2, 0, 1))
        return mask_of_heat(grad_cam(model, seen, place), (pixels.shape[0], pixels.shape[1]))

    return find


def known_class(lesions: ImageSet, labels: Sequence[str]) -> str:
    """The one class of the lesions, which a classifier has to know.

    Raises:
        InputError: they are of several classes, or of one that it does not know.
    """
    if len(lesions.labels) != 1 or lesions.labels[0] not in labels:
        raise InputError(
            f"`source` must be of one class that the classifier knows ({', '.join(labels)}), not "
            f"{', '.join(lesions.labels)}; choose one with `label`"
        )
    return lesions.labels[0]


def frozen_classifier(run: RunDir, compute: Compute) -> Classify:
    """A classifier's logits of images, differentiable in the images.

    Args:
        run: of the classifier.
        compute: where it is asked.

    Returns:
        Images in [-1, 1], N x 3 x H x W -> logits, N x C.

    Raises:
        InputError: no finished classifier run.
    """
    model = load_classifier(run)
    network = model.network.to(compute.device).requires_grad_(False)
    mean, deviation = (
        torch.tensor(values, device=compute.device).view(1, 3, 1, 1)
        for values in (model.mean, model.std)
    )

    def classify(images: torch.Tensor) -> torch.Tensor:
        shape = (model.size, model.size)
        resized = functional.interpolate(images * 0.5 + 0.5, shape, mode="bilinear", antialias=True)
        logits: torch.Tensor = network((resized - mean) / deviation)
        return logits

    return classify


def lesion_judge(run: RunDir, lesions: ImageSet, compute: Compute) -> Judge:
    """A classifier as the judge of whether lesions are kept.

    Args:
        run: of the classifier.
        lesions: photographs of one class that it knows.
        compute: where it is asked.

    Raises:
        InputError: no classifier run, or it does not know the class of the lesions.
    """
    model = load_classifier(run)
    label = known_class(lesions, model.labels)
    return classifier_judge(
        f"{model.model} of '{run.path.name}'",
        model.labels,
        model.size,
        lambda pixels: model.probabilities(pixels, compute),
        label,
    )
