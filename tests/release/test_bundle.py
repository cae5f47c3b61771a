"""A release leaks nothing, is whole or not there, and is refused when it should be."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.feature_spaces import pixel_space
from hzsynth.audit.gate import audit_images
from hzsynth.audit.page import write_audit
from hzsynth.cli.main import run as hzsynth
from hzsynth.core.ancestors import Ancestor
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.partial import PartialFolder
from hzsynth.core.run import RunDir
from hzsynth.release import bundle as release
from hzsynth.release.bundle import release_images
from hzsynth.release.check import verify_release
from hzsynth.release.plain_png import png_problem
from tests.cli.starting import starts
from tests.release.enclave import (
    CONFIG,
    PATIENT,
    SECRET,
    Enclave,
    SomeSettings,
    files,
    photographs,
    pictures,
)


def chunks(data: bytes) -> list[bytes]:
    """A parser of the test's own."""
    names, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        names.append(data[place + 4 : place + 8])
        place += length + 12
    assert place == len(data)
    return names


def test_the_bundle_holds_what_it_should(enclave: Enclave, bundle: Path) -> None:
    found = files(bundle)
    images = [name for name in found if name.startswith("images/")]
    texts = ["README.md", "SHA256SUMS", "checklist.en.md", "checklist.ko.md"]
    assert sorted(set(found) - set(images)) == sorted([*texts, "metadata.csv", "metrics.json"])
    accepted = [r for r in enclave.fake if r.sha256 not in enclave.result.dropped]
    assert len(images) == len(accepted) >= 16
    released = ImageSet.load(bundle)
    assert {r.sha256 for r in released} == {hashlib.sha256(found[n]).hexdigest() for n in images}
    before = [np.asarray(Image.open(enclave.fake.path(r))) for r in accepted]
    after = [np.asarray(Image.open(released.path(r))) for r in released]
    # The same pixels in another order.
    assert {p.tobytes() for p in before} == {p.tobytes() for p in after}
    assert [p.tobytes() for p in before] != [p.tobytes() for p in after]
    metrics = json.loads(found["metrics.json"])
    assert metrics["audit"]["passed"] is True
    light = "amber" if enclave.result.doubts else "green"
    assert metrics["audit"]["light"] == light
    assert f"Verdict: **{light}**" in found["README.md"].decode()
    assert metrics["audit"]["spaces"]["pixels"]["leaning"]["held_out"] == 24
    kid = metrics["scores"][0]
    assert (kid["value"], kid["at_floor"], kid["against_training"]) == (0.01, 0.012, -0.002)
    assert "| kid | 0.01 | 0.012 | 0 | -0.002 | lower |" in found["README.md"].decode()
    assert metrics["generators"][0]["training_photographs"] == 24
    assert metrics["generators"][0]["settings"] == {"resolution": 24}
    audit_file = (enclave.audit / "audit.json").read_bytes()
    assert metrics["audit"]["audit_json_sha256"] == hashlib.sha256(audit_file).hexdigest()


def test_nothing_names_a_photograph_or_a_patient(enclave: Enclave, bundle: Path) -> None:
    everything = b"\n".join(files(bundle).values())
    secrets = {PATIENT, SECRET, str(enclave.root), enclave.run.id, enclave.train.digest}
    for record in (*enclave.train, *enclave.held_out):
        secrets |= {record.sha256, record.phash, record.group, record.file_name}
    secrets |= {record.sha256 for record in enclave.fake} & {r.sha256 for r in enclave.train}
    for secret in secrets - {""}:
        assert secret.encode() not in everything
        if len(secret) == 64:
            assert bytes.fromhex(secret) not in everything


def test_pictures_carry_no_metadata(bundle: Path) -> None:
    for name, data in files(bundle).items():
        if name.endswith(".png"):
            kinds = chunks(data)
            assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
            assert png_problem(data) == ""


def test_checksums_hold_and_equal_input_gives_equal_bytes(enclave: Enclave, bundle: Path) -> None:
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, check=True)
    assert verify_release(bundle) == len(files(bundle)) - 1
    score = enclave.root / "score.json"
    again = enclave.root / "again"
    enclave.release(again, score_file=score, runs=[enclave.run])
    assert files(again) == files(bundle)


