"""Figures of lesions and skin with known answers, the gate, and the whole comparison."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.metrics import structural_similarity

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.cyclegan.baselines import TONE, tone_transfer
from hzsynth.cyclegan.colour_start import ToneMap, with_shifts
from hzsynth.cyclegan.comparison import _used, compare
from hzsynth.cyclegan.comparison_page import write_comparison
from hzsynth.cyclegan.config import ComparisonConfig
from hzsynth.cyclegan.domains import load_domain
from hzsynth.cyclegan.evaluation import Changed, MethodEvaluator, Sample
from hzsynth.cyclegan.gate import BOTH, MODEL, TRANSPLANT, Row, recommend
from hzsynth.cyclegan.judging import Judge, Verdicts, after_jpeg, classifier_judge, feature_judge
from hzsynth.cyclegan.measures import (
    SkinColour,
    colour_distances,
    feature_distance,
    found_area,
    lesion_box,
    lesion_similarity,
    red_contrast,
    skin_colour,
    skin_ring,
)
from hzsynth.cyclegan.paired_distance import Gain
from hzsynth.cyclegan.skin_patches import skin_patches
from hzsynth.cyclegan.target import Picture

SKIN, HOST = (66.0, 14.0, 18.0), (58.0, 12.0, 20.0)


def scene(
    skin: Any = SKIN, redness: Any = 22.0, seed: Any = 0, size: Any = 64, lesion: Any = True
) -> Any:
    """Skin of a known Lab colour with a lesion of a known contrast in a*."""
    rng = np.random.default_rng(seed)
    lab = np.array(skin) + rng.normal(0, 0.6, (size, size, 3))
    mask = np.zeros((size, size), bool)
    if lesion:
        top, left = rng.integers(size // 3, size // 2, 2)
        mask[top : top + size // 4, left : left + size // 4] = True
        y, x = np.indices((size, size))
        lab[mask, 1] += redness
        lab[mask, 0] += 4 * np.sin((x + y)[mask] / 2.0)
    pixels = np.clip(np.rint(lab2rgb(lab) * 255), 0, 255).astype(np.uint8)
    return Picture(pixels, mask)


def erased(picture: Any) -> Any:
    """The same picture with healthy skin where the lesion was."""
    pixels = picture.pixels.copy()
    lab = rgb2lab(pixels)
    lab[picture.lesion] = np.median(lab[~picture.lesion], axis=0)
    return Picture(np.clip(np.rint(lab2rgb(lab) * 255), 0, 255).astype(np.uint8), picture.lesion)


def toned(picture: Any, shift: Any = (-8.0, -2.0, 2.0)) -> Any:
    lab = rgb2lab(picture.pixels) + np.array(shift)
    return Picture(np.clip(np.rint(lab2rgb(lab) * 255), 0, 255).astype(np.uint8), picture.lesion)


def test_the_skin_around_a_lesion_has_the_colour_it_was_painted_with() -> None:
    picture = scene()
    found = skin_colour(picture)
    assert found.red == pytest.approx(SKIN[1], abs=0.6)
    assert found.yellow == pytest.approx(SKIN[2], abs=0.6)
    expected = np.degrees(np.arctan2(SKIN[0] - 50, SKIN[2]))
    assert found.angle == pytest.approx(expected, abs=1.0)
    ring = skin_ring(picture)
    assert not (ring & cv2.dilate(picture.lesion.astype(np.uint8), np.ones((3, 3))) > 0).any()
    assert 0 < ring.sum() < 0.6 * ring.size


def test_distances_of_shifted_sets_are_the_shift() -> None:
    one = [SkinColour(40.0 + i, 10.0 + i, 15.0) for i in range(5)]
    other = [SkinColour(c.angle - 7, c.red + 2, c.yellow) for c in one]
    assert colour_distances(one, other) == pytest.approx((7.0, 2.0, 0.0))


def test_similarity_is_that_of_scikit_image_on_equal_tone_and_does_not_see_a_shift_of_tone() -> (
    None
):
    picture = scene(size=96)
    assert lesion_similarity(picture.pixels, picture.pixels, picture.lesion) == pytest.approx(1)
    shifted = lesion_similarity(picture.pixels, toned(picture).pixels, picture.lesion)
    gone = lesion_similarity(picture.pixels, erased(picture).pixels, picture.lesion)
    assert shifted > 0.97
    assert gone < 0.6
    # The library on what the docstring says: six deviations over [0, 1], the mean in the middle.
    sides = []
    for pixels in (picture.pixels, erased(scene(seed=3, size=96)).pixels):
        values = rgb2lab(pixels)[..., 0]
        inside = values[picture.lesion]
        sides.append((values - inside.mean()) / (6 * max(inside.std(), 1.0)) + 0.5)
    _, full = structural_similarity(*sides, data_range=1.0, full=True)
    found = lesion_similarity(picture.pixels, erased(scene(seed=3, size=96)).pixels, picture.lesion)
    assert found == pytest.approx(full[picture.lesion].mean())


def test_features_move_little_with_the_tone_and_much_with_the_lesion() -> None:
    picture = scene(size=96)
    assert feature_distance(picture.pixels, picture.pixels, picture.lesion) == pytest.approx(
        0, abs=1e-6
    )
    tone = feature_distance(picture.pixels, toned(picture).pixels, picture.lesion)
    gone = feature_distance(picture.pixels, erased(picture).pixels, picture.lesion)
    assert 0 < 2 * tone < gone


def test_contrast_and_area_follow_the_lesion() -> None:
    picture = scene(redness=22.0)
    assert red_contrast(picture) == pytest.approx(22.0, abs=1.5)
    assert red_contrast(scene(redness=11.0)) == pytest.approx(11.0, abs=1.0)
    assert abs(red_contrast(erased(picture))) < 1
    assert found_area(picture) == pytest.approx(picture.lesion.sum(), rel=0.3)
    assert found_area(erased(picture)) < 0.5 * found_area(picture)


def test_a_lesions_box_holds_it_and_lies_in_the_picture() -> None:
    for seed in range(5):
        picture = scene(seed=seed)
        left, top, right, bottom = lesion_box(picture.lesion)
        assert picture.lesion[top:bottom, left:right].sum() == picture.lesion.sum()
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 64
    corner = np.zeros((40, 60), bool)
    corner[0, 59] = True
    assert lesion_box(corner) == (47, 0, 60, 13)


def test_patches_hold_no_lesion_and_lie_in_equal_places_for_equal_masks() -> None:
    picture = scene(seed=1, size=96)
    marked = picture.pixels.copy()
    marked[picture.lesion] = (0, 255, 0)
    patches = skin_patches(Picture(marked, picture.lesion), np.random.default_rng(0))
    again = skin_patches(toned(picture), np.random.default_rng(0))
    assert patches
    assert all(p.shape == (36, 36, 3) for p in patches)
    assert all((p == (0, 255, 0)).all(axis=2).sum() == 0 for p in patches)
    assert len(again) == len(patches)


def test_a_classifier_judges_by_its_likeliest_class() -> None:
    answers = np.array([[0.2, 0.5, 0.3], [0.5, 0.1, 0.4]])
    shapes = []

    def probabilities(pixels: Any) -> Any:
        shapes.append((tuple(pixels.shape), pixels.dtype))
        return answers

    judge = classifier_judge("net", ("a", "zoster", "b"), 32, probabilities, "zoster")
    verdicts = judge.ask([scene(), scene()], ["x", "y"])
    assert verdicts.called.tolist() == [True, False]
    assert verdicts.probability.tolist() == [0.5, 0.1]
    assert shapes == [((2, 3, 32, 32), torch.uint8)]


def test_jpeg_removes_a_hidden_pattern_and_leaves_the_picture() -> None:
    picture = Picture(np.full((64, 64, 3), 128, np.uint8), np.zeros((64, 64), bool))
    hidden = picture.pixels.copy()
    hidden[::2, 1::2] += 2
    hidden[1::2, ::2] += 2
    cleaned = after_jpeg(Picture(hidden, picture.lesion)).pixels.astype(int)
    assert cleaned[8:-8, 8:-8].std() < 0.3
    waves = np.asarray(
        cv2.GaussianBlur(np.random.default_rng(0).normal(128, 60, (64, 64, 3)), (0, 0), 6.0), float
    )
    smooth = waves.clip(0, 255).astype(np.uint8)
    difference = after_jpeg(Picture(smooth, picture.lesion)).pixels.astype(int) - smooth
    assert np.abs(difference).mean() < 3


def test_the_trained_judge_sees_lesions_and_not_the_tone() -> None:
    lesions = [scene(seed=i) for i in range(8)]
    healthy = [scene(HOST, seed=50 + i, lesion=False) for i in range(8)]
    patients = [str(i) for i in range(8)], [f"h{i}" for i in range(8)]
    judge = feature_judge(lesions, healthy, *patients, seed=0, compute=CPU_FP32)
    before = judge.ask(lesions, patients[0])
    assert before.called.mean() >= 0.9
    assert judge.ask(healthy, patients[1]).called.mean() <= 0.1
    assert judge.ask([erased(p) for p in lesions], patients[0]).called.mean() <= 0.2
    on_other_skin = judge.ask([toned(p) for p in lesions], patients[0])
    assert on_other_skin.called.mean() >= 0.9
    bare_source = [scene(seed=80 + i, lesion=False) for i in range(8)]
    assert judge.ask(bare_source, patients[0]).called.mean() <= 0.3


def row(method: Any, tone: Any, kid: Any, retention: Any = 1.0, **changes: Any) -> Any:
    values = {
        "pictures": 20,
        "called": 20,
        "retention_jpeg": 1.0,
        "probability_change": 0.0,
        "similarity": 1.0,
        "feature_distance": 0.0,
        "contrast": 1.0,
        "area": 1.0,
        "red": 1.0,
        "yellow": 1.0,
        "kid_spread": 0.001,
        "texture": 0.1,
        "kid_gain": None,
        "texture_gain": None,
        "colour_map": None,
        "normal_turned": 0.0,
    }
    return Row(method=method, tone=tone, kid=kid, retention=retention, **{**values, **changes})


TRANSFERS = [row("no-op", 12.0, 0.040), row("reinhard", 4.0, 0.030), row("fda-0.05", 6.0, 0.025)]
LAID = [row(TRANSPLANT, 3.5, 0.010), row(BOTH, 5.0, 0.02)]


def test_a_model_that_is_better_in_both_and_keeps_lesions_passes() -> None:
    passed, sentence = recommend([*TRANSFERS, *LAID, row(MODEL, 3.9, 0.024, 0.95)])
    assert passed
    assert sentence.startswith("Use the model")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (row(MODEL, 4.0, 0.020), "ITA (4.0°) is no lower than that of reinhard"),
        (row(MODEL, 3.0, 0.025), "KID (0.0250) is no lower than that of fda-0.05"),
        (row(MODEL, 3.0, 0.020, 0.94), "keeps 94% of 20 lesions"),
        (row(MODEL, 3.0, None), "KID is unknown"),
        (row(MODEL, 3.0, 0.02, None), "called none before"),
    ],
)
def test_every_condition_of_the_gate_counts(model: Any, reason: str) -> None:
    passed, sentence = recommend([*TRANSFERS, *LAID, model])
    assert not passed
    assert reason in sentence
    assert "Use transplant instead" in sentence


NEARER, EQUAL, FURTHER = Gain(0.01, 0.004), Gain(0.004, 0.003), Gain(-0.02, 0.005)


@pytest.mark.parametrize(
    ("tone", "gains", "passes"),
    [
        (1.5, (NEARER, EQUAL), True),
        (1.5, (EQUAL, NEARER), True),
        (2.9, (NEARER, EQUAL), True),
        (3.1, (NEARER, EQUAL), False),
        (1.5, (EQUAL, EQUAL), False),
        (1.5, (NEARER, FURTHER), False),
        (1.5, (None, None), False),
    ],
)
def test_a_model_has_to_show_more_than_its_closed_form_start(
    tone: float, gains: tuple[Any, ...], passes: bool
) -> None:
    start = row(TONE, 1.8, 0.014)
    model = row(MODEL, tone, 0.012, kid_gain=gains[0], texture_gain=gains[1])
    passed, sentence = recommend([*TRANSFERS, start, model], 1.2)
    assert passed == passes
    assert passes or "closed-form tone map" in sentence
    assert passes or "Use tone instead" in sentence


def test_a_tone_map_is_held_to_what_needs_less() -> None:
    assert recommend([*TRANSFERS, row(TONE, 1.8, 0.014)], 1.2, TONE)[0]
    assert not recommend([*TRANSFERS, row(TONE, 4.5, 0.014)], 1.2, TONE)[0]


def test_a_transfer_that_loses_lesions_sets_no_bar() -> None:
    losing = row("histogram-matching", 1.0, 0.001, retention=0.5)
    assert recommend([*TRANSFERS, losing, *LAID, row(MODEL, 3.9, 0.024)])[0]


def test_without_a_passing_transplant_the_best_transfer_is_named_or_nothing() -> None:
    worse = [replace(entry, tone=20.0) for entry in LAID]
    _, sentence = recommend([*TRANSFERS, *worse, row(MODEL, 9.0, 0.05)])
    assert "Use reinhard instead" in sentence
    only = [row("no-op", 2.0, 0.01), row("reinhard", 4.0, 0.03)]
    _, sentence = recommend([*only, *worse, row(MODEL, 9.0, 0.05)])
    assert "no-op" in sentence.split("Do not use the model")[1]


def write_set(path: Any, skin: Any, lesion: Any, count: Any = 8) -> Any:
    with ImageSetWriter(path) as writer:
        for i in range(count):
            picture = scene(skin, seed=i if lesion else 100 + i, lesion=lesion)
            writer.add(
                picture.pixels,
                label="zoster" if lesion else "normal",
                group=f"{path.name}-{i}",
                origin="real",
                mask=picture.lesion if lesion else None,
            )
    return writer.images


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("compare")
    return write_set(root / "source", SKIN, True), write_set(root / "target", HOST, False)


def redness_judge() -> Any:
    """Calls a lesion what is redder than its skin: an answer that anyone can check."""

    def ask(pictures: Any, patients: Any) -> Any:
        contrast = np.array([red_contrast(p) if p.lesion.any() else 0.0 for p in pictures])
        return Verdicts(contrast / 40, contrast > 8)

    return Judge("redness", ask)


class MeanColours:
    """Features that cost nothing: the mean colours of a patch's quarters."""

    name, dim, preprocessing, weights = "mean-colours", 12, "none", ""

    def __call__(self, pixels: Any) -> Any:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 2).flatten(1)


