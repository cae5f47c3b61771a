"""The phantom: what anyone can predict of such pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.color import rgb2lab

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import decode_image
from hzsynth.data.config import LABELS, PhantomConfig
from hzsynth.data.skin import skin_mask
from hzsynth.data.skin_tone import individual_typology_angle
from hzsynth.data.sources.phantom import _plan, import_phantom, render_phantom
from hzsynth.data.sources.phantom_body import draw_skin, draw_view
from hzsynth.data.sources.phantom_lesions import DISEASES


def test_the_same_seeds_give_the_same_picture_and_others_do_not() -> None:
    first, mask = render_phantom("herpes_zoster", "western", 3, 0, 64)
    again, mask_again = render_phantom("herpes_zoster", "western", 3, 0, 64)
    other_view, _ = render_phantom("herpes_zoster", "western", 3, 1, 64)
    other_patient, _ = render_phantom("herpes_zoster", "western", 4, 0, 64)
    assert np.array_equal(first, again)
    assert np.array_equal(mask, mask_again)
    assert not np.array_equal(first, other_view)
    assert not np.array_equal(first, other_patient)


@pytest.mark.parametrize("size", [17, 64, 200])
def test_shapes_and_types(size: int) -> None:
    pixels, mask = render_phantom("eczema", "korean", 1, 0, size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert mask.shape == (size, size)
    assert mask.dtype == np.bool_


@pytest.mark.parametrize("label", [label for label in LABELS if label != "normal"])
def test_the_mask_marks_redder_skin(label: Any) -> None:
    contrasts, shares = [], []
    for patient in range(12):
        pixels, mask = render_phantom(label, "western", patient, 0, 64)
        shares.append(mask.mean())
        healthy = skin_mask(pixels) & ~mask
        if mask.sum() > 20 and healthy.sum() > 200:
            red = rgb2lab(pixels)[..., 1]
            contrasts.append(np.median(red[mask]) - np.median(red[healthy]))
    assert np.mean(np.array(shares) > 0) > 0.8
    assert np.mean(np.array(contrasts) > 0) > 0.85
    assert np.median(contrasts) > 2


def test_every_class_is_drawn() -> None:
    assert set(LABELS) == set(DISEASES)


def test_normal_skin_has_no_lesion() -> None:
    assert not any(render_phantom("normal", "western", p, 0, 48)[1].any() for p in range(8))


def test_the_cohorts_have_their_published_tones() -> None:
    drawn: dict[Any, list[float]] = {
        c: [draw_skin(c, p).angle for p in range(400)] for c in ("western", "korean")
    }
    # Three standard errors of a mean of 400 draws, and of their deviation.
    assert np.mean(drawn["western"]) == pytest.approx(48, abs=1.3)
    assert np.mean(drawn["korean"]) == pytest.approx(34, abs=1.0)
    assert np.std(drawn["western"]) == pytest.approx(8, abs=1.0)
    assert np.std(drawn["korean"]) == pytest.approx(6, abs=0.8)
    seen = {}
    for cohort in drawn:
        pictures = [render_phantom("normal", cohort, p, 0, 32)[0] for p in range(40)]
        seen[cohort] = np.mean([individual_typology_angle(p, skin_mask(p)) for p in pictures])
    assert 6 < seen["western"] - seen["korean"] < 22


def test_a_point_of_the_skin_is_found_where_it_is_drawn() -> None:
    for patient in range(6):
        skin = draw_skin("western", patient)
        view = draw_view(skin, np.random.default_rng(patient), 96, 9.0, (0.7, -0.4))
        for row, column in ((10, 20), (48, 48), (80, 30)):
            if view.body[row, column] < 1:
                continue
            found = view.locate(float(view.u[row, column]), float(view.v[row, column]))
            assert found == pytest.approx((row, column), abs=0.05)


def test_a_logo_is_white_and_bottom_left() -> None:
    plain, _ = render_phantom("eczema", "western", 5, 0, 64)
    marked, _ = render_phantom("eczema", "western", 5, 0, 64, logo=True)
    change = np.abs(marked.astype(int) - plain).mean(axis=2)
    assert change[40:, :40].max() > 40
    assert change[:36].max() < 25
    assert change[:, :].argmax() // 64 > 45


def test_an_imported_set_is_complete(phantoms: ImageSet) -> None:
    loaded = ImageSet.load(phantoms.root)
    assert {r.origin for r in loaded} == {"phantom"}
    assert {r.source for r in loaded} == {"phantom-western"}
    originals = [r for r in loaded if not r.extra["copy_of"]]
    copies = [r for r in loaded if r.extra["copy_of"]]
    assert len({r.group for r in originals}) == 18
    assert len(copies) == 5
    assert all(r.group == "" for r in copies)
    for record in originals[:6]:
        pixels = decode_image(loaded.read_bytes(record), record.file_name)
        assert loaded.read_mask(record).shape == pixels.shape[:2] == (64, 64)
    for label in ("eczema", "herpes_zoster"):
        groups = [r.group for r in originals if r.label == label]
        assert 1 <= max(groups.count(g) for g in groups) <= 4


def test_the_defaults_give_about_thirty_zoster_training_images() -> None:
    plans = [_plan(PhantomConfig(seed=seed)) for seed in range(20)]
    train = [0.7 * sum(p.label == "herpes_zoster" for p in plan) for plan in plans]
    assert 24 < np.mean(train) < 36
    share = np.mean([p.logo for plan in plans for p in plan if p.label != "normal"])
    assert share == pytest.approx(0.25, abs=0.05)
    assert not any(p.logo for plan in plans for p in plan if p.label == "normal")


def test_cohorts_share_the_patients(tmp_path: Path) -> None:
    config = PhantomConfig(size=16, patients={"normal": 4}, cohorts=("western", "korean"))
    images = import_phantom(config, tmp_path / "set")
    sources = {r.group: r.source for r in images}
    assert sorted(sources.values()).count("phantom-korean") == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patients", {"acne": 3}),
        ("patients", {"eczema": 0}),
        ("size", 4),
        ("cohorts", ()),
        ("logo_share", 1.5),
    ],
)
def test_wrong_settings_are_refused(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=key):
        PhantomConfig.from_sources(None, {key: value})


@pytest.mark.parametrize(("label", "cohort"), [("acne", "western"), ("eczema", "martian")])
def test_unknown_names_are_refused(label: str, cohort: Any) -> None:
    with pytest.raises(InputError, match="acne|martian"):
        render_phantom(label, cohort, 0, 0, 16)


def test_classes_differ_and_overlap() -> None:
    """Vesicles are what tells zoster: some of its photographs have them, as has dermatitis."""

    def highlights(label: Any, patient: Any) -> Any:
        pixels, _ = render_phantom(label, "western", patient, 0, 96)
        grey = pixels.astype(float).mean(axis=2)
        fine = grey - np.median(grey)
        return float(np.percentile(np.abs(np.diff(fine, axis=0)), 99))

    values = {
        label: np.array([highlights(label, p) for p in range(10)])
        for label in ("herpes_zoster", "contact_dermatitis", "normal")
    }
    assert np.median(values["herpes_zoster"]) > np.median(values["normal"])
    assert values["contact_dermatitis"].max() > np.median(values["herpes_zoster"])
    assert values["herpes_zoster"].min() < values["contact_dermatitis"].max()
