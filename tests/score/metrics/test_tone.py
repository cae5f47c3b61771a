"""Skin tone: the distance of two sets is the shift between them, and lesions do not count."""

from pathlib import Path

import numpy as np
import pytest

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.skin_tone import individual_typology_angle
from hzsynth.score.config import ScoreConfig
from hzsynth.score.metrics.tone import skin_angles, tone_distance
from hzsynth.score.scoring import score_images


def test_tone_distance_is_the_shift() -> None:
    angles = np.random.default_rng(3).normal(40, 5, 50)
    assert tone_distance(angles, angles + 7.5) == pytest.approx(7.5)


def test_a_tone_that_is_not_told_is_left_out() -> None:
    angles = np.random.default_rng(3).normal(40, 5, 50)
    with_gaps = np.concatenate([angles + 7.5, [np.nan] * 9])
    assert tone_distance(angles, with_gaps) == pytest.approx(7.5)
    assert np.isnan(tone_distance(angles, np.array([np.nan])))


def test_the_figure_carries_the_share_that_is_not_told(tmp_path: Path) -> None:
    skin, inflamed = (205, 160, 135), (170, 60, 70)
    for name, colours in {"real": [skin] * 4, "fake": [skin, skin, inflamed, inflamed]}.items():
        with ImageSetWriter(tmp_path / name) as writer:
            for colour in colours:
                writer.add(np.full((24, 24, 3), colour, np.uint8), label="x", origin="real")
    config = ScoreConfig(metrics=("tone",))
    real, fake = ImageSet.load(tmp_path / "real"), ImageSet.load(tmp_path / "fake")
    (figure,) = score_images(real, fake, config, compute=CPU_FP32).scores
    assert figure.value == 0
    assert "0% of the photographs and 50% of the generated images cannot be told" in figure.note
    (none,) = score_images(real, fake[2:], config, compute=CPU_FP32).unavailable
    assert none.reason.startswith("the skin tone of 0% of the photographs and 100%")


@pytest.mark.parametrize("masked", [True, False])
def test_tone_leaves_the_lesion_out_with_and_without_a_mask(masked: bool, tmp_path: Path) -> None:
    plain, sore = np.full((64, 64, 3), (205, 160, 135), np.uint8), np.zeros((64, 64), dtype=bool)
    sore[10:50, 5:60] = True
    marked = np.where(sore[..., None], np.array((150, 50, 45), np.uint8), plain)
    with ImageSetWriter(tmp_path / "set") as writer:
        writer.add(plain, label="normal", origin="real")
        writer.add(marked, label="sore", origin="real", mask=sore if masked else None)
    healthy, found = skin_angles(writer.images)
    assert found == pytest.approx(healthy, abs=1)
    # The typical colour of the skin when the lesion counts: what the score once compared.
    assert abs(individual_typology_angle(marked) - healthy) > 30
