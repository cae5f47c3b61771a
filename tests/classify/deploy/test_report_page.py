import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.classify.deploy.diagnosis import DiagnosticModel, examine, open_model
from hzsynth.classify.deploy.export import export_classifier
from hzsynth.classify.deploy.onnx_classifier import ModelFacts
from hzsynth.classify.deploy.out_of_distribution import fit_feature_statistics
from hzsynth.classify.deploy.report_page import make_page, percentage, write_report
from hzsynth.classify.deploy.report_texts import STATEMENTS, load_texts
from hzsynth.classify.evaluate.calibration import softmax
from hzsynth.classify.explain.heat_maps import grad_cam, lay_over, occlusion
from hzsynth.classify.models import Classifier, load_classifier, normalise
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.report.embedded_font import FAMILY
from tests.classify.conftest import add_photographs, classify_config, tiny_network
from tests.cli.starting import starts
from tests.commands import hzsynth

SIZE = 32
DAY = date(2026, 11, 23)
LABELS = ("cellulitis", "eczema", "herpes_zoster", "insect_bite", "normal", "ringworm", "urticaria")


def facts(**changes: Any) -> Any:
    values = {
        "labels": LABELS,
        "label": "herpes_zoster",
        "size": SIZE,
        "model": "tiny",
        "precision": "fp32",
        "temperature": 1.3,
        "calibrated_on": 40,
        "threshold": 0.25,
        "run": "classify-0123456789ab",
        "training_digest": "d",
        "created": "2026-11-01T10:00:00+00:00",
        "version": "0.1.0",
        "opset": 18,
        "licence": "",
        **changes,
    }
    return ModelFacts(**values)


def model(probabilities: Any, statistics: Any = None, **changes: Any) -> Any:
    """Answers the same whatever it is shown; looks at the upper left quarter."""
    answer = np.array(probabilities, np.float32)

    def ask(pixels: Any) -> Any:
        return np.repeat(answer[None], len(pixels), axis=0), np.ones((len(pixels), 4), np.float32)

    def heat(pixels: Any, place: Any) -> Any:
        found = np.zeros((SIZE, SIZE))
        found[: SIZE // 2, : SIZE // 2] = 1
        return found

    return DiagnosticModel(facts(**changes), ask, heat, "occlusion", statistics)


ZOSTER = (0.05, 0.1, 0.6, 0.1, 0.05, 0.06, 0.04)
NORMAL = (0.004, 0.1, 0.002, 0.2, 0.6, 0.05, 0.044)


@pytest.fixture
def photograph(tmp_path: Path) -> Any:
    """A phantom in a file that names a patient, in its name and in its EXIF."""
    pixels = render_phantom("herpes_zoster", "korean", 3, 3, 256)[0]
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x010E] = "Patient Hong Gildong"
    path = tmp_path / "Hong_Gildong_19500101.jpg"
    picture.save(path, exif=exif, quality=95)
    return path


def page_text(folder: Any, name: Any = "photograph-001.html") -> Any:
    return (folder / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_carries_the_statement_twice(
    tmp_path: Path, photograph: Any, language: str
) -> None:
    texts = load_texts(language)
    write_report(model(ZOSTER), [photograph], tmp_path / "out", texts, day=DAY)
    for name in ("photograph-001.html", "index.html"):
        text = page_text(tmp_path / "out", name)
        assert text.count(STATEMENTS[language]) == 2
        assert f'<html lang="{language}">' in text
        # A server without Korean fonts prints it all the same.
        assert text.count("@font-face") == (2 if language == "ko" else 0)
        assert text.index("@page") < text.index(f'1.42 "{FAMILY}"')


def test_pages_stand_alone_and_tell_no_patient(tmp_path: Path, photograph: Any) -> None:
    write_report(model(ZOSTER), [photograph], tmp_path / "out", load_texts("en"), day=DAY)
    for name in ("photograph-001.html", "index.html"):
        text = page_text(tmp_path / "out", name)
        assert "Hong" not in text
        assert str(tmp_path) not in text
        assert not re.findall(r'(?:src|href)="(?!data:|photograph-\d+\.html)', text)
        assert "http" not in text
        assert "Exif" not in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"photograph-001.html", "index.html"}


