from pathlib import Path

import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import load_generator
from hzsynth.gan.networks import build_generator
from hzsynth.gan.presets import choose_preset
from hzsynth.gan.sampling import generate
from hzsynth.gan.stylegan2 import StyleGAN2Generator
from hzsynth.gan.training import train_gan
from hzsynth.gan.training_result import GanResult

from .conftest import tiny


def train(path: Path, images: ImageSet, config: GanConfig) -> GanResult:
    with RunDir.start(path, "gan", config, {}) as run:
        return train_gan(images, config, run)


def test_presets_fill_what_is_not_given() -> None:
    assert GanConfig().generator == "light"
    standard = GanConfig(preset="standard")
    assert (standard.generator, standard.augment, standard.mapping_layers) == (
        "stylegan2",
        "ada",
        8,
    )
    assert GanConfig(preset="standard", batch=8, augment="none").batch == 8
    assert GanConfig(preset="standard", generator="light").style_mixing == 0
    theirs = GanConfig(preset="standard", backend="stylegan2-pytorch")
    assert (theirs.path_length_weight, theirs.style_mixing, theirs.conditional) == (0, 0.9, False)
    again = GanConfig.from_sources(None, standard.model_dump(mode="json"))
    assert again == standard


def test_rates_follow_the_networks() -> None:
    assert GanConfig().rates == (1e-3, 1e-3)
    assert GanConfig(generator="stylegan2").rates == (2e-3, 1e-3)
    pair = GanConfig(generator="stylegan2", discriminator="stylegan2", discriminator_rate=5e-4)
    assert pair.rates == (2e-3, 5e-4)
    # As published where there are many photographs; a run of some hundred steps needs more.
    assert GanConfig(preset="standard").mapping_rate == 0.01
    for rate in (0.1, 0.01):
        config = GanConfig(resolution=16, generator="stylegan2", mapping_rate=rate)
        network = build_generator(config)
        assert isinstance(network, StyleGAN2Generator)
        assert {layer.rate for layer in network.mapping.layers} == {rate}


def test_a_preset_is_chosen_by_photographs_and_machine() -> None:
    assert choose_preset(5000, on_gpu=False)[0] == "tiny"
    assert choose_preset(30, on_gpu=True)[0] == "small"
    name, reason = choose_preset(5000, on_gpu=True)
    assert name == "standard"
    assert "5000 photographs" in reason


@pytest.mark.parametrize(
    "settings",
    [
        {"generator": "light", "discriminator": "projected"},
        {"generator": "stylegan2", "discriminator": "stylegan2", "augment": "ada"},
    ],
)
def test_a_run_goes_on_from_anothers_weights_and_inherits_its_photographs(
    tmp_path: Path, pictures: ImageSet, settings: dict[str, str]
) -> None:
    first = train(tmp_path / "first", pictures, tiny(label="eczema", **settings))
    init = tmp_path / "first"
    config = tiny(label="zoster", init=init, kimg=0.004, **settings)
    second = train(tmp_path / "second", pictures, config)
    fresh = train(tmp_path / "fresh", pictures, tiny(label="zoster", kimg=0.004, **settings))

    def image(result: GanResult) -> torch.Tensor:
        return load_generator(result.run).sample([0]).float()

    assert (image(second) - image(first)).abs().mean() < (image(fresh) - image(first)).abs().mean()
    learned = {t.sha256 for t in second.run.training_images()}
    assert learned == {r.sha256 for r in pictures.select(split="train")}
    made = generate(second.run, 1, tmp_path / "made")
    assert {t.sha256 for t in made.lineage[second.run.id]} == learned


def test_a_run_from_anothers_weights_goes_on_with_its_average(
    tmp_path: Path, pictures: ImageSet
) -> None:
    first = train(tmp_path / "first", pictures, tiny(label="zoster")).run.load_checkpoint()
    config = tiny(label="zoster", init=tmp_path / "first", kimg=0.004, generator_rate=0.05)
    second = train(tmp_path / "second", pictures, config).run.load_checkpoint()
    name = "to_rgb.weight"
    before, current, after = (
        first["average"][name],
        second["generator"][name],
        second["average"][name],
    )
    assert (current - before).abs().max() > 0.01
    torch.testing.assert_close(after, torch.lerp(before, current, 1 - config.ema))


