import dataclasses
from pathlib import Path

import pytest

from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, plan, plan_text, power_table
from hzsynth.ablate.verdict import answer_of, judge, needed_for
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.statistics.contrast import Contrast
from hzsynth.statistics.paired import t_difference
from hzsynth.statistics.power import contrast_power, findable_gain

ARM = AblationArm("gan-ratio2", "mixture", "gan", 2.0)


def _images(tmp_path: Path, counts: dict[tuple[str, str], int]) -> ImageSet:
    records = [
        ImageRecord(f"{split}/{label}/{i}.png", label, split, sha256=f"{split}{label}{i}")
        for (split, label), count in counts.items()
        for i in range(count)
    ]
    return ImageSet(tmp_path, records)


@pytest.fixture
def photographs(tmp_path: Path) -> ImageSet:
    counts = {
        (s, c): n for s, n in (("train", 4), ("val", 3), ("test", 5)) for c in ("hz", "other")
    }
    return _images(tmp_path, counts)


@pytest.fixture
def generated(tmp_path: Path) -> ImageSet:
    return _images(tmp_path, {("", "hz"): 16})


def _config(**values: object) -> AblateConfig:
    return AblateConfig.from_sources(None, {"label": "hz", "ratios": (1, 4), "seeds": 3, **values})


def test_the_plan_holds_every_arm_at_every_seed_and_ratio_0_once(
    photographs: ImageSet, generated: ImageSet
) -> None:
    cells = plan(_config(), photographs, {"gan": generated, "cycle": generated})
    names = [cell.arm.name for cell in cells[:6]]
    assert names == [
        "real",
        "augmented",
        "gan-ratio1",
        "gan-ratio4",
        "cycle-ratio1",
        "cycle-ratio4",
    ]
    assert len(cells) == 6 * 3
    assert len({cell.name for cell in cells}) == len(cells)
    assert [cell.seed for cell in cells] == [0] * 6 + [1] * 6 + [2] * 6


def test_generators_and_controls_can_be_chosen(photographs: ImageSet, generated: ImageSet) -> None:
    config = _config(generators=("cycle",), controls=(), seeds=1)
    cells = plan(config, photographs, {"gan": generated, "cycle": generated})
    assert [cell.arm.name for cell in cells] == ["augmented", "cycle-ratio1", "cycle-ratio4"]


