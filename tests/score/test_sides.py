"""Held-out photographs are what a set is compared with, unless there are none."""

from pathlib import Path

import numpy as np
import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.score.sides import choose_sides


def photographs(*splits: str) -> ImageSet:
    records = [
        ImageRecord(f"{i}.png", "zoster", split=s, sha256=str(i)) for i, s in enumerate(splits)
    ]
    return ImageSet(Path(), records)


def test_held_out_rows_are_compared_with_by_default() -> None:
    sides = choose_sides(photographs("train", "val", "test", "train"), "held-out")
    assert np.flatnonzero(sides.reference).tolist() == [1, 2]
    assert np.flatnonzero(sides.members).tolist() == [0, 3]
    assert sides.remarks == ()
    assert np.flatnonzero(choose_sides(photographs("train", "test"), "test").reference) == [1]


@pytest.mark.parametrize(("splits", "members"), [(("", ""), 2), (("train", "train"), 2)])
def test_without_held_out_photographs_all_are_compared_with_and_it_is_said(
    splits: tuple[str, ...], members: int
) -> None:
    sides = choose_sides(photographs(*splits), "held-out")
    assert sides.reference.all()
    assert sides.members.sum() == members
    assert "a copier looks perfect" in sides.remarks[0]


def test_test_rows_alone_have_no_members_and_an_empty_part_is_refused() -> None:
    assert not choose_sides(photographs("test", "test"), "held-out").members.any()
    with pytest.raises(InputError, match="`split` val is empty in `real`, which has test"):
        choose_sides(photographs("test"), "val")