def run_compare(sets: tuple[ImageSet, ImageSet], translate: Any, **options: Any) -> Any:
    config = ComparisonConfig(size=64)
    return compare(
        translate,
        [],
        *sets,
        config,
        compute=CPU_FP32,
        judge=redness_judge(),
        extractor=MeanColours(),
        **options,
    )


def perfect(pixels: Any) -> Any:
    shift = np.array(HOST) - np.array(SKIN)
    return toned(Picture(pixels, np.zeros(pixels.shape[:2], bool)), shift).pixels


def erasing(pixels: Any) -> Any:
    lab = rgb2lab(perfect(pixels))
    red = lab[..., 1] > np.median(lab[..., 1]) + 8
    lab[red] = np.median(lab[~red], axis=0)
    return np.clip(np.rint(lab2rgb(lab) * 255), 0, 255).astype(np.uint8)


def test_a_perfect_model_is_measured_as_one() -> None:
    sources = [Sample(scene(seed=i), str(i)) for i in range(8)]
    wanted = [Sample(scene(HOST, seed=100 + i, lesion=False), f"h{i}") for i in range(8)]
    evaluator = MethodEvaluator(sources, wanted, redness_judge(), 0, MeanColours())
    pictures = [s.picture for s in sources]
    unchanged = evaluator.measure("no-op", [Changed(p, p.pixels) for p in pictures], None)
    assert (unchanged.retention, unchanged.similarity) == (1, 1)
    assert (unchanged.contrast, unchanged.area) == (1, 1)
    angles = [np.degrees(np.arctan2(c[0] - 50, c[2])) for c in (SKIN, HOST)]
    assert unchanged.tone == pytest.approx(angles[0] - angles[1], abs=1.5)
    made = [Changed(Picture(perfect(p.pixels), p.lesion), p.pixels) for p in pictures]
    moved = evaluator.measure(MODEL, made, [s.picture for s in wanted])
    assert (moved.retention, moved.retention_jpeg, moved.normal_turned) == (1, 1, 0)
    assert moved.contrast == pytest.approx(1, abs=0.1)
    assert moved.tone < 1.5
    assert moved.kid < 0.2 * unchanged.kid


