import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.classify.deploy import export as export_module
from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.classify.deploy.export import export_classifier
from hzsynth.classify.deploy.export_int8 import compare
from hzsynth.classify.deploy.onnx_classifier import OnnxClassifier
from hzsynth.classify.evaluate.calibration import softmax
from hzsynth.classify.models import load_classifier
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from tests.classify.conftest import add_photographs, classify_config
from tests.cli.starting import starts
from tests.commands import hzsynth

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ImageSetWriter(tmp_path_factory.mktemp("set") / "photographs") as writer:
        add_photographs(writer, {"train": 10, "val": 8, "test": 2})
    return writer.images


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photographs: ImageSet, weights: Path) -> Any:
    config = classify_config(weights, steps=12)
    run = RunDir.start(
        tmp_path_factory.mktemp("run") / "run", "classify", config, {"images": photographs.digest}
    )
    train_classifier(photographs, config, run)
    run.close()
    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Any, photographs: ImageSet) -> Any:
    out = tmp_path_factory.mktemp("export") / "out"
    config = ExportConfig(int8=True, tolerance=1.0)
    return out, export_classifier(run, out, config, photographs)


def test_the_graph_answers_as_the_network_at_the_temperature(
    exported: Any, run: Any, photographs: ImageSet
) -> None:
    out, result = exported
    part = photographs.select(split="test")
    network = load_classifier(run)
    pixels = load_pixels(part, network.size)
    expected = softmax(network.logits(pixels).numpy(), result.temperature.value)
    found = OnnxClassifier(out / "model.onnx").probabilities(pixels)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert result.largest_difference < 1e-4
    assert result.checked_images == 16


def test_any_number_of_photographs_at_once(exported: Any) -> None:
    classifier = OnnxClassifier(exported[0] / "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)
    together = classifier.probabilities(pixels)
    one_by_one = np.concatenate([classifier.probabilities(p[None]) for p in pixels])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    assert classifier.probabilities(pixels[:0]).shape == (0, 2)


def test_features_are_what_the_head_sees(exported: Any, run: Any) -> None:
    classifier = OnnxClassifier(exported[0] / "model.onnx")
    network = load_classifier(run)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    probabilities, features = classifier.ask(pixels)
    with torch.no_grad():
        logits = network.network.get_classifier()(torch.from_numpy(features)).numpy()
    temperature = classifier.facts.temperature
    np.testing.assert_allclose(softmax(logits, temperature), probabilities, atol=1e-5)


def test_the_file_says_what_it_is(exported: Any, run: Any, photographs: ImageSet) -> None:
    facts = OnnxClassifier(exported[0] / "model.onnx").facts
    assert facts.labels == ("eczema", "zoster")
    assert (facts.label, facts.size, facts.precision) == ("zoster", 32, "fp32")
    assert (facts.run, facts.training_digest) == (run.id, photographs.digest)
    assert facts.calibrated_on == 16
    assert 0 <= facts.threshold <= 1
    assert "Research use only" in facts.intended_use
    assert facts.licence
    assert OnnxClassifier(exported[0] / "model-int8.onnx").facts.precision == "int8"


def test_the_graph_is_of_the_stated_opset_and_names_no_place_on_this_computer(
    exported: Any,
) -> None:
    data = (exported[0] / "model.onnx").read_bytes()
    model = onnx.load_from_string(data)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", exported[1].facts.opset)]
    assert b"site-packages" not in data
    assert b"hzsynth/classify" not in data
    onnx.checker.check_model(model, full_check=True)


def test_beside_the_file_lie_card_figures_and_statistics(exported: Any) -> None:
    out, result = exported
    card = (out / "MODEL_CARD.md").read_text()
    assert "Research use only" in card
    assert f"{result.temperature.value:.3f}" in card
    assert "In 8 bits" in card
    figures = json.loads((out / "export.json").read_text())
    assert figures["int8"]["images"] == 16
    assert {m["file"] for m in figures["models"]} == {"model.onnx", "model-int8.onnx"}
    assert all(0 < m["latency"]["median_ms"] <= m["latency"]["p95_ms"] for m in figures["models"])
    assert OnnxClassifier(out / "model.onnx").statistics.held_out == 16


def test_8_bits_weigh_less_and_answer_alike(exported: Any, photographs: ImageSet) -> None:
    out, result = exported
    assert result.int8.mean_difference < 0.1
    assert result.int8.calibration_images == 20
    quantised = onnx.load(out / "model-int8.onnx")
    assert "QuantizeLinear" in {node.op_type for node in quantised.graph.node}
    int8_weights = [t for t in quantised.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert any(t.dims and t.dims[0] > 1 for t in int8_weights)


def test_a_costly_quantisation_is_refused_with_figures_and_nothing_is_written(
    tmp_path: Path, run: Any, photographs: ImageSet, exported: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = onnx.load(exported[0] / "model.onnx")
    monkeypatch.setattr(export_module, "to_onnx", lambda *_: graph)

    def spoiled(fp32: Any, int8: Any, truth: Any, target: Any, **conditions: Any) -> Any:
        return replace(compare(fp32, int8, truth, target, **conditions), accuracy_int8=0.1)

    monkeypatch.setattr(export_module, "compare", spoiled)
    with pytest.raises(RefusedError, match=r"accuracy on 16 validation .* to 0\.100"):
        export_classifier(run, tmp_path / "out", ExportConfig(int8=True), photographs)
    assert list(tmp_path.iterdir()) == []


def test_comparison_by_hand() -> None:
    fp32 = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], np.float32)
    int8 = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.7, 0.3]], np.float32)
    found = compare(fp32, int8, np.array([0, 1, 1, 0]), 1, calibration_images=1, tolerance=0.3)
    assert (found.accuracy_fp32, found.accuracy_int8) == (1, 0.75)
    assert found.f1_target_int8 == pytest.approx(2 / 3)
    assert found.mean_difference == pytest.approx(0.1)
    assert found.agreement == 0.75
    with pytest.raises(RefusedError, match=r"F1 of the target class .* 1\.000 to 0\.667"):
        found.refuse_if_worse()
    replace(found, tolerance=0.34).refuse_if_worse()


