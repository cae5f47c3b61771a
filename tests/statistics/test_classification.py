from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from hzsynth.classify.train.selection import validation_scores
from hzsynth.core.errors import InputError
from hzsynth.statistics.classification import (
    METRICS,
    auroc,
    average_precision,
    choice_metrics,
    classification_metrics,
    confusion_matrix,
    macro_auroc,
    proportions,
    weighted_metrics,
)


def answers(seed: Any, count: Any = 80, classes: Any = 4, decimals: Any = 2) -> Any:
    """True classes and rounded (so tied) probabilities that follow them loosely."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    probabilities = rng.dirichlet(np.ones(classes), count)
    probabilities[np.arange(count), truth] += 0.3
    probabilities = np.round(probabilities / probabilities.sum(1, keepdims=True), decimals)
    return truth, probabilities


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_all_metrics_are_those_of_scikit_learn(seed: int, classes: int) -> None:
    truth, probabilities = answers(seed, classes=classes)
    target, predicted = 1, probabilities.argmax(axis=1)
    is_target, called = truth == target, predicted == target
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": reference.accuracy_score(truth, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "macro_f1": reference.f1_score(truth, predicted, **macro),
        "macro_precision": reference.precision_score(truth, predicted, **macro),
        "macro_recall": reference.recall_score(truth, predicted, **macro),
        "kappa": reference.cohen_kappa_score(truth, predicted),
        "mcc": reference.matthews_corrcoef(truth, predicted),
        "f1_target": reference.f1_score(is_target, called),
        "precision_target": reference.precision_score(is_target, called),
        "recall_target": reference.recall_score(is_target, called),
        "specificity_target": reference.recall_score(~is_target, ~called),
        "npv_target": reference.precision_score(~is_target, ~called),
        "accuracy_target": reference.accuracy_score(is_target, called),
        "type_1_error": 1 - reference.recall_score(~is_target, ~called),
        "type_2_error": 1 - reference.recall_score(is_target, called),
        "auroc": np.mean(
            [reference.roc_auc_score(truth == c, probabilities[:, c]) for c in range(classes)]
        ),
        "auroc_target": reference.roc_auc_score(is_target, probabilities[:, target]),
        "average_precision_target": reference.average_precision_score(
            is_target, probabilities[:, target]
        ),
    }
    found = classification_metrics(truth, probabilities, target)
    assert set(found) == set(METRICS) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_a_weight_counts_like_copies_of_the_image() -> None:
    truth, probabilities = answers(5)
    rng = np.random.default_rng(6)
    weights = rng.integers(0, 4, (3, len(truth))).astype(float)
    weights[:, :4] = 1
    found = weighted_metrics(truth, probabilities, 2, weights)
    for row, weight in enumerate(weights.astype(int)):
        copies = np.repeat(np.arange(len(truth)), weight)
        expected = classification_metrics(truth[copies], probabilities[copies], 2)
        for name, values in found.items():
            assert values[row] == pytest.approx(expected[name], abs=1e-12), name


def test_weighted_average_precision_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    target = np.arange(50) % 4 == 0
    score = np.round(target + generator.normal(size=50), 1)
    weights = generator.integers(0, 4, (6, 50)).astype(float)
    expected = [
        reference.average_precision_score(target, score, sample_weight=row) for row in weights
    ]
    np.testing.assert_allclose(average_precision(target, score, weights), expected)


def test_proportions_are_counts_of_the_same_metrics() -> None:
    truth, probabilities = answers(9)
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), 4)
    values = choice_metrics(confusion, 3)
    for name, (successes, trials) in proportions(confusion, 3).items():
        assert successes / trials == pytest.approx(values[name]), name


def test_confusion_has_true_classes_in_rows() -> None:
    confusion = confusion_matrix([0, 0, 1, 2], [1, 0, 1, 1], 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_a_class_that_is_never_chosen_has_no_precision_and_no_warning() -> None:
    # Everything is called class 0: 6 of 8 right, and no better than chance.
    values = choice_metrics([[6, 0], [2, 0]], target=1)
    assert values["precision_target"] == values["f1_target"] == values["recall_target"] == 0
    assert values["kappa"] == values["mcc"] == 0
    assert values["accuracy"] == 0.75
    assert values["npv_target"] == 0.75


def test_a_class_that_is_neither_there_nor_chosen_is_left_out_of_macro_averages() -> None:
    values = choice_metrics([[3, 0, 0], [0, 3, 0], [0, 0, 0]], target=0)
    assert values["macro_f1"] == values["macro_recall"] == values["macro_precision"] == 1


def test_a_class_that_is_only_chosen_counts_as_in_scikit_learn() -> None:
    # Averages over the true classes alone would give an F1 of (2/3 + 1) / 2 = .83 here.
    truth, predicted = [0, 0, 1, 1], [0, 2, 1, 1]
    values = choice_metrics(confusion_matrix(truth, predicted, 3), target=0)
    macro = {"average": "macro", "zero_division": 0}
    assert values["macro_f1"] == pytest.approx(reference.f1_score(truth, predicted, **macro))
    assert values["macro_f1"] == pytest.approx(5 / 9)
    for name, score in (
        ("macro_precision", reference.precision_score),
        ("macro_recall", reference.recall_score),
    ):
        assert values[name] == pytest.approx(score(truth, predicted, **macro))
    # Balanced accuracy is of the true classes (scikit-learn warns about the other one).
    assert values["balanced_accuracy"] == pytest.approx(3 / 4)
    scores = validation_scores(torch.eye(3)[predicted], torch.tensor(truth), target=0)
    assert scores["macro_f1"] == pytest.approx(values["macro_f1"])


def test_rankings_of_known_value() -> None:
    truth = np.array([1, 1, 0, 0], bool)
    assert auroc(truth, [4, 3, 2, 1])[0] == average_precision(truth, [4, 3, 2, 1])[0] == 1
    assert auroc(truth, [1, 2, 3, 4])[0] == 0
    assert auroc(truth, [1, 1, 1, 1])[0] == 0.5
    assert average_precision(truth, [1, 1, 1, 1])[0] == 0.5
    # The positives come second and fourth: (1/2 + 2/4) / 2.
    assert average_precision(truth, [3, 1, 4, 2])[0] == pytest.approx(0.5)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(InputError, match="of the class and others"):
        auroc([True, True], [0.1, 0.2])
    with pytest.raises(InputError, match="of the class and others"):
        average_precision([False, False], [0.1, 0.2])
    with pytest.raises(InputError, match="of the class and others"):
        macro_auroc([1, 1], [[0.5, 0.5], [0.4, 0.6]])
    with pytest.raises(InputError, match="no number"):
        classification_metrics([0, 1], [[0.5, 0.5], [np.nan, 0.6]], 0)
