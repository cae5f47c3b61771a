"""The stage `score` on sets on disk: conditions, cache, refusals, predictable scenes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hzsynth.cli.main import app
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.skin_tone import TONE_BINS, UNCLEAR
from hzsynth.score import scoring
from hzsynth.score.config import ScoreConfig
from hzsynth.score.extractors import create_extractor
from hzsynth.score.scoring import score_images


class MeanColour:
    """A tiny extractor: mean and spread of each channel."""

    name = "mean-colour"
    dim = 6
    preprocessing = "none"
    weights = ""
    calls = 0
    images = 0

    def __call__(self, pixels: Any) -> Any:
        self.calls += 1
        self.images += len(pixels)
        values = pixels.float() / 255
        return torch.cat([values.mean(dim=(2, 3)), values.std(dim=(2, 3))], dim=1)


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> Any:
    tiny = MeanColour()
    monkeypatch.setattr(scoring, "create_extractor", lambda *a, **k: tiny)
    return tiny


def skin(rng: Any, lightness: Any) -> Any:
    colour = np.array([0.85, 0.65, 0.52]) * lightness * 255 * rng.uniform(0.93, 1.07)
    return np.clip(colour + rng.normal(0, 4, (24, 24, 3)), 0, 255).astype(np.uint8)


def make_set(
    path: Any,
    *,
    count: Any = 24,
    seed: Any = 0,
    lightness: Any = 1.0,
    origin: Any = "real",
    splits: Any = ("",),
) -> Any:
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


def test_equal_and_different_sets(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", splits=("train", "val"))
    same = make_set(tmp_path / "same", seed=1, origin="stylegan2")
    # Not darker: below, the tone is called unclear.
    dark = make_set(tmp_path / "dark", seed=2, lightness=0.8, origin="stylegan2")
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


def test_conditions_travel_with_the_value(tmp_path: Path, extractor: Any) -> None:
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
    assert report.sentences()[0].startswith("On 21 real and 30 generated images")


def test_copies_are_reported_with_their_pairs(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", splits=("train", "test"))
    with ImageSetWriter(tmp_path / "copies") as writer:
        for record in real.select(split="train"):
            writer.copy(real, record, origin="stylegan2", split="")
    config = ScoreConfig(metrics=("memorisation",))
    found = score_images(real, writer.images, config, compute=CPU_FP32).memorisation
    assert found is not None
    assert found.share == 1.0
    assert all(pair.fake == pair.train for pair in found.closest)


def test_test_photographs_alone_get_every_figure_but_copies(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", splits=("test",))
    fake = make_set(tmp_path / "fake", seed=1, origin="stylegan2")
    report = score_images(real, fake, ScoreConfig(), compute=CPU_FP32)
    assert report.compared_with == "held-out"
    assert {score.kind for score in report.scores} >= {"kid", "precision", "tone-distance"}
    assert [missing.metric for missing in report.unavailable] == ["memorisation"]


def test_a_generator_that_saw_held_out_photographs_is_named(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", splits=("train", "test"))
    for name, split, remarks in (("honest", "train", 0), ("leaking", "test", 1)):
        with ImageSetWriter(tmp_path / name) as writer:
            rng = np.random.default_rng(9)
            for _ in range(12):
                writer.add(skin(rng, 1.0), label="zoster", origin="light", run="r")
            seen = [TrainingImage(r.sha256, r.phash, r.group) for r in real.select(split=split)]
            writer.add_lineage("r", seen)
        report = score_images(real, writer.images, ScoreConfig(), compute=CPU_FP32)
        assert sum("may have seen" in remark for remark in report.remarks) == remarks


def test_a_copier_is_seen_beside_the_held_out_figure(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", count=60, splits=("train", "test"))
    with ImageSetWriter(tmp_path / "copies") as writer:
        for record in real.select(split="train"):
            writer.copy(real, record, origin="stylegan2", split="")
    report = score_images(real, writer.images, ScoreConfig(), compute=CPU_FP32)
    assert report.nearer_to_training
    # Density is 1 for copies of everything, by its definition.
    for better, name in (("lower", "kid"), ("higher", "precision"), ("lower", "tone")):
        held_out, learned = report[name].value, report[name].against_training
        assert learned is not None
        assert learned < held_out if better == "lower" else learned > held_out
    assert "against the 30 training photographs it is" in report["kid"].sentence()
    assert report.to_json()["nearer_to_training"] is True


def test_second_call_takes_features_from_the_cache(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real")
    fake = make_set(tmp_path / "fake", seed=1, origin="stylegan2")
    config = ScoreConfig(metrics=("kid",))
    first = score_images(real, fake, config, compute=CPU_FP32, cache=tmp_path / "cache")
    calls = extractor.calls
    again = score_images(real, fake, config, compute=CPU_FP32, cache=tmp_path / "cache")
    assert extractor.calls == calls
    assert again == first


def coloured(
    path: Any, labels: Any, *, seed: Any, origin: Any = "real", deviation: Any = 40
) -> Any:
    """Plain colours about one of each class's own; the last row of every class is a dull one."""
    rng = np.random.default_rng(seed)
    with ImageSetWriter(path) as writer:
        for number, label in enumerate(labels):
            middle = 90 + 20 * (len(label) % 4)
            colour = np.clip(rng.normal(middle, deviation, 3), 0, 255)
            writer.add(
                np.clip(rng.normal(colour, 3, (16, 16, 3)), 0, 255).astype(np.uint8),
                label=label,
                origin=origin,
                run="" if origin == "real" else "r",
                extra={"camera": "a" if number % 2 else "b"},
            )
    return writer.images