def test_bars_are_the_five_likeliest_and_the_target(photograph: Any) -> None:
    asked = model(NORMAL)
    page = make_page(examine(asked, photograph), 1, asked, load_texts("en"))
    names = [bar.name for bar in page.bars]
    assert names == ["normal", "insect bite", "eczema", "ringworm", "urticaria", "herpes zoster"]
    assert [bar.target for bar in page.bars] == [False] * 5 + [True]
    assert page.bars[-1].shown == "<1%"
    assert not page.suspicious
    assert page.likeliest == "normal, 60%"


def test_above_the_threshold_the_target_is_suspicious_though_not_likeliest(photograph: Any) -> None:
    asked = model((0.05, 0.4, 0.26, 0.1, 0.05, 0.1, 0.04))
    page = make_page(
        examine(asked, photograph), 1, asked, load_texts("ko", None, asked.facts.label)
    )
    assert page.suspicious
    assert "이상" in page.verdict
    assert any("72시간" in step for step in page.next_steps)


def test_another_target_has_no_advice_on_shingles(photograph: Any) -> None:
    asked = model(ZOSTER, label="eczema")
    page = make_page(examine(asked, photograph), 1, asked, load_texts("en", None, "eczema"))
    assert "shingles" not in " ".join(page.next_steps)


def test_certainty_is_never_written() -> None:
    assert [percentage(p) for p in (0, 0.004, 0.5, 0.999, 1)] == [
        "<1%", "<1%", "50%", ">99%", ">99%",
    ]  # fmt: skip


def test_a_bad_photograph_is_warned_of_and_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "dark.png"
    Image.fromarray(np.full((20, 20, 3), 4, np.uint8)).save(path)
    asked = model(ZOSTER)
    page = make_page(examine(asked, path), 1, asked, load_texts("en"))
    serious = [warning.text for warning in page.warnings if warning.serious]
    assert "Too small: 20 x 20 pixels." in serious
    assert any(text.startswith("Too dark") for text in serious)
    assert page.doubtful
    assert "again" in page.next_steps[0]


def test_a_strange_photograph_is_warned_of(photograph: Any) -> None:
    rng = np.random.default_rng(0)
    classes = np.arange(40) % 2
    usual = np.eye(4)[classes] * 3 + rng.normal(0, 0.01, (40, 4))
    statistics = fit_feature_statistics(usual, classes, usual + rng.normal(0, 0.01, (40, 4)))
    asked = model(ZOSTER, statistics)
    finding = examine(asked, photograph)
    assert finding.unusual
    page = make_page(finding, 1, asked, load_texts("en"))
    assert page.warnings[0].text.startswith("Unlike the training photographs")
    assert page.warnings[0].serious


def test_a_clinic_writes_its_own_next_steps_and_nothing_else(
    tmp_path: Path, photograph: Any
) -> None:
    texts = tmp_path / "texts.toml"
    texts.write_text('clinic = "피부과 <1>"\nnext_steps_suspicious = ["Call us."]\n', "utf-8")
    write_report(model(ZOSTER), [photograph], tmp_path / "o", load_texts("en", texts), day=DAY)
    text = page_text(tmp_path / "o")
    assert "피부과 &lt;1&gt;" in text
    assert "Call us." in text
    assert "72 hours" not in text

    texts.write_text('statement = ""\n')
    with pytest.raises(InputError, match="unknown configuration key 'statement'"):
        load_texts("en", texts)
    with pytest.raises(InputError, match="en or ko, not 'de'"):
        load_texts("de")


def test_both_languages_have_the_same_texts() -> None:
    english, korean = load_texts("en"), load_texts("ko")
    assert english.fixed.keys() == korean.fixed.keys()
    for key, text in english.fixed.items():
        places = re.findall(r"{(\w+)}", text)
        assert sorted(places) == sorted(re.findall(r"{(\w+)}", korean.fixed[key])), key
    assert korean.label("herpes_zoster") == "대상포진"


def test_a_folder_with_other_things_is_never_replaced(tmp_path: Path, photograph: Any) -> None:
    with pytest.raises(InputError, match="holds no report"):
        write_report(model(ZOSTER), [photograph], tmp_path, load_texts("en"), day=DAY, force=True)
    assert photograph.is_file()


