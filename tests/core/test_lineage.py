from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.lineage import check_lineage
from hzsynth.core.phash import perceptual_hash


def _hash(seed: Any, flipped: Any = False) -> Any:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64, 3)), (3, 3, 0))
    picture = np.clip(128 + 60 * noise / noise.std(), 0, 255).astype(np.uint8)
    return perceptual_hash(picture[:, ::-1].copy() if flipped else picture)


def _photo(name: Any, split: Any, group: Any = "", phash: Any = "") -> Any:
    return ImageRecord(f"{name}.jpg", "x", split=split, sha256=name, group=group, phash=phash)


def _made(name: Any, run: Any = "", parents: Any = ()) -> Any:
    return ImageRecord(
        f"{name}.png", "x", split="train", origin="stylegan2", sha256=name, run=run, parents=parents
    )


TEST_PHOTO = _photo("t", "test", group="patient-9", phash=_hash(1))


@pytest.mark.parametrize(
    ("seen", "how"),
    [
        (TrainingImage("t", "", ""), "the same file"),
        (TrainingImage("u", _hash(1, flipped=True), ""), "near-duplicate"),
        (TrainingImage("u", _hash(2), "patient-9"), "same patient"),
    ],
)
def test_a_generator_that_saw_a_test_photograph_is_refused(seen: Any, how: str) -> None:
    clean = TrainingImage("c", _hash(3), "patient-1")
    with pytest.raises(RefusedError, match=how):
        check_lineage([_made("fake", run="gan-1")], [TEST_PHOTO], {"gan-1": (clean, seen)})
    check_lineage([_made("fake", run="gan-1")], [TEST_PHOTO], {"gan-1": (clean,)})


def test_the_ancestry_is_followed_through_translated_and_augmented_images() -> None:
    fake = _made("fake", run="gan-1")
    translated = _made("translated", run="cyclegan-1", parents=("fake",))
    augmented = _made("augmented", parents=("translated",))
    lists = {"gan-1": (TrainingImage("t", "", ""),), "cyclegan-1": ()}
    with pytest.raises(RefusedError, match="augmented"):
        check_lineage([augmented, translated, fake], [TEST_PHOTO], lists)
    check_lineage([augmented, translated, fake], [TEST_PHOTO], {**lists, "gan-1": ()})


def test_a_direct_parent_in_the_test_set_is_refused_even_when_it_is_not_in_the_table() -> None:
    with pytest.raises(RefusedError, match="same file"):
        check_lineage([_made("augmented", parents=("t",))], [TEST_PHOTO], {})


def test_a_generator_without_its_list_cannot_be_proven() -> None:
    with pytest.raises(RefusedError, match="cannot be proven"):
        check_lineage([_made("fake", run="gan-1")], [TEST_PHOTO], {})


def test_images_of_somebody_elses_generator_cannot_be_proven() -> None:
    with pytest.raises(RefusedError, match=r"'foreign.*unknown"):
        check_lineage([_made("foreign")], [TEST_PHOTO], {})


def test_evaluation_is_on_photographs_only() -> None:
    with pytest.raises(RefusedError, match="real photographs only"):
        check_lineage([], [replace(TEST_PHOTO, origin="augmented")], {})


@given(st.data())
def test_random_families_no_leak_passes_and_no_clean_set_is_refused(data: Any) -> None:
    """An independent answer: a reachability search over the same random family."""
    held_out = [_photo(f"h{i}", "test", group=f"g{i}") for i in range(3)]
    names = [f"r{i}" for i in range(4)]
    photos = [_photo(n, "train", group=f"p{n}") for n in names]
    runs = {
        f"run{i}": tuple(
            data.draw(st.lists(st.sampled_from([*photos, *held_out]), max_size=2), label=f"run{i}")
        )
        for i in range(2)
    }
    made: list[ImageRecord] = []
    leaks = {h.sha256 for h in held_out}
    for i in range(5):
        parents = data.draw(st.lists(st.sampled_from([*photos, *made]), max_size=2))
        run = data.draw(st.sampled_from(["", "run0", "run1"]))
        child = _made(f"m{i}", run=run, parents=tuple(p.sha256 for p in parents))
        if any(p.sha256 in leaks for p in parents) or any(
            p.sha256 in leaks for p in runs.get(run, ())
        ):
            leaks.add(child.sha256)
        if not run and not parents:
            # Made by nobody knows what: it cannot be proven clean either.
            leaks.add(child.sha256)
        made.append(child)
    train = [*photos, *made]
    lineage = {
        run: tuple(TrainingImage(p.sha256, p.phash, p.group) for p in seen)
        for run, seen in runs.items()
    }
    if any(record.sha256 in leaks for record in train):
        with pytest.raises(RefusedError):
            check_lineage(train, held_out, lineage)
    else:
        check_lineage(train, held_out, lineage)
