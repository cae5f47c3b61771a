"""ADA and the networks of stylegan2-pytorch in the training loop: exact resume, the strength's course."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hzsynth.core.image_set import ImageSet
from hzsynth.gan.generator_files import load_generator

from .conftest import tiny
from .test_training import PowerCutError, StopsAt, assert_bitwise_equal, train

ADA = {"augment": "ada", "ada_kimg": 0.1, "discriminator": "stylegan2"}


@pytest.mark.parametrize("discriminator", ["stylegan2", "projected"])
def test_adas_strength_survives_a_cut_in_the_middle_of_its_interval(
    tmp_path: Path, pictures: ImageSet, discriminator: str
) -> None:
    config = tiny(**{**ADA, "discriminator": discriminator, "kimg": 0.04})
    whole = train(tmp_path / "whole", pictures, config)
    with pytest.raises(PowerCutError):
        train(tmp_path / "cut", pictures, config, progress=StopsAt(6))
    resumed = train(tmp_path / "cut", pictures, config)
    assert_bitwise_equal(whole.run, resumed.run)
    states = [run.load_checkpoint()["augment"] for run in (whole.run, resumed.run)]
    assert states[0] == states[1]
    assert states[0]["steps"] == 2  # ten steps: two adjustments and two steps of the third interval
    assert -1 <= states[0]["sureness"] <= 1
    assert states[0]["p"] in (0.0, pytest.approx(0.16), pytest.approx(0.32))


def test_ada_grows_against_a_discriminator_that_knows_its_photographs(
    tmp_path: Path, pictures: ImageSet
) -> None:
    # Four pictures, a generator that learns nothing: the reals are soon known by heart.
    config = tiny(**ADA, kimg=0.16, generator_rate=1e-9, discriminator_rate=5e-3)
    result = train(tmp_path / "run", pictures, config)
    assert result.run.load_checkpoint()["augment"]["p"] > 0.3
    assert max(line.get("augment_p", 0.0) for line in result.run.metrics()) > 0.05


def test_their_networks_train_resume_and_generate(tmp_path: Path, pictures: ImageSet) -> None:
    for needed in ("stylegan2_pytorch", "kornia", "einops", "vector_quantize_pytorch"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    config = tiny(backend="stylegan2-pytorch")
    whole = train(tmp_path / "whole", pictures, config)
    with pytest.raises(PowerCutError):
        train(tmp_path / "cut", pictures, config, progress=StopsAt(3))
    assert_bitwise_equal(whole.run, train(tmp_path / "cut", pictures, config).run)
    images = load_generator(whole.run).sample([1, 2])
    assert images.shape == (2, 3, 16, 16)
    assert not torch.equal(images[0], images[1])
    typical = load_generator(whole.run, truncation=0.0).sample([1, 2])
    assert (typical[0].float() - typical[1].float()).abs().max() <= (
        images[0].float() - images[1].float()
    ).abs().max()


# torch's own tracer looks at the gradients of what it fakes.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize(
    "networks",
    [{}, {"generator": "stylegan2", "style_mixing": 0.9, "path_length_weight": 2.0}],
)
def test_a_compiled_generator_learns_what_the_plain_one_does(
    tmp_path: Path,
    pictures: ImageSet,
    monkeypatch: pytest.MonkeyPatch,
    networks: dict[str, object],
) -> None:
    config = tiny(**networks)
    plain = train(tmp_path / "plain", pictures, config)
    compiled = []

    def traced(function: Callable[..., object]) -> Callable[..., object]:
        # Traced and differentiated as any backend would, without a minute of a C++ compiler.
        compiled.append(function)
        return compile_with(function, backend="aot_eager")

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    other = train(tmp_path / "compiled", pictures, config.model_copy(update={"compile": True}))
    assert compiled
    samples = [load_generator(r.run).sample([0, 1], [0, 1]).int() for r in (plain, other)]
    assert (samples[0] - samples[1]).abs().max() <= 2
