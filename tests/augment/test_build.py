import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.augment.mixing import SOFT_LABEL
from hzsynth.augment.recipes import PARAMETERS
from hzsynth.augment.strategies import SETTINGS, Augmenter
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import decode_image
from hzsynth.core.progress import Progress, Task
from tests.augment.conftest import picture, write_synthetic


def _config(**changes: Any) -> Any:
    return BuildConfig(**{"label": "zoster", "ratio": 2, "multiplier": 6, **changes})


def _origins(images: Any, label: Any = "zoster") -> Any:
    return Counter(r.origin for r in images.select("train", label))


def _views(images: Any, label: Any = "zoster") -> Any:
    return Counter(r.origin for r in images.select("train", label) for _ in range(r.views))


def test_the_set_is_what_the_plan_says(real: Any, synthetic: Any, tmp_path: Path) -> None:
    built = build_dataset(real, [synthetic], _config(), tmp_path / "out")
    # n = 4, R = 2, 6 n = 24: 4 real, 8 synthetic, 12 further views (4 of real, 8 of synthetic).
    assert _origins(built) == {"real": 4, "stylegan2": 8}
    assert _origins(built, "eczema") == {"real": 6}
    assert _views(built) == {"real": 8, "stylegan2": 16}
    assert {r.views for r in built.select("train", "zoster")} == {2}
    assert _views(built, "eczema") == {"real": 6}
    assert {r.extra[SETTINGS] for r in built.select("train")} == {Augmenter().description}
    for split in ("val", "test"):
        assert [r.sha256 for r in built.select(split)] == [r.sha256 for r in real.select(split)]
    assert ImageSet.load(tmp_path / "out").digest == built.digest
    assert built.lineage == synthetic.lineage


