from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hzsynth.core.ancestors import Ancestor
from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned, check_lineage, learned_from
from hzsynth.core.phash import perceptual_hash


def _hash(seed: int, flipped: bool = False) -> str:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64, 3)), (3, 3, 0))
    picture = np.clip(128 + 60 * noise / noise.std(), 0, 255).astype(np.uint8)
    return perceptual_hash(picture[:, ::-1].copy() if flipped else picture)


def _photo(
    name: str, split: str, group: str = "", phash: str = "", parents: Sequence[str] = ()
) -> ImageRecord:
    return ImageRecord(
        f"{name}.jpg", "x", split, group, sha256=name, phash=phash, parents=tuple(parents)
    )


def _made(name: str, run: str = "", parents: Sequence[str] = ()) -> ImageRecord:
    return ImageRecord(
        f"{name}.png",
        "x",
        split="train",
        origin="stylegan2",
        sha256=name,
        run=run,
        parents=tuple(parents),
    )


def _check(
    train: Iterable[ImageRecord],
    held_out: Iterable[ImageRecord],
    lineage: Mapping[str, tuple[TrainingImage, ...]] | None = None,
    ancestors: Iterable[Ancestor] = (),
    copies: Iterable[CopyEvidence] = (),
) -> None:
    learned = ImageSet("train", train, lineage or {}, copies, ancestors)
    check_lineage([learned], [ImageSet("held-out", held_out)])


TEST_PHOTO = _photo("t", "test", group="patient-9", phash=_hash(1))


@pytest.mark.parametrize(
    ("seen", "how"),
    [
        (TrainingImage("t", "", ""), "the same file"),
        (TrainingImage("u", _hash(1, flipped=True), ""), "near-duplicate"),
        (TrainingImage("u", _hash(2), "patient-9"), "same patient"),
        (TrainingImage("u", _hash(2), "patient-9", role="watched"), "same patient"),
    ],
)
def test_a_generator_that_saw_a_test_photograph_is_refused(seen: TrainingImage, how: str) -> None:
    clean = TrainingImage("c", _hash(3), "patient-1")
    with pytest.raises(RefusedError, match=how):
        _check([_made("fake", run="gan-1")], [TEST_PHOTO], {"gan-1": (clean, seen)})
    _check([_made("fake", run="gan-1")], [TEST_PHOTO], {"gan-1": (clean,)})


def test_the_ancestry_is_followed_through_translated_and_augmented_images() -> None:
    fake = _made("fake", run="gan-1")
    translated = _made("translated", run="cyclegan-1", parents=("fake",))
    augmented = _made("augmented", parents=("translated",))
    lists = {"gan-1": (TrainingImage("t", "", ""),), "cyclegan-1": ()}
    with pytest.raises(RefusedError, match="augmented"):
        _check([augmented, translated, fake], [TEST_PHOTO], lists)
    _check([augmented, translated, fake], [TEST_PHOTO], {**lists, "gan-1": ()})


def test_a_translated_image_is_followed_although_what_was_translated_is_not_there() -> None:
    """The README's path: of the generated image only a row travels."""
    translated = _made("translated", run="cyclegan-1", parents=("fake",))
    row = Ancestor.of(_made("fake", run="gan-1"))
    lists = {"gan-1": (TrainingImage("t", "", ""),), "cyclegan-1": ()}
    with pytest.raises(RefusedError, match=r"'translated.png' descends from the same file"):
        _check([translated], [TEST_PHOTO], lists, [row])
    _check([translated], [TEST_PHOTO], {**lists, "gan-1": ()}, [row])
    with pytest.raises(RefusedError, match="image fake, of which neither its set nor a list"):
        _check([translated], [TEST_PHOTO], {**lists, "gan-1": ()})


def test_a_direct_parent_in_the_test_set_is_refused_even_when_it_is_not_in_the_table() -> None:
    with pytest.raises(RefusedError, match="same file"):
        _check([_made("augmented", parents=("t",))], [TEST_PHOTO])


def test_a_generator_without_its_list_cannot_be_proven() -> None:
    with pytest.raises(RefusedError, match="run gan-1, whose list.* cannot be proven"):
        _check([_made("fake", run="gan-1")], [TEST_PHOTO])


def test_images_of_somebody_elses_generator_cannot_be_proven() -> None:
    with pytest.raises(RefusedError, match=r"'foreign.*unknown"):
        _check([_made("foreign")], [TEST_PHOTO])


def test_evaluation_is_on_photographs_only() -> None:
    with pytest.raises(RefusedError, match="real photographs only"):
        _check([], [replace(TEST_PHOTO, origin="augmented")])


