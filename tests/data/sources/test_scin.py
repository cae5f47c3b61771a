"""SCIN: the heaviest diagnosis of a case, and all its photographs in one group."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from tests.data.sources.conftest import Files

CASES = {
    "-1000600354148496558": (3, "{'Herpes Zoster': 0.75, 'Eczema': 0.25}"),
    "-1000600354148496559": (1, "{'Eczema': 1.0}"),
    "1002039107727665188": (2, "{'Eczema': 0.41, 'Herpes Zoster': 0.33, 'Acne': 0.26}"),
    "1002039107727665189": (1, "{'Eczema': 0.5, 'Acne': 0.5}"),
    "1002039107727665190": (1, "{}"),
    "1002039107727665191": (1, ""),
    "1002039107727665192": (1, "{'Eczema': __import__('os')}"),
}


def _csv(columns: list[str], rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([columns, *rows])
    return buffer.getvalue()


def _files(images: str = "dataset/images/", tables: str = "dataset/") -> dict[str, str | None]:
    cases: list[list[str]] = []
    files: dict[str, str | None] = {}
    for number, (case, (count, _)) in enumerate(CASES.items()):
        names = [f"{number}{i}.png" for i in range(count)]
        files |= {f"{images}{name}": None for name in names}
        paths = [f"dataset/images/{name}" for name in names] + [""] * (3 - count)
        cases.append([case, "AGE_30_TO_39", "FEMALE", *paths, "CLOSE_UP"])
    columns = ["case_id", "age_group", "sex_at_birth"]
    columns += ["image_1_path", "image_2_path", "image_3_path", "image_1_shot_type"]
    labels = [[case, text] for case, (_, text) in CASES.items()]
    files[f"{tables}scin_cases.csv"] = _csv(columns, cases)
    files[f"{tables}scin_labels.csv"] = _csv(["case_id", "weighted_skin_condition_label"], labels)
    return files


@pytest.fixture
def root(tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Path:
    return write_tree(tmp_path / "scin", _files())


def test_a_case_takes_its_heaviest_diagnosis(
    root: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    images = take(find("scin", root))
    assert Counter(r.label for r in images) == {"Herpes Zoster": 3, "Eczema": 1}
    zoster = images.select(label="Herpes Zoster").records
    assert {r.group for r in zoster} == {"SCIN/-1000600354148496558"}
    assert {r.extra["label_weight"] for r in zoster} == {"0.75"}
    assert zoster[0].extra["shot_type"] == "CLOSE_UP"
    assert zoster[0].extra["age_group"] == "AGE_30_TO_39"
    assert all("no re-identification" in r.licence for r in images)


def test_identifiers_are_text(root: Path, find: Callable[..., Found]) -> None:
    # As numbers of 64 bits in floating point, the first two are the same.
    assert float("-1000600354148496558") == float("-1000600354148496559")
    assert len({i.group for i in find("scin", root).images}) == 2


def test_the_least_weight_is_a_setting(root: Path, find: Callable[..., Found]) -> None:
    found = find("scin", root, minimum_weight="0.4")
    assert Counter(i.label for i in found.images) == {"Herpes Zoster": 3, "Eczema": 3}
    assert {i.label for i in find("scin", root, minimum_weight="1").images} == {"Eczema"}
    for wrong in ("0", "1.5", "much"):
        with pytest.raises(InputError, match="`minimum_weight` is a number above 0 and up to 1"):
            find("scin", root, minimum_weight=wrong)


def test_cases_that_are_passed_over_are_counted(root: Path, find: Callable[..., Found]) -> None:
    text = "\n".join(find("scin", root).remarks)
    assert "2 cases have no diagnosis and are left out, the first is '1002039107727665190'" in text
    assert "1 cases have a diagnosis that cannot be read and are left out" in text
    assert "1 cases have no diagnosis that weighs 0.5, the first is '1002039107727665188'" in text
    assert "1 cases have two diagnoses of the same weight" in text


@pytest.mark.parametrize(
    "text", ["[1, 2]", "{'a': 'b'}", "{1: 0.5}", "{'a': 1e999}", "(" * 5000, "{'a': True}", "x"]
)
def test_diagnoses_of_another_form(root: Path, find: Callable[..., Found], text: str) -> None:
    rows = [["-1000600354148496558", text], ["-1000600354148496559", "{'Eczema': 1}"]]
    table = _csv(["case_id", "weighted_skin_condition_label"], rows)
    (root / "dataset/scin_labels.csv").write_text(table)
    found = find("scin", root)
    assert len(found.images) == 1
    assert any("cannot be read" in r for r in found.remarks)


@pytest.mark.parametrize(("images", "tables"), [("images/", ""), ("", ""), ("scin/dataset/images/", "scin/dataset/")])  # fmt: skip
def test_other_places(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    images: str,
    tables: str,
) -> None:
    root = write_tree(tmp_path / "scin", _files(images, tables))
    assert len(find("scin", root).images) == 4


def test_in_a_zip(
    tmp_path: Path, write_zip: Callable[[Path, Files], Path], find: Callable[..., Found]
) -> None:
    assert len(find("scin", write_zip(tmp_path / "scin.zip", _files())).images) == 4


def test_missing_and_unlisted_files(
    root: Path, find: Callable[..., Found], write_tree: Callable[[Path, Files], Path]
) -> None:
    (root / "dataset/images/01.png").unlink()
    write_tree(root, {"dataset/images/new.png": None})
    found = find("scin", root)
    assert len(found.images) == 3
    assert "1 listed files are missing, the first is 'dataset/images/01.png'" in found.remarks
    assert any("1 images are not listed" in r for r in found.remarks)


def test_counts_differ_from_the_published_ones(root: Path, find: Callable[..., Found]) -> None:
    remarks = find("scin", root).remarks
    assert "7 cases are here, published are 5033" in remarks
    assert "10 listed images are here, published are 10407" in remarks
    assert "2 cases with Herpes Zoster among their diagnoses are here, published are 142" in remarks


def test_tables_that_a_spreadsheet_program_has_saved(
    root: Path, find: Callable[..., Found]
) -> None:
    path = root / "dataset/scin_labels.csv"
    path.write_text(path.read_text().replace("-1000600354148496558", "-1.0006E+18"))
    with pytest.raises(InputError, match="no spreadsheet program has saved"):
        find("scin", root)


def test_tables_are_checked(root: Path, find: Callable[..., Found]) -> None:
    path = root / "dataset/scin_labels.csv"
    text = path.read_text()
    path.write_text(text.replace("weighted_skin", "other"))
    with pytest.raises(InputError, match="lacks the columns weighted_skin_condition_label"):
        find("scin", root)
    path.unlink()
    with pytest.raises(InputError, match=r"has no scin_labels\.csv, expected SCIN"):
        find("scin", root)


def test_a_table_cannot_lead_out(root: Path, find: Callable[..., Found]) -> None:
    path = root / "dataset/scin_cases.csv"
    path.write_text(path.read_text().replace("dataset/images/00.png", "../../secret.png"))
    with pytest.raises(InputError, match="outside of its data set"):
        find("scin", root)


def test_nothing_is_heavy_enough(root: Path, find: Callable[..., Found]) -> None:
    table = _csv(["case_id", "weighted_skin_condition_label"], [["1", "{'Acne': 0.2}"]])
    (root / "dataset/scin_labels.csv").write_text(table)
    with pytest.raises(InputError, match=r"weighs at least 0\.5, expected SCIN"):
        find("scin", root)
