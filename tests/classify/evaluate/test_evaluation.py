import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as reference

from hzsynth.classify.evaluate.calibration import expected_calibration_error
from hzsynth.classify.evaluate.efficiency import count_macs, count_parameters
from hzsynth.classify.evaluate.evaluation import evaluate
from hzsynth.classify.evaluate.recommended_levels import against_recommended_levels
from hzsynth.classify.models import MODEL as MODEL_FILE
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.statistics.classification import CHOICE_METRICS, METRICS
from hzsynth.statistics.metric_intervals import Metric, metrics_with_intervals
from tests.classify.conftest import SOLVED_SIZE, add_photographs, saved_run, spotted
from tests.statistics.scenes import two_classes


def test_a_classifier_that_is_always_right(photographs: ImageSet, tmp_path: Path) -> None:
    result = evaluate(saved_run(tmp_path / "run", photographs), photographs)
    assert result.n == result.patients == 6
    assert result.confusion == ((3, 0), (0, 3))
    assert tuple(result.metrics) == METRICS
    for name, metric in result.metrics.items():
        perfect = 0 if name.startswith("type_") else 1
        assert metric.value == pytest.approx(perfect), name
        # Six photographs prove little: the interval may not be a point.
        assert metric.high - metric.low > 0.1, name
        assert metric.low <= metric.value <= metric.high, name
    verdicts = {row.metric: row.passes for row in result.levels}
    assert verdicts.pop("latency_ms") in ("passes", "falls short")
    assert verdicts.pop("macs_millions") == verdicts.pop("parameters_millions") == "passes"
    assert set(verdicts.values()) == {"passes, not proven"}


def test_a_classifier_that_is_always_wrong(photographs: ImageSet, tmp_path: Path) -> None:
    result = evaluate(saved_run(tmp_path / "run", photographs, sign=-1), photographs)
    assert result.confusion == ((0, 3), (3, 0))
    assert result.metrics["kappa"].value == result.metrics["mcc"].value == -1
    assert result.metrics["auroc_target"].value == 0
    short = [row.metric for row in result.levels if row.passes == "falls short"]
    assert {"macro_f1", "auroc", "accuracy_target"} <= set(short)


def test_saved_predictions_give_the_metrics_again(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs, noise=1.5)
    result = evaluate(run, photographs)
    result.save(tmp_path / "evaluation")
    table = pd.read_csv(tmp_path / "evaluation" / "predictions.csv")
    stored = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    test = photographs.select("test")
    assert table["file_name"].tolist() == [record.file_name for record in test]
    assert table["label"].tolist() == [record.label for record in test]
    np.testing.assert_allclose(table["p_eczema"] + table["p_zoster"], 1, atol=1e-6)
    assert ((table["p_zoster"] > 0.5) == (table["predicted"] == "zoster")).all()
    accuracy = reference.accuracy_score(table["label"], table["predicted"])
    assert stored["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    area = reference.roc_auc_score(table["label"] == "zoster", table["p_zoster"])
    assert stored["metrics"]["auroc_target"]["value"] == pytest.approx(area)
    assert stored["calibration"]["ece"]["value"] == pytest.approx(
        expected_calibration_error(table[["p_eczema", "p_zoster"]], table["label"] == "zoster")
    )
    assert 0 < stored["calibration"]["if_calibrated"] < 1
    # Both figures are shown: as trained, and with the class as frequent as in validation.
    assert stored["corrected_prior"]["photographs"] == 6
    assert set(stored["corrected_prior"]["metrics"]) == set(CHOICE_METRICS)
    assert stored["run"] == run.id
    assert stored["images_digest"] == test.digest


def test_without_validation_photographs_there_is_no_second_figure(
    photographs: ImageSet, tmp_path: Path
) -> None:
    run = saved_run(tmp_path / "run", photographs)
    with ImageSetWriter(tmp_path / "test-only") as writer:
        for record in photographs.select("test"):
            writer.copy(photographs, record)
    assert evaluate(run, writer.images, bootstrap=100).corrected is None
    assert evaluate(run, photographs, split="val", bootstrap=100).corrected is None
    with pytest.raises(InputError, match="no images in the split 'val'"):
        evaluate(run, writer.images, sensitivity=0.9, bootstrap=100)


def test_three_patients_of_a_class_do_not_make_an_interval(
    photographs: ImageSet, tmp_path: Path
) -> None:
    result = evaluate(saved_run(tmp_path / "run", photographs, noise=1.5), photographs)
    for name in ("macro_f1", "auroc_target", "average_precision_target", "kappa"):
        assert result.metrics[name].method.startswith("not identifiable"), name
    assert (result.metrics["auroc_target"].low, result.metrics["auroc_target"].high) == (0, 1)


def test_the_seed_alone_decides_the_intervals(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs)
    first, again = (evaluate(run, photographs, seed=3, bootstrap=100) for _ in range(2))
    other = evaluate(run, photographs, seed=4, bootstrap=100)
    assert first.metrics == again.metrics
    assert first.table().equals(again.table())
    assert first.calibration.ece != other.calibration.ece


def test_synthetic_photographs_are_refused(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs)
    with ImageSetWriter(tmp_path / "mixed") as writer:
        add_photographs(writer, {"test": 2})
        writer.add(spotted(99, "zoster"), label="zoster", split="test", origin="stylegan2", run="g")
    with pytest.raises(RefusedError, match="stylegan2"):
        evaluate(run, writer.images)


def test_photographs_that_were_learned_are_refused_in_another_set_too(
    photographs: ImageSet, tmp_path: Path
) -> None:
    test = photographs.select("test")
    run = saved_run(tmp_path / "run", photographs, learned=test)
    with pytest.raises(RefusedError, match="the same file as"):
        evaluate(run, photographs)
    with ImageSetWriter(tmp_path / "renamed") as writer:
        for record in test:
            writer.copy(photographs, record, split="", group="")
    with pytest.raises(RefusedError, match="the same file as"):
        evaluate(run, writer.images, split="")


def test_the_train_split_may_be_looked_at_when_asked_for(
    photographs: ImageSet, tmp_path: Path
) -> None:
    result = evaluate(saved_run(tmp_path / "run", photographs), photographs, split="train")
    assert (result.n, result.split) == (16, "train")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (("eczema", "psoriasis", "zoster"), "'psoriasis'.*not known to the classifier"),
        (("eczema",), "needs photographs of 'zoster' and of another class"),
        (("zoster",), "needs photographs of 'zoster' and of another class"),
    ],
)
def test_a_part_that_cannot_be_judged_is_named(
    photographs: ImageSet, tmp_path: Path, labels: tuple[str, ...], sentence: str
) -> None:
    run = saved_run(tmp_path / "run", photographs)
    with ImageSetWriter(tmp_path / "other") as writer:
        for number, label in enumerate(labels):
            writer.add(spotted(500 + number, label), label=label, split="test", origin="real")
    with pytest.raises(InputError, match=sentence):
        evaluate(run, writer.images)