def test_frozen_blocks_do_not_learn(tmp_path: Path, pictures: ImageSet) -> None:
    pair = {"generator": "stylegan2", "discriminator": "stylegan2"}
    before = train(tmp_path / "first", pictures, tiny(**pair)).run.load_checkpoint()
    config = tiny(init=tmp_path / "first", freeze_d=1, **pair)
    after = train(tmp_path / "second", pictures, config).run.load_checkpoint()
    same = {
        name
        for name, value in before["discriminator"].items()
        if torch.equal(value, after["discriminator"][name])
    }
    assert same == {n for n in before["discriminator"] if n.startswith(("from_rgb", "blocks.0"))}
    with pytest.raises(InputError, match="at most 2"):
        train(tmp_path / "third", pictures, tiny(init=tmp_path / "first", freeze_d=3, **pair))


def test_starting_points_that_do_not_fit_are_refused(tmp_path: Path, pictures: ImageSet) -> None:
    train(tmp_path / "first", pictures, tiny(label="zoster"))
    with pytest.raises(InputError, match="has resolution 16, this run has 32"):
        train(tmp_path / "a", pictures, tiny(init=tmp_path / "first", resolution=32))
    with pytest.raises(InputError, match="class-conditional"):
        train(tmp_path / "b", pictures, tiny(init=tmp_path / "first"))
    with pytest.raises(InputError, match="not a run"):
        train(tmp_path / "c", pictures, tiny(init=tmp_path / "none"))
    with pytest.raises(InputError, match="`freeze_d` needs `init`"):
        tiny(freeze_d=1, generator="stylegan2", discriminator="stylegan2")


def test_ada_watches_the_reals_and_reports_its_strength(tmp_path: Path, pictures: ImageSet) -> None:
    config = tiny(
        generator="stylegan2", discriminator="stylegan2", augment="ada", ada_kimg=0.02, kimg=0.1
    )
    run = train(tmp_path / "run", pictures, config).run
    strengths = [line["augment_p"] for line in run.metrics() if "augment_p" in line]
    assert strengths
    assert all(0 <= p <= 0.8 * (1 + 1e-7) for p in strengths)  # reported in float32
    assert run.load_checkpoint()["augment"]["sureness"] != 0


def test_classes_are_learned_apart(tmp_path: Path, pictures: ImageSet) -> None:
    result = train(tmp_path / "run", pictures, tiny(watch=False))
    assert result.labels == ("eczema", "zoster")
    sampler = load_generator(result.run)
    assert not torch.equal(sampler.sample([0], [0]), sampler.sample([0], [1]))
    with pytest.raises(ValueError, match="told which class"):
        sampler.sample([0])
    both = generate(result.run, 4, tmp_path / "both")
    assert [r.label for r in both] == ["eczema", "zoster"] * 2
    one = generate(result.run, 2, tmp_path / "one", label="zoster")
    assert [r.label for r in one] == ["zoster"] * 2
    with pytest.raises(InputError, match="eczema, zoster, not 'psoriasis'"):
        generate(result.run, 1, tmp_path / "none", label="psoriasis")
    together = train(tmp_path / "together", pictures, tiny(conditional=False))
    assert together.labels == ("all",)


@pytest.mark.usefixtures("package")
def test_stylegan2_pytorchs_networks_train_under_our_loop(
    tmp_path: Path, pictures: ImageSet
) -> None:
    config = tiny(backend="stylegan2-pytorch", kimg=0.02)
    result = train(tmp_path / "run", pictures, config)
    assert result.steps == 5
    assert load_generator(result.run, truncation=0.5).sample([0, 1]).shape == (2, 3, 16, 16)
