"""What a user may throw at the tool: one sentence, exit code 2, nothing half written."""

import io
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from hzsynth.core.image_set import ImageSet
from tests import commands


def _photo(seed: int, size: int = 48) -> Image.Image:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size, 3)), (2, 2, 0))
    pixels = np.clip(np.array([200, 150, 130]) + 40 * noise / noise.std(), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    _photo(seed).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Two classes of four photographs each."""
    for number, label in enumerate(("eczema", "herpes_zoster")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(4):
            name = tmp_path / "photos" / label / f"{index}.jpg"
            name.write_bytes(_jpeg(10 * number + index))
    return tmp_path / "photos"


def _refused(outcome: Any, out: Any, *words: Any) -> None:
    assert outcome.code == 2, outcome
    assert outcome.err.strip().count("\n") == 0, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    assert not out.exists()
    debris = [p.name for p in out.parent.iterdir() if p.name.endswith(".partial")]
    assert debris == []


def test_an_empty_class(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    (folder / "normal").mkdir()
    out = tmp_path / "set"
    _refused(hzsynth("data", "import", "folder", folder, "--out", out), out, "normal")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.jpg", _jpeg(1)[:600]),
        ("notes.jpg", b"these are my notes, not a photograph"),
        ("nothing.png", b""),
    ],
)
def test_a_file_that_is_no_picture(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path, name: str, data: Any
) -> None:
    (folder / "eczema" / name).write_bytes(data)
    out = tmp_path / "set"
    _refused(hzsynth("data", "import", "folder", folder, "--out", out), out, name)


def test_a_picture_of_30000_pixels_is_refused_before_it_is_decoded(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    Image.new("1", (30_000, 30_000)).save(folder / "eczema" / "huge.png")
    out = tmp_path / "set"
    _refused(hzsynth("data", "import", "folder", folder, "--out", out), out, "huge.png", "30000")


def test_unusual_but_sound_pictures_are_imported_right(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    where = folder / "eczema"
    photo = _photo(5)
    photo.convert("CMYK").save(where / "cmyk.jpg", quality=95)
    transparent = photo.convert("RGBA")
    transparent.putalpha(255)
    transparent.save(where / "alpha.png")
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(where / "deep.png")
    outcome = hzsynth("data", "import", "folder", folder, "--out", tmp_path / "set")
    assert outcome.code == 0, outcome.err
    images = ImageSet.load(tmp_path / "set")
    assert len(images) == 11
    from hzsynth.core.photos import decode_image

    expected = np.asarray(photo).astype(float)
    for name, tolerance in (("alpha", 1.0), ("cmyk", 25.0)):
        record = next(r for r in images if name in r.file_name)
        pixels = decode_image(images.read_bytes(record), record.file_name)
        assert np.abs(pixels - expected).mean() < tolerance
    record = next(r for r in images if "deep" in r.file_name)
    pixels = decode_image(images.read_bytes(record), record.file_name)
    assert np.abs(pixels[..., 0] - np.asarray(photo.convert("L")).astype(float)).mean() < 1.5


def test_korean_and_decomposed_names_are_one_class(
    hzsynth: Callable[..., commands.Outcome], tmp_path: Path
) -> None:
    composed = unicodedata.normalize("NFC", "대상포진")
    decomposed = unicodedata.normalize("NFD", "대상포진")
    assert composed != decomposed
    for number, label in enumerate((composed, decomposed)):
        where = tmp_path / f"사진{number}" / label
        where.mkdir(parents=True)
        (where / f"환자 {number}.jpg").write_bytes(_jpeg(number))
        (where.parent / "정상").mkdir()
        (where.parent / "정상" / "a.jpg").write_bytes(_jpeg(5 + number))
    for number in (0, 1):
        out = tmp_path / f"세트{number}"
        outcome = hzsynth("data", "import", "folder", tmp_path / f"사진{number}", "--out", out)
        assert outcome.code == 0, outcome.err
        assert ImageSet.load(out).labels == tuple(sorted((composed, "정상")))


def test_one_image_cannot_be_split(
    hzsynth: Callable[..., commands.Outcome], tmp_path: Path
) -> None:
    (tmp_path / "photos" / "herpes_zoster").mkdir(parents=True)
    (tmp_path / "photos" / "herpes_zoster" / "a.jpg").write_bytes(_jpeg(0))
    out = tmp_path / "split"
    _refused(hzsynth("data", "split", tmp_path / "photos", "--out", out), out, "herpes_zoster")


def test_an_output_that_cannot_be_written(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    outcome = hzsynth("data", "import", "folder", folder, "--out", blocker / "set")
    assert outcome.code == 2
    assert outcome.err.strip().count("\n") == 0
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
        assert hzsynth("data", "import", "folder", folder, "--out", locked / "set").code == 2


def test_an_output_that_holds_something_else(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years")
    outcome = hzsynth("data", "import", "folder", folder, "--out", tmp_path / "taken")
    assert outcome.code == 2
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gan", "train", "{photos}", "--label", "shingles"), ("shingles", "herpes_zoster")),
        (("gan", "train", "{photos}", "--resolution", "100"), ("resolution",)),
        (("gan", "train", "{photos}", "--generator", "stylegan9"), ("generator",)),
        (("gan", "train", "{photos}", "--speed", "9"), ("--speed",)),
        (("gan", "train", "{photos}", "--device", "tpu"), ("--device", "tpu")),
        (("gan", "train", "{photos}", "--config", "{unknown}"), ("kimgs", "allowed")),
        (("gan", "train", "no-such-folder"), ("no-such-folder",)),
        (("gan", "generate", "{photos}", "--count", "4"), ("not a run directory",)),
        (("build-dataset", "{photos}", "--label", "herpes_zoster", "--ratio", "12"), ("12",)),
        (("classify", "kdect", "{photos}"), ("split",)),
        (("data", "import", "sd-198x", "{photos}"), ("sd-198x",)),
    ],
)
def test_wrong_use_is_one_sentence(
    hzsynth: Callable[..., commands.Outcome],
    folder: Any,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    unknown = tmp_path / "unknown.toml"
    unknown.write_text("kimgs = 3\n")
    filled = [a.format(photos=folder, unknown=unknown) for a in arguments]
    if arguments[:2] == ("gan", "train") and "--label" not in arguments:
        filled += ["--label", "herpes_zoster"]
    out = tmp_path / "result"
    _refused(hzsynth(*filled, "--out", out), out, *words)


def test_a_dry_run_prints_the_config_and_writes_nothing(
    hzsynth: Callable[..., commands.Outcome], folder: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    outcome = hzsynth(
        "gan", "train", folder, "--label", "herpes_zoster", "--out", out, "--dry-run", "--seed", "7"
    )
    assert outcome.code == 0
    assert "seed = 7" in outcome.out
    assert not out.exists()