def test_varied_images_are_written_on_request_and_the_base_images_stay_the_same(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    base = build_dataset(real, [synthetic], _config(), tmp_path / "base")
    written = build_dataset(real, [synthetic], _config(write_augmented=True), tmp_path / "written")
    assert _origins(written) == {"real": 4, "stylegan2": 8, "augmented": 12}
    by_parent = Counter(
        "gan" if r.run else "real" for r in written.select("train", "zoster", "augmented")
    )
    assert by_parent == {"real": 4, "gan": 8}
    assert {r.views for r in written} == {1}
    kept = [r.sha256 for r in written.select("train") if r.origin != "augmented"]
    assert kept == [r.sha256 for r in base.select("train")]
    with pytest.raises(InputError, match="mixes written images"):
        BuildConfig.from_sources(None, {"mix": "cutmix"})


def test_the_views_of_an_earlier_build_are_forgotten(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    first = build_dataset(real, [], _config(ratio=0), tmp_path / "first")
    again = build_dataset(first, [], _config(arm="real"), tmp_path / "again")
    assert {r.views for r in first.select("train", "zoster")} == {6}
    assert {r.views for r in again.select("train")} == {1}


@pytest.mark.parametrize(
    ("changes", "zoster", "eczema"),
    [
        ({"balance": "all"}, 24, 24),
        ({"balance": "none"}, 24, 36),
        ({"arm": "real"}, 4, 6),
        ({"arm": "synthetic-only"}, 24, 6),
        ({"ratio": 0}, 24, 6),
    ],
)
def test_balance_and_controls(
    real: Any,
    synthetic: Any,
    tmp_path: Path,
    changes: dict[str, str] | dict[str, int],
    zoster: int,
    eczema: int,
) -> None:
    built = build_dataset(real, [synthetic], _config(**changes), tmp_path / "out")
    assert sum(_views(built).values()) == zoster
    assert sum(_views(built, "eczema").values()) == eczema
    if changes.get("arm") == "synthetic-only":
        assert set(_origins(built)) == {"stylegan2"}


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    digests = [
        build_dataset(
            real, [synthetic], _config(seed=seed, mix=mix, write_augmented=True), tmp_path / f"{i}"
        ).digest
        for i, (seed, mix) in enumerate([(1, "cutmix"), (1, "cutmix"), (2, "cutmix"), (1, "mixup")])
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_number_of_processes_and_an_interruption_change_nothing(
    real: Any, synthetic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopping(Progress):
        """Asks to stop after some images."""

        @contextmanager
        def task(
            self, description: Any, total: Any, unit: Any = "it", done: Any = 0
        ) -> Iterator[Any]:
            class Three(Task):
                count = 0

                def _show(self, amount: Any, note: Any) -> None:
                    self.count += 1
                    if self.count == 13:
                        raise KeyboardInterrupt

            yield Three()

    config = _config(mix="cutmix", size=24, write_augmented=True)
    whole = build_dataset(real, [synthetic], config, tmp_path / "whole", workers=1)
    monkeypatch.setattr("hzsynth.core.parallel.WORTHWHILE", 8)
    two = build_dataset(real, [synthetic], config, tmp_path / "two", workers=2)
    with pytest.raises(KeyboardInterrupt):
        build_dataset(real, [synthetic], config, tmp_path / "cut", workers=1, progress=Stopping())
    assert not (tmp_path / "cut").exists()
    cut = build_dataset(real, [synthetic], config, tmp_path / "cut", workers=1)
    files = [
        {str(f.relative_to(images.root)): f.read_bytes() for f in images.root.rglob("*.*")}
        for images in (whole, two, cut)
    ]
    assert files[0] == files[1] == files[2]
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


def test_a_smaller_ratio_uses_some_of_the_larger_ones_images(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    chosen = []
    for ratio in (1, 3):
        built = build_dataset(real, [synthetic], _config(ratio=ratio), tmp_path / str(ratio))
        chosen.append({r.sha256 for r in built.select("train", origin="stylegan2")})
    assert chosen[0] < chosen[1]


def test_an_augmented_image_can_be_made_again_from_its_row(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    from hzsynth.augment.strategies import Augmenter

    config = _config(ratio=0, write_augmented=True)
    built = build_dataset(real, [synthetic], config, tmp_path / "out")
    row = built.select("train", "zoster", "augmented").records[0]
    parent = next(r for r in real if r.sha256 == row.parents[0])
    original = decode_image(real.read_bytes(parent), "parent")
    again, parameters = Augmenter()(original, int(row.seed))
    assert np.array_equal(again, decode_image(built.read_bytes(row), "row"))
    assert parameters == row.extra["augmentation"]


def test_a_size_applies_to_training_images_only(real: Any, synthetic: Any, tmp_path: Path) -> None:
    built = build_dataset(real, [synthetic], _config(size=16), tmp_path / "out")
    assert {(r.width, r.height) for r in built.select("train", "zoster")} == {(16, 16)}
    assert {(r.width, r.height) for r in built.select("test")} == {(32, 32)}


def test_too_few_synthetic_images_are_an_error_with_the_numbers(real: Any, tmp_path: Path) -> None:
    few = write_synthetic(tmp_path / "few", count=5)
    with pytest.raises(InputError, match=r"needs 8 of class 'zoster' .* holds 5"):
        build_dataset(real, [few], _config(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _leak(real: Any, how: Any) -> Any:
    test = real.select("test", "zoster").records[0]
    pixels = decode_image(real.read_bytes(test), "test")
    return {
        "directly": TrainingImage(test.sha256, "", ""),
        "mirrored": TrainingImage("x", perceptual_hash(pixels[:, ::-1].copy()), ""),
        "patient": TrainingImage("x", perceptual_hash(picture(77)), test.group),
    }[how]


@pytest.mark.parametrize("how", ["directly", "mirrored", "patient"])
def test_a_generator_that_saw_the_test_set_is_refused(real: Any, tmp_path: Path, how: str) -> None:
    leaking = write_synthetic(tmp_path / "leaking", seen=[_leak(real, how)])
    with pytest.raises(RefusedError, match="test photograph"):
        build_dataset(real, [leaking], _config(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_generated_images_are_refused_where_photographs_belong(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="marked test"):
        marked = write_synthetic(tmp_path / "marked", split="test")
        build_dataset(real, [marked], _config(), tmp_path / "out")
    with pytest.raises(InputError, match="is a photograph"):
        photographs = write_synthetic(tmp_path / "photographs", origin="real", run="")
        build_dataset(real, [photographs], _config(), tmp_path / "out")
    with ImageSetWriter(tmp_path / "mixed") as writer:
        for record in real:
            writer.copy(real, record)
        writer.add(picture(1), label="zoster", split="train", origin="stylegan2", run="gan-1")
    with pytest.raises(RefusedError, match="photographs only"):
        build_dataset(writer.images, [synthetic], _config(), tmp_path / "out")


def test_a_set_without_a_split_or_the_class_is_refused(
    real: Any, synthetic: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="data split"):
        build_dataset(synthetic, [synthetic], _config(), tmp_path / "out")
    with pytest.raises(InputError, match="not a class"):
        build_dataset(real, [synthetic], _config(label="shingles"), tmp_path / "out")


def test_every_class_can_get_the_same_share_of_synthetic_images(real: Any, tmp_path: Path) -> None:
    pools = [write_synthetic(tmp_path / name, count=40, label=name) for name in real.labels]
    config = _config(ratio=1.5, synthetic_classes="every")
    built = build_dataset(real, pools, config, tmp_path / "out")
    assert _views(built) == {"real": 10, "stylegan2": 14}
    assert _views(built, "eczema") == {"real": 6, "stylegan2": 9}
    both = build_dataset(
        real, pools, _config(ratio=1.5, synthetic_classes="every", balance="all"), tmp_path / "all"
    )
    assert sum(_views(both, "eczema").values()) == 24
    with pytest.raises(InputError, match=r"of class 'eczema' from"):
        build_dataset(real, pools[1:] if real.labels[0] == "eczema" else pools[:1], config,
                      tmp_path / "few")  # fmt: skip


def test_sets_are_drawn_from_by_weight_and_dropped_images_stay_out(
    real: Any, tmp_path: Path
) -> None:
    pools = [write_synthetic(tmp_path / name, count=20, run=name) for name in ("one", "two")]
    built = build_dataset(real, pools, _config(weights=(3, 1)), tmp_path / "out")
    assert Counter(r.run for r in built.select("train", origin="stylegan2")) == {"one": 6, "two": 2}
    smaller = build_dataset(real, pools, _config(weights=(3, 1), ratio=1), tmp_path / "smaller")
    chosen = [{r.sha256 for r in s.select("train", origin="stylegan2")} for s in (smaller, built)]
    assert chosen[0] < chosen[1]
    without = build_dataset(
        real, pools, _config(weights=(3, 1)), tmp_path / "without", dropped=chosen[1]
    )
    assert not chosen[1] & {r.sha256 for r in without.select("train", origin="stylegan2")}
    with pytest.raises(InputError, match="one positive number for each of the 2"):
        build_dataset(real, pools, _config(weights=(1,)), tmp_path / "wrong")


def test_mixing_across_classes_gives_soft_labels(real: Any, synthetic: Any, tmp_path: Path) -> None:
    config = _config(
        ratio=0,
        multiplier=40,
        mix="cutmix",
        mix_classes="any",
        strategies=("flip",),
        write_augmented=True,
    )
    built = build_dataset(real, [], config, tmp_path / "out")
    labels = {r.sha256: r.label for r in real}
    augmented = built.select("train", "zoster", "augmented").records
    mixed = [r for r in augmented if len(r.parents) == 2]
    soft = {r.file_name: json.loads(r.extra[SOFT_LABEL]) for r in mixed if SOFT_LABEL in r.extra}
    assert 0.35 < len(mixed) / len(augmented) < 0.65
    for record in mixed:
        classes = [labels[parent] for parent in record.parents]
        shares = soft.get(record.file_name)
        if classes[0] == classes[1]:
            assert shares is None
        else:
            assert shares is not None
            assert list(shares) == classes == ["zoster", "eczema"]
            assert shares["zoster"] == pytest.approx(float(record.extra["mix"].split()[1]))
            assert shares["zoster"] >= 0.5
    # Every class is as likely a partner, whatever its number of photographs.
    assert 0.35 < len(soft) / len(mixed) < 0.65


def test_what_is_augmented_can_be_made_again(real: Any, synthetic: Any, tmp_path: Path) -> None:
    built = build_dataset(real, [synthetic], _config(write_augmented=True), tmp_path / "out")
    sources = {r.sha256: (images, r) for images in (real, synthetic) for r in images}
    again = 0
    for record in built.select("train", "zoster", "augmented"):
        images, parent = sources[record.parents[0]]
        pixels = decode_image(images.read_bytes(parent), "parent")
        augmenter = Augmenter.from_description(record.extra[SETTINGS])
        varied, parameters = augmenter(pixels, int(record.seed))
        assert parameters == record.extra[PARAMETERS]
        np.testing.assert_array_equal(varied, decode_image(built.read_bytes(record), "made"))
        again += 1
    assert again == 12
