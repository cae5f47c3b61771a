"""An import that is killed leaves nothing at --out and no process behind, and is gone on with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.phantom import render_phantom
from tests.journeys.killing import members, until_writing

pytestmark = pytest.mark.slow

COUNT = 1500


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many") / "photographs"
    for label in ("eczema", "normal"):
        (root / label).mkdir(parents=True)
        picture = Image.fromarray(render_phantom(label, "western", 0, 0, 256)[0])
        picture.save(root / label / "0.png")
        for number in range(1, COUNT // 2):
            shutil.copy(root / label / "0.png", root / label / f"{number}.png")
    return root


def _start(photographs: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hzsynth", "data", "import", "folder"]
    return subprocess.Popen(
        [*command, str(photographs), "--out", str(out), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_import_leaves_nothing_and_is_gone_on_with(
    tmp_path: Path, photographs: Path, how: signal.Signals
) -> None:
    out = tmp_path / "set"
    process = _start(photographs, out)
    until_writing(tmp_path, process)
    if how is signal.SIGINT:
        # As a terminal does it: the workers get it too.
        os.killpg(process.pid, how)
    else:
        process.kill()
    _, said = process.communicate(timeout=60)
    assert not out.exists()
    deadline = time.monotonic() + 20
    while members(process.pid):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.1)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert said.decode().count("\n") <= 2, said
    again = _start(photographs, out)
    left = next(tmp_path.glob(".set.*"))
    before = {file: file.stat().st_mtime_ns for file in left.rglob("*.png")}
    assert before
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert len(ImageSet.load(out)) == 2 * (COUNT // 2)
    # What was in the journal was not made again.
    kept = [f for f, t in before.items() if (out / f.relative_to(left)).stat().st_mtime_ns == t]
    assert len(kept) >= len(before) - 200
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]
