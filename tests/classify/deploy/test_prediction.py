from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.classify.deploy.prediction import predict
from hzsynth.classify.models import MODEL, Classifier, create_network
from hzsynth.classify.train.config import ClassifyConfig
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir

LABELS = ("eczema", "herpes_zoster", "insect_bite")
MODEL_NAME = "mobilenetv3_small_050"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    config = ClassifyConfig(model=MODEL_NAME, pretrained="none", size=32, label="herpes_zoster")
    run = RunDir.start(tmp_path / "run", "classify", config, {"images": "digest"})
    network = create_network(MODEL_NAME, classes=3, pretrained="none", seed=3).eval()
    Classifier(MODEL_NAME, network, LABELS, "herpes_zoster", 32, MEAN, STD).save(run.path / MODEL)
    run.finish({})
    return run


def photographs(folder: Any, sizes: Any) -> Any:
    files = []
    for number, (height, width) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        files.append(folder / f"사진 {number}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def test_probabilities_are_those_of_the_network_on_the_central_square(
    run: Any, tmp_path: Path
) -> None:
    (file,) = photographs(tmp_path, [(32, 44)])
    answers = predict(run, [file])
    table = answers.to_frame()

    network = create_network(MODEL_NAME, classes=3, pretrained="none", seed=3).eval()
    pixels = np.asarray(Image.open(file), dtype=np.float32)[:, 6:38] / 255
    inputs = torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = network(inputs).softmax(1)[0].numpy()
    np.testing.assert_allclose(table[[f"p_{x}" for x in LABELS]].to_numpy()[0], expected, atol=1e-5)
    likeliest = LABELS[expected.argmax()]
    assert table["predicted"][0] == likeliest
    (sentence,) = answers.sentences().values()
    assert sentence.startswith(f"{likeliest} {expected.max():.1%}, ")
    assert all(label in sentence for label in LABELS)


def test_one_row_a_file_whatever_the_sizes_and_the_number_at_once(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = photographs(tmp_path, [(32, 32), (60, 40), (33, 90), (16, 16), (200, 64)])
    together = predict(run, files).to_frame()
    monkeypatch.setattr("hzsynth.classify.single_photographs._AT_ONCE", 2)
    apart = predict(run, files).to_frame()
    assert list(together["file"]) == [str(file) for file in files] == list(apart["file"])
    columns = [f"p_{label}" for label in LABELS]
    np.testing.assert_allclose(together[columns], apart[columns], atol=1e-6)
    np.testing.assert_allclose(together[columns].sum(axis=1), 1, atol=1e-6)
    assert together["predicted"].tolist() == apart["predicted"].tolist()


def test_what_cannot_be_asked_is_named(run: Any, tmp_path: Path) -> None:
    text = tmp_path / "note.jpg"
    text.write_text("no photograph")
    with pytest.raises(InputError, match="at least one photograph"):
        predict(run, [])
    with pytest.raises(InputError, match="absent.png"):
        predict(run, [tmp_path / "absent.png"])
    with pytest.raises(InputError, match="note.jpg"):
        predict(run, [text])


def test_a_run_without_a_finished_classifier_is_refused(tmp_path: Path) -> None:
    config = ClassifyConfig(model=MODEL_NAME, pretrained="none", size=32, label="herpes_zoster")
    unfinished = RunDir.start(tmp_path / "unfinished", "classify", config, {})
    with pytest.raises(InputError, match="not finished"):
        predict(unfinished, photographs(tmp_path, [(32, 32)]))
