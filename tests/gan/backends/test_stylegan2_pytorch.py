import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.gan import losses
from hzsynth.gan.adversarial_step import frozen
from hzsynth.gan.backends.stylegan2_pytorch.checkpoint import read_checkpoint
from hzsynth.gan.backends.stylegan2_pytorch.importing import import_generator, imported_config
from hzsynth.gan.backends.stylegan2_pytorch.networks import (
    PackageDiscriminator,
    PackageGenerator,
    PackageSettings,
)
from hzsynth.gan.backends.stylegan2_pytorch.package import import_package
from hzsynth.gan.backends.stylegan2_pytorch.penalties import gradient_penalty, path_length_penalty
from hzsynth.gan.generator_files import MODEL, MODEL_KIND
from hzsynth.gan.latent import draw_latent
from hzsynth.gan.networks import build_stored_generator
from hzsynth.gan.sampling import generate
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.nets.ema import ExponentialMovingAverage

TINY = PackageSettings(
    16, latent_width=12, mapping_layers=3, capacity=3, widest=16, attention_layers=(1,)
)


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def nothing_imported() -> Iterator[None]:
    import_package.cache_clear()
    yield
    import_package.cache_clear()


@pytest.mark.usefixtures("nothing_imported")
@pytest.mark.parametrize("absent", ["stylegan2_pytorch", "kornia"])
def test_an_absent_package_is_named_with_the_command_that_installs_it(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [m for m in sys.modules if m.split(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    before = torch.cuda.is_available
    with pytest.raises(InputError, match=r"--no-deps stylegan2-pytorch==1\.9\.0"):
        PackageGenerator(TINY)
    assert torch.cuda.is_available is before
    assert "aim" not in sys.modules


def test_the_import_leaves_no_trace(package: ModuleType) -> None:
    assert package.__name__ == "stylegan2_pytorch.stylegan2_pytorch"
    assert torch.cuda.is_available.__module__ == "torch.cuda"
    assert not any(isinstance(sys.modules.get(n), ModuleType) for n in ("aim", "fire"))


def test_images_are_the_packages_own_in_another_range(package: ModuleType) -> None:
    network = PackageGenerator(TINY)
    for block in network.synthesis.blocks:
        torch.nn.init.normal_(block.to_noise1.weight)
    latent = draw_latent(3, 12, network.noise_sizes, torch.Generator().manual_seed(1))
    w = package.latent_to_w(network.mapping, [(latent.z, 2), (seeded(3, 12), 1)])
    styles = package.styles_def_to_tensor(w)
    normal = latent.noise[0][:, 0, :, :, None]
    uniform = (1 + torch.erf(normal / 2**0.5)) / 2
    assert 0.4 < uniform.mean() < 0.6
    expected = network.synthesis(styles, uniform)
    torch.testing.assert_close(network.synthesise(styles, latent.noise), expected * 2 - 1)
    clamped = network.eval().synthesise(styles, latent.noise)
    torch.testing.assert_close((clamped + 1) / 2, expected.clamp(0, 1))
    same = package.styles_def_to_tensor(package.latent_to_w(network.mapping, [(latent.z, 3)]))
    torch.testing.assert_close(network.codes(latent.z), same)


def test_hinge_losses_are_the_packages_own(package: ModuleType) -> None:
    network = PackageDiscriminator(TINY)
    real, fake = seeded(4, 3, 16, 16), seeded(4, 3, 16, 16, seed=1) * 0.3
    theirs = [network.network((images + 1) / 2)[0] for images in (real, fake)]
    ours = [network(network.observe(images)) for images in (real, fake)]
    assert ours[0].shape == (4, 1)
    torch.testing.assert_close(
        losses.hinge_discriminator_loss(*ours), package.hinge_loss(theirs[1], theirs[0])
    )
    torch.testing.assert_close(
        losses.hinge_generator_loss(ours[1]), package.gen_hinge_loss(theirs[1], theirs[0])
    )
    assert network(network.observe(real[:1])).shape == (1, 1)


@pytest.mark.usefixtures("package")
def test_the_discriminator_never_computes_in_channels_last() -> None:
    # There torch 2.13 corrupts its memory; a crash cannot be tested for, a layout can.
    network = PackageDiscriminator(TINY).to(memory_format=torch.channels_last)
    inner = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    seen: list[bool] = []
    for module in inner:
        module.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
        shape = module.weight.shape
        assert module.weight.stride() == torch.empty(shape).stride()
    network((seeded(4, 3, 16, 16).contiguous(memory_format=torch.channels_last),))
    assert len(seen) == len(inner)
    assert all(seen)
    assert network.to(torch.float64).network.to_logit.weight.dtype == torch.float64


def test_gradient_penalty_is_the_packages_own(package: ModuleType) -> None:
    network = PackageDiscriminator(TINY)
    real, fake = seeded(4, 3, 16, 16), seeded(4, 3, 16, 16, seed=1) * 0.3
    expected = torch.zeros(())
    for images in (real, fake):
        leaf = ((images + 1) / 2).requires_grad_()
        expected = expected + package.gradient_penalty(leaf, network.network(leaf)[0])
    ours = gradient_penalty(network, real, fake)
    torch.testing.assert_close(ours, expected)
    gradients = torch.autograd.grad(ours, list(network.parameters()), allow_unused=True)
    assert any(g is not None and g.abs().max() > 0 for g in gradients)


def test_path_lengths_are_the_packages_own(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = PackageGenerator(TINY)
    latent = draw_latent(3, 12, network.noise_sizes, torch.Generator().manual_seed(1))
    w = network.codes(latent.z)
    images, direction = network.synthesise(w, latent.noise), seeded(3, 3, 16, 16, seed=5)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: direction)
    theirs = package.calc_pl_lengths(w, (images + 1) / 2).detach()
    penalty, mean = path_length_penalty(images, w, direction, torch.zeros(()))
    assert penalty.item() == 0.0
    torch.testing.assert_close(mean, theirs.mean())
    penalty, moved = path_length_penalty(images, w, direction, torch.tensor(2.0))
    torch.testing.assert_close(penalty.detach(), (theirs - 2.0).square().mean())
    expected = package.EMA(0.99).update_average(2.0, theirs.mean().item())
    assert moved.item() == pytest.approx(expected)


@pytest.mark.usefixtures("package")
def test_a_few_steps_of_training_move_every_weight_and_sampling_is_by_seed() -> None:
    torch.manual_seed(0)
    generator, discriminator = PackageGenerator(TINY), PackageDiscriminator(TINY)
    average = ExponentialMovingAverage(generator)
    optimisers = [torch.optim.Adam(n.parameters(), 1e-3) for n in (generator, discriminator)]
    before = [p.detach().clone() for p in generator.parameters()]
    real = seeded(4, 3, 16, 16)
    for step in range(2):
        latent = draw_latent(4, 12, generator.noise_sizes, torch.Generator().manual_seed(step))
        fake = generator(latent)
        logits = [discriminator((images,)) for images in (real, fake.detach())]
        loss = losses.hinge_discriminator_loss(*logits)
        loss = loss + gradient_penalty(discriminator, real, fake)
        optimisers[1].zero_grad()
        loss.backward()
        optimisers[1].step()
        with frozen(list(discriminator.parameters())):
            loss = losses.hinge_generator_loss(discriminator((fake,)))
            optimisers[0].zero_grad()
            loss.backward()
            optimisers[0].step()
        average.update(generator, 0.5)
    names = [name for name, _ in generator.named_parameters()]
    moved = {
        name: not torch.equal(old, new)
        for name, old, new in zip(names, before, generator.parameters(), strict=True)
    }
    assert all(moved.values()), [name for name, did in moved.items() if not did]
    sampler = TrainedGenerator(average.module)  # type: ignore[arg-type]
    together, alone = sampler.sample([3, 4, 5]), sampler.sample([4])
    assert together.shape == (3, 3, 16, 16)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])


def save_like_the_package(package: ModuleType, path: Path, **settings: object) -> torch.nn.Module:
    """The package's own class with its move to a GPU left out, saved as its trainer does."""

    class OnCpu(package.StyleGAN2):  # type: ignore[name-defined, misc]
        def cuda(self, rank: int) -> "OnCpu":
            return self

    shape = {"latent_dim": 12, "style_depth": 3, "network_capacity": 4, **settings}
    gan = OnCpu(16, **shape)
    for parameter in gan.GE.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"GAN": gan.state_dict(), "version": "1.9.0"}, path)
    return gan


