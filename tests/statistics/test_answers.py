from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers, read_text_table
from tests.statistics.scenes import two_classes

LABELS = ("eczema", "tinea", "zoster")


def three_classes(seed: int = 0, count: int = 12) -> Answers:
    rng = np.random.default_rng(seed)
    return Answers(
        images=tuple(f"{number:02d}" for number in rng.permutation(count)),
        patients=tuple(f"patient {number // 2}" for number in range(count)),
        truth=np.arange(count) % 3,
        probabilities=rng.dirichlet(np.ones(3), count),
        labels=LABELS,
        label="zoster",
    )


def test_the_target_class_is_told_from_the_rest() -> None:
    answers = two_classes([True, True, False, False, False], [0.9, 0.4, 0.6, 0.3, 0.1])
    assert answers.is_target.tolist() == [True, True, False, False, False]
    assert answers.called_target.tolist() == [True, False, True, False, False]
    assert answers.right.tolist() == [True, False, False, True, True]
    assert answers.confusion.tolist() == [[2, 1], [1, 1]]
    assert answers.score.tolist() == [0.9, 0.4, 0.6, 0.3, 0.1]


def test_patients_are_counted_by_kind() -> None:
    answers = three_classes()
    assert answers.several_photographs_a_patient
    assert answers.count_patients() == 6
    assert answers.count_patients(answers.is_target) == 4
    assert not two_classes([True, False], [0, 1]).several_photographs_a_patient


def test_a_table_gives_the_answers_back_to_the_last_digit(tmp_path: Path) -> None:
    answers = three_classes()
    file = tmp_path / "answers.csv"
    answers.to_frame().assign(file_name="further columns do not disturb").to_csv(file, index=False)
    for table in (answers.to_frame(), read_text_table(file)):
        again = Answers.from_frame(table, "zoster")
        assert (again.images, again.patients) == (answers.images, answers.patients)
        assert (again.labels, again.label) == (answers.labels, answers.label)
        np.testing.assert_array_equal(again.truth, answers.truth)
        np.testing.assert_array_equal(again.probabilities, answers.probabilities)
    unknown = two_classes([True, False], [0.7, 0.1])
    assert unknown.to_frame()["group"].tolist() == ["", ""]
    assert Answers.from_frame(unknown.to_frame(), "zoster").patients == unknown.images


def test_the_order_follows_the_images_alone() -> None:
    answers = three_classes()
    shuffled = answers.select(np.random.default_rng(1).permutation(len(answers)))
    pd.testing.assert_frame_equal(answers.ordered().to_frame(), shuffled.ordered().to_frame())


def test_classes_in_another_order_are_the_same_answers() -> None:
    answers = three_classes()
    turned = answers.with_labels(("zoster", "eczema", "tinea"))
    assert turned.target == 0
    np.testing.assert_array_equal(turned.score, answers.score)
    np.testing.assert_array_equal(turned.right, answers.right)
    assert turned.to_frame()["label"].tolist() == answers.to_frame()["label"].tolist()
    with pytest.raises(InputError, match="not those of the answers"):
        answers.with_labels(("zoster", "eczema"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": ("a",)}, "one value of each kind"),
        ({"probabilities": np.array([[np.nan, 0.0], [1.0, 0.0]])}, "no number"),
        ({"probabilities": np.zeros((2, 3))}, "each of 2 classes"),
        ({"truth": np.array([0, 2])}, "in 0 to 1"),
        ({"label": "tinea"}, "'tinea' is not among other, zoster"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    parts = {**vars(two_classes([True, False], [0.7, 0.1])), **change}
    with pytest.raises(InputError, match=message):
        Answers(**parts)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    table = two_classes([True, False], [0.7, 0.1]).to_frame()
    with pytest.raises(InputError, match="lacks the columns group"):
        Answers.from_frame(table.drop(columns="group"), "zoster")
    with pytest.raises(InputError, match="lacks the columns p_<class>"):
        Answers.from_frame(table[["sha256", "group", "label"]], "zoster")
    with pytest.raises(InputError, match="class 'tinea'"):
        Answers.from_frame(table.assign(label="tinea"), "zoster")
    with pytest.raises(InputError, match="probability that is none"):
        Answers.from_frame(table.assign(p_zoster="much"), "zoster")
    with pytest.raises(InputError, match="cannot be read"):
        read_text_table(tmp_path / "nothing.csv")