def test_raw_and_clean_versions_of_a_photograph_are_one() -> None:
    raw, clean = _photo("raw", "train"), _photo("clean", "train", parents=("raw",))
    held_raw, held_clean = replace(raw, split="test"), replace(clean, split="test")
    other = replace(clean, sha256="other", file_name="other.jpg")
    rows = [Ancestor.of(raw)]
    for train, held_out in ((clean, held_raw), (raw, held_clean), (other, held_clean)):
        with pytest.raises(RefusedError, match="same file"):
            check_lineage(
                [ImageSet("train", [train], ancestors=rows)],
                [ImageSet("held-out", [held_out], ancestors=rows)],
            )


def test_the_file_that_an_import_decoded_is_known_by_its_digest_only() -> None:
    photo = _photo("decoded", "train", parents=("file",))
    _check([photo], [TEST_PHOTO])
    with pytest.raises(RefusedError, match="same file"):
        _check([photo], [_photo("again", "test", parents=("file",))])


def test_copies_that_a_search_has_found_are_one_photograph() -> None:
    evidence = CopyEvidence({"kept": 0, "left out": 0, "another": 1}, 1, False)
    with pytest.raises(RefusedError, match="same file"):
        _check([_photo("kept", "train")], [_photo("left out", "test")], copies=[evidence])
    _check([_photo("kept", "train")], [_photo("another", "test")], copies=[evidence])


def test_a_patient_is_known_by_every_name_that_its_photographs_have() -> None:
    """Two sets were merged, which put their names before the patients'."""
    seen = TrainingImage("x", "", "7", source="A")
    merged = [
        ImageRecord("y", "x", "test", group="A/7", source="A", sha256="y"),
        ImageRecord("z", "x", "test", group="B/7", source="B", sha256="z"),
    ]
    check_learned("gan-1", [seen], [ImageSet("merged", merged[1:])])
    with pytest.raises(RefusedError, match="same patient"):
        check_learned("gan-1", [seen], [ImageSet("merged", merged)])
    nameless = replace(seen, source="")
    x = ImageRecord("x", "x", "test", group="A/7", source="A", sha256="elsewhere")
    check_learned("gan-1", [nameless], [ImageSet("merged", [x])])
    with pytest.raises(RefusedError, match="same"):
        check_learned("gan-1", [nameless], [ImageSet("merged", [replace(x, sha256="x")])])


def test_patients_numbered_alike_in_two_data_sets_are_told_apart_by_a_merge() -> None:
    """Nobody can know whether they are the same before; the sentence says what to do."""
    ours = ImageRecord("a", "x", "train", group="7", source="A", sha256="a")
    theirs = ImageRecord("b", "x", "test", group="7", source="B/phone", sha256="b")
    with pytest.raises(RefusedError, match=r"patient \(7\) .* A and B/phone number .*data merge"):
        _check([ours], [theirs])
    _check([replace(ours, group="A/7")], [replace(theirs, group="B/7")])
    with pytest.raises(RefusedError, match="train split$"):
        _check([ours], [replace(theirs, source="A/phone")])


def test_validation_photographs_validate_again_and_test_nothing() -> None:
    seen = [TrainingImage("l", "", "1"), TrainingImage("v", "", "2", "validated")]
    again = [ImageRecord(n, "x", "val", group="2", sha256=n) for n in ("v", "w")]
    check_learned("classifier", seen, [ImageSet("set", again)])
    fake = [_made("fake", run="translator")]
    translator = ImageSet("made", fake, {"translator": learned_from([], seen)})
    check_lineage([translator], [ImageSet("set", again)])
    for record in again:
        tested = [ImageSet("set", [replace(record, split="test")])]
        with pytest.raises(RefusedError, match="the test photograph"):
            check_learned("classifier", seen, tested)
        with pytest.raises(RefusedError, match="the test photograph"):
            check_lineage([translator], tested)
    with pytest.raises(RefusedError, match="the val photograph"):
        check_learned("classifier", seen, [ImageSet("set", [replace(again[0], group="1")])])
    listed = learned_from([translator])
    assert {image.sha256: image.role for image in listed} == {
        "fake": "learned",
        "l": "ancestor",
        "v": "validated",
    }


def test_a_list_holds_what_stands_behind_its_images() -> None:
    fake = _made("fake", run="gan-1")
    photo = _photo("p", "train", group="1", parents=("raw",))
    images = ImageSet(
        "mixture",
        [photo, _made("translated", run="cyclegan-1", parents=("fake",))],
        {"gan-1": (TrainingImage("g", "", ""),), "cyclegan-1": (TrainingImage("c", "", ""),)},
        ancestors=[Ancestor.of(fake), Ancestor("raw", group="1")],
    )
    listed = learned_from([images], [TrainingImage("before", "", "")])
    assert {image.sha256: image.role for image in listed} == {
        "p": "learned",
        "translated": "learned",
        "raw": "ancestor",
        "fake": "ancestor",
        "g": "ancestor",
        "c": "ancestor",
        "before": "inherited",
    }
