"""The views under which a copy is looked for."""

import torch

from hzsynth.audit.distances import orientations, views


def test_views_hold_the_orientations_and_crops_of_a_picture() -> None:
    pixels = torch.arange(2 * 3 * 20 * 20, dtype=torch.uint8).reshape(2, 3, 20, 20)
    seen = views(pixels)
    assert len(seen) == 13
    assert all(view.shape == pixels.shape for view in seen)
    kinds = {tuple(view[0, 0].flatten().tolist()) for view in orientations(pixels)}
    assert len(kinds) == 8
    assert torch.equal(seen[0], pixels)
    mirrored = [torch.equal(view, pixels.flip(3)) for view in seen]
    assert any(mirrored)
