"""What can be said about one photograph, and how far it can be trusted; research use only.

A `DiagnosticModel` answers for a run (torch) or for an exported file (onnxruntime) alike. `examine`
puts beside its probabilities what makes them doubtful: the quality of the photograph and its
distance from what the classifier learned from.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.classify.deploy.image_quality import ImageQuality, measure_quality
from hzsynth.classify.deploy.onnx_classifier import ModelFacts, OnnxClassifier
from hzsynth.classify.deploy.out_of_distribution import FEWEST_HELD_OUT, FeatureStatistics
from hzsynth.classify.explain.heat_maps import Heat, HeatMethod, grad_cam, lay_over, occlusion
from hzsynth.classify.single_photographs import exported_file, network_input, read_photograph
from hzsynth.core.errors import InputError
from hzsynth.core.photos import square

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet

Pixels = NDArray[np.uint8]
ProbabilitiesAndFeatures = tuple[NDArray[np.float32], NDArray[np.float32]]
"""N x C and N x D."""
_SHOWN_SIDE = 480


@dataclass(frozen=True)
class DiagnosticModel:
    """A classifier as the report asks it.

    Attributes:
        facts: what is known about it.
        ask: uint8 N x 3 x S x S -> probabilities N x C and pooled features N x D.
        heat: uint8 3 x S x S and a class number -> S x S in [0, 1].
        heat_method: how.
        statistics: for the warning about unusual photographs, or None.
    """

    facts: ModelFacts
    ask: Callable[[Pixels], ProbabilitiesAndFeatures]
    heat: Callable[[Pixels, int], Heat]
    heat_method: HeatMethod
    statistics: FeatureStatistics | None


@dataclass(frozen=True)
class Finding:
    """What was found in one photograph; holds no name, no path and no metadata of its file.

    Attributes:
        code: first 12 digits of the file's SHA-256: who has the file can find its page again.
        picture: H x W x 3 uint8, the photograph, at most 480 pixels a side.
        heat_picture: H x H x 3 uint8, the heat map over the central square.
        heat_class: number of the class that the heat map is of.
        heat_empty: whether nothing in the photograph spoke for that class.
        probabilities: C, sum to 1.
        quality: of the photograph.
        distance: from the training photographs, as a multiple of the threshold; None: not known.
    """

    code: str
    picture: Pixels
    heat_picture: Pixels
    heat_class: int
    heat_empty: bool
    probabilities: NDArray[np.float64]
    quality: ImageQuality
    distance: float | None

    @property
    def unusual(self) -> bool:
        """Whether the photograph is unlike those that the classifier learned from."""
        return self.distance is not None and self.distance > 1

    @property
    def doubtful(self) -> bool:
        """Whether the photograph gives a reason to distrust the answer."""
        return self.unusual or bool(self.quality.problems)


def open_model(path: Path, images: "ImageSet | None" = None) -> DiagnosticModel:
    """Opens a run, an export's folder or an ONNX file.

    Args:
        path: of any of them.
        images: for a run: the photographs that it is calibrated on; None leaves T at 1. An
            export is calibrated already.

    Returns:
        The model.

    Raises:
        InputError: nothing of the kind, not finished or damaged; or photographs were given with
            an export.
        RefusedError: the run learned from a validation photograph of `images`.
    """
    exported = exported_file(path)
    if exported is None:
        return _open_run(path, images)
    if images is not None:
        raise InputError(f"'{path}' is calibrated already: `calibrate` is for a run")
    return _open_onnx(exported)


def _open_onnx(path: Path) -> DiagnosticModel:
    classifier = OnnxClassifier(path)
    return DiagnosticModel(
        facts=classifier.facts,
        ask=classifier.ask,
        heat=functools.partial(occlusion, classifier.probabilities),
        heat_method="occlusion",
        statistics=classifier.statistics,
    )


def _open_run(path: Path, images: "ImageSet | None") -> DiagnosticModel:
    import torch

    from hzsynth.classify.deploy.clinical_calibration import (
        calibrate,
        load_clinical_set,
        model_facts,
    )
    from hzsynth.classify.deploy.export import CalibratedNetwork
    from hzsynth.classify.deploy.out_of_distribution import fit_feature_statistics
    from hzsynth.classify.models import load_classifier
    from hzsynth.core.run import RunDir

    run = RunDir.load(path)
    classifier = load_classifier(run)
    temperature = threshold = statistics = None
    photographs = None if images is None else load_clinical_set(run, classifier, images)
    if photographs is not None:
        temperature, threshold = calibrate(classifier, photographs)
    facts = model_facts(run, classifier, temperature, threshold, ())
    network = CalibratedNetwork(classifier, facts.temperature).eval()

    @torch.no_grad()
    def ask(pixels: Pixels) -> ProbabilitiesAndFeatures:
        parts = [network(chunk) for chunk in torch.from_numpy(pixels).split(64)]
        probabilities, features = (torch.cat([part[i] for part in parts]).numpy() for i in (0, 1))
        return probabilities, features

    if photographs is not None and len(photographs.validation) >= FEWEST_HELD_OUT:
        statistics = fit_feature_statistics(
            ask(photographs.train)[1], photographs.train_classes, ask(photographs.validation)[1]
        )
    with torch.no_grad():
        maps = network.network.forward_features(torch.zeros(1, 3, facts.size, facts.size))  # type: ignore[operator]
    if maps.ndim == 4:
        heat: Callable[[Pixels, int], Heat] = functools.partial(grad_cam, classifier)
        return DiagnosticModel(facts, ask, heat, "grad-cam", statistics)
    covered = functools.partial(occlusion, lambda pixels: ask(pixels)[0])
    return DiagnosticModel(facts, ask, covered, "occlusion", statistics)


def examine(model: DiagnosticModel, file: Path) -> Finding:
    """Looks at one photograph.

    Args:
        model: the classifier.
        file: in any format that `core.photos.decode_image` reads.

    Returns:
        What was found.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    data, pixels = read_photograph(file)
    size = model.facts.size
    seen = network_input(pixels, size)
    probabilities, features = model.ask(seen[None])
    likeliest = int(probabilities[0].argmax())
    heat = model.heat(seen, likeliest)
    distance = None
    if model.statistics is not None:
        distance = float(model.statistics.relative_distances(features)[0])
    return Finding(
        code=hashlib.sha256(data).hexdigest()[:12],
        picture=_reduced(pixels),
        heat_picture=lay_over(square(pixels, _SHOWN_SIDE), heat),
        heat_class=likeliest,
        heat_empty=not heat.any(),
        probabilities=probabilities[0].astype(np.float64),
        quality=measure_quality(pixels, size),
        distance=distance,
    )


def _reduced(pixels: Pixels) -> Pixels:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