def test_an_untrained_model_does_not_pass(
    sets: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The colour start alone beats every cheap transfer; whoever has learned nothing is told so."""
    monkeypatch.setattr("hzsynth.cyclegan.evaluation.feature_distance", lambda *_: 0.0)
    domains = with_shifts(load_domain(sets[0], 64, True), load_domain(sets[1], 64, False))
    start: Any = tone_transfer(ToneMap.between(domains[0]))

    def untrained(pixels: Any) -> Any:
        return start(Picture(pixels, np.zeros(pixels.shape[:2], bool)), None, None).pixels

    result = run_compare(sets, untrained)
    rows = {r.method: r for r in result.rows}
    assert rows[MODEL].kid == rows[TONE].kid
    assert (rows[MODEL].kid_gain, rows[TONE].kid_gain) == (Gain(0.0, 0.0), None)
    assert rows[MODEL].colour_map > 0.98
    assert not result.passed
    assert "not shown to be nearer to the target than the closed-form tone map" in (
        result.recommendation
    )
    named = run_compare(sets, untrained, of_tone_map=True)
    assert MODEL not in {r.method for r in named.rows}
    assert BOTH not in {r.method for r in named.rows}
    assert "closed-form" not in named.recommendation


def test_a_comparison_finds_the_model_that_erases_lesions(
    sets: tuple[ImageSet, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tested above, and most of the time.
    monkeypatch.setattr("hzsynth.cyclegan.evaluation.feature_distance", lambda *_: 0.0)
    result = run_compare(sets, erasing)
    rows = {r.method: r for r in result.rows}
    assert (rows[MODEL].retention, rows["no-op"].retention) == (0, 1)
    assert rows[MODEL].area < 0.3
    assert rows[MODEL].tone < 1.5
    assert rows[TRANSPLANT].retention == 1
    assert rows[TRANSPLANT].tone < 3
    assert rows[TRANSPLANT].normal_turned is None
    assert not result.passed
    assert "keeps 0%" in result.recommendation
    text = write_comparison(result, tmp_path).read_text()
    assert "Do not use the model" in text
    assert text.count("<table>") == 1
    assert text.count("<img") == 1
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert table.method.tolist() == [r.method for r in result.rows]
    assert json.loads((tmp_path / "comparison.json").read_text())["passed"] is False


def test_photographs_that_the_model_did_not_see_are_preferred(
    sets: tuple[ImageSet, ImageSet],
) -> None:
    source = sets[0]
    config = ComparisonConfig(size=64)
    remarks: list[str] = []
    seen = [TrainingImage(r.sha256, r.phash, r.group) for r in source.records[:2]]
    extended = source.replace_records([*source.records, *sets[1].records[:2]])
    assert [r.sha256 for r in _used(extended, "SOURCE", seen, config, remarks)] == [
        r.sha256 for r in extended.records[2:]
    ]
    assert not remarks
    assert len(_used(source, "SOURCE", seen, config, remarks)) == len(source)
    assert "only 6 photographs of SOURCE" in remarks[0]
    with pytest.raises(InputError, match="SOURCE has 5 photographs"):
        _used(source.replace_records(source.records[:5]), "SOURCE", seen, config, remarks)


def test_test_photographs_choose_no_method(sets: tuple[ImageSet, ImageSet]) -> None:
    records = [replace(r, split="test" if i % 4 == 0 else "val") for i, r in enumerate(sets[0])]
    records += [replace(r, split="val") for r in sets[1]]
    used = _used(sets[0].replace_records(records), "SOURCE", [], ComparisonConfig(size=64), [])
    assert [r.sha256 for r in used] == [r.sha256 for r in records if r.split == "val"]
