"""Archives, folders and tables that want out: refused, and nothing is written outside of --out."""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import COLUMNS
from hzsynth.data.importing import import_images
from hzsynth.data.sources import base
from hzsynth.data.sources.registry import source_of


def _picture() -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()


def _snapshot(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() if p.is_file() else b""
        for p in sorted(root.rglob("*"))
    }


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str, Path, str], None]:
    """Imports, expects a refusal, and that no file anywhere has changed or appeared."""

    def call(kind: str, path: Path, message: str) -> None:
        (tmp_path / "work").mkdir(exist_ok=True)
        before = _snapshot(tmp_path)
        source = source_of(kind)
        with pytest.raises(InputError, match=message):
            found = source.find(path, source.config())
            import_images(found, tmp_path / "work/set", workers=1)
        assert _snapshot(tmp_path) == before

    return call


def _archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), PICTURE)
    return path


KINDS = ("folder", "sd198", "sd260", "aihub-skin", "scin", "dermnet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["../evil.png", "A/../../evil.png", "A\\..\\..\\evil.png", "C:/A/evil.png"]
)
def test_members_that_lead_out(
    tmp_path: Path, refused: Callable[[str, Path, str], None], kind: str, name: str
) -> None:
    refused(kind, _archive(tmp_path / "a.zip", "A/good.png", name), "leads out")


@pytest.mark.parametrize("kind", KINDS[1:])
def test_members_that_lead_out_of_an_archive_in_a_folder(
    tmp_path: Path, refused: Callable[[str, Path, str], None], kind: Any
) -> None:
    (tmp_path / "download").mkdir()
    _archive(tmp_path / "download/a.zip", "A/good.png", "A/../../evil.png")
    refused(kind, tmp_path / "download", "leads out")


def test_absolute_members_are_refused_in_a_plain_archive(
    tmp_path: Path, refused: Callable[[str, Path, str], None]
) -> None:
    target = tmp_path / "evil.png"
    refused("folder", _archive(tmp_path / "a.zip", "A/good.png", str(target)), "leads out")


def test_absolute_members_of_published_archives_stay_inside(tmp_path: Path) -> None:
    target = tmp_path / "evil.png"
    path = _archive(tmp_path / "a.zip", f"/{target}", "B/good.png")
    source = source_of("sd198")
    found = source.find(path, source.config())
    done = import_images(found, tmp_path / "set", workers=1)
    assert not target.exists()
    assert all(done.images.path(r).resolve().is_relative_to(tmp_path / "set") for r in done.images)


def test_links_in_archives(tmp_path: Path, refused: Callable[[str, Path, str], None]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("A/good.png", PICTURE)
        info = zipfile.ZipInfo("A/link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    for kind in KINDS:
        refused(kind, tmp_path / "a.zip", "symbolic link")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_that_lead_out_of_a_folder(
    tmp_path: Path, refused: Callable[[str, Path, str], None], kind: str, what: str
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s.png").write_bytes(PICTURE)
    (tmp_path / "data/A").mkdir(parents=True)
    (tmp_path / "data/A/good.png").write_bytes(PICTURE)
    target = tmp_path / "secret/s.png" if what == "file" else tmp_path / "secret"
    os.symlink(target, tmp_path / "data/A/link.png" if what == "file" else tmp_path / "data/B")
    refused(kind, tmp_path / "data", "is a link that leads out")


def _bomb(path: Path, declared: int | None) -> Path:
    """A member of 4 MB of zeros in a few kB; it declares its size, or another."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A/bomb.png", bytes(4_000_000))
    if declared is not None:
        data = path.read_bytes()
        wrong = data.replace(struct.pack("<I", 4_000_000), struct.pack("<I", declared))
        assert wrong != data
        path.write_bytes(wrong)
    assert path.stat().st_size < 20_000
    return path


@pytest.mark.parametrize("declared", [None, 1000, 2**31 - 1], ids=["true", "small", "huge"])
def test_bombs(
    tmp_path: Path,
    refused: Callable[[str, Path, str], None],
    monkeypatch: pytest.MonkeyPatch,
    declared: int | None,
) -> None:
    monkeypatch.setattr(base.Location.read, "__defaults__", (1 << 20,))
    path = _bomb(tmp_path / "a.zip", declared)
    refused("folder", path, r"unpacks to more than 1 MB|damaged|none of the 1 images")
    refused("sd198", path, r"unpacks to more than 1 MB|damaged|none of the 1 images")


def test_a_bomb_of_a_table(
    tmp_path: Path, refused: Callable[[str, Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hzsynth.data.sources import published

    monkeypatch.setattr(published, "MAX_TABLE_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", b"images/a.png 0\n" * 400_000)
        archive.writestr("images/a.png", PICTURE)
    refused("sd260", tmp_path / "a.zip", "unpacks to more than 1 MB")


def _table(root: Path, name: str, columns: tuple[str, ...]) -> Path:
    (root / "A").mkdir(parents=True)
    (root / "A/good.png").write_bytes(PICTURE)
    values = {"file_name": name, "label": "A", "origin": "real", "width": "16", "height": "16"}
    row = [values.get(column, "") for column in columns]
    quoted = ",".join(f'"{value}"' for value in row)
    (root / "metadata.csv").write_text(",".join(columns) + "\n" + quoted + "\n")
    return root


@pytest.mark.parametrize("columns", [("file_name", "label"), COLUMNS], ids=["partial", "whole"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.png", "outside its folder"),
        ("A/../../secret.png", "outside its folder"),
        ("/etc/passwd", "outside its folder"),
        ("..\\secret.png", "outside its folder"),
        ("", "outside its folder"),
        ("=cmd|'/c calc'!A1", "formula"),
        ("+1+1.png", "formula"),
        ("@SUM(A1).png", "formula"),
        ("\t=1.png", "formula"),
    ],
)
def test_tables(
    tmp_path: Path, refused: Callable[[str, Path, str], None], columns: Any, name: str, message: str
) -> None:
    (tmp_path / "secret.png").write_bytes(PICTURE)
    refused("folder", _table(tmp_path / "data", name, columns), message)


def test_names_with_a_dash_are_no_formulas(tmp_path: Path) -> None:
    root = _table(tmp_path / "data", "-1.png", ("file_name", "label"))
    (root / "-1.png").write_bytes(PICTURE)
    source = source_of("folder")
    assert len(import_images(source.find(root, None), tmp_path / "set", workers=1).images) == 1


def test_a_list_of_sd198_that_leads_out(
    tmp_path: Path, refused: Callable[[str, Path, str], None]
) -> None:
    (tmp_path / "secret.png").write_bytes(PICTURE)
    (tmp_path / "data/images/A").mkdir(parents=True)
    (tmp_path / "data/images/A/good.png").write_bytes(PICTURE)
    (tmp_path / "data/train.txt").write_text("images/A/good.png 0\n../../secret.png 1\n")
    refused("sd260", tmp_path / "data", "outside of its data set")
    (tmp_path / "data/train.txt").write_text(f"{tmp_path / 'secret.png'} 1\n")
    refused("sd260", tmp_path / "data", "outside of its data set")