def test_grad_cam_of_a_linear_head_is_the_class_activation_map() -> None:
    """With mean pooling and a linear head Grad-CAM is CAM (Zhou et al., 2016) up to a factor."""
    network = tiny_network(seed=1).eval()
    head = network.get_classifier()
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=torch.manual_seed(0)))
    mean = std = (0.5, 0.5, 0.5)
    size = 128
    classifier = Classifier("tiny", network, ("a", "b"), "a", size, mean, std)
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8)
    with torch.no_grad():
        unit = torch.from_numpy(pixels[None]).float() / 255
        maps = network.forward_features(normalise(unit, mean, std))[0]
        expected = torch.einsum("k,khw->hw", head.weight[1], maps).relu().numpy()
    found = grad_cam(classifier, pixels, 1)
    assert found.shape == (size, size)
    block = size // expected.shape[0]
    centres = found[block // 2 :: block, block // 2 :: block]
    assert np.corrcoef(centres.ravel(), expected.ravel())[0, 1] > 0.95


def test_occlusion_finds_what_the_answer_rests_on() -> None:
    pixels = np.zeros((3, 48, 48), np.uint8)
    pixels[:, 4:14, 30:40] = 255

    def ask(images: Any) -> Any:
        share = images[:, 0, 4:14, 30:40].mean(axis=(1, 2)) / 255
        return np.stack([1 - share, share], axis=1).astype(np.float32)

    heat = occlusion(ask, pixels, 1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 2 <= row <= 16
    assert 28 <= column <= 42
    assert heat[30:, :20].max() < 0.05
    assert not occlusion(ask, pixels, 0).any()


def test_heat_is_laid_over_a_grey_photograph() -> None:
    pixels = np.full((10, 10, 3), (200, 100, 50), np.uint8)
    shown = lay_over(pixels, np.zeros((5, 5)))
    assert (shown[..., 0] == shown[..., 1]).all()
    assert lay_over(pixels, np.ones((5, 5)))[0, 0].tolist() != shown[0, 0].tolist()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ImageSetWriter(tmp_path_factory.mktemp("set") / "photographs") as writer:
        add_photographs(writer, {"train": 8, "val": 6, "test": 1})
    return writer.images


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photographs: ImageSet, weights: Path) -> Any:
    folder = tmp_path_factory.mktemp("run") / "run"
    run = RunDir.start(folder, "classify", classify_config(weights), {"images": photographs.digest})
    train_classifier(photographs, classify_config(weights), run)
    run.close()
    return run


@starts("classify report")
def test_the_command_reports_a_run(
    tmp_path: Path, run: Any, photographs: ImageSet, photograph: Any
) -> None:
    out = tmp_path / "out"
    values = hzsynth(
        "classify", "report", run.path, photograph, photograph, "--calibrate", photographs.root,
        "--language", "ko", "--out", out, "--json",
    ).result  # fmt: skip
    assert [row["page"] for row in values["photographs"]] == [
        "photograph-001.html",
        "photograph-002.html",
    ]
    assert values["use"] == STATEMENTS["ko"]
    text = page_text(out)
    assert "Grad-CAM" in text or "뒷받침하는 부위가 없어" in text
    assert "12장으로 보정한" in text
    assert "확인하지 못했습니다" not in text

    assert hzsynth("classify", "report", run.path, photograph, "--out", out).code == 2


def test_a_run_without_photographs_says_that_it_is_not_calibrated(
    run: Any, photograph: Any
) -> None:
    asked = open_model(run.path)
    finding = examine(asked, photograph)
    assert finding.distance is None
    network = load_classifier(run)
    seen = Image.open(photograph).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(seen).transpose(2, 0, 1).copy())
    expected = softmax(network.logits(pixels[None]).numpy())[0]
    np.testing.assert_allclose(finding.probabilities, expected, atol=1e-5)
    assert asked.heat_method == "grad-cam"


def test_run_and_export_say_the_same(
    tmp_path: Path, run: Any, photographs: ImageSet, photograph: Any
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export_classifier(run, tmp_path / "export", ExportConfig(), photographs)
    exported = open_model(tmp_path / "export")
    trained = open_model(run.path, photographs)
    found, expected = examine(exported, photograph), examine(trained, photograph)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    assert found.distance == pytest.approx(expected.distance, rel=1e-2)
    assert exported.facts.threshold == pytest.approx(trained.facts.threshold)
    assert exported.heat_method == "occlusion"
    with pytest.raises(InputError, match="calibrated already"):
        open_model(tmp_path / "export" / "model.onnx", photographs)
