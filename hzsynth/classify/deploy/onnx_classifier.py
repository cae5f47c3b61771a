"""Asks an exported classifier: one ONNX file and onnxruntime, no torch.

The file holds everything: normalisation and temperature are part of the graph, names and terms are
in its metadata (`ModelFacts`). Beside it may lie the statistics for the warning about
unusual photographs, under the same name with the ending ``.npz``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from hzsynth.classify.deploy.out_of_distribution import FeatureStatistics
from hzsynth.classify.single_photographs import PhotographAnswers, ask_in_parts
from hzsynth.core.errors import InputError
from hzsynth.core.onnx_files import open_session
from hzsynth.core.progress import SILENT, Progress

METADATA_KEY = "hzsynth"
INTENDED_USE = "Research use only. Not a medical device; its output is not a diagnosis."
INPUT, OUTPUTS = "pixels", ("probabilities", "features")
_FORMAT = 1
_AT_ONCE = 64


@dataclass(frozen=True)
class ModelFacts:
    """What is to be known about an exported classifier; stored in the ONNX file itself.

    Attributes:
        labels: class names in the order of the outputs.
        label: the target class.
        size: side of the input, pixels.
        model: the architecture's name.
        precision: fp32 or int8.
        temperature: that the logits are divided by, inside the graph.
        calibrated_on: validation photographs that it was fitted on; 0: it is 1 and not fitted.
        threshold: probability of the target class that counts as suspicious; None: not chosen.
        run: id of the training run.
        training_digest: identifies the set that it was trained on.
        created: UTC, ISO 8601.
        version: of hzsynth.
        opset: of the graph.
        licence: under which terms the file stands.
        intended_use: what it may be used for.
        features_sha256: of the statistics beside the file; empty when there are none.
    """

    labels: tuple[str, ...]
    label: str
    size: int
    model: str
    precision: str
    temperature: float
    calibrated_on: int
    threshold: float | None
    run: str
    training_digest: str
    created: str
    version: str
    opset: int
    licence: str
    intended_use: str = INTENDED_USE
    features_sha256: str = ""

    def to_properties(self) -> dict[str, str]:
        """Entries of an ONNX file's ``metadata_props``."""
        values = {"format": _FORMAT, **asdict(self)}
        return {METADATA_KEY: json.dumps(values, ensure_ascii=False), "use": self.intended_use}

    @classmethod
    def from_properties(cls, properties: dict[str, str], name: str) -> Self:
        """Reads `to_properties`.

        Args:
            properties: of the ONNX file.
            name: for messages.

        Raises:
            InputError: not exported by hzsynth, by a newer one, or damaged.
        """
        if METADATA_KEY not in properties:
            raise InputError(
                f"'{name}' was not exported by hzsynth: it has no metadata of hzsynth, so that its "
                "classes are unknown"
            )
        try:
            values: dict[str, Any] = json.loads(properties[METADATA_KEY])
            stored_format = int(values.pop("format"))
            if stored_format > _FORMAT:
                raise InputError(f"'{name}' was exported by a newer hzsynth: update hzsynth")
            facts = cls(**{f.name: values[f.name] for f in fields(cls)})
            labels = tuple(str(label) for label in facts.labels)
            whole = {**asdict(facts), "labels": labels, "size": int(facts.size)}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the metadata of '{name}' is damaged: {error}") from error
        if facts.label not in labels or whole["size"] < 1:
            raise InputError(f"the metadata of '{name}' is damaged: it contradicts itself")
        return cls(**whole)


class OnnxClassifier:
    """A classifier read from an ONNX file.

    Attributes:
        path: the file.
        facts: what its metadata says.
        statistics: for the warning about unusual photographs, or None.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Opens the file.

        Args:
            path: an ONNX file that ``hzsynth classify export`` wrote.
            threads: of onnxruntime; 0 leaves it the choice.

        Raises:
            InputError: onnxruntime is not installed, the file cannot be read, is damaged or
                was not exported by hzsynth, or the statistics beside it are not its own.
        """
        self.path = path
        self._session = open_session(path, threads)
        meta = self._session.get_modelmeta()
        self.facts = ModelFacts.from_properties(dict(meta.custom_metadata_map), str(path))
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        if not set(OUTPUTS) <= set(outputs) or outputs[OUTPUTS[0]][1] != len(self.facts.labels):
            raise InputError(f"'{path}' is damaged: its outputs do not fit its metadata")
        self.statistics = _statistics(path, self.facts)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self.facts.labels

    @property
    def label(self) -> str:
        """The target class."""
        return self.facts.label

    @property
    def size(self) -> int:
        """Side of the input, pixels."""
        return self.facts.size

    def ask(
        self, pixels: ArrayLike, batch: int = _AT_ONCE
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and pooled features.

        Args:
            pixels: uint8 N x 3 x H x W of any size (an array or a tensor on the CPU); resized with
                antialiasing when it differs.
            batch: images at once.

        Returns:
            float32 N x C at the calibrated temperature, every row sums to 1; float32 N x D.

        Raises:
            InputError: the array has another form.
        """
        images = np.asarray(pixels)
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise InputError(
                f"pixels are uint8 N x 3 x H x W, not {images.dtype} of shape {images.shape}"
            )
        resized = _resized(images, self.size)
        # An empty batch still goes through the graph, so that its outputs have their widths.
        starts = range(0, max(len(resized), 1), batch)
        parts = [self._session.run(OUTPUTS, {INPUT: resized[s : s + batch]}) for s in starts]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def probabilities(self, pixels: ArrayLike, batch: int = _AT_ONCE) -> NDArray[np.float32]:
        """Class probabilities: float32 N x C (arguments and errors as for `ask`)."""
        return self.ask(pixels, batch)[0]


def statistics_path(path: Path) -> Path:
    """Where the feature statistics of an ONNX file lie."""
    return path.with_suffix(".npz")


def _statistics(path: Path, facts: ModelFacts) -> FeatureStatistics | None:
    beside = statistics_path(path)
    if not facts.features_sha256 or not beside.is_file():
        return None
    data = beside.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts.features_sha256:
        raise InputError(f"'{beside}' does not belong to '{path}': export the run again")
    return FeatureStatistics.from_bytes(data, str(beside))


def _resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if images.shape[-2:] == (size, size):
        return np.ascontiguousarray(images)
    resized = np.empty((len(images), 3, size, size), np.uint8)
    for number, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        scaled = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
        resized[number] = scaled.transpose(2, 0, 1)
    return resized


def predict_onnx(
    file: Path, photographs: Sequence[Path], *, progress: Progress = SILENT
) -> PhotographAnswers:
    """Asks an exported classifier about photographs.

    Args:
        file: an ONNX file that ``hzsynth classify export`` wrote.
        photographs: files in any format that `core.photos.decode_image` reads.
        progress: where progress is shown.

    Returns:
        What it says of each, at the calibrated temperature.

    Raises:
        InputError: no photograph was given, one cannot be read, or see `OnnxClassifier`.
    """
    classifier = OnnxClassifier(file)
    return ask_in_parts(
        photographs, classifier.labels, classifier.size, classifier.probabilities, progress
    )