def test_wrong_arguments_are_named(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs)
    with pytest.raises(InputError, match="no images without a split"):
        evaluate(run, photographs, split="")
    with pytest.raises(InputError, match="at least 100 replicates, not 5"):
        evaluate(run, photographs, bootstrap=5)


def test_photographs_of_one_patient_widen_the_bootstrap_and_are_told() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], 60)
    right = np.repeat(rng.random(24) < 0.8, 5)
    chance = np.where(right == (truth == 1), 0.9, 0.1)
    apart = metrics_with_intervals(two_classes(truth, chance))
    patients = [str(i // 5) for i in range(120)]
    together = metrics_with_intervals(two_classes(truth, chance, patients))
    for name in ("macro_f1", "kappa", "auroc_target"):
        assert together[name].value == apart[name].value
        width = together[name].high - together[name].low
        # Five equal answers a patient count as one: about sqrt(5) = 2.2 times as wide.
        assert 1.7 < width / (apart[name].high - apart[name].low) < 2.8
        assert "patients" in together[name].method
    assert "worth 11.7 independent images" in together["recall_target"].method
    assert "as if independent" not in apart["recall_target"].method


def test_levels_count_as_reached_and_lower_ends_decide_what_is_proven() -> None:
    values = {
        "macro_f1": Metric(0.85, 0.85, 1.0, ""),
        "auroc": Metric(0.95, 0.89, 1.0, ""),
        "kappa": Metric(0.79, 0.7, 1.0, ""),
    }
    costs = {"macs_millions": 2000.0, "latency_ms": 100.1}
    rows = {row.metric: row for row in against_recommended_levels(values, costs)}
    assert {name: row.passes for name, row in rows.items()} == {
        "macro_f1": "passes",
        "auroc": "passes, not proven",
        "kappa": "falls short",
        "macs_millions": "passes",
        "latency_ms": "falls short",
    }
    assert rows["macs_millions"].level == "<= 2,000"
    assert rows["kappa"].level == ">= 0.8"


def test_costs_are_those_counted_by_hand() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        torch.nn.BatchNorm2d(4),
        torch.nn.Conv2d(4, 4, 3, padding=1, groups=4),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 8 * 8, 5),
    ).eval()
    assert count_parameters(network) == 108 + 8 + (36 + 4) + (1280 + 5)
    # Output pixels times weights that each sees.
    assert count_macs(network, 16) == 64 * 108 + 64 * 36 + 1280


def test_efficiency_states_how_it_was_measured(photographs: ImageSet, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", photographs)
    found = evaluate(run, photographs, bootstrap=100).efficiency
    assert found.threads == torch.get_num_threads() == 1
    assert found.size == SOLVED_SIZE
    assert found.latency_ms > 0
    assert found.model_bytes == (run.path / MODEL_FILE).stat().st_size > 4 * found.parameters
    assert found.macs_tool.startswith("torch.utils.flop_counter")
    assert found.processor
