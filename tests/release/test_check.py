"""A bundle that was tampered with is found."""

import hashlib
import shutil
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.release.check import verify_release
from tests.release.enclave import PATIENT


def test_a_bundle_that_was_tampered_with_is_found(bundle: Path, tmp_path: Path) -> None:
    def change(name: str, data: bytes, sums: bool = False) -> Path:
        folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(bundle, folder)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        if sums:
            old = (folder / "SHA256SUMS").read_text().splitlines()
            kept = [line for line in old if not line.endswith(f"  {name}")]
            line = f"{hashlib.sha256(data).hexdigest()}  {name}"
            (folder / "SHA256SUMS").write_text("\n".join([*kept, line]) + "\n")
        return folder

    first = bundle / "images" / "000001.png"
    tail = first.read_bytes() + b"more"
    rows = (bundle / "metadata.csv").read_text().splitlines()
    told = rows[1].replace(",synthetic,", f",{PATIENT},", 1)
    column = rows[0].split(",").index("group")
    values = rows[1].split(",")
    values[column] = PATIENT
    grouped = "\n".join([rows[0], ",".join(values), *rows[2:]]).encode()
    assert told != rows[1]
    for folder, sentence in (
        (change("README.md", b"other"), "README.md has changed"),
        (change("model.bin", b"\x80\x04\x95x"), "may hold weights"),
        (change("model.bin", b"\x80\x04\x95x", sums=True), "does not belong"),
        (change(".hidden", b"x"), ".hidden is not in SHA256SUMS"),
        (change("masks/000001.png", first.read_bytes(), sums=True), "does not belong"),
        (change("images/000001.png", tail, sums=True), "bytes after its end"),
        (change("images/000001.png", b"\x10" + bytes(7) + b'{"a":1}', sums=True), "is no PNG"),
        (change("metadata.csv", grouped, sums=True), "tells group"),
        (change("metadata.csv", "\n".join(rows[:-1]).encode(), sums=True), "do not agree"),
    ):
        with pytest.raises(RefusedError, match=sentence):
            verify_release(folder)
    gone = change("README.md", (bundle / "README.md").read_bytes())
    (gone / "images" / "000002.png").unlink()
    (gone / "link").symlink_to(bundle)
    with pytest.raises(RefusedError, match=r"link is a link.*000002.png is missing"):
        verify_release(gone)
    with pytest.raises(InputError, match="no SHA256SUMS"):
        verify_release(tmp_path)
