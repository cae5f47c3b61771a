"""What an inspection must find in a collection whose faults are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.inspect import inspect_images, source_association, source_shortcuts
from hzsynth.data.inspect_page import write_inspection
from hzsynth.data.loading import open_images, scan_images
from hzsynth.data.sources.phantom import render_phantom


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Two train and one test photograph; one is in both, mirrored, under another label."""
    photo = {p: Image.fromarray(render_phantom("eczema", "western", p, 0, 96)[0]) for p in range(3)}
    exif = Image.Exif()
    exif[0x010E] = "a name"
    files: tuple[tuple[str, Image.Image, dict[str, Any]], ...] = (
        ("train/eczema/a.png", photo[0], {}),
        ("train/eczema/b.jpg", photo[1], {"exif": exif, "quality": 90}),
        ("train/normal/c.png", photo[2], {}),
        ("test/normal/d.png", photo[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
    )
    for name, picture, options in files:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, **options)
    return tmp_path / "photos"


def test_what_is_there_and_what_is_wrong(folder: Any) -> None:
    found = inspect_images(open_images(folder))
    assert found.files == 4
    assert found.classes == {"eczema": 2, "normal": 2}
    assert found.splits == {"train": {"eczema": 2, "normal": 1}, "test": {"normal": 1}}
    assert found.formats == {"JPEG": 1, "PNG": 3}
    assert found.metadata == {"EXIF": 1}
    assert found.small == 4
    assert found.shorter_side == {"smallest": 96.0, "median": 96.0, "largest": 96.0}
    assert found.without_group == 4
    assert len(found.duplicates.label_conflicts) == len(found.duplicates.split_leaks) == 1
    assert sum(found.tone_bins.values()) == 4
    assert found.sheet.ndim == 3
    assert found.sheet.shape[1] > 8 * 90


def test_the_report_is_json(folder: Any) -> None:
    report = inspect_images(open_images(folder)).to_json()
    again = json.loads(json.dumps(report))
    assert again == report
    assert again["distinct"] == 3
    assert "sheet" not in again


def test_broken_files_are_counted(folder: Any) -> None:
    (folder / "train" / "eczema" / "z.jpg").write_bytes(b"text")
    opened = scan_images(folder, skip_broken=True)
    found = inspect_images(opened.images, opened.broken)
    assert found.files == 5
    assert "z.jpg" in found.broken[0]


def test_files_that_vanish_are_broken(phantoms: ImageSet, tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "set") as writer:
        for record in phantoms.records[:3]:
            writer.copy(phantoms, record)
    images = ImageSet.load(tmp_path / "set")
    images.path(images.records[0]).unlink()
    found = inspect_images(images)
    assert (found.files, len(found.broken)) == (3, 1)
    for record in images.records[1:]:
        images.path(record).write_bytes(b"")
    with pytest.raises(InputError, match="can be read"):
        inspect_images(images)


def test_the_two_cohorts_have_two_tones(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "set") as writer:
        for cohort in ("western", "korean"):
            for patient in range(12):
                pixels, mask = render_phantom("normal", cohort, patient, 0, 48)
                writer.add(pixels, label=cohort, origin="phantom", mask=mask)
    tone = inspect_images(writer.images).tone
    assert tone["western"]["mean"] > tone["korean"]["mean"] + 4


def _records(*pairs: Any) -> Any:
    return [
        ImageRecord(f"{i}.png", label, source=source) for i, (label, source) in enumerate(pairs)
    ]


def test_association_of_source_and_class_has_its_known_values() -> None:
    apart = _records(*[("zoster", "a"), ("normal", "b")] * 50)
    mixed = _records(*[(la, so) for la in ("zoster", "normal") for so in "ab" for _ in range(25)])
    assert source_association(apart) == pytest.approx(1.0)
    assert source_association(mixed) == 0
    assert source_association(_records(*[("zoster", "a")] * 5)) == 0
    # Two sources that mean nothing, dealt to 40 images by chance: the correction takes the bias.
    rng = np.random.default_rng(0)
    chance = [
        source_association(
            _records(*zip(rng.choice(list("xyz"), 40), rng.choice(list("ab"), 40), strict=True))
        )
        for _ in range(60)
    ]
    assert np.mean(chance) < 0.1
    assert len(source_shortcuts(apart)) == 2
    assert "and it holds nothing else" in source_shortcuts(apart)[0]
    assert source_shortcuts(mixed) == ()


def test_blur_and_hidden_metadata_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "eczema"
    folder.mkdir(parents=True)
    for patient in range(4):
        picture = Image.fromarray(render_phantom("eczema", "western", patient, 0, 128)[0])
        picture.save(folder / f"{patient}.png")
        if patient < 2:
            blurred = picture.filter(ImageFilter.GaussianBlur(4))
            blurred.save(folder / f"blurred-{patient}.jpg", comment=b"ward 7")
    found = inspect_images(open_images(tmp_path / "photos"))
    assert found.blurred == 2
    assert found.metadata == {"comment": 2}
    assert found.aspect == {"smallest": 1.0, "median": 1.0, "largest": 1.0}
    page = write_inspection(found, "photos", tmp_path / "page").read_text(encoding="utf-8")
    assert "blurred images" in page