CLASSES = ["zoster"] * 20 + ["eczema and more"] * 16 + ["rare"] * 3


def test_figures_of_a_class_are_those_of_the_selected_sets(tmp_path: Path, extractor: Any) -> None:
    real = coloured(tmp_path / "real", CLASSES, seed=0)
    fake = coloured(tmp_path / "fake", CLASSES, seed=1, origin="stylegan2")
    metrics = ("kid", "frechet", "prdc", "vendi", "tone", "memorisation")
    report = score_images(real, fake, ScoreConfig(metrics=metrics, by="label"), compute=CPU_FP32)
    assert extractor.images == 2 * len(CLASSES)
    groups = {group.value: group for group in report.groups}
    assert list(groups) == ["eczema and more", "rare", "zoster"]
    assert groups["rare"].report is None
    assert "3 real and 3 generated images; 12 of each" in groups["rare"].reason
    for label in ("zoster", "eczema and more"):
        alone = score_images(
            real.select(label=label),
            fake.select(label=label),
            ScoreConfig(metrics=metrics),
            compute=CPU_FP32,
        )
        for ours, expected in zip(groups[label].report.scores, alone.scores, strict=True):
            assert (ours.metric, ours.n_real, ours.n_fake) == (
                expected.metric,
                expected.n_real,
                expected.n_fake,
            )
            assert ours.value == pytest.approx(expected.value, rel=1e-4)
            assert ours.real_digest == expected.real_digest
        assert groups[label].report.memorisation.share == alone.memorisation.share
    written = json.loads(json.dumps(report.to_json()))
    assert [group["value"] for group in written["groups"]] == list(groups)
    assert any(s.startswith("rare: no figures") for s in report.sentences())


@pytest.mark.parametrize(
    ("by", "values"), [("camera", {"a", "b"}), ("source", {"(empty)"}), ("split", {"(empty)"})]
)
def test_any_column_divides_the_sets(tmp_path: Path, extractor: Any, by: str, values: Any) -> None:
    real = coloured(tmp_path / "real", CLASSES, seed=0)
    fake = coloured(tmp_path / "fake", CLASSES, seed=1, origin="stylegan2")
    config = ScoreConfig(metrics=("kid",), by=by)
    report = score_images(real, fake, config, compute=CPU_FP32)
    assert {group.value for group in report.groups} == values
    assert all(group.report is not None for group in report.groups)


