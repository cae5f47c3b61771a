"""Exported sets are read back by tools that know nothing of hzsynth."""

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.export import INDEX, export_set


@pytest.fixture
def divided(phantoms: ImageSet) -> Any:
    """Phantoms in two splits, the third without one."""
    records = phantoms.records
    splits = ["train"] * 5 + ["test"] * 2
    return ImageSet(
        phantoms.root,
        tuple(
            type(r)(**{**vars(r), "split": s, "extra": {"note": "a,ü"}})
            for r, s in zip(records, splits, strict=False)
        ),
    )


def _pixels(images: Any, record: Any) -> Any:
    return np.asarray(Image.open(images.path(record)).convert("RGB"))


def test_shards_hold_every_image_once(divided: Any, tmp_path: Path) -> None:
    files = export_set(divided, "webdataset", tmp_path / "out", shard_size=3)
    assert files == ("test-00000.tar", "train-00000.tar", "train-00001.tar")
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert [entry["images"] for entry in index["files"]["train"]] == [3, 2]
    seen = []
    for name in files:
        with tarfile.open(tmp_path / "out" / name) as archive:
            members = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        keys = sorted({member.split(".", 1)[0] for member in members})
        for key in keys:
            row = json.loads(members[f"{key}.json"])
            image = Image.open(io.BytesIO(members[f"{key}.png"]))
            assert name.startswith(row["split"])
            assert index["labels"][int(members[f"{key}.cls"])] == row["label"]
            assert row["note"] == "a,ü"
            original = next(r for r in divided if r.sha256 == row["sha256"])
            np.testing.assert_array_equal(np.asarray(image), _pixels(divided, original))
            seen.append(row["sha256"])
    assert sorted(seen) == sorted(r.sha256 for r in divided)


def test_parquet_has_the_columns_that_datasets_knows(divided: Any, tmp_path: Path) -> None:
    files = export_set(divided, "parquet", tmp_path / "out", shard_size=4)
    assert files == ("test-00000.parquet", "train-00000.parquet", "train-00001.parquet")
    rows = []
    for name in files:
        table = pyarrow.parquet.read_table(tmp_path / "out" / name)
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features["image"] == {"_type": "Image"}
        assert features["label"]["names"] == list(divided.labels)
        assert set(features) == set(table.column_names)
        rows += table.to_pylist()
    assert len(rows) == len(divided)
    for row in rows:
        original = next(r for r in divided if r.sha256 == row["sha256"])
        assert divided.labels[row["label"]] == original.label
        image = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
        np.testing.assert_array_equal(image, _pixels(divided, original))
        assert (row["width"], row["note"]) == (original.width, "a,ü")


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_equal_sets_give_equal_bytes(divided: Any, tmp_path: Path, form: Any) -> None:
    first, second = (
        {f.name: f.read_bytes() for f in sorted((tmp_path / name).iterdir())}
        for name in ("a", "b")
        if export_set(divided, form, tmp_path / name)
    )
    assert first == second


def test_what_cannot_be_exported_leaves_nothing(
    divided: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="`shard_size`"):
        export_set(divided, "webdataset", tmp_path / "out", shard_size=0)
    with pytest.raises(InputError, match="no image"):
        export_set(divided.replace_records([]), "webdataset", tmp_path / "out")
    changed = divided.replace_records(
        [type(r)(**{**vars(r), "sha256": "0" * 64}) for r in divided.records[-1:]]
    )
    with pytest.raises(InputError, match="has changed"):
        export_set(changed, "webdataset", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"hzsynth\[parquet\]"):
        export_set(divided, "parquet", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_only_an_export_is_replaced(divided: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        export_set(divided, "webdataset", tmp_path / "mine", force=True)
    export_set(divided, "webdataset", tmp_path / "out")
    export_set(divided, "webdataset", tmp_path / "out", shard_size=2, force=True)
    assert len(list((tmp_path / "out").glob("*.tar"))) == 4
