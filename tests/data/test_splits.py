"""No patient and no photograph crosses, every class is everywhere, shares are near."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import check_lineage
from hzsynth.data.division import assign_units
from hzsynth.data.splits import few_patients, fold_images, inseparable_units, split_images

IMAGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 30)),
    min_size=12,
    max_size=60,
)


def _records(rows: Any) -> Any:
    return [
        ImageRecord(file_name=f"{i}.png", label=label, group=f"p{group}" if group else "")
        for i, (label, group, _) in enumerate(rows)
    ]


@given(rows=IMAGES, seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_group_and_no_photograph_crosses(rows: Any, seed: Any) -> None:
    records = _records(rows)
    photographs = np.array([photograph for _, _, photograph in rows])
    units = inseparable_units(records, photographs)
    try:
        part = assign_units([r.label for r in records], units, (70, 15, 15), seed)
    except InputError:
        # Too few units: then no division exists, or at least one class has fewer than three.
        assume(False)
    for key in ([r.group for r in records], photographs.tolist()):
        seen: dict[Any, Any] = {}
        for name, number in zip(key, part.tolist(), strict=True):
            if name != "":
                assert seen.setdefault(name, number) == number
    for label in {r.label for r in records}:
        held = {p for p, r in zip(part.tolist(), records, strict=True) if r.label == label}
        assert held == {0, 1, 2}


@given(
    counts=st.lists(st.integers(20, 60), min_size=2, max_size=5),
    seed=st.integers(0, 3),
)
@settings(max_examples=8, deadline=None)
def test_single_images_are_dealt_as_asked(counts: Any, seed: Any) -> None:
    labels = [str(i) for i, count in enumerate(counts) for _ in range(count)]
    part = assign_units(labels, np.arange(len(labels)), (70, 15, 15), seed)
    for i, count in enumerate(counts):
        held = np.bincount(part[np.array(labels) == str(i)], minlength=3)
        assert np.abs(held - np.array([0.7, 0.15, 0.15]) * count).max() <= 1.0


SIZES = [
    [6, 5, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1],
    [1] * 12,
    [2] * 13,
    [3] * 15,
    [10] + [1] * 11,
    [8, 8] + [1] * 12,
    [5, 4, 3, 2, 1] * 3,
    [4] * 6 + [1] * 6,
    [12, 6, 3, 2] + [1] * 8,
    [20] + [2] * 14,
    [30, 10, 5, 3] + [1] * 20,
]


def _tested(sizes: Any, seeds: Any) -> Any:
    labels, units = ["z"] * sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    parts = [assign_units(labels, units, (70, 15, 15), seed) for seed in seeds]
    return [frozenset(units[part == 2].tolist()) for part in parts]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_patient_is_tested_in_some_of_many_divisions(sizes: Any) -> None:
    tested = _tested(sizes, range(60))
    assert len(set(tested)) >= 40
    assert set().union(*tested) == set(range(len(sizes)))


def test_every_patient_is_as_likely_to_be_tested() -> None:
    sizes, draws = [4, 3, 3, 2, 2, 2] + [1] * 10, 400
    tested = _tested(sizes, range(draws))
    chances = np.mean([[unit in test for unit in range(len(sizes))] for test in tested], axis=0)
    # Three standard errors of a frequency of .15 and a little for the tolerance.
    assert np.abs(chances - 0.15).max() < 3 * np.sqrt(0.15 * 0.85 / draws) + 0.02
    patients = [len(test) for test in tested]
    assert np.mean(patients) == pytest.approx(0.15 * len(sizes), abs=0.2)


def test_a_part_holds_a_unit_even_where_its_share_is_smaller() -> None:
    for seed in range(20):
        part = assign_units(["z"] * 4, np.arange(4), (98, 1, 1), seed)
        assert np.bincount(part).tolist() == [2, 1, 1]


def test_images_made_from_one_photograph_stay_together() -> None:
    records = [
        ImageRecord("whole.png", "a", sha256="p"),
        ImageRecord("left.png", "a", sha256="l", parents=("p",)),
        ImageRecord("right.png", "a", sha256="r", parents=("p",)),
        ImageRecord("other.png", "a", sha256="o", parents=("q",)),
    ]
    assert inseparable_units(records).tolist() == [0, 0, 0, 1]


def test_classes_of_few_patients_are_named_with_the_numbers() -> None:
    records = [
        ImageRecord(
            f"{split}{i}.png",
            label,
            split,
            group=f"{split}{i % patients}",
            sha256=f"{split}{i}{label}",
        )
        for split, label, images, patients in (
            ("train", "zoster", 12, 6),
            ("test", "zoster", 7, 2),
            ("train", "eczema", 9, 9),
            ("test", "eczema", 5, 5),
        )
        for i in range(images)
    ]
    assert few_patients(ImageSet("set", records)) == (
        "'zoster' comes from fewer than 5 patients in test 2 (7 images): figures there say little of other patients",
    )


def test_units_join_in_chains() -> None:
    rows = [("a", 1, 10), ("a", 1, 11), ("a", 2, 11), ("a", 0, 12), ("a", 0, 13)]
    units = inseparable_units(_records(rows), np.array([r[2] for r in rows]))
    assert units.tolist() == [0, 0, 0, 1, 2]


def test_too_few_patients_are_refused_with_the_numbers() -> None:
    records = _records([("a", i, i) for i in range(1, 9)] + [("b", 20, 40), ("b", 20, 41)])
    units = inseparable_units(records)
    with pytest.raises(InputError, match=r"'b'.*2 images.*1 separate.*3 are needed"):
        assign_units([r.label for r in records], units, (1, 1, 1), 0)


def test_patients_with_several_classes_are_dealt() -> None:
    labels = ["a", "b", "a", "a", "b", "b"]
    units = np.array([0, 0, 1, 2, 3, 4])
    part = assign_units(labels, units, (1, 1, 1), 0)
    for label in "ab":
        held = {p for p, name in zip(part.tolist(), labels, strict=True) if name == label}
        assert held == {0, 1, 2}


def test_a_knot_that_cannot_be_divided_is_refused() -> None:
    # Patients 0, 1, 2 hold a; 0, 1, 3 hold b; so 2 and 3 share a part; but 0, 2, 3 hold c.
    labels = ["a", "b", "c", "a", "b", "a", "c", "b", "c"]
    units = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    with pytest.raises(InputError, match=r"no division into 3 parts .*\(4 of 4 .*a 3, b 3, c 3\)"):
        assign_units(labels, units, (1, 1, 1), 0)


def test_a_set_is_split_and_lineage_agrees(phantoms: ImageSet, tmp_path: Path) -> None:
    done = split_images(phantoms, tmp_path / "split", seed=1)
    assert len(done) == len(phantoms)
    assert ImageSet.load(tmp_path / "split").records == done.records
    assert {r.split for r in phantoms} == {""}
    assert sorted(r.sha256 for r in done) == sorted(r.sha256 for r in phantoms)
    train, test = done.select(split="train"), done.select(split="test")
    check_lineage([train], [done.held_out_part()])
    assert train.labels == test.labels == done.select(split="val").labels == done.labels


def test_the_seed_decides(phantoms: ImageSet, tmp_path: Path) -> None:
    splits = [
        [r.split for r in split_images(phantoms, tmp_path / str(i), seed=seed)]
        for i, seed in enumerate((0, 0, 1))
    ]
    assert splits[0] == splits[1] != splits[2]


def test_folds_test_every_image_once(phantoms: ImageSet, tmp_path: Path) -> None:
    folds = fold_images(phantoms, tmp_path / "folds", 3)
    tested = [r.sha256 for fold in folds for r in fold if r.split == "test"]
    assert sorted(tested) == sorted(r.sha256 for r in phantoms)
    for fold in folds:
        groups = [{r.group for r in fold if r.split == s and r.group} for s in ("train", "test")]
        assert not groups[0] & groups[1]


@pytest.mark.parametrize("ratios", [(70, 30, 0), (1, -1, 1), (float("nan"), 1, 1), (1, 1)])
def test_wrong_ratios_are_refused(
    phantoms: ImageSet, tmp_path: Path, ratios: tuple[Any, ...]
) -> None:
    with pytest.raises(InputError, match="ratios"):
        split_images(phantoms, tmp_path / "out", ratios)


def test_two_folds_are_refused(phantoms: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folds"):
        fold_images(phantoms, tmp_path / "out", 2)


def test_made_images_are_not_split(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "set") as writer:
        writer.add(np.zeros((8, 8, 3), np.uint8), label="a", origin="stylegan2", run="r")
    with pytest.raises(InputError, match="stylegan2"):
        split_images(writer.images, tmp_path / "out")