def test_ratio_0_is_always_run_and_ratios_are_sorted() -> None:
    assert _config(ratios=(4, 1, 1)).ratios == (0, 1, 4)
    with pytest.raises(InputError, match="ratio is not negative"):
        _config(ratios=(-1,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "missing"}, "is not a class"),
        ({"ratios": (9.5,)}, "`ratio` is between 0"),
        ({"ratios": (5,)}, "needs 20 synthetic images"),
        ({"generators": ("diffusion",)}, "not among the given sets: gan"),
    ],
)
def test_what_would_fail_later_is_refused_at_once(
    photographs: ImageSet, generated: ImageSet, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan(_config(**change), photographs, {"gan": generated})


def test_a_split_without_the_class_is_refused(tmp_path: Path, generated: ImageSet) -> None:
    counts = {("train", "hz"): 4, ("train", "other"): 4, ("val", "hz"): 1, ("val", "other"): 1}
    images = _images(tmp_path, {**counts, ("test", "other"): 3})
    with pytest.raises(InputError, match="the test split"):
        plan(_config(), images, {"gan": generated})


def test_synthetic_ratios_without_a_set_are_refused(photographs: ImageSet) -> None:
    with pytest.raises(InputError, match="need a synthetic set"):
        plan(_config(), photographs, {})
    assert len(plan(_config(ratios=(0,), controls=()), photographs, {})) == 3


def test_a_plan_refuses_what_hours_later_a_cell_would(
    photographs: ImageSet, tmp_path: Path
) -> None:
    made = [
        ImageRecord(f"{i}.png", "hz", origin="stylegan2", sha256=f"m{i}", run="gan")
        for i in range(16)
    ]
    seen = {"gan": (TrainingImage(photographs.select("test").records[0].sha256, "", ""),)}
    assert plan(_config(), photographs, {"gan": ImageSet(tmp_path, made, {"gan": ()})})
    with pytest.raises(RefusedError, match="the same file as the test photograph"):
        plan(_config(), photographs, {"gan": ImageSet(tmp_path, made, seen)})


def test_the_power_table_is_that_of_the_contrast_which_decides(
    photographs: ImageSet, generated: ImageSet
) -> None:
    table = power_table(25, 5, 0.95).set_index("test patients of the class")
    assert table.index.tolist() == ["15", "25 (this test set)", "30", "60", "120", "240"]
    assert table.loc["240", "power for +0.05"] == f"{contrast_power(0.05, 240, 5):.0%}"
    gain = findable_gain(25, 5)
    assert table.loc["25 (this test set)", "found with 80%"] == f"+{gain:.2f}"
    config = _config()
    text = plan_text(config, photographs, plan(config, photographs, {"gan": generated}))
    assert "12 cells: 4 arms x 3 seeds" in text
    assert "this test set" in text
    assert "test photographs of 'hz' of 5 patients" in text
    assert "cannot give an answer" not in text


def test_a_test_set_of_three_patients_is_told_beforehand(
    tmp_path: Path, generated: ImageSet
) -> None:
    counts = {
        (s, c): n for s, n in (("train", 4), ("val", 3), ("test", 3)) for c in ("hz", "other")
    }
    images = _images(tmp_path, counts)
    text = plan_text(_config(), images, plan(_config(), images, {"gan": generated}))
    assert "Fewer than 4 test patients of the class" in text


def _contrast(estimate: float, error: float, runs: int = 5) -> Contrast:
    return Contrast(
        difference=t_difference(estimate, error, 4.0),
        by_run=(estimate,) * runs,
        patient_variance=error**2 / 2,
        run_variance=error**2 / 2,
        runs=runs,
        patients=50,
        positives=20,
        positive_patients=15,
        images=100,
        replicates=2000,
    )


@pytest.mark.parametrize(
    ("estimate", "error", "runs", "answer"),
    [
        (0.20, 0.02, 5, "helps"),
        (-0.20, 0.02, 5, "hurts"),
        (0.05, 0.05, 5, "inconclusive"),
        (-0.05, 0.05, 5, "inconclusive"),
        (0.20, 0.02, 2, "inconclusive"),
        (-0.20, 0.02, 1, "inconclusive"),
    ],
)
def test_an_answer_needs_an_interval_without_0_and_enough_runs(
    estimate: float, error: float, runs: int, answer: str
) -> None:
    contrast = _contrast(estimate, error, runs)
    verdict = judge(contrast, (ARM,) * runs, _config())
    assert verdict.answer == answer_of(contrast) == answer
    assert f"{estimate:+.3f}" in verdict.sentence
    assert "real ×10 augmented" in verdict.sentence
    assert "n = 20 test photographs" in verdict.detail
    assert f"{runs} runs" in verdict.detail
    assert ("would be needed" in verdict.detail) == (answer == "inconclusive")


def test_the_words_fit_the_direction() -> None:
    helps = judge(_contrast(0.2, 0.02), (ARM,) * 5, _config()).sentence
    hurts = judge(_contrast(-0.2, 0.02), (ARM,) * 5, _config()).sentence
    assert helps.startswith("Synthetic images help")
    assert hurts.startswith("Synthetic images hurt")


def test_what_is_needed_follows_the_variance() -> None:
    # Standard error .05 at 20 positives; a power of 80 % for .05 needs .05 / 2.8.
    positives, runs = needed_for(_contrast(0.0, 0.05), 0.05)
    assert positives == pytest.approx(20 * 2.8**2, abs=1)
    assert runs == pytest.approx(5 * 2.8**2, abs=1)
    assert needed_for(_contrast(0.0, 0.001), 0.05) == (20, 5)
    single = dataclasses.replace(_contrast(0.0, 0.001, runs=1), run_variance=float("nan"))
    assert needed_for(single, 0.05) == (20, 3)


def test_without_synthetic_arms_there_is_no_answer() -> None:
    verdict = judge(None, (), _config())
    assert verdict.answer == "inconclusive"


def test_arms_that_differ_between_runs_are_counted() -> None:
    other = AblationArm("gan-ratio4", "mixture", "gan", 4.0)
    sentence = judge(_contrast(0.2, 0.02), (ARM, ARM, ARM, ARM, other), _config()).sentence
    assert "(gan 2:1 in 4, gan 4:1 in 1 of 5 runs)" in sentence


@pytest.mark.parametrize("estimate", [0.5, -0.5])
def test_three_patients_are_not_identifiable_whatever_they_show(estimate: float) -> None:
    contrast = dataclasses.replace(_contrast(estimate, 0.01), positive_patients=3)
    verdict = judge(contrast, (ARM,) * 5, _config())
    assert verdict.answer == answer_of(contrast) == "inconclusive"
    assert verdict.sentence.startswith("Not identifiable")
    assert "come from 3 patients" in verdict.sentence