@pytest.mark.parametrize(
    "settings", [{}, {"attn_layers": [1, 2]}, {"no_const": True}, {"lr_mlp": 0.03}]
)
def test_a_checkpoint_gives_the_packages_averaged_images(
    package: ModuleType, tmp_path: Path, settings: dict[str, object]
) -> None:
    path = tmp_path / "models" / "default" / "model_7.pt"
    gan = save_like_the_package(package, path, **settings)
    if "lr_mlp" in settings:
        (path.parent / ".config.json").write_text(json.dumps({"image_size": 16, **settings}))
    network = read_checkpoint(path)
    assert network.settings.capacity == 4
    latent = draw_latent(2, 12, network.noise_sizes, torch.Generator().manual_seed(3))
    noise = torch.special.ndtr(latent.noise[0]).permute(0, 2, 3, 1)
    w = package.styles_def_to_tensor(package.latent_to_w(gan.SE, [(latent.z, 3)]))
    expected = gan.GE(w, noise).clamp(0, 1) * 2 - 1
    torch.testing.assert_close(network(latent), expected, atol=1e-6, rtol=0)
    assert TrainedGenerator(network).sample([0, 1]).shape == (2, 3, 16, 16)  # type: ignore[arg-type]


def test_an_imported_generator_is_a_finished_run(
    package: ModuleType, tmp_path: Path, pictures: ImageSet
) -> None:
    path = tmp_path / "model_3.pt"
    # Widths and depths that our own configuration expresses, so that any part of the room reads them.
    save_like_the_package(package, path, latent_dim=512, style_depth=8)
    network = read_checkpoint(path)
    config = imported_config(network, "zoster")
    with RunDir.start(tmp_path / "run", "gan", config, {"images": pictures.digest}) as run:
        import_generator(network, pictures, config, run)
    stored = load_checkpoint(run.path / MODEL, MODEL_KIND)
    rebuilt = build_stored_generator(stored)
    assert rebuilt.settings == network.settings
    generated = generate(run, 3, tmp_path / "generated", seed=1)
    assert generated.labels == ("zoster",)
    seeds = [int(record.seed) for record in generated]
    expected = TrainedGenerator(network).sample(seeds)
    assert torch.equal(load_pixels(generated, 16), expected)
    assert len(run.training_images()) == run.result["training_images"] == 3


