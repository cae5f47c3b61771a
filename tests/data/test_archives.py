"""Zip archives of every origin: names as they were meant, nothing that leads outside."""

import stat
import struct
import unicodedata
import zipfile
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError
from hzsynth.data.sources.archives import is_archive, list_members, read_member
from hzsynth.data.sources.base import Location


def _write(path: Path, names: dict[bytes, bytes], flag: int = 0) -> Path:
    """A zip whose members' names are exactly these bytes, stored, with this general flag."""
    body, directory = b"", b""
    for name, data in names.items():
        import zlib

        header = struct.pack(
            "<HHHHHIIIHH", 20, flag, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0
        )
        directory += (
            b"PK\x01\x02\x14\x00" + header + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        )
        body += b"PK\x03\x04" + header + name + data
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\x05\x06" + end)
    return path


@pytest.mark.parametrize(
    ("stored", "flag"),
    [
        ("정상/가.png".encode("cp949"), 0),
        ("정상/가.png".encode(), 0),
        ("정상/가.png".encode(), 0x800),
        (unicodedata.normalize("NFD", "정상/가.png").encode(), 0x800),
        (unicodedata.normalize("NFD", "정상/가.png").encode(), 0),
    ],
    ids=["korean windows", "utf-8 unflagged", "utf-8", "macos", "macos unflagged"],
)
def test_names_are_decoded_as_they_were_meant(tmp_path: Path, stored: bytes, flag: int) -> None:
    path = _write(tmp_path / "a.zip", {stored: b"pixels"}, flag)
    (member,) = list_members(path)
    assert member.name == "정상/가.png"
    assert read_member(path, member.stored, 100) == b"pixels"
    assert Location(path, member.stored).read() == b"pixels"


@pytest.mark.parametrize(
    "name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:/a.png", "x\\..\\..\\a"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / "a.zip", {name.encode(): b"x"})
    with pytest.raises(InputError, match="leads out"):
        list_members(path)


def test_leading_slashes_may_be_taken_off(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.zip", {b"/x/a.png": b"1"})
    (member,) = list_members(path, absolute=True)
    assert member.name == "x/a.png"
    assert read_member(path, member.stored, 10) == b"1"
    with pytest.raises(InputError, match="leads out"):
        list_members(_write(tmp_path / "b.zip", {b"/../a.png": b"1"}), absolute=True)


def test_links_encrypted_members_and_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="symbolic link"):
        list_members(tmp_path / "link.zip")
    with pytest.raises(InputError, match="encrypted"):
        list_members(_write(tmp_path / "e.zip", {b"a.png": b"1"}, flag=1))
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/a.png", b"1")
    assert [m.name for m in list_members(tmp_path / "f.zip")] == ["folder/a.png"]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(3_000_000))
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacks to more than"):
        read_member(path, "a.png", 1 << 20)
    # One that lies about its size: the bytes are counted while they are unpacked.
    data = path.read_bytes().replace(struct.pack("<I", 3_000_000), struct.pack("<I", 1000))
    liar = tmp_path / "liar.zip"
    liar.write_bytes(data)
    with pytest.raises(InputError, match="damaged|unpacks to more than"):
        read_member(liar, "a.png", 1 << 20)


def test_damaged_archives_are_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.zip", {b"a.png": b"pixels" * 50})
    assert is_archive(path)
    (tmp_path / "text.zip").write_text("no archive")
    assert not is_archive(tmp_path / "text.zip")
    with pytest.raises(InputError, match=r"text\.zip"):
        list_members(tmp_path / "text.zip")
    spoiled = tmp_path / "b.zip"
    spoiled.write_bytes(path.read_bytes().replace(b"pixels", b"pixeln", 1))
    with pytest.raises(InputError, match="damaged"):
        read_member(spoiled, "a.png", 1 << 20)
    with pytest.raises(InputError, match="no member"):
        read_member(path, "b.png", 1 << 20)
