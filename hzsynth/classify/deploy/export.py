"""Turns a trained classifier into one ONNX file that a clinic's computer can ask without torch.

The graph takes uint8 photographs and holds normalisation and temperature (Guo et al., 2017); it
gives probabilities and pooled features. Nothing is exported that does not answer as the network
does, or, in 8 bits, that is worth less. The folder appears whole or not at all.
"""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from torch import nn

from hzsynth.classify.deploy.clinical_calibration import (
    ClinicalSet,
    calibrate,
    load_clinical_set,
    model_facts,
)
from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.classify.deploy.export_int8 import (
    Int8Comparison,
    Latency,
    calibration_sample,
    compare,
    measure_latency,
    quantise,
)
from hzsynth.classify.deploy.onnx_classifier import (
    INPUT,
    OUTPUTS,
    ModelFacts,
    OnnxClassifier,
)
from hzsynth.classify.deploy.out_of_distribution import FEWEST_HELD_OUT, fit_feature_statistics
from hzsynth.classify.evaluate.calibration import Temperature, softmax
from hzsynth.classify.models import Classifier, head_of, load_classifier, normalise, pooled_features
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import (
    atomic_write_bytes,
    atomic_write_text,
    refuse_taken_folder,
    replacing_folder,
)
from hzsynth.core.image_set import ImageSet
from hzsynth.core.onnx_files import open_session
from hzsynth.core.photos import square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.data.config import LABELS
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.nets.onnx_graphs import onnx_graph

LARGEST_DIFFERENCE = 1e-4
"""Of a probability between torch and onnxruntime: rounding stays a hundred times below."""
MODEL_FP32, MODEL_INT8, CARD, RESULT = (
    "model.onnx",
    "model-int8.onnx",
    "MODEL_CARD.md",
    "export.json",
)
_PHANTOM_SIDE = 128

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ExportedModel:
    """One ONNX file of an export.

    Attributes:
        file: its name.
        megabytes: 10^6 bytes.
        latency: of one photograph on this machine.
        warned: share of validation photographs that get the warning about unusual photographs;
            None where there is no such warning. At about 1 - QUANTILE by construction.
    """

    file: str
    megabytes: float
    latency: Latency
    warned: float | None


@dataclass(frozen=True)
class ExportResult:
    """What was exported and how well it agrees.

    Attributes:
        facts: of the fp32 file.
        temperature: with its conditions; None without a set to calibrate on.
        largest_difference: max |dp| between torch and onnxruntime.
        checked_images: photographs that it was taken over.
        checked_on: what they are.
        models: the files.
        int8: what 8 bits changed; None when they were not asked for.
    """

    facts: ModelFacts
    temperature: Temperature | None
    largest_difference: float
    checked_images: int
    checked_on: str
    models: tuple[ExportedModel, ...]
    int8: Int8Comparison | None

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


