"""Runs must fit the sets: nobody's training photograph is held out, and none is outside."""

from pathlib import Path

import pytest

from hzsynth.audit.training_lists import check_training_lists
from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import TrainingImage
from tests.audit.greys import trained_on, write


def test_a_run_must_fit_the_sets(tmp_path: Path) -> None:
    train = write(tmp_path / "train", [100] * 10)
    held_out = write(tmp_path / "held-out", [100] * 9)
    lists = {"gan-test": trained_on(train)}
    assert check_training_lists(lists, train, held_out.records, ["gan-test"]) == ()
    part = train.replace_records(train.records[2:])
    with pytest.raises(RefusedError, match="2 of 10 photographs outside `train`"):
        check_training_lists(lists, part, held_out.records, ["gan-test"])
    (remark,) = check_training_lists(lists, part, held_out.records, [])
    assert "not looked for" in remark
    stranger = held_out.records[0]
    for image, how in (
        (TrainingImage(stranger.sha256, "", ""), "was in"),
        (TrainingImage("0" * 64, "", stranger.group), "shows a patient"),
        (TrainingImage("0" * 64, stranger.phash, ""), "near-duplicate"),
    ):
        with pytest.raises(RefusedError, match=how):
            check_training_lists({"r": (image,)}, train, held_out.records, [])