def test_what_our_configuration_cannot_say_is_stored_beside_it(
    package: ModuleType, tmp_path: Path, pictures: ImageSet
) -> None:
    path = tmp_path / "model_3.pt"
    save_like_the_package(package, path, attn_layers=[1], no_const=True)
    network = read_checkpoint(path)
    config = imported_config(network, "all")
    with RunDir.start(tmp_path / "run", "gan", config, {"images": pictures.digest}) as run:
        import_generator(network, pictures, config, run)
    stored = load_checkpoint(run.path / MODEL, MODEL_KIND)
    rebuilt = build_stored_generator(stored)
    rebuilt.load_state_dict(stored["weights"])
    assert torch.equal(
        TrainedGenerator(rebuilt).sample([1, 2]), TrainedGenerator(network).sample([1, 2])
    )
    with pytest.raises(InputError, match="no real training image|`label` is all or one of"):
        import_generator(network, pictures, imported_config(network, "psoriasis"), run)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code of a stranger",)


def test_a_checkpoint_that_holds_more_than_weights_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"GAN": RunsCode()}, tmp_path / "model_1.pt")
    with pytest.raises(InputError, match="more than weights"):
        read_checkpoint(tmp_path / "model_1.pt")
    assert capsys.readouterr().out == ""


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model_1.pt"
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(path)
    path.write_text("no checkpoint")
    with pytest.raises(InputError, match="damaged"):
        read_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="is no checkpoint of stylegan2-pytorch"):
        read_checkpoint(path)
    torch.save({"GAN": {"SE.net.0.weight": torch.zeros(3, 3)}}, path)
    with pytest.raises(InputError, match="does not hold the networks"):
        read_checkpoint(path)


def test_cut_off_and_transparent_checkpoints_are_refused(
    package: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "model_1.pt"
    save_like_the_package(package, path, transparent=True)
    with pytest.raises(InputError, match="transparent"):
        read_checkpoint(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        read_checkpoint(path)
    save_like_the_package(package, path)
    (tmp_path / ".config.json").write_text("{")
    with pytest.raises(InputError, match="settings as JSON"):
        read_checkpoint(path)