class CalibratedNetwork(nn.Module):
    """The whole way from pixels to calibrated probabilities.

    Args:
        classifier: copied to the CPU in float32.
        temperature: T > 0.
    """

    def __init__(self, classifier: Classifier, temperature: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(classifier.network).cpu().float().eval()
        self.mean, self.std, self.temperature = classifier.mean, classifier.std, temperature

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Uint8 N x 3 x S x S -> probabilities N x C, pooled features N x D."""
        inputs = normalise(pixels.float() / 255.0, self.mean, self.std)
        features = pooled_features(self.network, inputs)
        logits = head_of(self.network)(features)
        return torch.softmax(logits / self.temperature, dim=1), features


def to_onnx(classifier: Classifier, temperature: float) -> Any:
    """Writes the graph with torch's exporter (torch.export, no TorchScript); the batch is dynamic.

    Returns:
        An ``onnx.ModelProto`` without metadata; nothing in it names a place on this computer.

    Raises:
        InputError: onnx or onnxscript is not installed, or the network cannot be exported.
    """
    network = CalibratedNetwork(classifier, temperature).eval()
    example = torch.zeros(2, 3, classifier.size, classifier.size, dtype=torch.uint8)
    return onnx_graph(network, {INPUT: example}, OUTPUTS, name=f"model '{classifier.model}'")


def largest_difference(
    classifier: Classifier, temperature: float, graph: bytes, pixels: Pixels
) -> float:
    """Max |dp| between torch and onnxruntime over N photographs, asked at once and one by one.

    Args:
        classifier: the network.
        temperature: of the graph.
        graph: an ONNX file's bytes.
        pixels: uint8 N x 3 x S x S, at least 1.
    """
    logits = classifier.logits(torch.from_numpy(pixels)).numpy()
    expected = softmax(logits, temperature)
    session = open_session(graph)
    together = session.run(OUTPUTS[:1], {INPUT: pixels})[0]
    alone = session.run(OUTPUTS[:1], {INPUT: pixels[:1]})[0]
    return float(max(np.abs(together - expected).max(), np.abs(alone - expected[:1]).max()))


def phantom_photographs(size: int) -> Pixels:
    """Drawn photographs where no real ones are given: uint8 N x 3 x size x size."""
    drawn = [
        square(render_phantom(label, "korean", number, number, _PHANTOM_SIDE)[0], size)
        for number, label in enumerate(LABELS)
    ]
    return np.ascontiguousarray(np.stack(drawn).transpose(0, 3, 1, 2))


def export_classifier(
    run: RunDir,
    out: Path,
    config: ExportConfig,
    images: ImageSet | None = None,
    *,
    force: bool = False,
    progress: Progress = SILENT,
) -> ExportResult:
    """Exports a finished run.

    Args:
        run: of `train_classifier` or `train_kdect`.
        out: the new folder.
        config: settings.
        images: photographs to calibrate on; without them the temperature is 1, there is no
            threshold and no warning about unusual photographs, and int8 is not possible.
        force: replace an earlier export at `out`.
        progress: where progress is shown.

    Returns:
        What was exported.

    Raises:
        InputError: wrong use, a package is missing, or the network cannot be exported.
        RefusedError: the graph answers differently from the network, 8 bits cost too much, or
            the classifier learned from a validation photograph. Nothing is written then.
    """
    refuse_taken_folder(out, "export", lambda folder: (folder / RESULT).is_file(), force)
    if config.int8 and images is None:
        raise InputError(
            "`int8` needs `calibrate`, the set whose photographs it is tuned on; none was given"
        )
    classifier = load_classifier(run)
    photographs = None if images is None else load_clinical_set(run, classifier, images)
    with progress.task("exporting", total=3 + config.int8, unit="step") as task:
        temperature = threshold = None
        if photographs is not None:
            temperature, threshold = calibrate(classifier, photographs)
        licences = () if photographs is None else photographs.licences
        facts = model_facts(run, classifier, temperature, threshold, licences)
        task.advance(1)
        graph, check = _checked_graph(classifier, facts.temperature, photographs)
        task.advance(1)
        with replacing_folder(out) as folder:
            models = [_write(folder / MODEL_FP32, graph, facts, photographs, config.threads)]
            task.advance(1)
            comparison = None
            if config.int8 and photographs is not None:
                small, comparison = _in_8_bits(graph, classifier, photographs, config.tolerance)
                int8 = replace(facts, precision="int8")
                models.append(_write(folder / MODEL_INT8, small, int8, photographs, config.threads))
                task.advance(1)
            facts = OnnxClassifier(folder / MODEL_FP32).facts
            result = ExportResult(facts, temperature, *check, tuple(models), comparison)
            _describe(folder, result)
    return result


def _checked_graph(
    classifier: Classifier, temperature: float, photographs: ClinicalSet | None
) -> tuple[bytes, tuple[float, int, str]]:
    """The graph, and how far its answers lie from the network's, on how many images of what kind.

    Raises:
        RefusedError: they lie further than `LARGEST_DIFFERENCE`.
    """
    graph = to_onnx(classifier, temperature).SerializeToString()
    if photographs is None:
        seen, kind = phantom_photographs(classifier.size), "phantom photographs"
    else:
        seen, kind = photographs.validation, "validation photographs"
    difference = largest_difference(classifier, temperature, graph, seen)
    if not difference < LARGEST_DIFFERENCE:
        raise RefusedError(
            f"the exported graph answers differently from the network: max |dp| "
            f"{difference:.2g} on {len(seen)} photographs, allowed is {LARGEST_DIFFERENCE:g}"
        )
    return graph, (difference, len(seen), kind)


def _in_8_bits(
    graph: bytes, classifier: Classifier, photographs: ClinicalSet, tolerance: float
) -> tuple[bytes, Int8Comparison]:
    sample = calibration_sample(photographs.train)
    small = quantise(graph, sample)
    answers = [
        open_session(data).run(OUTPUTS[:1], {INPUT: photographs.validation})[0]
        for data in (graph, small)
    ]
    comparison = compare(
        answers[0],
        answers[1],
        photographs.validation_classes,
        classifier.labels.index(classifier.label),
        calibration_images=len(sample),
        tolerance=tolerance,
    )
    comparison.refuse_if_worse()
    return small, comparison


def _write(
    path: Path, graph: bytes, facts: ModelFacts, photographs: ClinicalSet | None, threads: int
) -> ExportedModel:
    """Writes a graph with its metadata, and beside it what ordinary features look like."""
    import onnx

    session = open_session(graph)
    warned = None
    if photographs is not None and len(photographs.validation) >= FEWEST_HELD_OUT:
        train, held_out = (
            session.run(OUTPUTS[1:], {INPUT: pixels})[0]
            for pixels in (photographs.train, photographs.validation)
        )
        statistics = fit_feature_statistics(train, photographs.train_classes, held_out)
        data = statistics.to_bytes()
        atomic_write_bytes(path.with_suffix(".npz"), data)
        facts = replace(facts, features_sha256=hashlib.sha256(data).hexdigest())
        warned = float((statistics.relative_distances(held_out) > 1).mean())
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, facts.to_properties())
    model.producer_name, model.producer_version = "hzsynth", facts.version
    model.doc_string = facts.intended_use
    onnx.checker.check_model(model)
    written = model.SerializeToString()
    atomic_write_bytes(path, written)
    latency = measure_latency(written, facts.size, threads=threads)
    return ExportedModel(path.name, len(written) / 1e6, latency, warned)


def _describe(folder: Path, result: ExportResult) -> None:
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / RESULT, text + "\n")
    source = resources.files("hzsynth.classify.deploy") / "templates" / "model_card.md.j2"
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    card = environment.from_string(source.read_text("utf-8")).render(result=result, f=result.facts)
    atomic_write_text(folder / CARD, card)
