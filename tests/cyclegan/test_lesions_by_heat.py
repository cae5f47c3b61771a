"""Lesions that a classifier's Grad-CAM finds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import load_domain, mask_of_heat
from hzsynth.stages.lesion_classifiers import lesions_by_heat
from tests.classify.conftest import add_photographs, saved_run

from .test_commands import CONFIG, call


def test_heat_is_laid_over_the_central_square() -> None:
    heat = np.zeros((10, 10))
    heat[:5, 5:] = 1.0
    mask = mask_of_heat(heat, (40, 60))
    assert mask.shape == (40, 60)
    # The square is columns 10 to 49; its upper right quarter is hot.
    assert mask[2:18, 34:50].all()
    assert not mask[:, :28].any()
    assert not mask[:, 50:].any()
    assert not mask[22:].any()
    tall = mask_of_heat(heat, (60, 40))
    assert tall[12:28, 24:].all()
    assert not tall[:10].any()
    assert not mask_of_heat(np.zeros((10, 10)), (8, 8)).any()


@pytest.fixture
def photographs(tmp_path: Path) -> Any:
    with ImageSetWriter(tmp_path / "photographs") as writer:
        add_photographs(writer)
    return writer.images


def test_a_classifier_finds_lesions_where_a_set_has_no_masks(
    tmp_path: Path, photographs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = saved_run(tmp_path / "classifier", photographs)
    zoster = photographs.select("train", "zoster")
    find = lesions_by_heat(classifier, zoster)
    domain = load_domain(zoster, 32, True, find)
    assert domain.masks.flatten(1).any(dim=1).all()
    redness = load_domain(zoster, 32, True)
    assert not (domain.masks == redness.masks).all()
    file = tmp_path / "settings.toml"
    CycleGanConfig(**CONFIG).save(file)
    code, _, err = call(
        capsys,
        *("cyclegan", "train", photographs.root, photographs.root),
        *("--label", "zoster", "--target-label", "eczema", "--masks", classifier.path),
        *("--config", file, "--out", tmp_path / "run", "--quiet", "--device", "cpu"),
    )
    assert code == 0, err
    assert RunDir.load(tmp_path / "run").inputs["masks"] == classifier.id


def test_a_classifier_of_other_classes_is_refused(tmp_path: Path, photographs: Any) -> None:
    classifier = saved_run(tmp_path / "classifier", photographs)
    with pytest.raises(InputError, match="one class that the classifier knows"):
        lesions_by_heat(classifier, photographs)
