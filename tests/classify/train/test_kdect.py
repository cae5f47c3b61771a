import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.classify.models import MODEL, load_classifier
from hzsynth.classify.train.config import KdectConfig
from hzsynth.classify.train.kdect import KdectResult, order_teachers, train_kdect
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from tests.classify.conftest import MODEL as TINY
from tests.classify.conftest import OTHER, StopsAt, add_photographs, kdect_config, spotted

from .test_classifier import assert_equal_runs


def train(
    path: Path, images: ImageSet, config: KdectConfig, force: bool = False, **options: Any
) -> KdectResult:
    with RunDir.start(path, "kdect", config, {"images": images.digest}, force=force) as run:
        return train_kdect(images, config, run, **options)


def test_the_whole_path_trains_orders_and_teaches(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    config = kdect_config(weights)
    result = train(tmp_path / "run", photographs, config)
    weak, strong = result.weak_to_strong
    assert {weak, strong} == {TINY, OTHER}
    assert result.stages == ((), (weak,), (weak, strong))
    for name in (weak, strong):
        teacher = RunDir.load(tmp_path / "run" / "teachers" / name, "classify")
        assert teacher.result["validation"] == result.teachers[name]
        assert load_classifier(teacher).model == name
    assert result.steps == 3 * config.stage_steps
    assert result.best_step > 2 * config.stage_steps  # chosen among those the ensemble taught
    phases_of_all = f"{weak} + {strong}"
    phases = dict.fromkeys(m["phase"] for m in result.run.metrics())
    assert list(phases) == ["linear probing", "cross-entropy", weak, phases_of_all]
    parts = {m["phase"]: {"label_loss", "teacher_loss"} <= m.keys() for m in result.run.metrics()}
    assert parts == {
        "linear probing": False,
        "cross-entropy": False,
        weak: True,
        phases_of_all: True,
    }
    for line in result.run.metrics():
        if parts[line["phase"]]:
            whole = (1 - config.alpha) * line["label_loss"] + config.alpha * line["teacher_loss"]
            assert line["loss"] == pytest.approx(whole, rel=1e-5)
    student = load_classifier(result.run)
    assert (student.model, student.label) == (TINY, "zoster")
    answers = student.probabilities(load_pixels(photographs.select(split="test"), 32))
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    assert result.run.result == json.loads(json.dumps(result.to_json()))
    roles = Counter(image.role for image in result.run.training_images())
    assert roles == {"learned": 16, "validated": 6}


@pytest.mark.parametrize(
    ("job", "step", "left"),
    [
        (f"training the teacher {TINY}", 2, 4),  # in the linear phase of the first teacher
        (f"training the teacher {OTHER}", 4, 2),  # in the full phase of the second one
        ("training the student", 1, 11),  # linear probing
        ("training the student", 4, 8),  # between two stages
        ("training the student", 10, 2),  # the whole ensemble teaches
    ],
)
def test_an_interrupted_run_ends_bitwise_as_an_uninterrupted_one(
    tmp_path: Path, photographs: ImageSet, weights: Path, job: str, step: int, left: int
) -> None:
    config = kdect_config(weights)
    whole = train(tmp_path / "whole", photographs, config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", photographs, config, progress=StopsAt(job, step))
    rest = StopsAt(job)
    resumed = train(tmp_path / "cut", photographs, config, progress=rest)
    assert rest.steps == left
    for name in (TINY, OTHER):
        assert_equal_runs(*(RunDir.load(r.run.path / "teachers" / name) for r in (whole, resumed)))
    assert_equal_runs(whole.run, resumed.run)


def test_a_finished_teacher_is_never_trained_again_but_a_forced_run_starts_anew(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    config = kdect_config(weights)
    stops = StopsAt("training the student", 2)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", photographs, config, progress=stops)
    teacher = f"training the teacher {TINY}"
    files = [tmp_path / "run" / "teachers" / name / MODEL for name in (TINY, OTHER)]
    before = [file.stat().st_mtime_ns for file in files]
    second = StopsAt("training the student")
    train(tmp_path / "run", photographs, config, progress=second)
    assert second.jobs == ["training the student"]
    assert [file.stat().st_mtime_ns for file in files] == before
    other = kdect_config(weights, teacher_steps=3)
    forced = StopsAt(teacher)
    train(tmp_path / "run", photographs, other, force=True, progress=forced)
    assert forced.steps == 3
    assert len(forced.jobs) == 3


@pytest.mark.parametrize("order", ["strong-to-weak", "all-at-once"])
def test_every_order_makes_the_same_number_of_steps(
    tmp_path: Path, photographs: ImageSet, weights: Path, order: str
) -> None:
    config = kdect_config(weights, teacher_order=order, teacher_view="noisy")
    result = train(tmp_path / "run", photographs, config)
    assert result.steps == 12
    weak, strong = result.weak_to_strong
    stages = {
        "strong-to-weak": ((), (strong,), (strong, weak)),
        "all-at-once": ((), (weak, strong)),
    }
    assert result.stages == stages[order]


def test_the_switches_change_the_student_but_not_the_teachers(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    settings: dict[str, dict[str, Any]] = {
        "ramp": {},
        "none": {"input_noise": "none"},
        "noisy": {"teacher_view": "noisy"},
    }
    losses = {}
    for name, changes in settings.items():
        config = kdect_config(weights, teachers=[OTHER], noise_strength=1.0, **changes)
        run = train(tmp_path / name, photographs, config).run
        losses[name] = [m["loss"] for m in run.metrics()]
    assert losses["ramp"][0] == losses["none"][0]  # linear probing sees no corruption
    assert losses["ramp"][-1] != losses["none"][-1]
    assert losses["ramp"][-1] != losses["noisy"][-1]


def test_without_pretrained_weights_everything_is_fully_trained(
    tmp_path: Path, photographs: ImageSet
) -> None:
    result = train(tmp_path / "run", photographs, kdect_config(None, teachers=[OTHER]))
    assert result.run.metrics()[0]["phase"] == "cross-entropy"
    teacher = RunDir.load(tmp_path / "run" / "teachers" / OTHER)
    assert {m["phase"] for m in teacher.metrics()} == {"full fine-tuning"}


def test_teachers_are_ordered_by_f1_then_by_loss() -> None:
    scores = {
        "strong": {"macro_f1": 0.9, "loss": 0.9},
        "weak": {"macro_f1": 0.5, "loss": 0.1},
        "middle-unsure": {"macro_f1": 0.7, "loss": 0.6},
        "middle-sure": {"macro_f1": 0.7, "loss": 0.4},
    }
    expected = ("weak", "middle-unsure", "middle-sure", "strong")
    assert order_teachers(scores) == expected


# --- refusals


def _with_generated(path: Path, seen: TrainingImage) -> ImageSet:
    with ImageSetWriter(path) as writer:
        add_photographs(writer)
        for seed in range(4):
            writer.add(
                spotted(900 + seed, "zoster"),
                label="zoster",
                split="train",
                origin="stylegan2",
                run="gan-1",
                seed=str(seed),
            )
        writer.add_lineage("gan-1", [seen])
    return writer.images


def _turned_copy(path: Path) -> ImageSet:
    """A training photograph that is a mirrored test photograph, re-saved under another patient."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 3)), (3, 3, 0))
    picture = np.clip(128 + 60 * noise / noise.std(), 0, 250).astype(np.uint8)
    with ImageSetWriter(path) as writer:
        add_photographs(writer)
        writer.add(picture, label="zoster", split="test", group="x", origin="real")
        mirrored = np.ascontiguousarray(picture[:, ::-1]) + np.uint8(3)
        writer.add(mirrored, label="zoster", split="train", group="y", origin="real")
    return writer.images


def _same_patient(path: Path) -> ImageSet:
    with ImageSetWriter(path) as writer:
        add_photographs(writer)
    test = writer.images.select(split="test").records[0]
    rows = [
        replace(r, group=test.group) if r.file_name == writer.images.records[0].file_name else r
        for r in writer.images
    ]
    return writer.images.replace_records(rows)


def _generator_saw_test(path: Path) -> ImageSet:
    with ImageSetWriter(path.with_name("plain")) as writer:
        add_photographs(writer)
    test = writer.images.select(split="test").records[0]
    return _with_generated(path, TrainingImage(test.sha256, "", ""))


def _same_file(path: Path) -> ImageSet:
    with ImageSetWriter(path) as writer:
        add_photographs(writer)
    images = writer.images
    copy = replace(images.select(split="val").records[0], split="train")
    return images.replace_records([*images, copy])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (_same_file, "the same file as the val photograph"),
        (_turned_copy, "a near-duplicate of the test photograph"),
        (_same_patient, "same patient"),
        (_generator_saw_test, "descends from the same file as the test photograph"),
    ],
)
def test_a_leak_is_refused_before_the_first_teacher(
    tmp_path: Path, weights: Path, make: Any, match: str
) -> None:
    images = make(tmp_path / "leaking")
    with pytest.raises(RefusedError, match=match):
        train(tmp_path / "run", images, kdect_config(weights))
    assert not (tmp_path / "run" / "teachers").exists()


def test_generated_training_images_of_a_clean_generator_are_welcome(
    tmp_path: Path, weights: Path
) -> None:
    images = _with_generated(tmp_path / "images", TrainingImage("elsewhere", "", "stranger"))
    config = kdect_config(weights, teachers=[OTHER], teacher_steps=2, stage_steps=2)
    listed = train(tmp_path / "run", images, config).run.training_images()
    assert [image.role for image in listed].count("learned") == 20
    assert [image.sha256 for image in listed if image.role == "ancestor"] == ["elsewhere"]


def test_wrong_settings_fail_before_the_first_teacher(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"student": "net-of-dreams"}, "not known to timm"),
        ({"teachers": [TINY, "net-of-dreams"]}, "net-of-dreams.safetensors"),
        ({"pretrained": "imagenet"}, "ImageNet weights"),
        ({"teacher_pretrained": "nowhere"}, "`teacher_pretrained`"),
    ]
    for number, (changes, match) in enumerate(cases):
        with pytest.raises(InputError, match=match):
            train(tmp_path / f"run-{number}", photographs, kdect_config(weights, **changes))
        assert not (tmp_path / f"run-{number}" / "teachers").exists()
    with pytest.raises(InputError, match="named once"):
        kdect_config(weights, teachers=[TINY, TINY])
