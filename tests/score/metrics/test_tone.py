"""Skin tone: the distance of two sets is the shift between them, and lesions do not count."""

import numpy as np
import pytest

from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.skin_tone import individual_typology_angle
from hzsynth.score.metrics.tone import skin_angles, tone_distance


def test_tone_distance_is_the_shift():
    angles = np.random.default_rng(3).normal(40, 5, 50)
    assert tone_distance(angles, angles + 7.5) == pytest.approx(7.5)


@pytest.mark.parametrize("masked", [True, False])
def test_tone_leaves_the_lesion_out_with_and_without_a_mask(masked, tmp_path):
    plain, sore = np.full((64, 64, 3), (205, 160, 135), np.uint8), np.zeros((64, 64), dtype=bool)
    sore[10:50, 5:60] = True
    marked = np.where(sore[..., None], np.uint8((150, 50, 45)), plain)
    with ImageSetWriter(tmp_path / "set") as writer:
        writer.add(plain, label="normal", origin="real")
        writer.add(marked, label="sore", origin="real", mask=sore if masked else None)
    healthy, found = skin_angles(writer.images)
    assert found == pytest.approx(healthy, abs=1)
    # The typical colour of the skin when the lesion counts: what the score once compared.
    assert abs(individual_typology_angle(marked) - healthy) > 30