def test_dropped_images_stay_and_a_failed_gate_refuses(tmp_path: Path) -> None:
    enclave = Enclave(tmp_path / "copied", copies=2)
    assert enclave.result.passes_without_dropped
    dropped = set(enclave.result.dropped)
    assert len(dropped) >= 2
    facts = enclave.release(tmp_path / "bundle")
    assert (facts.released, facts.left_out) == (42 - len(dropped), len(dropped))
    copies = {np.asarray(Image.open(enclave.train.path(r))).tobytes() for r in enclave.train}
    released = ImageSet.load(tmp_path / "bundle")
    pixels = {np.asarray(Image.open(released.path(r))).tobytes() for r in released}
    assert not copies & pixels
    card = (tmp_path / "bundle" / "README.md").read_text("utf-8")
    assert "without those left out" in card
    assert "Verdict: **amber**" in card
    assert "판정: **황색**" in card
    path = enclave.audit / "audit.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    for outcome in (False, None):
        path.write_text(json.dumps({**values, "passes_without_dropped": outcome}))
        with pytest.raises(RefusedError, match="failed its gate"):
            enclave.release(tmp_path / "none", force=True)
    assert not (tmp_path / "none").exists()


def test_what_was_not_audited_is_refused(tmp_path: Path) -> None:
    enclave = Enclave(tmp_path / "enclave")
    out = tmp_path / "out"
    part = enclave.fake.replace_records(enclave.fake.records[1:])
    with pytest.raises(RefusedError, match="of other images"):
        release_images(part, enclave.audit, out, CONFIG)
    with pytest.raises(InputError, match="no audit"):
        release_images(enclave.fake, tmp_path, out, CONFIG)
    other = RunDir.start(tmp_path / "other", "gan", SomeSettings(), {})
    with pytest.raises(InputError, match="none of the images was made by"):
        enclave.release(out, runs=[other])
    score = tmp_path / "score.json"
    score.write_text(json.dumps({"scores": [{"metric": "kid", "fake_digest": "0"}]}))
    with pytest.raises(InputError, match="other images than"):
        enclave.release(out, score_file=score)
    values = json.loads((enclave.audit / "audit.json").read_text(encoding="utf-8"))
    values.pop("digests")
    old = tmp_path / "old"
    old.mkdir()
    (old / "audit.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="repeat `hzsynth audit`"):
        release_images(enclave.fake, old, out, CONFIG)
    enclave.fake.path(enclave.fake.records[4]).write_bytes(b"other")
    with pytest.raises(RefusedError, match="has changed since"):
        enclave.release(out)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


@pytest.mark.parametrize(("origin", "steps"), [("augmented", 1), ("cyclegan", 1), ("cyclegan", 2)])
def test_edited_photographs_are_refused(tmp_path: Path, origin: str, steps: int) -> None:
    train, held_out = photographs(tmp_path / "train", 1), photographs(tmp_path / "new", 2)
    with ImageSetWriter(tmp_path / "fake") as writer:
        for picture in pictures(3, 9):
            parent = train.records[0].sha256
            if steps == 2:
                # The image in between does not travel, its row does.
                writer.add_known([Ancestor("between", origin=origin, parents=(parent,), run="r")])
                parent = "between"
            writer.add(picture, label="zoster", origin=origin, parents=[parent], run="r")
        writer.add_lineage("r", [TrainingImage(r.sha256, r.phash, r.group) for r in train])
    sets = (writer.images, train, held_out)
    space = pixel_space()
    result = audit_images(*sets, AuditConfig(), compute=CPU_FP32, spaces=[space])
    write_audit(result, *sets, tmp_path / "audit")
    with pytest.raises(RefusedError, match="is augmented|or an edited one"):
        release_images(writer.images, tmp_path / "audit", tmp_path / "out", CONFIG)


def test_a_write_that_fails_leaves_nothing(
    enclave: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(release, "_write_sums", full)
    with pytest.raises(InputError, match="No space left"):
        enclave.release(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        enclave.release(tmp_path / "bundle", force=True)


def test_what_a_kill_leaves_is_no_bundle_and_goes_away(
    enclave: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "_write_sums", killed)

    def freed(partial: PartialFolder, keep: bool) -> None:
        """A kill frees the lock and cleans nothing up."""
        partial._journal.close()
        partial._lock.close()

    monkeypatch.setattr(PartialFolder, "close", freed)
    with pytest.raises(KeyboardInterrupt):
        enclave.release(tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] != ["bundle"]
    assert not (tmp_path / "bundle").exists()
    monkeypatch.undo()
    enclave.release(tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    verify_release(tmp_path / "bundle")


@starts("release")
def test_the_command_releases_and_verifies(
    enclave: Enclave, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "bundle")
    fake, audit, run = (str(enclave.root / name) for name in ("fake", "audit", "run"))
    with pytest.raises(SystemExit) as ended:
        hzsynth(["release", fake, "--audit", audit, "--run", run, "--out", out, "--quiet"])
    assert ended.value.code == 0
    (tmp_path / "bundle" / "weights.safetensors").write_bytes(b"x")
    for arguments, code in ((["--verify", out], 3), (["--out", out], 2)):
        with pytest.raises(SystemExit) as ended:
            hzsynth(["release", *arguments, "--quiet"])
        assert ended.value.code == code
    assert "weights.safetensors" in capsys.readouterr().err
