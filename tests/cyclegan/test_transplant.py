"""Lesions on other skin: what moves, what stays, where it may lie, and where it comes from."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import check_lineage
from hzsynth.core.photos import decode_image
from hzsynth.cyclegan.config import TransplantConfig
from hzsynth.cyclegan.target import Picture
from hzsynth.cyclegan.transplant import main_parts, transplant
from hzsynth.cyclegan.transplant_set import (
    HOST_GROUP,
    read_source,
    transplant_images,
)

SKIN, HOST, RED, CLOTH = (225, 180, 155), (190, 145, 110), (190, 80, 80), (30, 60, 200)


def plain(colour: Any, height: Any = 64, width: Any = 64, noise: Any = 2.0, seed: Any = 0) -> Any:
    values = np.array(colour) + np.random.default_rng(seed).normal(0, noise, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def source(lesion: Any) -> Any:
    pixels = plain(SKIN, *lesion.shape)
    pixels[lesion] = RED
    return Picture(pixels, lesion)


def box(rows: Any, columns: Any, size: Any = 64) -> Any:
    mask = np.zeros((size, size), bool)
    mask[rows, columns] = True
    return mask


def contrast(pixels: Any, lesion: Any, region: Any) -> Any:
    lab = rgb2lab(pixels)
    return np.median(lab[lesion], axis=0) - np.median(lab[region & ~lesion], axis=0)


@pytest.mark.parametrize("seed", range(6))
def test_the_lesion_keeps_its_contrast_on_skin_of_another_tone(seed: Any) -> None:
    picture = source(box(slice(24, 40), slice(20, 44)))
    result = transplant(picture, plain(HOST, seed=1), np.random.default_rng(seed))
    before = contrast(picture.pixels, picture.lesion, np.ones_like(picture.lesion))
    after = contrast(result.picture.pixels, result.picture.lesion, result.region)
    np.testing.assert_allclose(after, before, atol=2.5)
    around = result.region & ~result.picture.lesion
    tone = np.median(result.picture.pixels[around], axis=0)
    np.testing.assert_allclose(tone, HOST, atol=4)


@pytest.mark.parametrize("seed", range(6))
def test_the_host_stays_and_the_size_of_the_lesion_follows_the_scale(seed: Any) -> None:
    picture, host = source(box(slice(24, 40), slice(20, 44))), plain(HOST, 80, 100)
    result = transplant(picture, host, np.random.default_rng(seed))
    outside = ~result.region
    assert np.array_equal(result.picture.pixels[outside], host[outside])
    expected = picture.lesion.sum() * result.scale**2
    assert result.picture.lesion.sum() == pytest.approx(expected, rel=0.15)
    assert (result.picture.lesion & outside).sum() == 0


def test_no_seam_is_left_around_the_patch() -> None:
    picture, host = source(box(slice(24, 40), slice(24, 40))), plain(HOST, noise=0)
    result = transplant(picture, host, np.random.default_rng(2))
    far = cv2.dilate(result.picture.lesion.astype(np.uint8), np.ones((7, 7))) == 0
    pairs = far[:, 1:] & far[:, :-1]
    blended, pasted = (
        np.abs(np.diff(pixels.astype(float), axis=1)).max(axis=2)[pairs]
        for pixels in (result.picture.pixels, result.aligned)
    )
    assert blended.max() < 12
    assert pasted.max() > 25


def test_lesions_lie_on_skin_and_leave_a_backdrop_alone() -> None:
    host = plain(HOST)
    host[:, 36:] = CLOTH
    picture = source(box(slice(28, 36), slice(26, 40)))
    found = 0
    for seed in range(12):
        result = transplant(picture, host, np.random.default_rng(seed))
        if result is None:
            continue
        found += 1
        assert np.array_equal(result.picture.pixels[:, 38:], host[:, 38:])
        assert not result.picture.lesion[:, 38:].any()
        tone = result.picture.pixels[:, 20:34][~result.picture.lesion[:, 20:34]]
        assert np.median(tone[:, 2]) < 130
    assert found >= 10


def test_a_host_without_skin_and_a_source_without_lesion_give_nothing() -> None:
    picture = source(box(slice(24, 40), slice(20, 44)))
    assert transplant(picture, plain(CLOTH), np.random.default_rng(0)) is None
    empty = Picture(plain(SKIN), np.zeros((64, 64), bool))
    assert transplant(empty, plain(HOST), np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_lesion_that_is_cut_off_lies_at_a_border_of_the_host(seed: Any) -> None:
    picture = source(box(slice(0, 20), slice(20, 44)))
    lesion = transplant(picture, plain(HOST), np.random.default_rng(seed)).picture.lesion
    sides = [lesion[0], lesion[:, -1], lesion[-1], lesion[:, 0]]
    assert max(side.sum() for side in sides) > 8
    whole = source(box(slice(22, 42), slice(20, 44)))
    free = transplant(whole, plain(HOST), np.random.default_rng(seed)).picture.lesion
    assert not any(s.any() for s in (free[0], free[-1], free[:, 0], free[:, -1]))


@pytest.mark.parametrize("seed", range(4))
def test_a_lesion_across_the_picture_spans_the_host(seed: Any) -> None:
    picture = source(box(slice(26, 40), slice(None)))
    lesion = transplant(picture, plain(HOST, 60, 90), np.random.default_rng(seed)).picture.lesion
    rows, columns = lesion.any(axis=1), lesion.any(axis=0)
    assert rows.all() or columns.all()


def test_draws_decide_and_nothing_else() -> None:
    picture, host = source(box(slice(24, 40), slice(20, 44))), plain(HOST)
    results = [
        transplant(picture, host, np.random.default_rng(s)).picture.pixels for s in (0, 0, 1, 2, 3)
    ]
    assert np.array_equal(results[0], results[1])
    different = {r.tobytes() for r in results}
    assert len(different) == 4


def test_small_distant_parts_of_a_found_mask_are_dropped() -> None:
    large, near, far = (
        box(slice(10, 24), slice(10, 24)),
        box(slice(10, 14), slice(26, 30)),
        box(slice(58, 63), slice(58, 63)),
    )
    assert np.array_equal(main_parts(large | near | far), large | near)


def write_set(
    path: Any,
    colour: Any,
    *,
    lesions: Any = False,
    count: Any = 5,
    splits: Any = ("",),
    masks: Any = True,
    noise: Any = 6.0,
) -> Any:
    rng = np.random.default_rng(3)
    with ImageSetWriter(path) as writer:
        for i in range(count):
            lesion = np.zeros((48, 48), bool)
            if lesions:
                top, left = rng.integers(14, 22, 2)
                lesion[top : top + 8 + i, left : left + 14 - i] = True
            pixels = plain(colour, 48, 48, noise=noise, seed=i)
            pixels[lesion] = RED
            writer.add(
                pixels,
                label="zoster" if lesions else "normal",
                split=splits[i % len(splits)],
                group=f"{path.name}-{i}",
                origin="real",
                licence="CC0" if lesions else "CC-BY",
                mask=lesion if lesions and masks else None,
            )
    return writer.images


@pytest.fixture
def sets(tmp_path: Path) -> tuple[ImageSet, ImageSet]:
    return write_set(tmp_path / "source", SKIN, lesions=True), write_set(tmp_path / "target", HOST)


def test_a_set_names_both_parents_and_carries_masks_and_lineage(
    tmp_path: Path, sets: tuple[ImageSet, ImageSet]
) -> None:
    source_set, target_set = sets
    made = transplant_images(*sets, TransplantConfig(count=12), tmp_path / "out")
    assert ImageSet.load(tmp_path / "out").records == made.records
    groups = {r.sha256: r.group for s in sets for r in s}
    for record in made:
        lesion, host = record.parents
        assert lesion in {r.sha256 for r in source_set}
        assert host in {r.sha256 for r in target_set}
        assert (record.group, record.extra[HOST_GROUP]) == (groups[lesion], groups[host])
        assert (record.origin, record.label, record.licence) == (
            "transplant",
            "zoster",
            "CC0; CC-BY",
        )
        mask = made.read_mask(record)
        pixels = decode_image(made.read_bytes(record), "")
        assert mask.any()
        assert rgb2lab(pixels)[mask][:, 1].mean() > rgb2lab(pixels)[~mask][:, 1].mean() + 10
    learned = {image.sha256 for image in made.lineage[made.records[0].run]}
    assert learned == set(groups)
    assert len({record.sha256 for record in made}) == 12


def test_every_lesion_is_used_equally_often_and_many_hosts(
    tmp_path: Path, sets: tuple[ImageSet, ImageSet]
) -> None:
    made = transplant_images(*sets, TransplantConfig(count=20), tmp_path / "out")
    lesions = [record.parents[0] for record in made]
    assert {lesions.count(parent) for parent in set(lesions)} == {4}
    assert len({record.parents[1] for record in made}) >= 4


def test_a_longer_set_begins_with_the_shorter_one(
    tmp_path: Path, sets: tuple[ImageSet, ImageSet]
) -> None:
    short, long = (
        transplant_images(*sets, TransplantConfig(count=n), tmp_path / str(n)) for n in (3, 6)
    )
    assert [r.sha256 for r in long][:3] == [r.sha256 for r in short]


def test_held_out_photographs_are_not_used_and_leaks_are_found(tmp_path: Path) -> None:
    splits = ("train", "train", "test")
    source_set = write_set(tmp_path / "source", SKIN, lesions=True, splits=splits)
    target_set = write_set(tmp_path / "target", HOST, splits=splits)
    made = transplant_images(source_set, target_set, TransplantConfig(count=8), tmp_path / "out")
    train = {r.sha256 for s in (source_set, target_set) for r in s if r.split == "train"}
    assert {parent for record in made for parent in record.parents} <= train
    patient = made.records[0].extra[HOST_GROUP]
    held_out = target_set.replace_records(r for r in target_set if r.group == patient)
    with pytest.raises(RefusedError, match="same file"):
        check_lineage([made], [held_out])


def test_found_lesions_serve_where_no_masks_are_given(tmp_path: Path) -> None:
    bare = write_set(tmp_path / "bare", SKIN, lesions=True, masks=False)
    drawn = write_set(tmp_path / "drawn", SKIN, lesions=True)
    for found, true in zip(bare, drawn, strict=True):
        lesion, mask = read_source(bare, found).lesion, drawn.read_mask(true)
        assert (lesion & mask).sum() / (lesion | mask).sum() > 0.7


def test_sets_that_cannot_be_used_are_refused_and_leave_nothing(
    tmp_path: Path, sets: tuple[ImageSet, ImageSet]
) -> None:
    _, target_set = sets
    healthy = write_set(tmp_path / "healthy", (200, 160, 140), count=3, noise=1.0)
    with pytest.raises(InputError, match="shows a lesion"):
        transplant_images(healthy, target_set, TransplantConfig(count=2), tmp_path / "out")
    cloth = write_set(tmp_path / "cloth", CLOTH)
    with pytest.raises(InputError, match="too little skin"):
        transplant_images(sets[0], cloth, TransplantConfig(count=2), tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))
    assert not list(tmp_path.glob(".out*"))
