"""The stage `score` on sets on disk: conditions, cache, refusals, predictable scenes."""

import json

import numpy as np
import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.score import scoring
from hzsynth.score.extractors import create_extractor, extract_features
from hzsynth.score.scoring import ScoreConfig, kid_scorer, score_images
from hzsynth.score.tone import skin_angle, tone_distance


class MeanColour:
    """A tiny extractor: mean and spread of each channel."""

    name = "mean-colour"
    dim = 6
    preprocessing = "none"
    calls = 0

    def __call__(self, pixels):
        self.calls += 1
        values = pixels.float() / 255
        return torch.cat([values.mean(dim=(2, 3)), values.std(dim=(2, 3))], dim=1)


@pytest.fixture
def extractor(monkeypatch):
    tiny = MeanColour()
    monkeypatch.setattr(scoring, "create_extractor", lambda *a, **k: tiny)
    return tiny


def skin(rng, lightness):
    colour = np.array([0.85, 0.65, 0.52]) * lightness * 255 * rng.uniform(0.93, 1.07)
    return np.clip(colour + rng.normal(0, 4, (24, 24, 3)), 0, 255).astype(np.uint8)


def make_set(path, *, count=24, seed=0, lightness=1.0, origin="real", splits=("",)):
    rng = np.random.default_rng(seed)
    with ImageSetWriter(path) as writer:
        for i in range(count):
            writer.add(
                skin(rng, lightness),
                label="zoster",
                origin=origin,
                split=splits[i % len(splits)],
                run="r" if origin != "real" else "",
            )
    return writer.images


def test_equal_and_different_sets(tmp_path, extractor):
    real = make_set(tmp_path / "real", splits=("train", "val"))
    same = make_set(tmp_path / "same", seed=1, origin="stylegan2")
    dark = make_set(tmp_path / "dark", seed=2, lightness=0.6, origin="stylegan2")
    config = ScoreConfig(metrics=("kid", "frechet", "prdc", "vendi", "tone", "memorisation"))
    close = score_images(real, same, config, compute=CPU_FP32)
    far = score_images(real, dark, config, compute=CPU_FP32)

    assert close["kid"].beyond_floor is False
    assert far["kid"].beyond_floor is True
    assert far["kid"].value > 10 * abs(close["kid"].value)
    assert far["frechet"].value > 10 * close["frechet"].value
    assert far["precision"].value == 0.0 < close["precision"].value
    assert far["tone"].value > 5 > close["tone"].value
    assert far["kid"].metric == "kid-mean-colour"
    assert not any(s.metric.startswith("fid") for s in far.scores)


def test_conditions_travel_with_the_value(tmp_path, extractor):
    real = make_set(tmp_path / "real", count=21)
    fake = make_set(tmp_path / "fake", count=30, seed=1, origin="stylegan2")
    report = score_images(real, fake, ScoreConfig(seed=5), compute=CPU_FP32)
    score = report["kid"]
    assert (score.n_real, score.n_fake, score.subset_size, score.n_floor) == (21, 30, 10, 10)
    assert (score.real_digest, score.fake_digest) == (real.digest, fake.digest)
    assert (score.seed, score.subsets) == (5, 100)
    assert "24 px" in score.preprocessing
    written = json.loads(json.dumps(report.to_json()))
    assert written["scores"][0]["value"] == score.value
    assert "21 real and 30 generated images" in written["scores"][0]["sentence"]


def test_copies_are_reported_with_their_pairs(tmp_path, extractor):
    real = make_set(tmp_path / "real", splits=("train", "test"))
    with ImageSetWriter(tmp_path / "copies") as writer:
        for record in real.select(split="train"):
            writer.copy(real, record, origin="stylegan2", split="")
    config = ScoreConfig(metrics=("memorisation",))
    found = score_images(real, writer.images, config, compute=CPU_FP32).memorisation
    assert found is not None
    assert found.share == 1.0
    assert all(pair.fake == pair.train for pair in found.closest)


def test_second_call_takes_features_from_the_cache(tmp_path, extractor):
    real = make_set(tmp_path / "real")
    fake = make_set(tmp_path / "fake", seed=1, origin="stylegan2")
    config = ScoreConfig(metrics=("kid",))
    first = score_images(real, fake, config, compute=CPU_FP32, cache=tmp_path / "cache")
    calls = extractor.calls
    again = score_images(real, fake, config, compute=CPU_FP32, cache=tmp_path / "cache")
    assert extractor.calls == calls
    assert again == first
    # Another order is another cache entry: rows belong to images.
    turned = fake.replace_records(reversed(fake.records))
    cached = extract_features(turned, extractor, size=24, cache=tmp_path / "cache")
    plain = extract_features(turned, extractor, size=24)
    assert torch.equal(cached, plain)


def test_synthetic_images_are_no_reference(tmp_path, extractor):
    fake = make_set(tmp_path / "fake", origin="stylegan2")
    with pytest.raises(InputError, match="photographs only"):
        score_images(fake, fake, ScoreConfig(), compute=CPU_FP32)


def test_fid_is_only_called_so_on_inception(tmp_path, extractor):
    real = make_set(tmp_path / "real")
    with pytest.raises(InputError, match="ask for 'frechet'"):
        score_images(real, real, ScoreConfig(metrics=("fid",)), compute=CPU_FP32)


def test_other_weights_than_the_published_inception_are_refused(tmp_path):
    wrong = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, wrong)
    with pytest.raises(InputError, match="6726825d"):
        create_extractor("inception", weights=wrong, compute=CPU_FP32)


def test_lite_features_do_not_depend_on_the_batch():
    extractor = create_extractor(compute=CPU_FP32)
    pixels = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 3, 40, 40), dtype=np.uint8)
    )
    together = extractor(pixels)
    assert together.shape == (3, extractor.dim)
    alone = torch.cat([extractor(p[None]) for p in pixels])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_training_scorer_prefers_the_right_images():
    rng = np.random.default_rng(1)
    sets = [
        torch.from_numpy(np.stack([skin(rng, light) for _ in range(20)])).permute(0, 3, 1, 2)
        for light in (1.0, 1.0, 0.6)
    ]
    score = kid_scorer(sets[0], MeanColour())
    good, bad = score(sets[1]), score(sets[2])
    assert bad["kid"] > 10 * abs(good["kid"])
    assert score(sets[1]) == good


def test_tone_leaves_the_lesion_out():
    rng = np.random.default_rng(2)
    pixels = skin(rng, 0.95)
    healthy = skin_angle(pixels)
    lesion = np.zeros((24, 24), dtype=bool)
    lesion[:, 4:] = True
    pixels[lesion] = (150, 60, 50)
    assert skin_angle(pixels, lesion) == pytest.approx(healthy, abs=3)
    assert abs(skin_angle(pixels) - healthy) > 10


def test_tone_distance_is_the_shift():
    angles = np.random.default_rng(3).normal(40, 5, 50)
    assert tone_distance(angles, angles + 7.5) == pytest.approx(7.5)
