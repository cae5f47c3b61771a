"""Extractors and the cache: folded networks, DINOv2 by path, features that are computed once."""

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.weights import file_sha256
from hzsynth.nets.backbones import create_backbone, fold_batch_norms, lite_embedding
from hzsynth.score import extractors
from hzsynth.score.extractors import BATCH, create_extractor
from hzsynth.score.features import extract_features, open_cache


class MeanColour:
    """A tiny extractor that counts the images it sees."""

    name = "mean-colour"
    dim = 3
    preprocessing = "none"
    weights = "0123"
    seen = 0

    def __call__(self, pixels: Any) -> Any:
        self.seen += len(pixels)
        return pixels.float().mean(dim=(2, 3))


def write_images(folder: Any, count: Any, seed: Any = 0) -> Any:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    records = [ImageRecord(f"{n}.png", "zoster", width=16, height=16) for n in range(count)]
    return ImageSet(folder, records)


def compute(images: Any, extractor: Any, folder: Any = None) -> Any:
    cache = None if folder is None else open_cache(folder, extractor, 16)
    return extract_features(images, extractor, size=16, cache=cache), cache


def test_features_are_in_the_order_of_the_records(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", BATCH + 5)
    features, _ = compute(images, MeanColour())
    for record, row in zip(images, features, strict=True):
        with Image.open(images.path(record)) as picture:
            expected = np.asarray(picture).mean(axis=(0, 1))
        assert row.numpy() == pytest.approx(expected, rel=1e-5)


def test_the_cache_knows_images_and_not_sets(tmp_path: Path) -> None:
    images, extractor = write_images(tmp_path / "set", 12), MeanColour()
    first, _ = compute(images.replace_records(images.records[:9]), extractor, tmp_path / "cache")
    assert extractor.seen == 9
    grown, _ = compute(images, extractor, tmp_path / "cache")
    assert extractor.seen == 12
    assert torch.equal(grown[:9], first)
    turned, _ = compute(images.replace_records(images.records[::-1]), extractor, tmp_path / "cache")
    assert extractor.seen == 12
    assert torch.equal(turned.flip(0), grown)


def test_a_changed_image_other_weights_and_another_size_are_computed_anew(tmp_path: Path) -> None:
    images, extractor = write_images(tmp_path / "set", 6), MeanColour()
    compute(images, extractor, tmp_path / "cache")
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "set" / "2.png")
    again, _ = compute(images, extractor, tmp_path / "cache")
    assert extractor.seen == 7
    assert again[2].tolist() == [9, 9, 9]
    extractor.weights = "4567"
    compute(images, extractor, tmp_path / "cache")
    assert extractor.seen == 13
    extract_features(images, extractor, size=8, cache=open_cache(tmp_path / "cache", extractor, 8))
    assert extractor.seen == 19


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_file_is_computed_anew(tmp_path: Path, damage: bytes | None) -> None:
    images, extractor = write_images(tmp_path / "set", 4), MeanColour()
    expected, _ = compute(images, extractor, tmp_path / "cache")
    (file,) = (tmp_path / "cache").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-7] if damage is None else damage)
    again, cache = compute(images, extractor, tmp_path / "cache")
    assert extractor.seen == 8
    assert torch.equal(again, expected)
    assert cache.problem == ""
    compute(images, extractor, tmp_path / "cache")
    assert extractor.seen == 8


def test_a_cache_that_cannot_be_written_says_so_and_goes_on(tmp_path: Path) -> None:
    images, extractor = write_images(tmp_path / "set", 4), MeanColour()
    (tmp_path / "cache").write_text("a file where the folder should be")
    features, cache = compute(images, extractor, tmp_path / "cache")
    assert torch.equal(features, compute(images, extractor)[0])
    assert "are not kept" in cache.problem


def test_a_missing_file_is_an_error_even_when_its_features_are_known(tmp_path: Path) -> None:
    images, extractor = write_images(tmp_path / "set", 3), MeanColour()
    compute(images, extractor, tmp_path / "cache")
    (tmp_path / "set" / "1.png").unlink()
    with pytest.raises(InputError, match=r"1\.png"):
        compute(images, extractor, tmp_path / "cache")


def test_the_folded_network_equals_the_plain_one() -> None:
    plain = create_backbone("efficientnet-lite0", num_classes=1000, pretrained="imagenet").eval()
    plain.reset_classifier(0)
    pixels = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        expected = plain(pixels.float() / 127.5 - 1)
    folded = lite_embedding("efficientnet-lite0")
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    difference = (folded(pixels) - expected).abs().max() / expected.abs().max()
    assert difference < 1e-5


def test_folding_keeps_a_batch_norm_without_convolution() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.ReLU()).eval()
    folded = fold_batch_norms(copy.deepcopy(network))
    assert isinstance(folded[0], torch.nn.BatchNorm2d)


@pytest.fixture
def inception_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Random weights in the place of the published ones."""
    # Here, since torchvision is importable only after hzsynth.core.
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    file = tmp_path / "inception.pth"
    torch.save({}, file)
    torch.manual_seed(0)
    with monkeypatch.context() as patched:
        patched.setattr(Network, "load_state_dict", lambda *_: None)
        network = Network("any", ["2048"], feature_extractor_weights_path=str(file))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), file)
    monkeypatch.setattr(extractors, "find_weights", lambda *_: file)
    return file


def test_inception_equals_torch_fidelity(inception_file: Any) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    layers = ["2048", "logits_unbiased"]
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", layers, feature_extractor_weights_path=str(inception_file)
    )
    ours = create_extractor("inception", compute=CPU_FP32)
    pixels = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    features = ours(pixels)
    with torch.no_grad():
        expected, logits = theirs(pixels)
    assert (features - expected).abs().max() <= 1e-5 * expected.abs().max()
    scores = cast("Any", ours).network.class_scores(features)
    assert (scores - logits).abs().max() <= 1e-5 * logits.abs().max()
    assert ours.weights == file_sha256(inception_file)[:12]


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_dinov2_by_path(tmp_path: Path, ending: str) -> None:
    import timm

    torch.manual_seed(1)
    # 2 x 2 patches larger than the 16 x 16 of 224 px: the position embedding is resized.
    network = timm.create_model(
        "vit_small_patch14_dinov2", pretrained=False, num_classes=0, img_size=252
    )
    file = tmp_path / f"dino.{ending}"
    if ending == "safetensors":
        save_file(network.state_dict(), file)
    else:
        torch.save(network.state_dict(), file)
    extractor = create_extractor("dinov2", weights=file, compute=CPU_FP32)
    assert (extractor.name, extractor.dim) == ("dinov2-small", 384)
    assert extractor.weights == file_sha256(file)[:12]
    pixels = torch.randint(0, 256, (2, 3, 30, 30), dtype=torch.uint8)
    features = extractor(pixels)
    assert features.shape == (2, 384)
    assert torch.allclose(extractor(pixels[1:]), features[1:], atol=1e-4)


def test_dinov2_needs_its_own_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`dinov2_weights`"):
        create_extractor("dinov2", compute=CPU_FP32)
    save_file({"patch_embed.proj.weight": torch.zeros(100, 3, 16, 16)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="no DINOv2 small or base"):
        create_extractor("dinov2", weights=tmp_path / "w.safetensors", compute=CPU_FP32)
    save_file({"patch_embed.proj.weight": torch.zeros(384, 3, 14, 14)}, tmp_path / "v.safetensors")
    with pytest.raises(InputError, match="does not fit DINOv2 small"):
        create_extractor("dinov2", weights=tmp_path / "v.safetensors", compute=CPU_FP32)
