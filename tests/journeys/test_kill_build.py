"""One seed gives one set: with any number of workers, and when a killed build is gone on with."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hzsynth.core.image_set import ImageSet
from tests.augment.conftest import write_real, write_synthetic
from tests.journeys.killing import members, until_writing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MULTIPLIER = 60


def _start(root: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hzsynth", "build-dataset", str(root / "real"), "--quiet"]
    options = ["--label", "zoster", "--ratio", "1", "--multiplier", str(MULTIPLIER)]
    options += ["--mix", "cutmix", "--mix-classes", "any", "--seed", "7", "--write-augmented"]
    options += ["--synthetic", str(root / "made"), "--out", str(out), "--workers", str(workers)]
    return subprocess.Popen(
        [*command, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    write_real(root / "real", train=20)
    write_synthetic(root / "made", count=20)
    return root


def _files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_seed_gives_one_set(sources: Path, tmp_path: Path) -> None:
    killed = _start(sources, tmp_path / "resumed", 2)
    until_writing(tmp_path, killed)
    time.sleep(0.2)
    killed.kill()
    killed.communicate(timeout=60)
    assert not (tmp_path / "resumed").exists()
    deadline = time.monotonic() + 20
    while members(killed.pid):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.1)
    for name, workers in (("resumed", 4), ("one", 1), ("two", 2), ("four", 4)):
        process = _start(sources, tmp_path / name, workers)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    reference = _files(tmp_path / "one")
    assert len(ImageSet.load(tmp_path / "one").select("train", "zoster")) == 20 * MULTIPLIER
    for name in ("resumed", "two", "four"):
        assert _files(tmp_path / name) == reference
