"""A set in the forms in which large trainings read: WebDataset shards, or Parquet files.

Both hold the encoded images as they are, with all columns of the set. WebDataset: tar files of
``KEY.png`` (or .jpg and so on), ``KEY.cls`` (place of the class) and ``KEY.json`` (the row).
Parquet: an ``image`` column as the Hugging Face `datasets` library stores it, a ``label`` of its
ClassLabel type, and the other columns as text. Equal sets give equal bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text, replacing_folder
from hzsynth.core.image_record import COLUMNS, ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import refuse_existing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.config import Form

INDEX = "index.json"

_ROW_GROUP = 128
# What only means something inside the set's own folder.
_LOCAL = ("file_name", "mask")


def export_set(
    images: ImageSet,
    form: Form,
    out: Path,
    *,
    shard_size: int = 1000,
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[str, ...]:
    """Writes a set as WebDataset shards or Parquet files, split by split.

    Args:
        images: the set; every file must still be what its row says.
        form: ``webdataset`` or ``parquet``.
        out: the new folder; ``index.json`` there names classes, files and counts.
        shard_size: images a file at most.
        force: replace what is at `out`.
        progress: where progress is shown.

    Returns:
        The files' names, such as ``train-00000.tar``.

    Raises:
        InputError: the set is empty, an image cannot be read, pyarrow is missing, or `out` cannot
            be written.
    """
    if shard_size < 1:
        raise InputError(f"`shard_size` is at least 1, not {shard_size}")
    if not len(images):
        raise InputError(f"'{images.root}' holds no image")
    refuse_existing(out, force, INDEX)
    write = {"webdataset": _write_tar, "parquet": _write_parquet}[form]
    if form == "parquet":
        _pyarrow()
    files: dict[str, list[dict[str, Any]]] = {}
    with (
        replacing_folder(out) as folder,
        progress.task("exporting", total=len(images), unit="img") as task,
    ):
        for split in sorted({record.split for record in images}):
            rows = [record for record in images if record.split == split]
            for number, start in enumerate(range(0, len(rows), shard_size)):
                part = images.replace_records(rows[start : start + shard_size])
                stem = f"{split or 'all'}-{number:05d}"
                name = write(part, folder, stem, images.labels)
                files.setdefault(split or "all", []).append({"file": name, "images": len(part)})
                task.advance(len(part))
        index = {"form": form, "labels": images.labels, "files": files, "digest": images.digest}
        atomic_write_text(folder / INDEX, json.dumps(index, indent=2, ensure_ascii=False) + "\n")
    return tuple(entry["file"] for entries in files.values() for entry in entries)


def _encoded(images: ImageSet) -> Iterator[tuple[ImageRecord, bytes]]:
    for record in images:
        data = images.read_bytes(record)
        if record.sha256 and hashlib.sha256(data).hexdigest() != record.sha256:
            raise InputError(f"'{images.path(record)}' has changed since the set was written")
        yield record, data


def _row(record: ImageRecord) -> dict[str, Any]:
    row = {key: value for key, value in asdict(record).items() if key not in (*_LOCAL, "extra")}
    return {**row, "parents": list(record.parents), **record.extra}


def _write_tar(images: ImageSet, folder: Path, stem: str, labels: Sequence[str]) -> str:
    name = f"{stem}.tar"
    with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, (record, data) in enumerate(_encoded(images)):
            # A dot in a key would be taken for the beginning of its suffix.
            key = f"{stem}-{number:06d}"
            suffix = PurePosixPath(record.file_name).suffix.lower().lstrip(".")
            _add(archive, f"{key}.{suffix}", data)
            _add(archive, f"{key}.cls", str(labels.index(record.label)).encode())
            text = json.dumps(_row(record), ensure_ascii=False)
            _add(archive, f"{key}.json", text.encode())
    return name


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "Parquet needs pyarrow, which is not installed: pip install 'hzsynth[parquet]'"
        ) from None
    return pyarrow


def _write_parquet(images: ImageSet, folder: Path, stem: str, labels: Sequence[str]) -> str:
    pyarrow = _pyarrow()
    names = sorted({name for record in images for name in record.extra} - {"image", *COLUMNS})
    texts = [name for name in COLUMNS if name not in (*_LOCAL, "label", "width", "height")]
    types = {name: pyarrow.string() for name in (*texts, *names)}
    types |= {"width": pyarrow.int32(), "height": pyarrow.int32()}
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema(
        [("image", picture), ("label", pyarrow.int64()), *types.items()],
        metadata={"huggingface": json.dumps({"info": {"features": _features(types, labels)}})},
    )
    name = f"{stem}.parquet"
    # Images are compressed already.
    with pyarrow.parquet.ParquetWriter(folder / name, schema, compression="none") as writer:
        for start in range(0, len(images), _ROW_GROUP):
            part = images.replace_records(images.records[start : start + _ROW_GROUP])
            rows = []
            for record, data in _encoded(part):
                row = {**dict.fromkeys(names, ""), **_row(record)}
                row |= {
                    "parents": " ".join(record.parents),
                    "label": labels.index(record.label),
                    "image": {"bytes": data, "path": PurePosixPath(record.file_name).name},
                }
                rows.append(row)
            writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
    return name


def _features(types: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """The columns as the `datasets` library writes them into a Parquet file's metadata."""
    values = {name: {"dtype": str(kind), "_type": "Value"} for name, kind in types.items()}
    return {
        "image": {"_type": "Image"},
        "label": {"names": list(labels), "_type": "ClassLabel"},
        **values,
    }
