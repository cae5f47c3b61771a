from pathlib import Path

import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.trained_discriminator import load_discriminator

from .conftest import saved, training_set


@pytest.mark.parametrize("name", ["light", "stylegan2"])
def test_a_picture_is_scored_alone_and_with_its_mirror_image(
    trained: dict[str, RunDir], name: str
) -> None:
    asked = load_discriminator(trained[name])
    assert (asked.resolution, asked.step) == (16, 30)
    pixels = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    together = asked.score(pixels)
    assert together.shape == (3,)
    assert torch.equal(together[1:2], asked.score(pixels[1:2]))
    torch.testing.assert_close(together, asked.score(pixels.flip(3)))
    assert together.std() > 0


def test_a_run_without_a_checkpoint_or_with_another_versions_is_refused(
    tmp_path: Path, trained: dict[str, RunDir]
) -> None:
    images: ImageSet = training_set(trained["light"])
    run = saved(images, tmp_path / "run", label="zoster", kimg=0.004)
    run.save_checkpoint({"labels": ["zoster"], "generator": {}}, 1)
    with pytest.raises(InputError, match="another version"):
        load_discriminator(run)
    (run.path / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match="no discriminator any more"):
        load_discriminator(run)
