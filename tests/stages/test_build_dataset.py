"""A training set's description is published with it, or neither is."""

import json
from pathlib import Path

import pytest

import hzsynth as hz
from hzsynth.core.image_set import ImageSet
from hzsynth.stages import build_dataset as stage


@pytest.fixture
def parts(tmp_path: Path) -> ImageSet:
    patients = {"eczema": 8, "herpes_zoster": 8}
    images = hz.phantom(tmp_path / "set", patients=patients, size=16, progress=False)
    return hz.split(images, tmp_path / "split", workers=1, progress=False)


def _build(parts: ImageSet, out: Path) -> ImageSet:
    return hz.build_dataset(
        parts, [], out, label="herpes_zoster", ratio=0, multiplier=2, workers=1, progress=False
    )


def test_the_description_is_published_with_the_set(parts: ImageSet, tmp_path: Path) -> None:
    built = _build(parts, tmp_path / "mixture")
    described = json.loads((built.root / stage.DESCRIPTION).read_text(encoding="utf-8"))
    assert described["made_of"]["herpes_zoster"].keys() == {"phantom"}
    assert (built.root / stage.SHEET).is_file()
    assert stage.mixture_sentence(built).startswith("No synthetic images")
    assert ImageSet.load(built.root).digest == built.digest


def test_nothing_is_published_when_describing_fails(
    parts: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise hz.InputError("no weights")

    monkeypatch.setattr(stage, "describe_mixture", fails)
    with pytest.raises(hz.InputError, match="no weights"):
        _build(parts, tmp_path / "mixture")
    assert not (tmp_path / "mixture").exists()


def test_an_unknown_filter_is_refused(parts: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(hz.InputError, match="`keep` is one of none, plausible, authentic, both"):
        hz.build_dataset(parts, [], tmp_path / "x", keep="some", progress=False)  # type: ignore[arg-type]