def test_tones_divide_the_sets_from_dark_to_light(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real", count=30)
    fake = make_set(tmp_path / "fake", count=30, seed=1, lightness=0.6, origin="stylegan2")
    report = score_images(real, fake, ScoreConfig(metrics=("kid",), by="tone"), compute=CPU_FP32)
    places = [(*TONE_BINS, UNCLEAR).index(group.value) for group in report.groups]
    assert places == sorted(places)
    assert sum(group.n_real for group in report.groups) == 30
    assert sum(group.n_fake for group in report.groups) == 30


def test_an_unknown_column_is_refused(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real")
    with pytest.raises(InputError, match=r"`by` is one of tone, label.*not 'colour'"):
        score_images(real, real, ScoreConfig(by="colour"), compute=CPU_FP32)


def test_a_collapsed_generator_is_precise_and_not_varied(tmp_path: Path, extractor: Any) -> None:
    real = coloured(tmp_path / "real", ["zoster"] * 40, seed=0)
    collapsed = coloured(
        tmp_path / "fake", ["zoster"] * 40, seed=1, origin="stylegan2", deviation=0.5
    )
    config = ScoreConfig(metrics=("prdc", "vendi"))
    report = score_images(real, collapsed, config, compute=CPU_FP32)
    assert report["precision"].value > 0.9
    assert report["recall"].value < 0.1
    assert report["coverage"].value < 0.4
    assert report["vendi"].beyond_floor is True
    assert "the generator misses the rest" in report["recall"].sentence()
    assert "less varied than as many photographs" in report["vendi"].sentence()


def test_infinity_is_given_with_its_line_or_the_reason_why_not(
    tmp_path: Path, extractor: Any
) -> None:
    real = coloured(tmp_path / "real", ["zoster"] * 120, seed=0)
    fake = coloured(tmp_path / "fake", ["zoster"] * 120, seed=1, origin="stylegan2")
    config = ScoreConfig(metrics=("frechet", "frechet-infinity"))
    report = score_images(real, fake, config, compute=CPU_FP32)
    score = report["frechet-infinity"]
    assert score.metric == "frechet-infinity-mean-colour"
    assert (score.fit.sizes[0], score.fit.sizes[-1]) == (40, 120)
    assert score.value < report["frechet"].value
    assert "15 subsets of 40 to 120" in score.sentence()
    few = score_images(real, make_set(tmp_path / "few"), config, compute=CPU_FP32)
    assert [missing.metric for missing in few.unavailable] == ["frechet-infinity"]
    assert any("not identifiable" in sentence for sentence in few.sentences())


@pytest.mark.parametrize(
    ("metric", "other"), [("inception-score", "vendi"), ("fid-infinity", "frechet-infinity")]
)
def test_inception_figures_need_inception(
    tmp_path: Path, extractor: Any, metric: str, other: str
) -> None:
    real = make_set(tmp_path / "real")
    with pytest.raises(InputError, match=f"{metric} is defined on inception .* ask for '{other}'"):
        score_images(real, real, ScoreConfig(metrics=(metric,)), compute=CPU_FP32)


def test_every_score_names_weights_number_size_and_interpolation(tmp_path: Path) -> None:
    real = make_set(tmp_path / "real", count=8)
    fake = make_set(tmp_path / "fake", count=8, seed=1, origin="stylegan2")
    report = score_images(real, fake, ScoreConfig(metrics=("kid", "frechet")), compute=CPU_FP32)
    for score in report.scores:
        assert score.weights == "579344248a93"
        assert (score.size, score.dim) == (24, 1280)
        assert "8 real and 8 generated images" in score.conditions
        assert "bicubic to 24 px" in score.conditions
        assert "weights 57934424" in score.conditions
    assert report["frechet"].conditions in report["frechet"].sentence()
    assert report.sentences()[0] == f"On {report['kid'].conditions}:"
    assert "measures their number more than their look" in report["frechet"].sentence()


def test_a_cache_that_cannot_be_written_is_one_remark(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real")
    (tmp_path / "cache").write_text("no folder")
    config = ScoreConfig(metrics=("kid",))
    report = score_images(real, real, config, compute=CPU_FP32, cache=tmp_path / "cache")
    assert sum("features are not kept" in remark for remark in report.remarks) == 1


def test_the_command_keeps_features_where_it_is_told(tmp_path: Path, extractor: Any) -> None:
    real, fake = make_set(tmp_path / "real"), make_set(tmp_path / "fake", seed=1)
    arguments = ["score", str(real.root), str(fake.root), "--metrics", "kid", "--by", "label"]
    runner = CliRunner()
    cached = runner.invoke(app, [*arguments, "--cache", str(tmp_path / "cache")])
    assert cached.exit_code == 0, cached.output
    assert "zoster: kid-mean-colour" in cached.output
    seen = extractor.images
    again = runner.invoke(app, [*arguments, "--cache", str(tmp_path / "cache")])
    assert again.output == cached.output
    assert extractor.images == seen
    assert runner.invoke(app, [*arguments, "--no-cache"]).exit_code == 0
    assert extractor.images == 2 * seen


def test_synthetic_images_are_no_reference(tmp_path: Path, extractor: Any) -> None:
    fake = make_set(tmp_path / "fake", origin="stylegan2")
    with pytest.raises(InputError, match="photographs only"):
        score_images(fake, fake, ScoreConfig(), compute=CPU_FP32)


def test_fid_is_only_called_so_on_inception(tmp_path: Path, extractor: Any) -> None:
    real = make_set(tmp_path / "real")
    with pytest.raises(InputError, match="ask for 'frechet'"):
        score_images(real, real, ScoreConfig(metrics=("fid",)), compute=CPU_FP32)


def test_other_weights_than_the_published_inception_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, wrong)
    with pytest.raises(InputError, match="6726825d"):
        create_extractor("inception", weights=wrong, compute=CPU_FP32)


def test_lite_features_do_not_depend_on_the_batch() -> None:
    extractor = create_extractor(compute=CPU_FP32)
    pixels = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 3, 40, 40), dtype=np.uint8)
    )
    together = extractor(pixels)
    assert together.shape == (3, extractor.dim)
    alone = torch.cat([extractor(p[None]) for p in pixels])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