def test_a_graph_that_answers_differently_is_refused(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "LARGEST_DIFFERENCE", 1e-12)
    with pytest.raises(RefusedError, match="max"):
        export_classifier(run, tmp_path / "out", ExportConfig())
    assert list(tmp_path.iterdir()) == []


def test_validation_photographs_that_it_learned_from_are_refused(
    tmp_path: Path, run: Any, photographs: ImageSet
) -> None:
    swapped = {"train": "val", "val": "train", "test": "test"}
    mixed = photographs.replace_records(
        replace(record, split=swapped[record.split]) for record in photographs
    )
    with pytest.raises(RefusedError):
        export_classifier(run, tmp_path / "out", ExportConfig(), mixed)


def test_int8_without_photographs_is_wrong_use(tmp_path: Path, run: Any) -> None:
    with pytest.raises(InputError, match="needs `calibrate`"):
        export_classifier(run, tmp_path / "out", ExportConfig(int8=True))


@starts("classify export")
def test_the_command_exports_without_a_set_and_says_that_it_is_not_calibrated(
    tmp_path: Path, run: Any
) -> None:
    out = tmp_path / "out"
    values = hzsynth("classify", "export", run.path, "--out", out, "--json").result
    assert values["facts"]["temperature"] == 1
    assert values["facts"]["threshold"] is None
    assert values["checked_on"] == "phantom photographs"
    assert "Not calibrated" in (out / "MODEL_CARD.md").read_text()
    assert OnnxClassifier(out / "model.onnx").statistics is None

    again = hzsynth("classify", "export", run.path, "--out", out)
    assert again.code == 2
    assert "--force" in again.err


def test_a_folder_with_other_things_is_never_replaced(tmp_path: Path, run: Any) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(InputError, match="holds no export"):
        export_classifier(run, tmp_path, ExportConfig(), force=True)
    assert (tmp_path / "thesis.txt").read_text() == "three years"
