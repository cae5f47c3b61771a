"""What the pixels' space sees."""

import torch

from hzsynth.audit.feature_spaces import pixel_vectors


def test_pixel_vectors_do_not_see_light_and_contrast() -> None:
    pixels = torch.randint(60, 120, (3, 3, 48, 48), dtype=torch.uint8)
    brighter = (pixels.float() * 1.5 + 20).round().to(torch.uint8)
    assert torch.allclose(pixel_vectors(pixels), pixel_vectors(brighter), atol=0.02)
