"""Logos, banners, rulers and pen marks that were drawn on phantom photographs at known places."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hzsynth.data.annotations import annotation_mask, find_annotations, remove_annotations
from hzsynth.data.logos import find_logos, learn_logos, stroke_map
from hzsynth.data.sources.phantom import render_phantom

SIDE = 256
CLASSES = ("herpes_zoster", "eczema", "normal", "insect_bite", "cellulitis", "contact_dermatitis")


@pytest.fixture(scope="module")
def clean() -> list[np.ndarray]:
    """Sixty different photographs without anything added."""
    return [
        render_phantom(CLASSES[i % 6], "western" if i % 4 else "korean", i, 0, SIDE, logo=False)[0]
        for i in range(60)
    ]


def _written(
    pixels: Any, text: Any, place: Any, size: Any = 26, fill: Any = (255, 255, 255)
) -> Any:
    """The photograph with a text, and where the text's pixels are."""
    picture = Image.fromarray(pixels)
    ink = Image.new("L", picture.size, 0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(ink).text(place, text, fill=235, font=font)
    ImageDraw.Draw(ink).ellipse((place[0], place[1] - 34, place[0] + 30, place[1] - 4), outline=235)
    picture.paste(fill, mask=ink)
    return np.asarray(picture), np.asarray(ink) > 100


def _overlap(mask: Any, truth: Any) -> Any:
    return (mask & truth).sum() / truth.sum()


def test_a_shared_logo_is_learned_and_found_where_it_is_and_only_there(
    clean: list[np.ndarray],
) -> None:
    made = [
        _written(p, "SkinArchive", (14, 200)) if i % 3 else (p, None) for i, p in enumerate(clean)
    ]
    (template,) = learn_logos([stroke_map(pixels) for pixels, _ in made])
    assert template.pictures == pytest.approx(40, abs=2)
    for pixels, truth in made:
        found = find_annotations(pixels, [template])
        logos = [annotation for annotation in found if annotation.kind == "logo"]
        assert bool(logos) == (truth is not None)
        if truth is not None:
            mask = annotation_mask(truth.shape, logos)
            assert _overlap(mask, truth) > 0.97
            assert mask.mean() < 0.12


def test_two_logos_at_one_place_are_told_apart(clean: list[np.ndarray]) -> None:
    texts = ["SkinArchive", "Te Rangahau"]
    maps = [stroke_map(_written(p, texts[i % 2], (14, 200))[0]) for i, p in enumerate(clean[:40])]
    templates = learn_logos(maps)
    assert [template.pictures for template in templates] == [20, 20]


def test_a_learned_logo_is_found_in_photographs_of_another_size(clean: list[np.ndarray]) -> None:
    templates = learn_logos(
        [stroke_map(_written(p, "SkinArchive", (14, 200))[0]) for p in clean[:30]]
    )
    for number, pixels in enumerate(clean[30:40]):
        written, _ = _written(pixels, "SkinArchive", (14, 200))
        for side in (200, 330, 900):
            resized = np.asarray(Image.fromarray(written).resize((side, side)))
            bare = np.asarray(Image.fromarray(pixels).resize((side, side)))
            assert [a.kind for a in find_annotations(resized, templates)] == ["logo"], number
            assert find_annotations(bare, templates) == ()


def test_nothing_is_learned_and_nothing_found_where_there_is_nothing(
    clean: list[np.ndarray],
) -> None:
    assert learn_logos([stroke_map(pixels) for pixels in clean]) == ()
    assert learn_logos([]) == ()
    found = [find_annotations(pixels) for pixels in clean]
    # At most 3 % false alarms.
    assert sum(bool(annotations) for annotations in found) <= 1


@pytest.mark.parametrize("place", [(12, 215), (120, 215), (12, 8), (130, 10)])
def test_bold_white_text_in_a_corner_is_found_without_a_template(
    clean: list[np.ndarray], place: tuple[int, int]
) -> None:
    found = []
    for pixels in clean[:12]:
        written, truth = _written(pixels, "SkinArchive", place, size=20)
        logos = [a for a in find_annotations(written) if a.kind == "logo"]
        found.append(bool(logos) and _overlap(annotation_mask(truth.shape, logos), truth) > 0.6)
    assert np.mean(found) >= 0.75


@pytest.mark.parametrize("side", ["bottom", "top", "right"])
def test_a_banner_is_found_with_its_edge(clean: list[np.ndarray], side: str) -> None:
    for pixels in clean[:10]:
        written = pixels.copy()
        part: Any = {
            "bottom": np.s_[SIDE - 22 :],
            "top": np.s_[:22],
            "right": np.s_[:, SIDE - 22 :],
        }[side]
        written[part] = (214, 214, 214)
        if side == "bottom":
            written, _ = _written(written, "www.archive.example", (8, SIDE - 19), 12, (40, 40, 40))
        truth = np.zeros((SIDE, SIDE), bool)
        truth[part] = True
        banners = [a for a in find_annotations(written) if a.kind == "banner"]
        mask = annotation_mask(truth.shape, banners)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.75


def test_a_ruler_is_found(clean: list[np.ndarray]) -> None:
    for pixels in clean[:10]:
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        draw.rectangle((0, 214, 255, 244), fill=(235, 232, 220))
        for tick in range(4, 252, 8):
            draw.line((tick, 214, tick, 234 if tick % 40 == 4 else 226), fill=(30, 30, 30), width=2)
        truth = np.zeros((SIDE, SIDE), bool)
        truth[214:236, 4:252] = True
        mask = annotation_mask(
            truth.shape, [a for a in find_annotations(np.asarray(picture)) if a.kind == "ruler"]
        )
        assert _overlap(mask, truth) > 0.6


def test_a_pen_mark_is_found_and_veins_and_hair_are_not(clean: list[np.ndarray]) -> None:
    hits = []
    for pixels in clean[:12]:
        ink = Image.new("L", (SIDE, SIDE), 0)
        ImageDraw.Draw(ink).arc((60, 70, 180, 190), 20, 320, fill=255, width=4)
        truth = np.asarray(ink) > 128
        written = pixels.astype(float)
        written[truth] = 0.35 * written[truth] + 0.65 * np.array((40, 40, 140))
        found = [a for a in find_annotations(written.astype(np.uint8)) if a.kind == "pen"]
        hits.append(bool(found) and _overlap(annotation_mask(truth.shape, found), truth) > 0.6)
    assert np.mean(hits) >= 0.75


def test_inpainting_takes_the_logo_off_and_nothing_else(clean: list[np.ndarray]) -> None:
    templates = learn_logos(
        [stroke_map(_written(p, "SkinArchive", (14, 200))[0]) for p in clean[:30]]
    )
    for pixels in clean[:10]:
        written, truth = _written(pixels, "SkinArchive", (14, 200))
        mask = annotation_mask(truth.shape, find_annotations(written, templates))
        made, box = remove_annotations(written, mask)
        assert box == (0, 0, SIDE, SIDE)
        assert np.array_equal(made[~mask], written[~mask])
        assert not find_logos(stroke_map(made), templates)
        error = np.abs(made[truth].astype(int) - pixels[truth]).mean()
        assert error < 0.35 * np.abs(written[truth].astype(int) - pixels[truth]).mean()


def test_cropping_cuts_a_banner_off_and_never_much(clean: list[np.ndarray]) -> None:
    written = clean[0].copy()
    written[SIDE - 20 :] = 214
    mask = annotation_mask((SIDE, SIDE), find_annotations(written))
    made, box = remove_annotations(written, mask, "crop")
    assert box[:3] == (0, 0, SIDE)
    assert SIDE - 26 <= box[3] <= SIDE - 20
    assert np.array_equal(made, written[: box[3]])
    thick = np.zeros((SIDE, SIDE), bool)
    thick[SIDE // 2 :] = True
    assert remove_annotations(written, thick, "crop")[1] == (0, 0, SIDE, SIDE)


@pytest.mark.parametrize("shape", [(8, 8, 3), (31, 200, 3), (40, 33, 3)])
def test_small_and_flat_pictures_hold_nothing(shape: tuple[int, int, int]) -> None:
    assert find_annotations(np.full(shape, 180, np.uint8)) == ()
    nothing = np.zeros(shape[:2], bool)
    made, _ = remove_annotations(np.full(shape, 180, np.uint8), nothing)
    assert made.shape == shape
    everything, _ = remove_annotations(np.full(shape, 180, np.uint8), ~nothing)
    assert everything.shape == shape


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("upright", [True, False])
def test_a_word_is_found_wherever_it_stands_and_skin_is_not_a_word(
    light: bool, upright: bool
) -> None:
    pixels, _ = render_phantom("eczema", "western", 3, 0, 256)
    plain = find_annotations(pixels)
    word = Image.new("L", (150, 30), 0)
    ImageDraw.Draw(word).text((4, 4), "Ringworm", fill=255, font=ImageFont.load_default(22))
    letters = np.asarray(word) > 128
    letters = letters if upright else np.rot90(letters)
    high, wide = letters.shape
    marked = pixels.copy()
    marked[50 : 50 + high, 60 : 60 + wide][letters] = 250 if light else 12
    found = [mark for mark in find_annotations(marked) if mark.kind == "text"]
    assert len(found) == 1
    mask = annotation_mask(marked.shape[:2], found)
    assert mask[50 : 50 + high, 60 : 60 + wide][letters].mean() > 0.85
    assert mask.mean() < 0.1
    assert all(mark.kind != "text" for mark in plain)
