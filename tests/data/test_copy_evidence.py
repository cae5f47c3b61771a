"""What one search for copies has compared, no later one compares again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data import copy_search
from hzsynth.data.appearance import read_appearance
from hzsynth.data.config import PreprocessConfig
from hzsynth.data.copy_search import VERSION, find_copies
from hzsynth.data.duplicates import deduplicate
from hzsynth.data.importing import import_images
from hzsynth.data.inspect import inspect_images
from hzsynth.data.known_pairs import KnownPairs
from hzsynth.data.merging import merged
from hzsynth.data.preprocess_set import preprocess_images
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.data.splits import fold_images, split_images


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Names of the photographs that are looked at closely."""
    seen = []
    read = read_appearance

    def spy(root: Any, record: Any) -> Any:
        seen.append(record.file_name)
        return read(root, record)

    monkeypatch.setattr(copy_search, "read_appearance", spy)
    return seen


def _patients(path: Any, numbers: Any) -> Any:
    with ImageSetWriter(path) as writer:
        for number in numbers:
            pixels, _ = render_phantom("herpes_zoster", "western", number, 0, 96)
            writer.add(pixels, label="herpes_zoster", origin="phantom", group=f"p{number}")
    return writer.images


def test_a_set_without_copies_is_split_folded_and_inspected_unseen(
    phantoms: ImageSet, tmp_path: Path, looks: Any
) -> None:
    kept, found = deduplicate(phantoms, tmp_path / "kept")
    assert len(looks) == len(phantoms) - found.exact
    looks.clear()
    read = ImageSet.load(kept.root)
    split = split_images(read, tmp_path / "split", (50, 25, 25), seed=3)
    fold_images(split, tmp_path / "folds", 3)
    report = inspect_images(split).duplicates
    small = preprocess_images(split, PreprocessConfig(size=48), tmp_path / "small")
    assert find_copies(small).evidence is None
    assert looks == []
    assert (report.distinct, report.crops_searched) == (len(kept), True)
    forgetful = ImageSet(read.root, read.records)
    anew = split_images(forgetful, tmp_path / "anew", (50, 25, 25), seed=3)
    assert [r.split for r in anew] == [r.split for r in split]
    assert len(looks) == len(kept)
    assert len(ImageSet.load(anew.root).copy_evidence) == 1


def test_of_two_searched_sets_only_pairs_across_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = deduplicate(_patients(tmp_path / "a", (1, 2, 3)), tmp_path / "one")
    other, _ = deduplicate(_patients(tmp_path / "b", (4, 5, 3)), tmp_path / "other")
    both = import_images(merged([one.root, other.root]), tmp_path / "both").images
    for evidence in (*one.copy_evidence, *other.copy_evidence):
        assert evidence in both.copy_evidence
    compared = []

    def spy(first: Any, second: Any) -> Any:
        compared.append(1)
        return False

    monkeypatch.setattr(copy_search, "same_photograph", spy)
    monkeypatch.setattr(copy_search, "_STRUCTURE", 1.0)
    monkeypatch.setattr(copy_search, "voted_pairs", lambda looks: np.empty((0, 2), np.int64))
    found = find_copies(both)
    # Patient 3 is one file in both sets, so it was compared with all others already.
    assert found.exact == 1
    assert len(compared) == 2 * 2
    assert found.evidence is not None
    assert find_copies(ImageSet(both.root, both.records, {}, [found.evidence])).evidence is None


def test_a_copy_that_was_left_out_is_known_when_it_comes_back(tmp_path: Path, looks: Any) -> None:
    pixels, _ = render_phantom("herpes_zoster", "western", 1, 0, 96)
    with ImageSetWriter(tmp_path / "raw") as writer:
        writer.add(pixels, label="x", origin="phantom")
        writer.add(pixels[8:88, 8:88].copy(), label="x", origin="phantom")
    raw = writer.images
    kept, _ = deduplicate(raw, tmp_path / "kept")
    assert len(kept) == 1
    looks.clear()
    found = find_copies(ImageSet(raw.root, raw.records, {}, kept.copy_evidence))
    assert (found.clusters.tolist(), found.known, looks) == ([0, 0], 1, [])


@pytest.mark.parametrize("version", [VERSION, VERSION + 1])
@pytest.mark.parametrize("crops", [True, False])
def test_evidence_by_other_rules_is_passed_over(
    tmp_path: Path, looks: Any, version: Any, crops: bool
) -> None:
    images = _patients(tmp_path / "a", (1, 2))
    evidence = CopyEvidence({r.sha256: 7 for r in images}, version, crops)
    found = find_copies(ImageSet(images.root, images.records, {}, [evidence]))
    believed = version == VERSION and crops
    assert found.clusters.tolist() == ([0, 0] if believed else [0, 1])
    assert (found.evidence is None) == (looks == []) == believed
    without = find_copies(ImageSet(images.root, images.records, {}, [evidence]), crops=False)
    assert without.known == (version == VERSION)


def test_pairs_are_known_when_one_search_saw_both() -> None:
    records = [ImageRecord(name, "x", sha256=name) for name in "abcd"]
    records.append(ImageRecord("e", "x", sha256="e", parents=("older", "a")))
    records.append(ImageRecord("f", "x", sha256="f", parents=("a",), origin="cyclegan"))
    searches = [
        CopyEvidence({"a": 0, "b": 1, "c": 1}, 1, True),
        CopyEvidence({"c": 0, "d": 0}, 1, True),
    ]
    known = KnownPairs(records, searches, 1, True)
    pairs = np.array([(0, 1), (2, 3), (0, 3), (3, 3), (1, 4), (0, 5)])
    assert known.compared(pairs).tolist() == [True, True, False, True, True, False]
    assert sorted(map(tuple, np.sort(known.copies()).tolist())) == [(0, 4), (1, 2), (2, 3)]
    assert known.all_compared([0, 1, 2, 4])
    assert not known.all_compared([0, 1, 3])
    assert known.all_compared([5])
    nothing = KnownPairs(records, searches, 2, True)
    assert not nothing.all_compared([0, 1])
    assert len(nothing.copies()) == 0
