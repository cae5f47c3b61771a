import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.classify.deploy.export import export_classifier
from hzsynth.classify.deploy.onnx_classifier import OnnxClassifier, predict_onnx
from hzsynth.classify.deploy.prediction import predict
from hzsynth.classify.models import MODEL, Classifier
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from tests.classify.conftest import MODEL as TINY
from tests.classify.conftest import classify_config, tiny_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

LABELS = ("eczema", "zoster", "ringworm")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run") / "run"
    run = RunDir.start(folder, "classify", classify_config(None), {"images": "digest"})
    network = tiny_network(seed=3, classes=3).eval()
    rng = np.random.default_rng(0)
    head = network.get_classifier()
    head.weight.data += head.weight.data.new_tensor(rng.normal(0, 1, head.weight.shape))
    Classifier(TINY, network, LABELS, "zoster", 32, MEAN, STD).save(run.path / MODEL)
    run.finish({})
    run.close()
    return run


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, run: Any) -> Any:
    out = tmp_path_factory.mktemp("export") / "out"
    export_classifier(run, out, ExportConfig())
    return out / "model.onnx"


@pytest.fixture
def pictures(tmp_path: Path) -> Any:
    files = []
    for number, (height, width) in enumerate([(32, 32), (40, 70), (90, 55)]):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        files.append(tmp_path / f"사진 {number}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def test_the_table_is_that_of_the_run(run: Any, file: Any, pictures: Any) -> None:
    # Without photographs to calibrate on the temperature is 1: both must agree.
    pd.testing.assert_frame_equal(
        predict_onnx(file, pictures).to_frame(),
        predict(run, pictures).to_frame(),
        atol=1e-4,
        rtol=0,
    )


def test_torch_is_never_imported(file: Any, pictures: Any) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hzsynth.classify.deploy.onnx_classifier import predict_onnx\n"
        f"print(len(predict_onnx(Path({str(file)!r}), [Path({str(pictures[0])!r})])), 'torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.split() == ["1", "False"], result.stderr


def test_another_size_is_resized_like_the_network_does(run: Any, file: Any) -> None:
    from hzsynth.classify.models import load_classifier

    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    smooth = np.kron(rng.integers(0, 256, (2, 3, 8, 8)), np.ones((1, 1, 6, 6))).astype(np.uint8)
    expected = load_classifier(run).probabilities(torch.from_numpy(smooth))
    np.testing.assert_allclose(OnnxClassifier(file).probabilities(smooth), expected, atol=0.02)


def test_tensors_are_taken_like_arrays(file: Any) -> None:
    torch = pytest.importorskip("torch")
    pixels = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    classifier = OnnxClassifier(file)
    np.testing.assert_array_equal(
        classifier.probabilities(pixels), classifier.probabilities(pixels.numpy())
    )
    assert (classifier.labels, classifier.label, classifier.size) == (LABELS, "zoster", 32)


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 32, 32), np.uint8), np.zeros((1, 3, 32, 32), np.float32)]
)
def test_pixels_of_another_form_are_refused(file: Any, pixels: Any) -> None:
    with pytest.raises(InputError, match="uint8 N x 3"):
        OnnxClassifier(file).probabilities(pixels)


def changed(file: Any, path: Any, change: Any) -> Any:
    model = onnx.load(file)
    change(model)
    onnx.save(model, path)
    return path


def test_a_foreign_file_is_refused(file: Any, tmp_path: Path) -> None:
    def forget(model: Any) -> None:
        del model.metadata_props[:]

    foreign = changed(file, tmp_path / "foreign.onnx", forget)
    with pytest.raises(InputError, match="was not exported by hzsynth"):
        OnnxClassifier(foreign)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 99}', "newer hzsynth"),
    ],
)
def test_damaged_metadata_is_refused(file: Any, tmp_path: Path, text: str, sentence: str) -> None:
    def spoil(model: Any) -> None:
        next(p for p in model.metadata_props if p.key == "hzsynth").value = text

    with pytest.raises(InputError, match=sentence):
        OnnxClassifier(changed(file, tmp_path / "spoiled.onnx", spoil))


def test_a_damaged_file_is_refused(file: Any, tmp_path: Path) -> None:
    data = file.read_bytes()
    for number, content in enumerate((b"", b"no graph", data[: len(data) // 2])):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match="no ONNX file that can be used"):
            OnnxClassifier(path)
    with pytest.raises(InputError, match="cannot read"):
        OnnxClassifier(tmp_path / "missing.onnx")


def test_photographs_are_needed_and_must_be_readable(file: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        predict_onnx(file, [])
    with pytest.raises(InputError, match="cannot read"):
        predict_onnx(file, [tmp_path / "missing.jpg"])
