"""Members are those of the lists, held-out photographs those of the generated classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.audit.division import divide_photographs
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from tests.audit.greys import trained_on, write


def collection(path: Path) -> ImageSet:
    """Twenty photographs of each of two classes, twelve of them for training."""
    rng = np.random.default_rng(0)
    with ImageSetWriter(path) as writer:
        for number in range(40):
            writer.add(
                rng.integers(0, 256, (24, 24, 3), dtype=np.uint8),
                label="zoster" if number % 2 else "normal",
                split="train" if number < 24 else "val" if number < 32 else "test",
                group=f"patient-{number}",
                origin="real",
            )
    return writer.images


def made(path: Path, label: str = "zoster", run: str = "gan-a") -> ImageSet:
    rng = np.random.default_rng(1)
    with ImageSetWriter(path) as writer:
        for seed in range(8):
            picture = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            writer.add(picture, label=label, origin="stylegan2", run=run, seed=seed)
    return writer.images


def test_only_the_generated_class_is_compared(tmp_path: Path) -> None:
    photographs = collection(tmp_path / "set")
    zoster = photographs.select("train", "zoster")
    # Two of the training photographs only watched: they are neither members nor new.
    learned = trained_on(zoster.replace_records(zoster.records[2:]))
    found = divide_photographs(made(tmp_path / "fake"), photographs, {"gan-a": learned})
    assert [r.sha256 for r in found.members] == [r.sha256 for r in zoster.records[2:]]
    assert {r.label for r in found.held_out} == {"zoster"}
    assert {r.split for r in found.held_out} == {"val", "test"}
    assert found.remarks == ()


def test_what_the_lists_leave_open_is_said(tmp_path: Path) -> None:
    photographs = collection(tmp_path / "set")
    found = divide_photographs(made(tmp_path / "fake"), photographs, {})
    assert {(r.label, r.split) for r in found.members} == {("zoster", "train")}
    assert "no list says what the run gan-a learned from" in found.remarks[0]


def test_sets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    photographs = collection(tmp_path / "set")
    fake = made(tmp_path / "fake")
    elsewhere = (TrainingImage("1" * 64, "", ""),)
    with pytest.raises(RefusedError, match="1 of 1 photographs outside `train`"):
        divide_photographs(fake, photographs, {"gan-a": elsewhere})
    init = divide_photographs(
        fake,
        photographs,
        {"gan-a": trained_on(photographs.select("train")), "gan-init": elsewhere},
    )
    assert "the run gan-init learned from 1 of 1" in init.remarks[0]
    with pytest.raises(InputError, match="holds none of eczema"):
        divide_photographs(made(tmp_path / "other", "eczema"), photographs, {})


def test_a_run_must_fit_the_sets(tmp_path: Path) -> None:
    train = write(tmp_path / "train", [100] * 10)
    held_out = write(tmp_path / "held-out", [100] * 9)
    fake = made(tmp_path / "fake", run="gan-test")
    lists = {"gan-test": trained_on(train)}

    def divided(
        photographs: ImageSet, lists: dict[str, Any], complete: tuple[str, ...] = ()
    ) -> Any:
        return divide_photographs(fake, photographs, lists, held_out=held_out, complete=complete)

    assert divided(train, lists, ("gan-test",)).remarks == ()
    part = train.replace_records(train.records[2:])
    with pytest.raises(RefusedError, match="2 of 10 photographs outside `train`"):
        divided(part, lists, ("gan-test",))
    (remark,) = divided(part, lists).remarks
    assert "not looked for" in remark
    stranger = held_out.records[0]
    for image, how in (
        (TrainingImage(stranger.sha256, "", ""), "has seen the same file"),
        (TrainingImage("0" * 64, "", stranger.group), "has seen a photograph of the same patient"),
        (TrainingImage("0" * 64, stranger.phash, ""), "has seen a near-duplicate"),
    ):
        with pytest.raises(RefusedError, match=how):
            divided(train, {"r": (image,)})
