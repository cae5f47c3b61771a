import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
import yaml

from hzsynth.core.image_record import COLUMNS, METADATA
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.splits import fold_images, split_images


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory, phantoms: ImageSet) -> ImageSet:
    return split_images(phantoms, tmp_path_factory.mktemp("card") / "set", (50, 25, 25))


def test_the_header_names_the_files_of_every_split(split: ImageSet) -> None:
    _, header, body = (split.root / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    (configuration,) = yaml.safe_load(header)["configs"]
    named = {part["split"]: part["path"] for part in configuration["data_files"]}
    assert set(named) == {"train", "validation", "test"}
    for part, path in named.items():
        short = {"validation": "val"}.get(part, part)
        below = (split.root / path.removesuffix("**")).rglob("*")
        images = [file for file in below if file.suffix == ".png"]
        assert len(images) == len(split.select(split=short))
        assert (split.root / path.removesuffix("**") / METADATA).is_file()
    for label in split.labels:
        assert f"| {label} |" in body


def test_the_tables_of_the_splits_name_the_images_beside_them(split: ImageSet) -> None:
    seen = []
    for part in ("train", "val", "test"):
        folder = split.root / "images" / part
        rows = list(csv.DictReader(io.StringIO((folder / METADATA).read_text(encoding="utf-8"))))
        assert all((folder / row["file_name"]).is_file() for row in rows)
        seen += [row["sha256"] for row in rows]
    assert sorted(seen) == sorted(record.sha256 for record in split)
    # hzsynth itself reads the table of the whole.
    assert len(find_folder(split.root).images) == len(split)


def test_croissant_describes_the_table_as_it_is(split: ImageSet) -> None:
    croissant = json.loads((split.root / "croissant.json").read_text(encoding="utf-8"))
    (table,) = croissant["distribution"]
    data = (split.root / table["contentUrl"]).read_bytes()
    assert table["sha256"] == hashlib.sha256(data).hexdigest()
    header = next(csv.reader(io.StringIO(data.decode())))
    fields = croissant["recordSet"][0]["field"]
    columns = [field["source"]["extract"]["column"] for field in fields]
    assert columns == list(COLUMNS)
    assert set(columns) <= set(header)
    assert all(f["source"]["fileObject"]["@id"] == table["@id"] for f in fields)


def test_folds_have_cards_too(tmp_path: Path, phantoms: ImageSet) -> None:
    for fold in fold_images(phantoms, tmp_path / "folds", 3):
        assert "fold" in (fold.root / "README.md").read_text(encoding="utf-8")
